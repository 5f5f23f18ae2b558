"""Clearly different plans of whole containers whose cost is near the optimum."""

from __future__ import annotations

import numpy as np

from planner import decode
from planner.answers import Alternative, AlternativeOrder
from planner.dossier import full_name
from planner.explain.desk import Desk
from planner.pipeline import stated
from planner.problem import FloatArray, Offer, Problem
from planner.results import Plan
from planner.solve import INFINITY, Infeasible, NoPlan, SolverFault
from planner.verify import verify
from planner.workbench import Change

MOST_ALTERNATIVES = 5
WITHIN_FRAC = 0.02
#: Plans count as clearly different when this share of their storage is of other offers.
CLEARLY_FRAC = 0.1
_MOST_TRIES = 3
#: Share of the cost kept for making containers whole, and how far a count may move for it.
_ROUNDING_FRAC = 0.002
_REACH = 3
#: Seconds that each step of one alternative may take: any plan that is clearly different will do.
_STEP_S = 12.0
#: The search for the most different plan stops within this share of the storage.
_CLOSE_FRAC = 0.002


def shares(problem: Problem, plan: Plan) -> FloatArray:
    """Share of each offer in the usable storage energy of a plan, shape (O,)."""
    index = {o.offer: i for i, o in enumerate(problem.offers)}
    energy = np.zeros(len(problem.offers))
    for order in plan.orders:
        if problem.offers[index[order.offer]].is_storage:
            energy[index[order.offer]] += order.energy_mwh
    return np.asarray(energy / max(float(energy.sum()), 1e-9))


def moved_frac(a: FloatArray, b: FloatArray) -> float:
    """Share of the storage that is of other offers in one plan than in the other, 0 to 1."""
    return float(1.0 - np.minimum(a, b).sum())


def next_alternative(desk: Desk, known: list[FloatArray], number: int) -> tuple[Alternative, FloatArray] | None:
    """Search the plan that shares least with those known, within the cost; None if none is clearly different.

    Parameters
    ----------
    desk
        The plan and its question.
    known
        Shares of the plan and of the alternatives so far.
    number
        Of this alternative.
    """
    desk.note(f"alternative {number}")
    stored = frozenset(o for o, offer in enumerate(desk.problem.offers) if offer.is_storage)
    weights, within = np.ones(len(known)), WITHIN_FRAC - (_ROUNDING_FRAC if desk.kind == "fractions" else 0.0)
    for _ in range(_MOST_TRIES):
        plan = _unlike(desk, np.asarray(weights @ np.array(known)), stored, within)
        if plan is None:  # in whole containers it would cost too much, perhaps
            within -= _ROUNDING_FRAC
            continue
        mine = shares(desk.problem, plan)
        moved = [moved_frac(mine, other) for other in known]
        if min(moved) >= CLEARLY_FRAC:
            return _stated(desk, plan, known, mine, stored, number), mine
        if desk.kind == "whole":  # searched to the end: the next try would tell the same
            return None
        weights[int(np.argmin(moved))] *= 4.0
    return None


def _unlike(desk: Desk, weight: FloatArray, stored: frozenset[int], within_frac: float) -> Plan | None:
    """Plan near the optimum with as little as possible of what has weight; None if none was found in time."""
    bench = desk.bench
    total = max(1.0, sum(order.energy_mwh for order in desk.plan.orders if desk.index[order.offer] in stored))
    objective = np.zeros(len(bench.compiled.cost))
    for o in stored:  # a little of every MWh, so that nothing is bought only to be different
        objective += (weight[o] + 0.05) / total * bench.energy_row(frozenset([o]))
    limit = (1.0 + within_frac) * desk.plan.cost_musd - bench.compiled.offset
    change = Change(cost=objective, rows=((bench.compiled.cost.copy(), -INFINITY, limit),))
    found = bench.solve(
        change, gap_frac=0.0, abs_gap=_CLOSE_FRAC, start=desk.best.x, limit_s=_step_s(desk), plan_wanted=True
    )
    return None if found.x is None else _whole(desk, change, found.x)


