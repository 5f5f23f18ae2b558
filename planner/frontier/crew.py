"""Workers: in this process, or processes of their own that may die without loss.

A process is spawned, ignores Ctrl-C (whoever started it decides), and ends with its parent.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Protocol

from planner.frontier.bench import Frame, LazyLoop, Rows, TwoObjectives
from planner.frontier.tasks import Outcome, Task, Worker
from planner.solve import Stop

#: Seconds between two looks at a wish to stop.
_LOOK_S = 0.2
#: A piece whose workers died this often is left uncovered.
MOST_DEATHS = 3


@dataclass(frozen=True)
class Death:
    """A worker that died, and the task it held."""

    task: Task
    exitcode: int | None


class Crew(Protocol):
    """Whoever carries out tasks."""

    size: int

    def free(self) -> int:
        """Workers without a task."""

    def give(self, task: Task, frame: Frame, rows: list[Rows]) -> None:
        """Hand a task to a free worker, with the scale and every lazy row known so far."""

    def collect(self) -> list[Outcome | Death]:
        """What came back; waits a moment if nothing has."""

    def dismiss(self) -> None:
        """End every worker."""


class Alone:
    """One worker in this process."""

    size = 1

    def __init__(self, model: TwoObjectives, stop: Stop, seed: int, audit: bool) -> None:
        self.worker = Worker(model, stop, seed, audit)
        self.done: list[Outcome | Death] = []
        self.sent = 0

    def free(self) -> int:
        """1 when the last answer was collected."""
        return 0 if self.done else 1

    def give(self, task: Task, frame: Frame, rows: list[Rows]) -> None:
        """Carry the task out at once."""
        self.worker.adopt(frame, rows[self.sent :])
        self.sent = len(rows)
        self.done.append(self.worker.carry_out(task))

    def collect(self) -> list[Outcome | Death]:
        """The last answer."""
        done, self.done = self.done, []
        return done

    def dismiss(self) -> None:
        """Nothing to end."""


@dataclass
class _Hand:
    """A worker process: what it was told, and what it works on."""

    process: BaseProcess
    pipe: Connection
    task: Task | None = None
    sent: int = 0
    frames: list[Frame] = field(default_factory=list)


class Processes:
    """Several workers, each in a process of its own."""

    def __init__(self, model: TwoObjectives, stop: Stop, seed: int, audit: bool, size: int) -> None:
        self.model, self.stop, self.seed, self.audit, self.size = model, stop, seed, audit, size
        self.context = multiprocessing.get_context("spawn")
        self.hands = [self._hire() for _ in range(size)]

    @property
    def pids(self) -> list[int]:
        """Process numbers of the workers."""
        return [hand.process.pid or 0 for hand in self.hands]

    def free(self) -> int:
        """Workers without a task."""
        return sum(hand.task is None for hand in self.hands)

    def give(self, task: Task, frame: Frame, rows: list[Rows]) -> None:
        """Send a task to a free worker; one that died meanwhile is replaced."""
        hand = next(h for h in self.hands if h.task is None)
        if not hand.process.is_alive():
            hand = self._replace(hand)
        hand.task = task
        with contextlib.suppress(OSError):  # died just now: collect() will see it
            hand.pipe.send((task, frame, rows[hand.sent :]))
            hand.sent = len(rows)

    def collect(self) -> list[Outcome | Death]:
        """Answers and deaths."""
        busy = [h for h in self.hands if h.task is not None]
        ready = wait([h.pipe for h in busy] + [h.process.sentinel for h in busy], _LOOK_S)
        back: list[Outcome | Death] = []
        for hand in busy:
            if hand.pipe not in ready and hand.process.sentinel not in ready:
                continue
            task = hand.task
            assert task is not None
            try:
                answer = hand.pipe.recv() if hand.pipe.poll() else None
            except (EOFError, OSError):
                answer = None
            if isinstance(answer, BaseException):
                raise answer
            if answer is None:
                self._replace(hand)
                back.append(Death(task, hand.process.exitcode))
            else:
                hand.task = None
                back.append(answer)
        return back

    def dismiss(self) -> None:
        """End every process at once; what they worked on is not finished and counts for nothing."""
        for hand in self.hands:
            hand.process.terminate()
        for hand in self.hands:
            hand.process.join(5.0)
            if hand.process.is_alive():
                hand.process.kill()
                hand.process.join()
            hand.pipe.close()

    def _hire(self) -> _Hand:
        ours, theirs = self.context.Pipe()
        terms = (theirs, self.model, self.stop.left_s(), self.seed, self.audit)
        process = self.context.Process(target=_work, args=terms, daemon=True)
        process.start()
        theirs.close()
        return _Hand(process, ours)

    def _replace(self, hand: _Hand) -> _Hand:
        hand.process.join(1.0)
        hand.pipe.close()
        fresh = self._hire()
        self.hands[self.hands.index(hand)] = fresh
        return fresh


def _work(pipe: Connection, model: TwoObjectives, left_s: float, seed: int, audit: bool) -> None:
    """Life of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, daemon=True).start()
    worker = Worker(model, Stop(left_s), seed, audit)
    while True:
        try:
            task, frame, rows = pipe.recv()
        except (EOFError, OSError):
            return
        answer: Outcome | BaseException
        try:
            worker.adopt(frame, rows)
            answer = worker.carry_out(task)
        except (LazyLoop, ValueError, TypeError) as error:
            answer = error
        try:
            pipe.send(answer)
        except OSError:
            return


def _follow_parent() -> None:
    """End with the process that started this one, also when it was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(0)
