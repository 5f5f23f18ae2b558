"""Run a study with the quick work: ``python -m tests.study.run_quick STUDY OUT WORKERS [SCHEDULER]``; resumes.

``QUICK_ROOM`` is the number of bytes after which the disk is full.
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

from planner.study import store
from planner.study.engine import run_study
from planner.writing import WRITING, write_whole
from tests.study.quick import answer, find


def fill_up(room: int) -> None:
    """Refuse every write beyond so many bytes, and leave half a file where a crash would."""

    def write(path: Path, content: bytes) -> None:
        nonlocal room
        room -= len(content)
        if room < 0:
            (path.parent / f"{WRITING}half").write_bytes(content[: len(content) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write_whole(path, content)

    store.write_whole = write


if __name__ == "__main__":
    study, out, workers, *scheduler = sys.argv[1:]
    if "QUICK_ROOM" in os.environ:
        fill_up(int(os.environ["QUICK_ROOM"]))
    result = run_study(
        study, out=out, workers=int(workers), scheduler=scheduler[0] if scheduler else None, resume=True,
        find=find, answer=answer,
    )  # fmt: skip
    print(result.counts.solved, result.counts.reused, result.counts.failed, result.stopped or "whole")
