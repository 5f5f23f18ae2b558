"""The best plan by trying every whole-container fleet, with the verifier's own rules and ledger.

Nothing here knows the model: capacities, ratios, prices and zone figures come from
``planner.verify``; a fleet that looks best is stated as a plan and judged by ``verify``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from planner.case import Zone
from planner.problem import Problem
from planner.results import Placement, Plan, ZoneChoice
from planner.units import year_of
from planner.verify import verify
from planner.verify.content import (
    STATES,
    credit_rate,
    domestic_content,
    gross_rate,
    material_assistance,
    phase_of,
    shares,
)
from planner.verify.ledger import Flow, container_flows, cost_by_item
from planner.verify.lookup import Book
from planner.verify.outage import Windows
from planner.verify.reliability import Outages
from planner.verify.rules import energisable_mw, refusal
from planner.verify.terms import seen_by, taxed
from planner.verify.zones import hall_setback_m, usable_m2
from tests.small import _blank, _finish, _fleet, _orders

Grid = NDArray[np.int64]
Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]
#: More fleets than this are not tried.
MOST_FLEETS = 60_000
SLACK = 1e-9


@dataclass
class Brute:
    """Every fleet of one small problem; ``best`` gives the cheapest plan or None."""

    problem: Problem

    def __post_init__(self) -> None:
        problem = self.problem
        self.book = Book(problem)
        self.pairs = [
            (o, p)
            for o in range(len(problem.offers))
            for p in range(len(problem.periods))
            if refusal(self.book, problem.offers[o], p) is None
        ]
        self.most = [self._most(o, p) for o, p in self.pairs]
        self.pairs = [pair for pair, n in zip(self.pairs, self.most, strict=True) if n > 0]
        self.most = [n for n in self.most if n > 0]
        self.shape = tuple(n + 1 for n in self.most)
        size = int(np.prod(self.shape)) if self.shape else 1
        assert size <= MOST_FLEETS, f"{size} fleets are too many"
        self.grid: Grid = np.indices(self.shape).reshape(len(self.shape), -1).T if self.shape else np.zeros((1, 0), int)
        labels = {(problem.offers[o].offer, problem.periods[p].label): 1 for o, p in self.pairs}
        self.one = _fleet(problem, labels)
        self.offer_of = np.array([o for o, _ in self.pairs], dtype=int)
        self.period_of = np.array([p for _, p in self.pairs], dtype=int)
        self.alive = np.array([self.one.alive[o, p] for o, p in self.pairs], dtype=float).reshape(len(self.pairs), -1)

    def _booked(self, o: int) -> float:
        offer = self.problem.offers[o]
        return offer.energy_nameplate_dc_mwh / (1.0 - offer.delivery_risk_frac)

    def _limit(self, factory: str, p: int) -> float:
        period = self.problem.periods[p]
        limit = self.book.factory_limit_mwh(factory, year_of(period.start), period.years)
        assert limit is not None, f"{factory} has no output rows"
        return limit

    def _most(self, o: int, p: int) -> int:
        offer = self.problem.offers[o]
        most = min(self._limit(f, p) for f in (offer.cell_factory, offer.assembly_plant)) / self._booked(o)
        if offer.kind == "generator":
            most = min(most, self.problem.case.site.generator_mw_max / offer.power_mw)
        return int(most + SLACK)

    def _total(self, per_container: Floats, rows: Grid) -> Floats:
        """Sum over pairs of a figure per offer."""
        return np.asarray(rows @ per_container[self.offer_of]) if len(self.pairs) else np.zeros(len(rows))

    # -- rules of the purchase ---------------------------------------------------------------

    def lawful(self) -> Mask:
        """Fleets that keep supply, minimum orders, permits, the content floor and the exposure limits."""
        problem, n = self.problem, self.grid
        ok = np.ones(len(n), dtype=bool)
        for p in range(len(problem.periods)):
            for factory in sorted({f for o in problem.offers for f in (o.cell_factory, o.assembly_plant)}):
                uses = [
                    self._booked(o)
                    * (q == p and factory in (problem.offers[o].cell_factory, problem.offers[o].assembly_plant))
                    for o, q in self.pairs
                ]
                if any(uses):
                    ok &= n @ np.array(uses) <= self._limit(factory, p) * (1 + SLACK)
            power = [problem.offers[o].power_mw * (problem.offers[o].kind == "generator") for o, _ in self.pairs]
            ok &= n @ (np.array(power) * self.alive[:, p]) <= problem.case.site.generator_mw_max * (1 + SLACK)
        for o, offer in enumerate(problem.offers):
            bought = n[:, self.offer_of == o].sum(axis=1) * offer.energy_nameplate_dc_mwh
            ok &= (bought == 0) | (bought >= offer.min_order_mwh * (1 - SLACK))
        domestic = np.array([domestic_content(self.book, o) for o in problem.offers])
        floor = problem.case.policy.domestic_floor_frac
        ok &= self._total((domestic - floor) * self._weight(), n) >= -SLACK
        return ok & self._exposed(n) & self._governed(n)

    def _governed(self, n: Grid) -> Mask:
        """Fleets in which no name holds more than its share, from suppliers enough."""
        ok = np.ones(len(n), dtype=bool)
        rule, offers = self.problem.case.governance, self.problem.offers
        mwh = np.array([o.energy_usable_ac_mwh * o.is_storage for o in offers])
        whole = self._total(mwh, n)
        fields = {
            "supplier": "supplier",
            "country": "cell_country",
            "chemistry": "chemistry",
            "cell_factory": "cell_factory",
        }
        limits = [
            (f, x, getattr(rule.max_share, k)) for k, f in fields.items() for x in {getattr(o, f) for o in offers}
        ]
        limits += [("maturity", name, most) for name, most in rule.max_share.maturity.items()]
        for field, name, most in limits:
            if most is not None:
                mine = self._total(mwh * np.array([getattr(o, field) == name for o in offers]), n)
                ok &= mine <= most * whole + SLACK * (1 + whole)
        counted = np.zeros(len(n))
        for name in {o.supplier for o in offers if o.is_storage}:
            mine = self._total(mwh * np.array([o.supplier == name for o in offers]), n)
            counted += (mine > 0) & (mine >= rule.min_supplier_mwh * (1 - SLACK))
        return ok & (counted >= rule.min_suppliers)

    def _weight(self) -> Floats:
        return np.array([o.energy_nameplate_dc_mwh * o.is_storage for o in self.problem.offers])

    def _exposed(self, n: Grid) -> Mask:
        ok = np.ones(len(n), dtype=bool)
        required = Outages(self.one, {p.label: p.target_mw for p in self.problem.periods}).required_mwh()
        for measure, limit in self.problem.case.exposure_limits.items():
            by_offer = [shares(self.book, o, measure) for o in self.problem.offers]
            for layer in sorted({name for s in by_offer for name in s}):
                each = np.array(
                    [
                        s.get(layer, 0.0) * o.energy_usable_ac_mwh * o.is_storage
                        for s, o in zip(by_offer, self.problem.offers, strict=True)
                    ]
                )[self.offer_of]
                fleets = self.alive.T if limit.per_period else np.ones((1, len(self.pairs)))
                for fleet in fleets:
                    ok &= n @ (each * fleet) / required <= limit.max_frac + SLACK
        return ok

    # -- outages -----------------------------------------------------------------------------

    def served(self, n: Grid) -> tuple[Floats, Mask]:
        """Largest load of every period that each fleet carries, and whether the floors hold."""
        problem = self.problem
        full = {p.label: p.target_mw for p in problem.periods}
        outages = Outages(self.one, full)
        used = np.stack([n[:, self.offer_of == o].sum(axis=1) > 0 for o in range(len(problem.offers))], axis=1)
        load = np.zeros((len(n), len(problem.periods)))
        hours = problem.case.reliability.storage_mandate_h
        for q, period in enumerate(problem.periods):
            cap = np.full(len(n), min(period.target_mw, energisable_mw(problem, period.start)))
            cap = np.minimum(cap, period.target_mw * self._carried(outages, q, n, used))
            cap = np.minimum(cap, period.target_mw * self._bridged(outages, q, n, used))
            if hours > 0:
                each = [
                    problem.offers[o].energy_usable_ac_mwh * problem.offers[o].is_storage * self.one.soh[o, p, q]
                    for o, p in self.pairs
                ]
                cap = np.minimum(cap, n @ (np.array(each) * self.alive[:, q]) / hours)
            load[:, q] = cap
        for q in range(len(problem.periods) - 2, -1, -1):
            load[:, q] = np.minimum(load[:, q], load[:, q + 1])
        floor = np.array([p.floor_mw for p in problem.periods])
        return load, np.all(load >= floor - SLACK, axis=1)

    def _pair_index(self, outages: Outages, q: int) -> list[int]:
        """Pair of every unit that stands in a period, in the order of the verifier."""
        standing = [(o, p) for o, p in self.one.bought if self.one.alive[o, p, q]]
        return [self.pairs.index(pair) for pair in standing]

    def _carried(self, outages: Outages, q: int, n: Grid, used: Mask) -> Floats:
        """Share of the target that the requirement rows of a period allow."""
        curve, factor = outages.curve(self.problem.periods[q].target_mw)
        units, at = outages.units[q], self._pair_index(outages, q)
        each = curve.capacity(units.power, units.energy, units.first, units.delta)
        share = np.full(len(n), np.inf)
        wanted = curve.need_mwh > 0
        for loss in outages.losses_in(q):
            keep = ~np.isin(units.offer, list(loss.offers))
            have = n[:, at] @ (each * keep[:, None])
            if loss.group is not None:
                have = have - used[:, [loss.group[0]]] * outages.group_mwh(loss.group, curve)
            share = np.minimum(share, (have[:, wanted] / (loss.phi * factor * curve.need_mwh[wanted])).min(axis=1))
        return share

    def _bridged(self, outages: Outages, q: int, n: Grid, used: Mask) -> Floats:
        """Share of the target that the first seconds allow."""
        problem, book = self.problem, self.book
        units, at = outages.units[q], self._pair_index(outages, q)
        may = {o for o, _ in self.pairs}
        delays = sorted({d for o in may if 1e-12 < (d := book.delay_h(problem.offers[o])) < problem.dt_h})
        own = np.array([book.delay_h(problem.offers[o]) for o in units.offer])
        peak = Windows(problem, problem.periods[q].target_mw).peak_mw
        share = np.full(len(n), np.inf)
        for loss in outages.losses_in(q):
            keep = ~np.isin(units.offer, list(loss.offers))
            for delay in delays:
                each = keep * np.minimum(units.power * np.maximum(0.0, delay - own), units.energy)
                have = n[:, at] @ each
                if loss.group is not None:
                    offer = problem.offers[loss.group[0]]
                    energy = offer.energy_usable_ac_mwh * problem.case.reliability.reserve_frac
                    gone = min(offer.power_mw * max(0.0, delay - book.delay_h(offer)), energy)
                    have = have - used[:, loss.group[0]] * loss.group[1] * gone
                share = np.minimum(share, have / (loss.phi * delay * peak))
        return share

    # -- money -------------------------------------------------------------------------------

    def priced(self, n: Grid, load: Floats) -> tuple[Floats, list[dict[str, str]], NDArray[np.int64]]:
        """Least cost of every fleet in dollars, the combinations of states, and the one it takes."""
        problem, case = self.problem, self.problem.case
        fixed = np.zeros(len(n))
        for q, period in enumerate(problem.periods):
            late = Flow("delay", case.load.delay_usd_per_mw_yr, period.start, period.end)
            one = self._counted(taxed([late], case.finance.tax_rate_frac))
            fixed += one * (period.target_mw - load[:, q])
        for supplier in sorted({problem.offers[o].supplier for o in self.offer_of}):
            mine = [problem.offers[o].supplier == supplier for o in self.offer_of]
            fixed += self.book.qualification.get(supplier, 0.0) * (n[:, mine].sum(axis=1) > 0)
        names = [h.phase for h in case.policy.phases]
        states = [dict(zip(names, q, strict=True)) for q in product(STATES, repeat=len(names))]
        total = np.full((len(states), len(n)), np.inf)
        for i, state in enumerate(states):
            allowed = self._allowed(n, state)
            total[i, allowed] = fixed[allowed] + self._bought(n[allowed], state)
        return total.min(axis=0), states, total.argmin(axis=0)

    def _allowed(self, n: Grid, state: dict[str, str]) -> Mask:
        """Fleets whose ratios earn a combination of credit states."""
        ok = np.ones(len(n), dtype=bool)
        policy = self.problem.case.policy
        domestic = np.array([domestic_content(self.book, o) for o in self.problem.offers])
        macr = np.array([material_assistance(self.book, o) for o in self.problem.offers])
        for phase in policy.phases:
            q = state[phase.phase]
            if q == "none":
                continue
            if policy.monetisation == "none":
                ok[:] = False
            inside = np.array([phase_of(self.problem, int(p)) is phase for p in self.period_of])
            barred = np.array([self.book.controlled(o) and o.is_storage for o in self.problem.offers])
            ok &= self._total(barred.astype(float), n * inside) == 0
            mwh = n * inside
            least = self.book.credit("macr_threshold_frac", phase.construction_start)
            if phase.construction_start >= 12 * 2026:
                ok &= self._total((macr - least) * self._weight(), mwh) >= -SLACK
            if q == "bonus" or policy.monetisation == "elective_pay":
                least = self.book.credit("domestic_threshold_frac", phase.construction_start)
                ok &= self._total((domestic - least) * self._weight(), mwh) >= -SLACK
        return ok

    def _bought(self, n: Grid, state: dict[str, str]) -> Floats:
        """Dollars of all containers, each offer in its cheapest tier within reach."""
        problem = self.problem
        total = np.zeros(len(n))
        for o in sorted(set(self.offer_of.tolist())):
            mine = np.flatnonzero(self.offer_of == o)
            mwh = n[:, mine].sum(axis=1) * problem.offers[o].energy_nameplate_dc_mwh
            best = np.full(len(n), np.inf)
            for tier in problem.offers[o].tiers:
                self.one.tier[o] = tier.tier
                each = []
                for i in mine:
                    p = int(self.period_of[i])
                    phase = phase_of(problem, p)
                    q = state[phase.phase] if phase else "none"
                    rates = (credit_rate(self.book, phase, q), gross_rate(self.book, phase, q)) if phase else (0.0, 0.0)
                    flows = container_flows(self.one, o, p, *rates)
                    each.append(self._counted(flows))
                cost = n[:, mine] @ np.array(each)
                best = np.where(mwh >= tier.from_mwh * (1 - SLACK), np.minimum(best, cost), best)
            total += best
        return total

    def _counted(self, flows: list[Flow]) -> float:
        """Present dollars of some flows that the objective counts."""
        items = cost_by_item(self.problem, flows)
        return 1e6 * sum(seen_by(self.problem.case.objective, items).values())

    def tiers(self, n: NDArray[np.int64]) -> dict[str, str]:
        """Highest tier within reach of every offer bought."""
        out = {}
        for o, offer in enumerate(self.problem.offers):
            mwh = n[self.offer_of == o].sum() * offer.energy_nameplate_dc_mwh
            out[offer.offer] = max(
                (t for t in offer.tiers if t.from_mwh <= mwh + SLACK), key=lambda t: t.discount_frac
            ).tier
        return out

    # -- zones -------------------------------------------------------------------------------

    def _standing(self, zone: Zone, barrier: bool) -> tuple[Mask, dict[float, Mask]]:
        """Which fleets a zone can hold, and by setback level."""
        problem, book, offers = self.problem, self.book, self.problem.offers
        levels = sorted({hall_setback_m(book, zone, o, barrier) for o in offers})
        kept = {}
        area = np.array([book.area_m2(o) for o in offers])
        usable = np.array([o.energy_usable_ac_mwh * o.is_storage for o in offers])
        hazard = np.array([book.hazard(o) for o in offers])
        opens = zone.available_from
        ok = np.ones(len(self.grid), dtype=bool)
        for i, (o, p) in enumerate(self.pairs):
            offer = offers[o]
            water = book.fire("fire_water_lpm", offer.chemistry, zone.zone_type, offer.evidence)
            listed = zone.allowed_chemistries is None or offer.chemistry in zone.allowed_chemistries
            late = opens is not None and problem.periods[p].start < opens
            if late or (offer.is_storage and (water > zone.fire_water_lpm or not listed)):
                ok &= self.grid[:, i] == 0
        fullest = np.zeros(len(self.grid))
        for q in range(len(problem.periods)):
            now = self.grid * self.alive[:, q].astype(int)
            energy = self._total(usable, now)
            fullest = np.maximum(fullest, self._total(area, now))
            for i, (o, _) in enumerate(self.pairs):
                if offers[o].is_storage:
                    cap = zone.fire_areas * book.fire(
                        "fire_area_cap_mwh", offers[o].chemistry, zone.zone_type, offers[o].evidence
                    )
                    ok &= (now[:, i] == 0) | (energy <= cap * (1 + SLACK))
            if zone.hazard_budget_mwh is not None:
                ok &= self._total(hazard * usable, now) <= zone.hazard_budget_mwh * (1 + SLACK)
        for level in levels:
            close = np.ones(len(self.grid), dtype=bool)
            for i, (o, _) in enumerate(self.pairs):
                if offers[o].is_storage and hall_setback_m(book, zone, offers[o], barrier) > level + 1e-9:
                    close &= self.grid[:, i] == 0
            kept[level] = ok & close & (fullest <= usable_m2(book, zone, barrier, level) * (1 + SLACK))
        return np.logical_or.reduce(list(kept.values())), kept

    def _split(self, n: NDArray[np.int64], held: list[Mask]) -> list[NDArray[np.int64]] | None:
        """Containers of every zone, or None if the zones cannot hold the fleet."""
        if len(held) == 1:
            return [n] if held[0][self._index(n)] else None
        parts = np.indices(tuple(n + 1)).reshape(len(n), -1).T if len(n) else np.zeros((1, 0), int)
        first = held[0][self._index(parts)]
        for part in parts[first]:
            rest = self._split(n - part, held[1:])
            if rest is not None:
                return [part, *rest]
        return None

    def _reach(self, held: list[Mask]) -> Mask:
        """Fleets that can be split over zones: the sums of what each zone can hold."""
        total = held[0].reshape(self.shape or (1,)).astype(float)
        for other in held[1:]:
            wide = fftconvolve(total, other.reshape(self.shape or (1,)).astype(float))
            total = (wide[tuple(slice(0, n) for n in self.shape or (1,))] > 0.5).astype(float)
        return np.asarray(total.ravel() > 0.5)

    def _index(self, n: NDArray[np.int64]) -> Any:
        return np.ravel_multi_index(tuple(n.T), self.shape) if self.shape else np.zeros(n.shape[:-1], int)

    # -- the answer --------------------------------------------------------------------------

    def candidates(self) -> Iterator[Plan]:
        """Plans that seem to hold, cheapest first."""
        problem, case = self.problem, self.problem.case
        n = self.grid[self.lawful()]
        load, floors = self.served(n)
        n, load = n[floors], load[floors]
        if not len(n):
            return
        cost, states, taken = self.priced(n, load)
        zones = case.site.zones
        walls = list(product((False, True), repeat=len(zones)))
        per_m = self.book.cost("barrier_usd_per_m")
        extra = []
        for wall in walls:
            usd = sum(per_m * 2.0 * (z.length_m + z.width_m) * w for z, w in zip(zones, wall, strict=True))
            flow = Flow("fire_barriers", usd, problem.periods[0].start)
            extra.append(flow.present_usd(case.timeline.decision, case.finance.discount_rate_frac))
        room = {(z, w): self._standing(zones[z], w) for z in range(len(zones)) for w in (False, True)}
        at = self._index(n)
        holds = np.stack([self._reach([room[z, w][0] for z, w in enumerate(wall)])[at] for wall in walls], axis=1)
        total = np.where(holds, cost[:, None] + np.array(extra)[None, :], np.inf)
        for flat in np.argsort(total, axis=None, kind="stable")[: int(holds.sum())]:
            v, w = np.unravel_index(flat, total.shape)
            wall = walls[int(w)]
            split = self._split(n[v], [room[z, wall[z]][0] for z in range(len(zones))])
            assert split is not None
            yield self._plan(
                n[v], load[v], states[taken[v]], wall, split, [room[z, wall[z]][1] for z in range(len(zones))]
            )

    def _plan(
        self,
        n: NDArray[np.int64],
        load: Floats,
        state: dict[str, str],
        wall: tuple[bool, ...],
        split: list[NDArray[np.int64]],
        kept: list[dict[float, Mask]],
    ) -> Plan:
        problem = self.problem
        name = [(problem.offers[o].offer, problem.periods[p].label) for o, p in self.pairs]
        counts = {k: int(c) for k, c in zip(name, n, strict=True) if c}
        options, spots = [], []
        for zone, barrier, part, levels in zip(problem.case.site.zones, wall, split, kept, strict=True):
            level = next(v for v, ok in levels.items() if ok[self._index(part)])
            area = usable_m2(self.book, zone, barrier, level)
            options.append(ZoneChoice(zone=zone.zone, barrier=barrier, setback_m=level, usable_m2=area))
            spots += [
                Placement(
                    offer=k[0], year=year_of(problem.periods[p].start), period=k[1], zone=zone.zone, containers=int(c)
                )
                for k, (_, p), c in zip(name, self.pairs, part, strict=True)
                if c
            ]
        orders = _orders(problem, counts, self.tiers(n))
        served = {p.label: float(mw) for p, mw in zip(problem.periods, load, strict=True)}
        plan = _blank(problem, orders=orders, placements=tuple(spots), zone_options=tuple(options), served_mw=served)
        return _finish(problem, plan, self.book, state)

    def best(self, tries: int = 12) -> Plan | None:
        """Cheapest plan that the verifier accepts; None if no fleet holds."""
        refused = []
        for plan in self.candidates():
            verdict = verify(self.problem, plan, monte_carlo=False)
            if verdict.passed:
                return plan
            refused.append(verdict.errors)
            assert len(refused) < tries, f"the rules of the brute force are not those of the verifier: {refused}"
        return None
