"""Which task is given next, and what is left to those under way."""

from __future__ import annotations

import numpy as np
import pytest

from planner.frontier.curve import Curve, Fact, slice_curve
from planner.frontier.pieces import STRIP, Standing, open_tasks, standing
from planner.frontier.tasks import Task

TOLERANCE = 0.01


def _standing(points: list[tuple[float, float]], floor: float = 0.0) -> Standing:
    upper = slice_curve(points, 0, 0.0, 1.0)
    lower = Fact(0.0, 1.0, np.inf, np.inf, floor).curve(-2, 0.0, 1.0)
    now = standing(upper, lower)
    assert now is not None
    return now


def _tasks(now: Standing, busy: tuple[Task, ...] = (), tolerance: float = TOLERANCE) -> list[Task]:
    return list(open_tasks(now, tolerance, lambda key: 0, lambda x, c: None, busy))


#: Ten short stretches on one line hide more together than the single one to the right of them.
LINE = [(0.06 * k, 1.0 - 0.06 * k) for k in range(11)]
NOW = _standing([*LINE, (1.0, 0.1)], floor=0.05)


def test_stretches_on_one_line_count_together() -> None:
    """The first task is the one whose proof covers most, not the one whose own piece hides most."""
    alone = int(np.argmax(NOW.hidden))
    assert alone == len(LINE) - 1
    first = _tasks(NOW)[0]
    assert first.span == pytest.approx((0.0, 0.6))


def test_what_is_under_way_comes_last() -> None:
    """A second worker is not sent where the first one is."""
    bent = _standing([(0.0, 1.0), (0.2, 0.5), (1.0, 0.0)], floor=-0.05)
    first = _tasks(bent)[0]
    second = _tasks(bent, (first,))[0]
    assert second.span[0] >= first.span[1] - 1e-9 or second.span[1] <= first.span[0] + 1e-9


def test_a_flat_piece_is_left_by_no_less_than_the_gap() -> None:
    """Else each solve brings a cost a hair lower and proves nothing."""
    upper = Curve.nothing(0.0, 1.0, np.inf)
    for number, corner in enumerate([(0.0, 1.0), (0.0004, 0.5), (0.9, 0.0)]):
        upper = upper.merged(slice_curve([corner], number, 0.0, 1.0), 1)
    now = standing(upper, Fact(0.0, 1.0, np.inf, np.inf, -0.05).curve(-2, 0.0, 1.0))
    assert now is not None
    flat = next(t for t in _tasks(now) if t.weight == (1.0, 0.0) and t.span[0] == 0.0)
    assert flat.c_max == pytest.approx(1.0 - TOLERANCE / 2)
    exact = next(t for t in _tasks(now, tolerance=0.0) if t.weight == (1.0, 0.0) and t.span[0] == 0.0)
    assert exact.c_max == pytest.approx(1.0 - STRIP, abs=1e-12)
