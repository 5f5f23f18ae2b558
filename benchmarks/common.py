"""Timing, peak memory and plain tables for the benchmark scripts.

Every measured solve runs in a process of its own (spawned, so nothing is inherited). The
clock starts after ``prepare``: imports and the reading of files do not count. Peak memory
is that of the whole process, imports included.
"""

from __future__ import annotations

import contextlib
import gc
import math
import multiprocessing
import os
import platform
import resource
import statistics
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

Work = Callable[[Any], dict[str, Any]]
ROOT = Path(__file__).resolve().parents[1]
#: Seconds that preparation may take, and that a solver may overrun its own time limit.
PREPARE_S = 300.0
GRACE_S = 15.0
#: Work that is done sooner is done REPEATS times, and the medians count.
SHORT_S = 0.5
REPEATS = 5
_BUSY_FRAC = 0.85


@dataclass
class Measured:
    """What one run left: ``status`` is ok, limit, memory or failed."""

    status: str
    seconds: float
    cpu_s: float | None = None
    peak_mb: float | None = None
    ready_mb: float | None = None
    out: dict[str, Any] = field(default_factory=dict)
    error: str = ""

    @property
    def ok(self) -> bool:
        """Whether the work came to its end."""
        return self.status == "ok"


def memory_mb(pid: int | str = "self") -> float | None:
    """Peak resident memory of a process.

    ``VmHWM`` where there is one: ``ru_maxrss`` of a spawned process starts at its parent's.
    """
    status = Path(f"/proc/{pid}/status")
    try:
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    except OSError:
        if pid != "self":
            return None
    unit = 1024**2 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def _cpu_s(pid: int) -> float | None:
    """CPU time of another process; Linux only."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(
    prepare: Callable[..., Any], work: Work, args: tuple[Any, ...], limit_s: float, memory_gb: float = 12.0
) -> Measured:
    """Time ``work(prepare(*args))`` in a new process, ended at ``limit_s`` seconds of work.

    ``work`` returns a dictionary of plain values. Both must be top-level functions.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(there, prepare, work, args, memory_gb), daemon=True)
    child.start()
    there.close()
    try:
        first = _receive(here, PREPARE_S)
        if not isinstance(first, float):
            return first or Measured("failed", 0.0, error="preparation took too long or died")
        began = time.perf_counter()
        last = _receive(here, limit_s)
        if last is not None:
            return last
        seconds = time.perf_counter() - began
        if child.is_alive() and seconds >= limit_s:
            cpu = _cpu_s(child.pid or 0)
            return Measured("limit", limit_s, cpu and cpu - first, memory_mb(child.pid or 0))
        return Measured("memory", seconds, error="the process died, most likely for want of memory")
    finally:
        if child.is_alive():
            child.kill()
        child.join()
        here.close()


def _receive(pipe: Connection, seconds: float) -> Any:
    """Next message, or None at the time limit or when the other side is gone."""
    try:
        return pipe.recv() if pipe.poll(seconds) else None
    except EOFError:
        return None


def _medians(work: Work, ready: Any, known: list[tuple[float, float]]) -> tuple[float, float]:
    """Wall and CPU seconds in the middle of ``REPEATS`` runs."""
    while len(known) < REPEATS:
        started, cpu = time.perf_counter(), time.process_time()
        work(ready)
        known.append((time.perf_counter() - started, time.process_time() - cpu))
    return statistics.median(s for s, _ in known), statistics.median(c for _, c in known)


def _child(pipe: Connection, prepare: Callable[..., Any], work: Work, args: tuple[Any, ...], gb: float) -> None:
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (int(gb * 2**30),) * 2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # solvers' banners
    started = time.perf_counter()
    try:
        ready = prepare(*args)
        gc.collect()
        ready_mb = memory_mb()
        cpu = time.process_time()
        pipe.send(cpu)
        started = time.perf_counter()
        out = work(ready)
        seconds, cpu_s = time.perf_counter() - started, time.process_time() - cpu
        if seconds < SHORT_S:  # too short to be told from noise
            seconds, cpu_s = _medians(work, ready, [(seconds, cpu_s)])
        pipe.send(Measured("ok", seconds, cpu_s, memory_mb(), ready_mb, out))
    except MemoryError:
        pipe.send(Measured("memory", time.perf_counter() - started, peak_mb=memory_mb()))
    except BaseException as error:
        text = "".join(traceback.format_exception_only(error)).strip()
        if os.environ.get("BENCHMARK_TRACEBACK"):
            traceback.print_exc()
        pipe.send(Measured("failed", time.perf_counter() - started, peak_mb=memory_mb(), error=text))


# -- what is printed --------------------------------------------------------------------


def header(title: str, seed: int, packages: Iterable[str] = ()) -> None:
    """Say what runs, on what, with which seed and versions."""
    print(title)
    names = ("storage-portfolio-planner", "highspy", "pyomo", "numpy", *packages)
    print("versions:", ", ".join(f"{name} {_version(name)}" for name in names), f"python {platform.python_version()}")
    machine = f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}"
    print(f"machine: {machine}; one solver thread in every run", f"seed {seed}\n", sep="; ", flush=True)


def _version(name: str) -> str:
    with contextlib.suppress(PackageNotFoundError):
        return version(name)
    return "missing"


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Plain columns: text to the left, the rest to the right."""
    cells = [[str(v) for v in row] for row in rows]
    widths = [max(len(r[i]) for r in [list(heads), *cells]) for i in range(len(heads))]
    left = [all(not r[i][:1].isdigit() for r in cells) for i in range(len(heads))]
    for line in [list(heads), ["-" * w for w in widths], *cells]:
        padded = [t.ljust(w) if x else t.rjust(w) for t, w, x in zip(line, widths, left, strict=True)]
        print("  ".join(padded).rstrip())
    print(flush=True)


def number(value: float | None, digits: int = 3) -> str:
    """A few significant digits, no exponent; a dash for nothing."""
    if value is None:
        return "-"
    places = max(0, digits - 1 - math.floor(math.log10(max(abs(value), 0.1))))
    return f"{value:,.{places}f}"


def spent(run: Measured) -> str:
    """Seconds of a run, or why there are none."""
    if run.ok:
        return number(run.seconds)
    return f"> {number(run.seconds)}" if run.status == "limit" else run.status


def ratio(other: float | None, ours: float | None, at_least: bool = False) -> str:
    """How many times ours; ``at_least`` when the other one was stopped."""
    if other is None or ours is None or ours <= 0:
        return "-"
    return f"{'> ' if at_least else ''}{number(other / ours)}x"


def say_busy(runs: Iterable[Measured]) -> None:
    """Warn when the machine was shared while a run lasted."""
    slow = [r for r in runs if r.seconds > 1 and r.cpu_s is not None and r.cpu_s < _BUSY_FRAC * r.seconds]
    if slow:
        worst = min(r.cpu_s / r.seconds for r in slow if r.cpu_s is not None)
        print(f"note: {len(slow)} runs had less than a whole core (lowest {worst:.0%}): their wall times are too long")


def progress(text: str) -> None:
    """One line on stderr while the table is still being measured."""
    print(f"  .. {text}", file=sys.stderr, flush=True)
