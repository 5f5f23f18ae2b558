"""What a year must cost at least: bounds proved by energy values alone, learned once and used again.

Any values of energy on the campus (``Values.node``, one per step) prove that a year costs at least

    sum_t dt node_t load_t  -  sum over everything on the site of the most it can earn against these values

and what a store, a generator, the gate or a panel can earn is linear in its size. The bound is therefore linear in
containers, held-back energy, served load and grid capacity, it holds for every period, every supplier, every tariff
and every front point of cases that share the hourly data, and no accuracy of a solver is needed for it to be true.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields

import numpy as np

from planner.operations.campus import Campus, Fleet, kind_of
from planner.operations.together import together
from planner.operations.worth import Worth, best_worth, chain, resting_worth, worth
from planner.operations.year import Clock, Dispatch, FloatArray, Site, Store, operate
from planner.units import HOURS_PER_YEAR, USD_PER_MUSD

#: What a store can earn depends on: MWh that swing per MW, round trip, what a step leaves of a stored MWh, cycles a
#: year, and the kind and setting by which a year knows how such stores were used.
Make = tuple[float, float, float, float, tuple[int, int, int]]
#: Stores by kind and setting, as a year knows them.
Stores = Mapping[tuple[int, int, int], Store]
#: Period, what was done in it, and stores in the order of their wear.
Operated = tuple[int, Dispatch, Stores]
#: Unserved energy over the load below which the accuracy of a learned year says nothing.
_SHORT_FRAC = 2e-6
#: State of health at which stores are valued that a year did not run.
_AGED = 0.92
#: Setting of containers that rest.
_RESTS = -1
_POOLS: dict[bytes, Pool] = {}
_MOST_POOLS = 16
#: What a missing MWh counts in cuts that say that no schedule exists: keeps their rows well scaled.
SHORTFALL_USD_PER_MWH = 1000.0


@dataclass(frozen=True)
class Values:
    """Energy values of one operated year, in USD per MWh.

    Attributes
    ----------
    node, peak
        Value of energy on the campus, and what the monthly peak adds to an import, shape (T,).
    price_counts
        False where only missing energy is counted: the bound then says that no schedule exists.
    uses
        By kind and setting of the stores that were operated: MWh that swing per MW, and the value of wear.
    """

    node: FloatArray
    peak: FloatArray
    price_counts: bool
    uses: dict[tuple[int, int, int], tuple[float, float]] = field(default_factory=dict)

    def wear_near(self, kind: tuple[int, int, int]) -> float | None:
        """Value of wear of the stores most alike among those that were operated; None if none was."""

        def unlike(other: tuple[int, int, int]) -> tuple[int, int]:
            return abs(other[0] - kind[0]) + abs(other[1] - kind[1]), abs(other[2] - kind[2])

        return self.uses[min(self.uses, key=unlike)][1] if self.uses else None


def values_of(clock: Clock, d: Dispatch, stores: Stores, price_counts: bool) -> Values:
    """Energy values of a dispatch, moved inside what any of them must keep."""
    most = clock.unserved_usd_per_mwh if price_counts else 1.0
    node = np.clip(d.node_usd_per_mwh, -most, most) * (1.0 if price_counts else SHORTFALL_USD_PER_MWH)
    peak = np.maximum(d.peak_usd_per_mwh, 0.0)
    charged = np.bincount(clock.month, peak) * clock.dt_h
    allowed = clock.demand_usd_per_mw_month if price_counts else 0.0
    scale = np.where(charged > allowed, allowed / np.maximum(charged, 1e-300), 1.0)
    uses = {
        key: (float((s.energy_mwh - s.floor_mwh).max()) / float(s.power_mw.max()), float(wear))
        for (key, s), wear in zip(stores.items(), d.wear_usd_per_mwh, strict=True)
    }
    return Values(node, peak * scale[clock.month], price_counts, uses)


@dataclass
class Pool:
    """Every year learned so far for one clock; hand it to whoever plans with the same hourly data."""

    clock: Clock
    values: list[Values] = field(default_factory=list)
    #: Gates, per unit of the load behind them, of the sites without a plan that were learned from.
    primed: set[tuple[float, ...]] = field(default_factory=set)
    _worths: dict[tuple[int, Make], Worth] = field(default_factory=dict)

    def add(self, values: Values) -> int:
        """Keep a year; its number."""
        self.values.append(values)
        return len(self.values) - 1

    def value(self, years: range, makes: Iterable[Make]) -> None:
        """Value stores of these makes against the energy values of these years."""
        wanted = [key for key in dict.fromkeys((k, m) for m in makes for k in years) if key not in self._worths]

        def valued(key: tuple[int, Make]) -> Worth:
            k, (hours, efficiency, keep, cycles, kind) = key
            clock, node = self.clock, self.values[k].node
            if kind[-1] == _RESTS:
                return resting_worth(clock, node, hours, efficiency, keep)
            if kind not in self.values[k].uses:
                return best_worth(clock, node, hours, efficiency, keep, cycles, self.values[k].wear_near(kind))
            hours, wear = self.values[k].uses[kind]
            return worth(clock, node, chain(clock, node, wear, hours, efficiency, keep), wear, efficiency, keep)

        self._worths.update(zip(wanted, together(valued, wanted), strict=True))

    def worth(self, k: int, make: Make) -> Worth:
        """Value of a store of one make against the energy values of year ``k``, once ``value`` was called for both."""
        return self._worths[k, make]


def pool_of(clock: Clock) -> Pool:
    """The pool of this process for a clock: neighbouring cases share it."""
    digest = hashlib.sha256()
    for name in (f.name for f in fields(clock)):
        value = getattr(clock, name)
        digest.update(value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode())
        digest.update(b";")
    key = digest.digest()
    if key not in _POOLS:
        if len(_POOLS) >= _MOST_POOLS:
            _POOLS.clear()
        _POOLS[key] = Pool(clock)
    return _POOLS[key]


@dataclass(frozen=True)
class Cut:
    """One learned year for one campus, in million USD a year per unit.

    The year costs at least ``served * served_mw - gate @ (firm, flexible, export) - renewable @ MW
    - run_mw @ MW that run - run_mwh @ MWh that run - rest_mw @ MW at rest - rest_mwh @ MWh at rest
    - generator @ MW of generators``: of what runs with shape (O, S, J), at rest (O, S).
    """

    served: float
    gate: FloatArray
    renewable: FloatArray
    run_mw: FloatArray
    run_mwh: FloatArray
    rest_mw: FloatArray
    rest_mwh: FloatArray
    generator: FloatArray
    price_counts: bool

    def row(self) -> FloatArray:
        """All coefficients in the order of the attributes, as they stand in the bound."""
        less = (self.gate, self.renewable, self.generator, self.run_mw, self.run_mwh, self.rest_mw, self.rest_mwh)
        return np.concatenate([[self.served], *(-part.ravel() for part in less)])


def make_of(campus: Campus, o: int, j: int) -> Make:
    """Make of an offer's containers that run at a setting, or that rest."""
    offer = campus.c.problem.offers[o]
    share = 1.0 if j == _RESTS else float(campus.c.swing_frac[j])
    hours = round(share * _AGED * offer.energy_usable_ac_mwh / offer.power_mw, 2)
    cycles = campus.operations.cycles_per_yr
    return hours, offer.round_trip_eff_frac, campus.keep_frac(o), cycles, (*campus.kind(o), j)


