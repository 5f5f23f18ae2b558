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

from planner.operations.band import Band, compiled

FloatArray = NDArray[np.float64]

#: Share of the way to the boundary that a step may go.
_STEP = 0.9995
_MOST_STEPS = 200
#: Steps without progress after which the answer so far is taken.
_PATIENCE = 25
#: Most corrections after the second one, how much longer each tries to make the step, and the products it aims at.
_CORRECTORS = 3
_FURTHER = 0.3
_LEAST, _MOST = 0.1, 10.0
#: Weights of a correction that are tried.
_WEIGHTS = 9
#: Residual of a direction, per unit of the largest right side, above which it is refined.
_REFINED = 1e-10


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
def _measures(
    x: FloatArray, w: FloatArray, z: FloatArray, v: FloatArray, u: FloatArray, c: FloatArray
) -> tuple[float, float, float]:
    """Cost, upper-bound part of the dual objective, sum of complementarity."""
    cost = bound = mu = 0.0
    for j in range(len(x)):
        cost += c[j] * x[j]
        bound += u[j] * v[j]
        mu += x[j] * z[j] + w[j] * v[j]
    return cost, bound, mu


@compiled
def _moved(
    x: FloatArray, w: FloatArray, z: FloatArray, v: FloatArray,
    dx: FloatArray, dw: FloatArray, dz: FloatArray, dv: FloatArray, ap: float, ad: float,
) -> float:  # fmt: skip
    """Sum of complementarity after a step."""
    mu = 0.0
    for j in range(len(x)):
        mu += (x[j] + ap * dx[j]) * (z[j] + ad * dz[j]) + (w[j] + ap * dw[j]) * (v[j] + ad * dv[j])
    return mu


@compiled
def _weights(x: FloatArray, w: FloatArray, z: FloatArray, v: FloatArray, theta: FloatArray) -> None:
    for j in range(len(x)):
        theta[j] = 1.0 / (z[j] / x[j] + v[j] / w[j])


@compiled
def _sides(
    x: FloatArray, w: FloatArray, v: FloatArray, rd: FloatArray, ru: FloatArray, rxz: FloatArray, rwv: FloatArray,
    h: FloatArray,
) -> None:  # fmt: skip
    """Right side of the dual rows, from those of the products ``x z`` and ``w v``."""
    for j in range(len(x)):
        h[j] = rd[j] - rxz[j] / x[j] + (rwv[j] - v[j] * ru[j]) / w[j]


@compiled
def _rest(
    x: FloatArray, w: FloatArray, z: FloatArray, v: FloatArray, ru: FloatArray, rxz: FloatArray, rwv: FloatArray,
    dx: FloatArray, dw: FloatArray, dz: FloatArray, dv: FloatArray,
) -> None:  # fmt: skip
    """What a direction of ``x`` means for the other three."""
    for j in range(len(x)):
        dw[j] = ru[j] - dx[j]
        dz[j] = (rxz[j] - z[j] * dx[j]) / x[j]
        dv[j] = (rwv[j] - v[j] * dw[j]) / w[j]


@compiled
def _second(
    dx: FloatArray, dw: FloatArray, dz: FloatArray, dv: FloatArray, target: float, rxz: FloatArray, rwv: FloatArray
) -> None:
    """Mehrotra's correction: the products that a first direction leaves out."""
    for j in range(len(dx)):
        rxz[j] = target - dx[j] * dz[j]
        rwv[j] = target - dw[j] * dv[j]


@compiled
def _central(
    x: FloatArray, w: FloatArray, z: FloatArray, v: FloatArray,
    dx: FloatArray, dw: FloatArray, dz: FloatArray, dv: FloatArray,
    ap: float, ad: float, target: float, low: float, high: float, rxz: FloatArray, rwv: FloatArray,
) -> None:  # fmt: skip
    """Gondzio's correction: bring products that a longer step would throw far off back towards the target."""
    least, most = low * target, high * target
    for j in range(len(x)):
        for part in range(2):
            if part == 0:
                product = (x[j] + ap * dx[j]) * (z[j] + ad * dz[j])
            else:
                product = (w[j] + ap * dw[j]) * (v[j] + ad * dv[j])
            wish = 0.0
            if product < least:
                wish = least - product
            elif product > most:
                wish = max(most - product, -most)
            if part == 0:
                rxz[j] = wish
            else:
                rwv[j] = wish


@compiled
def _reach(x: FloatArray, dx: FloatArray, cx: FloatArray, weights: FloatArray, out: FloatArray) -> None:
    """Shorten ``out[i]``: the step along ``dx + weights[i] cx`` that keeps ``x`` positive."""
    longest, first, last = out.max(), weights[0], weights[-1]
    for j in range(len(x)):
        if x[j] + longest * min(dx[j] + first * cx[j], dx[j] + last * cx[j]) < 0.0:
            for i in range(len(weights)):
                d = dx[j] + weights[i] * cx[j]
                if x[j] + out[i] * d < 0.0:
                    out[i] = -x[j] / d
            longest = out.max()


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


