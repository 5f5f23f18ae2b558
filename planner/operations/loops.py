"""Compiled loops: factorise a narrow band, solve with it, and take out its border."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

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
def cholesky(band: FloatArray, least: FloatArray) -> None:
    """Factorise in place; ``band[i, d]`` holds the entry (i + d, i), then that of the factor, pivots inverted.

    A pivot lost to rounding (not above ``least``) becomes very large.
    """
    n, width = band.shape
    for i in range(n):
        pivot = band[i, 0]
        if pivot <= least[i]:
            pivot = 1e128
        root = 1.0 / np.sqrt(pivot)
        band[i, 0] = root
        most = min(width, n - i)
        for d in range(1, most):
            band[i, d] *= root
        for d in range(1, most):
            a = band[i, d]
            if a != 0.0:
                for e in range(d, most):
                    band[i + d, e - d] -= a * band[i, e]


@compiled
def band_solve(band: FloatArray, right: FloatArray) -> None:
    """Solve ``L L' X = right`` in place; ``right`` is (n, k)."""
    n, width = band.shape
    k = right.shape[1]
    for i in range(n):
        scale = band[i, 0]
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
        scale = band[i, 0]
        for j in range(k):
            right[i, j] *= scale


@compiled
def band_solve_one(band: FloatArray, right: FloatArray) -> None:
    """``band_solve`` for one right-hand side."""
    n, width = band.shape
    for i in range(n):
        a = right[i] * band[i, 0]
        right[i] = a
        for d in range(1, min(width, n - i)):
            right[i + d] -= band[i, d] * a
    for i in range(n - 1, -1, -1):
        a = right[i]
        for d in range(min(width, n - i) - 1, 0, -1):
            a -= band[i, d] * right[i + d]
        right[i] = a * band[i, 0]


@compiled
def gather(side: FloatArray, one: FloatArray, out: FloatArray) -> None:
    """``out -= side' one``: compiled, since library threads would wait for each other on a busy machine."""
    for i in range(side.shape[0]):
        a = one[i]
        if a != 0.0:
            for j in range(side.shape[1]):
                out[j] -= side[i, j] * a


@compiled
def gram(side: FloatArray, solved: FloatArray, out: FloatArray) -> None:
    """``out -= side' solved``."""
    for i in range(side.shape[0]):
        for j in range(side.shape[1]):
            a = side[i, j]
            if a != 0.0:
                for k in range(side.shape[1]):
                    out[j, k] -= a * solved[i, k]


@compiled
def spread(solved: FloatArray, part: FloatArray, out: FloatArray) -> None:
    """``out -= solved part``."""
    for i in range(solved.shape[0]):
        total = 0.0
        for j in range(solved.shape[1]):
            total += solved[i, j] * part[j]
        out[i] -= total
