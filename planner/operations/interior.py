"""Interior point for linear programs that are long in time and narrow in everything else.

One operating year has thousands of steps, and each step knows only its neighbours: with the
rows in the order of time the normal equations are a narrow band, and what spans the whole year
(the closing of the cycle, a monthly peak, a yearly budget, a size) is a thin border around it.
A band is factorised in milliseconds, so a year is solved in seconds where a general solver
takes minutes.

The answer is accurate, not a vertex: what is reported from it must be repaired to a schedule
that holds exactly (``schedule``), and what is proved from it must be valid for any multipliers
(``cuts``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.operations.band import Band
from planner.operations.loops import compiled

FloatArray = NDArray[np.float64]

#: Share of the way to the boundary that a step may go.
_STEP = 0.9995
_MOST_STEPS = 200
#: Steps without progress after which the answer so far is taken.
_PATIENCE = 25
#: An error above the second after one below the first tells that rounding has taken over.
_NEAR, _ASTRAY = 1e-4, 3e-3
#: Most corrections after the second one, how much longer each tries to make the step, and the products it aims at.
_CORRECTORS = 3
_FURTHER = 0.3
_LEAST, _MOST = 0.1, 10.0
#: Weights of a correction that are tried.
_WEIGHTS = 9
#: Columns that are looked at together for one that stops a step.
_BLOCK = 64
#: Residual of a direction, per unit of the largest right side, above which it is refined.
_REFINED = 1e-10
_REFINEMENTS = 4


class NoConvergence(RuntimeError):
    """The iteration lost its way; the program is badly scaled or has no solution."""


@dataclass(frozen=True)
class Answer:
    """A nearly optimal pair of a program: ``x`` (columns) and ``y`` (one multiplier per row)."""

    x: FloatArray
    y: FloatArray
    objective: float
    residual: float
    steps: int


@compiled
def _start(
    cost: FloatArray, priced: FloatArray, upper: FloatArray, x: FloatArray, z: FloatArray, v: FloatArray
) -> None:
    """The point of the central path for given multipliers, which is known in closed form; ``w`` is ``upper - x``."""
    mu = 0.0
    for j in range(len(x)):
        mu += abs(cost[j] - priced[j]) * upper[j]
    mu = 0.5 * mu / len(x) + 1e-6
    for j in range(len(x)):
        a = (cost[j] - priced[j]) * upper[j]
        x[j] = 2 * mu * upper[j] / (a + 2 * mu + np.sqrt(a * a + 4 * mu * mu))
        z[j], v[j] = mu / x[j], mu / (upper[j] - x[j])


@compiled
def _measures(
    x: FloatArray, w: FloatArray, z: FloatArray, v: FloatArray, u: FloatArray, c: FloatArray, priced: FloatArray
) -> tuple[float, float, float, float]:
    """Cost, upper-bound part of the dual objective, sum of complementarity, largest residual of a column."""
    cost = bound = mu = worst = 0.0
    for j in range(len(x)):
        cost += c[j] * x[j]
        bound += u[j] * v[j]
        mu += x[j] * z[j] + w[j] * v[j]
        worst = max(worst, abs(c[j] - priced[j] - z[j] + v[j]))
    return cost, bound, mu, worst


@compiled
def _moved(
    x: FloatArray, w: FloatArray, z: FloatArray, v: FloatArray,
    dx: FloatArray, dz: FloatArray, dv: FloatArray, ap: float, ad: float,
) -> float:  # fmt: skip
    """Sum of complementarity after a step."""
    mu = 0.0
    for j in range(len(x)):
        mu += (x[j] + ap * dx[j]) * (z[j] + ad * dz[j]) + (w[j] - ap * dx[j]) * (v[j] + ad * dv[j])
    return mu


@compiled
def _weights(x: FloatArray, w: FloatArray, z: FloatArray, v: FloatArray, theta: FloatArray) -> None:
    for j in range(len(x)):
        theta[j] = x[j] * w[j] / (z[j] * w[j] + v[j] * x[j])


@compiled
def _first(
    x: FloatArray, w: FloatArray, z: FloatArray, v: FloatArray, theta: FloatArray, c: FloatArray, priced: FloatArray,
    rxz: FloatArray, rwv: FloatArray, g: FloatArray,
) -> None:  # fmt: skip
    """Right sides of the products ``x z`` and ``w v`` in the first direction, and what they mean for ``x`` alone."""
    for j in range(len(x)):
        rxz[j] = -x[j] * z[j]
        rwv[j] = -w[j] * v[j]
        g[j] = theta[j] * (priced[j] - c[j])


@compiled
def _second(
    x: FloatArray, w: FloatArray, theta: FloatArray, dx: FloatArray, dz: FloatArray, dv: FloatArray, target: float,
    rxz: FloatArray, rwv: FloatArray, g: FloatArray,
) -> None:  # fmt: skip
    """Mehrotra's correction: the products that a first direction leaves out."""
    for j in range(len(dx)):
        rxz[j] = target - dx[j] * dz[j]
        rwv[j] = target + dx[j] * dv[j]
        g[j] = theta[j] * (rxz[j] / x[j] - rwv[j] / w[j])


