"""Outage rows with containers in daily use: short rows, long rows and the verifier's units are the same number."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import planner
from planner.model.coefficients import Coefficients
from planner.model.reliability import RowKey, all_rows, numeric_row
from tests.operations.test_plan import LATE

#: Old containers, short and long steps: limited by power, by energy, and by one or the other.
WORDS = [
    *LATE, "timeline.horizon_years=12", "timeline.periods=[{months: 48, count: 3}]",
    "reliability.service=[{until_h: 2.0, share_frac: 1.0}, {until_h: 5.0, share_frac: 0.4}]",
    "operations.seasons=[[1, 2, 3, 10, 11, 12], [4, 5, 6, 7, 8, 9]]", "operations.reserve_settings=[0, 0.3, 0.55]",
]  # fmt: skip


@pytest.fixture(scope="module")
def c() -> Coefficients:
    """The containers of the small case do not fade: here they do."""
    made = Coefficients(planner.load_case("tiny", WORDS))
    age = np.maximum(0, np.arange(len(made.problem.periods))[None, :] - np.array([p for _, p in made.pairs])[:, None])
    made.__dict__["faded_mwh"] = made.faded_mwh * (1.0 - 0.07 * age)
    made.__dict__["worn_mwh"] = made.faded_mwh * (1.0 - 0.06 * (1 + age))
    return made


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_sums_over_deliveries_say_what_each_delivery_says(c: Coefficients, seed: int) -> None:
    draw = np.random.default_rng(seed)
    pairs, j = len(c.pairs), len(c.swing_frac)
    stored = np.array([c.problem.offers[o].is_storage for o in c.pair_offer])
    n = draw.integers(0, 9, pairs).astype(float)
    y = (n * stored)[:, None] * draw.dirichlet(np.ones(1 + j), pairs)[:, 1:]
    runs = y[:, None, None, :] * draw.random((pairs, len(c.problem.periods), 2, j)) * c.alive[:, :, None, None]
    served = draw.uniform(1.0, 10.0, len(c.problem.periods))
    seen: set[str] = set()
    for key in all_rows(c):
        row = numeric_row(c, key)
        assert row.duty is not None
        duty, p, s = row.duty, key.period, key.season
        o = c.pair_offer
        mw = c.power_mw[o] * c.alive[:, p]
        value = row.pair @ n - row.served * served[p]
        value += duty.standing_mw[o] @ (mw * n)
        held = n * c.faded_mwh[:, p] + ((c.duty_mwh[:, p] - c.faded_mwh[:, p, None]) * y).sum(axis=1)
        held -= (c.swing_frac * c.duty_mwh[:, p] * runs[:, p, s]).sum(axis=1)
        value += duty.held_mwh[o] @ held
        value += float((duty.run_mw[o] * mw[:, None] * runs[:, p, s]).sum())
        value += float((duty.run_mwh[o] * c.duty_mwh[:, p] * runs[:, p, s]).sum())
        value += float((duty.cycled * y).sum() + (duty.running * runs[:, p, s]).sum())
        seen |= {name for name in ("standing_mw", "held_mwh", "run_mw", "running") if getattr(duty, name).any()}
        assert value == pytest.approx(by_delivery(c, key, n, y, runs[:, p, s]) - row.served * served[p], rel=1e-9)
    assert seen == {"standing_mw", "held_mwh", "run_mw", "running"}  # every kind of row was there


def by_delivery(c: Coefficients, key: RowKey, n: np.ndarray, y: np.ndarray, runs: np.ndarray) -> float:
    """What survives of what is required, container by container."""
    lost, p = c.contingencies[key.contingency], key.period
    total = 0.0
    for i, (o, _) in enumerate(c.pairs):
        if o in lost.offers or not c.alive[i, p]:
            continue
        hours = c.open_hours[o, key.count]
        if key.bridge:
            hours = max(0.0, c.bridge_delays_h[key.count] - c.delays[o].rest_h) if c.delays[o].first_step == 0 else 0.0
        reach, fresh = hours * c.power_mw[o], c.faded_mwh[i, p]
        total += c.availability[o] * (n[i] - y[i].sum()) * min(reach, fresh)
        for j, swing in enumerate(c.swing_frac):
            energy = fresh - swing * (fresh - c.worn_mwh[i, p])
            rests = (y[i, j] - runs[i, j]) * min(reach, energy)
            total += c.availability[o] * (rests + runs[i, j] * min(reach, (1.0 - swing) * energy))
    need = c.requirement_in(key.season).mwh[p, key.count]
    if key.bridge:
        need = c.requirement.peak_mw[p] * c.bridge_delays_h[key.count]
    return total / (lost.surviving_frac * need)


def test_more_settings_never_cost_more() -> None:
    one = planner.plan(planner.load_case("tiny", [*LATE, "operations.reserve_settings=[0]"]))
    more = planner.plan(planner.load_case("tiny", [*LATE, "operations.reserve_settings=[0, 0.5]"]))
    for plan in (one, more):
        assert plan.verification is not None and plan.verification.passed, plan.verification
    assert more.bound_musd <= one.cost_musd + 1e-6
    assert one.cost_musd >= more.bound_musd - 1e-6


def test_seasons_are_planned_and_verified() -> None:
    plan = planner.plan(planner.load_case("tiny", [*LATE, "operations.seasons=[[1,2,3,10,11,12],[4,5,6,7,8,9]]"]))
    assert plan.verification is not None and plan.verification.passed, plan.verification
    assert plan.operations is not None
    assert {row.season for row in plan.operations.running} <= {0, 1}
    assert plan.gap_frac <= 0.01
