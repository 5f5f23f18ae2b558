"""A year that can really be run: the operated year followed step by step, with whole containers.

Containers of one delivery are alike. Lots are deliveries of one offer that run at the same reserve setting and have
nearly the same energy: a lot runs its containers in proportion to their energy, so the fullest one sets its power. What
rests of an offer is a lot of its own, which only makes up for what it loses.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from planner.model.coefficients import Coefficients
from planner.operations.alike import alike, key_of, operate_alike
from planner.operations.campus import Campus, Fleet
from planner.operations.loops import compiled
from planner.operations.year import (
    Clock,
    Dispatch,
    FloatArray,
    Generator,
    Site,
    Store,
    yearly_cost_usd,
)  # fmt: skip
from planner.units import HOURS_PER_YEAR

#: Deliveries of an offer whose energy per container differs by less than this run as one lot.
_ALIKE = 0.01
#: Fewer containers than this are rounding.
_FEW = 1e-7
#: Share of yearly budgets that the solver may not use, so that its accuracy costs nothing.
_SPARE = 1e-5
#: Share of its energy that a store plans to keep above its floor: what the accuracy of the guide may cost.
_SPARE_ENERGY = 1e-4
#: Unserved energy over that of the load which counts as rounding.
MISSING_FRAC = 1e-7
#: Steps, accuracy and spare load of the search for the load that can be carried.
_NEWTON_STEPS, _NEWTON_ACCURACY, _NEWTON_SPARE = 12, 1e-7, 2e-5
#: Missing load above this share of the served load is no inaccuracy of the guide.
_MISSED = 1e-3
#: Flows below this share of the power are rounding.
_ROUNDING = 1e-7


@dataclass(frozen=True)
class Lot:
    """Deliveries of one offer that run together at a setting, None for rest; ``store`` is what they can do."""

    offer: int
    setting: int | None
    deliveries: tuple[int, ...]
    store: Store


@dataclass(frozen=True)
class YearPlan:
    """The schedule of one planning year, and what it costs, in USD a year beside the load's own energy bill."""

    period: int
    lots: tuple[Lot, ...]
    generators: tuple[tuple[int, Generator], ...]
    site: Site
    dispatch: Dispatch
    cost_usd: dict[str, float]
    stack_usd: dict[str, float]

    @property
    def total_usd(self) -> float:
        """Cost of the year without the load's own energy at the hourly price."""
        return sum(self.stack_usd.values())

    @property
    def misses_load(self) -> bool:
        """Whether more load is missing than rounding explains."""
        return self.cost_usd["unserved_mwh"] > MISSING_FRAC * HOURS_PER_YEAR * max(1.0, self.site.served_mw)


def lots_of(campus: Campus, p: int, fleet: Fleet) -> list[Lot]:
    """Lots that stand in a period: those that run, by setting, and what rests."""
    c: Coefficients = campus.c
    lots: list[Lot] = []
    totals = campus.totals(fleet)
    for o in campus.stores:
        mine = np.flatnonzero((c.pair_offer == o) & c.alive[:, p] & (fleet.containers > 0.5))
        if not len(mine):
            continue
        running = []
        for j in range(len(c.swing_frac)):
            runs = mine[fleet.running[mine, p, :, j].max(axis=1) > _FEW]
            running += [_lot(campus, p, o, j, runs[part], fleet) for part in _alike(c.duty_mwh[runs, p, j])]
        lots += running
        offer, up = c.problem.offers[o], campus.up_frac[o]
        energy = float(totals.rest_mwh[o, p, 0] + totals.run_mwh[o, p, 0].sum())
        rest = energy - sum(lot.store.energy_mwh for lot in running)
        if rest <= _ROUNDING * energy:
            continue
        power = up * offer.power_mw * float(fleet.containers[mine].sum()) * rest / energy
        full = np.full(campus.clock.seasons, rest)
        name = f"{offer.offer} at rest"
        store = Store(name, np.full(len(full), power), rest, full, 0.0, offer.round_trip_eff_frac, campus.keep_frac(o))
        lots.append(Lot(o, None, tuple(int(i) for i in mine), store))
    return lots


def _alike(energy: FloatArray) -> list[list[int]]:
    """Indices grouped so that the energy within a group differs little."""
    groups: list[list[int]] = []
    for k in np.argsort(-energy):
        if groups and energy[k] >= (1.0 - _ALIKE) * energy[groups[-1][0]]:
            groups[-1].append(int(k))
        else:
            groups.append([int(k)])
    return groups


