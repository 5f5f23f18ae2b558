"""The only place that runs a solver.

A Pyomo model is compiled once into arrays and passed to HiGHS. Outage rows are separated
on the LP relaxation until none is violated, then the mixed-integer problem is solved in
steps of growing exactness; the dual bound of every step counts, and the rows are checked
again on every solution that is kept.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import highspy
import numpy as np
import pyomo.environ as pyo
from numpy.typing import NDArray
from pyomo.repn.plugins.standard_form import LinearStandardFormCompiler
from scipy.sparse import csr_array, vstack

from planner.problem import FloatArray

INFINITY = highspy.kHighsInf
FEASIBILITY = 1e-6
#: Absolute solver tolerance in million USD that every dual bound is lowered by.
BOUND_SLACK_MUSD = 1e-6
Progress = Callable[[str, float, float], None]


class Infeasible(Exception):
    """The rows have no solution."""


class NoPlan(Exception):
    """Stopped before any plan was found; ``interrupted`` tells by whom."""

    def __init__(self, interrupted: bool) -> None:
        super().__init__("stopped by the user" if interrupted else "stopped at the time limit")
        self.interrupted = interrupted


class SolverFault(RuntimeError):
    """The solver contradicted itself or the rows."""


@dataclass
class Compiled:
    """A minimisation in arrays; rows ``lower <= A x <= upper``."""

    matrix: csr_array
    row_lower: FloatArray
    row_upper: FloatArray
    cost: FloatArray
    offset: float
    lower: FloatArray
    upper: FloatArray
    integer: NDArray[np.bool_]
    column: dict[int, int]
    row_names: list[str]

    @classmethod
    def from_pyomo(cls, model: pyo.ConcreteModel) -> Compiled:
        """Arrays of a linear Pyomo model."""
        form = LinearStandardFormCompiler().write(model, mixed_form=True)
        rows, rhs = csr_array(form.A), np.asarray(form.rhs, dtype=float)
        kind = np.array([entry.bound_type for entry in form.rows])
        variables = form.columns
        bounds = np.array([v.bounds for v in variables], dtype=object)
        lower = np.array([-INFINITY if b is None else b for b in bounds[:, 0]], dtype=float)
        upper = np.array([INFINITY if b is None else b for b in bounds[:, 1]], dtype=float)
        return cls(
            rows,
            np.where(kind == 1, -INFINITY, rhs),
            np.where(kind == -1, INFINITY, rhs),
            np.asarray(form.c.todense(), dtype=float).ravel(),
            float(np.asarray(form.c_offset).ravel()[0]),
            lower,
            upper,
            np.array([v.is_integer() or v.is_binary() for v in variables]),
            {id(v): j for j, v in enumerate(variables)},
            [entry.constraint.name for entry in form.rows],
        )

    def index(self, variable: object) -> int:
        """Column of a Pyomo variable; -1 if it stands in no row."""
        return self.column.get(id(variable), -1)

    def add_rows(self, matrix: csr_array, lower: FloatArray, upper: FloatArray, names: list[str]) -> None:
        """Append rows."""
        self.matrix = csr_array(vstack([self.matrix, matrix], format="csr"))
        self.row_lower = np.concatenate([self.row_lower, lower])
        self.row_upper = np.concatenate([self.row_upper, upper])
        self.row_names += names

    def keep_rows(self, kept: NDArray[np.bool_]) -> None:
        """Drop every row that is not kept."""
        self.matrix = csr_array(self.matrix[kept])
        self.row_lower, self.row_upper = self.row_lower[kept], self.row_upper[kept]
        self.row_names = [name for name, keep in zip(self.row_names, kept, strict=True) if keep]

    def with_rows(self, kept: NDArray[np.bool_]) -> Compiled:
        """The same columns with only some rows."""
        part = replace(self)
        part.keep_rows(kept)
        return part

    def violation(self, x: FloatArray) -> float:
        """Largest violation of any row or bound, relative to the size of the row's terms."""
        activity = self.matrix @ x
        size = 1.0 + abs(self.matrix) @ np.abs(x)
        rows = np.maximum(self.row_lower - activity, activity - self.row_upper) / size
        columns = np.maximum(self.lower - x, x - self.upper) / (1.0 + np.abs(x))
        return float(max(rows.max(initial=0.0), columns.max(initial=0.0)))


class Stop:
    """A wish to stop: Ctrl-C, or a deadline."""

    def __init__(self, time_limit_s: float) -> None:
        self.limit_s = time_limit_s
        self.deadline = time.monotonic() + time_limit_s
        #: Seconds of the limit that are kept for what follows the search.
        self.kept_s = 0.0
        self.interrupted = False

    def left_s(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.deadline - self.kept_s - time.monotonic())

    @property
    def now(self) -> bool:
        """Whether to stop at once."""
        return self.interrupted or self.left_s() <= 0.0

    @contextmanager
    def catching_interrupt(self) -> Iterator[None]:
        """Turn Ctrl-C into a wish to stop; a second one goes through."""

        def note(signum: int, frame: object) -> None:
            if self.interrupted:
                raise KeyboardInterrupt
            self.interrupted = True

        try:
            before = signal.signal(signal.SIGINT, note)
        except ValueError:  # not in the main thread: whoever runs it decides
            yield
            return
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


