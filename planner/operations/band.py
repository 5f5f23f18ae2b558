"""Matrices in the order of time, and their normal equations as a narrow band with a thin border.

One operating year has thousands of steps, and each step knows only its neighbours: with the rows in the order of time
the normal equations are a narrow band, and what spans the whole year (a monthly peak, a yearly budget) is a thin border
around it. All steps have the same entries, so a matrix is a short list of them, nothing is stored by step, and every
product is a few runs over contiguous memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from planner.operations.loops import band_solve, band_solve_one, cholesky, compiled, gather, gram, spread

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: Share of its first value below which a pivot is nothing but rounding.
_LOST = 1e-15
#: Steps that are worked on together: what they touch stays in the nearest memory.
_CHUNK = 256


@compiled
def _times(entry: IntArray, value: FloatArray, steps: int, border: int, x: FloatArray, out: FloatArray) -> None:
    """``out -= A x`` for the columns of every step; rows of ``entry``: column, row, lag."""
    for low in range(0, steps, _CHUNK):
        for e in range(len(entry)):
            high = min(low + _CHUNK, steps - entry[e, 2])
            a = value[e]
            from_ = x[entry[e, 0] * steps + low : entry[e, 0] * steps + high]
            if entry[e, 1] >= border:
                total = 0.0
                for t in range(len(from_)):
                    total += from_[t]
                out[border * steps + entry[e, 1] - border] -= a * total
            else:
                at = entry[e, 1] * steps + entry[e, 2] + low
                to = out[at : at + len(from_)]
                for t in range(len(from_)):
                    to[t] -= a * from_[t]


@compiled
def _priced(entry: IntArray, value: FloatArray, steps: int, border: int, y: FloatArray, out: FloatArray) -> None:
    """``out += A' y`` for the columns of every step."""
    for low in range(0, steps, _CHUNK):
        for e in range(len(entry)):
            high = min(low + _CHUNK, steps - entry[e, 2])
            a = value[e]
            to = out[entry[e, 0] * steps + low : entry[e, 0] * steps + high]
            if entry[e, 1] >= border:
                one = a * y[border * steps + entry[e, 1] - border]
                for t in range(len(to)):
                    to[t] += one
            else:
                at = entry[e, 1] * steps + entry[e, 2] + low
                from_ = y[at : at + len(to)]
                for t in range(len(to)):
                    to[t] += a * from_[t]


@compiled
def _normal(pair: IntArray, product: FloatArray, steps: int, theta: FloatArray, out: FloatArray) -> None:
    """Add every product of two entries of a column; rows of ``pair``: column, lag, place in ``out``, stride."""
    for low in range(0, steps, _CHUNK):
        for e in range(len(pair)):
            high = min(low + _CHUNK, steps - pair[e, 1])
            a, stride = product[e], pair[e, 3]
            from_ = theta[pair[e, 0] * steps + low : pair[e, 0] * steps + high]
            at = pair[e, 2] + stride * low
            for t in range(len(from_)):
                out[at + stride * t] += a * from_[t]


@compiled
def _eliminate(
    single: IntArray, place: IntArray, steps: int, pivot: FloatArray, tie: FloatArray, out: FloatArray
) -> None:
    """Take the single rows out of the normal matrix.

    Rows of ``place``: two ties of one single row, where their product stands, stride. ``tie`` is left over ``pivot``.
    """
    for low in range(0, steps, _CHUNK):
        high = min(low + _CHUNK, steps)
        for e in range(len(place)):
            i, k, stride = place[e, 0] * steps, place[e, 1] * steps, place[e, 3]
            s = single[place[e, 0]] * steps
            for t in range(low, high):
                out[place[e, 2] + stride * t] -= tie[i + t] * tie[k + t] / pivot[s + t]
        for e in range(len(single)):
            i, s = e * steps, single[e] * steps
            for t in range(low, high):
                tie[i + t] /= pivot[s + t]


@compiled
def _reduce(tied: IntArray, steps: int, border: int, tie: FloatArray, right: FloatArray) -> None:
    """Take the single rows out of a right-hand side, in place; rows of ``tied``: single row, other row."""
    for e in range(len(tied)):
        from_ = right[tied[e, 0] * steps : (tied[e, 0] + 1) * steps]
        a = tie[e * steps : (e + 1) * steps]
        if tied[e, 1] >= border:
            total = 0.0
            for t in range(steps):
                total += a[t] * from_[t]
            right[border * steps + tied[e, 1] - border] -= total
        else:
            to = right[tied[e, 1] * steps : (tied[e, 1] + 1) * steps]
            for t in range(steps):
                to[t] -= a[t] * from_[t]