def cut_of(campus: Campus, pool: Pool, k: int) -> Cut:
    """Coefficients of learned year ``k`` for every offer of a campus."""
    clock, values = campus.clock, pool.values[k]
    node, on = values.node, float(values.price_counts)
    per_year = clock.dt_h / clock.years / USD_PER_MUSD
    load = clock.load_pu
    shed = clock.curtailable_frac * load * np.maximum(0.0, node - on * clock.curtailed_usd_per_mwh)
    bought = np.maximum(0.0, node - on * clock.import_usd_per_mwh - values.peak)
    sold = np.maximum(0.0, on * clock.export_usd_per_mwh - node)
    offers = campus.c.problem.offers
    swing, share = campus.c.swing_frac, campus.season_frac
    generator = np.zeros(len(offers))
    rest_mw, rest_mwh = (np.zeros((len(offers), clock.seasons)) for _ in range(2))
    run_mw, run_mwh = (np.zeros((len(offers), clock.seasons, len(swing))) for _ in range(2))
    for o in campus.stores:
        rest = pool.worth(k, make_of(campus, o, _RESTS))
        rest_mw[o], rest_mwh[o] = rest.power, rest.energy
        for j in range(len(swing)):
            w = pool.worth(k, make_of(campus, o, j))
            run_mw[o, :, j] = w.power
            run_mwh[o, :, j] = w.energy + swing[j] * (w.swing + campus.operations.cycles_per_yr * share * w.wear)
    for o in campus.generators:
        gain = np.maximum(0.0, node - on * campus.running_usd_per_mwh(o))
        steps = offers[o].permitted_h * clock.years / clock.dt_h
        generator[o] = _largest(gain, steps) * clock.dt_h / clock.years
    return Cut(
        served=float((node * load - shed).sum()) * per_year - on * campus.baseline_usd_per_mw / USD_PER_MUSD,
        gate=np.array([bought.sum(), (bought * clock.open_frac).sum(), sold.sum()]) * per_year,
        renewable=np.maximum(node, 0.0) @ clock.renewable_cf.T * per_year,
        run_mw=run_mw / USD_PER_MUSD, run_mwh=run_mwh / USD_PER_MUSD,
        rest_mw=rest_mw / USD_PER_MUSD, rest_mwh=rest_mwh / USD_PER_MUSD,
        generator=generator / USD_PER_MUSD, price_counts=values.price_counts,
    )  # fmt: skip


