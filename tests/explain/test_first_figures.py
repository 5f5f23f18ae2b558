"""First brackets, without branch and bound, hold the exact answers; and they come before anything is narrowed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from planner.explain import Asked, explain_plan
from planner.explain.breakeven import first_root, price_threshold, slope_row
from planner.explain.desk import Desk
from planner.explain.offers import price_offer, turn_offer
from planner.explain.ranges import groups_of, range_of
from planner.explain.rule_prices import changes_of, price_rule
from planner.inputs import load_case
from planner.pipeline import plan
from planner.problem import Problem
from planner.rulebook import rules_of
from planner.solve import Stop
from planner.workbench import Bracket
from tests.explain.test_prices import SMALL
from tests.properties.questions import lean

#: Gap of the rough desk: wide, so that brackets have a width to be wrong in.
WIDE = 0.03


def dearer(factor: float) -> dict[str, Any]:
    """The small question with another price of Beta."""
    beta = SMALL["offer_changes"]["Beta"]
    price = {year: usd * factor for year, usd in beta["price"].items()}
    return SMALL | {"offer_changes": SMALL["offer_changes"] | {"Beta": beta | {"price": price}}}


@pytest.mark.parametrize("factor", [0.9, 1.0, 1.15])
@pytest.mark.parametrize("kind", ["whole", "fractions"])
def test_first_brackets_hold_the_exact_answers(kind: Any, factor: float) -> None:
    problem = lean(**dearer(factor))
    found = plan(problem, gap_frac=0.0)
    exact, rough = (Desk(problem, found, Stop(300.0), kind, gap, 60.0) for gap in (0.0, WIDE))
    priced = 0
    for offer in problem.offers:
        true, first = turn_offer(exact, offer.offer), turn_offer(rough, offer.offer, branch=False)
        if true.verdict in ("needed", "does not fit", "cannot be bought"):
            assert first.extra_cost_upper_musd is None
            continue
        assert true.extra_cost_upper_musd is not None
        assert first.extra_cost_lower_musd is not None
        least, most = first.extra_cost_lower_musd, first.extra_cost_upper_musd
        assert least <= true.extra_cost_upper_musd + 1e-6
        assert most is None or most >= (true.extra_cost_lower_musd or 0.0) - 1e-6
        told, near = price_offer(exact, true).thresholds, price_offer(rough, first, branch=False).thresholds
        for t, n in zip((t for t in told if t.figure == "price"), near, strict=False):
            if t.enters_at is not None and n.stays_out_at is not None:
                assert n.stays_out_at >= t.enters_at * (1 - 1e-6)
            if t.stays_out_at is not None and n.enters_at is not None:
                assert n.enters_at <= t.stays_out_at * (1 + 1e-6)
                priced += 1
    assert priced
    for group, name, members in groups_of(exact):
        true_range = range_of(exact, group, name, members, 0.02)
        first_range = range_of(rough, group, name, members, 0.02, branch=False)
        limit = (1.02 * rough.best.upper, 1.02 * exact.best.upper)
        if limit[0] >= limit[1]:  # the rough optimum may lie higher: then its plans are more, not fewer
            assert first_range.least_lower_mwh <= true_range.least_upper_mwh + 1e-4
            assert first_range.most_upper_mwh >= true_range.most_lower_mwh - 1e-4
        assert first_range.least_lower_mwh <= first_range.least_upper_mwh + 1e-6
        assert first_range.most_lower_mwh <= first_range.most_upper_mwh + 1e-6


@pytest.mark.parametrize("kind", ["whole", "fractions"])
def test_first_brackets_of_rules_hold_the_exact_prices(kind: Any) -> None:
    problem = lean(**SMALL)
    found = plan(problem, gap_frac=0.0)
    exact, rough = (Desk(problem, found, Stop(300.0), kind, gap, 60.0) for gap in (0.0, WIDE))
    wide = 0
    for rule in (r for r in rules_of(problem) if "dropped" in changes_of(r)):
        true, first = price_rule(exact, rule, "dropped"), price_rule(rough, rule, "dropped", branch=False)
        assert true.settled
        assert None not in (true.saved_lower_musd, true.saved_upper_musd, first.saved_upper_musd)
        assert first.saved_lower_musd <= true.saved_upper_musd + 2e-6
        assert first.saved_upper_musd >= true.saved_lower_musd - 2e-6
        assert first.settled or first.verdict in ("open", "binds")
        wide += not first.settled
        narrowed = price_rule(rough, rule, "dropped", known=first)  # what is known is never lost
        assert narrowed.settled
        assert narrowed.saved_lower_musd >= first.saved_lower_musd
        assert narrowed.saved_upper_musd <= first.saved_upper_musd
    assert wide


def test_rules_are_bracketed_before_alternatives_and_narrowed_after() -> None:
    problem: Problem = lean(**SMALL)
    said: list[str] = []
    found = explain_plan(
        problem, plan(problem), Asked(every_rule=True, alternatives=True), problem_kind="fractions", note=said.append
    )
    rules = [i for i, text in enumerate(said) if text.startswith("rule ") and "dropped" in text]
    first = [i for i in rules if said[i].endswith("first figures")]
    others = [i for i, text in enumerate(said) if text.startswith("alternative")]
    assert others
    assert max(first) < min(others) < min(i for i in rules if i not in first)
    assert {r.rule for r in found.rules} == {r.name for r in rules_of(problem)}
    assert all(r.settled for r in found.rules)
    assert not found.unfinished


def test_where_no_plan_is_known_relaxations_still_bound_the_price() -> None:
    """An offer that stays out: from its bound alone the price has a side that is proved."""
    problem = lean(**SMALL)
    desk = Desk(problem, plan(problem, gap_frac=0.0), Stop(300.0), "whole", 0.0, 60.0)
    best = desk.best.x
    assert best is not None
    o = next(o for o in desk.bench.c.offers_used if not desk.bench.uses(best, o))
    known = desk.turn(frozenset([o]), True, True)
    true = price_threshold(desk, o, "price", known, desk.best)
    blind = price_threshold(desk, o, "price", Bracket(known.lower, np.inf, None), desk.best)
    assert true is not None
    assert blind is not None
    assert true.enters_at is not None
    assert blind.enters_at is None
    assert blind.stays_out_at is not None
    assert true.enters_at * (1 - 1e-6) <= blind.stays_out_at
    root = first_root(desk, o, slope_row(desk, o, "price"), known, desk.best)
    assert root.stays_out <= root.enters + 1e-9


def test_every_offer_has_figures_before_one_is_narrowed(monkeypatch: pytest.MonkeyPatch) -> None:
    problem: Problem = load_case("tiny")
    said: list[str] = []
    found = explain_plan(problem, plan(problem), Asked(every_offer=True, ranges=True), note=said.append)
    first = [i for i, text in enumerate(said) if text.endswith("first figures")]
    narrowed = [i for i, text in enumerate(said) if text.startswith(("offer", "price")) and i not in first]
    assert first
    assert not narrowed or max(first) < min(narrowed)
    assert all(a.extra_cost_lower_musd is not None or a.verdict == "needed" for a in found.offers)


def test_a_search_stops_when_its_answer_is_decided() -> None:
    """Told that a wide bracket is enough, the search ends with one that still holds."""
    problem = lean(**SMALL)
    desk = Desk(problem, plan(problem, gap_frac=0.0), Stop(300.0), "whole", 0.0, 60.0)
    assert desk.best.x is not None
    o = next(o for o in desk.bench.c.offers_used if desk.bench.uses(desk.best.x, o))
    change = desk.bench.force_out(frozenset([o]))
    exact = desk.bench.solve(change)
    seen: list[tuple[float, float]] = []

    def enough(upper: float, lower: float) -> bool:
        seen.append((upper, lower))
        return bool(np.isfinite(upper))

    early = desk.bench.solve(change, enough=enough)
    assert seen
    assert early.lower <= exact.upper + 1e-6
    assert early.upper >= exact.lower - 1e-6
