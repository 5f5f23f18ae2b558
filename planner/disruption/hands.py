"""Who solves the worlds: this process, or the worker processes of the study engine.

A worker takes and gives plain values, keeps the models of the worlds it has built, and may die at any moment.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, TypeVar

import numpy as np

from planner.crew import Crew
from planner.disruption.hedge import Hedger, Outcome, Tolled
from planner.disruption.joint import Fixed, Toll
from planner.disruption.worlds import Prospect
from planner.problem import Problem

Found = TypeVar("Found")

#: How much wider the gap of a world that counts little may be.
_EASE = 2.0


@dataclass(frozen=True)
class Job:
    """A world to solve by itself: with orders that stand or (None) with free ones, and a toll on them."""

    world: str
    fixed: Fixed | None
    seconds: float
    toll: Toll | None = None
    #: How much wider than that of a world that counts its gap may be.
    ease: float = 1.0


def time_shares(weight: Sequence[float]) -> list[float]:
    """Share of the time left that each world gets when its turn comes: by weight, half an even share at least."""
    share = np.maximum(np.array(weight) / max(sum(weight), 1e-12), 0.5 / len(weight))
    return list(share / np.cumsum(share[::-1])[::-1])


def eases(weight: Sequence[float]) -> list[float]:
    """How much wider than that of a world that counts its gap may be, by weight."""
    even = sum(weight) / len(weight)
    return [float(np.clip(even / max(w, 1e-12), 1.0, _EASE)) for w in weight]


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

    def tolled(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Tolled]]:
        """Bounds of worlds that sign for themselves and pay the toll of the job."""


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
                yield job, self.hedger.alone(job.world, job.fixed, job.seconds, job.toll, job.ease)

    def tolled(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Tolled]]:
        """Solve the jobs in their order."""
        for job in jobs:
            if not self.interrupted:
                yield job, self.hedger.tolled(job.world, job.toll or Toll({}), job.seconds, job.ease)


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
        for job, found in self._each(solve, jobs):
            lost = Outcome(job.world, np.inf, -np.inf, {}, {}, {}, {}, {}, None, job.fixed or Fixed({}))
            yield job, lost if found is None else found

    def tolled(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Tolled]]:
        """Solve the jobs as workers are free."""
        for job, found in self._each(charge, jobs):
            yield job, Tolled(job.world, -np.inf) if found is None else found

    def _each(self, work: Callable[..., Found], jobs: Iterable[Job]) -> Iterator[tuple[Job, Found | None]]:
        """What is found for each job; None where a worker failed at it."""
        packed = ((work, self.packed, self.gap_frac, self.seed, job) for job in jobs)
        for (*_, job), found, trouble in self.crew.each(packed):
            if trouble:
                self.troubles.append(f"{job.world}: {trouble}")
            yield job, None if trouble else found


def solve(packed: bytes, gap_frac: float, seed: int, job: Job) -> Outcome:
    """What a worker does with a job."""
    return _hedger(packed, gap_frac, seed).alone(job.world, job.fixed, job.seconds, job.toll, job.ease)


def charge(packed: bytes, gap_frac: float, seed: int, job: Job) -> Tolled:
    """What a worker does with a job that is about its toll."""
    return _hedger(packed, gap_frac, seed).tolled(job.world, job.toll or Toll({}), job.seconds, job.ease)


@lru_cache(maxsize=1)
def _hedger(packed: bytes, gap_frac: float, seed: int) -> Hedger:
    calm, futures = pickle.loads(packed)
    return Hedger(Prospect(calm, futures), gap_frac, seed)
