"""Falling piecewise-linear functions with jumps: what is attained, and what is proved.

Exposure and cost are normalised here: 0..1 between the two ends of the front. A curve covers
``[lo, hi)`` with pieces that are half-open on the right, so a jump belongs to the cheaper side.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from planner.problem import FloatArray

Tag = tuple[int, int, int]
#: Tag of a stretch where nothing is known.
NOTHING: Tag = (-1, -1, -1)
#: Tags of a sloped and a flat stretch of a slice: (slice, vertex at its left, kind).
SLOPED, FLAT = 0, 1
#: Differences below this are rounding.
TINY = 1e-12


class Piece(NamedTuple):
    """A straight stretch over ``[left, right)``; cost at its left end, and its limit at the right."""

    left: float
    right: float
    at_left: float
    at_right: float
    tag: Tag

    def at(self, e: float) -> float:
        """Cost at an exposure inside the piece."""
        if self.at_left == self.at_right:
            return self.at_left
        return self.at_left + (self.at_right - self.at_left) * (e - self.left) / (self.right - self.left)


@dataclass(frozen=True)
class Curve:
    """Pieces that follow each other without a hole."""

    pieces: tuple[Piece, ...]

    @classmethod
    def nothing(cls, lo: float, hi: float, value: float) -> Curve:
        """A curve that knows nothing: infinity above what is attained, or minus infinity below."""
        return cls((Piece(lo, hi, value, value, NOTHING),))

    def at(self, e: float) -> float:
        """Cost at an exposure; the last piece goes on to the right, nothing is known to the left."""
        first = self.pieces[0]
        if e < first.left:
            return np.inf if first.at_left > -np.inf else -np.inf
        index = bisect_right([p.left for p in self.pieces], e) - 1
        piece = self.pieces[index]
        return piece.at(min(e, piece.right))

    def merged(self, other: Curve, sign: int) -> Curve:
        """Pointwise minimum (``sign`` 1) or maximum (-1); ties stay with this curve."""
        out: list[Piece] = []
        i = j = 0
        mine, others = self.pieces, other.pieces
        at = mine[0].left
        end = mine[-1].right
        while at < end and i < len(mine) and j < len(others):
            to = min(mine[i].right, others[j].right)
            if to > at:
                _lower(out, mine[i], others[j], at, to, sign)
            at = max(at, to)
            i += mine[i].right <= at
            if j < len(others) and others[j].right <= at:
                j += 1
        return Curve(tuple(out))


def _lower(out: list[Piece], a: Piece, b: Piece, left: float, right: float, sign: int) -> None:
    """Append the better of two pieces over ``[left, right)``, cut where they cross."""
    if b.tag == NOTHING:
        _append(out, a, left, right)
        return
    if a.tag == NOTHING:
        _append(out, b, left, right)
        return
    d0 = sign * (b.at(left) - a.at(left))
    d1 = sign * (b.at(right) - a.at(right))
    if d0 >= -TINY and d1 >= -TINY:
        _append(out, a, left, right)
    elif d0 <= TINY and d1 <= TINY:
        _append(out, b, left, right)
    else:
        cross = left + (right - left) * d0 / (d0 - d1)
        first, second = (a, b) if d0 > 0 else (b, a)
        if cross - left > TINY:
            _append(out, first, left, cross)
        else:
            cross = left
        if right - cross > TINY:
            _append(out, second, cross, right)
        elif out:
            _append(out, first, cross, right)


def _append(out: list[Piece], source: Piece, left: float, right: float) -> None:
    """Append a stretch of a piece, or lengthen the last one when it is the same line."""
    if out and out[-1].tag == source.tag and out[-1].right == left:
        out[-1] = Piece(out[-1].left, right, out[-1].at_left, source.at(right), source.tag)
    else:
        out.append(Piece(left, right, source.at(left), source.at(right), source.tag))


def slice_curve(points: Sequence[tuple[float, float]], number: int, lo: float, hi: float) -> Curve:
    """Least cost that one slice attains at each exposure.

    Parameters
    ----------
    points
        (exposure, cost) of its vertices, exposure rising and cost falling.
    number
        Number of the slice, for the tags.
    lo, hi
        Range of the curve.
    """
    pieces: list[Piece] = []
    at = lo
    first = points[0][0]
    if first > lo:
        at = min(first, hi)
        pieces.append(Piece(lo, at, np.inf, np.inf, NOTHING))
    for k, ((e0, c0), (e1, c1)) in enumerate(pairwise(points)):
        if e1 <= at or e0 >= hi or e1 - e0 <= TINY:
            continue
        whole = Piece(e0, e1, c0, c1, (number, k, SLOPED))
        right = min(e1, hi)
        pieces.append(Piece(at, right, whole.at(at), whole.at(right), whole.tag))
        at = right
    if at < hi:
        k = len(points) - 1
        pieces.append(Piece(at, hi, points[k][1], points[k][1], (number, k, FLAT)))
    return Curve(tuple(pieces))


@dataclass(frozen=True)
class Fact:
    """A proved bound: ``wx X + wc C >= bound`` wherever ``X <= x_max`` and ``C <= c_max``.

    ``bound`` is infinity where the solver proved that no solution lies in that box.
    """

    wx: float
    wc: float
    x_max: float
    c_max: float
    bound: float

    def curve(self, number: int, lo: float, hi: float) -> Curve:
        """Lower bound on the least cost at each exposure; minus infinity where it says nothing."""
        end = min(self.x_max, hi)
        if end <= lo or self.bound == -np.inf:
            return Curve.nothing(lo, hi, -np.inf)
        tag = (number, 0, SLOPED)
        if self.bound == np.inf:
            cut = end if self.c_max < np.inf else lo
        elif self.wx > 0:
            # Left of here the line lies above the box, so only the box counts.
            cut = (self.bound - (self.wc * self.c_max if self.wc > 0 else 0.0)) / self.wx if self.c_max < np.inf else lo
        else:
            cut = end if self.wc > 0 and self.bound / self.wc > self.c_max else lo
        cut = min(max(cut, lo), end)
        pieces = [Piece(lo, cut, self.c_max, self.c_max, tag)] if cut > lo else []
        if cut < end and self.wc > 0 and self.bound < np.inf:
            line = [(self.bound - self.wx * e) / self.wc for e in (cut, end)]
            pieces.append(Piece(cut, end, line[0], line[1], (number, 1, SLOPED)))
        at = pieces[-1].right if pieces else lo
        if at < hi:
            pieces.append(Piece(at, hi, -np.inf, -np.inf, NOTHING))
        return Curve(tuple(pieces))

    def reframed(self, old: tuple[float, float, float, float], new: tuple[float, float, float, float]) -> Fact:
        """The same bound in another scale; each is (x origin, x length, cost origin, cost length)."""
        (x0, xl, c0, cl), (y0, yl, d0, dl) = old, new
        wx, wc = self.wx * yl / xl, self.wc * dl / cl
        length = float(np.hypot(wx, wc))
        bound = self.bound - self.wx * (y0 - x0) / xl - self.wc * (d0 - c0) / cl
        x_max, c_max = (x0 + self.x_max * xl - y0) / yl, (c0 + self.c_max * cl - d0) / dl
        return Fact(wx / length, wc / length, x_max, c_max, bound / length)

    def contradicted_by(self, x: float, c: float) -> float:
        """By how much an attained point proves this bound wrong (0 if it does not)."""
        if x > self.x_max or c > self.c_max:
            return 0.0
        if self.bound == np.inf:
            return min(self.x_max - x, self.c_max - c)
        return max(0.0, self.bound - (self.wx * x + self.wc * c))


def hidden_area(upper: Curve, lower: Curve, top: float) -> FloatArray:
    """Area between two curves under each piece of the upper one; ``top`` stands for what is not attained.

    Parameters
    ----------
    upper, lower
        On the same range.
    top
        Cost that counts where nothing is attained.

    Returns
    -------
    numpy.ndarray
        One area per piece of ``upper``, never negative.
    """
    area = np.zeros(len(upper.pieces))
    j = 0
    for i, piece in enumerate(upper.pieces):
        at = piece.left
        known = piece.tag != NOTHING
        while at < piece.right:
            while lower.pieces[j].right <= at:
                j += 1
            low = lower.pieces[j]
            to = min(piece.right, low.right)
            gap = [
                (min(piece.at(e), top) if known else top) - (low.at(e) if low.tag != NOTHING else -np.inf)
                for e in (at, to)
            ]
            area[i] += _positive_area(gap[0], gap[1], to - at)
            at = to
    return area


def _positive_area(g0: float, g1: float, width: float) -> float:
    """Area under the positive part of a line from ``g0`` to ``g1``."""
    if g0 >= 0 and g1 >= 0:
        return width * (g0 + g1) / 2
    if g0 <= 0 and g1 <= 0:
        return 0.0
    high, low = max(g0, g1), min(g0, g1)
    return width * high * high / (2 * (high - low))
