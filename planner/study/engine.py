"""The engine of a study: what is solved already, who solves the rest, what is written when."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from planner.crew import Crew, Job, SchedulerLost
from planner.faults import Fault, InputError
from planner.results import Plan
from planner.study.agenda import Agenda
from planner.study.expand import Question, expand, regret_questions
from planner.study.parts import Parts
from planner.study.spec import Study, read_study
from planner.study.store import PART, TABLES, ResultSet, Solved
from planner.study.work import Address, Answer, Start, addresses, solve

Progress = Callable[["Counts"], None]
#: Questions whose addresses are found in one task: few, so that the first case is begun soon.
_BATCH = 8
#: Seconds between writes of the tables, at least; and at most this share of the time goes into writing.
_WRITE_S = 10.0
_WRITE_SHARE = 0.02


@dataclass
class Counts:
    """How far a study is.

    ``reused`` cases were answered by one solved before, in this study or another.
    """

    total: int = 0
    read: int = 0
    solved: int = 0
    reused: int = 0
    failed: int = 0
    solve_s: float = 0.0
    began: float = field(default_factory=time.monotonic)

    @property
    def done(self) -> int:
        """Cases with an ending."""
        return self.solved + self.reused + self.failed

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.began

    @property
    def left_s(self) -> float | None:
        """Seconds left at the rate so far; None before anything was solved."""
        return self.elapsed_s / self.solved * (self.total - self.done) if self.solved else None


@dataclass(frozen=True)
class StudyResult:
    """What a run of a study left.

    Attributes
    ----------
    folder
        Holds the result set.
    counts
        Cases solved, reused, failed.
    statuses
        Cases by status.
    stopped
        Why the run ended before the study did; empty when it is whole.
    """

    folder: Path
    counts: Counts
    statuses: dict[str, int]
    stopped: str = ""


def run_study(
    study: Study | str | Path,
    *,
    out: str | Path,
    workers: int = 1,
    scheduler: str | None = None,
    resume: bool = False,
    shared: str | Path | None = None,
    progress: Progress = lambda counts: None,
    find: Callable[[list[Question]], list[Address]] = addresses,
    answer: Callable[[Question, str, Start], Answer] = solve,
) -> StudyResult:
    """Solve every case of a study and keep what comes out as Parquet.

    Parameters
    ----------
    study
        A study, its file, or the name of a shipped one.
    out
        Folder of the result set.
    workers
        Local processes, one thread each.
    scheduler
        Address of a running Dask scheduler, whose workers are taken instead.
    resume
        Go on where an earlier run of the same study stopped; without it such a folder is refused.
    shared
        Folder of solved cases, shared by studies; ``out/solved`` if None.
    progress
        Called now and then with the counts.
    find, answer
        What the workers do; replaced only to measure the engine.

    Raises
    ------
    InputError
        If the study or the folder cannot be used.
    """
    spec = study if isinstance(study, Study) else read_study(study)
    questions = expand(spec)
    results = ResultSet(Path(out))
    digest = sha256(spec.model_dump_json().encode()).hexdigest()
    _claim(results, spec, digest, resume)
    try:
        solved = Solved(Path(shared) if shared is not None else Path(out) / "solved")
        run = _Run(spec, digest, questions, results, solved, progress)
        run.write(everything=True)
    except OSError as error:
        raise InputError(
            [Fault("--out", "", f"{out}: {error.strerror or error}", "a folder that can be written")]
        ) from None
    try:
        with Crew(workers, scheduler) as crew:
            run.work(crew, find, answer)
            more = list(regret_questions(spec, questions, run.plans()))
            if more:
                run.extend(more)
                run.work(crew, find, answer)
    except KeyboardInterrupt:
        run.stopped = "stopped by the user"
    except SchedulerLost as error:
        run.stopped = f"the scheduler was lost ({error})"
    except OSError as error:
        run.stopped = f"the results could not be written: {error.strerror or error}"
    return run.close()


def _claim(results: ResultSet, study: Study, digest: str, resume: bool) -> None:
    """Refuse a folder that holds another study, or this one without ``resume``."""
    try:
        known = results.manifest()
    except InputError:
        if not resume:
            raise
        return
    if known is None:
        return
    here = str(results.folder)
    if known.get("study_sha256") != digest:
        found = f"{here}, which holds another study ({known.get('study')}) or another version of it"
        raise InputError([Fault("--out", "", found, "a new folder; --shared lets studies share solved cases")])
    if not resume:
        raise InputError([Fault("--out", "", f"{here}, which holds this study already", "--resume, or a new folder")])


class _Run:
    """One run: endings by question, parts that must be written."""

    def __init__(
        self,
        study: Study,
        digest: str,
        questions: list[Question],
        results: ResultSet,
        solved: Solved,
        progress: Progress,
    ) -> None:
        self.study, self.digest, self.results, self.solved, self.progress = study, digest, results, solved, progress
        self.questions = list(questions)
        self.fresh = list(questions)
        self.address: dict[int, Address] = {}
        self.failed: dict[int, str] = {}
        self.status: dict[int, str] = {}
        self.waiting: dict[str, list[int]] = {}
        self.troubles: dict[str, str] = {}
        self.agenda = Agenda(self._start_of)
        self.counts = Counts(total=len(questions))
        self.parts = Parts(study, results)
        self.stopped = ""
        self._written, self._write_s = time.monotonic(), 0.0
        results.clean()
        solved.clean()

    def extend(self, more: Sequence[Question]) -> None:
        """Add questions that became known on the way."""
        self.fresh = list(more)
        self.questions += more
        self.counts.total += len(more)

    # -- work -------------------------------------------------------------------------------

    def work(self, crew: Crew, find: Callable[..., Any], answer: Callable[..., Any]) -> None:
        """Find all addresses and solve what is not solved, each case as soon as those that it starts from are."""
        batches = [self.fresh[i : i + _BATCH] for i in range(0, len(self.fresh), _BATCH)]
        read: dict[int, tuple[Any, str]] = {}
        place = iter(batches)
        batch = next(place, None)
        for (work, *job), found, trouble in crew.each(self._jobs(batches, find, answer)):
            if work is find:
                read[id(job[0])] = found, trouble
                while batch is not None and id(batch) in read:  # in their order, whoever was quicker
                    self._place(batch, *read.pop(id(batch)))
                    batch = next(place, None)
            else:
                self._keep(job[1], found, trouble)
            self.tick()
        self.write(everything=True)

    def _jobs(
        self, batches: list[list[Question]], find: Callable[..., Any], answer: Callable[..., Any]
    ) -> Iterator[Job | None]:
        """What is next: cases that others wait for, then addresses, then the other cases; None when it is not known."""
        unread = iter(batches)
        while True:
            if (case := self.agenda.next_first()) is not None:
                yield answer, *case
            elif (batch := next(unread, None)) is not None:
                yield find, batch
            elif (case := self.agenda.next_other()) is not None:
                yield answer, *case
            else:
                yield None

    def _place(self, batch: list[Question], found: list[Address] | None, trouble: str) -> None:
        """Take the addresses of some cases."""
        for q, a in zip(batch, found or [Address(q.index, "", "", trouble) for q in batch], strict=True):
            if a.fault:
                self._fail(q.index, a.fault, "failed" if trouble else "bad_input")
            elif a.address in self.troubles:
                self.address[q.index] = a
                self._fail(q.index, self.troubles[a.address])
            else:
                self.address[q.index] = a
                self._place_one(q, a.address)
        self.counts.read += len(batch)

    def _place_one(self, question: Question, address: str) -> None:
        if self.solved.has(address) and self.solved.get(address) is None:
            self.solved.forget(address)
        unsolved = not self.solved.has(address)
        if unsolved:
            self.waiting.setdefault(address, []).append(question.index)
        else:
            self.counts.reused += 1
            self.parts.note(question.index)
        self.agenda.add(question, address, unsolved)

    def _fail(self, index: int, reason: str, status: str = "failed") -> None:
        self.failed[index], self.status[index] = reason, status
        self.counts.failed += 1
        self.parts.note(index)

    def _keep(self, address: str, found: Answer | None, trouble: str) -> None:
        """Keep an answer, or why there is none; equal questions are answered together."""
        indices = self.waiting.pop(address)
        if found is None:
            self.troubles[address] = trouble
            for index in indices:
                self._fail(index, trouble)
        else:
            self.solved.put(address, found.record)
            self.counts.solved += 1
            self.counts.reused += len(indices) - 1
            self.counts.solve_s += found.solve_s
            for index in indices:
                self.parts.note(index)
        self.agenda.ended(address)

    def _start_of(self, address: str) -> Start | None:
        """What a case hands to its neighbours."""
        record = self.solved.get(address)
        return None if record is None else Start.of_record(record)

    # -- results ----------------------------------------------------------------------------

    def tick(self) -> None:
        """Show progress, and write when it is time."""
        self.progress(self.counts)
        if time.monotonic() - self._written > max(_WRITE_S, self._write_s / _WRITE_SHARE):
            self.write()

    def write(self, everything: bool = False) -> None:
        """Write the parts that changed, and the manifest."""
        began = time.monotonic()
        self.parts.write(self.questions, self._ending)
        self.results.write_manifest(self._manifest(complete=everything and self.counts.done == self.counts.total))
        gc.collect()  # what talks to the workers leaves circles; until a full collection they would add up
        self._written = time.monotonic()
        self._write_s = self._written - began

    def _ending(self, index: int) -> dict[str, Any] | None:
        known = self.address.get(index)
        place = {"address": known.address, "input_sha256": known.input_sha256} if known else {}
        if index in self.failed:
            return {"status": self.status[index], "reason": self.failed[index], **place}
        record = self.solved.get(known.address) if known and known.address not in self.waiting else None
        if record is not None:
            self.status[index] = record["status"]
        return record

    def _manifest(self, complete: bool) -> dict[str, Any]:
        return {
            "study": self.study.study,
            "title": self.study.title,
            "study_sha256": self.digest,
            "planner": version("storage-portfolio-planner"),
            "complete": complete,
            "cases_total": self.counts.total,
            "cases_done": self.counts.done,
            "cases_per_part": PART,
            "tables": {n: {"files": f"{n}/*.parquet", "columns": self.parts.schemas[n].names} for n in TABLES},
            "solved": str(self.solved.folder),
            "solve_s": round(self.counts.solve_s, 3),
            "elapsed_s": round(self.counts.elapsed_s, 3),
            "spec": json.loads(self.study.model_dump_json()),
        }

    def plans(self) -> dict[int, Plan]:
        """Plans by index of the question; needed only where one is fixed and tried elsewhere."""
        if self.study.regret is None:
            return {}
        found = {}
        for q in self.questions:
            record = self._ending(q.index)
            if record is not None and record.get("plan"):
                found[q.index] = Plan.model_validate(record["plan"])
        return found

    def close(self) -> StudyResult:
        """Write what is left to write."""
        try:
            self.write(everything=not self.stopped)
        except OSError as error:
            self.stopped = self.stopped or f"the results could not be written: {error.strerror or error}"
        statuses: dict[str, int] = {}
        for status in self.status.values():
            statuses[status] = statuses.get(status, 0) + 1
        return StudyResult(self.results.folder, self.counts, dict(sorted(statuses.items())), self.stopped)
