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

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.operations.loops import compiled
from planner.operations.year import Clock

FloatArray = NDArray[np.float64]
#: Shares of its energy, and multiples of the wear that suits daily use, for which a store is valued.
_SWINGS = (0.02, 0.25, 0.6, 1.0)
_WEARS = (0.0, 0.7, 1.3, 3.0)
#: Most uses of stores alike that a year tells.
_USES = 5
#: Ways of use that ``worths`` gives.
WAYS = 2 + len(_SWINGS) * len(_WEARS) + _USES
#: Tries for the value of wear that suits a yearly budget best.
_WEAR_TRIES = 14


@dataclass(frozen=True)
class Worth:
    """Values of a store per year: of a MW, of a MWh, of a MWh that is held back in each season, of a MWh of budget.

    A year in which energy is worth ``node`` cannot earn more than
    ``power * P + energy * E - held @ H + wear * budget``.
    """

    power: float
    energy: float
    held: FloatArray
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
    held = np.zeros(clock.seasons)
    power, energy = _sums(node, stored, wear, efficiency, keep, clock.floor_season, held)
    return Worth(power * clock.dt_h / clock.years, energy / clock.years, held / clock.years, wear)


@compiled
def _sums(
    node: FloatArray, stored: FloatArray, wear: float, efficiency: float, keep: float, season: NDArray[np.int64],
    held: FloatArray,
) -> tuple[float, float]:  # fmt: skip
    """Values of a MW and a MWh over all steps, and into ``held`` that of a held MWh by season."""
    power = energy = 0.0
    last = len(node) - 1
    for t in range(last + 1):
        power += max(0.0, node[t] - wear - stored[t], efficiency * stored[t] - node[t])
        change = keep * stored[t + 1 if t < last else 0] - stored[t]
        if t == last or change > 0.0:
            energy += change
        else:
            held[season[t]] -= change
    return power, energy


def worths(
    clock: Clock, node: FloatArray, hours: float, efficiency: float, keep: float, cycles: float,
    uses: Sequence[tuple[float, float]] = (),
) -> tuple[Worth, ...]:  # fmt: skip
    """Values of a store of ``hours`` MWh per MW for every way of using it: all or part of its energy, often or seldom.

    ``uses`` add shares of its energy and the values of wear that a year really had. Each way holds for every size,
    held-back energy and budget, so whoever uses them may take the one that says least.
    """
    full = best_worth(clock, node, hours, efficiency, keep, cycles)
    wear = max(full.wear, 0.05 * float(np.quantile(node, 0.95) - np.quantile(node, 0.05)), 0.1)
    never = float(node.max() - node.min()) + 1.0
    found = [full]
    ways = [*((share, factor * wear) for share in _SWINGS for factor in _WEARS), (1.0, never)]
    own = list(dict.fromkeys(uses))[:_USES] or [(0.8, full.wear)]
    for share, dear in [*ways, *own]:
        chain = stored_value(node, dear, share * hours, efficiency, keep, clock.dt_h)
        found.append(worth(clock, node, chain, dear, efficiency, keep))
    return (*found, *[found[-1]] * (WAYS - len(found)))


def best_worth(clock: Clock, node: FloatArray, hours: float, efficiency: float, keep: float, cycles: float) -> Worth:
    """Values that say least for a store of ``hours`` MWh per MW which may discharge ``cycles`` times a year.

    Parameters
    ----------
    clock, node
        The year and the value of energy in each step, USD per MWh.
    hours, efficiency, keep
        Of the store: MWh per MW, round trip, what a step leaves of a stored MWh.
    cycles
        Yearly discharge over energy; infinite where wear does not count.
    """

    def at(wear: float) -> tuple[float, Worth]:
        chain = stored_value(node, wear, hours, efficiency, keep, clock.dt_h)
        found = worth(clock, node, chain, wear, efficiency, keep)
        budget = wear * cycles * hours if wear > 0 else 0.0
        return found.power + hours * found.energy + budget, found

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
