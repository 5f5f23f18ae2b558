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

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.sparse import csc_array

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: Share of the way to the boundary that a step may go.
_STEP = 0.9995
_MOST_STEPS = 200
#: Added to the diagonal of the band, per unit of its largest entry.
_LIFT = 1e-16
#: Steps without progress after which the answer so far is taken.
_PATIENCE = 25


F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile a loop; the machine code is kept for the next process where a folder for it can be written."""
    try:
        return cast("F", njit(cache=True, error_model="numpy")(function))
    except RuntimeError:  # nowhere to keep it
        return cast("F", njit(error_model="numpy")(function))


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
def _times(start: IntArray, index: IntArray, value: FloatArray, x: FloatArray, out: FloatArray) -> None:
    """``out -= A x`` by columns."""
    for j in range(len(start) - 1):
        a = x[j]
        if a != 0.0:
            for i in range(start[j], start[j + 1]):
                out[index[i]] -= value[i] * a


@compiled
def _priced(start: IntArray, index: IntArray, value: FloatArray, y: FloatArray, out: FloatArray) -> None:
    """``out = A' y``."""
    for j in range(len(start) - 1):
        total = 0.0
        for i in range(start[j], start[j + 1]):
            total += value[i] * y[index[i]]
        out[j] = total


@compiled
def _put(band: FloatArray, cross: FloatArray, corner: FloatArray, low: int, high: int, value: float) -> None:
    """Add to the entry (low, high) of the normal matrix, ``low <= high``."""
    n = band.shape[0]
    if low >= n:
        corner[low - n, high - n] += value
        if low != high:
            corner[high - n, low - n] += value
    elif high >= n:
        cross[low, high - n] += value
    else:
        band[low, high - low] += value


@compiled
def _assemble(  # noqa: PLR0912
    start: IntArray, index: IntArray, value: FloatArray, theta: FloatArray, wide: NDArray[np.int8], other: IntArray,
    pivot: FloatArray, tie: FloatArray, band: FloatArray, cross: FloatArray, corner: FloatArray,
) -> None:  # fmt: skip
    """``A theta A'`` of the local columns with the single rows eliminated.

    pivot (singles,) and tie (singles, 3) keep what the elimination needs; band (n, width + 1), cross (n, rows) and
    corner (rows, rows) hold what is left.
    """
    singles = len(pivot)
    for j in range(len(start) - 1):
        if wide[j]:
            continue
        weight = theta[j]
        first = start[j]
        if first < start[j + 1] and index[first] < singles:
            r, a = index[first], weight * value[first]
            pivot[r] += a * value[first]
            for i in range(first + 1, start[j + 1]):
                for k in range(other.shape[1]):
                    if other[r, k] == index[i] - singles:
                        tie[r, k] += a * value[i]
                        break
            first += 1
        for i in range(first, start[j + 1]):
            a = weight * value[i]
            for k in range(i, start[j + 1]):
                _put(band, cross, corner, index[i] - singles, index[k] - singles, a * value[k])
    for r in range(singles):
        for i in range(other.shape[1]):
            if other[r, i] < 0:
                break
            for k in range(i, other.shape[1]):
                if other[r, k] < 0:
                    break
                _put(band, cross, corner, other[r, i], other[r, k], -tie[r, i] * tie[r, k] / pivot[r])


@compiled
def _reduce(pivot: FloatArray, tie: FloatArray, other: IntArray, right: FloatArray) -> None:
    """Take the single rows out of a right-hand side, in place."""
    singles = len(pivot)
    for r in range(singles):
        a = right[r] / pivot[r]
        for k in range(other.shape[1]):
            if other[r, k] >= 0:
                right[singles + other[r, k]] -= tie[r, k] * a


@compiled
def _expand(pivot: FloatArray, tie: FloatArray, other: IntArray, answer: FloatArray) -> None:
    """Fill in the multipliers of the single rows (``answer`` holds their right side)."""
    singles = len(pivot)
    for r in range(singles):
        a = answer[r]
        for k in range(other.shape[1]):
            if other[r, k] >= 0:
                a -= tie[r, k] * answer[singles + other[r, k]]
        answer[r] = a / pivot[r]


@compiled
def _cholesky(band: FloatArray, lift: float) -> None:
    """Factorise in place; ``band[i, d]`` holds the entry (i + d, i). A pivot lost to rounding becomes very large."""
    n, width = band.shape
    for i in range(n):
        pivot = band[i, 0]
        if pivot <= lift:
            pivot = 1e128
        root = np.sqrt(pivot)
        band[i, 0] = root
        most = min(width, n - i)
        for d in range(1, most):
            band[i, d] /= root
        for d in range(1, most):
            a = band[i, d]
            if a != 0.0:
                for e in range(d, most):
                    band[i + d, e - d] -= a * band[i, e]


