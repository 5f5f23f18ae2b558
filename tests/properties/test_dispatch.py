# ruff: noqa: E501
"""Outage rows against dispatch linear programs: the same fleet is enough, to the last container.

A fleet of real-valued size x serves all windows if a linear program finds a dispatch of
every window, step and unit. The rows say the least x directly: the largest of
requirement over delivery. With on-site PV the rows ignore that a battery could be charged
from the surplus, so they may ask for more, never for less.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.sparse import coo_array

from planner.model.coefficients import Coefficients
from planner.model.reliability import all_rows, numeric_row
from planner.outages import requirement, service_steps, start_delay
from planner.problem import Problem
from planner.separate import Separator
from planner.verify.outage import Curve, Windows
from tests.properties.questions import lean, ramp
from tests.properties.test_brute_force import SETTINGS, odd


@dataclass(frozen=True)
class Unit:
    """One delivery: MW and MWh that count, first step it serves, hours missed in that step."""

    power: float
    energy: float
    first: int
    rest_h: float


def dispatch_scale(load_mwh: np.ndarray, units: list[Unit], dt: float, surplus_mwh: np.ndarray | None = None) -> float:
    """Least factor on a fleet that serves every window, by explicit dispatch.

    Minimise x subject to, for every window w, step j and unit u,

        sum_u g[w,j,u] = load[w,j]            0 <= g[w,j,u] <= x P_u hours(u, j)
        sum_j g[w,j,u] <= x E_u

    A unit that starts late has hours(u, j) = 0 before its first step and dt - rest in it. With
    ``surplus`` a unit may also be charged (without loss) from energy that the sun leaves over,
    never beyond x E_u; then the second row is a state of charge by step.
    """
    windows, steps = load_mwh.shape
    count = len(units)
    charged = surplus_mwh is not None
    size = windows * steps * count
    at = lambda w, j, u: (w * steps + j) * count + u  # noqa: E731
    x = 2 * size if charged else size
    rows: list[tuple[int, int, float]] = []
    eq: list[tuple[int, int, float]] = []
    right: list[float] = []
    need, row = [], 0
    for w in range(windows):
        for j in range(steps):
            for u in range(count):
                eq.append((len(need), at(w, j, u), 1.0))
            need.append(load_mwh[w, j])
        for u, unit in enumerate(units):
            for j in range(steps):
                hours = 0.0 if j < unit.first else dt - (unit.rest_h if j == unit.first else 0.0)
                rows += [(row, at(w, j, u), 1.0), (row, x, -unit.power * hours)]
                row, right = row + 1, [*right, 0.0]
            for last in range(steps) if charged else [steps - 1]:
                rows += [(row, at(w, j, u), 1.0) for j in range(last + 1)] + [(row, x, -unit.energy)]
                if charged:
                    # what was charged before this step may be used; the tank never holds more than x E
                    rows += [(row, size + at(w, j, u), -1.0) for j in range(last + 1)]
                row, right = row + 1, [*right, 0.0]
                if charged:
                    rows += [(row, size + at(w, j, u), 1.0) for j in range(last + 1)]
                    rows += [(row, at(w, j, u), -1.0) for j in range(last + 1)]
                    row, right = row + 1, [*right, 0.0]
        if charged:
            for j in range(steps):
                rows += [(row, size + at(w, j, u), 1.0) for u in range(count)]
                row, right = row + 1, [*right, float(surplus_mwh[w, j])]
    matrix = coo_array(([v for *_, v in rows], ([r for r, *_ in rows], [c for _, c, _ in rows])), shape=(row, x + 1))
    equal = coo_array(([v for *_, v in eq], ([r for r, *_ in eq], [c for _, c, _ in eq])), shape=(len(need), x + 1))
    found = linprog(np.eye(1, x + 1, x)[0], matrix.tocsr(), right, equal.tocsr(), need, method="highs")
    return float(found.fun) if found.status == 0 else np.inf


def row_scale(problem: Problem, units: list[Unit]) -> float:
    """Least factor on a fleet by the requirement rows of the planner."""
    dt = problem.dt_h
    curve = requirement(problem, {u.first for u in units})
    have = np.zeros(curve.mwh.shape[1])
    for u in units:
        hours = np.maximum(0.0, curve.steps_open_to(u.first) * dt - u.rest_h)
        have += np.minimum(u.power * hours, u.energy)
    need = curve.mwh[0]
    with np.errstate(divide="ignore"):
        ratio = np.where(need > 1e-12, need / np.where(have > 0, have, 0.0), 0.0)
    return float(ratio.max())


@st.composite
def worlds(draw: Any, pv: bool = False, late: bool = False) -> tuple[Problem, list[Unit]]:
    """A short load, a service profile of two or three shares, two to four units."""
    dt = draw(st.sampled_from([0.25, 0.5, 0.75]))
    steps = draw(st.integers(9, 14))
    load = np.array([draw(odd(0.31, 0.97)) for _ in range(steps)])
    cuts = sorted(draw(st.lists(st.integers(1, 8), min_size=2, max_size=3, unique=True)))
    service = [{"until_h": k * dt, "share_frac": draw(odd(0.2, 0.99))} for k in cuts]
    target = draw(odd(17.0, 43.0))
    spec: dict[str, Any] = {
        "load_pu": load, "pv_cf": np.array([draw(odd(0.0, 0.97)) for _ in range(steps)]) if pv else np.zeros(steps),
        "dt_h": dt, "periods": ramp(("2029-01", "2034-01", target, 1.3, 99.0)), "reliability__service": service,
        "pv__mw": target * draw(odd(0.3, 1.7)) if pv else 0.0,
        "reliability__length_known": draw(st.booleans()) if not late else False,
    }  # fmt: skip
    units = []
    for i in range(draw(st.integers(2, 4))):
        first = draw(st.integers(0, 3)) if late and i else 0
        rest = 0.0 if not late else draw(st.sampled_from([0.0, 0.0, 0.31])) * dt * bool(i)
        units.append(Unit(draw(odd(1.1, 7.9)), draw(odd(0.7, 19.0)), first, rest))
    return lean(**spec), units


def windows_of(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Load and solar surplus of every window and class in MWh, stated step by step."""
    target, pv = problem.periods[0].target_mw, problem.case.pv
    gross = problem.load_pu * target - pv.mw * pv.derate_frac * problem.pv_cf
    longest = max(len(s) for s in service_steps(problem))
    load, surplus = [], []
    for shares in service_steps(problem):
        for t in range(len(gross)):
            steps = [(t + j) % len(gross) for j in range(longest)]
            share = [shares[j] if j < len(shares) else 0.0 for j in range(longest)]
            load.append([s * max(0.0, gross[k]) * problem.dt_h for s, k in zip(share, steps, strict=True)])
            surplus.append([max(0.0, -gross[k]) * problem.dt_h for k in steps])
    return np.array(load), np.array(surplus)


