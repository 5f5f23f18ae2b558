"""Stops, deaths, wrong answers, lazy rows: nothing finished is lost, nothing wrong is claimed."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyomo.environ as pyo
import pytest
from scipy.sparse import csr_array

from planner.frontier import trace
from planner.frontier.bench import Bench, Rows
from planner.frontier.crew import Processes
from planner.frontier.curve import Curve, Fact, hidden_area, slice_curve
from planner.frontier.engine import Engine
from planner.frontier.front import front_of
from planner.frontier.pyomo_models import compiled_of
from planner.frontier.reading import prices
from planner.solve import Attempt, Stop
from tests.frontier.brute import Model, ends, least_cost, questions

#: A covering model with 24 distinct points; odd numbers throughout.
MODEL = Model(
    (2, 2, 3, 1, 2),
    (1.7,),
    (5.3, 7.1, 2.9, 11.3, 3.7, 6.1),
    (4.1, 1.3, 6.7, 0.7, 5.9, 2.3),
    (((3.1, 2.3, 1.9, 4.3, 2.7, 1.1), 11.7), ((1.3, 0.0, 2.1, 1.7, 0.9, 3.3), 4.9)),
)


def check_against_brute_force(front: object, model: Model) -> None:
    """Attained and proved curves against every whole vector."""
    slices = model.slices()
    (x0, c0), (x1, c1) = ends(slices)
    for e in questions(slices):
        if x0 <= e <= x1:
            true = least_cost(slices, e)
            assert front.upper(e + 1e-6 * (x1 - x0)) <= true + 1e-6 * (c0 - c1)  # type: ignore[attr-defined]
            assert front.lower(e) <= true + 2e-7 * (c0 - c1)  # type: ignore[attr-defined]


def test_ends_are_lexicographic() -> None:
    front = trace(*MODEL.pyomo(), tolerance=0.1)
    secure, cheap = ends(MODEL.slices())
    assert (front.points[0].exposure, front.points[0].cost) == pytest.approx(secure, abs=1e-6)
    assert (front.points[-1].exposure, front.points[-1].cost) == pytest.approx(cheap, abs=1e-6)


def test_prices_are_the_slopes_beside_a_point() -> None:
    """Left and right of every attained exposure, against brute force a little further on."""
    sloped = Model(
        (1,), (10.0, 10.0), (2.3, 1.1, 3.7), (0.7, 1.3, 0.1), (((3.1, 1.0, 1.0), 10.3), ((0.0, 1.0, 0.6), 3.3))
    )
    front, slices, near = trace(*sloped.pyomo(), tolerance=0.0), sloped.slices(), 1e-4
    told = 0
    for s in front.segments:
        if s.right.exposure - s.left.exposure < 50 * near:
            continue
        e = (s.left.exposure + s.right.exposure) / 2
        if abs(front.upper(e) - least_cost(slices, e)) > 1e-6:  # not certified to the end
            continue
        left, right = prices(front, e)
        assert left is not None
        assert right is not None
        assert left * 100 == pytest.approx((least_cost(slices, e - near) - least_cost(slices, e)) / near, rel=1e-3)
        assert right * 100 == pytest.approx((least_cost(slices, e) - least_cost(slices, e + near)) / near, rel=1e-3)
        told += 1
    assert told


def test_a_front_of_jumps_alone_has_no_prices() -> None:
    """Whole numbers only: next to every point the front is flat on one side and jumps on the other."""
    steps = Model(MODEL.z_top, (), MODEL.cost[:5], MODEL.exposure[:5], tuple((a[:5], b) for a, b in MODEL.rows))
    front = trace(*steps.pyomo(), tolerance=0.0)
    assert len(front.points) > 3
    assert not front.segments
    check_against_brute_force(front, steps)
    assert {prices(front, p.exposure) for p in front.points} == {(None, None)}


def test_two_workers_one_of_which_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    crews: list[Processes] = []
    build = Processes.__init__

    def note(self: Processes, *terms: object) -> None:
        build(self, *terms)  # type: ignore[arg-type]
        crews.append(self)

    monkeypatch.setattr(Processes, "__init__", note)

    def kill() -> None:
        while not crews:
            time.sleep(0.05)
        while crews[0].free() == 2:
            time.sleep(0.001)
        hand = next(h for h in crews[0].hands if h.task is not None)
        os.kill(hand.process.pid or 0, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    front = trace(*MODEL.pyomo(), tolerance=0.0, workers=2)
    killer.join()
    assert any("worker died" in words for words in front.incidents)
    check_against_brute_force(front, MODEL)


def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path) -> None:
    two, _ = compiled_of(*MODEL.pyomo())
    state = tmp_path / "state.npz"
    first = Engine(two, 0.0, Stop(1e9), state=state)
    first.most_solves = 8
    half = first.run()
    front = front_of(half, 0.0, True, {})
    assert front.uncovered_frac > 0.001
    second = Engine(two, 0.0, Stop(1e9), state=state, resume=True)
    whole = second.run()
    assert whole.slices[: len(half.slices)] != []
    assert len(whole.facts) > len(half.facts)
    check_against_brute_force(front_of(whole, 0.0, False, {}), MODEL)
    fresh = Engine(two, 0.0, Stop(1e9))
    assert whole.solves <= fresh.run().solves + 1


def test_a_front_of_one_point_goes_on_too(tmp_path: Path) -> None:
    """Both ends are the same: what was found is kept, and nothing is solved again."""
    m = pyo.ConcreteModel()
    m.z = pyo.Var(range(2), domain=pyo.Integers, bounds=(0, 4))
    m.cover = pyo.Constraint(expr=2 * m.z[0] + 3 * m.z[1] >= 7)
    both = 3 * m.z[0] + 5 * m.z[1]
    state = tmp_path / "state.npz"
    first = trace(m, both, both, tolerance=0.01, state=state)
    assert state.exists()
    again = trace(m, both, both, tolerance=0.01, state=state, resume=True)
    assert [(p.exposure, p.cost) for p in again.points] == [(p.exposure, p.cost) for p in first.points] == [(11, 11)]
    assert again.uncovered_frac == 0.0
    assert again.solves == first.solves


def test_a_state_of_another_model_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "state.npz"
    trace(*MODEL.pyomo(), tolerance=0.2, state=state)
    other = replace(MODEL, cost=(5.4, *MODEL.cost[1:]))
    with pytest.raises(ValueError, match="another model"):
        trace(*other.pyomo(), tolerance=0.2, state=state, resume=True)


def test_half_a_state_file_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "state.npz"
    trace(*MODEL.pyomo(), tolerance=0.2, state=state)
    state.write_bytes(state.read_bytes()[:300])
    with pytest.raises(ValueError, match="holds no state"):
        trace(*MODEL.pyomo(), tolerance=0.2, state=state, resume=True)


@pytest.mark.parametrize("lie", ["bound", "empty", "broken"])
def test_wrong_answers_are_caught_and_said(monkeypatch: pytest.MonkeyPatch, lie: str) -> None:
    """The fifth solve of the fast bench lies; the front is right all the same, and the lie is reported."""
    truth = Bench.mip
    count = [0]

    def lying(self: Bench, *terms: object, **more: object) -> Attempt:
        attempt = truth(self, *terms, **more)  # type: ignore[arg-type]
        count[0] += self.presolve
        if self.presolve and count[0] == 5:
            if lie == "bound":
                attempt.bound += 0.2
            elif lie == "empty":
                return Attempt(None, np.inf, -np.inf, False, infeasible=True)
            elif attempt.x is not None:
                attempt.x = attempt.x * 0.0
        return attempt

    monkeypatch.setattr(Bench, "mip", lying)
    front = trace(*MODEL.pyomo(), tolerance=0.0)
    assert front.incidents
    check_against_brute_force(front, MODEL)


def test_audit_solves_twice_and_agrees() -> None:
    plain, audited = (trace(*MODEL.pyomo(), tolerance=0.0, audit=audit) for audit in (False, True))
    assert audited.solves >= 2 * plain.solves - 2
    assert not audited.incidents
    check_against_brute_force(audited, MODEL)


def test_lazy_rows_count_before_a_solution_does() -> None:
    """The second row of the model comes only when it is violated."""
    full = MODEL
    part = replace(MODEL, rows=MODEL.rows[:1])
    m, cost, exposure = part.pyomo()
    coefficients, least = full.rows[1]
    calls = []

    def separate(model: pyo.ConcreteModel) -> list[object]:
        calls.append(1)
        variables = [*model.z.values(), *model.y.values()]
        body = sum(a * v for a, v in zip(coefficients, variables, strict=True))
        return [body >= least] if pyo.value(body) < least - 1e-7 else []

    front = trace(m, cost, exposure, tolerance=0.0, separate=separate)
    assert calls
    check_against_brute_force(front, full)


def test_a_time_limit_leaves_a_true_certificate() -> None:
    front = trace(*MODEL.pyomo(), tolerance=0.0, time_limit_s=0.4)
    slices = MODEL.slices()
    for e in questions(slices):
        if front.points[0].exposure <= e <= front.points[-1].exposure:
            assert front.lower(e) <= least_cost(slices, e) + 1e-6


def test_arguments_out_of_range_are_refused() -> None:
    m, cost, exposure = MODEL.pyomo()
    with pytest.raises(ValueError, match="tolerance"):
        trace(m, cost, exposure, tolerance=1.5)
    with pytest.raises(ValueError, match="workers"):
        trace(m, cost, exposure, workers=0)
    with pytest.raises(ValueError, match="linear"):
        trace(m, cost, m.z[0] * m.z[1])
    m.free = pyo.Var()
    with pytest.raises(ValueError, match="smallest value"):
        trace(m, cost + m.free, exposure)


def test_the_lower_of_two_curves_by_hand() -> None:
    """A line from (0, 1) to (1, 0) and a point (0.25, 0.5): they meet where 1 - e = 0.5."""
    line = slice_curve([(0.0, 1.0), (1.0, 0.0)], 0, 0.0, 1.1)
    both = line.merged(slice_curve([(0.25, 0.5)], 1, 0.0, 1.1), 1)
    assert [round(p.left, 9) for p in both.pieces] == [0.0, 0.25, 0.5, 1.0]
    assert both.at(0.2) == pytest.approx(0.8)
    assert both.at(0.25) == both.at(0.4) == 0.5
    # Below lies the fact X + C >= 0.5 (unit normal): area 0.375 + 0.125 / 2 over [0, 1.1) less what it covers.
    fact = Fact(2**-0.5, 2**-0.5, np.inf, np.inf, 0.5 * 2**-0.5)
    lower = fact.curve(0, 0.0, 1.1)
    assert lower.at(0.2) == pytest.approx(0.3)
    assert hidden_area(line, lower, 1.0)[0] == pytest.approx(0.5)  # parallel lines, half a unit apart


def test_a_bound_in_a_box_says_nothing_outside_it() -> None:
    lower = Fact(1.0, 0.0, np.inf, 0.7, 0.4).curve(0, 0.0, 1.0)
    assert lower.at(0.39) == 0.7
    assert lower.at(0.41) == -np.inf
    assert Curve.nothing(0.0, 1.0, np.inf).at(0.5) == np.inf


class _Later:
    """A lazy row that is known only once ``on`` is set: so many whole numbers in all, at least."""

    def __init__(self, row: np.ndarray, side: float) -> None:
        self.row, self.side, self.on = row, side, False

    def violated(self, x: np.ndarray) -> Rows | None:
        if not self.on or self.row @ x >= self.side - 1e-9:
            return None
        return csr_array(self.row[None, :]), np.array([self.side]), np.array([np.inf]), ["later"]


def test_a_front_goes_on_from_an_earlier_one_when_more_rows_are_known() -> None:
    """What was proved stays, what was attained is attained again: the same front as from the beginning."""
    two, order = compiled_of(*MODEL.pyomo())
    row = np.zeros(len(order))
    row[two.integer] = 1.0
    two.separation = later = _Later(row, 6.0)
    first = Engine(two, 0.0, Stop(1e9)).run()
    later.on = True
    fresh = Engine(two, 0.0, Stop(1e9)).run()
    start = fresh.slices[0].vertices[0].x
    again = Engine(two, 0.0, Stop(1e9), given=start, earlier=first)
    found = front_of(again.run(), 0.0, False, {})
    whole = front_of(fresh, 0.0, False, {})
    before = front_of(first, 0.0, False, {})
    assert before.points[-1].cost < whole.points[-1].cost - 1e-3  # the row matters
    assert not again.archive.incidents
    assert found.uncovered_frac <= 1e-6
    for e in np.linspace(whole.points[0].exposure, whole.points[-1].exposure, 50):
        assert found.upper(e) == pytest.approx(whole.upper(e), abs=1e-5)
        assert found.lower(e) <= whole.upper(e) + 1e-5
