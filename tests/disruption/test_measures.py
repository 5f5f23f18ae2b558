"""Expected cost, tail and reigns against plain enumeration."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.disruption.measures import cvar, expected, may_reign, reigns

SETTINGS = settings(deadline=None, derandomize=True, database=None, max_examples=150)


def test_cvar_splits_a_world() -> None:
    """Worst fifth of 0.13 at 7 and 0.87 at 3: (0.13 x 7 + 0.07 x 3) / 0.2 = 5.6."""
    assert cvar([3.0, 7.0], [0.87, 0.13], 0.2) == pytest.approx(5.6)


@SETTINGS
@given(st.lists(st.integers(1, 997), min_size=2, max_size=6), st.integers(3, 991))
def test_cvar_is_the_least_of_its_linear_form(costs: list[int], tail: int) -> None:
    """Rockafellar-Uryasev: the minimum over eta lies at one of the costs."""
    p, alpha = [1 / len(costs)] * len(costs), tail / 997
    forms = [eta + sum(w * max(0, c - eta) for c, w in zip(costs, p, strict=True)) / alpha for eta in costs]
    assert cvar(costs, p, alpha) == pytest.approx(min(forms))
    assert cvar(costs, p, alpha) >= expected(costs, p) - 1e-9


@SETTINGS
@given(st.lists(st.tuples(st.integers(1, 97), st.integers(1, 97)), min_size=1, max_size=7))
def test_reigns_are_the_least_cost_at_every_probability(lines: list[tuple[int, int]]) -> None:
    calm = {f"c{i}": a / 7 for i, (a, _) in enumerate(lines)}
    hit = {f"c{i}": b / 11 for i, (_, b) in enumerate(lines)}
    found = reigns(calm, hit)
    assert found[0].from_frac == 0.0
    assert found[-1].to_frac == 1.0
    assert all(a.to_frac == b.from_frac for a, b in pairwise(found))
    for q in np.linspace(0.0, 1.0, 101):
        least = min((1 - q) * calm[n] + q * hit[n] for n in calm)
        own = [r for r in found if r.from_frac - 1e-12 <= q <= r.to_frac + 1e-12]
        assert min((1 - q) * calm[r.choice] + q * hit[r.choice] for r in own) == pytest.approx(least)


def test_a_choice_that_breaks_reigns_only_where_nothing_happens() -> None:
    found = reigns({"frail": 3.0, "firm": 5.0}, {"frail": np.inf, "firm": 7.0})
    assert [(r.choice, r.from_frac, r.to_frac) for r in found] == [("frail", 0.0, 0.0), ("firm", 0.0, 1.0)]


@SETTINGS
@given(st.lists(st.tuples(st.integers(1, 97), st.integers(1, 97)), min_size=2, max_size=7))
def test_who_may_reign_is_who_does(lines: list[tuple[int, int]]) -> None:
    """A choice is cheaper than all others somewhere just when the lowest of all lines lies below that of the others."""
    (calm, hit), *others = [(a / 7, b / 11) for a, b in lines]
    gains = [
        min((1 - q) * c + q * d for c, d in others) - ((1 - q) * calm + q * hit) for q in np.linspace(0.0, 1.0, 2001)
    ]
    if max(gains) > 1e-6:
        assert may_reign(calm, hit, others)
    if max(gains) < -0.02:
        assert not may_reign(calm, hit, others)
    assert not may_reign(others[0][0] + 0.1, others[0][1] + 0.1, others)
    assert may_reign(calm, hit, [(np.inf, 1.0)])
