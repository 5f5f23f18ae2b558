"""One operating year as a linear program in the order of time.

The year starts and ends with every store full, so years follow each other and no reserve is a gift. In
step t (``dt_h`` hours; powers in MW, stores in MWh)

    import - export + sum renewables + sum generators + sum_j (discharge_j - charge_j) + curtailed + unserved = load
    soc_j[t] = keep_j soc_j[t-1] + dt (eff_j charge_j - discharge_j),   charge_j + discharge_j <= power_j

Energy of a store is counted as what it can still deliver on the AC side, so the whole round-trip
loss falls on charging and a floor of the store is energy that an outage can use. One bound on the
sum of charge and discharge is the convex hull of "one of them is zero".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from planner.operations import interior
from planner.operations.band import Band, Entry
from planner.units import HOURS_PER_YEAR

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
#: Boxes narrower than this share of the load count as this wide inside the solver.
_NARROW = 1e-8
_COST_SCALE = 50.0


@dataclass(frozen=True)
class Clock:
    """What every planning year shares, step by step; arrays of shape (T,) unless said.

    Attributes
    ----------
    dt_h
        Length of a step.
    load_pu, import_usd_per_mwh, export_usd_per_mwh
        Load per unit of the served peak; what a MWh costs at the gate, and what it earns there.
    open_frac
        Share of the flexible import that is not called off.
    season, month
        Season of the reserve and billing month (counted through all years) of each step.
    renewable_cf
        Output per unit of capacity, shape (R, T).
    demand_usd_per_mw_month, curtailable_frac, curtailed_usd_per_mwh, unserved_usd_per_mwh
        Charge on the monthly peak of imports; share of load that may be shed and its price; price of any other.
    """

    dt_h: float
    load_pu: FloatArray
    import_usd_per_mwh: FloatArray
    export_usd_per_mwh: FloatArray
    open_frac: FloatArray
    season: IntArray
    month: IntArray
    renewable_cf: FloatArray
    demand_usd_per_mw_month: float = 0.0
    curtailable_frac: float = 0.0
    curtailed_usd_per_mwh: float = 0.0
    unserved_usd_per_mwh: float = 20_000.0

    @property
    def steps(self) -> int:
        """Number of steps."""
        return len(self.load_pu)

    @property
    def years(self) -> float:
        """Years that the steps span."""
        return self.steps * self.dt_h / HOURS_PER_YEAR

    @property
    def seasons(self) -> int:
        """Number of reserve seasons."""
        return int(self.season.max()) + 1

    @cached_property
    def season_ends(self) -> NDArray[np.bool_]:
        """Steps at whose end every store is full: the last of each season, and of the year; shape (T,)."""
        ends = np.asarray(self.season != np.roll(self.season, -1))
        ends[-1] = True
        return ends


@dataclass(frozen=True)
class Store:
    """A fleet of one kind: power and floor of each season, shape (S,), energy, the yearly discharge allowed.

    It is full at the end of each season.
    """

    name: str
    power_mw: FloatArray
    energy_mwh: float
    floor_mwh: FloatArray
    throughput_mwh: float
    efficiency_frac: float
    keep_frac: float


@dataclass(frozen=True)
class Generator:
    """Generators of one kind, their running cost and the hours they may run in a year."""

    name: str
    power_mw: float
    usd_per_mwh: float
    hours: float


@dataclass(frozen=True)
class Site:
    """What the campus is in a planning year, in MW; ``renewable_mw`` has shape (R,)."""

    served_mw: float
    firm_import_mw: float
    flexible_import_mw: float
    export_mw: float
    renewable_mw: FloatArray


@dataclass(frozen=True)
class Dispatch:
    """A year as operated, MW per step (stores: MWh at the end of each step), and the multipliers behind it.

    ``node_usd_per_mwh`` is the value of energy on the campus, ``peak_usd_per_mwh`` what the monthly peak adds to
    an imported MWh, ``wear_usd_per_mwh`` what the yearly budget adds to a discharged one, ``store_usd_per_mwh`` the
    value of a stored MWh. Leading dimension of the two-dimensional ones: stores, generators or renewables.
    """

    imported: FloatArray
    exported: FloatArray
    renewable: FloatArray
    generated: FloatArray
    curtailed: FloatArray
    unserved: FloatArray
    charge: FloatArray
    discharge: FloatArray
    stored: FloatArray
    node_usd_per_mwh: FloatArray = field(default_factory=lambda: np.zeros(0))
    peak_usd_per_mwh: FloatArray = field(default_factory=lambda: np.zeros(0))
    wear_usd_per_mwh: FloatArray = field(default_factory=lambda: np.zeros(0))
    store_usd_per_mwh: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))
    steps: int = 0


class _Layout:
    """Where the columns and rows of a year stand, and the matrix they make.

    Columns of a step: flows at the bus, then charge, discharge, idle power and energy of each store. Rows: the power of
    each store, the balance of each store, the bus and the peak; then the budgets that can bind at all.
    """

    def __init__(self, clock: Clock, site: Site, stores: Sequence[Store], generators: Sequence[Generator]) -> None:
        self.steps, self.entries, self.columns = clock.steps, list[Entry](), 0
        self.at: dict[str, slice] = {}
        self.row: dict[str, slice] = {}
        n, dt = len(stores), clock.dt_h
        peaks = clock.demand_usd_per_mw_month > 0
        bus, peak, border = 2 * n, 2 * n + 1, 2 * n + 1 + int(peaks)
        # Full at both ends, a store cannot discharge more than it does by charging or discharging all the time.
        most = [
            float(s.power_mw.max()) * HOURS_PER_YEAR * s.efficiency_frac / (1.0 + s.efficiency_frac) for s in stores
        ]
        limited = [j for j, s in enumerate(stores) if s.throughput_mwh < most[j]]
        budget = {j: border + i for i, j in enumerate(limited)}
        hours = [border + len(limited) + g for g in range(len(generators))]
        self._column("import", (bus, 1.0), *([(peak, 1.0)] if peaks else []))
        if site.export_mw > 0:
            self._column("export", (bus, -1.0))
        self._column("unserved", (bus, 1.0))
        if clock.curtailable_frac > 0:
            self._column("curtailed", (bus, 1.0))
        for r in range(len(site.renewable_mw)):
            self._column(f"renewable {r}", (bus, 1.0))
        for g in range(len(generators)):
            self._column(f"generator {g}", (bus, 1.0), (hours[g], dt))
        if peaks:
            self._column("below peak", (peak, 1.0))
        for j, s in enumerate(stores):
            power, balance = j, n + j
            self._column(f"charge {j}", (power, 1.0), (balance, dt * s.efficiency_frac), (bus, -1.0))
            worn = [(budget[j], dt)] if j in budget else []
            self._column(f"discharge {j}", (power, 1.0), (balance, -dt), (bus, 1.0), *worn)
            self._column(f"idle {j}", (power, 1.0))
            self._column(f"stored {j}", (balance, -1.0), (balance, s.keep_frac, 1))
            self.row[f"power {j}"], self.row[f"balance {j}"] = self._every_step(power), self._every_step(balance)
        self.row["bus"] = self._every_step(bus)
        month = clock.month if peaks else np.zeros(0, dtype=np.int64)
        count = len(limited) + len(generators)
        self.band = Band(self.steps, self.columns, n, border - n, count, self.entries, peak if peaks else -1, month)
        names = [f"budget {j}" for j in limited] + [f"hours {g}" for g in range(len(generators))]
        for i, name in enumerate(names):
            self.row[name] = slice(border * self.steps + i, border * self.steps + i + 1)
            self.at[f"{name} left"] = slice(self.band.slack_at.start + i, self.band.slack_at.start + i + 1)
        if peaks:
            self.at["peak"], self.row["peak"] = self.band.wide_at, self._every_step(peak)

    def _every_step(self, kind: int) -> slice:
        return slice(kind * self.steps, (kind + 1) * self.steps)

    def _column(self, name: str, *entries: tuple[int, float] | tuple[int, float, int]) -> None:
        self.at[name] = self._every_step(self.columns)
        self.entries += [Entry(self.columns, *entry) for entry in entries]
        self.columns += 1


def operate(
    clock: Clock, site: Site, stores: Sequence[Store], generators: Sequence[Generator], *, tolerance: float = 1e-7,
    shortfall: bool = False,
) -> Dispatch:  # fmt: skip
    """Cheapest year of a site with given fleets.

    Parameters
    ----------
    clock, site, stores, generators
        The year, the site and what stands on it. Stores must have power and room above their floor.
    tolerance
        Relative accuracy.
    shortfall
        Only count unserved energy (at 1 USD per MWh): is there a schedule at all, and if not, what is missing?
    """
    made = _Layout(clock, site, stores, generators)
    return _Program(clock, site, list(stores), list(generators), made, shortfall).solve(tolerance)


@dataclass
class _Program:
    """Right-hand sides, bounds and cost of one year, and the way back from the solver's units."""

    clock: Clock
    site: Site
    stores: list[Store]
    generators: list[Generator]
    made: _Layout
    shortfall: bool

    def _floor(self, store: Store) -> FloatArray:
        return np.where(self.clock.season_ends, store.energy_mwh, store.floor_mwh[self.clock.season])

    def solve(self, tolerance: float) -> Dispatch:
        """Run the interior point and read the answer."""
        clock, site, at, row = self.clock, self.site, self.made.at, self.made.row
        rows, columns = self.made.band.shape
        powers = [*(float(s.power_mw.max()) for s in self.stores), *(g.power_mw for g in self.generators)]
        base = max(site.served_mw, *powers, 1e-3)
        cost, right, upper = np.zeros(columns), np.zeros(rows), np.zeros(columns)
        dt = clock.dt_h
        load = clock.load_pu * site.served_mw
        right[row["bus"]] = load
        money = 0.0 if self.shortfall else dt
        cost[at["import"]] = money * clock.import_usd_per_mwh
        cost[at["unserved"]] = dt if self.shortfall else dt * clock.unserved_usd_per_mwh
        upper[at["import"]] = site.firm_import_mw + site.flexible_import_mw * clock.open_frac
        if "export" in at:
            cost[at["export"]] = -money * clock.export_usd_per_mwh
            upper[at["export"]] = site.export_mw
        charging = np.sum([s.power_mw[clock.season] for s in self.stores], axis=0) if self.stores else 0.0
        upper[at["unserved"]] = load + np.maximum(base, charging)  # stores may have to be full in time, all at once
        if "curtailed" in at:
            cost[at["curtailed"]] = money * clock.curtailed_usd_per_mwh
            upper[at["curtailed"]] = clock.curtailable_frac * load
        for r, mw in enumerate(site.renewable_mw):
            upper[at[f"renewable {r}"]] = mw * clock.renewable_cf[r]
        for g, generator in enumerate(self.generators):
            cost[at[f"generator {g}"]] = money * generator.usd_per_mwh
            upper[at[f"generator {g}"]] = generator.power_mw
            right[row[f"hours {g}"]] = upper[at[f"hours {g} left"]] = generator.power_mw * generator.hours * clock.years
        if "peak" in at:
            cost[at["peak"]] = 0.0 if self.shortfall else clock.demand_usd_per_mw_month
            upper[at["peak"]] = upper[at["below peak"]] = float(upper[at["import"]].max())
        for j, store in enumerate(self.stores):
            floor = self._floor(store)
            before = np.roll(floor, 1)  # full before the first step, as after the last
            power = store.power_mw[clock.season]
            right[row[f"power {j}"]] = power
            right[row[f"balance {j}"]] = floor - store.keep_frac * before
            upper[at[f"stored {j}"]] = store.energy_mwh - floor
            for name in ("charge", "discharge", "idle"):
                upper[at[f"{name} {j}"]] = power
            if f"budget {j}" in row:
                right[row[f"budget {j}"]] = upper[at[f"budget {j} left"]] = store.throughput_mwh * clock.years
        upper = np.maximum(upper, _NARROW * base)
        found = interior.solve(
            self.made.band, cost / _COST_SCALE, right / base, upper / base, self._guess(rows), tolerance=tolerance
        )
        return self._read(found.x * base, found.y * _COST_SCALE, found.steps)

    def _guess(self, rows: int) -> FloatArray:
        """Energy is worth its price; a stored MWh the median of it."""
        guess = np.zeros(rows)
        if self.shortfall:
            return guess
        row, price = self.made.row, self.clock.import_usd_per_mwh
        guess[row["bus"]] = self.clock.dt_h * price
        for j in range(len(self.stores)):
            guess[row[f"balance {j}"]] = float(np.median(price))
        return guess / _COST_SCALE

    def _read(self, x: FloatArray, y: FloatArray, steps: int) -> Dispatch:
        clock, at, row = self.clock, self.made.at, self.made.row

        def stack(name: str, count: int) -> FloatArray:
            return np.array([x[at[f"{name} {j}"]] for j in range(count)]).reshape(count, clock.steps)

        n = len(self.stores)
        stored = stack("stored", n) + np.array([self._floor(s) for s in self.stores]).reshape(n, clock.steps)
        peak = -y[row["peak"]] / clock.dt_h if "peak" in row else np.zeros(clock.steps)
        zero = np.zeros(clock.steps)
        wear = [y[row[f"budget {j}"]][0] if f"budget {j}" in row else 0.0 for j in range(n)]
        return Dispatch(
            x[at["import"]], x[at["export"]] if "export" in at else zero,
            stack("renewable", len(self.site.renewable_mw)),
            stack("generator", len(self.generators)),
            x[at["curtailed"]] if "curtailed" in at else zero,
            x[at["unserved"]], stack("charge", n), stack("discharge", n), stored,
            y[row["bus"]] / clock.dt_h, np.maximum(peak, 0.0),
            np.maximum(-np.array(wear), 0.0),
            np.array([y[row[f"balance {j}"]] for j in range(n)]).reshape(n, clock.steps),
            steps,
        )  # fmt: skip


def yearly_cost_usd(clock: Clock, d: Dispatch, generators: Sequence[Generator]) -> dict[str, float]:
    """Cost of a dispatch by source, in USD per year; ``unserved`` stays in MWh per year."""
    per_year = clock.dt_h / clock.years
    peaks = np.zeros(int(clock.month.max()) + 1)
    np.maximum.at(peaks, clock.month, d.imported)
    return {
        "import": float(d.imported @ clock.import_usd_per_mwh) * per_year,
        "export": -float(d.exported @ clock.export_usd_per_mwh) * per_year,
        "demand_charge": clock.demand_usd_per_mw_month * float(peaks.sum()) / clock.years,
        "generation": sum(
            float(mw.sum()) * g.usd_per_mwh * per_year for mw, g in zip(d.generated, generators, strict=True)
        ),
        "curtailment": float(d.curtailed.sum()) * clock.curtailed_usd_per_mwh * per_year,
        "unserved_mwh": float(d.unserved.sum()) * per_year,
    }
