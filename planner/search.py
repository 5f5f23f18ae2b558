"""From prepared coefficients to a whole-container solution with its bound.

1. LP relaxation with lazy outage rows.
2. Bound problem: binaries whole, containers continuous.
3. Plan: the binaries of step 2, whole containers, whole placements.
4. Only if the gap is still open: everything whole at once, started from the plan.

Every dual bound counts; every kept solution is checked against all outage rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import pyomo.environ as pyo
from numpy.typing import NDArray
from scipy.sparse import csr_array

from planner.model.build import assemble
from planner.model.coefficients import Coefficients
from planner.model.reliability import RowKey, numeric_row, row_name, seed_rows
from planner.model.row import RULES
from planner.problem import FloatArray
from planner.separate import Separator
from planner.solve import FEASIBILITY, Attempt, Compiled, Infeasible, NoPlan, Progress, Run, SolverFault, Stop

T = TypeVar("T")
#: Rows violated by less than this share of the requirement count as satisfied.
ROW_TOLERANCE = 2e-8
_ROWS_PER_ROUND = 60
#: Outage rows with more slack than this share of their requirement are dropped after the relaxation.
_TIGHT = 1e-4
_MAX_ROUNDS = 200
#: Gap of the first quick plan.
_ROUGH_GAP = 0.02
#: Share of the time left that one attempt at whole containers may take.
_WHOLE_TIME_SHARE = 0.1
#: Share of the asked gap that the bound problem may use up.
_BOUND_GAP_SHARE = 0.4


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
    timed_out: bool
    solver_rows: int
    solver_columns: int

    @property
    def gap_frac(self) -> float:
        """(cost - bound) / |cost|."""
        return max(0.0, self.cost_musd - self.bound_musd) / max(abs(self.cost_musd), 1e-9)


@dataclass
class Columns:
    """Where the variables of the model stand among the compiled columns."""

    containers: NDArray[np.int64]
    served: NDArray[np.int64]
    tiers: dict[int, list[int]]
    placed: NDArray[np.int64]
    levels: NDArray[np.int64]

    @classmethod
    def of(cls, m: pyo.ConcreteModel, c: Coefficients, compiled: Compiled) -> Columns:
        """Look every variable up once."""
        offers, periods = c.problem.offers, c.problem.periods
        return cls(
            np.array([compiled.index(m.containers[offers[o].offer, periods[p].label]) for o, p in c.pairs], dtype=int),
            np.array([compiled.index(m.served_mw[p.label]) for p in periods], dtype=int),
            {
                o: [compiled.index(m.tier[offers[o].offer, offers[o].tiers[t].tier]) for t in c.reachable_tiers(o)]
                for o in c.offers_used
            },
            np.array([compiled.index(v) for v in m.placed.values()], dtype=int),
            np.array([compiled.index(v) for v in m.group_level.values()], dtype=int),
        )


def _better(a: Attempt | None, b: Attempt | None) -> Attempt | None:
    """The cheaper of two plans."""
    found = [plan for plan in (a, b) if plan is not None and plan.x is not None]
    return min(found, key=lambda plan: plan.objective) if found else None


@dataclass
class Search:
    """One search; ``run`` does it all."""

    c: Coefficients
    stop: Stop
    gap_frac: float
    seed: int
    progress: Progress | None = None
    note: Callable[[str], None] = lambda text: None
    timing_s: dict[str, float] = field(default_factory=dict)
    rules: frozenset[str] = frozenset(RULES)
    allowance: int | None = None

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
        with self.stop.catching_interrupt():
            return self._steps()

    def prepare(self, known_rows: tuple[RowKey, ...] = ()) -> None:
        """Build and compile the model with a few outage rows."""
        began = time.perf_counter()
        self.rows = list(dict.fromkeys([*seed_rows(self.c), *known_rows]))
        self.model = assemble(self.c, self.rows, self.rules)
        self.compiled = Compiled.from_pyomo(self.model)
        self.columns = Columns.of(self.model, self.c, self.compiled)
        self.separator = Separator(self.c)
        self.timing_s["build"] = time.perf_counter() - began
        self.timing_s["separation"] = 0.0

    def relaxed_plan(self, allowance: int | None = None) -> Attempt:
        """Best plan with containers in fractions.

        ``allowance`` is a column that every outage row may fall short by, per unit of its requirement.
        """
        self.allowance = allowance
        bound, _ = self._relax()
        return self._bound_problem(self.binary(), None, bound)

    def binary(self) -> NDArray[np.bool_]:
        """The whole-number columns that are not container counts."""
        binary = self.compiled.integer.copy()
        binary[self.columns.containers[self.columns.containers >= 0]] = False
        return binary

    # -- steps ----------------------------------------------------------------------------

    def _steps(self) -> Solution:
        bound, relaxed = self._timed("relaxation", self._relax)
        rough = self._timed("first_plan", lambda: self._first_plan(bound))
        attempt = self._timed("bound_problem", lambda: self._bound_problem(self.binary(), rough, bound))
        bound = max(bound, attempt.bound)
        relaxed = attempt.x if attempt.x is not None else relaxed
        best = rough
        if attempt.x is not None and not self._closed(best, bound):
            whole = self._timed("whole_containers", lambda: self._whole(attempt.x, self._goal(bound)))
            best = _better(best, whole)
        if not self._closed(best, bound):
            last = self._timed("full_problem", lambda: self._full(best))
            bound = max(bound, last.bound)
            if last.infeasible and best is None:
                raise Infeasible
            if last.infeasible:
                raise SolverFault("HiGHS calls the problem infeasible, yet a plan satisfies every row")
            best = _better(best, last)
        if best is None or best.x is None:
            raise NoPlan(self.stop.interrupted)
        if bound > best.objective + FEASIBILITY * (1 + abs(best.objective)):
            raise SolverFault("a dual bound lies above a plan that satisfies every row")
        closed = self._closed(best, bound)
        return Solution(
            best.x, best.objective, min(bound, best.objective), relaxed, self.timing_s, tuple(self.rows),
            self.stop.interrupted and not closed, self.stop.now and not closed,
            len(self.compiled.row_lower), len(self.compiled.cost),
        )  # fmt: skip

    def _first_plan(self, bound: float) -> Attempt | None:
        """A quick plan: it brings the outage rows that fractional binaries hide, and a cutoff."""
        attempt = self._bound_problem(self.binary(), None, bound, gap=_ROUGH_GAP)
        return self._whole(attempt.x, attempt.objective * (1 + _ROUGH_GAP)) if attempt.x is not None else None

    def _relax(self) -> tuple[float, FloatArray]:
        """LP relaxation, outage rows added until none is violated."""
        run = self._new_run(np.zeros_like(self.compiled.integer))
        for _ in range(_MAX_ROUNDS):
            attempt = run.solve()
            if attempt.infeasible:
                raise Infeasible
            if attempt.x is None:
                raise NoPlan(self.stop.interrupted)
            if self.progress:
                self.progress("outage rows", float("nan"), attempt.bound)
            added = self._separate(attempt.x)
            if added is None:
                break
            run.add_rows(*added)
        self._drop_slack_rows(attempt.x)
        return attempt.bound, attempt.x

    def _drop_slack_rows(self, x: FloatArray) -> None:
        """Forget outage rows that are far from tight; they come back if a solution violates them."""
        slack = self.compiled.matrix @ x - self.compiled.row_lower
        outage = np.array([name.startswith("outage[") for name in self.compiled.row_names])
        kept = ~outage | (slack <= _TIGHT)
        self.rows = [key for key, keep in zip(self.rows, kept[outage], strict=True) if keep]
        self.compiled.keep_rows(kept)

    def _bound_problem(
        self, binary: NDArray[np.bool_], known: Attempt | None, bound: float, gap: float | None = None
    ) -> Attempt:
        """Binaries whole, containers continuous; solved again while it violates rows."""
        start = known.x if known is not None else None
        while True:
            attempt = self._new_run(binary).solve(self.gap_frac * _BOUND_GAP_SHARE if gap is None else gap, start=start)
            if attempt.infeasible:
                raise Infeasible
            bound = attempt.bound = max(attempt.bound, bound)
            if attempt.x is None or self.stop.now or self._separate(attempt.x) is None:
                return attempt

    def _whole(self, x: FloatArray, goal: float) -> Attempt | None:
        """Whole containers and placements with the binaries of ``x``, at a cost of ``goal`` or as near as it comes."""
        lower, upper = self.compiled.lower.copy(), self.compiled.upper.copy()
        binary = self.binary()
        self.compiled.lower = np.where(binary, np.round(x), lower)
        self.compiled.upper = np.where(binary, np.round(x), upper)
        try:
            return self._whole_solves(self.gap_frac * 0.05, None, goal, max(5.0, self.stop.left_s() * _WHOLE_TIME_SHARE))
        finally:
            self.compiled.lower, self.compiled.upper = lower, upper

    def _full(self, best: Attempt | None) -> Attempt:
        """Everything whole at once; the bound is that of the last, tightest set of rows."""
        found = self._whole_solves(self.gap_frac, best, -np.inf, None)
        return found if found is not None else Attempt(None, np.inf, -np.inf, False, infeasible=not self.stop.now)

    def _whole_solves(self, gap: float, best: Attempt | None, goal: float, time_s: float | None) -> Attempt | None:
        """Solve, polish, check all outage rows; again with the rows that were missing."""
        start = best.x if best is not None else None
        whole = self._all_whole()
        bound = -np.inf
        while True:
            attempt = self._new_run(whole).solve(gap, time_s, start, goal=goal)
            bound = max(bound, attempt.bound)
            if attempt.infeasible:
                return None
            if attempt.x is None:
                return Attempt(None, np.inf, bound, False) if bound > -np.inf else None
            polished = self._polish(attempt.x, whole)
            if self._separate(polished.x) is None:
                polished.bound = bound
                return polished
            if self.stop.now:
                return Attempt(None, np.inf, bound, False)

    def _polish(self, x: FloatArray, whole: NDArray[np.bool_]) -> Attempt:
        """Whole numbers rounded and fixed, the rest solved again to full accuracy."""
        lower, upper = self.compiled.lower, self.compiled.upper
        fixed = np.round(x)
        self.compiled.lower, self.compiled.upper = np.where(whole, fixed, lower), np.where(whole, fixed, upper)
        try:
            run = self._new_run(np.zeros_like(whole))
            run.highs.setOptionValue("primal_feasibility_tolerance", 1e-9)
            attempt = run.solve(time_limit_s=60.0, after_stop=True)
            if attempt.x is None:
                raise SolverFault("a solution of HiGHS does not survive rounding to whole containers")
            attempt.x = np.where(whole, fixed, attempt.x)
            broken = self.compiled.violation(attempt.x)
            if broken > FEASIBILITY:
                raise SolverFault(f"a solution of HiGHS violates a row by {broken:.2g}")
            return attempt
        finally:
            self.compiled.lower, self.compiled.upper = lower, upper

    # -- pieces ---------------------------------------------------------------------------

    def _closed(self, best: Attempt | None, bound: float) -> bool:
        return best is not None and best.objective - bound <= self.gap_frac * max(abs(best.objective), 1e-9)

    def _goal(self, bound: float) -> float:
        """A cost that closes the asked gap."""
        return bound + self.gap_frac * abs(bound)

    def _all_whole(self) -> NDArray[np.bool_]:
        whole = self.compiled.integer.copy()
        whole[self.columns.placed[self.columns.placed >= 0]] = True
        return whole

    def _new_run(self, integer: NDArray[np.bool_]) -> Run:
        run = Run(self.compiled, self.stop, self.seed, self.progress if integer.any() else None)
        run.load(integer)
        return run

    def _separate(self, x: FloatArray) -> tuple[csr_array, FloatArray, FloatArray] | None:
        """Add the violated outage rows of ``x`` to the problem; None if there are none."""
        if "reliability" not in self.rules:
            return None
        began = time.perf_counter()
        values = np.append(x, 0.0)
        short = 0.0 if self.allowance is None else float(x[self.allowance])
        used = np.zeros(len(self.c.problem.offers))
        for o, tiers in self.columns.tiers.items():
            used[o] = min(1.0, sum(values[j] for j in tiers))
        found = self.separator.violated(
            values[self.columns.containers],
            values[self.columns.served],
            used,
            values[self.columns.levels],
            ROW_TOLERANCE + short,
        )
        known = set(self.rows)
        fresh = [v.key for v in found if v.key not in known][:_ROWS_PER_ROUND]
        self.timing_s["separation"] += time.perf_counter() - began
        if not fresh:
            return None
        matrix = self._matrix(fresh)
        lower, upper = np.zeros(len(fresh)), np.full(len(fresh), np.inf)
        self.rows += fresh
        self.compiled.add_rows(matrix, lower, upper, [f"outage[{','.join(row_name(self.c, k))}]" for k in fresh])
        return matrix, lower, upper

    def _matrix(self, keys: list[RowKey]) -> csr_array:
        """The rows as a sparse matrix over the compiled columns."""
        data, columns, starts = [], [], [0]
        for key in keys:
            row = numeric_row(self.c, key)
            kept = np.flatnonzero((row.pair != 0.0) & (self.columns.containers >= 0))
            data += [row.pair[kept], [-row.served]]
            columns += [self.columns.containers[kept], [self.columns.served[key.period]]]
            if row.offer is not None and row.used:
                tiers = self.columns.tiers[row.offer]
                data.append([-row.used] * len(tiers))
                columns.append(tiers)
            if row.level is not None:
                data.append(-row.level)
                columns.append(self.columns.levels)
            if self.allowance is not None:
                data.append([1.0])
                columns.append([self.allowance])
            starts.append(sum(len(part) for part in data))
        shape = (len(keys), len(self.compiled.cost))
        return csr_array((np.concatenate(data), np.concatenate(columns), np.array(starts)), shape=shape)

    def _timed(self, step: str, work: Callable[[], T]) -> T:
        began = time.perf_counter()
        self.note(step.replace("_", " "))
        try:
            return work()
        finally:
            self.timing_s[step] = self.timing_s.get(step, 0.0) + time.perf_counter() - began
