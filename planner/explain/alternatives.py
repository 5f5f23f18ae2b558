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
from planner.solve import INFINITY
from planner.verify import verify
from planner.workbench import Change

MOST_ALTERNATIVES = 5
WITHIN_FRAC = 0.02
#: Plans count as clearly different when this share of their storage is of other offers.
CLEARLY_FRAC = 0.1
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
    bench = desk.bench
    weight = np.sum(known, axis=0)
    stored = frozenset(o for o, offer in enumerate(desk.problem.offers) if offer.is_storage)
    total = max(1.0, sum(order.energy_mwh for order in desk.plan.orders if desk.index[order.offer] in stored))
    objective = np.zeros(len(bench.compiled.cost))
    for o in stored:  # a little of every MWh, so that nothing is bought only to be different
        objective += (weight[o] + 0.05) / total * bench.energy_row(frozenset([o]))
    limit = (1.0 + WITHIN_FRAC) * desk.plan.cost_musd - bench.compiled.offset
    change = Change(cost=objective, rows=((bench.compiled.cost.copy(), -INFINITY, limit),))
    found = bench.solve(
        change, gap_frac=0.0, abs_gap=_CLOSE_FRAC, start=desk.best.x, limit_s=_step_s(desk), plan_wanted=True
    )
    if found.x is None:
        return None
    made = _whole(desk, change, found.x)
    if made is None:
        return None
    plan, extra = made, made.cost_musd - desk.plan.cost_musd
    mine = shares(desk.problem, plan)
    if min(moved_frac(mine, other) for other in known) < CLEARLY_FRAC:
        return None
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
    return (
        Alternative(
            number=number,
            cost_musd=plan.cost_musd,
            extra_cost_musd=extra,
            extra_frac=extra / max(abs(cost), 1e-9),
            moved_frac=moved,
            verified=verdict.passed,
            text=text,
            orders=orders,
        ),
        mine,
    )


def _name(offer: Offer) -> str:
    return full_name(offer.supplier, offer.product)


def _step_s(desk: Desk) -> float:
    return min(desk.question_s, _STEP_S)


def _whole(desk: Desk, change: Change, x: FloatArray) -> Plan | None:
    """Whole containers for the decisions of a near-best plan, as a full plan; None if there are none."""
    bench = desk.bench
    if desk.kind == "fractions":
        bench = desk.whole_bench
        if len(bench.compiled.cost) != len(x):
            return None
        decisions = bench.purchase
        at, values = np.flatnonzero(decisions).tolist(), np.round(x)[decisions].tolist()
        fixed = change.and_also(Change(dict(zip(at, values, strict=True)), dict(zip(at, values, strict=True))))
        whole = bench.solve(fixed, gap_frac=0.0, abs_gap=_CLOSE_FRAC, limit_s=_step_s(desk))
        if whole.x is None:
            return None
        x = whole.x
    # The search only asked for other offers: what else it left open is now set at least cost.
    kept = {int(j): float(round(x[j])) for j in np.flatnonzero(bench.compiled.integer)}
    settled = bench.solve(Change(kept, kept), gap_frac=0.0, limit_s=_step_s(desk))
    if settled.x is not None:
        x = settled.x
    d = decode.decode(bench.c, bench.model, bench.compiled, x)
    return stated(bench.c, d, desk.plan.bound_musd)


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
        f"{count} found: no further plan within {WITHIN_FRAC:.0%} of the cost was found with {CLEARLY_FRAC:.0%} or more"
        " of its storage from other offers."
    )
