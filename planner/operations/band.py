"""Matrices in the order of time, and their normal equations as a narrow band with a thin border.

One operating year has thousands of steps, and each step knows only its neighbours: with the rows in the order of time
the normal equations are a narrow band, and what spans the whole year (a monthly peak, a yearly budget) is a thin border
around it. A band is factorised in milliseconds.
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

#: Added to the diagonal of the band, per unit of its largest entry.
_LIFT = 1e-16
#: Rows that a single row ties at most, and the pairs of them.
_TIES = 3
_PAIRS = tuple((i, k) for i in range(_TIES) for k in range(i, _TIES))

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile a loop; the machine code is kept for the next process where a folder for it can be written.

    It runs beside other threads: years are operated and valued together.
    """
    try:
        return cast("F", njit(cache=True, error_model="numpy", nogil=True)(function))
    except RuntimeError:  # nowhere to keep it
        return cast("F", njit(error_model="numpy", nogil=True)(function))


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
def _weighted(
    slot: IntArray, start: IntArray, column: IntArray, product: FloatArray, theta: FloatArray, out: FloatArray
) -> None:
    """``out[slot] = sum of product * theta[column]``."""
    for s in range(len(slot)):
        total = 0.0
        for i in range(start[s], start[s + 1]):
            total += product[i] * theta[column[i]]
        out[slot[s]] = total


@compiled
def _eliminate(pivot: FloatArray, tie: FloatArray, target: IntArray, out: FloatArray) -> None:
    """Take the single rows out of the normal matrix; ``target`` says where each pair of tied rows stands."""
    for r in range(len(pivot)):
        inverse = 1.0 / pivot[r]
        pair = 0
        for i in range(tie.shape[1]):
            a = tie[r, i] * inverse
            for k in range(i, tie.shape[1]):
                at = target[r, pair]
                if at >= 0:
                    out[at] -= a * tie[r, k]
                pair += 1


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
    flags: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        self.matrix.sort_indices()
        rows, columns = self.matrix.shape
        self.rows = rows - self.border - self.singles
        self.start = self.matrix.indptr.astype(np.int64)
        self.index = self.matrix.indices.astype(np.int64)
        self.value = self.matrix.data.astype(float)
        self.flags = np.zeros(columns, dtype=bool)
        self.flags[self.wide] = True
        dense = np.asarray(self.matrix[self.singles :, self.wide].todense(), dtype=float)
        self.wide_top, self.wide_low = dense[: self.rows], dense[self.rows :]
        ties = (abs(self.matrix[: self.singles]) @ abs(self.matrix[self.singles :]).T).tocsr()
        ties.sort_indices()
        self.other = np.full((self.singles, _TIES), -1, dtype=np.int64)
        count = np.diff(ties.indptr)
        at = np.repeat(np.arange(self.singles), count)
        self.other[at, np.arange(ties.nnz) - ties.indptr[at]] = ties.indices
        self._plan_normal()

    def _plan_normal(self) -> None:
        """Where every product of two entries of a column goes in ``A theta A'``: that never changes.

        All parts stand in one array: pivots, ties, band, cross, corner.
        """
        border = self.border
        sizes = (self.singles, self.singles * _TIES, self.rows * (self.width + 1), self.rows * border, border**2)
        self.ends = np.cumsum(sizes)
        column = np.repeat(np.arange(len(self.start) - 1), np.diff(self.start))
        slots, columns, products = [], [], []
        for apart in range(int(np.diff(self.start).max(initial=1))):
            first = np.arange(len(column) - apart)
            first = first[(column[first] == column[first + apart]) & ~self.flags[column[first]]]
            low, high = self.index[first], self.index[first + apart]
            product = self.value[first] * self.value[first + apart]
            slots.append(self._slot(low, high))
            columns.append(column[first])
            products.append(product)
            mirrored = (low >= self.singles + self.rows) & (low != high)
            slots.append(self._slot(high[mirrored], low[mirrored]))
            columns.append(column[first][mirrored])
            products.append(product[mirrored])
        slot = np.concatenate(slots)
        order = np.argsort(slot, kind="stable")
        self.slot, begins = np.unique(slot[order], return_index=True)
        self.slot_start = np.append(begins, len(slot)).astype(np.int64)
        self.slot_column = np.concatenate(columns)[order]
        self.slot_product = np.concatenate(products)[order]
        self.target = np.full((self.singles, len(_PAIRS)), -1, dtype=np.int64)
        for pair, (i, k) in enumerate(_PAIRS):
            both = np.flatnonzero((self.other[:, i] >= 0) & (self.other[:, k] >= 0))
            low, high = self.other[both, i] + self.singles, self.other[both, k] + self.singles
            self.target[both, pair] = self._slot(low, high)

    def _slot(self, low: IntArray, high: IntArray) -> IntArray:
        """Place of the entry of two rows, ``low <= high`` outside the corner."""
        single, pivot = low < self.singles, low == high
        tie = np.zeros(len(low), dtype=np.int64)
        at = np.flatnonzero(single & ~pivot)
        tie[at] = (self.other[low[at]] == (high[at] - self.singles)[:, None]).argmax(axis=1)
        row, other = low - self.singles, high - self.singles
        return np.select(
            [single & pivot, single, row >= self.rows, other >= self.rows],
            [
                low,
                self.ends[0] + low * _TIES + tie,
                self.ends[3] + (row - self.rows) * self.border + other - self.rows,
                self.ends[2] + row * self.border + other - self.rows,
            ],
            self.ends[1] + row * (self.width + 1) + other - row,
        )

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
        every = np.zeros(int(self.ends[-1]))
        _weighted(self.slot, self.slot_start, self.slot_column, self.slot_product, theta, every)
        parts = np.split(every, self.ends[:-1])
        pivot, tie = parts[0], parts[1].reshape(self.singles, _TIES)
        _eliminate(pivot, tie, self.target, every)
        band, cross = parts[2].reshape(self.rows, self.width + 1), parts[3].reshape(self.rows, self.border)
        corner = parts[4].reshape(self.border, self.border)
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
