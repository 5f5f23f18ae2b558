"""The campus of a case as the operating years see it: the clock, the gate of each period, what a container is worth."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from planner.finance import counted_usd, with_tax
from planner.model.coefficients import Coefficients
from planner.operatingterms import Operations
from planner.operations.year import Clock, FloatArray, Generator, Site, Store
from planner.periods import step_value
from planner.present import discount, stream
from planner.problem import Problem
from planner.seasons import DAYS_BEFORE, month_of_hours, season_of_steps
from planner.units import HOURS_PER_YEAR, KW_PER_MW, USD_PER_MUSD

__all__ = ["DAYS_BEFORE", "Campus", "Fleet"]

#: Stores with less power or swing than this share of the served load are left out of a year's program.
_NEGLIGIBLE = 1e-6
#: Stores are alike within this much efficiency and this factor of duration.
_ALIKE_EFFICIENCY = 0.08
_ALIKE_DURATION = 2.0


def clock_of(problem: Problem, operations: Operations) -> Clock:
    """Hourly data of the case as one cyclic chronology of whole years."""
    dt = problem.dt_h
    price = _prices(problem, operations)
    hours = len(price)
    per_hour = round(1.0 / dt)

    def fine(series: FloatArray) -> FloatArray:
        """An hourly series over the whole chronology, in steps."""
        return np.repeat(np.resize(series, hours), per_hour)

    grid, carbon = operations.grid, operations.carbon
    dear = carbon.usd_per_t * carbon.grid_t_per_mwh
    year = round(HOURS_PER_YEAR)
    off = np.zeros(hours)
    for begin in range(0, hours, year):  # the dearest hours are those in which the grid is short
        part = price[begin : begin + year]
        off[begin + np.argsort(-part, kind="stable")[: round(grid.flexible_off_h)]] = 1.0
    pv_hourly = problem.pv_cf[::per_hour] * problem.case.pv.derate_frac
    profiles = [pv_hourly, *(problem.renewable_cf[name] for name in operations.renewables)]
    month = month_of_hours(hours)
    return Clock(
        dt_h=dt,
        load_pu=np.resize(problem.load_pu, hours * per_hour),
        import_usd_per_mwh=fine(price + grid.import_adder_usd_per_mwh + dear),
        export_usd_per_mwh=fine(price - grid.export_fee_usd_per_mwh),
        open_frac=1.0 - fine(off),
        season=season_of_steps(operations.seasons, hours, per_hour),
        month=np.repeat(month, per_hour),
        renewable_cf=np.array([fine(p) for p in profiles]),
        demand_usd_per_mw_month=grid.demand_usd_per_mw_month,
        curtailable_frac=operations.curtailable.share_frac,
        curtailed_usd_per_mwh=operations.curtailable.usd_per_mwh,
    )


def _prices(problem: Problem, operations: Operations) -> FloatArray:
    """Hourly prices of the chosen years, whole years only."""
    year = round(HOURS_PER_YEAR)
    price = problem.price_usd_per_mwh
    prices = problem.case.prices
    if operations.price_years is not None and prices.file is None:
        parts = [price[i * year : (i + 1) * year] for i, y in enumerate(prices.years) if y in operations.price_years]
        price = np.concatenate(parts) if parts else price
    return price[: max(1, len(price) // year) * year]


@dataclass(frozen=True)
class Fleet:
    """What stands in every period, possibly in fractions.

    Attributes
    ----------
    containers
        Of each pair, shape (pairs,).
    cycled
        How many of them are meant for daily use at each reserve setting, shape (pairs, J).
    running
        How many of those run in each period and season; the others rest and stay full, shape (pairs, P, S, J).
    served_mw
        Shape (P,).
    renewable_mw
        Megawatts added of each entry of ``operations.renewables``, shape (R,).
    """

    containers: FloatArray
    cycled: FloatArray
    running: FloatArray
    served_mw: FloatArray
    renewable_mw: FloatArray


@dataclass(frozen=True)
class Totals:
    """What works on average of each offer: MW and MWh that run at each setting, and that rest.

    Shape (O, P, S, J) of what runs, (O, P, S) of what rests, (O, P) of generators.
    """

    run_mw: FloatArray
    run_mwh: FloatArray
    rest_mw: FloatArray
    rest_mwh: FloatArray
    generator_mw: FloatArray


def kind_of(efficiency_frac: float, hours: float) -> tuple[int, int]:
    """Stores of one kind are alike: within some efficiency and a factor of duration."""
    return round(efficiency_frac / _ALIKE_EFFICIENCY), round(math.log(hours) / math.log(_ALIKE_DURATION))


class Campus:
    """Numbers of the operating years of one problem.

    Parameters
    ----------
    c
        Coefficients of the problem; its section ``operations`` must be switched on.
    """

    def __init__(self, c: Coefficients) -> None:
        operations = c.problem.case.operating
        assert operations is not None
        self.c, self.operations = c, operations
        self.clock = clock_of(c.problem, operations)

    @cached_property
    def weight_musd(self) -> FloatArray:
        """Present value in million USD of one dollar a year over each period, shape (P,)."""
        problem = self.c.problem
        return np.array(
            [
                counted_usd(problem, with_tax(problem, {"energy": stream(problem, p.start, p.end)})) / USD_PER_MUSD
                for p in problem.periods
            ]
        )

    @cached_property
    def baseline_usd_per_mw(self) -> float:
        """What the load itself pays per served MW and year at the hourly price, whatever is planned."""
        clock = self.clock
        return float((clock.load_pu * clock.import_usd_per_mwh).sum()) * clock.dt_h / clock.years

    def gate(self, p: int) -> tuple[float, float, float]:
        """Firm import, flexible import and export of a period, in MW."""
        case, grid = self.c.problem.case, self.operations.grid
        start = self.c.problem.periods[p].start
        firm = case.site.energisation.grid if grid.import_mw is None else grid.import_mw
        return step_value(firm, start), step_value(grid.flexible_mw, start), step_value(grid.export_mw, start)

    def grid_only_mw(self, p: int) -> float:
        """Load that the gate alone could serve in every hour of a period."""
        firm, flexible, _ = self.gate(p)
        gate = firm + flexible * self.clock.open_frac
        loaded = self.clock.load_pu > 0
        return float((gate[loaded] / self.clock.load_pu[loaded]).min())

    def given_mw(self, p: int) -> FloatArray:
        """Renewables that stand in a period whatever is planned, shape (1 + R,)."""
        start = self.c.problem.periods[p].start
        own = [r.mw if r.since <= start else 0.0 for r in self.operations.renewables.values()]
        return np.array([self.c.problem.case.pv.mw, *own])

    def addable(self, p: int) -> NDArray[np.bool_]:
        """Whether added renewables stand in a period, shape (R,)."""
        start = self.c.problem.periods[p].start
        return np.array([r.since <= start for r in self.operations.renewables.values()], dtype=bool)

    @cached_property
    def renewable_usd_per_mw(self) -> FloatArray:
        """Present value of one added MW of each renewable, before tax, shape (R,)."""
        problem = self.c.problem
        start = problem.case.timeline.decision
        return np.array(
            [
                KW_PER_MW * (
                    r.capex_usd_per_kw * discount(problem, r.since)
                    + r.om_usd_per_kw_yr * stream(problem, max(r.since, start), problem.horizon)
                )
                for r in self.operations.renewables.values()
            ]
        )  # fmt: skip

    @cached_property
    def stores(self) -> list[int]:
        """Offer indices that store energy."""
        return [o for o in self.c.offers_used if self.c.problem.offers[o].is_storage]

    @cached_property
    def generators(self) -> list[int]:
        """Offer indices that may run outside outages."""
        offers = self.c.problem.offers
        if not self.operations.generators:
            return []
        return [o for o in self.c.offers_used if offers[o].kind == "generator" and offers[o].permitted_h > 0]

    def keep_frac(self, o: int) -> float:
        """What a step leaves of a stored MWh."""
        return float((1.0 - self.c.problem.offers[o].self_discharge_frac_per_day) ** (self.clock.dt_h / 24.0))

    def running_usd_per_mwh(self, o: int) -> float:
        """Fuel and carbon of a generator."""
        carbon = self.operations.carbon
        return self.c.problem.offers[o].fuel_usd_per_mwh + carbon.usd_per_t * carbon.generator_t_per_mwh

    @cached_property
    def up_frac(self) -> FloatArray:
        """Mean share of containers that work, shape (O,)."""
        return np.array([o.availability_frac for o in self.c.problem.offers])

    def site(self, p: int, fleet: Fleet) -> Site:
        """Gate, load and renewables of a period."""
        firm, flexible, export = self.gate(p)
        added = np.concatenate([[0.0], fleet.renewable_mw * self.addable(p)])
        return Site(float(fleet.served_mw[p]), firm, flexible, export, self.given_mw(p) + added)

    def totals(self, fleet: Fleet) -> Totals:
        """Sums over the containers that work on average."""
        c = self.c
        offers, o = c.problem.offers, c.pair_offer
        runs = np.zeros(len(offers), dtype=bool)
        runs[self.generators] = True
        stored = np.array([offer.is_storage for offer in offers])
        seasons = fleet.running.shape[2]
        power, up = (self.up_frac * c.power_mw)[o], self.up_frac[o]

        def summed(values: FloatArray) -> FloatArray:
            total = np.zeros((len(offers), *values.shape[1:]))
            np.add.at(total, o, values)
            return total

        standing = fleet.containers[:, None] * c.alive
        energy = fleet.containers[:, None] * c.faded_mwh
        energy += np.einsum("ij,ipj->ip", fleet.cycled, c.duty_mwh - c.faded_mwh[:, :, None])
        run_mw = summed(power[:, None, None, None] * fleet.running)
        run_mwh = summed(up[:, None, None, None] * fleet.running * c.duty_mwh[:, :, None, :])
        mw, mwh = summed(power[:, None] * standing), summed(up[:, None] * energy)
        only = stored[:, None, None]
        return Totals(
            run_mw, run_mwh,
            only * (np.repeat(mw[:, :, None], seasons, axis=2) - run_mw.sum(axis=3)),
            only * (np.repeat(mwh[:, :, None], seasons, axis=2) - run_mwh.sum(axis=3)),
            mw * runs[:, None],
        )  # fmt: skip

    @cached_property
    def season_frac(self) -> FloatArray:
        """Share of the year of each season, shape (S,)."""
        return np.bincount(self.clock.season, minlength=self.clock.seasons) / self.clock.steps

    def kind(self, o: int) -> tuple[int, int]:
        """Kind of store of an offer."""
        offer = self.c.problem.offers[o]
        return kind_of(offer.round_trip_eff_frac, offer.energy_usable_ac_mwh / offer.power_mw)

    def running_stores(self, p: int, fleet: Fleet) -> dict[tuple[int, int, int], Store]:
        """Stores worth operating, by kind and setting: those alike are one, as they run alike."""
        least = _NEGLIGIBLE * max(1.0, float(fleet.served_mw[p]))
        totals = self.totals(fleet)
        found: dict[tuple[int, int, int], list[int]] = {}
        for o in self.stores:
            for j in range(len(self.c.swing_frac)):
                if totals.run_mwh[o, p, :, j].max() * self.c.swing_frac[j] > least:
                    found.setdefault((*self.kind(o), j), []).append(o)
        made = {}
        for key in sorted(found):
            at, swing = found[key], self.c.swing_frac[key[-1]]
            mw, mwh = totals.run_mw[at, p, :, key[-1]], totals.run_mwh[at, p, :, key[-1]]
            weight = mwh.sum(axis=1) / mwh.sum()
            efficiency = float(weight @ [self.c.problem.offers[o].round_trip_eff_frac for o in at])
            keep = float(weight @ [self.keep_frac(o) for o in at])
            made[key] = self.store("alike", mw.sum(axis=0), mwh.sum(axis=0), swing, round(efficiency, 3), keep)
        return made

    def store(
        self, name: str, power_mw: FloatArray, energy_mwh: FloatArray, swing_frac: float, efficiency: float, keep: float
    ) -> Store:
        """A store of containers that run: megawatts and megawatt hours of each season, shape (S,)."""
        most = float(energy_mwh.max())
        budget = self.operations.cycles_per_yr * swing_frac * float(self.season_frac @ energy_mwh)
        return Store(name, power_mw, most, most - swing_frac * energy_mwh, budget, efficiency, keep)

    def running_generators(self, p: int, fleet: Fleet) -> list[tuple[int, Generator]]:
        """Generators that stand in a period."""
        found = []
        for o in self.generators:
            offer = self.c.problem.offers[o]
            mine = (self.c.pair_offer == o) & self.c.alive[:, p]
            power = float(self.up_frac[o] * offer.power_mw * fleet.containers[mine].sum())
            if power > _NEGLIGIBLE * max(1.0, float(fleet.served_mw[p])):
                hours = min(offer.permitted_h, HOURS_PER_YEAR)
                found.append((o, Generator(offer.offer, power, self.running_usd_per_mwh(o), hours)))
        return found
