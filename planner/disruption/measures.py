"""Figures of a set of outcomes: expected cost, the tail, regret, and from which probability which choice is best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


def expected(cost: Sequence[float], probability: Sequence[float]) -> float:
    """Mean cost; worlds of probability 0 do not count, even where their cost is infinite."""
    return float(sum(p * c for c, p in zip(cost, probability, strict=True) if p > 0))


def cvar(cost: Sequence[float], probability: Sequence[float], tail_frac: float) -> float:
    """Mean cost of the worst ``tail_frac`` of all that may come (Rockafellar and Uryasev 2000)."""
    left, total = tail_frac, 0.0
    for c, p in sorted(zip(cost, probability, strict=True), reverse=True):
        part = min(left, p)
        if part > 0:
            total += part * c
            left -= part
    return total / tail_frac


@dataclass(frozen=True)
class Reign:
    """A choice that is best from one probability of any disruption to another."""

    choice: str
    from_frac: float
    to_frac: float


def reigns(calm: Mapping[str, float], disrupted: Mapping[str, float]) -> list[Reign]:
    """Which choice has the least expected cost at every probability that anything is disrupted.

    Parameters
    ----------
    calm
        Cost of each choice where nothing happens.
    disrupted
        Its mean cost over the futures, in their relative weights.

    Notes
    -----
    The expected cost of a choice is linear in the probability, so the best one follows from the lower envelope of
    straight lines; the probabilities at which it changes are exact for the costs given. Ties go to the choice that
    is cheaper where nothing happens, then to the first.
    """
    names = [n for n in calm if np.isfinite(calm[n])]
    at, best, found = 0.0, "", list[Reign]()
    if not names:
        return []
    best = min(names, key=lambda n: (calm[n], disrupted[n]))
    while True:
        crossing = [
            ((calm[n] - calm[best]) / ((calm[n] - calm[best]) + (disrupted[best] - disrupted[n])), n)
            for n in names
            if disrupted[n] < disrupted[best] and np.isfinite(disrupted[best])
        ]
        if not np.isfinite(disrupted[best]):  # infinite as soon as anything may happen
            rest = [n for n in names if np.isfinite(disrupted[n])]
            if not rest:
                return [*found, Reign(best, at, 1.0)]
            found.append(Reign(best, at, at))
            best = min(rest, key=lambda n: (calm[n], disrupted[n]))
            continue
        later = [(q, disrupted[n], n) for q, n in crossing if q >= at - 1e-15]
        if not later:
            return [*found, Reign(best, at, 1.0)]
        q, _, name = min(later)
        q = max(q, at)
        if q > at:
            found.append(Reign(best, at, q))
        at, best = q, name


def may_reign(calm: float, disrupted: float, others: Sequence[tuple[float, float]]) -> bool:
    """Whether a choice with these costs is cheaper than every other one at some probability.

    Parameters
    ----------
    calm, disrupted
        Its cost where nothing happens and its mean cost otherwise; bounds below them make the answer a hope.
    others
        The same of the other choices.

    Notes
    -----
    What it costs more than the cheapest of the others is convex in the probability, so the least of it lies at an end
    or where the cheapest of the others changes.
    """
    lines = {str(i): line for i, line in enumerate(others) if np.isfinite(line).all()}
    if not lines:
        return True
    found = reigns({n: c for n, (c, _) in lines.items()}, {n: d for n, (_, d) in lines.items()})
    return any(
        (1 - q) * calm + q * disrupted < min((1 - q) * c + q * d for c, d in lines.values()) - 1e-9
        for q in {0.0, 1.0, *(r.to_frac for r in found)}
    )