@compiled
def _band_solve(band: FloatArray, right: FloatArray) -> None:
    """Solve ``L L' X = right`` in place; ``right`` is (n, k)."""
    n, width = band.shape
    k = right.shape[1]
    for i in range(n):
        scale = 1.0 / band[i, 0]
        for j in range(k):
            right[i, j] *= scale
        for d in range(1, min(width, n - i)):
            a = band[i, d]
            if a != 0.0:
                for j in range(k):
                    right[i + d, j] -= a * right[i, j]
    for i in range(n - 1, -1, -1):
        for d in range(1, min(width, n - i)):
            a = band[i, d]
            if a != 0.0:
                for j in range(k):
                    right[i, j] -= a * right[i + d, j]
        scale = 1.0 / band[i, 0]
        for j in range(k):
            right[i, j] *= scale


@compiled
def _band_solve_one(band: FloatArray, right: FloatArray) -> None:
    """``_band_solve`` for one right-hand side."""
    n, width = band.shape
    for i in range(n):
        a = right[i] / band[i, 0]
        right[i] = a
        for d in range(1, min(width, n - i)):
            right[i + d] -= band[i, d] * a
    for i in range(n - 1, -1, -1):
        a = right[i]
        for d in range(1, min(width, n - i)):
            a -= band[i, d] * right[i + d]
        right[i] = a / band[i, 0]


@compiled
def _gather(side: FloatArray, one: FloatArray, out: FloatArray) -> None:
    """``out -= side' one``: compiled, since library threads would wait for each other on a busy machine."""
    for i in range(side.shape[0]):
        a = one[i]
        if a != 0.0:
            for j in range(side.shape[1]):
                out[j] -= side[i, j] * a


@compiled
def _gram(side: FloatArray, solved: FloatArray, out: FloatArray) -> None:
    """``out -= side' solved``."""
    for i in range(side.shape[0]):
        for j in range(side.shape[1]):
            a = side[i, j]
            if a != 0.0:
                for k in range(side.shape[1]):
                    out[j, k] -= a * solved[i, k]


@compiled
def _spread(solved: FloatArray, part: FloatArray, out: FloatArray) -> None:
    """``out -= solved part``."""
    for i in range(solved.shape[0]):
        total = 0.0
        for j in range(solved.shape[1]):
            total += solved[i, j] * part[j]
        out[i] -= total


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
    x: FloatArray, w: FloatArray, z: FloatArray, v: FloatArray, rd: FloatArray, ru: FloatArray,
    target: float, dx: FloatArray, dw: FloatArray, dz: FloatArray, dv: FloatArray, h: FloatArray,
) -> None:  # fmt: skip
    """Right side of the dual rows; ``dx .. dv`` hold the predictor (zeros without one)."""
    for j in range(len(x)):
        rxz = target - x[j] * z[j] - dx[j] * dz[j]
        rwv = target - w[j] * v[j] - dw[j] * dv[j]
        h[j] = rd[j] - rxz / x[j] + (rwv - v[j] * ru[j]) / w[j]
        dz[j], dv[j] = rxz, rwv


@compiled
def _finish(
    x: FloatArray, w: FloatArray, z: FloatArray, v: FloatArray, ru: FloatArray,
    dx: FloatArray, dw: FloatArray, dz: FloatArray, dv: FloatArray,
) -> tuple[float, float]:  # fmt: skip
    """The rest of a direction (``dz``, ``dv`` hold their right sides) and the steps to the boundary."""
    primal = dual = 1e300
    for j in range(len(x)):
        down = ru[j] - dx[j]
        dw[j] = down
        dz[j] = (dz[j] - z[j] * dx[j]) / x[j]
        dv[j] = (dv[j] - v[j] * down) / w[j]
        if dx[j] < 0.0:
            primal = min(primal, -x[j] / dx[j])
        if down < 0.0:
            primal = min(primal, -w[j] / down)
        if dz[j] < 0.0:
            dual = min(dual, -z[j] / dz[j])
        if dv[j] < 0.0:
            dual = min(dual, -v[j] / dv[j])
    return primal, dual


