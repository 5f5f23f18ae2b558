"""Orders alone, completed to a whole plan: load carried, credits, places and cost follow by arithmetic.

With the sourcing network on they get the cheapest sources with which they keep the exposure limits.

Whatever the orders break stays broken and is named by the verifier; nothing here repairs them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyomo.environ as pyo

from planner import decode, policy, yard
from planner.decode import Decision
from planner.explain.sources import sources_for
from planner.model import purchase, site
from planner.model.coefficients import Coefficients
from planner.model.row import RULES
from planner.pipeline import stated
from planner.problem import FloatArray, Problem
from planner.results import CreditState, Plan
from planner.solve import Compiled, Run, Stop

_PLACE_S = 5.0
Counts = Mapping[tuple[str, str], int]


class OrderedOnly(Coefficients):
    """Coefficients of the deliveries that are ordered, allowed or not, and of nothing else."""

    def __init__(self, problem: Problem, counts: Counts) -> None:
        super().__init__(problem)
        self.may_come = list(self.offers_used)
        index = {o.offer: i for i, o in enumerate(problem.offers)}
        period = {p.label: p.index for p in problem.periods}
        self.pairs = sorted((index[o], period[p]) for (o, p), n in counts.items() if n > 0)
        self.pair_offer = np.array([o for o, _ in self.pairs], dtype=np.int64)
        self.pair_period = np.array([p for _, p in self.pairs], dtype=np.int64)
        self.offers_used = sorted({o for o, _ in self.pairs})

    @property
    def bridge_delays_h(self) -> list[float]:
        """Delays of all offers that may be bought: the first seconds hold for them, ordered or not."""
        return sorted({self._below_step(o) for o in {*self.may_come, *self.offers_used}} - {0.0})


def complete(problem: Problem, counts: Counts, bound_musd: float = np.inf) -> Plan:
    """Plan that orders amount to.

    Parameters
    ----------
    problem
        The planning question.
    counts
        Containers by (offer, period label); both must be known.
    bound_musd
        Bound of the question, if it has one; else the cost itself is stated.

    Returns
    -------
    Plan
        Not yet verified. The load is the largest that the fleet carries through every outage (so load that
        was contracted may be missing), each tier is the cheapest reached, and each phase has its best credit.
    """
    c = OrderedOnly(problem, counts)
    containers = np.zeros((len(problem.offers), len(problem.periods)), dtype=np.int64)
    index = {o.offer: i for i, o in enumerate(problem.offers)}
    period = {p.label: p.index for p in problem.periods}
    for (name, label), n in counts.items():
        containers[index[name], period[label]] += n
    tiers = {o: _tier(problem, o, int(containers[o].sum())) for o in c.offers_used}
    placed, options = _place(c, containers)
    served = carried_mw(c, containers)
    sources = sources_for(c, containers)
    d = Decision(containers, tiers, _states(c, containers), placed, options, served, sourced_mwh=sources)
    return stated(c, d, bound_musd)


def nothing_lost_mw(problem: Problem, counts: Counts) -> dict[str, float]:
    """Load that orders carry in each period when nothing of the fleet is ever lost, in MW."""
    c = OrderedOnly(problem, counts)
    containers = np.zeros((len(problem.offers), len(problem.periods)), dtype=np.int64)
    for o, p in c.pairs:
        containers[o, p] = counts[problem.offers[o].offer, problem.periods[p].label]
    carried = carried_mw(c, containers, losses=False)
    return {period.label: float(mw) for period, mw in zip(problem.periods, carried, strict=True)}


def _tier(problem: Problem, o: int, count: int) -> int:
    """Cheapest price tier whose volume is reached; the first where none is."""
    offer = problem.offers[o]
    mwh = count * offer.energy_nameplate_dc_mwh
    reached = [t for t, tier in enumerate(offer.tiers) if tier.from_mwh <= mwh + 1e-9]
    return max(reached, key=lambda t: offer.tiers[t].discount_frac) if reached else 0


def _states(c: Coefficients, containers: np.ndarray) -> dict[int, CreditState]:
    """Best credit that the content ratios of each phase allow, with the makers' own sources."""
    problem = c.problem
    storage = np.array([o.is_storage for o in problem.offers])
    weight = containers * (c.nameplate_mwh * storage)[:, None]
    found: dict[int, CreditState] = {}
    for h, phase in enumerate(problem.case.policy.phases):
        part = weight[:, [p for p, at in enumerate(c.phase) if at == h]].sum(axis=1)
        found[h] = "none"
        if problem.case.policy.monetisation == "none" or part.sum() <= 0:
            continue
        macr, domestic = float(c.macr @ part / part.sum()), float(c.domestic @ part / part.sum())
        threshold = policy.macr_threshold(problem, phase)
        content = domestic >= policy.domestic_threshold(problem, phase)
        if threshold is not None and macr < threshold:
            continue
        if content:
            found[h] = "bonus"
        elif problem.case.policy.monetisation != "elective_pay":
            found[h] = "base"
    return found