def _lot(campus: Campus, p: int, o: int, j: int, mine: NDArray[np.int64], fleet: Fleet) -> Lot:
    """Deliveries of an offer that run at one setting."""
    c, offer, up = campus.c, campus.c.problem.offers[o], campus.up_frac[o]
    each = c.duty_mwh[mine, p, j]
    energy = up * (each @ fleet.running[mine, p, :, j])
    mine = np.sort(mine)
    when = "+".join(c.problem.periods[c.pairs[i][1]].label for i in mine)
    name = f"{offer.offer} of {when}, {1.0 - c.swing_frac[j]:.0%} kept"
    power = offer.power_mw * energy / float(each.max())
    store = campus.store(name, power, energy, float(c.swing_frac[j]), offer.round_trip_eff_frac, campus.keep_frac(o))
    return Lot(o, j, tuple(int(i) for i in mine), store)


#: Kind and setting of the stores that run, each with the number of one of its lots.
Kinds = dict[tuple[int, int, int], int]


@dataclass(frozen=True)
class Standing:
    """What stands on the site in a period: lots, which of them are worth running, generators."""

    clock: Clock
    site: Site
    lots: list[Lot]
    runs: list[bool]
    generators: list[tuple[int, Generator]]

    @classmethod
    def of(cls, campus: Campus, p: int, fleet: Fleet) -> Standing:
        """What a fleet puts on the site in a period."""
        site, lots = campus.site(p, fleet), lots_of(campus, p, fleet)
        least = 1e-6 * max(1.0, site.served_mw)
        runs = [
            float(s.power_mw.max()) > least
            and s.energy_mwh - float(s.floor_mwh.min()) > least
            and s.throughput_mwh > least
            for s in (lot.store for lot in lots)
        ]
        return cls(campus.clock, site, lots, runs, campus.running_generators(p, fleet))

    @property
    def key(self) -> str:
        """The same for years whose best schedule is the same, but for the last digits."""
        site, working = self.site, [lot.store for lot, on in zip(self.lots, self.runs, strict=True) if on]
        numbers = [site.served_mw, site.firm_import_mw - self.upkeep_mw, site.flexible_import_mw, site.export_mw]
        for s in working:
            numbers += [*s.power_mw, s.energy_mwh, *s.floor_mwh, s.throughput_mwh, s.efficiency_frac, s.keep_frac]
        for _, g in self.generators:
            numbers += [g.power_mw, g.usd_per_mwh, g.hours]
        return key_of([*numbers, *site.renewable_mw]) + f" {len(working)} {len(self.generators)}"

    @property
    def working(self) -> list[Lot]:
        """Lots that are worth running."""
        return [lot for lot, on in zip(self.lots, self.runs, strict=True) if on]

    def kinds(self, campus: Campus) -> Kinds | None:
        """A lot that runs of each kind and setting, by its number among them; None if some kind is not all alike."""
        one = {(*campus.kind(lot.offer), lot.setting or 0): row for row, lot in enumerate(self.working)}
        return one if len(one) == len(alike([lot.store for lot in self.working])) else None

    def by_kind(self, kinds: Kinds, d: Dispatch) -> tuple[Dispatch, dict[tuple[int, int, int], Store]]:
        """What was operated with the wear of one lot of each kind, and these lots: what a year is learned from."""
        stores = {kind: self.working[row].store for kind, row in kinds.items()}
        return replace(d, wear_usd_per_mwh=d.wear_usd_per_mwh[list(kinds.values())]), stores

    @property
    def upkeep_mw(self) -> float:
        """What full stores that are not run draw to stay full; at full load it decides what the gate can carry."""
        idle = [lot.store for lot, on in zip(self.lots, self.runs, strict=True) if not on]
        return sum(s.energy_mwh * (1.0 - s.keep_frac) / s.efficiency_frac for s in idle) / self.clock.dt_h

    def operate(self, site: Site, tolerance: float, shortfall: bool = False) -> Dispatch:
        """The year with a little to spare everywhere."""
        working = [_spared(lot.store) for lot in self.working]
        spared = [Generator(g.name, g.power_mw, g.usd_per_mwh, g.hours * (1 - _SPARE)) for _, g in self.generators]
        site = replace(site, firm_import_mw=max(0.0, site.firm_import_mw - self.upkeep_mw))
        return operate_alike(self.clock, site, working, spared, tolerance=tolerance, shortfall=shortfall)


def plan_year(campus: Campus, p: int, fleet: Fleet, tolerance: float = 1e-5) -> YearPlan:
    """Schedule of a period for whole containers; load that cannot be served stays in ``cost_usd["unserved_mwh"]``."""
    standing = Standing.of(campus, p, fleet)
    return guided(standing, p, standing.operate(standing.site, tolerance))


