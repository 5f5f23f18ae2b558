"""The replay against the closed form and against a linear programme."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import linprog

from planner.simulate import monte_carlo, replay
from planner.verify.outage import Curve, Windows
from tests.small import small_plan, small_problem

Array = NDArray[np.float64]


def closed_form(load: Array, power: Array, energy: Array, dt: float, first: NDArray[np.int64], delta: Array) -> float:
    """Largest shortage over every set of steps, by brute force over all sets."""
    steps, worst = len(load), 0.0
    for size in range(1, steps + 1):
        for chosen in itertools.combinations(range(steps), size):
            have = 0.0
            for p, e, f, d in zip(power, energy, first, delta, strict=True):
                n = sum(j >= f for j in chosen)
                have += min(p * max(0.0, n * dt - d), e)
            worst = max(worst, sum(load[list(chosen)]) - have)
    return worst


def least_unserved(
    load: Array, power: Array, energy: Array, dt: float, first: NDArray[np.int64], delta: Array
) -> float:
    """Unserved energy of the best dispatch with full foresight."""
    units, steps = len(power), len(load)
    top = [
        0.0 if j < first[i] else power[i] * (dt - (delta[i] if j == first[i] else 0.0))
        for i in range(units)
        for j in range(steps)
    ]
    of_unit = np.kron(np.eye(units), np.ones(steps))
    of_step = np.kron(np.ones(units), np.eye(steps))
    best = linprog(
        -np.ones(units * steps),
        np.vstack([of_unit, of_step]),
        np.concatenate([energy, load]),
        bounds=[(0, t) for t in top],
    )
    return float(load.sum() + best.fun)


def fleet(seed: int, late: bool, missed: bool) -> tuple[Array, Array, Array, float, NDArray[np.int64], Array]:
    draw = np.random.default_rng(seed)
    dt = float(draw.choice([0.25, 0.5, 1.0, 1.7]))
    steps, units = int(draw.integers(2, 8)), int(draw.integers(1, 6))
    power = draw.uniform(0.3, 3.1, units)
    energy = power * draw.uniform(0.2, steps * dt * 1.2, units)
    load = draw.uniform(0.1, 1.3, steps) * power.sum() * dt * draw.uniform(0.3, 0.9)
    first = draw.integers(0, 4, units) if late else np.zeros(units, dtype=np.int64)
    delta = draw.uniform(0, dt, units) * draw.integers(0, 2, units) if missed else np.zeros(units)
    return load, power, energy, dt, first, delta


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 10**6), st.booleans())
def test_replay_is_the_closed_form_and_the_best_dispatch(seed: int, late: bool) -> None:
    load, power, energy, dt, first, delta = fleet(seed, late, missed=False)
    got = replay(load, power, energy, dt, first, delta).sum()
    assert got == pytest.approx(closed_form(load, power, energy, dt, first, delta), abs=1e-9 * load.sum())
    assert got == pytest.approx(least_unserved(load, power, energy, dt, first, delta), abs=1e-7 * load.sum())


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 10**6), st.booleans())
def test_missed_part_of_the_first_step(seed: int, late: bool) -> None:
    """The closed form shortens every count, so it may ask for more than the best dispatch needs, never less."""
    load, power, energy, dt, first, delta = fleet(seed, late, missed=True)
    got = replay(load, power, energy, dt, first, delta).sum()
    assert got == pytest.approx(least_unserved(load, power, energy, dt, first, delta), abs=1e-7 * load.sum())
    assert got <= closed_form(load, power, energy, dt, first, delta) + 1e-9 * load.sum()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_windows_together_are_windows_alone(seed: int) -> None:
    draw = np.random.default_rng(seed)
    load, power = draw.uniform(0.1, 4.0, (9, 6)), draw.uniform(0.2, 2.0, (9, 4))
    energy, first = power * draw.uniform(0.3, 5.0, 4), draw.integers(0, 3, 4)
    together = replay(load, power, energy, 0.7, first)
    for w in range(9):
        assert together[w] == pytest.approx(replay(load[w], power[w], energy[w], 0.7, first)[0], abs=1e-9)


@pytest.mark.parametrize(
    ("load", "lost"),
    [
        # 2.6 from the larger alone (3.7 h left); 3 and 1 (2.2 and 2.0 h left); both at full power.
        ([2.6, 4.0, 9.0], [0.0, 0.0, 9.0 - 3.0 - 1.5]),
        # 3 and 0.9 (3.5 and 2.1 h left); 3 and 1.4 (2.0 and 0.7 h left); full power of one, what is left of the other.
        ([3.9, 4.4, 9.0], [0.0, 0.0, 9.0 - 3.0 - 0.7]),
    ],
)
def test_levels_by_hand(load: list[float], lost: list[float]) -> None:
    """Units of 2 MW x 5 h and 1 MW x 3 h in steps of 1.5 h."""
    assert replay([load], [2.0, 1.0], [10.0, 3.0], 1.5)[0] == pytest.approx(lost)


def test_no_units_and_no_load() -> None:
    assert replay([[1.1, 0.7]], np.zeros(0), np.zeros(0), 1.0).sum() == pytest.approx(1.8)
    assert replay([[0.0, 0.0]], [1.0], [2.0], 1.0).sum() == 0.0
    assert replay([[1.0, 0.5]], [0.0], [2.0], 1.0).sum() == pytest.approx(1.5)


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("classes", [{0}, {0, 6}, {0, 3, 7}])
def test_curve_is_the_largest_window(classes: set[int], known: bool) -> None:
    problem = small_problem(reliability__length_known=known, pv__mw=19.3)
    windows = Windows(problem, 83.1)
    curve = Curve(windows, classes)
    rows = np.random.default_rng(3).integers(0, len(curve.kappa), 9)
    table = curve.of_windows(rows)
    assert curve.need_mwh[rows] == pytest.approx(table.max(axis=1))
    for row, values in zip(rows, table, strict=True):
        load = windows.load_mwh(np.array([17]), 0)[0]
        hand = sum(
            sorted(load[a:b])[::-1][i]
            for k, (a, b) in zip(curve.kappa[row], itertools.pairwise(curve.bounds), strict=True)
            for i in range(k)
        )
        assert values[17] == pytest.approx(hand)


def test_profile_steps() -> None:
    """Until 2 h, 6 h, 11 h in steps of half an hour: 4, 8 and 10 steps."""
    shares = Windows(small_problem(), 50.0).profiles[0]
    assert list(shares) == [1.0] * 4 + [0.45] * 8 + [0.2] * 10
    known = Windows(small_problem(reliability__length_known=True), 50.0).profiles
    assert [(float(r.max()), int((r > 0).sum())) for r in known] == [(1.0, 4), (0.45, 12), (0.2, 22)]


def test_monte_carlo_is_seeded_and_sees_a_weak_fleet() -> None:
    problem = small_problem()
    plan = small_plan(problem)
    strong = monte_carlo(problem, plan, samples=3000, seed=7)
    assert strong == monte_carlo(problem, plan, samples=3000, seed=7)
    weak = small_problem(offer_changes={"Alpha": {"availability_frac": 0.61}, "Beta": {"availability_frac": 0.53}})
    bad = monte_carlo(weak, plan, samples=3000, seed=7)
    assert bad["unserved_mwh_per_yr"] > 5 * strong["unserved_mwh_per_yr"]
    for name in ("loss_of_load_h", "unserved_mwh"):
        assert bad[f"{name}_low"] <= bad[f"{name}_per_yr"] <= bad[f"{name}_high"]
