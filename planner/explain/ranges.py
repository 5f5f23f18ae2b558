"""How much of each supplier, country and chemistry is in every plan near the optimum."""

from __future__ import annotations

import numpy as np

from planner.answers import Range
from planner.explain.desk import Desk
from planner.explain.offers import with_offer, without_offers
from planner.problem import FloatArray
from planner.solve import INFINITY
from planner.workbench import Bracket, Change

#: Cost above the optimum within which plans count as near it.
WITHIN_FRAC = (0.01, 0.02)
GROUPS = {"supplier": "supplier", "country": "cell_country", "chemistry": "chemistry"}
#: Least and largest amounts are found to this share of the storage in the best plan, or in the time given.
_AMOUNT_GAP_FRAC = 0.02
#: Energy below this share of the storage in the best plan counts as none.
_NONE_FRAC = 1e-6


def groups_of(desk: Desk) -> tuple[tuple[str, str, frozenset[int]], ...]:
    """(kind, name, offers) of every group that has storage on offer."""
    found = []
    for kind, attribute in GROUPS.items():
        stored = [o for o, offer in enumerate(desk.problem.offers) if offer.is_storage]
        for name in sorted({str(getattr(desk.problem.offers[o], attribute)) for o in stored}):
            members = frozenset(o for o in stored if getattr(desk.problem.offers[o], attribute) == name)
            found.append((kind, name, members))
    return tuple(found)


def near_best(desk: Desk, within_frac: float) -> Change:
    """The row that keeps a plan's cost within a share of the best one found."""
    compiled = desk.bench.compiled
    limit = (1.0 + within_frac) * desk.best.upper - compiled.offset
    return Change(rows=((compiled.cost.copy(), -INFINITY, limit),))


def range_of(
    desk: Desk, kind: str, name: str, offers: frozenset[int], within_frac: float, branch: bool = True
) -> Range:
    """Least and largest amount of a group over all plans within a share of the optimum.

    The cost of the best plan with the group, and of the best without it, tell most verdicts; the amounts are
    looked for only where these two leave them open. Without ``branch`` the amounts are those of a few plans and
    relaxations: a first bracket.
    """
    desk.note(f"range of {kind} {name} within {within_frac:.0%}{'' if branch else ', first figures'}")
    bench, best = desk.bench, desk.best
    assert best.x is not None
    row = bench.energy_row(offers)
    stored = frozenset(o for o, offer in enumerate(desk.problem.offers) if offer.is_storage)
    total = float(bench.energy_row(stored) @ best.x)
    near = near_best(desk, within_frac)
    limit = (1.0 + within_frac) * best.upper
    none = Bracket(0.0, 0.0, best.x)
    without, having = _without(desk, offers, branch), _with(desk, offers, branch)
    least = none if without.upper <= limit else _extreme(desk, near, row, total, best.x, branch)
    if having.lower > limit:
        most = none
    else:
        begin = having.x if having.x is not None and having.upper <= limit else best.x
        upside = _extreme(desk, near, -row, total, begin, branch)
        most = Bracket(-upside.upper, -upside.lower, upside.x)
    if having.x is not None and having.upper <= limit:  # the cheapest plan with the group is one of those near it
        most = Bracket(max(most.lower, float(row @ having.x)), most.upper, most.x)
    mine = row != 0.0
    ceiling = float(bench.compiled.upper[mine] @ row[mine])
    planned = sum(order.energy_mwh for order in desk.plan.orders if desk.index.get(order.offer) in offers)
    close = _AMOUNT_GAP_FRAC * total if desk.kind == "fractions" else 1e-6 * max(total, 1.0)
    wide = max(least.upper - max(0.0, least.lower), min(most.upper, ceiling) - max(0.0, most.lower))
    return Range(
        settled=bool(wide <= close),
        group=kind,
        name=name,
        within_frac=within_frac,
        problem=desk.kind,
        planned_mwh=planned,
        least_lower_mwh=max(0.0, least.lower),
        least_upper_mwh=least.upper,
        most_lower_mwh=max(0.0, most.lower),
        most_upper_mwh=min(most.upper, ceiling),
        verdict=_verdict(without, having, least, most, limit, _NONE_FRAC * max(total, 1.0)),
    )


def _verdict(without: Bracket, having: Bracket, least: Bracket, most: Bracket, limit: float, none_mwh: float) -> str:
    if without.lower > limit or least.lower > none_mwh:
        return "in every plan"
    if having.lower > limit or most.upper <= none_mwh:
        return "in none"
    some = having.upper <= limit or most.lower > none_mwh
    return "a choice" if some and (without.upper <= limit or least.upper <= none_mwh) else "open"


def _with(desk: Desk, offers: frozenset[int], branch: bool) -> Bracket:
    """Cheapest plan that buys something of a group."""
    bench, best = desk.bench, desk.best
    assert best.x is not None
    if any(bench.uses(best.x, o) for o in offers):
        return best
    members = [o for o in offers if o in bench.c.offers_used]
    if not members:
        return Bracket(np.inf, np.inf, None)
    each = [desk.turned.get((frozenset([o]), True)) for o in members]
    known = [b for b in each if b is not None]
    if len(known) == len(members):  # the cheapest of its offers is the answer
        cheapest = min(known, key=lambda b: b.upper)
        told = Bracket(min(b.lower for b in known), cheapest.upper, cheapest.x)
        before = desk.turned.get((offers, True))
        desk.turned[offers, True] = told if before is None or told.impossible else told.joined(before)
    return desk.turn(offers, True, branch, with_offer(desk, members[0], best.x))


def _without(desk: Desk, offers: frozenset[int], branch: bool) -> Bracket:
    """Cheapest plan without a group."""
    bench, best = desk.bench, desk.best
    assert best.x is not None
    if not any(bench.uses(best.x, o) for o in offers):
        return best
    return desk.turn(offers, False, branch, without_offers(desk, offers, best.x))


def _extreme(desk: Desk, near: Change, row: FloatArray, total: float, start: FloatArray, branch: bool) -> Bracket:
    """Least of a sum over the columns among the plans near the optimum; the start is one of them."""
    close = _AMOUNT_GAP_FRAC * total if desk.kind == "fractions" else 0.0
    change = near.and_also(Change(cost=row))
    return desk.bench.solve(change, gap_frac=0.0, abs_gap=close, start=start, limit_s=desk.question_s, branch=branch)
