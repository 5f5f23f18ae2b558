"""Which piece of the attained front hides most, and the solve that settles it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from planner.frontier.curve import FLAT, NOTHING, Curve, Piece, hidden_area
from planner.frontier.tasks import EPSILON, ROOM, Key, Task
from planner.problem import FloatArray

#: Width of the strip left out where the front jumps, normalised; well above the solver's tolerance.
STRIP = 1e-7
#: A piece that hides less than this (normalised, across the piece) is settled.
SETTLED = 2.5e-7
#: Factor between the gap of one attempt at a piece and the next.
_FINER = 1 / 4


@dataclass(frozen=True)
class Standing:
    """What is attained and proved now, with the area hidden under each attained piece."""

    upper: Curve
    lower: Curve
    hidden: FloatArray
    left: float
    right: float
    top: float
    bottom: float

    @property
    def rectangle(self) -> float:
        """Area between the two ends."""
        return (self.right - self.left) * (self.top - self.bottom)

    @property
    def uncovered_frac(self) -> float:
        """Hidden area over the rectangle, at most 1."""
        total = float(self.hidden.sum())
        if self.rectangle <= SETTLED**2:
            return 0.0 if total <= SETTLED else 1.0
        return min(1.0, total / self.rectangle)


def standing(upper: Curve, lower: Curve) -> Standing | None:
    """Ends, rectangle and hidden areas; None while nothing is attained."""
    known = [p for p in upper.pieces if p.tag != NOTHING]
    if not known:
        return None
    top, last = known[0].at_left, known[-1]
    right = last.left if last.at_left == last.at_right else last.right
    return Standing(upper, lower, hidden_area(upper, lower, top), known[0].left, right, top, last.at_right)


def key_of(piece: Piece) -> Key:
    """What tells pieces apart: their corners."""
    return tuple(round(v, 11) for v in piece[:4])


def open_tasks(
    now: Standing,
    tolerance: float,
    level_of: Callable[[Key], int],
    start_of: Callable[[float, float], FloatArray | None],
) -> Iterator[Task]:
    """Tasks for the pieces that hide something, worst first.

    Parameters
    ----------
    now
        Where the front stands.
    tolerance
        Uncovered share that is aimed at.
    level_of
        How often a piece was attempted; -1 when it is done with.
    start_of
        A solution with at most this exposure and cost, if one is known.
    """
    pieces = now.upper.pieces
    for i in np.argsort(-now.hidden, kind="stable"):
        piece, area = pieces[i], float(now.hidden[i])
        if piece.tag == NOTHING or area <= 0.0:
            continue
        following = pieces[i + 1] if i + 1 < len(pieces) else None
        across = max(piece.right - piece.left, piece.at_left - (following or piece).at_left)
        if area <= SETTLED * across:
            continue
        key = key_of(piece)
        level = level_of(key)
        if level < 0:
            continue
        gap = max(EPSILON, tolerance / 2 * _FINER**level)
        task = (
            _flat(now.upper, i, key, gap)
            if _is_flat(piece)
            else _sloped(pieces[i - 1] if i else None, piece, following, key, gap)
        )
        if task is not None:
            yield _completed(task, now.upper, tolerance, level, start_of)


def is_last_level(task: Task) -> bool:
    """Whether no finer gap is left to try."""
    return task.gap <= EPSILON


def _is_flat(piece: Piece) -> bool:
    return piece.tag[2] == FLAT or piece.at_left - piece.at_right <= ROOM


def _sloped(before: Piece | None, piece: Piece, following: Piece | None, key: Key, gap: float) -> Task | None:
    """Along the normal, inside the piece's box; open at an end where the front jumps or is flat.

    With a closed end the point beyond it, which lies lower along the normal, would be found again and
    again, and nothing would be proved about the piece.
    """
    wide, high = piece.right - piece.left, piece.at_left - piece.at_right
    jumps = following is not None and following.at_left < piece.at_right - STRIP
    flat = (
        before is not None and before.tag != NOTHING and _is_flat(before) and before.at_right <= piece.at_left + STRIP
    )
    x_max = piece.right - STRIP if jumps else piece.right + ROOM
    c_max = piece.at_left - STRIP if flat else piece.at_left + ROOM
    if c_max <= piece.at_right:
        return None
    if x_max <= piece.left:
        return None
    length = float(np.hypot(wide, high))
    weight = (high / length, wide / length)
    value = weight[0] * piece.left + weight[1] * piece.at_left
    return Task(key, weight, x_max, c_max, value, gap)


def _flat(upper: Curve, i: int, key: Key, gap: float) -> Task | None:
    """One step: the least exposure at which the cost falls below the flat piece."""
    level = upper.pieces[i].at_left - STRIP
    for piece in upper.pieces[i + 1 :]:
        if piece.at_right > level:
            continue
        e = piece.left
        if piece.at_left > level:
            e += (piece.right - piece.left) * (piece.at_left - level) / (piece.at_left - piece.at_right)
        return Task(key, (1.0, 0.0), min(e, piece.right) + ROOM, level, e, gap)
    return None


def _completed(
    task: Task, upper: Curve, tolerance: float, level: int, start_of: Callable[[float, float], FloatArray | None]
) -> Task:
    """Add what the worker needs besides the box."""
    start = start_of(task.x_max, task.c_max)
    return Task(
        task.key, task.weight, task.x_max, task.c_max, task.value, task.gap, 0.0, start, upper,
        tolerance * 1e-3, False, level,
    )  # fmt: skip
