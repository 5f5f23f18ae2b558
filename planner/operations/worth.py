"""What one more MW or MWh of a store is worth against given energy values, exactly and in a millisecond.

For energy values ``node_t`` the best year of one store has the dual

    min over m:  P sum_t dt max(0, node_t - wear - m_t, eff m_t - node_t)  +  E sum_t max(0, keep m_{t+1} - m_t)

``m_t`` being the value of a stored MWh. Every ``m`` gives a valid bound, so nothing rests on the accuracy of the
search. At the turn of the year the store is full, so the last change counts with its sign. The minimum is a chain: the
cost so far, as a function of the last ``m``, is convex and piecewise linear, and passing on to the next step clips its
slope between 0 and E (as in the fused lasso: Johnson 2013, doi:10.1080/10618600.2012.681238). A four-hour store keeps a
dozen corners alive.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.operations.loops import compiled
from planner.operations.year import Clock

FloatArray = NDArray[np.float64]
#: Tries for the value of wear that suits a yearly budget best.
_WEAR_TRIES = 14
#: Values of wear that are tried where that of a store much alike is known, over it; they say 0.1 % too little.
_NEAR = (0.0, 0.625, 1.0, 1.6)


@dataclass(frozen=True)
class Worth:
    """Values of a store per year, by season but for the last: of a MW, of a MWh, of a MWh that may swing, of a MWh
    of budget.

    A year in which energy is worth ``node`` cannot earn more than
    ``sum_s (power_s P_s + energy_s E_s + swing_s W_s) + wear * budget`` with a store that is full at the end of each
    season and never holds less than ``E_s - W_s``.
    """

    power: FloatArray
    energy: FloatArray
    swing: FloatArray
    wear: float


@compiled
def stored_value(node: FloatArray, wear: float, hours: float, efficiency: float, keep: float, dt: float) -> FloatArray:
    """The chain of values of a stored MWh for one MW and ``hours`` MWh, full at both ends."""
    n = len(node)
    low, high, value = np.empty(n), np.empty(n), np.empty(n)
    # Corners of the slope stand sorted in [first, last); every step adds at most two.
    place, jump = np.empty(2 * n + 2), np.empty(2 * n + 2)
    first, last = 0, 0
    spread, shrink = 1.0, 1.0  # true place = place * spread, true jump = jump * shrink
    left = keep * hours  # slope far to the left: the store comes full into the first step
    right = left  # and far to the right: ``left`` plus all jumps
    for t in range(n):
        sell, buy = node[t] - wear, node[t] / efficiency
        left -= dt
        right += efficiency * dt
        for which in range(2):
            if sell <= buy:
                at = (sell if which == 0 else buy) / spread
                size = (dt if which == 0 else efficiency * dt) / shrink
            elif which == 0:
                at = (sell + node[t]) / (1.0 + efficiency) / spread
                size = (1.0 + efficiency) * dt / shrink
            else:
                break
            i = last
            while i > first and place[i - 1] > at:
                place[i], jump[i] = place[i - 1], jump[i - 1]
                i -= 1
            place[i], jump[i] = at, size
            last += 1
        # Clip the slope from the left at 0 ...
        low[t] = -1e300
        if left < 0.0:
            while first < last - 1 and left + jump[first] * shrink < 0.0:
                left += jump[first] * shrink
                first += 1
            low[t] = place[first] * spread
            jump[first] = max(0.0, (left + jump[first] * shrink) / shrink)
            left = 0.0
        # ... and from the right at the energy.
        high[t] = 1e300
        if right > hours:
            while last - 1 > first and right - jump[last - 1] * shrink > hours:
                right -= jump[last - 1] * shrink
                last -= 1
            high[t] = place[last - 1] * spread
            jump[last - 1] -= (right - hours) / shrink
            right = hours
        end = place[last - 1] * spread
        left *= keep
        right *= keep
        spread /= keep
        shrink *= keep
    value[n - 1] = min(high[n - 1], end)  # and must leave the last step full
    for t in range(n - 2, -1, -1):
        value[t] = min(max(keep * value[t + 1], low[t]), high[t])
    return value


def worth(clock: Clock, node: FloatArray, stored: FloatArray, wear: float, efficiency: float, keep: float) -> Worth:
    """Values that any chain ``stored`` proves, shape (T,)."""
    power, energy, swing = (np.zeros(clock.seasons) for _ in range(3))
    _sums(node, stored, wear, efficiency, keep, clock.season, clock.season_ends, power, energy, swing)
    return Worth(power * clock.dt_h / clock.years, energy / clock.years, swing / clock.years, wear)


@compiled
def _sums(
    node: FloatArray, stored: FloatArray, wear: float, efficiency: float, keep: float, season: NDArray[np.int64],
    ends: NDArray[np.bool_], power: FloatArray, energy: FloatArray, swing: FloatArray,
) -> None:  # fmt: skip
    """Sums over all steps by season: of a MW, of a MWh that stays full, and what a MWh that may swing adds to it."""
    for t in range(len(node)):
        s = season[t]
        power[s] += max(0.0, node[t] - wear - stored[t], efficiency * stored[t] - node[t])
        energy[s] -= (1.0 - keep) * stored[t]
        if not ends[t]:
            swing[s] += max(0.0, stored[t] - keep * stored[t + 1])


def chain(clock: Clock, node: FloatArray, wear: float, hours: float, efficiency: float, keep: float) -> FloatArray:
    """Best values of a stored MWh, shape (T,): season after season, as a store is full at the end of each."""
    value, begin = np.empty(clock.steps), 0
    for end in (np.flatnonzero(clock.season_ends) + 1).tolist():
        value[begin:end] = stored_value(node[begin:end], wear, hours, efficiency, keep, clock.dt_h)
        begin = end
    return value


def resting_worth(clock: Clock, node: FloatArray, hours: float, efficiency: float, keep: float) -> Worth:
    """Values of a store that only makes up for what it loses."""
    never = float(node.max() - node.min()) + 1.0
    return worth(clock, node, chain(clock, node, never, hours, efficiency, keep), never, efficiency, keep)


def best_worth(
    clock: Clock, node: FloatArray, hours: float, efficiency: float, keep: float, cycles: float,
    near: float | None = None,
) -> Worth:  # fmt: skip
    """Values that say least for a store of ``hours`` MWh per MW which may discharge ``cycles`` times a year.

    Parameters
    ----------
    clock, node
        The year and the value of energy in each step, USD per MWh.
    hours, efficiency, keep
        Of the store: MWh per MW, round trip, what a step leaves of a stored MWh.
    cycles
        Yearly discharge over energy; infinite where wear does not count.
    near
        Value of wear of a store much alike, if one is known: the search is short then.
    """

    def at(wear: float) -> tuple[float, Worth]:
        found = worth(clock, node, chain(clock, node, wear, hours, efficiency, keep), wear, efficiency, keep)
        budget = wear * cycles * hours if wear > 0 else 0.0
        return float(found.power.sum() + hours * (found.energy + found.swing).sum()) + budget, found

    if near is not None and np.isfinite(cycles):
        return min((at(near * share) for share in dict.fromkeys(_NEAR if near > 0 else (0.0,))), key=lambda f: f[0])[1]
    best = at(0.0)
    if not np.isfinite(cycles) or best[0] <= 0.0:
        return best[1]
    usual, most = float(np.quantile(node, 0.98) - np.quantile(node, 0.02)) + 1.0, float(node.max() - node.min()) + 1.0
    best = _least(at, best, usual)
    while best[1].wear > 0.9 * usual and usual < most:
        usual = min(most, 4.0 * usual)
        best = _least(at, best, usual)
    return best[1]


def _least(at: Callable[[float], tuple[float, Worth]], best: tuple[float, Worth], high: float) -> tuple[float, Worth]:
    """Golden section for the value of wear that says least, between 0 and ``high``."""
    low = 0.0
    ratio = 0.5 * (5**0.5 - 1)
    a, b = high - ratio * (high - low), low + ratio * (high - low)
    at_a, at_b = at(a), at(b)
    for _ in range(_WEAR_TRIES):
        best = min(best, at_a, at_b, key=lambda pair: pair[0])
        if at_a[0] <= at_b[0]:
            high, b, at_b = b, a, at_a
            a = high - ratio * (high - low)
            at_a = at(a)
        else:
            low, a, at_a = a, b, at_b
            b = low + ratio * (high - low)
            at_b = at(b)
    return min(best, at_a, at_b, key=lambda pair: pair[0])
