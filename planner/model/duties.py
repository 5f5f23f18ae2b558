"""Which containers may be in daily use, and the sums over the deliveries of an offer that keep other rows short."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from planner.model.coefficients import Coefficients


def duty_parts(c: Coefficients) -> Iterator[tuple[int, int, tuple[str, str, int]]]:
    """(pair index, setting index, (offer, delivery, setting)) of all storage."""
    operating = c.problem.case.operating
    assert operating is not None
    offers, periods = c.problem.offers, c.problem.periods
    for i, (o, p) in enumerate(c.pairs):
        if offers[o].is_storage:
            for j in range(len(operating.reserve_settings)):
                yield i, j, (offers[o].offer, periods[p].label, j)


def running_parts(c: Coefficients) -> Iterator[tuple[int, int, int, int, tuple[str, str, str, int, int]]]:
    """(pair, period, season, setting, (offer, delivery, period, season, setting)) wherever storage may run."""
    operating = c.problem.case.operating
    assert operating is not None
    for i, j, (offer, delivery, _) in duty_parts(c):
        for p, period in enumerate(c.problem.periods):
            if c.alive[i, p]:
                for s in range(len(operating.seasons)):
                    yield i, p, s, j, (offer, delivery, period.label, s, j)


def standing_parts(c: Coefficients) -> Iterator[tuple[int, int, list[int], tuple[str, str]]]:
    """(offer index, period index, pairs that stand there, (offer, period)) wherever storage may stand."""
    for o in c.offers_used:
        if not c.problem.offers[o].is_storage:
            continue
        for p, period in enumerate(c.problem.periods):
            mine = np.flatnonzero((c.pair_offer == o) & c.alive[:, p]).tolist()
            if mine:
                yield o, p, mine, (c.problem.offers[o].offer, period.label)
