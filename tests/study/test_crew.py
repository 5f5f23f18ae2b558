"""The crew: a result that is slow to come is waited for, and what a case itself does wrong is its own trouble."""

from __future__ import annotations

import gc
import time
from pathlib import Path
from typing import Any

import dask
import pytest

from planner import crew
from planner.crew import Crew
from planner.study.expand import expand
from planner.study.spec import Study
from planner.study.work import Start, addresses, solve


class Reluctant:
    """Takes its time to be handed over, the first two times; arrives as a text."""

    def __init__(self, log: Path) -> None:
        self.log = log

    def __reduce__(self) -> tuple[Any, ...]:
        with self.log.open("a") as file:
            file.write("asked\n")
        if len(self.log.read_text().splitlines()) <= 2:
            time.sleep(2.0)
        return str, ("handed over",)


def reluctant(log: Path) -> Reluctant:
    return Reluctant(log)


def late() -> None:
    raise TimeoutError("the solver was late")


def quick(number: int) -> int:
    return number


def test_a_result_that_is_slow_to_fetch_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "_FETCH_S", 0.5)
    log = tmp_path / "asked.txt"
    with Crew(1) as one:
        found = list(one.each([(reluctant, log), (late,)]))
    assert len(log.read_text().splitlines()) >= 2
    assert sorted((job[0].__name__, result, trouble) for job, result, trouble in found) == [
        ("late", None, "TimeoutError: the solver was late"),
        ("reluctant", "handed over", ""),
    ]


def test_jobs_that_become_known_when_others_end() -> None:
    """None says that the next job is not known yet; the end of another makes it known."""
    ended: list[int] = []

    def jobs() -> Any:
        yield quick, 7
        while 7 not in ended:
            yield None
        yield quick, 9

    with Crew(1) as one:
        for (_, number), result, trouble in one.each(jobs()):
            assert (result, trouble) == (number, "")
            ended.append(number)
    assert ended == [7, 9]


def test_workers_do_not_sample_themselves() -> None:
    """Settings reach the processes; samples of an hour would stay in their memory."""
    keys = ["distributed.worker.profile.enabled", "distributed.admin.tick.interval"]
    with Crew(1) as one:
        found = {job[1]: result for job, result, _ in one.each([(dask.config.get, key) for key in keys])}
    assert found == {keys[0]: False, keys[1]: "1s"}


def test_a_solve_leaves_nothing_to_collect() -> None:
    """A first case and a neighbour: circles of a solve (over a thousand objects) are gone when its answer is there."""
    asked = expand(
        Study.model_validate({"study": "s", "cases": ["tiny"], "grid": {"load.delay_usd_per_mw_yr": [1e6, 2e6]}})
    )
    gc.disable()
    try:
        for question, found in zip(asked, addresses(asked), strict=True):
            solve(question, found.address, Start())
            assert gc.collect() < 100
    finally:
        gc.enable()
        gc.unfreeze()