@compiled
def _central(
    x: FloatArray, w: FloatArray, z: FloatArray, v: FloatArray, theta: FloatArray,
    dx: FloatArray, dz: FloatArray, dv: FloatArray,
    ap: float, ad: float, target: float, low: float, high: float, rxz: FloatArray, rwv: FloatArray, g: FloatArray,
) -> None:  # fmt: skip
    """Gondzio's correction: bring products that a longer step would throw far off back towards the target."""
    least, most = low * target, high * target
    for j in range(len(x)):
        product = (x[j] + ap * dx[j]) * (z[j] + ad * dz[j])
        rxz[j] = max(least - product, 0.0) + max(min(most - product, 0.0), -most)
        product = (w[j] - ap * dx[j]) * (v[j] + ad * dv[j])
        rwv[j] = max(least - product, 0.0) + max(min(most - product, 0.0), -most)
        g[j] = theta[j] * (rxz[j] / x[j] - rwv[j] / w[j])


@compiled
def _rest(
    x: FloatArray, w: FloatArray, z: FloatArray, v: FloatArray, theta: FloatArray, rxz: FloatArray, rwv: FloatArray,
    g: FloatArray, dx: FloatArray, dz: FloatArray, dv: FloatArray,
) -> None:  # fmt: skip
    """What a direction of ``y`` (``dx`` holds its price in each column) means for the other three."""
    for j in range(len(x)):
        dx[j] = theta[j] * dx[j] + g[j]
        dz[j] = (rxz[j] - z[j] * dx[j]) / x[j]
        dv[j] = (rwv[j] + v[j] * dx[j]) / w[j]


@compiled
def _reach(x: FloatArray, dx: FloatArray, cx: FloatArray, sign: float, weights: FloatArray, out: FloatArray) -> None:
    """Shorten ``out[i]``: the step along ``sign * (dx + weights[i] cx)`` that keeps ``x`` positive."""
    longest, first, last = sign * out.max(), weights[0], weights[-1]
    for low in range(0, len(x), _BLOCK):
        xs, ds, cs = x[low : low + _BLOCK], dx[low : low + _BLOCK], cx[low : low + _BLOCK]
        short = 0
        for j in range(len(xs)):
            short += (xs[j] + longest * (ds[j] + first * cs[j]) < 0.0) | (
                xs[j] + longest * (ds[j] + last * cs[j]) < 0.0
            )
        if short == 0:
            continue
        for j in range(len(xs)):
            for i in range(len(weights)):
                d = sign * (ds[j] + weights[i] * cs[j])
                if xs[j] + out[i] * d < 0.0:
                    out[i] = -xs[j] / d
        longest = sign * out.max()


@compiled
def _add(p: float, cx: FloatArray, dx: FloatArray) -> None:
    """``dx += p cx``."""
    for j in range(len(dx)):
        dx[j] += p * cx[j]


def solve(
    band: Band, cost: FloatArray, right: FloatArray, upper: FloatArray, guess: FloatArray, *, tolerance: float = 1e-7
) -> Answer:
    """Minimise ``cost @ x`` over ``A x = right``, ``0 <= x <= upper``.

    Parameters
    ----------
    band
        The matrix, with its narrow order.
    cost, right, upper
        Arrays of the program; every ``upper`` is finite and above 0.
    guess
        Multipliers to start from, as good as is known.
    tolerance
        Relative gap and infeasibility at which to stop.

    Returns
    -------
    Answer
        ``residual`` tells how far it came: more than the tolerance where the iteration stopped gaining.
    """
    return _Iteration(band, cost, right, upper, guess, tolerance).run()


