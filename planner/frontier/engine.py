"""The certified front of two linear objectives: ends, then the piece that hides most, again and again.

The upper curve is the least cost of every slice met; the lower curve is made of dual bounds.
Stopped at any time, what is attained is attained and what is proved is proved.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from planner.frontier.archive import Archive, signature_of
from planner.frontier.bench import Frame, TwoObjectives
from planner.frontier.crew import MOST_DEATHS, Alone, Crew, Death, Processes
from planner.frontier.hull import hull_tasks
from planner.frontier.pieces import GRAIN_SHARE, STRIP, Standing, is_last_level, open_tasks, standing
from planner.frontier.tasks import Key, Outcome, Task
from planner.problem import FloatArray
from planner.solve import Infeasible, NoPlan, Stop

#: Share of the tolerance that the two ends may be off, relative to their value.
_END_SHARE = 1 / 20
_DONE = -1
_UNBOUNDED = "an objective has no smallest value: bound the variables in it"
Progress = Callable[[Standing | None, int], None]


class Unbounded(ValueError):
    """An objective has no smallest value."""


@dataclass
class Engine:
    """One trace of one front.

    Attributes
    ----------
    model
        The two objectives.
    tolerance
        Uncovered share at which to stop; 0 goes on until every piece is settled.
    stop
        Deadline and Ctrl-C.
    workers
        Processes; 1 works in this process.
    state
        File that is written after every finished piece, or None.
    resume
        Start from that file if it is there.
    given
        A known solution, best near the cheap end, to start from.
    earlier
        What was traced of the same model while fewer lazy rows were known, with ``given`` only: its bounds still hold;
        what it attained is attained again, at the cost that the rows known by now allow.
    ties
        Also look for less exposure at the same cost; needed where costs can tie.
    most_solves
        For tests of a stop.
    progress
        Called with where the front stands and the solves so far.
    """

    model: TwoObjectives
    tolerance: float
    stop: Stop
    workers: int = 1
    seed: int = 0
    audit: bool = False
    state: Path | None = None
    resume: bool = False
    given: FloatArray | None = None
    earlier: Archive | None = None
    ties: bool = True
    most_solves: int = 1_000_000
    progress: Progress | None = None

    def run(self) -> Archive:
        """Trace the front.

        Raises
        ------
        planner.solve.Infeasible
            If there is no solution.
        planner.solve.NoPlan
            If stopped before both ends were found.
        """
        self.signature = signature_of(self.model)
        self.archive = Archive() if self.earlier is None else self.earlier.without_slices()
        if self.resume and self.state is not None and self.state.exists():
            self.archive = Archive.load(self.state, self.signature)
        self.began = time.monotonic() - self.archive.seconds
        self.deaths: dict[Key, int] = {}
        self.careful = False
        alone = self.workers == 1
        self.crew: Crew = (
            Alone(self.model, self.stop, self.seed, self.audit)
            if alone
            else Processes(self.model, self.stop, self.seed, self.audit, self.workers)
        )
        try:
            with self.stop.catching_interrupt():
                self._ends()
                self._refine()
        finally:
            self.crew.dismiss()
        self._save()
        return self.archive

    def standing(self) -> Standing | None:
        """Where the front stands."""
        if not self.archive.slices:
            return None
        return standing(self.archive.upper(), self.archive.lower())

    # -- ends -----------------------------------------------------------------------------

    def _ends(self) -> None:
        """Both lexicographic ends, and the scale that they give."""
        if self.archive.framed:
            return
        self.archive.use_frame(self._first_frame())
        gap, grain = self.tolerance * _END_SHARE, self.tolerance * GRAIN_SHARE
        cheap = Task(("end", 0.0, 1.0), (0.0, 1.0), gap_frac=gap)
        least = Task(("end", 1.0, 0.0), (1.0, 0.0), gap_frac=gap)
        if self.given is None:
            self._batch([cheap, least])
            if self._use_own_frame():
                self.archive.framed = True
                return
            ends = (0, 1) if self.ties else (0,)
            self._batch([self._tie(end, gap, grain) for end in ends])
        else:
            # The given solution sets the scale, so that the ends need not wait for each other.
            # Before there is a scale, slices are not traced: only their ends are looked for.
            given = Task(("given",), (0.0, 1.0), given=self.given, grain=np.inf)
            self._batch([given, replace(least, grain=np.inf)])
            self._use_own_frame()
            self._batch([replace(cheap, start=self._cheapest_known(), grain=grain), self._tie(0, gap, grain)])
            if self.ties:
                self._batch([self._tie(1, gap, grain)])
            if self.earlier is not None:
                self._use_own_frame()
                again = [part.vertices[0].x for part in self.earlier.best_slices()]
                self._batch([Task(("again", k), (0.0, 1.0), given=x, grain=grain) for k, x in enumerate(again)])
        self._use_own_frame()
        self.archive.framed = True

    def _tie(self, end: int, gap_frac: float, grain: float) -> Task:
        """The second objective at the secure (0) or the cheap end (1)."""
        least = min(self.archive.inside(v)[end] for part in self.archive.slices for v in part.vertices) + STRIP
        if end == 0:
            return Task(("end", 0.0, 2.0), (0.0, 1.0), x_max=least, gap_frac=gap_frac, grain=grain)
        return Task(("end", 2.0, 0.0), (1.0, 0.0), c_max=least, gap_frac=gap_frac, grain=grain)

    def _cheapest_known(self) -> FloatArray | None:
        known = [v for part in self.archive.slices for v in part.vertices]
        return min(known, key=lambda v: v.cost).x if known else None

    def _first_frame(self) -> Frame:
        """A scale from the coefficients, before the ends are known."""
        lengths = [float(np.abs(v).max(initial=0.0)) or 1.0 for v in (self.model.exposure, self.model.cost)]
        return Frame(0.0, lengths[0] * 10, 0.0, lengths[1] * 10)

    def _use_own_frame(self) -> bool:
        """Scale by the ends found so far; True if the front is a single point."""
        corners = [v for part in self.archive.slices for v in part.vertices]
        cheap = min(corners, key=lambda v: (v.cost, v.exposure))
        secure = min(corners, key=lambda v: (v.exposure, v.cost))
        wide, high = cheap.exposure - secure.exposure, secure.cost - cheap.cost
        tiny = [1e-9 * max(1.0, abs(v)) for v in (cheap.exposure, cheap.cost)]
        point = wide <= tiny[0] or high <= tiny[1]
        self.archive.use_frame(
            Frame(
                secure.exposure,
                wide if wide > tiny[0] else max(1.0, abs(cheap.exposure)),
                cheap.cost,
                high if high > tiny[1] else max(1.0, abs(cheap.cost)),
            )
        )
        return point

    def _batch(self, tasks: list[Task]) -> None:
        """Carry out tasks, all of them."""
        todo = list(tasks)
        while todo or self.crew.free() < self.crew.size:
            while todo and self.crew.free():
                self._give(todo.pop(0))
            for back in self.crew.collect():
                if isinstance(back, Death):
                    todo += self._buried(back)
                    continue
                if back.infeasible and back.task.x_max == back.task.c_max == np.inf:
                    self._nothing()
                self._keep(back)
                if not back.slices and not self.archive.slices and not self.stop.now:
                    raise Unbounded(_UNBOUNDED)
            if self.stop.now:
                break
        if self.stop.now and not self.archive.slices:
            raise NoPlan(self.stop.interrupted)

    def _nothing(self) -> None:
        """Tell a model without solutions from one whose objective has no smallest value."""
        while self.crew.free() < self.crew.size:
            self.crew.collect()
        self._give(Task(("any",), (0.0, 0.0)))
        back: list[Outcome | Death] = []
        while not back:
            back = self.crew.collect()
        if isinstance(back[0], Outcome) and not back[0].infeasible:
            raise Unbounded(_UNBOUNDED)
        raise Infeasible

    # -- pieces ---------------------------------------------------------------------------

    def _refine(self) -> None:
        """Refine until the tolerance is met, nothing is open, or it is time to stop."""
        busy: dict[Key, Task] = {}
        while not self.stop.now and self.archive.solves < self.most_solves:
            now = self.standing()
            if self.progress is not None:
                self.progress(now, self.archive.solves)
            if now is None or (self.tolerance > 0 and now.uncovered_frac <= self.tolerance):
                return
            while self.crew.free():
                task = next(self._open(now, busy), None)
                if task is None:
                    break
                busy[task.key] = task
                self._give(task)
            if not busy:
                return
            back_now: list[Outcome | Death] = []
            while not back_now and not self.stop.now:
                back_now = self.crew.collect()
            for back in back_now:
                busy.pop(back.task.key, None)
                if isinstance(back, Death):
                    self._buried(back)
                else:
                    self._keep(back)
                    self._settle(back)
                    self._save()

    def _open(self, now: Standing, busy: dict[Key, Task]) -> Iterator[Task]:
        """Tasks worth giving, worst first; an end whose bound was lost comes before all."""
        for weight, lost in (((0.0, 1.0), "x_max"), ((1.0, 0.0), "c_max")):
            key: Key = ("lost", *weight)
            proved = any((f.wx, f.wc) == weight and getattr(f, lost) == np.inf for f in self.archive.facts)
            if not proved and key not in busy and self.archive.levels.get(key, 0) >= 0:
                yield Task(key, weight)

        def start(x_max: float, c_max: float) -> FloatArray | None:
            return self.archive.start(x_max, c_max, now.upper)

        yield from hull_tasks(now, self.tolerance, self._level, start, busy)
        known = tuple(busy.values())
        yield from (task for task in open_tasks(now, self.tolerance, self._level, start, known) if task.key not in busy)

    def _level(self, key: Key) -> int:
        return self.archive.levels.get(key, 0)

    def _settle(self, back: Outcome) -> None:
        """Note how far a piece has come."""
        task = back.task
        if back.finished:
            self.archive.levels[task.key] = _DONE if is_last_level(task) else task.level + 1

    def _give(self, task: Task) -> None:
        self.crew.give(replace(task, careful=self.careful), self.archive.frame, self.archive.rows)

    def _keep(self, back: Outcome) -> None:
        """File what a worker brought; a contradiction makes every later solve careful."""
        archive = self.archive
        archive.rows += back.rows
        archive.solves += back.solves
        words = list(back.incidents)
        for part in back.slices:
            words += archive.keep_slice(part)
        for fact in back.facts:
            words += archive.keep_fact(fact)
        if words and not self.careful:
            self.careful = True
            archive.levels.clear()
            words.append("from here on everything is solved with another seed and without presolve")
        archive.incidents += words

    def _buried(self, death: Death) -> list[Task]:
        """Requeue the piece of a worker that died, unless it kills every worker."""
        count = self.deaths[death.task.key] = self.deaths.get(death.task.key, 0) + 1
        given_up = count >= MOST_DEATHS
        end = "its piece is left uncovered" if given_up else "its piece was given to another"
        self.archive.incidents.append(f"a worker died (exit code {death.exitcode}); {end}")
        if given_up:
            self.archive.levels[death.task.key] = _DONE
        return [] if given_up else [death.task]

    def _save(self) -> None:
        self.archive.seconds = time.monotonic() - self.began
        if self.state is not None and self.archive.framed:
            self.archive.save(self.state, self.signature)
