"""From prepared coefficients to a whole-container solution with its bound.

1. LP relaxation with lazy outage rows.
2. Rough plan: binaries whole, containers in fractions, a wide gap; it brings the outage rows
   that fractional binaries hide, and a first whole plan. With operating years a dive takes its place.
3. Bound problem: the same to a fine gap, with coarse containers (generators, large blocks) whole too;
   then whole containers and placements for its binaries.
4. Only if the gap is still open: whole containers and binaries at once, started from the best plan.

A neighbour's plan takes the place of step 2: whole containers for its binaries, then the bound problem, which
starts from them with all of its outage rows and ends as soon as its bound closes the gap. With operating years the
same holds for the first whole plan, once its years are counted and the problem is narrowed by what it costs.

Every dual bound counts; every kept solution is checked against all outage rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from planner.model.reliability import RowKey
from planner.operations.schedule import MISSING_FRAC, YearPlan, years_musd
from planner.operations.settle import Settlement
from planner.problem import FloatArray
from planner.search.parts import ROUGH_GAP
from planner.search.whole import WholeParts
from planner.solve import (
    FEASIBILITY,
    Attempt,
    Infeasible,
    NoPlan,
    SolverFault,
)  # fmt: skip

#: Most passes of bound problem and search for whole containers; the second has the rows that the first one lacked.
_BOUND_PASSES = 2
#: Most times that the search goes on with what the years of its best plan taught.
_SETTLING_PASSES = 3
#: Most times that the use of whole containers is planned again with what their years taught, and the share of the asked
#: gap that this may still bring.
_SETTLING_ROUNDS, _SETTLED_GAP_SHARE = 16, 0.1
#: Most times that a plan whose years miss load is mended, and by what share more the load falls after the first time.
_MENDS = 6
_MENDED = 2e-5


class DoesNotFit(Exception):
    """What was bought without the rows of the site cannot be placed."""


@dataclass(frozen=True)
class Solution:
    """Columns of the best plan and what is proved about it, in million USD."""

    x: FloatArray
    cost_musd: float
    bound_musd: float
    relaxed_x: FloatArray
    timing_s: dict[str, float]
    rows: tuple[RowKey, ...]
    interrupted: bool
    solver_rows: int
    solver_columns: int
    years: tuple[YearPlan, ...] = ()

    @property
    def gap_frac(self) -> float:
        """(cost - bound) / |cost|."""
        return max(0.0, self.cost_musd - self.bound_musd) / max(abs(self.cost_musd), 1e-9)


@dataclass
class Search(WholeParts):
    """One search; ``run`` does it all."""

    def run(self, known_rows: tuple[RowKey, ...] = ()) -> Solution:
        """Solve the problem.

        Raises
        ------
        Infeasible
            If no plan exists.
        NoPlan
            If stopped before a plan was found.
        """
        self.prepare(known_rows)
        return self.again()

    def again(self, start: Attempt | None = None) -> Solution:
        """``run`` for what was prepared before, whose bounds may have changed since; a whole plan to start from."""
        with self.stop.catching_interrupt():
            return self._steps(start)

    def _steps(self, start: Attempt | None) -> Solution:
        """First without the rows of the site, which seldom bind; with them if what was bought does not fit."""
        self.best, self.settled = start, None
        self.narrowing, self._known_musd = None, np.inf
        self.bound = -np.inf
        self._round_musd, self._asked_with = 0.0, 0
        self.fractions: FloatArray | None = None
        self.site_open = True
        try:
            try:
                self._solve_all()
            except DoesNotFit:
                self.note("the yards bind")
                self.site_open = False
                self._solve_all()
        except NoPlan:  # stopped: what was found before still counts
            if self.best is None:
                raise
        finally:
            if self.narrowing is not None:
                self.narrowing.reopen()
        return self._solution()

    def _solve_all(self) -> None:
        if self.settlement is not None:
            self._timed("operating_years", self.settlement.cuts.learner.prime)
        relaxed = self._timed("relaxation", self._relax)
        self._proved(relaxed)
        self.fractions = relaxed.x
        if self.neighbour:
            self._timed("whole_containers", lambda: self._keep(self._from_neighbour()))
        if self.best is None:
            rough = self._timed("rough_plan", lambda: self._rough(relaxed.bound))
            self._proved(rough)
            self._timed("whole_containers", lambda: self._keep(self._whole(rough.x, ROUGH_GAP)))
            self.fractions = rough.x if rough.x is not None else relaxed.x
        self._count_years()
        coarse = self._coarse(relaxed.bound)
        if not (self.neighbour and self._closed()):
            self._bound_passes(coarse)
        self._settle(coarse)
        self._timed("branch_and_bound", self._close)
        self._settle(coarse)
        if self.best is None:
            raise NoPlan(self.stop.interrupted)

    def _from_neighbour(self) -> Attempt | None:
        """Whole containers for the neighbour's choices, as far as they are open here; None if they make no plan."""
        x = np.zeros(len(self.compiled.cost))
        for name, j in self._named():
            x[j] = self.neighbour.get(name, 0.0)
        try:
            return self._near(np.clip(x, self.compiled.lower, self.compiled.upper))
        except SolverFault:  # choices that fit only within the solver's tolerances: start without them
            return None

    def _bound_passes(self, coarse: NDArray[np.bool_]) -> None:
        """Bound problem, then whole containers near it; again with the rows that were missing while that may help."""
        start = None
        if self.best is not None and self.best.x is not None and (self.neighbour or self.settlement is not None):
            start = self.best.x.copy()
            if self.settlement is not None:
                self.settlement.cuts.raised_musd(start)
        for _ in range(_BOUND_PASSES if self.settlement is None else 1):
            if self.settlement is not None:
                relaxed = self._timed("relaxation", partial(self._relax, first=False))
                self._proved(relaxed)
                if relaxed.x is not None:
                    self.outages.add_near(relaxed.x)
            known, self._asked_with = len(self.outages.rows), len(self.compiled.row_lower)
            fine = self._timed("bound_problem", partial(self._bound_problem, coarse, start))
            self._proved(fine)
            if fine.x is not None:
                self.fractions = start = fine.x
            if not self._closed():
                self._keep(self._timed("whole_containers", partial(self._near, fine.x)))
            if self._closed() or self.stop.now or len(self.outages.rows) == known:
                break  # without new rows another pass would bring the same bound

    def _settle(self, coarse: NDArray[np.bool_]) -> None:
        """Learn the operating years at the best plan; search again with every row that came to be known."""
        if self.settlement is None:
            return
        for _ in range(_SETTLING_PASSES):
            if self.best is None:
                break
            self._count_years()
            if self._closed() or self.stop.now or len(self.compiled.row_lower) == self._asked_with:
                break
            self._bound_passes(coarse)
        if self.settled is not None:  # what later plans taught holds for it too
            assert self.settled.x is not None
            self.settled.objective += self.settlement.cuts.raised_musd(self.settled.x)
            self.best = self.settled

    def _count_years(self) -> None:
        """Count in the best plan what its operating years cost, if that is not known yet."""
        if self.settlement is None or self.best is None or self.best is self.settled:
            return
        if self.settled is None or not self.stop.now:
            self._timed("operating_years", partial(self._settled, self.settlement, self.best))

    def with_years(self, plan: Attempt) -> tuple[Attempt, tuple[YearPlan, ...]]:
        """A whole plan with its operating years settled and scheduled; the same plan where there are none.

        Raises
        ------
        NoPlan
            If its load cannot be scheduled.
        """
        if self.settlement is None:
            return plan, ()
        self.settled = None
        self._settled(self.settlement, plan)
        if self.settled is None:
            raise NoPlan(self.stop.interrupted)
        return self._scheduled(self.settlement, self.settled)

    def known_musd(self, plan: Attempt) -> float:
        """Least cost of a whole plan by what is known of its years by now; infinite where they have no schedule."""
        if self.settlement is None or plan.x is None:
            return plan.objective
        if self.settlement.cuts.impossible(plan.x):
            return np.inf
        return plan.objective + self.settlement.cuts.raised_musd(plan.x.copy())

    def _settled(self, settlement: Settlement, plan: Attempt) -> None:
        """Count in a plan what its years cost.

        The use of its containers is planned again with what its years taught, until that brings next to nothing.
        """
        enough = _SETTLED_GAP_SHARE * self.gap_frac * abs(plan.objective)
        for _ in range(_SETTLING_ROUNDS):
            assert plan.x is not None
            x = plan.x.copy()
            settlement.settle(x, enough)
            known = len(self.outages.rows)
            self.outages.add_violated(plan.x)
            holds = len(self.outages.rows) == known and not settlement.cuts.impossible(x)
            settlement.cuts.raised_musd(x)
            cost = float(self.compiled.cost @ x) + self.compiled.offset
            if holds and (self.settled is None or cost < self.settled.objective):
                self.settled = Attempt(x, cost, plan.bound, False)
            done = holds and self.settled is not None and self.settled.objective - plan.objective <= enough
            if self.stop.now or done:
                break
            mended = self._polish(plan.x, may_fail=True)
            if mended is None:  # what was bought cannot serve the load that must be served
                break
            plan = mended
        self.best = self.settled

    def _keep(self, plan: Attempt | None) -> None:
        """Remember a plan if it is the best so far."""
        if plan is not None and plan.x is not None and (self.best is None or plan.objective < self.best.objective):
            self.best = plan

    def _solution(self) -> Solution:
        """The best plan and its proof."""
        best, bound = self.best, self.bound
        assert best is not None
        assert best.x is not None
        if bound > best.objective + FEASIBILITY * (1 + abs(best.objective)):
            raise SolverFault("a dual bound lies above a plan that satisfies every row")
        years: tuple[YearPlan, ...] = ()
        if self.settlement is not None:
            best, years = self._timed("schedule", partial(self._scheduled, self.settlement, best))
            self.best = best
        assert best.x is not None
        closed = self._closed(1.0)
        self.timing_s["separation"] = self.outages.seconds
        fractions = self.fractions if self.fractions is not None else best.x
        return Solution(
            best.x, best.objective, min(bound, best.objective), fractions, self.timing_s, tuple(self.outages.rows),
            self.stop.interrupted and not closed,
            len(self.compiled.row_lower), len(self.compiled.cost), years,
        )  # fmt: skip

    def _scheduled(self, settlement: Settlement, best: Attempt) -> tuple[Attempt, tuple[YearPlan, ...]]:
        """A plan with its schedules counted; where load would be missing, less of it is energised."""
        settlement.cuts.missing_frac = MISSING_FRAC
        for mend in range(_MENDS):
            assert best.x is not None
            years = settlement.schedule(best.x)
            short = settlement.short(best.x, years)
            if not short:
                best.objective += years_musd(settlement.cuts.campus, list(years))
                best.objective -= settlement.counted_musd(best.x)
                return best, years
            loads = {
                p: min(mw, best.x[settlement.cuts.served[p]]) * (1.0 - _MENDED * (4.0**mend - 1.0))
                for p, mw in settlement.servable_mw(best.x, short).items()
            }
            if mend == _MENDS - 2:
                loads = {p: min(mw, settlement.safe_mw(p)) for p, mw in loads.items()}
            self.outages.add_violated(best.x)
            mended = self._with_less(settlement, best.x, loads)
            if mended is None:
                break
            best = mended
        raise NoPlan(self.stop.interrupted)

    def _with_less(self, settlement: Settlement, x: FloatArray, loads: Mapping[int, float]) -> Attempt | None:
        """A plan with at most these loads in some periods, its fleet and its other years as they are.

        Load that must be served cannot fall: then whatever is not bought may give way. None where that is not enough.
        """
        lower, upper, served = self.compiled.lower, self.compiled.upper, settlement.cuts.served
        kept = np.concatenate([settlement.cuts.columns.settled(), served])
        kept = kept[kept >= 0]
        low, high = lower.copy(), upper.copy()
        low[kept] = high[kept] = np.clip(x[kept], lower[kept], upper[kept])
        for p, mw in loads.items():
            low[served[p]], high[served[p]] = lower[served[p]], mw
        try:
            self.compiled.lower, self.compiled.upper = low, high
            mended = self._polish(x, may_fail=True)
            if mended is None:
                self.compiled.lower, self.compiled.upper = lower, upper
                mended = self._polish(x, may_fail=True)
        finally:
            self.compiled.lower, self.compiled.upper = lower, upper
        return mended

    def _close(self) -> None:
        """Branch and bound on whole containers until the gap is closed, or time is up."""
        if self.best is None and self.site_open and not self.stop.now:
            raise DoesNotFit
        whole_places = False
        while not self._closed() and not self.stop.now:
            known = len(self.outages.rows)
            last = self._full(self.best, whole_places)
            if last.infeasible and self.best is None:
                raise Infeasible
            if last.infeasible:
                raise SolverFault("HiGHS calls the problem infeasible, yet a plan satisfies every row")
            self._proved(last)
            self._keep(last)
            if self._closed() or len(self.outages.rows) > known or self.stop.now:
                continue
            if self.site_open:  # what was found cannot be placed at that cost
                raise DoesNotFit
            if whole_places:  # the solver's own tolerances leave no more: the gap that remains is stated
                break
            whole_places = True