class _Iteration:
    """Mehrotra's predictor and corrector, all columns in boxes."""

    def __init__(
        self, band: Band, cost: FloatArray, right: FloatArray, upper: FloatArray, guess: FloatArray, tolerance: float
    ) -> None:
        self.band, self.c, self.b, self.u, self.tolerance = band, cost, right, upper, tolerance
        self.norm_b = 1.0 + float(np.abs(right).max(initial=0.0))
        self.norm_c = 1.0 + float(np.abs(cost).max(initial=0.0))
        self.y = guess.copy()
        # For given multipliers the point of the central path is known in closed form.
        reduced = cost - band.priced(self.y)
        mu = 0.5 * float(np.mean(np.abs(reduced) * upper)) + 1e-6
        self.x = 2 * mu * upper / (reduced * upper + 2 * mu + np.sqrt((reduced * upper) ** 2 + 4 * mu**2))
        self.w = upper - self.x
        self.z, self.v = mu / self.x, mu / self.w

    def run(self) -> Answer:
        """Iterate to the tolerance."""
        best, stale = np.inf, 0
        kept: Answer | None = None
        for step in range(_MOST_STEPS):
            rp = self.band.times(self.x, self.b.copy())
            rd = self.c - self.band.priced(self.y) - self.z + self.v
            primal, bound, mu = _measures(self.x, self.w, self.z, self.v, self.u, self.c)
            dual = float((self.b * self.y).sum()) - bound
            gap = abs(primal - dual) / (1.0 + abs(primal))
            worst = max(gap, float(np.abs(rp).max()) / self.norm_b, float(np.abs(rd).max()) / self.norm_c)
            stale = 0 if worst < 0.9 * best else stale + 1
            if worst < best:
                best = worst
                kept = Answer(self.x.copy(), self.y.copy(), primal, worst, step)
            if worst <= self.tolerance or stale > _PATIENCE or not np.isfinite(worst):
                break
            self._move(rp, rd, mu / (2 * len(self.x)))
        if kept is None:
            raise NoConvergence("no step could be made")
        return kept

    def _move(self, rp: FloatArray, rd: FloatArray, mu: float) -> None:
        """One predictor, one corrector, and more correctors while each lengthens the step."""
        at, n = (self.x, self.w, self.z, self.v), len(self.x)
        theta = np.empty(n)
        _weights(*at, theta)
        self.factor, self.theta = self.band.factor(theta), theta
        rxz, rwv = -self.x * self.z, -self.w * self.v
        zero, ru = np.zeros(n), self.u - self.x - self.w
        move = self._direction(rp, rd, ru, rxz, rwv)
        reached = self._reached(move, move, np.zeros(1))
        ap, ad = float(reached[0][0]), float(reached[1][0])
        after = _moved(*at, *move.parts, ap, ad) / (2 * n)
        target = max((max(after, 0.0) / mu) ** 3, 1e-7) * mu
        none = np.zeros_like(rp)
        _second(*move.parts, target, rxz, rwv)
        move, ap, ad = self._joined(move, self._direction(none, zero, zero, rxz, rwv), ap * ad)
        for _ in range(_CORRECTORS):
            if min(ap, ad) > 0.95:
                break
            further = (min(1.0, ap + _FURTHER), min(1.0, ad + _FURTHER))
            _central(*at, *move.parts, *further, target, _LEAST, _MOST, rxz, rwv)
            more, p, d = self._joined(move, self._direction(none, zero, zero, rxz, rwv), ap * ad)
            if p + d < ap + ad + 0.1 * _FURTHER:
                break
            move, ap, ad = more, p, d
        ap, ad = min(1.0, _STEP * ap), min(1.0, _STEP * ad)
        self.x, self.w = self.x + ap * move.x, self.w + ap * move.w
        self.y, self.z, self.v = self.y + ad * move.y, self.z + ad * move.z, self.v + ad * move.v

    def _direction(
        self, rp: FloatArray, rd: FloatArray, ru: FloatArray, rxz: FloatArray, rwv: FloatArray
    ) -> _Direction:
        """Newton's direction for given right sides."""
        theta, h, dx = self.theta, np.empty(len(self.x)), np.empty(len(self.x))
        _sides(self.x, self.w, self.v, rd, ru, rxz, rwv, h)
        dy = self.factor.solve(self.band.times(-theta * h, rp.copy()))
        dx = theta * (self.band.priced(dy) - h)
        left = self.band.times(dx, rp.copy())
        if float(np.abs(left).max()) > _REFINED * self.norm_b:  # the last digits decide near the end
            more = self.factor.solve(left)
            dy += more
            dx += theta * self.band.priced(more)
        dw, dz, dv = (np.empty_like(dx) for _ in range(3))
        _rest(self.x, self.w, self.z, self.v, ru, rxz, rwv, dx, dw, dz, dv)
        return _Direction(dx, dw, dz, dv, dy)

    def _joined(self, move: _Direction, more: _Direction, least: float) -> tuple[_Direction, float, float]:
        """A direction and a correction of it, with the weight (one for ``x``, one for ``y``) that reaches furthest."""
        weights = np.linspace(max(0.0, min(least, 1.0)), 1.0, _WEIGHTS)
        ap, ad = self._reached(move, more, weights)
        i, k = int(ap.argmax()), int(ad.argmax())
        p, d = float(weights[i]), float(weights[k])
        made = _Direction(
            move.x + p * more.x, move.w + p * more.w, move.z + d * more.z, move.v + d * more.v, move.y + d * more.y
        )
        return made, float(ap[i]), float(ad[k])

    def _reached(self, move: _Direction, more: _Direction, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Longest steps, at most 1, for each weight of a correction."""
        ap, ad = np.ones(len(weights)), np.ones(len(weights))
        _reach(self.x, move.x, more.x, weights, ap)
        _reach(self.w, move.w, more.w, weights, ap)
        _reach(self.z, move.z, more.z, weights, ad)
        _reach(self.v, move.v, more.v, weights, ad)
        return ap, ad


@dataclass(frozen=True)
class _Direction:
    """A step of every variable."""

    x: FloatArray
    w: FloatArray
    z: FloatArray
    v: FloatArray
    y: FloatArray

    @property
    def parts(self) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """All but the multipliers of rows."""
        return self.x, self.w, self.z, self.v