def carried_mw(c: OrderedOnly, containers: np.ndarray, losses: bool = True) -> FloatArray:
    """Largest load of every period that a fleet carries through every outage that must be survived, in MW.

    Without ``losses`` only outages in which nothing of the fleet is lost count.
    """
    problem = c.problem
    pairs = np.array([containers[o, p] for o, p in c.pairs], dtype=float)
    used = containers.sum(axis=1) > 0
    served = np.zeros(len(problem.periods))
    hours = problem.case.reliability.storage_mandate_h
    for p, period in enumerate(problem.periods):
        share = _carried_share(c, pairs, used, p, losses)
        mw = min(period.target_mw, period.energisable_mw, share * period.target_mw)
        if hours > 0:
            storage = np.array([problem.offers[o].is_storage for o in c.pair_offer], dtype=bool)
            mwh = float(pairs[storage] @ c.faded_mwh[storage, p]) / problem.case.reliability.reserve_frac
            mw = min(mw, mwh / hours)
        served[p] = max(0.0, mw)
    for p in range(len(served) - 2, -1, -1):  # load once energised stays energised
        served[p] = min(served[p], served[p + 1])
    return served


def _carried_share(c: OrderedOnly, pairs: FloatArray, used: np.ndarray, p: int, losses: bool) -> float:
    """Share of the target that every outage row of a period allows."""
    need = c.requirement.mwh[p]
    wanted = need > 0
    o = c.pair_offer
    reach = c.power_mw[o][:, None] * c.open_hours[o]
    one = c.availability[o][:, None] * np.minimum(reach, c.faded_mwh[:, p][:, None])
    share = np.inf
    for contingency, holds in zip(c.contingencies, c.holds[:, p], strict=True):
        fire = contingency.fire_offer
        if contingency.kind != "none" and not losses:
            continue
        if not holds or contingency.by_level or (fire is not None and not used[fire]):
            continue
        kept = pairs * np.array([i not in contingency.offers for i in o], dtype=float)
        have = kept @ one - (c.fire_loss_mwh[fire] if fire is not None else 0.0)
        phi = contingency.surviving_frac
        if wanted.any():
            share = min(share, float((have[wanted] / (phi * need[wanted])).min()))
        for delay in c.bridge_delays_h:
            peak = c.requirement.peak_mw[p] * delay
            first = float(kept @ c.bridged_mwh(p, delay)) - (
                c.bridge_loss_mwh(fire, delay) if fire is not None else 0.0
            )
            share = min(share, first / (phi * peak)) if peak > 0 else share
    return max(0.0, min(1.0, share))


def _place(c: OrderedOnly, containers: np.ndarray) -> tuple[np.ndarray, tuple[yard.ZoneOption, ...]]:
    """Places of the ordered containers: within the rules if they fit, else without fire caps, else anywhere."""
    zones = c.problem.case.site.zones
    for left_out in (frozenset[str](), frozenset({"fire"}), frozenset({"fire", "site_area"})):
        found = _placed(c, containers, frozenset(RULES) - left_out)
        if found is not None:
            return found
    placed = np.zeros((*containers.shape, len(zones)), dtype=np.int64)
    placed[:, :, 0] = containers
    return placed, tuple(options[0] for options in c.zone_options)


def _placed(
    c: OrderedOnly, containers: np.ndarray, rules: frozenset[str]
) -> tuple[np.ndarray, tuple[yard.ZoneOption, ...]] | None:
    """Cheapest placing under some rules; None if there is none."""
    m = pyo.ConcreteModel()
    offers, periods = c.problem.offers, c.problem.periods
    purchase.declare(m, c)
    supply_free = {(offers[o].offer, periods[p].label): int(containers[o, p]) for o, p in c.pairs}
    for key, variable in m.containers.items():
        variable.setlb(supply_free[key])
        variable.setub(supply_free[key])
    site.declare(m, c)
    for variable in m.placed.values():
        variable.domain = pyo.NonNegativeIntegers
        variable.setub(None)
    for member in site.FAMILIES:
        if not member.rule or member.rule in rules:
            member.add(m, c)
    walls = [
        (j.cost_usd / 1e6, m.zone_option[zone.zone, j.label])
        for zone, js in zip(c.problem.case.site.zones, c.zone_options, strict=True)
        for j in js
    ]
    m.cost = pyo.Objective(expr=sum(a * v for a, v in walls))
    compiled = Compiled.from_pyomo(m)
    run = Run(compiled, Stop(_PLACE_S), c.problem.case.solver.seed)
    run.load(compiled.integer)
    attempt = run.solve(0.0)
    if attempt.x is None:
        return None
    x = np.where(compiled.integer, np.round(attempt.x), attempt.x)

    def value(variable: object) -> float:
        j = compiled.index(variable)
        return float(x[j]) if j >= 0 else 0.0

    chosen = []
    for zone, js in zip(c.problem.case.site.zones, c.zone_options, strict=True):
        taken = [j for j in js if value(m.zone_option[zone.zone, j.label]) > 0.5]
        chosen.append(taken[0] if taken else js[0])
    return decode.spread(c, m, containers, value), tuple(chosen)
