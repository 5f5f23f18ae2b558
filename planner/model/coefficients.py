"""Every number that the rows need, computed once per problem.

``pairs`` lists the admissible deliveries (offer index, period index); most arrays run
over them. Nothing here knows Pyomo.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from planner import finance, outages, policy, supply, yard
from planner.fade import state_of_health
from planner.model.contingencies import Contingency, losses_to_survive, merged_contingencies
from planner.outages import Requirement, StartDelay
from planner.problem import FloatArray, Problem
from planner.sourcing import Network
from planner.units import MONTHS_PER_YEAR, USD_PER_MUSD

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]


#: More containers than any plan holds.
MANY = 10**9


class Coefficients:
    """Numbers of one problem, in the order of ``pairs``.

    Parameters
    ----------
    problem
        The planning question.
    waived
        Refusal rules to ignore (``ban``, ``lead_time``, ``validity``, ``site``); used only to explain infeasibility.
    """

    def __init__(self, problem: Problem, waived: frozenset[str] = frozenset()) -> None:
        self.problem = problem
        pairs = []
        for o, offer in enumerate(problem.offers):
            if not supply.can_serve(problem, offer):
                continue
            for p, period in enumerate(problem.periods):
                why = supply.refusal(problem, offer, period)
                admitted = why is None or why.rule in waived
                if admitted and self._largest_delivery(o, p) >= 1:
                    pairs.append((o, p))
        self.committed = supply.committed_containers(problem, pairs)
        pairs = [pair for pair in pairs if self.committed.get(pair, 1) > 0]
        self.pairs: list[tuple[int, int]] = pairs
        self.pair_offer = np.array([o for o, _ in pairs], dtype=np.int64)
        self.pair_period = np.array([p for _, p in pairs], dtype=np.int64)
        self.offers_used = sorted({o for o, _ in pairs})

    def _largest_delivery(self, o: int, p: int) -> int:
        """Most containers of an offer that its factories and the site allow in one period."""
        problem, offer = self.problem, self.problem.offers[o]
        limit = min(self.factory_limit(f, p) for f in (offer.cell_factory, offer.assembly_plant))
        by_area = sum(self.fit(o, z) for z in range(len(problem.case.site.zones)))
        count = min(limit / supply.booked_mwh(offer), float(by_area))
        if offer.kind == "generator":
            count = min(count, problem.case.site.generator_mw_max / offer.power_mw)
        return int(np.floor(count + 1e-9))

    @cached_property
    def _factory_limits(self) -> dict[tuple[str, int], float]:
        return {}

    def factory_limit(self, factory: str, p: int) -> float:
        """Nameplate MWh obtainable from a factory for period index ``p``."""
        key = (factory, p)
        if key not in self._factory_limits:
            self._factory_limits[key] = supply.factory_limit_mwh(self.problem, factory, self.problem.periods[p])
        return self._factory_limits[key]

    # -- site ---------------------------------------------------------------------------

    @cached_property
    def zone_options(self) -> list[tuple[yard.ZoneOption, ...]]:
        """Options of each zone."""
        return [yard.zone_options(self.problem, z) for z in self.problem.case.site.zones]

    @cached_property
    def area_m2(self) -> FloatArray:
        """Occupied area of one container, shape (O,)."""
        return np.array([yard.occupied_m2(self.problem, o) for o in self.problem.offers])

    @cached_property
    def hazard(self) -> FloatArray:
        """Hazard points of one container's chemistry, shape (O,)."""
        return np.array([yard.hazard_class(self.problem, o) for o in self.problem.offers])

    @cached_property
    def zone_cap_mwh(self) -> FloatArray:
        """Energy cap that an offer's presence brings to a zone, shape (O, Z)."""
        zones = self.problem.case.site.zones
        return np.array(
            [
                [z.fire_areas * yard.fire_area_cap_mwh(self.problem, o, z) if o.is_storage else np.inf for z in zones]
                for o in self.problem.offers
            ]
        )

    @cached_property
    def stands(self) -> BoolArray:
        """Whether an offer may stand in a zone under some option, shape (O, Z)."""
        zones = self.problem.case.site.zones
        return np.array(
            [
                [
                    yard.may_stand(self.problem, o, z)
                    and any(not o.is_storage or o.chemistry in j.chemistries for j in self.zone_options[i])
                    for i, z in enumerate(zones)
                ]
                for o in self.problem.offers
            ]
        )

    def fit(self, o: int, z: int) -> int:
        """Most containers of an offer that fit into a zone alone."""
        if not self.stands[o, z]:
            return 0
        offer = self.problem.offers[o]
        options = [j for j in self.zone_options[z] if not offer.is_storage or offer.chemistry in j.chemistries]
        count = max(j.usable_m2 for j in options) / self.area_m2[o]
        if offer.is_storage:
            count = min(count, self.zone_cap_mwh[o, z] / offer.energy_usable_ac_mwh)
            budget = self.problem.case.site.zones[z].hazard_budget_mwh
            if budget is not None and self.hazard[o] > 0:
                count = min(count, budget / (self.hazard[o] * offer.energy_usable_ac_mwh))
        return int(np.floor(count + 1e-9))

    @cached_property
    def largest_delivery(self) -> IntArray:
        """Upper bound on the containers of each pair."""
        most = [min(self._largest_delivery(*pair), self.committed.get(pair, MANY)) for pair in self.pairs]
        return np.array(most, dtype=np.int64)

    # -- time ---------------------------------------------------------------------------

    @cached_property
    def alive(self) -> BoolArray:
        """Whether containers of a pair count in a period, shape (pairs, P)."""
        problem = self.problem
        return np.array(
            [
                [supply.counts_in(problem.offers[o], problem.periods[p], later) for later in problem.periods]
                for o, p in self.pairs
            ],
            dtype=bool,
        ).reshape(len(self.pairs), len(problem.periods))

    @cached_property
    def fullest_periods(self) -> list[int]:
        """Periods whose standing containers are not all standing in the next one too.

        What a zone holds grows from period to period but for retirements, so site rows are
        needed only here; every other period is implied.
        """
        last = len(self.problem.periods) - 1
        return [p for p in range(last + 1) if p == last or bool(np.any(self.alive[:, p] & ~self.alive[:, p + 1]))]

    @cached_property
    def cohort(self) -> list[tuple[int, int]]:
        """(offer, group) of each pair: deliveries that stand in the same fullest periods and zones are alike."""
        zones = self.problem.case.site.zones
        seen: dict[tuple[object, ...], int] = {}
        groups = []
        for i, (o, p) in enumerate(self.pairs):
            start = self.problem.periods[p].start
            open_zones = tuple(z.available_from is None or z.available_from <= start for z in zones)
            signature = (o, self.alive[i, self.fullest_periods].tobytes(), open_zones)
            groups.append((o, seen.setdefault(signature, len(seen))))
        return groups

    # -- reliability --------------------------------------------------------------------

    @cached_property
    def delays(self) -> list[StartDelay]:
        """Start delay of each offer."""
        return [outages.start_delay(self.problem, o) for o in self.problem.offers]

    @cached_property
    def requirement(self) -> Requirement:
        """Requirement curve at target load."""
        return outages.requirement(self.problem, {self.delays[o].first_step for o in self.offers_used})

    def requirement_in(self, season: int) -> Requirement:
        """Requirement of outages that start in a season of ``operations``; of any outage without that section."""
        if self.problem.case.operating is None:
            return self.requirement
        if season not in self._requirements:
            first_steps = {self.delays[o].first_step for o in self.offers_used}
            self._requirements[season] = outages.requirement(self.problem, first_steps, season)
        return self._requirements[season]

    @cached_property
    def _requirements(self) -> dict[int, Requirement]:
        return {}

    @cached_property
    def required_mwh(self) -> float:
        """Requirement of the whole window at the final target: the base of every exposure measure."""
        full = int(np.argmax(self.requirement.counts.sum(axis=1)))
        return float(self.requirement.mwh[:, full].max())

    @cached_property
    def availability(self) -> FloatArray:
        """Share of each offer's fleet that counts, shape (O,)."""
        return np.array([outages.safe_availability(self.problem, o) for o in self.problem.offers])

    @cached_property
    def power_mw(self) -> FloatArray:
        """Power of one container, shape (O,)."""
        return np.array([o.power_mw for o in self.problem.offers])

    @cached_property
    def energy_mwh(self) -> FloatArray:
        """Energy of one new container at the reserve level, shape (O,)."""
        reserve = self.problem.case.reliability.reserve_frac
        return np.array([o.energy_usable_ac_mwh * (reserve if o.is_storage else 1.0) for o in self.problem.offers])

    @cached_property
    def faded_mwh(self) -> FloatArray:
        """Energy of one container of a pair at the end of each period, 0 when it does not count; (pairs, P)."""
        return self._faded(None)

    @cached_property
    def worn_mwh(self) -> FloatArray:
        """The same for a container that is also used every day, never more than of one that is not; (pairs, P)."""
        return np.minimum(self._faded("daily"), self.faded_mwh)

    @cached_property
    def swing_frac(self) -> FloatArray:
        """Share of its energy that a container in daily use swings at each reserve setting, shape (J,)."""
        operating = self.problem.case.operating
        return 1.0 - np.array([] if operating is None else operating.reserve_settings, dtype=float)

    @cached_property
    def duty_mwh(self) -> FloatArray:
        """Energy of one container of a pair by setting: wear is linear in what is swung; (pairs, P, J)."""
        loss = (self.faded_mwh - self.worn_mwh)[:, :, None]
        return np.asarray(self.faded_mwh[:, :, None] - self.swing_frac * loss)

    @cached_property
    def hours_range(self) -> tuple[FloatArray, FloatArray]:
        """Least and most MWh per MW of the containers of an offer that may stand in a period, shape (O, P) each."""
        shape = (len(self.problem.offers), len(self.problem.periods))
        least, most = np.full(shape, np.inf), np.zeros(shape)
        per_mw = np.maximum(self.power_mw[self.pair_offer], 1e-12)[:, None]
        np.minimum.at(least, self.pair_offer, np.where(self.alive, self.worn_mwh / per_mw, np.inf))
        np.maximum.at(most, self.pair_offer, np.where(self.alive, self.faded_mwh / per_mw, 0.0))
        return least, most

    def _faded(self, duty: str | None) -> FloatArray:
        problem = self.problem
        ends = np.array([p.end for p in problem.periods], dtype=float)
        energy = np.zeros((len(self.pairs), len(problem.periods)))
        for i, (o, p) in enumerate(self.pairs):
            ages = (ends - problem.periods[p].start) / MONTHS_PER_YEAR
            soh = state_of_health(problem, problem.offers[o], np.maximum(ages, 0.0), duty)
            energy[i] = np.where(self.alive[i], self.energy_mwh[o] * soh, 0.0)
        return energy

    @cached_property
    def open_hours(self) -> FloatArray:
        """Hours of each count vector that an offer may serve, shape (O, M)."""
        dt = self.problem.dt_h
        hours = [self.requirement.steps_open_to(d.first_step) * dt - d.rest_h for d in self.delays]
        return np.asarray(np.maximum(0.0, np.array(hours, dtype=float)))

    def delivered_mwh(self, period: int, count: int) -> FloatArray:
        """What one container of each pair delivers against one count vector, shape (pairs,)."""
        o = self.pair_offer
        reach = self.power_mw[o] * self.open_hours[o, count]
        return np.where(
            self.alive[:, period],
            self.availability[o] * np.minimum(reach, self.faded_mwh[:, period]),
            0.0,
        )

    def duty_delivered_mwh(
        self, period: int, reach_mwh: FloatArray, pairs: IntArray | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """How much less one container delivers for being worn by its setting, and how much less again while it runs.

        Parameters
        ----------
        period
            Of the outage.
        reach_mwh
            What the power of one container of each pair brings out, shape (pairs, ...).
        pairs
            Which pairs these are; all of them by default.

        Returns
        -------
        tuple
            Shape (pairs, ..., J) each; both are 0 or negative.
        """
        at = np.arange(len(self.pairs)) if pairs is None else pairs
        shape = (len(at), *(1,) * (reach_mwh.ndim - 1))
        up = (self.availability[self.pair_offer[at]] * self.alive[at, period]).reshape(*shape, 1)
        reach = reach_mwh[..., None]
        fresh = np.minimum(reach, self.faded_mwh[at, period].reshape(*shape, 1))
        energy = self.duty_mwh[at, period].reshape(*shape, len(self.swing_frac))
        worn = np.minimum(reach, energy)
        left = np.minimum(reach, (1.0 - self.swing_frac) * energy)
        return np.asarray(up * (worn - fresh)), np.asarray(up * (left - worn))

    @cached_property
    def fire_groups(self) -> IntArray:
        """Containers of each offer that may burn together, shape (O,)."""
        return np.array([yard.fire_group(self.problem, o) for o in self.problem.offers], dtype=np.int64)

    @cached_property
    def fire_loss_mwh(self) -> FloatArray:
        """What the largest fire group of an offer would have delivered, new and all available; (O, M)."""
        reach = self.power_mw[:, None] * self.open_hours
        return np.asarray(self.fire_groups[:, None] * np.minimum(reach, self.energy_mwh[:, None]), dtype=float)

    @cached_property
    def group_levels(self) -> list[tuple[int, ...]]:
        """Offers at or above each fire-group level, levels rising with the energy of a group.

        Level j is in use when any of its offers is; the levels are nested.
        """
        stored = [o for o in self.offers_used if self.problem.offers[o].is_storage]
        sizes = {o: round(self.fire_groups[o] * float(self.energy_mwh[o])) for o in stored}
        return [tuple(o for o in stored if sizes[o] >= size) for size in sorted(set(sizes.values()))]

    @cached_property
    def level_loss_mwh(self) -> FloatArray:
        """Loss that each level adds to the levels below it, shape (M, levels).

        The level's loss is the smallest of its offers against a count vector, so the sum over the
        levels in use never exceeds the loss of the largest group in use: rows built on it are valid,
        and much tighter than one row per offer while binaries are fractional.
        """
        least = [self.fire_loss_mwh[list(members)].min(axis=0) for members in self.group_levels]
        return np.diff(np.array([np.zeros(self.requirement.counts.shape[0]), *least]), axis=0).T

    @cached_property
    def bridge_delays_h(self) -> list[float]:
        """Distinct start delays below one step among the offers, in hours."""
        return sorted({self._below_step(o) for o in self.offers_used} - {0.0})

    def _below_step(self, o: int) -> float:
        delay = self.delays[o]
        return delay.rest_h if delay.first_step == 0 else 0.0

    def bridged_mwh(self, period: int, delay_h: float) -> FloatArray:
        """What one container of each pair delivers before ``delay_h``, shape (pairs,)."""
        reach = self.bridged_reach_mwh(delay_h)
        return np.where(
            self.alive[:, period],
            self.availability[self.pair_offer] * np.minimum(reach, self.faded_mwh[:, period]),
            0.0,
        )

    def bridged_reach_mwh(self, delay_h: float) -> FloatArray:
        """What the power of one container of each pair brings out before ``delay_h``, shape (pairs,)."""
        starts = np.array([d.rest_h if d.first_step == 0 else np.inf for d in self.delays])[self.pair_offer]
        return np.asarray(self.power_mw[self.pair_offer] * np.maximum(0.0, delay_h - starts))

    def bridge_loss_mwh(self, o: int, delay_h: float) -> float:
        """What the largest fire group of an offer would have delivered before ``delay_h``."""
        delay = self.delays[o]
        if delay.first_step > 0:
            return 0.0
        reach = self.power_mw[o] * max(0.0, delay_h - delay.rest_h)
        return float(self.fire_groups[o] * min(reach, self.energy_mwh[o]))

    @cached_property
    def losses(self) -> list[Contingency]:
        """Every loss that the case asks to survive, but for fire groups."""
        return losses_to_survive(self.problem, self.offers_used)

    @cached_property
    def contingencies(self) -> list[Contingency]:
        """What the outage rows are written for."""
        return merged_contingencies(self.problem, self.offers_used)

    @cached_property
    def holds(self) -> BoolArray:
        """Whether a contingency must be survived in a period, shape (contingencies, P)."""
        return np.array([self.holds_in(q) for q in self.contingencies])

    def holds_in(self, contingency: Contingency) -> BoolArray:
        """Periods in which a contingency must be survived, shape (P,)."""
        since = self.problem.case.reliability.contingencies_from
        if since is None or contingency.kind in ("none", "fire_group"):
            return np.ones(len(self.problem.periods), dtype=bool)
        return np.array([p.start >= since for p in self.problem.periods])

    # -- policy and money ---------------------------------------------------------------

    @cached_property
    def phase(self) -> list[int | None]:
        """Credit phase of each period."""
        return [policy.credit_phase(self.problem, p) for p in self.problem.periods]

    def states(self, o: int, p: int) -> tuple[str, ...]:
        """Credit states that a delivery can have."""
        offer = self.problem.offers[o]
        if self.phase[p] is None or not offer.is_storage or policy.effective_control(self.problem, offer):
            return ("none",)
        return policy.STATES

    @cached_property
    def network(self) -> Network:
        """What can be sourced before the cell; without choices where the network is off."""
        return Network(self.problem, self.pairs)

    @cached_property
    def macr(self) -> FloatArray:
        """Material-assistance ratio of each offer, shape (O,)."""
        return np.array([policy.material_assistance(self.problem, o) for o in self.problem.offers])

    @cached_property
    def domestic(self) -> FloatArray:
        """Domestic content of each offer, shape (O,)."""
        return np.array([policy.domestic_content(self.problem, o) for o in self.problem.offers])

    @cached_property
    def nameplate_mwh(self) -> FloatArray:
        """Nameplate energy of one container, shape (O,)."""
        return np.array([o.energy_nameplate_dc_mwh for o in self.problem.offers])

    def reachable_tiers(self, o: int) -> list[int]:
        """Price tiers whose volume this buyer can reach at all."""
        total = sum(int(self.largest_delivery[i]) * self.nameplate_mwh[o] for i in np.flatnonzero(self.pair_offer == o))
        return [t for t, tier in enumerate(self.problem.offers[o].tiers) if tier.from_mwh <= total + 1e-9]

    @cached_property
    def unit_cost_musd(self) -> Mapping[tuple[int, int, int, str], float]:
        """Present value of one container by (offer, period, tier, state), in million USD."""
        problem = self.problem
        costs = {}
        for o, p in self.pairs:
            period = problem.periods[p]
            phase = self.phase[p]
            for t in self.reachable_tiers(o):
                cost = finance.container_cost(
                    problem, problem.offers[o], period, problem.offers[o].tiers[t].discount_frac
                )
                started = None if phase is None else problem.case.policy.phases[phase]
                for state in self.states(o, p):
                    items = finance.with_credit(problem, problem.offers[o], period, cost, started, state)
                    costs[o, p, t, state] = finance.counted_usd(problem, items) / USD_PER_MUSD
        return costs
