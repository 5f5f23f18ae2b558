"""Who solves the worlds: this process, or the worker processes of the study engine.

A worker takes and gives plain values, keeps the models of the worlds it has built, and may die at any moment.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np

from planner.crew import Crew
from planner.disruption.hedge import Hedger, Outcome
from planner.disruption.joint import Fixed, Toll
from planner.disruption.worlds import Prospect
from planner.problem import Problem


@dataclass(frozen=True)
class Job:
    """A world to solve by itself: with orders that stand or (None) with free ones, and a toll on them."""

    world: str
    fixed: Fixed | None
    seconds: float
    toll: Toll | None = None


class Hands(Protocol):
    """Whoever solves worlds."""

    #: What went wrong with single worlds.
    troubles: list[str]

    @property
    def size(self) -> int:
        """Worlds that are solved at the same time."""

    @property
    def interrupted(self) -> bool:
        """Whether the user wants it all to stop."""

    def each(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Outcome]]:
        """Solve the jobs, taken one by one when somebody is about to be free; in the order in which they end."""


class Here:
    """The process itself, one world after another."""

    size = 1

    def __init__(self, hedger: Hedger) -> None:
        self.hedger = hedger
        self.troubles: list[str] = []

    @property
    def interrupted(self) -> bool:
        """Whether the user pressed Ctrl-C while a world was solved."""
        return self.hedger.interrupted

    def each(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Outcome]]:
        """Solve the jobs in their order."""
        for job in jobs:
            if not self.interrupted:
                yield job, self.hedger.alone(job.world, job.fixed, job.seconds, job.toll)


class Away:
    """Worker processes, local ones or those of a Dask scheduler.

    Parameters
    ----------
    crew
        Started already.
    calm, futures
        From ``planner.inputs.load_worlds``.
    gap_frac, seed
        Of every search.
    """

    interrupted = False

    def __init__(
        self, crew: Crew, calm: Problem, futures: Mapping[str, Problem], gap_frac: float, seed: int
    ) -> None:  # fmt: skip
        self.crew, self.gap_frac, self.seed = crew, gap_frac, seed
        self.packed = pickle.dumps((calm, dict(futures)))
        self.troubles: list[str] = []

    @property
    def size(self) -> int:
        """Workers at hand."""
        return self.crew.workers

    def each(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Outcome]]:
        """Solve the jobs as workers are free."""
        packed = ((self.packed, self.gap_frac, self.seed, job) for job in jobs)
        for (*_, job), found, trouble in self.crew.each(solve, packed):
            if trouble:
                self.troubles.append(f"{job.world}: {trouble}")
            lost = Outcome(job.world, np.inf, -np.inf, {}, {}, {}, {}, {}, None, job.fixed or Fixed({}))
            yield job, lost if trouble else found


def solve(packed: bytes, gap_frac: float, seed: int, job: Job) -> Outcome:
    """What a worker does with a job."""
    return _hedger(packed, gap_frac, seed).alone(job.world, job.fixed, job.seconds, job.toll)


@lru_cache(maxsize=1)
def _hedger(packed: bytes, gap_frac: float, seed: int) -> Hedger:
    calm, futures = pickle.loads(packed)
    return Hedger(Prospect(calm, futures), gap_frac, seed)
