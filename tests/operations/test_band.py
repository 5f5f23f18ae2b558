"""Matrices in the order of time against the same matrices written out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.operations.band import Band, Entry

STEPS = 7


def some_band(seed: int, wide: bool) -> tuple[Band, np.ndarray]:
    """A random band with two single rows, three chained ones and two of the border, and the same matrix in full."""
    draw = np.random.default_rng(seed)
    entries = []
    for column in range(8):
        if column < 6:
            entries.append(Entry(column, column // 3, draw.uniform(0.3, 2.0)))
        entries += [Entry(column, row, draw.uniform(-2.0, 2.0)) for row in (2, 3, 4) if draw.random() < 0.6]
        if column >= 6:
            entries += [Entry(column, 2 + column % 3, draw.uniform(-1.0, 1.0), 1)]
        entries += [Entry(column, row, draw.uniform(-1.0, 1.0)) for row in (5, 6) if draw.random() < 0.3]
    entries += [Entry(8 + k, 2 + k, 1.0) for k in range(3)]  # every row has a column
    of = np.sort(draw.integers(0, 3, STEPS)) if wide else np.zeros(0, dtype=np.int64)
    band = Band(STEPS, 11, 2, 3, 2, entries, 4 if wide else -1, of)
    full = np.zeros(band.shape)
    for e in entries:
        for t in range(STEPS - e.lag):
            full[(e.row * STEPS + t + e.lag) if e.row < 5 else 5 * STEPS + e.row - 5, e.column * STEPS + t] += e.value
    for b in range(2):
        full[5 * STEPS + b, 11 * STEPS + b] = 1.0
    for t, w in enumerate(of):
        full[4 * STEPS + t, 11 * STEPS + 2 + w] = -1.0
    return band, full


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.booleans())
def test_products_and_solutions_are_those_of_the_matrix_in_full(seed: int, wide: bool) -> None:
    band, full = some_band(seed, wide)
    draw = np.random.default_rng(seed + 1)
    x, y, right = (draw.standard_normal((n,)) for n in (full.shape[1], full.shape[0], full.shape[0]))
    assert band.times(x, right.copy()) == pytest.approx(right - full @ x, abs=1e-12)
    assert band.priced(y, np.empty(full.shape[1])) == pytest.approx(full.T @ y, abs=1e-12)
    theta = np.exp(draw.uniform(-3.0, 3.0, full.shape[1]))
    normal = full @ np.diag(theta) @ full.T
    assert normal @ band.factor(theta).solve(right.copy()) == pytest.approx(right, abs=1e-7)