def guided(standing: Standing, p: int, guide: Dispatch) -> YearPlan:
    """Schedule of a period along a guide: the year of the same stores, operated with a little to spare."""
    clock, site, lots, generators = standing.clock, standing.site, standing.lots, standing.generators
    stored = np.array([lot.store.energy_mwh for lot in lots]).reshape(-1, 1) * np.ones((1, clock.steps))
    stored[standing.runs] = guide.stored
    d = follow(clock, site, [lot.store for lot in lots], stored, guide, [g for _, g in generators])
    cost = yearly_cost_usd(clock, d, [g for _, g in generators])
    return YearPlan(p, tuple(lots), tuple(generators), site, d, cost, value_stack_usd(clock, d, generators))


def servable_mw(standing: Standing) -> float:
    """Load up to what is served now that the lots of a period can carry, by Newton's method on what is missing.

    What is missing is convex in the load, so every step stays above the answer; the last one is left with what the
    accuracy of the solver may hide.
    """
    clock, site = standing.clock, standing.site
    for _ in range(_NEWTON_STEPS):
        d = standing.operate(site, _NEWTON_ACCURACY, shortfall=True)
        missing = float(d.unserved.sum()) * clock.dt_h
        each = float(d.node_usd_per_mwh @ clock.load_pu) * clock.dt_h
        if missing <= MISSING_FRAC * site.served_mw * float(clock.load_pu.sum()) * clock.dt_h or each <= 0.0:
            break
        site = replace(site, served_mw=max(0.0, site.served_mw - missing / each))
    return site.served_mw * (1.0 - _NEWTON_SPARE)


def _spared(s: Store) -> Store:
    """A store that plans to keep a little more than it must."""
    floor = s.floor_mwh + np.minimum(_SPARE_ENERGY * s.energy_mwh, 0.25 * (s.energy_mwh - s.floor_mwh))
    return Store(
        s.name, s.power_mw, s.energy_mwh, floor, s.throughput_mwh * (1 - _SPARE), s.efficiency_frac, s.keep_frac
    )


def follow(
    clock: Clock, site: Site, stores: list[Store], stored: FloatArray, guide: Dispatch, generators: list[Generator]
) -> Dispatch:
    """Follow a guide so that every step holds exactly: no store charges and discharges at once, none leaves its range.

    Every store makes for the energy ``stored`` that it should have at the end of each step, shape (stores, T).

    The gate and the renewables settle what is left, within the monthly peaks of the guide.
    """
    steps, count = clock.steps, len(stores)
    floor = np.array([np.where(clock.season_ends, s.energy_mwh, s.floor_mwh[clock.season]) for s in stores]).reshape(
        count, steps
    )
    power = np.array([s.power_mw[clock.season] for s in stores]).reshape(count, steps)
    numbers = np.array(
        [(s.energy_mwh, s.efficiency_frac, s.keep_frac, s.throughput_mwh * clock.years) for s in stores]
    ).reshape(count, 4)
    generated = np.clip(guide.generated, 0.0, np.array([g.power_mw for g in generators]).reshape(-1, 1))
    generated[generated < _ROUNDING * max(site.served_mw, 1.0)] = 0.0
    peaks = np.full(int(clock.month.max()) + 1, np.inf)
    if clock.demand_usd_per_mw_month > 0:
        peaks[:] = 0.0
        np.maximum.at(peaks, clock.month, guide.imported)
    gate = site.firm_import_mw + site.flexible_import_mw * clock.open_frac
    load = clock.load_pu * site.served_mw
    shed = np.clip(guide.curtailed, 0.0, clock.curtailable_frac * load)
    shed[shed < _ROUNDING * max(site.served_mw, 1.0)] = 0.0
    available = site.renewable_mw[:, None] * clock.renewable_cf
    # Where a year cannot do without, load is missing so that the stores are full in time.
    missing = np.where(guide.unserved > _MISSED * site.served_mw, guide.unserved, 0.0)
    c, d, soc = (np.zeros((count, steps)) for _ in range(3))
    flows = np.zeros((4, steps))
    _follow(
        load - generated.sum(axis=0) - shed, missing, available.sum(axis=0), gate, peaks[clock.month], site.export_mw,
        clock.import_usd_per_mwh, clock.export_usd_per_mwh, clock.curtailable_frac * load - shed, clock.dt_h,
        numbers, power, floor, np.ascontiguousarray(stored), c, d, soc, flows,
    )  # fmt: skip
    share = np.where(available.sum(axis=0) > 0, flows[2] / np.maximum(available.sum(axis=0), 1e-12), 0.0)
    unserved, more = flows[3], np.minimum(flows[3], np.maximum(0.0, clock.curtailable_frac * load - shed))
    return Dispatch(
        flows[0], flows[1], available * share, generated, shed + more, unserved - more, c, d, soc, steps=guide.steps
    )


