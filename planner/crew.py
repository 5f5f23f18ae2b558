"""Worker processes: local ones, or those of a running Dask scheduler. One case per process, one thread each."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError
from types import TracebackType
from typing import Any

import dask
import distributed
from distributed import Client, LocalCluster, as_completed

from planner.faults import Fault, InputError

#: Cases under way or queued per worker: enough that none waits for the client.
_AHEAD = 3
#: How often a case whose worker died is given to another one.
_TRIES = 3
_CONNECT_S = 20
#: How long the client waits for one result before it sees to others; a worker deep in a solve may not answer at once.
_FETCH_S = 20.0
_COUNT_S = 5.0
_SETTINGS = {
    "distributed.scheduler.allowed-failures": _TRIES,
    "distributed.worker.daemon": True,
    "distributed.comm.timeouts.connect": f"{_CONNECT_S}s",
    "distributed.admin.tick.limit": "1h",
    # What processes note about themselves is of no use here. It took 14 % of a core with two workers at rest, and
    # samples of the profiler (kept for an hour) and long logs let every process grow.
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.log-length": 100,
    "distributed.admin.low-level-log-length": 100,
    "distributed.admin.system-monitor.interval": "5s",
    "distributed.admin.system-monitor.log-length": 100,
    "distributed.worker.memory.monitor-interval": "1s",
    "distributed.scheduler.active-memory-manager.start": False,
}
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


#: A function that worker processes can import, and its arguments.
Job = tuple[Any, ...]


class SchedulerLost(Exception):
    """The scheduler does not answer any more."""


class Crew:
    """Gives work to processes and takes back what they find; use as a context.

    Parameters
    ----------
    workers
        Local processes; counts only without ``scheduler``.
    scheduler
        Address of a running Dask scheduler (``tcp://host:8786``).

    Raises
    ------
    InputError
        If the scheduler cannot be reached.
    """

    def __init__(self, workers: int = 1, scheduler: str | None = None) -> None:
        self.workers, self.scheduler = workers, scheduler
        self._cluster: LocalCluster | None = None
        self._counted = -_COUNT_S

    def __enter__(self) -> Crew:
        """Start the processes, or connect."""
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        dask.config.set(_SETTINGS)
        if self.scheduler is None:
            for name in _THREADS:
                os.environ.setdefault(name, "1")
            self._cluster = LocalCluster(
                n_workers=self.workers, threads_per_worker=1, processes=True, dashboard_address=":0",
                silence_logs=logging.CRITICAL,
            )  # fmt: skip
        try:
            self._client = Client(self._cluster or self.scheduler, timeout=f"{_CONNECT_S}s", set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            found = f"{self.scheduler}: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
            raise InputError([Fault("--scheduler", "", found, "the address of a running scheduler")]) from None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Stop the processes, or disconnect."""
        self._client.close(timeout=5)
        if self._cluster is not None:
            self._cluster.close(timeout=10)

    def each(self, jobs: Iterable[Job | None]) -> Iterator[tuple[Job, Any, str]]:
        """Run every job, a few ahead of the workers; yield job, result and trouble as they end.

        Parameters
        ----------
        jobs
            A function that worker processes can import, and its arguments; taken only when a worker is about
            to be free. None where the next one is not known before another ends.

        Raises
        ------
        SchedulerLost
            If the connection to the scheduler ends.
        """
        source = iter(jobs)
        under_way: dict[Any, Job] = {}
        ended = as_completed(loop=self._client.loop)
        try:
            while True:
                while len(under_way) < self._room() and (job := next(source, None)) is not None:
                    future = self._client.submit(*job, pure=False)
                    under_way[future] = job
                    ended.add(future)
                if not under_way:
                    return
                future = next(ended)
                outcome = self._outcome(future)
                if outcome is None:
                    ended.add(future)
                    continue
                yield under_way.pop(future), *outcome
                future.release()
        finally:
            if under_way:
                self._client.cancel(list(under_way), force=True)

    def _room(self) -> int:
        """Cases that may be under way; workers of a running cluster come and go, so they are counted now and then."""
        if self._cluster is None and time.monotonic() - self._counted > _COUNT_S:
            try:
                self.workers = max(1, len(self._client.nthreads()))
            except (OSError, RuntimeError, TimeoutError) as error:
                raise SchedulerLost(type(error).__name__) from None
            self._counted = time.monotonic()
        return _AHEAD * self.workers

    def _outcome(self, future: Any) -> tuple[Any, str] | None:
        """Result, or None and one sentence on what went wrong with this case alone; None when it is not here yet."""
        if future.status == "cancelled" or self._client.status in ("closed", "connecting"):
            raise SchedulerLost("its connection ended")
        try:
            return future.result(timeout=_FETCH_S), ""
        except distributed.scheduler.KilledWorker:
            return None, f"the process that solved it died {_TRIES + 1} times"
        except (CancelledError, distributed.comm.CommClosedError) as error:
            raise SchedulerLost(str(error) or type(error).__name__) from None
        except Exception as error:
            if isinstance(error, TimeoutError) and future.status != "error":
                return None  # the worker is slow to hand it over, or died with it and another one solves the case again
            text = str(error).splitlines()
            return None, f"{type(error).__name__}: {text[0][:300] if text else ''}"
