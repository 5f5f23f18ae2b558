"""A traced front, as its user sees it: in the model's own units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from planner.frontier.archive import Archive
from planner.frontier.curve import NOTHING, Curve, Piece
from planner.frontier.pieces import SETTLED, standing
from planner.problem import FloatArray


@dataclass(frozen=True)
class Point:
    """An attained point of the front with a solution that attains it."""

    exposure: float
    cost: float
    x: FloatArray = field(repr=False)
    values: Mapping[str, float] = field(repr=False, default_factory=dict)
    supported: bool = True


@dataclass(frozen=True)
class Segment:
    """A straight part of the front from its secure (left) to its cheap (right) end.

    An open end is the limit of the segment, not a point of the front: there the front jumps.
    """

    left: Point
    right: Point
    left_closed: bool
    right_closed: bool

    @property
    def price(self) -> float:
        """Cost of one unit of exposure less."""
        return (self.left.cost - self.right.cost) / (self.right.exposure - self.left.exposure)


@dataclass(frozen=True)
class Jump:
    """Where a little less exposure costs a step: least cost just below, and at, this exposure."""

    exposure: float
    cost_below: float
    cost_at: float


@dataclass(frozen=True)
class Front:
    """Least cost over exposure, attained and proved.

    Attributes
    ----------
    points
        Every corner, isolated point and end, exposure rising.
    segments, jumps
        What lies between them.
    uncovered_frac
        Share of the rectangle between the two ends in which the true front may still lie
        below what is attained.
    incidents
        Wrong answers of the solver that were caught, and workers that died, in words.
    """

    points: tuple[Point, ...]
    segments: tuple[Segment, ...]
    jumps: tuple[Jump, ...]
    uncovered_frac: float
    tolerance: float
    solves: int
    seconds: float
    incidents: tuple[str, ...]
    stopped: bool
    archive: Archive = field(repr=False)
    _upper: Curve = field(repr=False)
    _lower: Curve = field(repr=False)

    def upper(self, e: float) -> float:
        """Least attained cost with exposure at most ``e``; infinity where nothing is attained."""
        return self._cost(self._upper, e)

    def lower(self, e: float) -> float:
        """Proved lower bound on the cost of any solution with exposure at most ``e``."""
        return self._cost(self._lower, e)

    def _cost(self, curve: Curve, e: float) -> float:
        frame = self.archive.frame
        x = (e - frame.x_origin) / frame.x_length
        if x < curve.pieces[0].left and curve is self._lower:
            return np.inf if x < curve.pieces[0].left - SETTLED else self._cost(curve, self._edge())
        return frame.c_origin + frame.c_length * curve.at(x)

    def _edge(self) -> float:
        return self.archive.frame.outside((self._lower.pieces[0].left, 0.0))[0]

    def solution(self, e: float) -> FloatArray:
        """A solution that attains ``upper(e)``.

        Raises
        ------
        ValueError
            If nothing is attained with so little exposure.
        """
        x = (e - self.archive.frame.x_origin) / self.archive.frame.x_length
        known = [p for p in self._upper.pieces if p.tag != NOTHING and p.left <= x]
        if not known:
            raise ValueError(f"no solution is known with an exposure of at most {e:g}")
        return self.archive.solution(known[-1], min(x, known[-1].right))


def front_of(archive: Archive, tolerance: float, stopped: bool, names: Mapping[str, int]) -> Front:
    """Turn what is known into a front.

    Parameters
    ----------
    archive
        What the engine left.
    tolerance
        That was asked.
    stopped
        Whether it was stopped before the tolerance was met.
    names
        Column of each variable, for ``Point.values``.
    """
    upper, lower = archive.upper(), archive.lower()
    now = standing(upper, lower)
    assert now is not None
    points, segments, jumps = _shape(archive, upper, names)
    seconds, incidents = archive.seconds, tuple(archive.incidents)
    return Front(
        points, segments, jumps, now.uncovered_frac, tolerance, archive.solves, seconds, incidents, stopped,
        archive, upper, lower,
    )  # fmt: skip


def _shape(
    archive: Archive, upper: Curve, names: Mapping[str, int]
) -> tuple[tuple[Point, ...], tuple[Segment, ...], tuple[Jump, ...]]:
    """Points, segments and jumps of the attained curve; slivers narrower than the solver's tolerance are left out."""
    points: list[Point] = []
    segments: list[Segment] = []
    jumps: list[Jump] = []

    def point(piece: Piece, e: float, cost: float) -> Point:
        x = archive.solution(piece, e)
        outside = archive.frame.outside((e, cost))
        return Point(outside[0], outside[1], x, {n: float(x[j]) for n, j in names.items()})

    before = np.inf
    known = [p for p in upper.pieces if p.tag != NOTHING]
    last = known[-1]
    known = [p for p in known if p.right - p.left > SETTLED or p is last]
    for piece in known:
        drop = before - piece.at_left
        lower_here = piece.at_left < before - SETTLED
        sloped = piece.at_left - piece.at_right > SETTLED and piece.right - piece.left > SETTLED
        if before < np.inf and drop > SETTLED:
            outside = [archive.frame.outside((piece.left, c)) for c in (before, piece.at_left)]
            jumps.append(Jump(outside[0][0], outside[0][1], outside[1][1]))
        left = point(piece, piece.left, piece.at_left) if lower_here or sloped else None
        if lower_here and left is not None:
            points.append(left)
        if sloped and left is not None:
            following = next((p for p in known if p.left >= piece.right), None)
            closed = following is None or following.at_left >= piece.at_right - SETTLED
            right = point(piece, piece.right, piece.at_right)
            started = bool(segments) and abs(segments[-1].right.exposure - left.exposure) <= 0
            segments.append(Segment(left, right, lower_here or started, closed))
            if closed:
                points.append(right)
        before = min(before, piece.at_right)
    return _supported(points), tuple(segments), tuple(jumps)


def _supported(points: list[Point]) -> tuple[Point, ...]:
    """Mark the points on the lower convex hull: only these are reached by weighting the two objectives."""
    ordered = sorted(points, key=lambda p: (p.exposure, p.cost))
    hull: list[Point] = []
    for p in ordered:
        while len(hull) >= 2 and _above(hull[-2], hull[-1], p):
            hull.pop()
        hull.append(p)
    on = {id(p) for p in hull}
    return tuple(Point(p.exposure, p.cost, p.x, p.values, id(p) in on) for p in ordered)


def _above(a: Point, b: Point, c: Point) -> bool:
    """Whether ``b`` lies above the line from ``a`` to ``c``."""
    wide, high = c.exposure - a.exposure, a.cost - c.cost
    if wide <= 0:
        return True
    return b.cost - (a.cost - high * (b.exposure - a.exposure) / wide) > 1e-9 * max(high, 1e-300)