class _Direction:
    """A step of every variable; ``w`` moves against ``x``."""

    def __init__(self, rows: int, columns: int) -> None:
        self.x, self.z, self.v = np.empty(columns), np.empty(columns), np.empty(columns)
        self.y = np.empty(rows)

    @property
    def parts(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """All but the multipliers of rows."""
        return self.x, self.z, self.v


class _Iteration:
    """Mehrotra's predictor and corrector, all columns in boxes: ``w`` is what is left of each."""

    def __init__(
        self, band: Band, cost: FloatArray, right: FloatArray, upper: FloatArray, guess: FloatArray, tolerance: float
    ) -> None:
        self.band, self.c, self.b, self.u, self.tolerance = band, cost, right, upper, tolerance
        self.norm_b = 1.0 + float(np.abs(right).max(initial=0.0))
        self.norm_c = 1.0 + float(np.abs(cost).max(initial=0.0))
        rows, n = band.shape
        self.y, self.rp, self.left, self.priced = guess.copy(), np.empty(rows), np.empty(rows), np.empty(n)
        self.x, self.z, self.v, self.theta, self.rxz, self.rwv, self.g = (np.empty(n) for _ in range(7))
        self.direction, self.correction = _Direction(rows, n), _Direction(rows, n)
        _start(cost, band.priced(self.y, self.priced), upper, self.x, self.z, self.v)
        self.w = upper - self.x

    def run(self) -> Answer:
        """Iterate to the tolerance."""
        best, stale = np.inf, 0
        kept: Answer | None = None
        for step in range(_MOST_STEPS):
            np.copyto(self.rp, self.b)
            self.band.times(self.x, self.rp)
            self.band.priced(self.y, self.priced)
            primal, bound, mu, rd = _measures(self.x, self.w, self.z, self.v, self.u, self.c, self.priced)
            dual = float((self.b * self.y).sum()) - bound
            gap = abs(primal - dual) / (1.0 + abs(primal))
            worst = max(gap, float(np.abs(self.rp).max()) / self.norm_b, rd / self.norm_c)
            stale = 0 if worst < 0.9 * best else stale + 1
            if worst < best:
                best = worst
                kept = Answer(self.x.copy(), self.y.copy(), primal, worst, step)
            astray = not np.isfinite(worst) or (best < _NEAR and worst > _ASTRAY)
            if worst <= self.tolerance or stale > _PATIENCE or astray:
                break
            self._move(mu / (2 * len(self.x)))
        if kept is None:
            raise NoConvergence("no step could be made")
        return kept

    def _move(self, mu: float) -> None:
        """One predictor, one corrector, and more correctors while each lengthens the step."""
        at, n, theta, sides = (self.x, self.w, self.z, self.v), len(self.x), self.theta, (self.rxz, self.rwv, self.g)
        _weights(*at, theta)
        self.factor = self.band.factor(theta)
        move, more = self.direction, self.correction
        _first(*at, theta, self.c, self.priced, *sides)
        self._direct(move)
        self.rp[:] = 0.0  # what a correction leaves of it
        reached = self._reached(move, move, np.zeros(1))
        ap, ad = float(reached[0][0]), float(reached[1][0])
        after = _moved(*at, *move.parts, ap, ad) / (2 * n)
        target = max((max(after, 0.0) / mu) ** 3, 1e-7) * mu
        _second(self.x, self.w, theta, *move.parts, target, *sides)
        self._direct(more)
        ap, ad = self._join(ap * ad, 0.0) or (ap, ad)
        for _ in range(_CORRECTORS):
            if min(ap, ad) > 0.95:
                break
            further = (min(1.0, ap + _FURTHER), min(1.0, ad + _FURTHER))
            _central(*at, theta, *move.parts, *further, target, _LEAST, _MOST, *sides)
            self._direct(more)
            joined = self._join(ap * ad, ap + ad + 0.1 * _FURTHER)
            if joined is None:
                break
            ap, ad = joined
        ap, ad = min(1.0, _STEP * ap), min(1.0, _STEP * ad)
        _add(ap, move.x, self.x)
        _add(-ap, move.x, self.w)
        _add(ad, move.z, self.z)
        _add(ad, move.v, self.v)
        _add(ad, move.y, self.y)

    def _direct(self, out: _Direction) -> None:
        """Newton's direction for the right sides that stand in ``rp``, ``rxz``, ``rwv`` and ``g``."""
        band, factor, left = self.band, self.factor, self.left
        np.copyto(out.y, self.rp)
        factor.solve(band.times(self.g, out.y))
        before = np.inf
        for _ in range(_REFINEMENTS + 1):
            band.priced(out.y, out.x)
            _rest(self.x, self.w, self.z, self.v, self.theta, self.rxz, self.rwv, self.g, *out.parts)
            np.copyto(left, self.rp)
            band.times(out.x, left)
            wrong = float(np.abs(left).max())
            if wrong <= _REFINED * self.norm_b or wrong > 0.3 * before:
                break
            out.y += factor.solve(left)  # the last digits decide near the end
            before = wrong

    def _join(self, least: float, enough: float) -> tuple[float, float] | None:
        """Add the correction with the weight (one for ``x``, one for ``y``) that reaches furthest; how far that is.

        Nothing is added, and None returned, if both together reach less than ``enough``.
        """
        move, more = self.direction, self.correction
        weights = np.linspace(max(0.0, min(least, 1.0)), 1.0, _WEIGHTS)
        ap, ad = self._reached(move, more, weights)
        i, k = int(ap.argmax()), int(ad.argmax())
        if ap[i] + ad[k] < enough:
            return None
        p, d = float(weights[i]), float(weights[k])
        _add(p, more.x, move.x)
        _add(d, more.z, move.z)
        _add(d, more.v, move.v)
        _add(d, more.y, move.y)
        return float(ap[i]), float(ad[k])

    def _reached(self, move: _Direction, more: _Direction, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Longest steps, at most 1, for each weight of a correction."""
        ap, ad = np.ones(len(weights)), np.ones(len(weights))
        _reach(self.x, move.x, more.x, 1.0, weights, ap)
        _reach(self.w, move.x, more.x, -1.0, weights, ap)
        _reach(self.z, move.z, more.z, 1.0, weights, ad)
        _reach(self.v, move.v, more.v, 1.0, weights, ad)
        return ap, ad