def _largest(gain: FloatArray, steps: float) -> float:
    """Sum of the largest entries, the last one in part."""
    ordered = -np.sort(-gain)
    whole = int(min(steps, len(ordered)))
    rest = (steps - whole) * ordered[whole] if whole < len(ordered) else 0.0
    return float(ordered[:whole].sum() + rest)


class Learner:
    """The cuts of one campus, and what brings new ones."""

    def __init__(self, campus: Campus) -> None:
        self.campus = campus
        self.pool = pool_of(campus.clock)
        self._cuts: list[Cut] = []
        self._rows: FloatArray = np.zeros((0, 0))
        self.years_operated = 0
        if not self.pool.values:
            clock = campus.clock
            flat = np.zeros(clock.steps)
            self.pool.add(Values(clock.import_usd_per_mwh, flat, True))

    def prime(self, tolerance: float = 1e-3) -> None:
        """Learn from stores of a few sizes behind the gate of each period, before any plan is known.

        Behind a gate that is narrower than the load it is learned how much load the stores let in: as years of
        no use to a plan the whole load would teach nothing.
        """
        campus, clock = self.campus, self.campus.clock
        known = self.pool.primed
        wanted: list[tuple[Site, Store, bool]] = []
        peak_over_mean = 1.0 / max(float(clock.load_pu.mean()), 1e-9)
        for p, period in enumerate(campus.c.problem.periods):
            narrow = sum(campus.gate(p)[:2]) < period.target_mw
            target = min(period.target_mw, sum(campus.gate(p)[:2]) * (1.0 + peak_over_mean) / 2)
            gate = tuple(round(mw / max(target, 1e-9), 2) for mw in campus.gate(p))
            if target <= 0 or gate in known or len(self.pool.values) + len(wanted) > _ENOUGH:
                continue
            known.add(gate)
            site = Site(target, *campus.gate(p), campus.given_mw(p))
            for share in _SMALL_PRIMERS if narrow else _PRIMERS:
                power = share * target
                through = campus.operations.cycles_per_yr * 4.0 * power
                each = np.full(clock.seasons, power)
                store = Store("primer", each, 4.0 * power, 0.0 * each, through, 0.86, 1.0)
                wanted += [(site, store, shortfall) for shortfall in ((False, True) if narrow else (False,))]

        def operated(what: tuple[Site, Store, bool]) -> Values:
            site, store, shortfall = what
            d = operate(clock, site, [store], [], tolerance=tolerance, shortfall=shortfall)
            return values_of(clock, d, {(*kind_of(0.86, 4.0), 0): store}, not shortfall)

        for values in together(operated, wanted):
            self.pool.add(values)
        self.years_operated += len(wanted)

    def cuts(self) -> list[Cut]:
        """Every cut known so far."""
        new = range(len(self._cuts), len(self.pool.values))
        if new:
            ways = (_RESTS, *range(len(self.campus.c.swing_frac)))
            self.pool.value(new, [make_of(self.campus, o, j) for o in self.campus.stores for j in ways])
        for k in new:
            self._cuts.append(cut_of(self.campus, self.pool, k))
        return self._cuts

    def bounds_musd(self, fleet: Fleet) -> FloatArray:
        """Least yearly cost that each cut proves for each period, shape (cuts, P)."""
        campus, cuts = self.campus, self.cuts()
        new = [cut.row() for cut in cuts[len(self._rows) :]]
        if new:
            self._rows = np.vstack([self._rows.reshape(-1, len(new[0])), new])
        total = campus.totals(fleet)
        periods = range(len(fleet.served_mw))
        parts = [
            fleet.served_mw, [campus.gate(p) for p in periods],
            [campus.site(p, fleet).renewable_mw for p in periods], total.generator_mw.T,
            *(np.swapaxes(of, 0, 1) for of in (total.run_mw, total.run_mwh, total.rest_mw, total.rest_mwh)),
        ]  # fmt: skip
        flat = np.hstack([np.asarray(part).reshape(len(periods), -1) for part in parts])
        return np.asarray(self._rows @ flat.T)

    def learn(self, periods: Sequence[int], fleet: Fleet, tolerance: float) -> list[int]:
        """Operate the years of some periods and keep their values; the numbers of the cuts that price them.

        Where load stays unserved, it is learned too that no schedule exists.
        """
        years = together(lambda p: (p, *self._operated(p, fleet, tolerance)), periods)
        return self.learn_from(years, fleet, tolerance)

    def _operated(self, p: int, fleet: Fleet, tolerance: float, shortfall: bool = False) -> tuple[Dispatch, Stores]:
        campus, stores = self.campus, self.campus.running_stores(p, fleet)
        generators = [g for _, g in campus.running_generators(p, fleet)]
        d = operate(
            campus.clock, campus.site(p, fleet), list(stores.values()), generators,
            tolerance=tolerance, shortfall=shortfall,
        )  # fmt: skip
        return d, stores

    def learn_missing(self, periods: Sequence[int], fleet: Fleet, tolerance: float, short_frac: float) -> None:
        """Learn what load some periods miss, if any, and not what they cost."""
        years = together(lambda p: self._operated(p, fleet, tolerance, shortfall=True), periods)
        for p, (d, stores) in zip(periods, years, strict=True):
            if self._misses(p, d, fleet, short_frac):
                self.pool.add(values_of(self.campus.clock, d, stores, False))
        self.years_operated += len(periods)

    def _misses(self, p: int, d: Dispatch, fleet: Fleet, short_frac: float) -> bool:
        missing = float(d.unserved.sum()) * self.campus.clock.dt_h / self.campus.clock.years
        return missing > short_frac * float(fleet.served_mw[p]) * HOURS_PER_YEAR

    def learn_from(
        self, years: Sequence[Operated], fleet: Fleet, tolerance: float, short_frac: float = _SHORT_FRAC
    ) -> list[int]:
        """``learn`` from years that are operated already: one store of each kind and setting tells what all did.

        ``short_frac`` is the unserved energy over that of the load from which on it is learned what is missing.
        """

        def learned(year: Operated) -> list[Values]:
            p, d, stores = year
            clock = self.campus.clock
            found = [values_of(clock, d, stores, True)]
            if self._misses(p, d, fleet, short_frac):
                found.insert(0, values_of(clock, *self._operated(p, fleet, tolerance, shortfall=True), False))
            return found

        priced = []
        for found in together(learned, years):
            numbers = [self.pool.add(values) for values in found]
            priced.append(numbers[-1])
            self.years_operated += len(numbers)
        return priced


#: Sizes of the first stores to learn from, over the target load; years that are enough to start from.
_PRIMERS = (0.25, 0.6, 1.2)
_SMALL_PRIMERS = (0.03, 0.1, 0.3)
_ENOUGH = 24
