"""One piece of work on the front: a solve over a box, checked, and the slice that it brings.

Workers run ``carry_out``; all numbers are normalised, corners of slices are in model units.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from planner.frontier.bench import BROKEN, Bench, Frame, Rows, TwoObjectives
from planner.frontier.curve import Curve, Fact
from planner.frontier.slices import Slice, trace_slice
from planner.problem import FloatArray
from planner.solve import Attempt, SolverFault, Stop

#: Names a piece: its corners, or a word and numbers.
Key = tuple[float | str, ...]
#: What a solve must improve on to count (normalised).
EPSILON = 2e-8
#: Rows of the box are this much wider than the points that must stay inside.
ROOM = 2e-9
#: Solves repeated with more lazy rows before the piece goes back to the queue.
_MOST_REPEATS = 8
_OTHER_SEED = 7919
#: Gap while lazy rows are still being found.
_ROUGH_GAP = 0.02


@dataclass(frozen=True)
class Task:
    """Minimise ``weight`` over a box.

    Attributes
    ----------
    key
        Names the piece; the same key is never worked on twice at once.
    weight
        Of (exposure, cost), of unit length.
    x_max, c_max
        The box.
    value
        What is attained along ``weight`` already; infinity if nothing is.
    gap
        How far below ``value`` the bound may stay.
    gap_frac
        Relative gap instead, for the two ends.
    start
        A solution inside the box, or None.
    upper, grain
        For ``trace_slice``.
    careful
        Other seed, no presolve: after a wrong answer, and in audit mode.
    level
        How many times the gap was refined.
    span
        Exposures between which a proof would cover the front.
    given
        A known solution: only its slice is traced, nothing is minimised over whole numbers.
    """

    key: Key
    weight: tuple[float, float]
    x_max: float = np.inf
    c_max: float = np.inf
    value: float = np.inf
    gap: float = 0.0
    gap_frac: float = 0.0
    start: FloatArray | None = None
    upper: Curve | None = None
    grain: float = 0.0
    careful: bool = False
    level: int = 0
    span: tuple[float, float] = (0.0, 0.0)
    given: FloatArray | None = None


@dataclass
class Outcome:
    """What a task brought: bounds, slices, lazy rows, and solver errors in words."""

    task: Task
    facts: list[Fact] = field(default_factory=list)
    slices: list[Slice] = field(default_factory=list)
    rows: list[Rows] = field(default_factory=list)
    incidents: list[str] = field(default_factory=list)
    finished: bool = False
    infeasible: bool = False
    solves: int = 0


class Worker:
    """Carries out tasks on benches of its own.

    Parameters
    ----------
    model
        The two objectives.
    stop
        When to give up.
    seed
        Of the solver.
    audit
        Solve everything twice, the second time with another seed and without presolve.
    """

    def __init__(self, model: TwoObjectives, stop: Stop, seed: int, audit: bool) -> None:
        self.model, self.stop, self.seed, self.audit = model, stop, seed, audit
        self.bench = Bench(model, stop, seed)
        self.second: Bench | None = None
        #: Whole numbers whose slice was traced, with the scale of then; what could not help then cannot later,
        #: for the attained curve only falls.
        self.traced: set[tuple[Frame, bytes]] = set()

    def adopt(self, frame: Frame, rows: list[Rows]) -> None:
        """Take the scale and the lazy rows of the others."""
        for bench in (self.bench, self.second):
            if bench is None:
                continue
            for part in rows:
                bench.adopt(part)
            if bench.frame != frame:
                bench.use_frame(frame)

    def carry_out(self, task: Task) -> Outcome:
        """Solve, check, trace the slice; again where a wrong answer showed."""
        outcome = Outcome(task)
        before = self.bench.solves + (self.second.solves if self.second is not None else 0)
        if task.given is not None:
            self._gather(self.bench, task, task.given, outcome)
        elif task.careful:
            self._one(self._careful(), task, outcome)
        else:
            trusted = self._one(self.bench, task, outcome)
            if self.audit or not trusted:
                self._confirm(task, outcome, trusted)
            elif outcome.finished and not self._helps(task, outcome):
                # Within its tolerances the solver took something for whole or inside that is not: ask differently.
                self._one(self._careful(), task, outcome)
        outcome.rows = self.bench.take_fresh() + (self.second.take_fresh() if self.second is not None else [])
        after = self.bench.solves + (self.second.solves if self.second is not None else 0)
        outcome.solves = after - before
        return outcome

    def _helps(self, task: Task, outcome: Outcome) -> bool:
        """Whether the piece is proved, or something better than it was found inside the box."""
        if task.value == np.inf or any(fact.bound >= task.value - task.gap - EPSILON for fact in outcome.facts):
            return True
        corners = [self.bench.frame.inside((v.exposure, v.cost)) for part in outcome.slices for v in part.vertices]
        wx, wc = task.weight
        return any(e <= task.x_max and c <= task.c_max and wx * e + wc * c < task.value - EPSILON for e, c in corners)

    def _careful(self) -> Bench:
        """The other bench: other seed, presolve off."""
        if self.second is None:
            self.second = Bench(replace_rows(self.model, self.bench), self.stop, self.seed + _OTHER_SEED, False)
            self.second.use_frame(self.bench.frame)
        for rows in self.bench.fresh:  # the separation does not name a row twice
            self.second.adopt(rows)
        return self.second

    def _confirm(self, task: Task, outcome: Outcome, trusted: bool) -> None:
        """Solve once more on the other bench; only what both say is kept as proved."""
        other = Outcome(task)
        self._one(self._careful(), task, other)
        if trusted:
            outcome.facts = [
                replace(mine, bound=min(mine.bound, theirs.bound))
                for mine, theirs in zip(outcome.facts, other.facts, strict=False)
            ]
            outcome.finished = outcome.finished and other.finished
            if outcome.infeasible != other.infeasible:
                outcome.incidents.append("audit: one run called a box empty, the other did not")
            outcome.infeasible = outcome.infeasible and other.infeasible
        else:
            outcome.facts, outcome.finished, outcome.infeasible = other.facts, other.finished, other.infeasible
        outcome.slices += other.slices
        outcome.incidents += other.incidents

    def _one(self, bench: Bench, task: Task, outcome: Outcome) -> bool:
        """One bench; False if its answer cannot be trusted (nothing of it is kept as proved)."""
        fact: Fact | None = None
        lazy = self.model.separation is not None
        if lazy:
            # The linear relaxation finds most lazy rows cheaply, and sometimes proves the piece by itself.
            bound = bench.relaxation(task.weight, task.x_max, task.c_max)
            if bound < np.inf:
                fact = Fact(*task.weight, task.x_max, task.c_max, bound)
                if bound >= task.value - task.gap:
                    outcome.facts.append(fact)
                    outcome.finished = True
                    return True
        # A rough solve first pays only at the ends, where most lazy rows are still unknown.
        rough = lazy and task.value == np.inf
        for _ in range(_MOST_REPEATS):
            gap_frac = max(task.gap_frac, _ROUGH_GAP) if rough else task.gap_frac
            try:
                attempt = bench.mip(task.weight, task.x_max, task.c_max, task.gap, task.start, gap_frac)
            except SolverFault as fault:
                outcome.incidents.append(f"solver error: {fault}")
                return False
            wrong = _doubt(bench, task, attempt)
            if wrong:
                outcome.incidents.append(wrong)
                return False
            if attempt.infeasible:
                outcome.facts.append(Fact(*task.weight, task.x_max, task.c_max, np.inf))
                outcome.finished = outcome.infeasible = True
                return True
            bound = max(attempt.bound, fact.bound if fact is not None else -np.inf)
            fact = Fact(*task.weight, task.x_max, task.c_max, bound)
            proved = bound >= task.value - task.gap - EPSILON
            # What lies within the gap of a proved piece is not worth a slice.
            lacking = attempt.x is not None and not proved and self._gather(bench, task, attempt.x, outcome, rough)
            if proved or self.stop.now or not (lacking or rough):
                outcome.finished = proved or (attempt.finished and not lacking and not rough)
                break
            rough = rough and lacking
        if fact is not None:
            outcome.facts.append(fact)
        return True

    def _gather(self, bench: Bench, task: Task, x: FloatArray, outcome: Outcome, rough: bool = False) -> bool:
        """Keep what a solution attains; whether lazy rows were lacking.

        A rough solution, or one that lacks rows, is only brought in order: a better one follows.
        """
        lacking = bench.violated(x)
        whole = (self.bench.frame, x[self.model.integer].tobytes())
        known = rough or lacking or whole in self.traced
        found = trace_slice(bench, x, task.weight, (task.x_max, task.c_max), task.upper, task.grain, known=known)
        if not known:
            self.traced.add(whole)
        if found is not None:
            outcome.slices.append(found)
        return lacking


def replace_rows(model: TwoObjectives, bench: Bench) -> TwoObjectives:
    """The same model with the lazy rows that a bench knows."""
    return replace(model, compiled=bench.rows)


def _doubt(bench: Bench, task: Task, attempt: Attempt) -> str:
    """Why an answer of the solver is wrong on its face, or an empty string."""
    if attempt.infeasible:
        if task.start is not None and bench.broken(task.start) <= BROKEN:
            e, c = bench.point(task.start)
            if e <= task.x_max and c <= task.c_max:
                return "the solver calls a box empty that holds a known solution"
        return ""
    if attempt.x is not None:
        broken = bench.broken(attempt.x)
        if broken > BROKEN:
            return f"a solution of the solver violates a row by {broken:.2g} of its size"
    if task.start is not None and attempt.bound > task.value + 10 * EPSILON:
        return "a proved bound lies above a known solution of the same box"
    return ""