@compiled
def _expand(
    tied: IntArray, singles: int, steps: int, border: int, pivot: FloatArray, tie: FloatArray, answer: FloatArray
) -> None:
    """Fill in the multipliers of the single rows (``answer`` holds their right side)."""
    for i in range(singles * steps):
        answer[i] /= pivot[i]
    for e in range(len(tied)):
        to = answer[tied[e, 0] * steps : (tied[e, 0] + 1) * steps]
        a = tie[e * steps : (e + 1) * steps]
        if tied[e, 1] >= border:
            one = answer[border * steps + tied[e, 1] - border]
            for t in range(steps):
                to[t] -= a[t] * one
        else:
            from_ = answer[tied[e, 1] * steps : (tied[e, 1] + 1) * steps]
            for t in range(steps):
                to[t] -= a[t] * from_[t]


class Entry(NamedTuple):
    """In every step t, ``column`` has ``value`` in ``row`` of step t + ``lag`` (0 or 1, not past the end)."""

    column: int
    row: int
    value: float
    lag: int = 0


@dataclass
class Band:
    """A matrix in the order of time: the same columns and rows in each of ``steps`` steps.

    A vector of columns holds all steps of the first column, of the second and so on, then the slack of each row of the
    border, then the wide columns. A vector of rows holds all steps of the first row and so on, then the border.

    Attributes
    ----------
    steps, columns
        Number of steps, and of columns in each.
    singles, chained
        Rows of each step: first single ones that share no column with each other or with another step, then the rest.
    border
        Rows that span all steps; each also has a slack of its own.
    entries
        Entries of a step. Row ``singles + chained + b`` is row b of the border.
    wide_row, wide_of
        Row with -1 in wide column ``wide_of[t]`` at step t; shape (T,), or (0,) without wide columns.
    """

    steps: int
    columns: int
    singles: int
    chained: int
    border: int
    entries: Sequence[Entry]
    wide_row: int = -1
    wide_of: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def __post_init__(self) -> None:
        self.kinds = self.singles + self.chained
        self.wide = int(self.wide_of.max()) + 1 if len(self.wide_of) else 0
        ordered = sorted(self.entries)
        self.entry = np.array([(e.column, e.row, e.lag) for e in ordered], dtype=np.int64)
        self.value = np.array([e.value for e in ordered])
        inner = self.columns * self.steps
        self.slack_at, self.wide_at = slice(inner, inner + self.border), slice(inner + self.border, None)
        self.shape = (self.kinds * self.steps + self.border, inner + self.border + self.wide)
        self._plan_normal(ordered)

    def _plan_normal(self, ordered: list[Entry]) -> None:
        """Where every product of two entries of a column goes in ``A theta A'``.

        All parts stand in one array: pivots, ties, band, cross, corner.
        """
        pairs = [(a, b) for i, a in enumerate(ordered) for b in ordered[i:] if a.column == b.column]
        tied = sorted({(a.row, b.row) for a, b in pairs if a.row < self.singles and a.row != b.row})
        self.tied = np.array(tied, dtype=np.int64).reshape(-1, 2)
        distance = [abs(b.row - a.row + (b.lag - a.lag) * self.chained) for a, b in pairs if self._inner(a.row, b.row)]
        same = [(i, k) for i, a in enumerate(tied) for k, b in enumerate(tied) if i <= k and a[0] == b[0]]
        distance += [tied[k][1] - tied[i][1] for i, k in same if self._inner(tied[i][1], tied[k][1])]
        self.width = max(distance, default=0)
        rows = self.chained * self.steps
        sizes = (
            self.singles * self.steps, len(tied) * self.steps, rows * (self.width + 1), rows * self.border,
            self.border**2,
        )  # fmt: skip
        self.ends = np.cumsum(sizes)
        plan, products, places = [], [], []
        for a, b in pairs:
            if a.row < self.singles:
                at, stride = (a.row if a.row == b.row else self.singles + tied.index((a.row, b.row))) * self.steps, 1
            else:
                at, stride = self._place(a.row, a.lag, b.row, b.lag)
            plan.append((a.column, max(a.lag, b.lag), at, stride))
            products.append(a.value * b.value)
        for i, k in same:
            places.append((i, k, *self._place(tied[i][1], 0, tied[k][1], 0)))
        self.pair, self.product = np.array(plan, dtype=np.int64), np.array(products)
        self.place = np.array(places, dtype=np.int64).reshape(-1, 4)

    def _inner(self, row: int, other: int) -> bool:
        return self.singles <= min(row, other) and max(row, other) < self.kinds

    def _place(self, row: int, lag: int, other: int, other_lag: int) -> tuple[int, int]:
        """Where the product of entries of two rows, none of them single, stands in the first step, and its stride."""
        if row >= self.kinds:  # the lower triangle of the corner
            return int(self.ends[3]) + (other - self.kinds) * self.border + row - self.kinds, 0
        low = lag * self.chained + row - self.singles
        if other >= self.kinds:
            return int(self.ends[2]) + low * self.border + other - self.kinds, self.chained * self.border
        high = other_lag * self.chained + other - self.singles
        low, high = min(low, high), max(low, high)
        return int(self.ends[1]) + low * (self.width + 1) + high - low, self.chained * (self.width + 1)

    def times(self, x: FloatArray, out: FloatArray) -> FloatArray:
        """``out - A x``, in place."""
        _times(self.entry, self.value, self.steps, self.kinds, x, out)
        out[self.kinds * self.steps :] -= x[self.slack_at]
        if self.wide:
            out[self._wide_rows] += x[self.wide_at][self.wide_of]
        return out

    def priced(self, y: FloatArray, out: FloatArray) -> FloatArray:
        """``A' y``, into ``out``."""
        out[:] = 0.0
        _priced(self.entry, self.value, self.steps, self.kinds, y, out)
        out[self.slack_at] = y[self.kinds * self.steps :]
        if self.wide:
            out[self.wide_at] = -np.bincount(self.wide_of, y[self._wide_rows], self.wide)
        return out

    @property
    def _wide_rows(self) -> slice:
        return slice(self.wide_row * self.steps, (self.wide_row + 1) * self.steps)

    def factor(self, theta: FloatArray) -> Factor:
        """Factorise ``A diag(theta) A'``."""
        every = np.zeros(int(self.ends[-1]))
        _normal(self.pair, self.product, self.steps, theta, every)
        pivot, tie, band, cross, corner = np.split(every, self.ends[:-1])
        _eliminate(self.tied[:, 0], self.place, self.steps, pivot, tie, every)
        band = band.reshape(-1, self.width + 1)
        cholesky(band, _LOST * band[:, 0])
        k = self.border + self.wide
        small = np.diag(np.concatenate([theta[self.slack_at], -1.0 / theta[self.wide_at]]))
        low = corner.reshape(self.border, self.border)
        small[: self.border, : self.border] += low + np.tril(low, -1).T
        side = np.zeros((len(band), k))
        side[:, : self.border] = cross.reshape(len(band), self.border)
        if self.wide:
            at = np.arange(self.steps)
            side[at * self.chained + self.wide_row - self.singles, self.border + self.wide_of] = -1.0
        solved = side.copy()
        if k:
            band_solve(band, solved)
            gram(side, solved, small)
        scale = 1.0 / np.sqrt(np.abs(np.diagonal(small)))
        return Factor(self, pivot, tie, band, side, solved, small * scale * scale[:, None], scale)


@dataclass(frozen=True)
class Factor:
    """A factorised band with its border and its single rows."""

    of: Band
    pivot: FloatArray
    tie: FloatArray
    band: FloatArray
    side: FloatArray
    solved: FloatArray
    small: FloatArray
    scale: FloatArray

    def solve(self, right: FloatArray) -> FloatArray:
        """Multipliers ``dy`` with ``A theta A' dy = right``, in place."""
        of, steps, answer = self.of, self.of.steps, right
        _reduce(of.tied, steps, of.kinds, self.tie, answer)
        chained = answer[of.singles * steps : of.kinds * steps].reshape(of.chained, steps)
        inner = chained.T.ravel()
        band_solve_one(self.band, inner)
        if len(self.small):
            rest = np.zeros(len(self.small))
            rest[: of.border] = answer[of.kinds * steps :]
            gather(self.side, inner, rest)
            part = self.scale * np.asarray(np.linalg.solve(self.small, self.scale * rest), dtype=float)
            spread(self.solved, part, inner)
            answer[of.kinds * steps :] = part[: of.border]
        chained[:] = inner.reshape(steps, of.chained).T
        _expand(of.tied, of.singles, steps, of.kinds, self.pivot, self.tie, answer)
        return answer
