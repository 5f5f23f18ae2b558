"""``planner study`` and ``planner study-report``: options to functions, endings to words."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TextIO

from planner.faults import Fault, InputError
from planner.study.engine import Counts, StudyResult, run_study
from planner.terminal import say
from planner.writing import make_folder, out_fault

_EVERY_S = 10.0


class CountLine:
    """Progress of a study on standard error: cases done, rate, time left, failures."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self.live = sys.stderr.isatty() and not quiet
        self._shown = 0.0

    def __call__(self, counts: Counts) -> None:
        """Show the counts, at most a few times a second on a terminal and every ten seconds elsewhere."""
        now = time.monotonic()
        if self.quiet or now - self._shown < (0.3 if self.live else _EVERY_S):
            return
        self._shown = now
        end = "\r" if self.live else "\n"
        print(f"{line(counts):<110}" if self.live else line(counts), end=end, file=sys.stderr, flush=True)


def line(counts: Counts) -> str:
    """One line: what is done, how fast, how long it will take, what failed."""
    if counts.read < counts.total and not counts.solved:
        return f"{counts.read:,} of {counts.total:,} cases read, {counts.reused:,} solved before"
    rate = counts.solved / max(counts.elapsed_s, 1e-9)
    pace = f"{60 * rate:.1f} a minute" if rate < 5 else f"{rate:.0f} a second"
    left = counts.left_s
    ahead = "" if left is None else f", {duration(left)} left"
    return (
        f"{counts.done:,} of {counts.total:,} cases: {counts.solved:,} solved ({pace}), {counts.reused:,} reused,"
        f" {counts.failed:,} failed{ahead}"
    )


def duration(seconds: float) -> str:
    """``45 s``, ``12 min``, ``3.4 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def study(
    name: str,
    out: Path,
    workers: int,
    scheduler: str | None,
    resume: bool,
    shared: Path | None,
    quiet: bool,
    as_json: bool,
    stream: TextIO,
) -> int:
    """Run a study; return the exit code."""
    faults = [f for f in [out_fault(out)] if f is not None]
    if not 1 <= workers <= 1024:
        faults.append(Fault("--workers", "", str(workers), "a number from 1 to 1024"))
    if faults:
        raise InputError(faults)
    make_folder(out)
    result = run_study(
        name, out=out, workers=workers, scheduler=scheduler, resume=resume, shared=shared, progress=CountLine(quiet)
    )
    return ending(result, quiet, as_json, stream)


def ending(result: StudyResult, quiet: bool, as_json: bool, stream: TextIO) -> int:
    """Say how a run ended, and return its exit code."""
    counts = result.counts
    answer = {
        "folder": str(result.folder), "cases": counts.total, "solved": counts.solved, "reused": counts.reused,
        "failed": counts.failed, "statuses": result.statuses, "stopped": result.stopped,
        "elapsed_s": round(counts.elapsed_s, 2), "solve_s": round(counts.solve_s, 2),
    }  # fmt: skip
    if as_json:
        print(json.dumps(answer, indent=1, ensure_ascii=False), file=stream)
    elif not quiet:
        words = ", ".join(f"{n:,} {status}" for status, n in result.statuses.items())
        print(f"{line(counts)}.\nEndings: {words or 'none'}.\nWritten to {result.folder}.", file=stream)
    if result.stopped:
        say(f"Ended early: {result.stopped}. What was solved is kept; --resume goes on from here.")
        return 4 if counts.solved + counts.reused else 5
    bad = result.statuses.get("failed", 0) + result.statuses.get("unverified", 0)
    if result.statuses.get("bad_input", 0) == counts.total:
        say("No case of the study could be read; the column reason of the table cases says why.")
        return 2
    return 1 if bad else 0


def report(folder: Path, quiet: bool, stream: TextIO) -> int:
    """Write the page of a study; return the exit code."""
    from planner.study.report import write_study_report  # noqa: PLC0415 - loads the drawing library

    try:
        path = write_study_report(folder)
    except OSError as error:
        raise InputError(
            [Fault(str(folder), "", error.strerror or str(error), "a folder that can be written")]
        ) from None
    if not quiet:
        print(f"Written to {path}.", file=stream)
    return 0
