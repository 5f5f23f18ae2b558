"""Linear programs with one binary fixed: what they close, and how they lead to a first plan.

A side of a binary whose relaxation costs more than a known plan holds no better one. What is left is nearer to a plan:
the relaxation, the rows found for it and the branch and bound all gain. Which binaries matter is told by what a few
iterations of the dual simplex add at each side (strong branching: Achterberg, Koch, Martin 2005,
doi:10.1016/j.orl.2004.04.002).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from planner.lazy import Rows
from planner.operations.together import together
from planner.problem import FloatArray
from planner.solve import FEASIBILITY, INFINITY, Attempt, Compiled, Run

#: Accuracy of linear programs, as a share of the limit.
_ACCURACY = 1e-6
#: Iterations that tell how much a side matters, and that may be spent to close it.
_LOOK, _EFFORT = 50, 3000
#: A binary of which one side adds less than this share of the cost is given that side without a second look.
_MINOR_FRAC = 1e-4
#: A side that stayed open is tried again once this share of the way to the limit is gone.
_AGAIN_FRAC = 0.2
#: Binaries that stay open, one after the other, before the others, which matter less, are left alone.
_MOST_OPEN = 6


class Sides:
    """A relaxation twice, so that both sides of a binary are looked at at once.

    Parameters
    ----------
    run
        The relaxation as it was solved.
    gains_musd
        What each side of a binary is known to add, by column; filled here.
    """

    def __init__(self, run: Run, gains_musd: dict[int, tuple[float, float]]) -> None:
        self.run, self.twin, self.gains_musd = run, run.twin(), gains_musd

    def undecided(self, attempt: Attempt, binary: NDArray[np.bool_]) -> list[int]:
        """Binaries that are fractions; what their sides add is known for all of them."""
        assert attempt.x is not None
        found: list[int] = np.flatnonzero(binary & (np.minimum(attempt.x, 1.0 - attempt.x) > FEASIBILITY)).tolist()
        for j in found:
            if j not in self.gains_musd:
                low, high = self.cost_musd(j, _LOOK)
                self.gains_musd[j] = low - attempt.objective, high - attempt.objective
        return found

    def cost_musd(self, column: int, iterations: int, limit_musd: float = INFINITY) -> tuple[float, float]:
        """What both sides of a binary cost at least, as far as so many iterations tell."""
        low, high = together(partial(_cost_musd, column, iterations, limit_musd), [(self.run, 0.0), (self.twin, 1.0)])
        return low, high

    def fix(self, column: int, value: float) -> Attempt:
        """Leave a binary one side."""
        self.run.fix(column, value)
        self.twin.fix(column, value)
        return self.solved()

    def solved(self) -> Attempt:
        """Solve what is left."""
        attempt = self.run.solve()
        self.twin.start_like(self.run)
        return attempt


def _cost_musd(column: int, iterations: int, limit_musd: float, side: tuple[Run, float]) -> float:
    run, value = side
    return run.probed(column, value, iterations, limit_musd)


def dive(
    run: Run, attempt: Attempt, binary: NDArray[np.bool_], missing: Callable[[FloatArray], Rows | None]
) -> Attempt | None:
    """Fix one binary after the other at its cheaper side, those that matter most first; None where neither has a plan.

    Parameters
    ----------
    run, attempt
        The relaxation as it was solved; it cannot be used afterwards.
    binary
        Columns to be decided, of 0 and 1.
    missing
        Rows that a solution lacks; fractions hide rows that binaries need, so they are asked for at every step.
    """
    sides = Sides(run, {})
    while (x := attempt.x) is not None and not run.stop.now:
        rows = missing(x)
        if rows is not None:
            run.add_rows(*rows)
            sides.twin.add_rows(*rows)
            attempt = sides.solved()
            continue
        left = sides.undecided(attempt, binary)
        if not left:
            return attempt
        j = max(left, key=lambda j: min(sides.gains_musd[j]))
        low, high = sides.gains_musd[j]
        if min(low, high) > _MINOR_FRAC * abs(attempt.objective):
            low, high = sides.cost_musd(j, _EFFORT)
        value = float(high < low or (high == low and x[j] >= 0.5))
        attempt = sides.fix(j, value)
        if attempt.x is None:
            attempt = sides.fix(j, 1.0 - value)
    return None


class Narrowing:
    """Closed sides of one compiled problem.

    Parameters
    ----------
    compiled
        Its bounds are changed in place.
    """

    def __init__(self, compiled: Compiled) -> None:
        self._compiled = compiled
        self._open = compiled.lower.copy(), compiled.upper.copy()
        #: Every plan on a closed side costs at least this, in million USD.
        self.closed_musd = np.inf
        self._tried: dict[int, float] = {}
        self._gains_musd: dict[int, tuple[float, float]] = {}

    def reopen(self) -> None:
        """Open every side: for questions about other plans than cheaper ones."""
        self._compiled.lower[:], self._compiled.upper[:] = self._open
        self.closed_musd = np.inf
        self._tried.clear()

    def close(self, run: Run, attempt: Attempt, binary: NDArray[np.bool_], limit_musd: float) -> bool:
        """Close sides while that is possible; whether any was.

        Parameters
        ----------
        run, attempt
            The relaxation as it was solved; it stays loaded, narrowed.
        binary
            Columns whose sides may be closed, of 0 and 1.
        limit_musd
            What the best known plan costs.
        """
        sides, closed = Sides(run, self._gains_musd), False
        while attempt.x is not None and not run.stop.now:
            found = self._next(sides, attempt, binary, limit_musd)
            if found is None:
                break
            column, value = found
            self.closed_musd = min(self.closed_musd, limit_musd)
            self._compiled.lower[column] = self._compiled.upper[column] = value
            attempt, closed = sides.fix(column, value), True
        return closed

    def _next(
        self, sides: Sides, attempt: Attempt, binary: NDArray[np.bool_], limit_musd: float
    ) -> tuple[int, float] | None:
        """A column and the only side of it that may hold a cheaper plan."""
        limit, way = limit_musd + _ACCURACY * abs(limit_musd), limit_musd - attempt.objective
        left = sides.undecided(attempt, binary)
        still_open = 0
        for j in sorted(left, key=lambda j: -max(self._gains_musd[j])):
            if sides.run.stop.now or still_open == _MOST_OPEN:
                break
            if way > (1.0 - _AGAIN_FRAC) * self._tried.get(j, np.inf):
                continue
            self._tried[j] = way
            low, high = sides.cost_musd(j, _EFFORT, limit)
            if (low > limit) != (high > limit):
                return j, float(low > limit)
            still_open += 1
        return None
