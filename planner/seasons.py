"""Months and reserve seasons of the hours of a year."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
#: First hour of each month of a year of 8,760 hours.
DAYS_BEFORE = tuple(sum(_DAYS[:m]) for m in range(13))
YEAR_H = 8760


def month_of_hours(hours: int) -> IntArray:
    """Billing month of every hour from the first of January on, counted through all years, shape (hours,)."""
    hour = np.arange(hours)
    starts = np.array(DAYS_BEFORE[1:]) * 24
    return np.asarray(np.searchsorted(starts, hour % YEAR_H, side="right") + 12 * (hour // YEAR_H), dtype=np.int64)


def season_of_steps(seasons: Sequence[Sequence[int]], hours: int, per_hour: int) -> IntArray:
    """Season of every step, shape (hours * per_hour,)."""
    of_month = np.zeros(12, dtype=np.int64)
    for s, months in enumerate(seasons):
        of_month[[m - 1 for m in months]] = s
    return np.repeat(of_month[month_of_hours(hours) % 12], per_hour)
