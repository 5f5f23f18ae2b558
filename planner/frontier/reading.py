"""Reading a front: points with prices, the knee, jumps in words, weights, public money, break-even."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from planner.exposure import exposure_share
from planner.frontier.campus import Campus, limited
from planner.frontier.cutoff import break_even_frac_per_yr
from planner.frontier.front import Front
from planner.frontier.hull import hull_of
from planner.frontier.results import (
    BandStep,
    Frontier,
    FrontierJump,
    FrontierPoint,
    FrontierSegment,
    WeightGap,
    WeightPoint,
)
from planner.infeasible import explain
from planner.problem import Problem
from planner.report.wording import chemistry
from planner.results import Plan
from planner.solve import Stop
from planner.units import USD_PER_MUSD

#: Exposure that prices are stated for: one point.
POINT = 0.01
_NONE_EXPOSURE = 1e-6
_EXPLAIN_S = 60.0
_BAND_STEPS = 400
#: A stretch counts as unreached by weights when the front lies this far (normalised) above its hull.
_ABOVE_HULL = 1e-4
_CREDIT = {"none": "no credit", "base": "base credit", "bonus": "bonus credit"}
BREAK_EVEN_WORDS = (
    "Each year exports are cut off with this probability, once and for good. Exposed deliveries that have not arrived"
    " are then lost: each exposed kWh costs more to replace, and the load that it would have carried waits at the price"
    " of delay. The premium of a point pays from the probability at which it equals the expected loss that it avoids,"
    " both in present value."
)


def gathered(
    campus: Campus, front: Front, made: Sequence[Plan], bound_musd: float, thetas: Sequence[float],
    uncovered_whole_frac: float, tolerance: float, free_firm: bool, scenario: str, stop: Stop,
    timing_s: dict[str, float],
) -> tuple[Frontier, tuple[Plan, ...]]:  # fmt: skip
    """Put everything together; the plans come back in the order of the points."""
    measure, problem = campus.measure, campus.problem
    plans = undominated(made, measure)
    corners = [(p.exposure_frac[measure], p.cost_musd) for p in plans]
    knee = knee_of(corners)
    on_hull = set(hull_of(corners))
    weights = tuple(WeightPoint(theta=t, point=weight_choice(corners, t)) for t in thetas)
    unreached, share = unreached_by_weights(front)
    points = tuple(
        _point(campus, front, plans, i, bound_musd, i in on_hull, _role(i, len(plans), knee)) for i in range(len(plans))
    )
    met = front.uncovered_frac <= tolerance
    status = "interrupted" if stop.interrupted else "gap_limit" if met else "time_limit"
    if any(p.status == "unverified" for p in plans):
        status = "unverified"
    frontier = Frontier(
        case=problem.case.case, title=problem.case.title, scenario=scenario, input_sha256=problem.input_sha256,
        measure=measure, tolerance=tolerance, uncovered_frac=front.uncovered_frac,
        uncovered_whole_frac=uncovered_whole_frac, status=status, firm="free" if free_firm else "held",
        required_mwh=plans[0].required_mwh, points=points,
        segments=tuple(
            FrontierSegment(
                left_exposure_frac=s.left.exposure, left_cost_musd=s.left.cost, left_closed=s.left_closed,
                right_exposure_frac=s.right.exposure, right_cost_musd=s.right.cost, right_closed=s.right_closed,
                price_musd=s.price * POINT,
            )
            for s in front.segments
        ),
        jumps=tuple(
            FrontierJump(
                exposure_frac=j.exposure, cost_below_musd=j.cost_below, cost_at_musd=j.cost_at,
                words=jump_words(plans, corners, j.exposure),
            )
            for j in front.jumps
        ),
        band=band(front), weights=weights, unreached=unreached, unreached_saving_frac=share,
        knee=knee, knee_words=_knee_words(plans, corners, knee),
        least_exposure_words=least_exposure_words(campus, corners[0][0], free_firm),
        break_even_words=BREAK_EVEN_WORDS, findings=front.incidents, solves=front.solves, timing_s=timing_s,
    )  # fmt: skip
    return frontier, tuple(plans)


def undominated(made: Sequence[Plan], measure: str) -> list[Plan]:
    """Plans that no other beats in both cost and exposure, exposure rising."""
    kept: list[Plan] = []
    for plan in sorted(made, key=lambda p: (p.exposure_frac[measure], p.cost_musd)):
        if not kept or plan.cost_musd < kept[-1].cost_musd - 1e-9:
            kept.append(plan)
    return kept


def knee_of(corners: Sequence[tuple[float, float]]) -> int | None:
    """The point furthest below the straight line between the two ends; None with fewer than three points."""
    if len(corners) < 3:
        return None
    (e0, c0), (e1, c1) = corners[0], corners[-1]
    below = [(c0 + (c1 - c0) * (e - e0) / (e1 - e0) - c) / (c0 - c1) for e, c in corners]
    best = int(np.argmax(below))
    return best if below[best] > 1e-6 else None


def weight_choice(corners: Sequence[tuple[float, float]], theta: float) -> int:
    """The point that minimises (1-theta) cost + theta exposure, both normalised; theta 0 and 1 are the ends."""
    (e0, c0), (e1, c1) = corners[0], corners[-1]
    if theta >= 1.0 or len(corners) == 1:
        return 0
    if theta <= 0.0:
        return len(corners) - 1
    scores = [(1 - theta) * (c - c1) / (c0 - c1) + theta * (e - e0) / (e1 - e0) for e, c in corners]
    return int(np.argmin(scores))


def unreached_by_weights(front: Front) -> tuple[tuple[WeightGap, ...], float]:
    """Stretches of the front above its convex hull, and the share of the whole saving that they hold."""
    corners = [(p.exposure, p.cost) for p in front.points]
    hull = hull_of(corners)
    gaps, held = [], 0.0
    saving = corners[0][1] - corners[-1][1]
    wide = corners[-1][0] - corners[0][0]
    for a, b in pairwise(hull):
        (e0, c0), (e1, c1) = corners[a], corners[b]
        inner = [front.upper(e0 + (e1 - e0) * k / 64) - (c0 + (c1 - c0) * k / 64) for k in range(1, 64)]
        if max(inner) > _ABOVE_HULL * saving and e1 - e0 > _ABOVE_HULL * wide:
            gaps.append(WeightGap(from_exposure_frac=e0, to_exposure_frac=e1, cost_musd=c0 - c1))
            held += c0 - c1
    return tuple(gaps), held / saving if saving > 0 else 0.0


def band(front: Front) -> tuple[BandStep, ...]:
    """Attained and proved cost at even steps and at every corner."""
    left, right = front.points[0].exposure, front.points[-1].exposure
    at = {left + (right - left) * k / _BAND_STEPS for k in range(_BAND_STEPS + 1)} | {p.exposure for p in front.points}
    steps = [(e, front.upper(e), front.lower(e)) for e in sorted(at)]
    return tuple(
        BandStep(exposure_frac=e, attained_musd=high, bound_musd=min(low, high))
        for e, high, low in steps
        if np.isfinite(high) and np.isfinite(low)
    )


def _point(
    campus: Campus, front: Front, plans: Sequence[Plan], i: int, bound_musd: float, supported: bool, role: str
) -> FrontierPoint:
    measure, plan = campus.measure, plans[i]
    e = plan.exposure_frac[measure]
    bound = min(max(front.lower(e), bound_musd, plan.bound_musd), plan.cost_musd)
    left, right = prices(front, e)
    cheap = plans[-1]
    removed = (cheap.exposure_frac[measure] - e) * plan.required_mwh
    public = cheap.public_musd["net"] - plan.public_musd["net"]
    return FrontierPoint(
        cost_musd=plan.cost_musd, bound_musd=bound, gap_frac=(plan.cost_musd - bound) / max(abs(plan.cost_musd), 1e-9),
        relaxed_cost_musd=min(front.upper(e + 1e-9), plan.cost_musd), exposure_frac=e, supported=supported,
        plan=f"plans/{i:03d}/plan.json", status=plan.status, role=role,
        price_left_musd=left if i else None, price_right_musd=right if i < len(plans) - 1 else None,
        cutoff_break_even_frac_per_yr=break_even_frac_per_yr(campus.problem, measure, cheap, plan),
        public_net_musd=plan.public_musd["net"],
        public_usd_per_mwh=public * USD_PER_MUSD / removed if removed > _NONE_EXPOSURE else None,
    )  # fmt: skip


def prices(front: Front, e: float) -> tuple[float | None, float | None]:
    """Million USD per point of exposure just left and right of an exposure; None where the front is flat or jumps."""
    near = 1e-9
    left = next((s.price for s in front.segments if s.left.exposure < e - near and e <= s.right.exposure + near), None)
    right = next((s.price for s in front.segments if s.left.exposure <= e + near and e < s.right.exposure - near), None)
    return (None if left is None else left * POINT), (None if right is None else right * POINT)


def _role(i: int, count: int, knee: int | None) -> str:
    if i == count - 1:
        return "cheap end"
    if i == 0:
        return "secure end"
    return "knee" if i == knee else ""


def jump_words(plans: Sequence[Plan], corners: Sequence[tuple[float, float]], at: float) -> str:
    """What changes between the plans on both sides of an exposure, going towards less exposure."""
    left = max((i for i, (e, _) in enumerate(corners) if e < at - 1e-9), default=None)
    right = min((i for i, (e, _) in enumerate(corners) if e >= at - 1e-9), default=None)
    if left is None or right is None:
        return ""
    return change_words(plans[right], plans[left])


def change_words(before: Plan, after: Plan) -> str:
    """What changes from one plan to another, in words."""
    words = []
    for what in ("supplier", "chemistry"):
        had, has = ({getattr(o, what) for o in p.orders} - {"none"} for p in (before, after))
        for verb, names in (("no more", had - has), ("now", has - had)):
            if names:
                said = sorted(names) if what == "supplier" else sorted(map(chemistry, names))
                words.append(f"{verb}{' from' if what == 'supplier' else ''} {', '.join(said)}")
    for phase, state in before.credit_state.items():
        now = after.credit_state.get(phase, state)
        if now != state:
            words.append(f"phase {phase}: {_CREDIT[now]} instead of {_CREDIT[state]}")
    late = [
        f"{p} by {a - b:,.0f} MW" for p, a in before.served_mw.items() if a - (b := after.served_mw.get(p, a)) > 0.5
    ]
    if late:
        words.append("load delayed in " + ", ".join(late))
    early = [p for p, a in before.served_mw.items() if after.served_mw.get(p, a) - a > 0.5]
    if early:
        words.append("load earlier in " + ", ".join(early))
    if not words:
        return _shift_words(before, after)
    return "; ".join(words)


def _shift_words(before: Plan, after: Plan) -> str:
    """The largest shift of energy between offers, where nothing else changes."""
    shift: dict[str, float] = {}
    for sign, plan in ((-1, before), (1, after)):
        for order in plan.orders:
            shift[order.offer] = shift.get(order.offer, 0.0) + sign * order.energy_mwh
    if not shift or max(map(abs, shift.values())) < 1e-9:
        return "the same purchase"
    down, up = min(shift, key=lambda o: shift[o]), max(shift, key=lambda o: shift[o])
    names = {a.offer: a.name for plan in (before, after) if plan.dossier is not None for a in plan.dossier.awards}
    less, more = names.get(down, down), names.get(up, up)
    return f"{-shift[down]:,.0f} MWh less of {less}, {shift[up]:,.0f} MWh more of {more}"


def _knee_words(plans: Sequence[Plan], corners: Sequence[tuple[float, float]], knee: int | None) -> str:
    if knee is None:
        return "The front has no knee: it is a point, or straight."
    (e0, c0), (e1, c1), (e, c) = corners[0], corners[-1], corners[knee]
    return (
        f"At the knee {(e1 - e) / (e1 - e0):.0%} of the exposure is gone for {(c - c1) / (c0 - c1):.0%} of the whole"
        f" premium ({c - c1:,.1f} of {c0 - c1:,.1f} million USD). Beyond it: {change_words(plans[knee], plans[0])}."
    )


def least_exposure_words(campus: Campus, least: float, free_firm: bool) -> str:
    """Why the secure end is not zero, or that it is.

    Arithmetic first: where every offer of storage is exposed, the supply alone prevents zero. Otherwise the rules
    that clash with it are looked for.
    """
    if least <= _NONE_EXPOSURE:
        return "A plan without any exposure by this measure exists, and serves the contracted load."
    held = " (firm resources held)" if not free_firm else ""
    words = f"The least exposure found is {least:.4f}{held}; the contracted load is served."
    supply = least_exposed_offer_words(campus.problem, campus.measure)
    if supply:
        return f"{words} {supply}"
    try:
        clash = explain(limited(campus.problem, campus.measure, 0.0), _EXPLAIN_S)
    except Exception as error:  # the front stands without the explanation
        return f"{words} Why could not be found out ({type(error).__name__})."
    kept = [c.words for c in clash if not c.rule.startswith("exposure_limit")]
    return f"{words} With no exposure at all these could not be kept: {'; '.join(kept) or 'whole containers alone'}."


def least_exposed_offer_words(problem: Problem, measure: str) -> str:
    """The supply that prevents zero: the least exposed offers, if every one is exposed; empty if one is not.

    A sourcing network or a measure by layer mixes offers, so that no single offer answers.
    """
    if problem.case.sourcing.mode != "none" or measure.startswith("chokepoint"):
        return ""
    storage = [o for o in problem.offers if o.is_storage]
    shares = sorted((exposure_share(problem, o, measure), o.product, o.supplier) for o in storage)
    if not shares or shares[0][0] <= _NONE_EXPOSURE:
        return ""
    best = ", ".join(f"{product} of {supplier} {share:.1%}" for share, product, supplier in shares[:3])
    return (
        f"Zero is prevented by the supply: each of the {len(shares)} storage offers is exposed by this measure."
        f" The least exposed: {best}."
    )
