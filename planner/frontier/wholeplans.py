"""Whole-container plans along a traced front, each replayed and judged.

A point of the relaxed front gives the binaries and an exposure limit; containers and placements are
then made whole. What no plan could cost less than at its exposure is known from the front.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from multiprocessing import get_context

import numpy as np
from scipy.sparse import csr_array

from planner.frontier.campus import Campus, Held, exposure_vectors, limited, prepared
from planner.model.reliability import RowKey
from planner.pipeline import judged
from planner.problem import FloatArray, Problem
from planner.results import Plan
from planner.search import DoesNotFit, Search, Solution
from planner.solve import Attempt, Infeasible, NoPlan, SolverFault, Stop

_CAP = "exposure_cap"
#: Room that a plan's exposure has above the point it was made for.
_ROOM_FRAC = 1e-9
#: How the containers of a fractional plan are made whole: gap, how far a count may move, seconds.
_ROUNDING_GAP, _ROUNDING_REACH, _ROUNDING_S = 5e-5, 5, 2.5
#: A quick plan that costs more than this above the fractional one is searched for in earnest.
_QUICK_GAP = 0.01
#: Seconds for it.
_SLOW_S = 20.0
#: A plan that needed the rows of the site and costs more than this above the fractional one says that the yards bind.
_FIT_GAP = 0.03


@dataclass(frozen=True)
class Wanted:
    """A plan to be made: exposure limit, fractional solution there with its cost, and what is proved about the cost.

    ``exactly`` asks for the best whole plan and a bound of its own, not for the fractional one made whole.
    """

    exposure_frac: float
    x: FloatArray
    attained_musd: float
    bound_musd: float
    exactly: bool = False

    def far(self, cost_musd: float, share: float) -> bool:
        """Whether a plan costs more than a share above the fractional solution."""
        return cost_musd - self.attained_musd > share * abs(cost_musd)


@dataclass(frozen=True)
class Made:
    """What came of it: a plan, or none; ``impossible`` when it is proved that there is none; whether the site fits."""

    plan: Plan | None
    impossible: bool = False
    fits: bool = True


@dataclass
class Maker:
    """Makes whole plans for one front; each worker process has its own."""

    problem: Problem
    measure: str
    held: Held
    rows: tuple[RowKey, ...]
    time_limit_s: float
    audit: bool
    campus: Campus = field(init=False)

    def __post_init__(self) -> None:
        self.stop = Stop(self.time_limit_s)
        self.campus = prepared(self.problem, self.measure, self.held, known_rows=self.rows, stop=self.stop)
        search = self.campus.search
        if search.settlement is not None:
            search.settlement.expects_little = True
        # In MWh: as a fraction the row would be smaller than the solver's tolerance.
        vectors = [v * search.c.required_mwh for v in exposure_vectors(search, self.measure)]
        none = np.full(len(vectors), -np.inf)
        names = [f"{_CAP}[{i}]" for i in range(len(vectors))]
        search.compiled.add_rows(csr_array(np.array(vectors)), none, -none, names)

    def make(self, wanted: Wanted) -> Made:
        """Make one plan; its own gap is what was asked, and is stated with it."""
        began = time.perf_counter()
        search = self.campus.search
        problem = limited(self.campus.problem, self.measure, wanted.exposure_frac * (1 + _ROOM_FRAC) + _ROOM_FRAC)
        cap = problem.case.exposure_limits[self.measure].max_frac  # type: ignore[index]
        for i, name in enumerate(search.compiled.row_names):
            if name.startswith(_CAP):
                search.compiled.row_upper[i] = cap * search.c.required_mwh
        if wanted.exactly:
            return self._slowly(problem, wanted, began)
        try:
            near = search.whole_plan(self.campus.columns(wanted.x), _ROUNDING_GAP, _ROUNDING_REACH, _ROUNDING_S)
        except (Infeasible, NoPlan, SolverFault):
            near = None
        if near is None or near.x is None:
            return self._slowly(problem, wanted, began)
        slow, far = Made(None), wanted.far(near.objective, _QUICK_GAP)
        if far:  # few containers: the binaries of the fractional plan are not those of the best whole one
            slow = self._slowly(problem, wanted, began, near)
            if self._as_good(slow, search.known_musd(near)):
                return slow
        if slow.plan is not None:
            wanted = replace(wanted, bound_musd=max(wanted.bound_musd, slow.plan.bound_musd))
        try:
            quick = self._quick(problem, wanted, near, began)
        except (NoPlan, SolverFault):
            return slow
        if not far and wanted.far(quick.cost_musd, _QUICK_GAP):  # its years cost more than was known
            slow = self._slowly(problem, wanted, began, near)
            if self._as_good(slow, quick.cost_musd):
                return slow
        return Made(quick)

    def _as_good(self, slow: Made, cost_musd: float) -> bool:
        """Whether a plan that was searched for costs no more; years cost what is known only within the gap."""
        if slow.plan is None:
            return False
        room = 0.0 if self.campus.search.settlement is None else self.campus.search.gap_frac
        return slow.plan.cost_musd <= cost_musd + room * abs(slow.plan.cost_musd)

    def _quick(self, problem: Problem, wanted: Wanted, near: Attempt, began: float) -> Plan:
        """A whole plan near the fractional one, judged; with operating years they are settled and scheduled first."""
        search = self.campus.search
        plan, years = search.with_years(near)
        assert plan.x is not None
        solution = Solution(
            plan.x, plan.objective, min(wanted.bound_musd, plan.objective), self.campus.columns(wanted.x),
            {}, tuple(search.outages.rows), False, len(search.compiled.row_lower), len(search.compiled.cost), years,
        )  # fmt: skip
        return self._judged(search, problem, solution, began)

    def _slowly(self, problem: Problem, wanted: Wanted, began: float, near: Attempt | None = None) -> Made:
        """The whole search under the exposure limit, site and all; it may start from a whole plan."""
        search = copy.copy(self.campus.search)  # the same rows, so that none is found twice
        search.stop, search.timing_s = Stop(min(self.stop.left_s(), _SLOW_S)), {}
        if search.settlement is not None:
            search.settlement = search.settlement.afresh(search.stop)
        try:
            solution = search.again(None if near is None else replace(near))
        except Infeasible:
            return Made(None, impossible=True)
        except (NoPlan, DoesNotFit, SolverFault):
            return Made(None)
        plan = self._judged(search, problem, solution, began)
        return Made(plan, fits=search.site_open or not wanted.far(plan.cost_musd, _FIT_GAP))

    def _judged(self, search: Search, problem: Problem, solution: Solution, began: float) -> Plan:
        """Judge under the limit; the coefficients stay, only the limit differs."""
        seen = copy.copy(search)
        seen.c = copy.copy(search.c)
        seen.c.problem = problem
        return judged(seen, solution, solution.gap_frac + 1e-12, audit=self.audit, began=began)


_MAKER: list[Maker] = []


def _prepare(terms: tuple[Problem, str, Held, tuple[RowKey, ...], float, bool]) -> None:
    import signal  # noqa: PLC0415 - only in a worker process

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _MAKER[:] = [Maker(*terms)]


def _make(wanted: Wanted) -> Made:
    return _MAKER[0].make(wanted)


class Makers:
    """One maker, or several in processes of their own."""

    def __init__(self, terms: tuple[Problem, str, Held, tuple[RowKey, ...], float, bool], workers: int) -> None:
        self.terms, self.workers = terms, workers
        self.here: Maker | None = None
        self.pool: ProcessPoolExecutor | None = None
        if workers > 1:
            context = get_context("spawn")
            self.pool = ProcessPoolExecutor(workers, context, _prepare, (terms,))

    def make(self, wanted: Sequence[Wanted], stop: Stop) -> list[Made]:
        """Make plans; a pool that broke is replaced by this process."""
        if self.pool is not None:
            try:
                return list(self.pool.map(_make, wanted))
            except BrokenProcessPool:
                self.pool = None
        if self.here is None:
            self.here = Maker(*self.terms)
        made: list[Made] = []
        for one in wanted:
            made.append(Made(None) if stop.now else self.here.make(one))
        return made

    def close(self) -> None:
        """End the processes."""
        if self.pool is not None:
            self.pool.shutdown(wait=False, cancel_futures=True)


def whole_steps(plans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Undominated (exposure, cost) pairs in order."""
    kept: list[tuple[float, float]] = []
    for e, c in sorted(plans):
        if not kept or c < kept[-1][1]:
            kept.append((e, c))
    return kept
