"""What a year must cost at least: bounds proved by energy values alone, learned once and used again.

Any values of energy on the campus (``Values.node``, one per step) prove that a year costs at least

    sum_t dt node_t load_t  -  sum over everything on the site of the most it can earn against these values

and what a store, a generator, the gate or a panel can earn is linear in its size. The bound is therefore linear in
containers, held-back energy, served load and grid capacity, it holds for every period, every supplier, every tariff
and every front point of cases that share the hourly data, and no accuracy of a solver is needed for it to be true.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from planner.operations.campus import Campus, Fleet, kind_of
from planner.operations.together import together
from planner.operations.worth import WAYS, Worth, worths
from planner.operations.year import Clock, Dispatch, FloatArray, Site, Store, operate
from planner.units import HOURS_PER_YEAR, USD_PER_MUSD

#: What a store can earn depends on: MWh per MW, round trip, what a step leaves of a stored MWh, cycles a year.
Make = tuple[float, float, float, float]
#: Stores whose shares of energy held back, or of the wear of daily use, differ by less than this are nearly one.
ALIKE_SHARE = 0.2
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
        By kind of store that was operated: shares of its energy that it could swing, and the value of wear for each.
    """

    node: FloatArray
    peak: FloatArray
    price_counts: bool
    uses: dict[tuple[int, int], list[tuple[float, float]]] = field(default_factory=dict)


def values_of(clock: Clock, d: Dispatch, stores: list[Store], price_counts: bool) -> Values:
    """Energy values of a dispatch, moved inside what any of them must keep."""
    most = clock.unserved_usd_per_mwh if price_counts else 1.0
    node = np.clip(d.node_usd_per_mwh, -most, most) * (1.0 if price_counts else SHORTFALL_USD_PER_MWH)
    peak = np.maximum(d.peak_usd_per_mwh, 0.0)
    charged = np.bincount(clock.month, peak) * clock.dt_h
    allowed = clock.demand_usd_per_mw_month if price_counts else 0.0
    scale = np.where(charged > allowed, allowed / np.maximum(charged, 1e-300), 1.0)
    share = np.bincount(clock.floor_season, minlength=clock.seasons) / clock.steps
    uses: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for s, wear in zip(stores, d.wear_usd_per_mwh, strict=True):
        swing = max(0.01, 1.0 - float(s.floor_mwh @ share) / s.energy_mwh)
        uses.setdefault(kind_of(s.efficiency_frac, s.energy_mwh / s.power_mw), []).append((swing, float(wear)))
    return Values(node, peak * scale[clock.month], price_counts, uses)


@dataclass
class Pool:
    """Every year learned so far for one clock; hand it to whoever plans with the same hourly data."""

    clock: Clock
    values: list[Values] = field(default_factory=list)
    #: Gates, per unit of the load behind them, of the sites without a plan that were learned from.
    primed: set[tuple[float, ...]] = field(default_factory=set)
    _worths: dict[tuple[int, Make], tuple[Worth, ...]] = field(default_factory=dict)

    def add(self, values: Values) -> int:
        """Keep a year; its number."""
        self.values.append(values)
        return len(self.values) - 1

    def value(self, years: range, makes: Iterable[Make]) -> None:
        """Value stores of these makes against the energy values of these years."""
        wanted = [key for key in dict.fromkeys((k, m) for m in makes for k in years) if key not in self._worths]

        def valued(key: tuple[int, Make]) -> tuple[Worth, ...]:
            k, (hours, efficiency, keep, cycles) = key
            uses = self.values[k].uses.get(kind_of(efficiency, hours), [])
            return worths(self.clock, self.values[k].node, hours, efficiency, keep, cycles, uses)

        self._worths.update(zip(wanted, together(valued, wanted), strict=True))

    def worths(self, k: int, make: Make) -> tuple[Worth, ...]:
        """Values of a store of one make against the energy values of year ``k``, once ``value`` was called for both."""
        return self._worths[k, make]


