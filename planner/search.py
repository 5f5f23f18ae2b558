"""From prepared coefficients to a whole-container solution with its bound.

1. LP relaxation with lazy outage rows.
2. Rough plan: binaries whole, containers in fractions, a wide gap; it brings the outage rows
   that fractional binaries hide.
3. Whole containers and placements for the binaries of step 2.
4. Only if the gap is still open: everything whole at once, started from the plan.

Every dual bound counts; every kept solution is checked against all outage rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import pyomo.environ as pyo
from numpy.typing import NDArray
from scipy.sparse import csr_array

from planner.model import site
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
#: Row families of the site, left out until what is bought turns out not to fit.
_SITE_FAMILIES = frozenset(
    row.name
    for row in (
        site.placed_whole, site.one_option, site.yard_area, site.fire_area_energy, site.hazard_budget,
        site.present_where_placed, site.present_under_option,
    )
)  # fmt: skip
#: Gap of the first quick plan.
_ROUGH_GAP = 0.015
#: Share of the asked gap that the bound problem may leave open.
_BOUND_GAP_SHARE = 0.3
#: Share of the asked gap that rows found afterwards may cost before the bound problem is solved again.
_REPAIR_GAP_SHARE = 0.5
#: Seconds that one quick search for whole containers may take.
_WHOLE_S = 3.0


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
    energised: dict[int, int]
    site: NDArray[np.int64]

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
            {p: compiled.index(m.energised[q.label]) for p, q in enumerate(periods) if q.label in m.may_idle},
            np.array([compiled.index(v) for v in (*m.zone_option.values(), *m.present.values())], dtype=int),
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
    site_open: bool = False

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
        self.rows = list(dict.fromkeys([*seed_rows(self.c), *known_rows])) if "reliability" in self.rules else []
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
        return self._rough(bound)

    def binary(self) -> NDArray[np.bool_]:
        """The whole-number columns that are not container counts."""
        return self._without(self.columns.containers)

    def _purchase(self) -> NDArray[np.bool_]:
        """The binaries of the purchase; those of the site follow from what is bought."""
        return self.binary() & self._without(self.columns.site)

    def _without(self, columns: NDArray[np.int64]) -> NDArray[np.bool_]:
        kept = self.compiled.integer.copy()
        kept[columns[columns >= 0]] = False
        return kept

    # -- steps ----------------------------------------------------------------------------

    def _steps(self) -> Solution:
        """First without the rows of the site, which seldom bind; with them if what was bought does not fit."""
        self.site_open = True
        try:
            return self._solve_all()
        except DoesNotFit:
            self.note("the yards bind")
            self.site_open = False
            return self._solve_all()

    def _solve_all(self) -> Solution:
        bound, relaxed = self._timed("relaxation", self._relax)
        rough = self._timed("rough_plan", lambda: self._rough(bound))
        bound = max(bound, rough.bound)
        relaxed = rough.x if rough.x is not None else relaxed
        fine = self._timed("bound_problem", lambda: self._bound_problem(rough))
        bound = max(bound, fine.bound)
        relaxed = fine.x if fine.x is not None else relaxed
        best = self._timed("whole_containers", lambda: self._whole(relaxed)) if fine.x is not None else None
        if best is None and fine.x is not None and self.site_open and not self.stop.now:
            raise DoesNotFit
        while not self._closed(best, bound):
            last = self._timed("branch_and_bound", lambda start=best: self._full(start))
            if last.infeasible and best is None:
                raise Infeasible
            if last.infeasible:
                raise SolverFault("HiGHS calls the problem infeasible, yet a plan satisfies every row")
            bound = max(bound, last.bound)
            before, best = best, _better(best, last)
            if self.stop.now:
                break
            if best is before and self.site_open and not self._closed(best, bound):
                raise DoesNotFit
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

    def _rough(self, bound: float, gap: float = _ROUGH_GAP) -> Attempt:
        """Binaries whole, containers in fractions, to a rough gap; every outage row holds in the end.

        Fractional binaries hide outage rows. With the binaries of a rough solution fixed, the rows
        that are missing are found by cheap linear programs.
        """
        while True:
            attempt = self._new_run(self.binary()).solve(gap)
            if attempt.infeasible:
                raise Infeasible
            bound = attempt.bound = max(attempt.bound, bound)
            if attempt.x is None or self.stop.now or self._separate(attempt.x) is None:
                return attempt
            refined = self._refine(attempt.x)
            if refined is not None and refined.objective <= attempt.objective + 2 * gap * abs(attempt.objective):
                refined.bound = bound
                return refined

    def _bound_problem(self, rough: Attempt) -> Attempt:
        """The rough problem to a fine gap, until the outage rows it lacked cost little.

        Its bound holds even where rows are missing.
        """
        start, bound = rough.x, -np.inf
        while True:
            attempt = self._new_run(self.binary()).solve(self.gap_frac * _BOUND_GAP_SHARE, start=start)
            if attempt.infeasible:
                raise Infeasible
            bound = attempt.bound = max(bound, attempt.bound)
            if attempt.x is None or self.stop.now or self._separate(attempt.x) is None:
                return attempt
            refined = self._refine(attempt.x)
            if refined is not None:
                start = refined.x
                if refined.objective <= attempt.objective + _REPAIR_GAP_SHARE * self.gap_frac * abs(attempt.objective):
                    refined.bound = bound
                    return refined

    @contextmanager
    def _fixed(self, columns: NDArray[np.bool_], x: FloatArray) -> Iterator[None]:
        """Fix whole-number columns at their rounded values for a while."""
        lower, upper = self.compiled.lower, self.compiled.upper
        whole = np.round(x)
        self.compiled.lower, self.compiled.upper = np.where(columns, whole, lower), np.where(columns, whole, upper)
        try:
            yield
        finally:
            self.compiled.lower, self.compiled.upper = lower, upper

    def _refine(self, x: FloatArray) -> Attempt | None:
        """Best fractional containers for the binaries of ``x``, with every outage row; None if there are none."""
        with self._fixed(self._purchase(), x):
            run = self._new_run(np.zeros_like(self.compiled.integer))
            while True:
                attempt = run.solve()
                if attempt.x is None:
                    return None
                added = self._separate(attempt.x)
                if added is None:
                    return attempt
                run.add_rows(*added)

    def _whole(self, x: FloatArray) -> Attempt | None:
        """Whole containers and placements with the binaries of ``x``: a quick plan."""
        with self._fixed(self._purchase(), x):
            while True:
                attempt = self._new_run(self._all_whole(), site=True).solve(self.gap_frac * 0.3, time_limit_s=_WHOLE_S)
                if attempt.x is None:
                    return None
                plan = self._polish(attempt.x)
                if self._separate(plan.x) is None:
                    return plan

    def _full(self, best: Attempt | None) -> Attempt:
        """Whole containers at once, placements in fractions; a valid bound even where rows are missing.

        Whole placements would add hundreds of interchangeable columns and almost never cost anything:
        they are found afterwards, with the containers fixed, or else together with them.
        """
        attempt = self._new_run(self.compiled.integer).solve(
            self.gap_frac * 0.98, start=best.x if best is not None else None
        )
        if attempt.x is None:
            return attempt
        placed = self._placed_whole(attempt.x)
        plan = self._polish(placed.x) if placed is not None else None
        if plan is None or self._separate(plan.x) is not None:
            self._refine(attempt.x)
            plan = self._whole(attempt.x) or Attempt(None, np.inf, -np.inf, False)
        plan.bound = attempt.bound
        return plan

    def _placed_whole(self, x: FloatArray) -> Attempt | None:
        """Whole placements for the containers of ``x``; None if they do not fit."""
        with self._fixed(self._without(self.columns.site), x):
            attempt = self._new_run(self._all_whole(), site=True).solve(self.gap_frac, time_limit_s=_WHOLE_S)
            return attempt if attempt.x is not None else None

    def _polish(self, x: FloatArray) -> Attempt:
        """Whole numbers rounded and fixed, the rest solved again to full accuracy."""
        whole = self._all_whole()
        with self._fixed(whole, x):
            run = self._new_run(np.zeros_like(whole), site=True)
            run.highs.setOptionValue("primal_feasibility_tolerance", 1e-9)
            attempt = run.solve(time_limit_s=60.0, after_stop=True)
            if attempt.x is None:
                raise SolverFault("a solution of HiGHS does not survive rounding to whole containers")
            attempt.x = np.where(whole, np.round(x), attempt.x)
            broken = self.compiled.violation(attempt.x)
            if broken > FEASIBILITY:
                raise SolverFault(f"a solution of HiGHS violates a row by {broken:.2g}")
            return attempt

    # -- pieces ---------------------------------------------------------------------------

    def _closed(self, best: Attempt | None, bound: float) -> bool:
        return best is not None and best.objective - bound <= self.gap_frac * max(abs(best.objective), 1e-9)

    def _all_whole(self) -> NDArray[np.bool_]:
        whole = self.compiled.integer.copy()
        whole[self.columns.placed[self.columns.placed >= 0]] = True
        return whole

    def _new_run(self, integer: NDArray[np.bool_], site: bool = False) -> Run:
        """A solver with the problem loaded; ``site`` keeps the rows of the site in any case."""
        problem = self.compiled
        if self.site_open and not site:
            names = [name.split("[")[0] for name in problem.row_names]
            problem = problem.with_rows(np.array([name not in _SITE_FAMILIES for name in names]))
        run = Run(problem, self.stop, self.seed, self.progress if integer.any() else None)
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
        energised = np.ones(len(self.c.problem.periods))
        for p, j in self.columns.energised.items():
            energised[p] = values[j]
        found = self.separator.violated(
            values[self.columns.containers],
            values[self.columns.served],
            used,
            values[self.columns.levels],
            energised,
            ROW_TOLERANCE + short,
        )
        known = set(self.rows)
        fresh = [v.key for v in found if v.key not in known][:_ROWS_PER_ROUND]
        self.timing_s["separation"] += time.perf_counter() - began
        if not fresh:
            return None
        matrix = self._matrix(fresh)
        lower = np.array([-numeric_row(self.c, key).idle for key in fresh])
        upper = np.full(len(fresh), np.inf)
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
            if row.idle:
                data.append([-row.idle])
                columns.append([self.columns.energised[key.period]])
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
