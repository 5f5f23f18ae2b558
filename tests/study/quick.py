"""Work for the engine's tests: endings without a solver, as slow as a test wants them."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

from planner.study.expand import Question
from planner.study.work import Address, Answer, pack


def find(questions: list[Question]) -> list[Address]:
    made = []
    for q in questions:
        text = hashlib.sha256(repr((q.case, q.overlays, q.overrides)).encode()).hexdigest()
        made.append(Address(q.index, text[:40], text))
    return made


def answer(question: Question, address: str, known: object) -> Answer:
    """A record that depends on the question alone; ``QUICK_S`` says how long it takes, ``QUICK_LOG`` who did it."""
    log = os.environ.get("QUICK_LOG")
    if log:
        with Path(log).open("a") as file:
            file.write(f"{os.getpid()} {question.index}\n")
    time.sleep(float(os.environ.get("QUICK_S", "0")))
    record = {"address": address, "input_sha256": address, "plan": None, "rows": [], "choices": {}, "solve_s": 0.0}
    record |= {"status": "infeasible", "reason": f"number {question.index % 7}"}
    return Answer(address, "infeasible", pack(record), 0.0)