@dataclass
class Attempt:
    """What one run of HiGHS left: a solution (or None), the dual bound, and whether it finished."""

    x: FloatArray | None
    objective: float
    bound: float
    finished: bool
    infeasible: bool = False


def silent_highs() -> highspy.Highs:
    """A new HiGHS object.

    From 1.16 on the first one writes a banner before any option can be set; it would stand in front of
    the JSON on standard output, so that stream is closed meanwhile.
    """
    try:
        kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    except OSError:  # no standard output at all
        return highspy.Highs()
    try:
        os.dup2(nowhere, 1)
        return highspy.Highs()
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def solver_version() -> str:
    """Version of HiGHS in use."""
    return str(silent_highs().version())


@dataclass
class Run:
    """One HiGHS object with its own copy of the rows."""

    problem: Compiled
    stop: Stop
    seed: int
    progress: Progress | None = None
    #: Told (cost of the best plan, bound): whether that is enough, so that the run may end.
    enough: Callable[[float, float], bool] = field(default=lambda best, bound: False)
    #: Processors of a branch and bound.
    processors: int = 1
    highs: highspy.Highs = field(init=False)

    def __post_init__(self) -> None:
        self.highs = silent_highs()
        parallel = "off" if self.processors == 1 else "on"
        options = {"output_flag": False, "threads": self.processors, "parallel": parallel, "random_seed": self.seed}
        for name, value in options.items():
            self.highs.setOptionValue(name, value)

    def load(self, integer: NDArray[np.bool_]) -> None:
        """Pass the problem, with the given columns whole numbers."""
        p = self.problem
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = len(p.cost), len(p.row_lower)
        lp.col_cost_, lp.offset_ = p.cost, p.offset
        lp.col_lower_, lp.col_upper_ = p.lower, p.upper
        lp.row_lower_, lp.row_upper_ = p.row_lower, p.row_upper
        lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        lp.a_matrix_.start_ = p.matrix.indptr
        lp.a_matrix_.index_ = p.matrix.indices
        lp.a_matrix_.value_ = p.matrix.data
        if integer.any():
            kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
            lp.integrality_ = [kinds[int(i)] for i in integer]
        self._check(self.highs.passModel(lp), "passModel")

    def seldom_guess(self, at_first: bool = True) -> None:
        """Leave most of the solver's own heuristics out: plans come from elsewhere, the bound is what is wanted.

        Only the search near the first relaxation stays, unless a good start is known (``at_first`` False).
        """
        for name, value in {
            "mip_heuristic_effort": 0.05,
            "mip_heuristic_run_rens": at_first,
            "mip_heuristic_run_rins": False,
            "mip_heuristic_run_root_reduced_cost": False,
            "mip_heuristic_run_feasibility_jump": False,
            "mip_allow_restart": False,
        }.items():
            self.highs.setOptionValue(name, value)

    def often_guess(self) -> None:
        """Give the solver's own heuristics much of the time: a plan is wanted, its bound comes from elsewhere."""
        self.highs.setOptionValue("mip_heuristic_effort", 0.3)

    def add_rows(self, matrix: csr_array, lower: FloatArray, upper: FloatArray) -> None:
        """Append rows to the loaded problem, keeping the basis."""
        status = self.highs.addRows(
            len(lower), lower, upper, matrix.nnz, matrix.indptr[:-1], matrix.indices, matrix.data
        )
        self._check(status, "addRows")

    def set_cost(self, cost: FloatArray) -> None:
        """Replace the objective of the loaded problem, keeping the basis."""
        every = np.arange(len(cost), dtype=np.int32)
        self._check(self.highs.changeColsCost(len(cost), every, cost), "changeColsCost")

    def set_row(self, row: int, lower: float, upper: float) -> None:
        """Replace the two sides of one row of the loaded problem, keeping the basis."""
        self._check(self.highs.changeRowBounds(row, lower, upper), "changeRowBounds")

    def set_bounds(self, columns: NDArray[np.int64], lower: FloatArray, upper: FloatArray) -> None:
        """Replace the bounds of some columns of the loaded problem, keeping the basis."""
        at = columns.astype(np.int32)
        self._check(self.highs.changeColsBounds(len(at), at, lower, upper), "changeColsBounds")

    def solve(
        self,
        gap_frac: float = 0.0,
        time_limit_s: float | None = None,
        start: FloatArray | None = None,
        after_stop: bool = False,
        goal: float = -INFINITY,
        abs_gap: float = 1e-9,
    ) -> Attempt:
        """Run HiGHS on what is loaded.

        ``after_stop`` gives a last short run its own time; a solution at ``goal`` or below is good enough.
        ``abs_gap`` is in units of the objective.
        """
        h = self.highs
        limit = self.stop.left_s() if time_limit_s is None else min(time_limit_s, self.stop.left_s())
        if after_stop and time_limit_s is not None:
            limit = time_limit_s
        h.setOptionValue("time_limit", max(0.01, h.getRunTime() + limit))
        h.setOptionValue("mip_rel_gap", gap_frac)
        h.setOptionValue("mip_abs_gap", max(abs_gap, 1e-9))
        h.setOptionValue("objective_target", goal)
        if start is not None:
            solution = highspy.HighsSolution()
            solution.col_value = list(start)
            h.setSolution(solution)
        self._listen()
        status = self._ended()
        if status != highspy.HighsStatus.kError and h.getModelStatus() == highspy.HighsModelStatus.kUnknown:
            # A warm-started simplex run can lose its way on a nearly infeasible problem: start afresh.
            h.clearSolver()
            status = self._ended()
        if status == highspy.HighsStatus.kError:
            raise SolverFault("HiGHS returned an error")
        return self._read()

    def _ended(self) -> highspy.HighsStatus:
        """Run HiGHS; on several processors from a thread of its own, as a thread keeps the number it began with."""
        if self.processors == 1:
            status: highspy.HighsStatus = self.highs.run()
            return status
        with ThreadPoolExecutor(1) as thread:
            status = thread.submit(self.highs.run).result()
        return status

    def twin(self) -> Run:
        """The same linear program, as it stands and solved alike, in a HiGHS object of its own."""
        twin = Run(self.problem, self.stop, self.seed)
        self._check(twin.highs.passModel(self.highs.getLp()), "passModel")
        twin.start_like(self)
        return twin

    def start_like(self, other: Run) -> None:
        """Start from the basis of another run of the same rows and columns."""
        self.highs.setBasis(other.highs.getBasis())

    def fix(self, column: int, value: float) -> None:
        """Fix a column of the loaded problem, keeping the basis."""
        self._check(self.highs.changeColBounds(column, value, value), "changeColBounds")

    def probed(self, column: int, value: float, iterations: int, limit: float = INFINITY) -> float:
        """What the linear program costs once a column is fixed; infinite where it is known to pass a limit.

        After so many iterations of the dual simplex, what they came to. Bounds and basis are afterwards what they were.
        """
        h = self.highs
        basis = h.getBasis()
        _, _, lower, upper, _ = h.getCol(column)
        h.setOptionValue("objective_bound", limit)
        h.setOptionValue("simplex_iteration_limit", iterations)
        h.setOptionValue("time_limit", max(0.01, h.getRunTime() + self.stop.left_s()))
        self.fix(column, value)
        h.run()
        state, cost = h.getModelStatus(), h.getObjectiveValue()
        h.changeColBounds(column, lower, upper)
        h.setOptionValue("objective_bound", INFINITY)
        h.setOptionValue("simplex_iteration_limit", highspy.kHighsIInf)
        h.setBasis(basis)
        if state in (highspy.HighsModelStatus.kObjectiveBound, highspy.HighsModelStatus.kInfeasible):
            return np.inf
        # An unfinished run may already count more than the limit by what it is still infeasible in the dual.
        return float(cost if state == highspy.HighsModelStatus.kOptimal else min(cost, limit))

    def _listen(self) -> None:
        """Let Ctrl-C and what is ``enough`` stop the run; report bound and incumbent while it goes on."""

        def heard(event: highspy.HighsCallbackEvent) -> None:
            if self.stop.interrupted:
                event.interrupt()

        def looked(event: highspy.HighsCallbackEvent) -> None:
            heard(event)
            out = event.data_out
            if self.enough(out.mip_primal_bound, out.mip_dual_bound):
                event.interrupt()
            if self.progress is not None:
                self.progress("branch and bound", out.mip_primal_bound, out.mip_dual_bound)

        h = self.highs
        for callback, listener in ((h.cbMipInterrupt, looked), (h.cbSimplexInterrupt, heard)):
            callback.clear()
            callback.subscribe(listener)

    def _read(self) -> Attempt:
        h = self.highs
        state = h.getModelStatus()
        info = h.getInfo()
        is_mip = bool(len(h.getLp().integrality_))
        gone = state in (highspy.HighsModelStatus.kInfeasible, highspy.HighsModelStatus.kUnboundedOrInfeasible)
        optimal = state == highspy.HighsModelStatus.kOptimal
        has = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
        x = np.array(h.getSolution().col_value) if has and (is_mip or optimal) else None
        objective = float(info.objective_function_value) if x is not None else np.inf
        if is_mip:
            bound = float(info.mip_dual_bound)
            bound = min(bound, objective) - BOUND_SLACK_MUSD if np.isfinite(bound) else -np.inf
        else:
            bound = objective - BOUND_SLACK_MUSD if optimal else -np.inf
        return Attempt(x, objective, bound, optimal, gone)

    def _check(self, status: highspy.HighsStatus, what: str) -> None:
        if status == highspy.HighsStatus.kError:
            raise SolverFault(f"HiGHS refused {what}")
