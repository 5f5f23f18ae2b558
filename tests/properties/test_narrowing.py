"""Closed sides of binaries hold no plan below the limit, and nothing else is lost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.model.coefficients import Coefficients
from planner.problem import Problem
from planner.search import Search
from planner.search.narrow import Narrowing, dive
from planner.solve import FEASIBILITY, Attempt, Run, Stop
from tests.properties.questions import lean
from tests.properties.test_brute_force import SETTINGS, questions


def prepared(problem: Problem) -> Search:
    search = Search(Coefficients(problem), Stop(60.0), 1e-6, 1)
    search.prepare()
    return search


def solved(search: Search, whole: bool) -> tuple[Run, Attempt]:
    integer = search.compiled.integer if whole else np.zeros_like(search.compiled.integer)
    run = search._new_run(integer, site=True)
    return run, run.solve(1e-9)


@SETTINGS
@given(questions(), st.floats(-0.02, 0.1))
def test_closed_sides_hold_no_plan_below_the_limit(problem: Problem, above: float) -> None:
    search = prepared(problem)
    _, best = solved(search, whole=True)
    run, relaxed = solved(search, whole=False)
    if best.x is None or relaxed.x is None:
        return
    limit = best.objective + above * abs(best.objective)
    before = search.compiled.lower.copy(), search.compiled.upper.copy()
    narrowing = Narrowing(search.compiled)
    binary = search.purchase_binary()
    narrowing.close(run, relaxed, binary, limit)
    fixed = np.flatnonzero((search.compiled.lower != before[0]) | (search.compiled.upper != before[1]))
    assert binary[fixed].all()
    assert narrowing.closed_musd == (limit if len(fixed) else np.inf)
    _, left = solved(search, whole=True)
    accuracy = 1e-5 * (1.0 + abs(limit))
    if above > 1e-4:
        assert left.objective == pytest.approx(best.objective, rel=1e-6, abs=1e-6)
    else:  # plans may be lost, but none that costs less than the limit
        assert min(left.objective, narrowing.closed_musd) >= min(limit, best.objective) - accuracy
    values = search.compiled.lower[fixed].copy()
    narrowing.reopen()
    assert (search.compiled.lower == before[0]).all()
    assert (search.compiled.upper == before[1]).all()
    for j, value in zip(fixed, values, strict=True):
        search.compiled.lower[j] = search.compiled.upper[j] = 1.0 - value
        _, other = solved(search, whole=True)
        assert other.x is None or other.objective >= limit - accuracy
        search.compiled.lower[j], search.compiled.upper[j] = before[0][j], before[1][j]


@SETTINGS
@given(questions())
def test_a_dive_ends_at_binaries_that_have_a_plan_in_fractions(problem: Problem) -> None:
    search = prepared(problem)
    run, relaxed = solved(search, whole=False)
    if relaxed.x is None:
        return
    binary = search.binary()
    found = dive(run, relaxed, binary, search.outages.add_violated)
    if found is None:
        return
    assert found.x is not None
    assert np.abs(found.x - np.round(found.x))[binary].max(initial=0.0) <= FEASIBILITY
    assert search.compiled.violation(found.x) <= FEASIBILITY
    assert search.outages.add_violated(found.x) is None
    assert found.objective >= relaxed.objective - 1e-6 * (1.0 + abs(relaxed.objective))


def test_a_dive_takes_the_cheaper_side() -> None:
    """Which of two offers is bought is known here: the front-runner of the relaxation is."""
    search = prepared(lean())
    run, relaxed = solved(search, whole=False)
    found = dive(run, relaxed, search.binary(), search.outages.add_violated)
    assert found is not None
    search.compiled.integer = search.binary()
    _, best = solved(search, whole=True)
    assert found.objective == pytest.approx(best.objective, rel=1e-2)


def test_a_branch_and_bound_on_two_processors_finds_the_same_plan() -> None:
    """Also after runs on one, and before others: a thread keeps the number it began with."""
    search = prepared(lean())
    _, alone = solved(search, whole=True)
    both = search._new_run(search.compiled.integer, site=True, processors=2).solve(1e-9)
    _, again = solved(search, whole=True)
    assert both.objective == pytest.approx(alone.objective, rel=1e-7)
    assert again.objective == pytest.approx(alone.objective, rel=1e-7)