def _stated(
    desk: Desk, plan: Plan, known: list[FloatArray], mine: FloatArray, stored: frozenset[int], number: int
) -> Alternative:
    """One alternative in words and figures, replayed."""
    extra = plan.cost_musd - desk.plan.cost_musd
    verdict = verify(desk.problem, plan, monte_carlo=False)
    moved = moved_frac(mine, known[0])
    gone = [_name(desk.problem.offers[o]) for o in stored if known[0][o] > 0.01 and mine[o] <= 0.001]
    new = [_name(desk.problem.offers[o]) for o in stored if mine[o] > 0.01 and known[0][o] <= 0.001]
    text = f"{moved:.0%} of the storage from other offers"
    text += f"; in: {', '.join(sorted(new))}" if new else ""
    text += f"; out: {', '.join(sorted(gone))}" if gone else ""
    orders = tuple(
        AlternativeOrder(offer=r.offer, period=r.period, containers=r.containers, energy_mwh=r.energy_mwh)
        for r in plan.orders
    )
    cost = desk.plan.cost_musd
    return Alternative(
        number=number,
        cost_musd=plan.cost_musd,
        extra_cost_musd=extra,
        extra_frac=extra / max(abs(cost), 1e-9),
        moved_frac=moved,
        verified=verdict.passed,
        text=text,
        orders=orders,
    )


def _name(offer: Offer) -> str:
    return full_name(offer.supplier, offer.product)


def _step_s(desk: Desk) -> float:
    return min(desk.question_s, _STEP_S)


def _whole(desk: Desk, change: Change, x: FloatArray) -> Plan | None:
    """Whole containers for the decisions of a near-best plan, as a full plan; None if there are none."""
    if desk.kind == "fractions":
        return _rounded(desk, change, x)
    bench = desk.bench
    # The search only asked for other offers: what else it left open is now set at least cost.
    kept = {int(j): float(round(x[j])) for j in np.flatnonzero(bench.compiled.integer)}
    settled = bench.solve(Change(kept, kept), gap_frac=0.0, limit_s=_step_s(desk))
    if settled.x is not None:
        x = settled.x
    d = decode.decode(bench.c, bench.model, bench.compiled, x)
    return stated(bench.c, d, desk.plan.bound_musd)


def _rounded(desk: Desk, change: Change, x: FloatArray) -> Plan | None:
    """Whole containers near a plan in fractions that is different enough, after its cost is brought down again."""
    assert change.cost is not None
    likeness = Change(rows=((change.cost, -INFINITY, float(change.cost @ x) + _CLOSE_FRAC),))
    cheaper = desk.bench.attained(likeness, x)
    search = desk.whole_search
    wanted = x if cheaper.x is None else cheaper.x
    if len(search.compiled.cost) != len(wanted):
        return None
    try:
        found = search.whole_plan(wanted, desk.gap_frac / 10.0, _REACH, _step_s(desk))
    except (Infeasible, NoPlan, SolverFault):
        return None
    if found is None or found.x is None:
        return None
    made = stated(search.c, decode.decode(search.c, search.model, search.compiled, found.x), desk.plan.bound_musd)
    return made if made.cost_musd <= (1.0 + WITHIN_FRAC) * desk.plan.cost_musd else None


def shares_of(problem: Problem, alternative: Alternative) -> FloatArray:
    """Share of each offer in the storage energy of an alternative that was found earlier, shape (O,)."""
    index = {o.offer: i for i, o in enumerate(problem.offers)}
    energy = np.zeros(len(problem.offers))
    for order in alternative.orders:
        if problem.offers[index[order.offer]].is_storage:
            energy[index[order.offer]] += order.energy_mwh
    return np.asarray(energy / max(float(energy.sum()), 1e-9))


def summary_text(count: int) -> str:
    """Say how many there are, and why no more."""
    if count == MOST_ALTERNATIVES:
        return (
            f"{count} plans within {WITHIN_FRAC:.0%} of the cost, each with {CLEARLY_FRAC:.0%} or more of other offers."
        )
    return (
        f"{count} found: in the time of a search no further plan within {WITHIN_FRAC:.0%} of the cost was found with"
        f" {CLEARLY_FRAC:.0%} or more of its storage from other offers."
    )