@dataclass
class Band:
    """A matrix in the order of time.

    Attributes
    ----------
    matrix
        Rows: first ``singles`` rows that share no column with each other and tie at most three other rows each,
        then the band in the order of time, last ``border`` rows that touch columns of the whole year.
    singles, border
        How many of each.
    wide
        Columns that touch rows of the band far apart; none touches a single row.
    width
        Largest distance between two rows of the band that share a column which is not wide, or a single row.
    """

    matrix: csc_array
    singles: int
    border: int
    wide: IntArray
    width: int
    flags: NDArray[np.int8] = field(init=False)

    def __post_init__(self) -> None:
        self.matrix.sort_indices()
        rows, columns = self.matrix.shape
        self.rows = rows - self.border - self.singles
        self.start = self.matrix.indptr.astype(np.int64)
        self.index = self.matrix.indices.astype(np.int64)
        self.value = self.matrix.data.astype(float)
        self.flags = np.zeros(columns, dtype=np.int8)
        self.flags[self.wide] = 1
        dense = np.asarray(self.matrix[self.singles :, self.wide].todense(), dtype=float)
        self.wide_top, self.wide_low = dense[: self.rows], dense[self.rows :]
        ties = (abs(self.matrix[: self.singles]) @ abs(self.matrix[self.singles :]).T).tocsr()
        ties.sort_indices()
        self.other = np.full((self.singles, 3), -1, dtype=np.int64)
        count = np.diff(ties.indptr)
        at = np.repeat(np.arange(self.singles), count)
        self.other[at, np.arange(ties.nnz) - ties.indptr[at]] = ties.indices

    def times(self, x: FloatArray, out: FloatArray) -> FloatArray:
        """``out - A x``, in place."""
        _times(self.start, self.index, self.value, x, out)
        return out

    def priced(self, y: FloatArray) -> FloatArray:
        """``A' y``."""
        out = np.empty(len(self.start) - 1)
        _priced(self.start, self.index, self.value, y, out)
        return out

    def factor(self, theta: FloatArray) -> Factor:
        """Factorise ``A diag(theta) A'``."""
        band = np.zeros((self.rows, self.width + 1))
        cross, corner = np.zeros((self.rows, self.border)), np.zeros((self.border, self.border))
        pivot, tie = np.zeros(self.singles), np.zeros(self.other.shape)
        _assemble(self.start, self.index, self.value, theta, self.flags, self.other, pivot, tie, band, cross, corner)
        _cholesky(band, _LIFT * float(band[:, 0].max()))
        side = np.ascontiguousarray(np.concatenate([cross, self.wide_top], axis=1))
        k = side.shape[1]
        small = np.zeros((k, k))
        small[: self.border, : self.border] = corner
        small[: self.border, self.border :] = self.wide_low
        small[self.border :, : self.border] = self.wide_low.T
        at = np.arange(self.border, k)
        small[at, at] = -1.0 / theta[self.wide]
        solved = side.copy()
        if k:
            _band_solve(band, solved)
            _gram(side, solved, small)
        return Factor(band, side, solved, small, self.border, pivot, tie, self.other)


@dataclass(frozen=True)
class Factor:
    """A factorised band with its border and its single rows."""

    band: FloatArray
    side: FloatArray
    solved: FloatArray
    small: FloatArray
    border: int
    pivot: FloatArray
    tie: FloatArray
    other: IntArray

    def solve(self, right: FloatArray) -> FloatArray:
        """Multipliers ``dy`` with ``A theta A' dy = right``."""
        n, singles = len(self.band), len(self.pivot)
        answer = right.copy()
        _reduce(self.pivot, self.tie, self.other, answer)
        inner = answer[singles : singles + n]
        _band_solve_one(self.band, inner)
        if self.small.shape[0]:
            rest = np.zeros(self.small.shape[0])
            rest[: self.border] = answer[singles + n :]
            _gather(self.side, inner, rest)
            part = np.asarray(np.linalg.solve(self.small, rest), dtype=float)
            _spread(self.solved, part, inner)
            answer[singles + n :] = part[: self.border]
        _expand(self.pivot, self.tie, self.other, answer)
        return answer


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
        """One predictor, one corrector."""
        x, w, z, v = self.x, self.w, self.z, self.v
        ru = self.u - x - w
        theta, h = np.empty_like(x), np.empty_like(x)
        _weights(x, w, z, v, theta)
        factor = self.band.factor(theta)
        dx, dw, dz, dv = (np.zeros_like(x) for _ in range(4))

        def direction(target: float, refine: bool) -> tuple[FloatArray, float, float]:
            _sides(x, w, z, v, rd, ru, target, dx, dw, dz, dv, h)
            dy = factor.solve(self.band.times(-theta * h, rp.copy()))
            dx[:] = theta * (self.band.priced(dy) - h)
            if refine:  # the last digits decide near the end
                more = factor.solve(self.band.times(dx, rp.copy()))
                dy = dy + more
                dx[:] += theta * self.band.priced(more)
            return dy, *_finish(x, w, z, v, ru, dx, dw, dz, dv)

        dy, ap, ad = direction(0.0, False)
        ap, ad = min(1.0, ap), min(1.0, ad)
        after = _moved(x, w, z, v, dx, dw, dz, dv, ap, ad) / (2 * len(x))
        target = max((max(after, 0.0) / mu) ** 3, 1e-7) * mu
        dy, ap, ad = direction(target, True)
        ap, ad = min(1.0, _STEP * ap), min(1.0, _STEP * ad)
        self.x, self.w = x + ap * dx, w + ap * dw
        self.y, self.z, self.v = self.y + ad * dy, z + ad * dz, v + ad * dv
