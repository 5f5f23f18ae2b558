"""Small two-objective models, and their front by brute force: every whole vector, every polygon corner.

Minimise (X, C) over whole vectors z and up to two continuous y >= 0, with rows A z + B y >= b. For a
given z the y form a polygon: its corners are the intersections of pairs of edges.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pyomo.environ as pyo


@dataclass(frozen=True)
class Model:
    """``z_top[j]`` is the largest value of z_j, ``y_top`` of each y; last columns of every matrix belong to y."""

    z_top: tuple[int, ...]
    y_top: tuple[float, ...]
    cost: tuple[float, ...]
    exposure: tuple[float, ...]
    rows: tuple[tuple[tuple[float, ...], float], ...]

    def pyomo(self) -> tuple[pyo.ConcreteModel, object, object]:
        """Model and its two objectives."""
        m = pyo.ConcreteModel()
        nz, ny = len(self.z_top), len(self.y_top)
        m.z = pyo.Var(range(nz), domain=pyo.Integers)
        m.y = pyo.Var(range(ny), domain=pyo.NonNegativeReals)
        for j, top in enumerate(self.z_top):
            m.z[j].setlb(0)
            m.z[j].setub(top)
        for j, top in enumerate(self.y_top):
            m.y[j].setub(top)
        variables = [*(m.z[j] for j in range(nz)), *(m.y[j] for j in range(ny))]

        def linear(coefficients: tuple[float, ...]) -> object:
            return sum(a * v for a, v in zip(coefficients, variables, strict=True)) + 0.5

        m.rows = pyo.ConstraintList()
        for coefficients, least in self.rows:
            if any(coefficients):
                m.rows.add(linear(coefficients) - 0.5 >= least)
        return m, linear(self.cost), linear(self.exposure)

    def slices(self) -> list[list[tuple[float, float]]]:
        """(exposure, cost) corners of every whole vector, undominated and in order."""
        found = []
        for z in itertools.product(*(range(top + 1) for top in self.z_top)):
            ys = self._corners(np.array(z, dtype=float))
            points = [
                (float(np.dot(self.exposure, [*z, *y])) + 0.5, float(np.dot(self.cost, [*z, *y])) + 0.5) for y in ys
            ]
            if points:
                found.append(_hull(points))
        return found

    def _corners(self, z: np.ndarray) -> list[tuple[float, ...]]:
        nz, ny = len(self.z_top), len(self.y_top)
        edges = [(np.array(a[nz:]), b - float(np.dot(a[:nz], z))) for a, b in self.rows if any(a)]
        for j, top in enumerate(self.y_top):
            unit = np.eye(ny)[j]
            edges += [(unit, 0.0), (-unit, -top)]
        corners = [()] if ny == 0 else []
        for pair in itertools.combinations(edges, ny) if ny else ():
            matrix = np.array([a for a, _ in pair])
            if abs(np.linalg.det(matrix)) > 1e-9:
                corners.append(tuple(np.linalg.solve(matrix, [b for _, b in pair])))
        return [y for y in corners if all(float(np.dot(a, y)) >= b - 1e-9 for a, b in edges)]


def _hull(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Lower left convex hull."""
    hull: list[tuple[float, float]] = []
    for e, c in sorted(points):
        if hull and c >= hull[-1][1] - 1e-12:
            continue
        while len(hull) >= 2:
            (e0, c0), (e1, c1) = hull[-2:]
            if (c1 - c0) * (e - e0) >= (c - c0) * (e1 - e0) - 1e-12:
                hull.pop()
            else:
                break
        hull.append((e, c))
    return hull


def least_cost(slices: list[list[tuple[float, float]]], e: float) -> float:
    """Least cost with exposure at most ``e``."""
    best = np.inf
    for part in slices:
        for (e0, c0), (e1, c1) in itertools.pairwise(part):
            if e0 <= e <= e1 and e1 > e0:
                best = min(best, c0 + (c1 - c0) * (e - e0) / (e1 - e0))
        best = min([best, *(c for e1, c in part if e1 <= e)])
    return best


def ends(slices: list[list[tuple[float, float]]]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Secure and cheap end, each (exposure, cost), lexicographic."""
    points = [p for part in slices for p in part]
    return min(points), min(points, key=lambda p: (p[1], p[0]))


def questions(slices: list[list[tuple[float, float]]]) -> list[float]:
    """Exposures worth asking at: every corner, and points between."""
    corners = sorted({e for part in slices for e, _ in part})
    middles = [a + (b - a) * share for a, b in itertools.pairwise(corners) for share in (0.37, 0.81)]
    return sorted([*corners, *middles])[:: max(1, len(corners) // 400)]
