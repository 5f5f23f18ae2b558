"""Which piece of the attained front hides most, and the solve that settles it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from planner.frontier.curve import FLAT, NOTHING, Curve, Piece, hidden_area
from planner.frontier.tasks import EPSILON, ROOM, Key, Task
from planner.problem import FloatArray

#: Width of the strip left out where the front jumps, normalised; well above the solver's tolerance.
STRIP = 1e-7
#: A piece that hides less than this (normalised, across the piece) is settled.
SETTLED = 2.5e-7
#: A flat piece that hides more than this share of the rectangle and of the tolerance is cut first.
_WIDE_FRAC, _WIDE_SHARE = 5e-4, 0.1
#: Where it is cut, attempt by attempt, and the gap there as a share of what it hides.
_HALVINGS = ((0.5, 0.1), (0.75, 0.0))
_CUT = "cut"
#: Area of a corner of a slice that is not looked for, as a share of the tolerance.
GRAIN_SHARE = 3e-3
#: Neighbours of a piece are proved with it as far as they lie this many gaps above its line.
_REACH = 2.0
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
    busy: Collection[Task] = (),
) -> Iterator[Task]:
    """Tasks for the pieces that hide something; first the one whose proof would cover most of what is hidden.

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
    busy
        Tasks under way: what they may cover is left to them while anything else is open.
    """
    middles = np.array([(p.left + p.right) / 2 for p in now.upper.pieces])
    left = now.hidden.copy()
    for task in busy:
        left[_inside(middles, task)] = 0.0
    found: list[tuple[float, float, Task]] = []
    for i in np.flatnonzero(now.hidden > 0.0):
        task_here = _task(now, int(i), tolerance, level_of)
        if task_here is not None:
            covered = float(left[_inside(middles, task_here)].sum()) if left[i] > 0.0 else 0.0
            found.append((covered * _apart(task_here, busy), float(now.hidden[i]), task_here))
    for _, _, task in sorted(found, key=lambda entry: (-entry[0], -entry[1])):
        yield replace(task, start=start_of(task.x_max, task.c_max), upper=now.upper, grain=tolerance * GRAIN_SHARE)


def _inside(middles: FloatArray, task: Task) -> NDArray[np.bool_]:
    """Pieces whose middle a proof of the task would cover."""
    return np.asarray((middles >= task.span[0]) & (middles <= task.span[1]))


def _apart(task: Task, busy: Collection[Task]) -> float:
    """Share of the span of a task that no other task under way is about to prove, as far as one of them reaches."""
    wide = task.span[1] - task.span[0]
    if wide <= 0.0:
        return 1.0
    shared = (min(task.span[1], b.span[1]) - max(task.span[0], b.span[0]) for b in busy)
    return 1.0 - max(0.0, max(shared, default=0.0)) / wide


def _task(now: Standing, i: int, tolerance: float, level_of: Callable[[Key], int]) -> Task | None:
    """The next attempt at one piece; None if it hides nothing to speak of, or is done with."""
    pieces = now.upper.pieces
    piece, area = pieces[i], float(now.hidden[i])
    if piece.tag == NOTHING:
        return None
    following = pieces[i + 1] if i + 1 < len(pieces) else None
    across = max(piece.right - piece.left, piece.at_left - (following or piece).at_left)
    if area <= SETTLED * across:
        return None
    key = key_of(piece)
    cut: Key = (*key, _CUT)
    level, cuts = level_of(key), level_of(cut)
    if level < 0:
        return None
    gap = max(EPSILON, tolerance / 2 * _FINER**level)
    task: Task | None
    if not _is_flat(piece):
        task = _sloped(pieces, i, key, gap)
    elif level == 0 and cuts < len(_HALVINGS) and area > max(tolerance * _WIDE_SHARE, _WIDE_FRAC) * now.rectangle:
        # A cut has a key of its own: it must not make the gap of the step after it finer.
        return replace(_cut(now, piece, cut, tolerance / 2, cuts), level=cuts)
    else:
        task = _flat(pieces, i, key, gap)
    return replace(task, level=level) if task is not None else None


def is_last_level(task: Task) -> bool:
    """Whether no finer gap is left to try."""
    return task.gap <= EPSILON


def _is_flat(piece: Piece) -> bool:
    return piece.tag[2] == FLAT or piece.at_left - piece.at_right <= ROOM


def _sloped(pieces: Sequence[Piece], i: int, key: Key, gap: float) -> Task | None:
    """Along the normal of a piece, inside the box of all neighbours that lie a little above its line.

    The wider the box, the more of the front one proof covers, and the longer it takes. It is open at an end
    where the front jumps below the line or is flat: with a closed end the point beyond it, which lies lower
    along the normal, would be found again and again, and nothing would be proved about the piece.
    """
    piece = pieces[i]
    wide, high = piece.right - piece.left, piece.at_left - piece.at_right
    length = float(np.hypot(wide, high))
    weight = (high / length, wide / length)
    value = weight[0] * piece.left + weight[1] * piece.at_left

    def above(other: Piece) -> bool:
        ends = (other.left, other.at_left), (other.right, other.at_right)
        over = [weight[0] * e + weight[1] * c - value for e, c in ends]
        return other.tag != NOTHING and min(over) >= -ROOM and max(over) <= _REACH * gap

    first = last = i
    while last + 1 < len(pieces) and above(pieces[last + 1]):
        last += 1
    while first > 0 and above(pieces[first - 1]):
        first -= 1
    before = pieces[first - 1] if first else None
    following = pieces[last + 1] if last + 1 < len(pieces) else None
    jumps = following is not None and following.at_left < pieces[last].at_right - STRIP
    level = pieces[first].at_left
    flat = before is not None and before.tag != NOTHING and _is_flat(before) and before.at_right <= level + STRIP
    x_max = pieces[last].right - STRIP if jumps else pieces[last].right + ROOM
    c_max = level - STRIP if flat else level + ROOM
    if c_max <= piece.at_right or x_max <= piece.left:
        return None
    return Task(key, weight, x_max, c_max, value, gap, span=(pieces[first].left, pieces[last].right))


def _cut(now: Standing, piece: Piece, key: Key, gap: float, attempt: int) -> Task:
    """The least cost inside a wide flat piece.

    The least exposure below its level is hard to bound where the level is far above the front.
    """
    share, gap_share = _HALVINGS[attempt]
    at = piece.left + share * (piece.right - piece.left)
    hidden = piece.at_left - max(now.lower.at(at), now.bottom)
    # Never as fine as the last level: the piece is not done with after a cut.
    gap = max(2 * EPSILON, gap, hidden * gap_share)
    return Task(key, (0.0, 1.0), at, np.inf, piece.at_left, gap, span=(piece.left, at))


def _flat(pieces: Sequence[Piece], i: int, key: Key, gap: float) -> Task | None:
    """One step: the least exposure at which the cost falls below the flat piece, by as much as the gap."""
    level = pieces[i].at_left - max(STRIP, gap)
    for piece in pieces[i + 1 :]:
        if piece.at_right > level:
            continue
        e = piece.left
        if piece.at_left > level:
            e += (piece.right - piece.left) * (piece.at_left - level) / (piece.at_left - piece.at_right)
        e = min(e, piece.right)
        return Task(key, (1.0, 0.0), e + ROOM, level, e, gap, span=(pieces[i].left, e))
    return None
