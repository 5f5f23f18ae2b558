"""Run a study with the quick work: ``python -m tests.study.run_quick STUDY OUT WORKERS [SCHEDULER]``; resumes."""

from __future__ import annotations

import sys

from planner.study.engine import run_study
from tests.study.quick import answer, find

if __name__ == "__main__":
    study, out, workers, *scheduler = sys.argv[1:]
    result = run_study(
        study, out=out, workers=int(workers), scheduler=scheduler[0] if scheduler else None, resume=True,
        find=find, answer=answer,
    )  # fmt: skip
    print(result.counts.solved, result.counts.reused, result.counts.failed, result.stopped or "whole")
