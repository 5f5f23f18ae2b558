"""One slice: the front of the linear program that is left when every whole number is fixed.

It is convex, so it is found by weighted sums alone: the two ends, then the normal of each pair of
neighbours, until nothing lies below a pair or what lies there cannot improve what is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from planner.frontier.bench import Bench
from planner.frontier.curve import Curve
from planner.problem import FloatArray

#: Vertices closer than this (normalised) are one.
SAME = 1e-9
#: A solution this far inside the box of the fixed whole numbers is asked for the second objective.
_TIE = 1e-10


@dataclass(frozen=True)
class Vertex:
    """An attained corner of a slice: exposure and cost (model units) and the solution."""

    exposure: float
    cost: float
    x: FloatArray


@dataclass(frozen=True)
class Slice:
    """Corners for one choice of whole numbers, exposure rising, cost falling."""

    vertices: tuple[Vertex, ...]


def trace_slice(
    bench: Bench,
    whole: FloatArray,
    weight: tuple[float, float],
    box: tuple[float, float],
    upper: Curve | None,
    grain: float,
    *,
    known: bool = False,
) -> Slice | None:
    """Front of one choice of whole numbers.

    Parameters
    ----------
    bench
        Solver.
    whole
        Solution whose whole numbers are kept.
    weight, box
        Direction and box (largest exposure, largest cost) in which the whole numbers were found: the best
        point there is part of the slice even if it is worth less than ``grain``.
    upper
        What is attained already; parts of the slice that cannot go below it are not refined.
    grain
        Normalised area below which a corner is not looked for.
    known
        These whole numbers were traced before: only the best point in the box is looked for.

    Returns
    -------
    Slice or None
        None if no solution has these whole numbers and keeps every lazy row.
    """
    if bench.model.integer.all():
        return None if bench.violated(whole) else Slice((_vertex(bench, whole),))
    best = bench.lp(whole, weight, *box)
    if known and best is not None:
        return Slice((_vertex(bench, best),))
    ends = [_end(bench, whole, order) for order in (0, 1)]
    corners = [_vertex(bench, x) for x in (ends[0], best, ends[1]) if x is not None]
    if not corners:
        return None
    found = list(corners)
    todo = list(pairwise(corners))
    while todo and not bench.stop.now:
        a, b = todo.pop()
        between = _between(bench, whole, a, b, upper, grain)
        if between is not None:
            found.append(between)
            todo += [(a, between), (between, b)]
    return Slice(_corners(bench, found))


def _vertex(bench: Bench, x: FloatArray) -> Vertex:
    exposure, cost = bench.model.values(x)
    return Vertex(exposure, cost, x)


def _end(bench: Bench, whole: FloatArray, first: int) -> FloatArray | None:
    """Lexicographic end: least exposure then cost (0), or least cost then exposure (1)."""
    weight = ((1.0, 0.0), (0.0, 1.0))
    x = bench.lp(whole, weight[first])
    if x is None:
        return None
    point = bench.point(x)
    box = (point[0] + _TIE, np.inf) if first == 0 else (np.inf, point[1] + _TIE)
    better = bench.lp(whole, weight[1 - first], *box)
    return x if better is None else better


def _between(bench: Bench, whole: FloatArray, a: Vertex, b: Vertex, upper: Curve | None, grain: float) -> Vertex | None:
    """The corner furthest below the line from ``a`` to ``b``, if there is one worth having."""
    (e0, c0), (e1, c1) = (bench.frame.inside((v.exposure, v.cost)) for v in (a, b))
    wide, high = e1 - e0, c0 - c1
    if wide <= SAME or high <= SAME or wide * high / 2 <= grain:
        return None
    if upper is not None and _hopeless(upper, (e0, c0), (e1, c1)):
        return None
    length = float(np.hypot(wide, high))
    x = bench.lp(whole, (high / length, wide / length))
    if x is None:
        return None
    vertex = _vertex(bench, x)
    e, c = bench.frame.inside((vertex.exposure, vertex.cost))
    below = ((e0 - e) * high + (c0 - c) * wide) / length
    inside = e0 - SAME < e < e1 + SAME and c1 - SAME < c < c0 + SAME
    return vertex if below > SAME and inside else None


def _hopeless(upper: Curve, a: tuple[float, float], b: tuple[float, float]) -> bool:
    """Whether even the lower left corner of the triangle is no better than what is attained."""
    at_right = upper.at(b[0])
    return at_right < np.inf and b[1] >= at_right and upper.at(a[0]) <= b[1]


def _corners(bench: Bench, found: list[Vertex]) -> tuple[Vertex, ...]:
    """Undominated corners in order, those on a straight line kept: each carries a solution."""
    ordered = sorted(found, key=lambda v: (v.exposure, v.cost))
    kept: list[Vertex] = []
    for vertex in ordered:
        e, c = bench.frame.inside((vertex.exposure, vertex.cost))
        if kept:
            e_last, c_last = bench.frame.inside((kept[-1].exposure, kept[-1].cost))
            if c >= c_last or (e - e_last <= SAME and c_last - c <= SAME):
                continue
        kept.append(vertex)
    return tuple(kept)
