"""The lower convex hull of what is attained: where a weighting of the two objectives proves most.

A solve along the normal of a hull edge needs no box. It is quick, and its bound holds along the whole front;
what lies above the hull is left to boxes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import pairwise

import numpy as np

from planner.frontier.curve import NOTHING, hidden_area, slice_curve
from planner.frontier.pieces import GRAIN_SHARE, Standing
from planner.frontier.tasks import ROOM, Key, Task
from planner.problem import FloatArray

#: An edge is worth a solve while it hides this share of the rectangle, or the tolerance if that is more.
_WORTH = 0.005
_HULL = "hull"
_DIGITS = 11


def hull_of(corners: Sequence[tuple[float, float]]) -> list[int]:
    """Corners on the lower convex hull, in order: only these are picked by some weight.

    Parameters
    ----------
    corners
        (exposure, cost), exposure rising and cost falling.
    """
    hull: list[int] = []
    for i, (e, c) in enumerate(corners):
        while len(hull) >= 2:
            (e0, c0), (e1, c1) = corners[hull[-2]], corners[hull[-1]]
            if (c1 - c0) * (e - e0) >= (c - c0) * (e1 - e0):
                hull.pop()
            else:
                break
        hull.append(i)
    return hull


def hull_tasks(
    now: Standing,
    tolerance: float,
    level_of: Callable[[Key], int],
    start_of: Callable[[float, float], FloatArray | None],
    busy: Collection[Key],
) -> Iterator[Task]:
    """Solves along the hull; first the edge that hides most.

    While an edge is under way, its two corners are tried too, at the weight between its own and that of the next edge:
    another worker need not wait for what the edge brings.

    Parameters
    ----------
    now
        Where the front stands.
    tolerance
        Uncovered share that is aimed at.
    level_of
        How often an edge was tried.
    start_of
        A solution with at most this exposure and cost, if one is known.
    busy
        What is under way.
    """
    known = [p for p in now.upper.pieces if p.tag != NOTHING]
    corners = [(p.left, p.at_left) for p in known]
    if known[-1].at_right < known[-1].at_left:
        corners.append((known[-1].right, known[-1].at_right))
    points = [corners[i] for i in hull_of(corners)]
    points = [p for k, p in enumerate(points) if k == 0 or p[1] < points[k - 1][1]]
    if len(points) < 2:
        return
    lo, hi = now.upper.pieces[0].left, now.upper.pieces[-1].right
    edges = slice_curve(points, 0, lo, hi)
    areas = hidden_area(edges, now.lower, now.top)
    hidden = dict(zip([p.tag[1] for p in edges.pieces], areas, strict=True))
    # Angles fall along the front: the secure end is steep.
    angles = [np.pi / 2, *(float(np.arctan2(c0 - c1, e1 - e0)) for (e0, c0), (e1, c1) in pairwise(points)), 0.0]
    least = max(_WORTH, tolerance) * now.rectangle
    worth = sorted((k for k in range(len(points) - 1) if hidden.get(k, 0.0) > least), key=lambda k: -hidden[k])
    found = [(angles[k + 1], points[k], points[k + 1]) for k in worth]
    for k in worth:
        if _key(angles[k + 1]) in busy:
            found.append(((angles[k] + angles[k + 1]) / 2, points[k], points[k]))
            found.append(((angles[k + 1] + angles[k + 2]) / 2, points[k + 1], points[k + 1]))
    for angle, left, right in found:
        key = _key(angle)
        if key in busy or level_of(key) != 0:
            continue
        weight = (float(np.sin(angle)), float(np.cos(angle)))
        yield Task(
            key, weight, value=weight[0] * left[0] + weight[1] * left[1], gap=tolerance / 2,
            start=start_of(left[0] + ROOM, left[1] + ROOM), upper=now.upper, grain=tolerance * GRAIN_SHARE,
            span=(left[0], right[0]),
        )  # fmt: skip


def _key(angle: float) -> Key:
    return (_HULL, round(angle, _DIGITS))