@settings(SETTINGS, max_examples=20)
@given(worlds())
def test_rows_equal_dispatch(world: tuple[Problem, list[Unit]]) -> None:
    """Max-flow min-cut: the k largest loads of a window are the worst cut of size k."""
    problem, units = world
    load, _ = windows_of(problem)
    assert row_scale(problem, units) == pytest.approx(dispatch_scale(load, units, problem.dt_h), rel=1e-7)


@settings(SETTINGS, max_examples=20)
@given(worlds(late=True))
def test_rows_with_late_units(world: tuple[Problem, list[Unit]]) -> None:
    """Whole-step delays: rows and dispatch agree. A delay inside a step: the rows are never looser.

    A rest of delta hours is taken off every count, also of those that leave the first step out;
    dispatch loses it only there.
    """
    problem, units = world
    load, _ = windows_of(problem)
    rows, truth = row_scale(problem, units), dispatch_scale(load, units, problem.dt_h)
    if any(u.rest_h > 0 for u in units):
        assert rows >= truth * (1 - 1e-9)
    else:
        assert rows == pytest.approx(truth, rel=1e-7)


@settings(SETTINGS, max_examples=12)
@given(worlds(pv=True))
def test_rows_with_pv_are_never_looser(world: tuple[Problem, list[Unit]]) -> None:
    """Charging from the sun can only help; without it the rows are exact on the net load."""
    problem, units = world
    load, surplus = windows_of(problem)
    rows = row_scale(problem, units)
    assert rows == pytest.approx(dispatch_scale(load, units, problem.dt_h), rel=1e-7)
    assert rows >= dispatch_scale(load, units, problem.dt_h, surplus) * (1 - 1e-9)


