"""From fractions to whole containers and placements: every plan that counts is made here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from planner.lazy import solved_with_every_row
from planner.problem import FloatArray
from planner.search.parts import Parts
from planner.solve import BOUND_SLACK_MUSD, FEASIBILITY, Attempt, SolverFault

#: Seconds that one quick search for whole containers may take.
_WHOLE_S = 3.0
#: Share of the asked gap that places may cost beyond what containers alone do.
_PLACED_GAP_SHARE = 0.05
#: Share of the asked gap at which the search for whole containers near the bound problem gives up, and its seconds.
_NEAR_GAP_SHARE = 0.1
_NEAR_S = 8.0
#: Seconds for the last linear program of a plan, also after a stop.
_POLISH_S = 60.0


class WholeParts(Parts):
    """The runs that end at whole containers."""

    def whole_plan(self, x: FloatArray, gap_frac: float, within: int, seconds: float) -> Attempt | None:
        """Whole containers and placements near a fractional plan, every outage row kept; None if none is found.

        The binaries of the purchase are those of ``x``, and no count of containers is further from it than ``within``.
        """
        if self.settlement is not None:  # first the known cuts of the operating years that bind near ``x``
            with self._fixed(self.purchase_binary(), x):
                solved_with_every_row(self._new_run(np.zeros_like(self.compiled.integer)), self.outages, gap_frac)
        self.site_open = True
        with self._close_by(x, within):
            return self._whole(x, gap_frac, seconds=seconds, keen=True)

    def _near(self, x: FloatArray | None) -> Attempt | None:
        """Whole containers for the binaries of the bound problem, searched until the gap is closed."""
        goal = (self.bound + 2 * BOUND_SLACK_MUSD) / (1.0 - self.gap_frac) if self.bound > 0 else -np.inf
        return self._whole(x, self.gap_frac * _NEAR_GAP_SHARE, goal, _NEAR_S)

    @contextmanager
    def _close_by(self, x: FloatArray, within: int) -> Iterator[None]:
        """Keep every count of containers near its value for a while; where there was none, at most one more."""
        lower, upper = self.compiled.lower, self.compiled.upper
        at = self.columns.containers[self.columns.containers >= 0]
        self.compiled.lower, self.compiled.upper = lower.copy(), upper.copy()
        self.compiled.lower[at] = np.maximum(lower[at], np.floor(x[at]) - within)
        more = np.where(x[at] > FEASIBILITY, within, 1)
        self.compiled.upper[at] = np.minimum(upper[at], np.ceil(x[at] - FEASIBILITY) + more)
        try:
            yield
        finally:
            self.compiled.lower, self.compiled.upper = lower, upper

    def _whole(
        self,
        x: FloatArray | None,
        gap: float,
        goal: float = -np.inf,
        seconds: float = _WHOLE_S,
        keen: bool = False,
    ) -> Attempt | None:
        """Whole containers and placements with the binaries of ``x``: a quick plan, good enough at ``goal``.

        ``keen`` spends more of the time on guesses than on a bound.
        """
        if x is None:
            return None
        with self._fixed(self.purchase_binary(), x):
            site = not self.site_open
            while True:
                whole = self._all_whole() if site else self.compiled.integer
                run = self._new_run(whole, site)
                if keen:
                    run.often_guess()
                bought = run.solve(gap, time_limit_s=seconds, goal=goal).x
                placed = bought if site or bought is None else self._placed_whole(bought)
                if bought is not None and placed is None and not site:
                    site = True  # what is cheapest does not fit: choose containers and places together
                    continue
                plan = self._polish(placed)
                if plan is None or plan.x is None or self._holds(plan):
                    return plan

    def _holds(self, plan: Attempt) -> bool:
        """Whether a plan keeps every row; what its operating years are known to cost more is counted in it."""
        assert plan.x is not None
        cuts = None if self.settlement is None else self.settlement.cuts
        missing = self.outages.add_violated(plan.x)
        if missing is None or cuts is None:
            return missing is None
        lacking = missing[0] @ plan.x < missing[1] - FEASIBILITY * (1.0 + np.abs(missing[1]))
        outage = np.array([not name.startswith("operating[") for name in self.compiled.row_names[-len(lacking) :]])
        if (lacking & outage).any() or cuts.impossible(plan.x):
            return False
        plan.objective += cuts.raised_musd(plan.x)
        return True

    def _full(self, best: Attempt | None, whole_places: bool) -> Attempt:
        """Whole containers and binaries at once; a valid bound even where rows are missing.

        Whole placements would add hundreds of interchangeable columns and almost never cost anything:
        unless asked for, they are found afterwards with the containers fixed, or else together with them.
        """
        whole = self._all_whole() if whole_places else self.compiled.integer
        start = best.x if best is not None else None
        attempt = self._new_run(whole).solve(self.gap_frac * 0.98, start=start)
        if attempt.x is None:
            return attempt
        plan = self._polish(self._placed_whole(attempt.x))
        if plan is None or plan.x is None or self.outages.add_violated(plan.x) is not None:
            self._refine(attempt.x)
            plan = self._whole(attempt.x, self.gap_frac * 0.3) or Attempt(None, np.inf, -np.inf, False)
        plan.bound = attempt.bound
        return plan

    def _placed_whole(self, x: FloatArray) -> FloatArray | None:
        """Whole placements for the containers of ``x``; None if they do not fit."""
        with self._fixed(self._without(self.columns.site), x):
            run = self._new_run(self._all_whole(), site=True)
            return run.solve(self.gap_frac * _PLACED_GAP_SHARE, time_limit_s=_WHOLE_S).x

    def _polish(self, x: FloatArray | None, may_fail: bool = False) -> Attempt | None:
        """Whole numbers rounded and fixed, the rest solved again to full accuracy; None for None, or if it may fail."""
        if x is None:
            return None
        whole = self._all_whole()
        with self._fixed(whole, x):
            run = self._new_run(np.zeros_like(whole), site=True)
            run.highs.setOptionValue("primal_feasibility_tolerance", 1e-9)
            attempt = run.solve(time_limit_s=_POLISH_S, after_stop=True)
        if attempt.x is None and may_fail:
            return None
        if attempt.x is None:
            raise SolverFault("a solution of HiGHS does not survive rounding to whole containers")
        attempt.x = np.where(whole, np.round(x), attempt.x)
        broken = self.compiled.violation(attempt.x)
        if broken > FEASIBILITY:
            raise SolverFault(f"a solution of HiGHS violates a row by {broken:.2g}")
        return attempt