@compiled
def _follow(  # noqa: PLR0912, PLR0915
    need: FloatArray, missing: FloatArray, free: FloatArray, gate: FloatArray, peak: FloatArray, export: float,
    price: FloatArray, earned: FloatArray, shed: FloatArray, dt: float, numbers: FloatArray, powers: FloatArray,
    floor: FloatArray, aim: FloatArray, c: FloatArray, d: FloatArray, soc: FloatArray, flows: FloatArray,
) -> None:  # fmt: skip
    """See ``follow``; flows: import, export, renewables used, missing."""
    count, steps = c.shape
    level, left = np.empty(count), np.empty(count)
    for j in range(count):
        level[j] = floor[j, steps - 1]
        left[j] = numbers[j, 3]
    for t in range(steps):
        net = need[t]
        for j in range(count):
            power, energy, efficiency, keep = powers[j, t], numbers[j, 0], numbers[j, 1], numbers[j, 2]
            kept = keep * level[j]
            change = (aim[j, t] - kept) / dt
            if abs(change) < 1e-7 * power:
                change = 0.0
            low, high = (floor[j, t] - kept) / dt, (energy - kept) / dt
            change = min(max(change, low), high)
            if change > 0.0:
                c[j, t] = min(change / efficiency, power)
            else:
                d[j, t] = min(-change, power, left[j] / dt)
            net += c[j, t] - d[j, t]
        most = min(gate[t], peak[t])
        # Too little: charge less, then discharge more, then pass the peak.
        short = net - most - free[t] - missing[t]
        for j in range(count):
            if short > 0.0 and c[j, t] > 0.0:
                low = max(0.0, (floor[j, t] - numbers[j, 2] * level[j]) / dt / numbers[j, 1])
                less = min(short, max(0.0, c[j, t] - low))
                c[j, t] -= less
                short -= less
                net -= less
        for j in range(count):
            if short > 0.0 and c[j, t] == 0.0:
                spare = (numbers[j, 2] * level[j] - floor[j, t]) / dt - d[j, t]
                more = min(short, max(0.0, spare), powers[j, t] - d[j, t], left[j] / dt - d[j, t])
                if more > 0.0:
                    d[j, t] += more
                    short -= more
                    net -= more
        # Too much: discharge less.
        over = -net - export
        for j in range(count):
            if over > 0.0 and d[j, t] > 0.0:
                low = max(0.0, (numbers[j, 2] * level[j] - numbers[j, 0]) / dt)
                less = min(over, max(0.0, d[j, t] - low))
                d[j, t] -= less
                over -= less
                net += less
        for j in range(count):
            level[j] = numbers[j, 2] * level[j] + dt * (numbers[j, 1] * c[j, t] - d[j, t])
            soc[j, t] = level[j]
            left[j] = max(0.0, left[j] - dt * d[j, t])
        if net < 0.0:
            flows[1, t] = min(-net, export)
            net = 0.0
        elif price[t] < 0.0:
            flows[0, t] = min(net, most)
            net -= flows[0, t]
        used = min(net, free[t])
        net -= used
        flows[2, t] = used
        more = min(net, gate[t] - flows[0, t])
        flows[0, t] += more
        net -= more
        flows[3, t] = net
        # What is left of the sun is sold where it earns something.
        if earned[t] > 0.0 and flows[0, t] == 0.0:
            extra = min(free[t] - used, export - flows[1, t])
            flows[2, t] += extra
            flows[1, t] += extra


def value_stack_usd(
    clock: Clock, d: Dispatch, generators: list[tuple[int, Generator]] | tuple[tuple[int, Generator], ...]
) -> dict[str, float]:
    """Where a year costs or earns more than buying the load's energy at the hourly price, in USD a year (cost > 0).

    The parts add up to the whole: what a source gives is valued at the price of the import that it saves.
    """
    price, per_year = clock.import_usd_per_mwh, clock.dt_h / clock.years
    peaks = np.zeros(int(clock.month.max()) + 1)
    np.maximum.at(peaks, clock.month, d.imported)
    own = sum(float(mw @ (g.usd_per_mwh - price)) for mw, (_, g) in zip(d.generated, generators, strict=True))
    return {
        "shifting": -float((d.discharge - d.charge).sum(axis=0) @ price) * per_year,
        "renewables": -float(d.renewable.sum(axis=0) @ price) * per_year,
        "generators": own * per_year,
        "curtailment": float(d.curtailed @ (clock.curtailed_usd_per_mwh - price)) * per_year,
        "export": float(d.exported @ (price - clock.export_usd_per_mwh)) * per_year,
        "demand_charge": clock.demand_usd_per_mw_month * float(peaks.sum()) / clock.years,
    }


def years_musd(campus: Campus, plans: list[YearPlan]) -> float:
    """Present value of all years in million USD."""
    return float(sum(campus.weight_musd[plan.period] * plan.total_usd for plan in plans))