def test_charging_from_the_sun_would_be_looser() -> None:
    """The dispatch with charging is a real one: a surplus in the middle step halves the need.

    Load 7 MWh in steps 1 and 3, surplus 9 MWh in step 2, one unit with P dt = 7 MWh and E = 7 MWh:
    without sun it must hold 14 = 2 E; with sun it is refilled after step 1, so x = 1.
    """
    load, sun = np.array([[7.0, 0.0, 7.0]]), np.array([[0.0, 9.0, 0.0]])
    units = [Unit(14.0, 7.0, 0, 0.0)]
    assert dispatch_scale(load, units, 0.5) == pytest.approx(2.0)
    assert dispatch_scale(load, units, 0.5, sun) == pytest.approx(1.0)


@settings(SETTINGS, max_examples=15)
@given(worlds(pv=True, late=True), st.sets(st.integers(0, 3), max_size=3))
def test_two_curves_are_one(world: tuple[Problem, list[Unit]], firsts: set[int]) -> None:
    """The planner's requirement curve and the verifier's, written apart, are the same numbers."""
    problem, _ = world
    mine = requirement(problem, firsts)
    windows = Windows(problem, problem.periods[0].target_mw)
    theirs = Curve(windows, firsts | {0})
    assert np.array_equal(theirs.kappa[1:], mine.counts)
    assert np.allclose(theirs.need_mwh[1:], mine.mwh[0], rtol=1e-12)
    assert windows.peak_mw == pytest.approx(mine.peak_mw[0], rel=1e-12)


@settings(SETTINGS, max_examples=15)
@given(st.lists(st.integers(0, 9), min_size=6, max_size=6), odd(0.2, 1.0), odd(0.1, 1.4))
def test_separation_finds_the_worst_row(counts: list[int], used: float, load: float) -> None:
    """The vectorised search for violated rows against the rows themselves, one by one."""
    losses = {
        "supplier": 0.31, "cell_maker": None, "cell_factory": None, "country": None, "chemistry": 0.17, "software": 0.23,
        "fire_group": 0.83,
    }  # fmt: skip
    problem = lean(reliability__contingencies=losses, offer_changes={"Beta": {"response_s": 700.0}})
    c = Coefficients(problem)
    x = np.array(counts, dtype=float)[: len(c.pairs)]
    served = np.array([p.target_mw for p in problem.periods]) * load
    share = np.full(len(problem.offers), used)
    level = np.outer(np.linspace(0.9, 0.7, len(problem.periods)), np.linspace(used, 0.8 * used, len(c.group_levels)))
    energised = np.ones(len(problem.periods))
    found = {v.key: v.amount for v in Separator(c).violated(x, served, share, level, energised, 1e-12)}
    worst: dict[tuple[int, int], float] = {}
    for key in all_rows(c):
        row = numeric_row(c, key)
        loss = row.used * share[row.offer] if row.offer is not None else 0.0
        loss += float(row.level @ level[key.period]) if row.level is not None else 0.0
        short = -(row.pair @ x - row.served * served[key.period] - loss)
        if short > 1e-12:
            at = (key.contingency, key.period)
            worst[at] = max(worst.get(at, 0.0), float(short))
    by_level = {p for q, p in worst if c.contingencies[q].by_level}
    # A fire row of one offer is left out where the row by levels is violated too.
    wanted = {(q, p): v for (q, p), v in worst.items() if c.contingencies[q].fire_offer is None or p not in by_level}
    assert {(k.contingency, k.period): pytest.approx(v) for k, v in found.items()} == wanted


def test_start_delay_is_split_into_steps() -> None:
    """700 s less 45 s of UPS is 655 s = 0.181944 h: below one step of 0.75 h, and 0 whole steps of 0.15 h + 0.0319 h."""
    for dt, first, rest in ((0.75, 0, 655 / 3600), (0.15, 1, 655 / 3600 - 0.15)):
        problem = lean(dt_h=dt, offers=("Beta",), offer_changes={"Beta": {"response_s": 700.0}})
        delay = start_delay(problem, problem.offers[0])
        assert (delay.first_step, delay.rest_h) == (first, pytest.approx(rest))