def pool_of(clock: Clock) -> Pool:
    """The pool of this process for a clock: neighbouring cases share it."""
    digest = hashlib.sha256()
    for value in vars(clock).values():
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
    - power @ MW of stores - energy @ MWh + held @ MWh held - wear @ budget - generator @ MW of generators``, for each
    offer with any of its V ways of use: power, energy and wear have shape (O, V), held (O, V, S).
    """

    served: float
    gate: FloatArray
    renewable: FloatArray
    power: FloatArray
    energy: FloatArray
    held: FloatArray
    wear: FloatArray
    generator: FloatArray
    price_counts: bool


def make_of(campus: Campus, o: int) -> Make:
    """Make of an offer that stores energy."""
    offer = campus.c.problem.offers[o]
    hours = round(offer.energy_usable_ac_mwh / offer.power_mw, 2)
    return hours, offer.round_trip_eff_frac, campus.keep_frac(o), campus.operations.cycles_per_yr


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
    zero = np.zeros((len(offers), WAYS))
    power, energy, wear, generator = zero.copy(), zero.copy(), zero.copy(), np.zeros(len(offers))
    held = np.zeros((len(offers), WAYS, clock.seasons))
    for o in campus.stores:
        for v, w in enumerate(pool.worths(k, make_of(campus, o))):
            power[o, v], energy[o, v], wear[o, v], held[o, v] = w.power, w.energy, w.wear, w.held
    for o in campus.generators:
        gain = np.maximum(0.0, node - on * campus.running_usd_per_mwh(o))
        steps = offers[o].permitted_h * clock.years / clock.dt_h
        generator[o] = _largest(gain, steps) * clock.dt_h / clock.years
    return Cut(
        served=float((node * load - shed).sum()) * per_year - on * campus.baseline_usd_per_mw / USD_PER_MUSD,
        gate=np.array([bought.sum(), (bought * clock.open_frac).sum(), sold.sum()]) * per_year,
        renewable=np.maximum(node, 0.0) @ clock.renewable_cf.T * per_year,
        power=power / USD_PER_MUSD, energy=energy / USD_PER_MUSD, held=held / USD_PER_MUSD, wear=wear / USD_PER_MUSD,
        generator=generator / USD_PER_MUSD, price_counts=values.price_counts,
    )  # fmt: skip


def _largest(gain: FloatArray, steps: float) -> float:
    """Sum of the largest entries, the last one in part."""
    ordered = -np.sort(-gain)
    whole = int(min(steps, len(ordered)))
    rest = (steps - whole) * ordered[whole] if whole < len(ordered) else 0.0
    return float(ordered[:whole].sum() + rest)


def merged(stores: list[Store], cycles_per_yr: float, alike_share: float) -> list[Store]:
    """Stores alike in efficiency, duration, reserve and wear as one: quick, and as good to learn energy values from.

    Stores that differ in reserve or wear would lend each other what they cannot use themselves.
    """
    groups: dict[tuple[int, ...], list[Store]] = {}
    for s in stores:
        held, worn = float(s.floor_mwh.max()) / s.energy_mwh, s.throughput_mwh / s.energy_mwh / cycles_per_yr
        kind = kind_of(s.efficiency_frac, s.energy_mwh / s.power_mw)
        groups.setdefault((*kind, round(held / alike_share), round(worn / alike_share)), []).append(s)
    made = []
    for at in sorted(groups):
        some = groups[at]
        power, energy = sum(s.power_mw for s in some), sum(s.energy_mwh for s in some)
        floor = np.sum([s.floor_mwh for s in some], axis=0)
        through = sum(s.throughput_mwh for s in some)
        efficiency = sum(s.efficiency_frac * s.energy_mwh for s in some) / energy
        keep = sum(s.keep_frac * s.energy_mwh for s in some) / energy
        made.append(Store("alike", power, energy, floor, through, round(efficiency, 3), round(keep, 6)))
    return made


class Learner:
    """The cuts of one campus, and what brings new ones."""

    def __init__(self, campus: Campus) -> None:
        self.campus = campus
        self.pool = pool_of(campus.clock)
        self._cuts: list[Cut] = []
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
                floor = np.full(clock.seasons, 0.0)
                through = campus.operations.cycles_per_yr * 4.0 * power
                store = Store("primer", power, 4.0 * power, floor, through, 0.86, 1.0)
                wanted += [(site, store, shortfall) for shortfall in ((False, True) if narrow else (False,))]

        def operated(what: tuple[Site, Store, bool]) -> Values:
            site, store, shortfall = what
            d = operate(clock, site, [store], [], tolerance=tolerance, shortfall=shortfall)
            return values_of(clock, d, [store], not shortfall)

        for values in together(operated, wanted):
            self.pool.add(values)
        self.years_operated += len(wanted)

    def cuts(self) -> list[Cut]:
        """Every cut known so far."""
        new = range(len(self._cuts), len(self.pool.values))
        if new:
            self.pool.value(new, [make_of(self.campus, o) for o in self.campus.stores])
        for k in new:
            self._cuts.append(cut_of(self.campus, self.pool, k))
        return self._cuts

    def bounds_musd(self, fleet: Fleet, by_kind: bool = False) -> tuple[FloatArray, NDArray[np.int64]]:
        """Least yearly cost that each cut proves for each period, and the way of use of each offer that says most.

        Shapes (cuts, P) and (cuts, O, P). ``by_kind`` lets stores alike share one way of use: that says less, in far
        fewer combinations.
        """
        campus = self.campus
        total = campus.totals(fleet)
        periods = range(len(fleet.served_mw))
        gates = np.array([campus.gate(p) for p in periods])
        mw = np.array([campus.site(p, fleet).renewable_mw for p in periods])
        bounds, ways = [], []
        for cut in self.cuts():
            earned = cut.power[:, :, None] * total.power_mw[:, None, :]
            earned += cut.energy[:, :, None] * total.energy_mwh[:, None, :]
            earned += cut.wear[:, :, None] * total.budget_mwh[:, None, :]
            earned -= np.einsum("ovs,ops->ovp", cut.held, total.floor_mwh)
            if by_kind:
                earned = np.einsum("co,ovp->cvp", campus.alike, earned)
            way = earned.argmin(axis=1)
            ways.append(np.einsum("co,cp->op", campus.alike.astype(np.int64), way) if by_kind else way)
            bounds.append(
                cut.served * fleet.served_mw - gates @ cut.gate - mw @ cut.renewable
                - cut.generator @ total.generator_mw - earned.min(axis=1).sum(axis=0)
            )  # fmt: skip
        return np.array(bounds), np.array(ways)

    def learn(
        self, periods: Sequence[int], fleet: Fleet, tolerance: float, alike_share: float = ALIKE_SHARE
    ) -> list[int]:
        """Operate the years of some periods and keep their values; the numbers of the cuts that price them.

        Stores whose shares of energy held back, or of the wear of daily use, differ by less than ``alike_share`` are
        merged. Where load stays unserved, it is learned too that no schedule exists.
        """
        priced = []
        for years in together(lambda p: self._learned(p, fleet, tolerance, alike_share), periods):
            numbers = [self.pool.add(values) for values in years]
            priced.append(numbers[-1])
            self.years_operated += len(numbers)
        return priced

    def _learned(self, p: int, fleet: Fleet, tolerance: float, alike_share: float) -> list[Values]:
        """Energy values of one operated year, after those that tell what is missing, if anything is."""
        campus = self.campus
        stores, generators = campus.running_stores(p, fleet), campus.running_generators(p, fleet)
        site = campus.site(p, fleet)
        alike = merged([s for _, s in stores], campus.operations.cycles_per_yr, alike_share)

        def run(shortfall: bool) -> Dispatch:
            return operate(
                campus.clock, site, alike, [g for _, g in generators],
                tolerance=tolerance, shortfall=shortfall,
            )  # fmt: skip

        d = run(False)
        missing = float(d.unserved.sum()) * campus.clock.dt_h / campus.clock.years
        found = [values_of(campus.clock, d, alike, True)]
        if missing > _SHORT_FRAC * site.served_mw * HOURS_PER_YEAR:
            found.insert(0, values_of(campus.clock, run(True), alike, False))
        return found


#: Sizes of the first stores to learn from, over the target load; years that are enough to start from.
_PRIMERS = (0.25, 0.6, 1.2)
_SMALL_PRIMERS = (0.03, 0.1, 0.3)
_ENOUGH = 24
#: Unserved energy over the load below which the accuracy of a learned year says nothing.
_SHORT_FRAC = 2e-6
