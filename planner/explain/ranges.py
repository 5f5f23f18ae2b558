"""How much of each supplier, country and chemistry is in every plan near the optimum."""

from __future__ import annotations

from planner.explain.answers import Range
from planner.explain.desk import Desk
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


def range_of(desk: Desk, kind: str, name: str, offers: frozenset[int], within_frac: float) -> Range:
    """Least and largest amount of a group over all plans within a share of the optimum."""
    desk.note(f"range of {kind} {name} within {within_frac:.0%}")
    bench, best = desk.bench, desk.best
    assert best.x is not None
    row = bench.energy_row(offers)
    stored = frozenset(o for o, offer in enumerate(desk.problem.offers) if offer.is_storage)
    total = float(bench.energy_row(stored) @ best.x)
    near = near_best(desk, within_frac)
    if not row.any():
        least = most = Bracket(0.0, 0.0, best.x)
    else:
        least = _extreme(desk, near, row, total)
        upside = _extreme(desk, near, -row, total)
        most = Bracket(-upside.upper, -upside.lower, upside.x)
    none = _NONE_FRAC * max(total, 1.0)
    mine = row != 0.0
    ceiling = float(bench.compiled.upper[mine] @ row[mine])
    ends = [max(0.0, least.lower), least.upper, max(0.0, most.lower), min(most.upper, ceiling)]
    if ends[0] > none:
        verdict = "in every plan"
    elif ends[3] <= none:
        verdict = "in none"
    elif ends[1] <= none < ends[2]:
        verdict = "a choice"
    else:
        verdict = "open"
    planned = sum(order.energy_mwh for order in desk.plan.orders if desk.index.get(order.offer) in offers)
    return Range(
        group=kind,
        name=name,
        within_frac=within_frac,
        problem=desk.kind,
        planned_mwh=planned,
        least_lower_mwh=ends[0],
        least_upper_mwh=ends[1],
        most_lower_mwh=ends[2],
        most_upper_mwh=ends[3],
        verdict=verdict,
    )


def _extreme(desk: Desk, near: Change, row: FloatArray, total: float) -> Bracket:
    """Least of a sum over the columns among the plans near the optimum; the best plan is one of them."""
    close = _AMOUNT_GAP_FRAC * total if desk.kind == "fractions" else 0.0
    change = near.and_also(Change(cost=row))
    return desk.bench.solve(change, gap_frac=0.0, abs_gap=close, start=desk.best.x, limit_s=desk.question_s)
