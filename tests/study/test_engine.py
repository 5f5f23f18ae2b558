"""The engine: same rows whatever the workers, and nothing lost when client, worker or scheduler dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from planner.answers import Regret
from planner.study import reading

ROOT = Path(__file__).resolve().parents[2]
QUICK = """
study: quick
cases: [tiny]
scenarios: {base: [], cut: [export-cut-off]}
grid: {reliability.reserve_frac: [1.0, 0.9, 0.8], load.delay_usd_per_mw_yr: [1, 2, 3, 4, 5]}
"""
REAL = """
study: real
cases: [tiny]
scenarios: {base: [], small: [load-small], long: [backup-8h]}
grid: {reliability.reserve_frac: [1.0, 0.9]}
limits: {measure: cell, max_frac: [null, 0]}
regret: {until: 2028-01, scenarios: [base, long]}
"""


def environment(**more: str) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"} | more


def start(*words: str, **more: str) -> subprocess.Popen[str]:
    how = ["-c", "from planner.cli import main; main()"] if words[0] == "planner" else ["-m", words[0]]
    return subprocess.Popen(
        [sys.executable, *how, *words[1:]], cwd=ROOT, env=environment(**more), text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip


def finish(process: subprocess.Popen[str], code: int = 0) -> str:
    out, errors = process.communicate(timeout=600)
    assert process.returncode == code, out + errors
    return out


def wait_for(what: Callable[[], bool], seconds: float = 300.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def rows(folder: Path) -> dict[str, pd.DataFrame]:
    return {n: pd.read_parquet(folder / n) for n in ("cases", "orders", "vintages", "contingencies")}


def same(a: Path, b: Path) -> None:
    for (name, left), right in zip(rows(a).items(), rows(b).values(), strict=True):
        pd.testing.assert_frame_equal(left, right, obj=name)


@pytest.fixture(scope="module")
def quiet_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An undisturbed run of the quick study: the study file and the folder."""
    here = tmp_path_factory.mktemp("quick")
    (here / "quick.yaml").write_text(QUICK)
    assert (
        finish(start("tests.study.run_quick", str(here / "quick.yaml"), str(here / "out"), "1")).strip()
        == "30 0 0 whole"
    )
    return here / "quick.yaml", here / "out"


def test_real_cases_are_the_same_with_one_and_two_workers(tmp_path: Path) -> None:
    study = tmp_path / "real.yaml"
    study.write_text(REAL)
    one = start("planner", "study", str(study), "--out", str(tmp_path / "1"), "--workers", "1", "--quiet")
    finish(one)
    finish(start("planner", "study", str(study), "--out", str(tmp_path / "2"), "--workers", "2", "--quiet"))
    same(tmp_path / "1", tmp_path / "2")
    cases = rows(tmp_path / "1")["cases"]
    assert len(cases) == 3 * 2 * 2 + 4
    # by hand (cases/README.md): 2.74; the plan of base stays the best one for base
    assert cases.loc[cases["name"] == "tiny/base/p0/cell<=any", "cost_musd"].item() == pytest.approx(2.74)
    assert cases.loc[cases["name"] == "tiny/base/plan of base", "cost_musd"].item() == pytest.approx(2.74)
    assert set(cases["status"]) <= {"optimal", "gap_limit", "infeasible"}
    # two engines read it without us, and agree
    found = duckdb.sql(f"select count(*), sum(cost_musd) from '{tmp_path}/1/cases/*.parquet'").fetchall()[0]
    assert found[0] == len(cases)
    assert found[1] == pytest.approx(cases["cost_musd"].sum())
    finish(start("planner", "study-report", str(tmp_path / "1"), "--quiet"))
    assert "Which plan is regretted least" in (tmp_path / "1" / "study.html").read_text()
    regret = Regret.model_validate_json((tmp_path / "1" / "regret.json").read_text())
    (table,) = reading.regrets(reading.read_results(tmp_path / "1"))
    (told,) = regret.cases
    assert (told.case, told.least_worst, list(told.futures)) == (table.case, table.minimax, list(table.regret_musd))
    assert {c.plan_of: c.worst_musd for c in told.candidates} == {
        name: (value if np.isfinite(value) else None) for name, value in table.worst_musd.items()
    }
    # another study that shares the folder of solved cases solves nothing
    again = start(
        "planner",
        "study",
        str(study),
        "--out",
        str(tmp_path / "3"),
        "--shared",
        str(tmp_path / "1" / "solved"),
        "--json",
    )
    told = json.loads(finish(again))
    assert (told["solved"], told["failed"], told["reused"]) == (0, 0, 16)
    same(tmp_path / "1", tmp_path / "3")


def test_killed_client_resumes_to_the_same_rows(quiet_run: tuple[Path, Path], tmp_path: Path) -> None:
    study, whole = quiet_run
    client = start("tests.study.run_quick", str(study), str(tmp_path / "out"), "1", QUICK_S="0.3")
    wait_for(lambda: len(list((tmp_path / "out").glob("solved/*/*.json.gz"))) >= 4)
    client.send_signal(signal.SIGKILL)
    client.communicate()
    told = finish(start("tests.study.run_quick", str(study), str(tmp_path / "out"), "1")).split()
    assert int(told[0]) <= 26
    assert int(told[1]) >= 4
    same(whole, tmp_path / "out")


@contextmanager
def cluster(log: Path, port: int = 0) -> Iterator[tuple[str, list[subprocess.Popen[str]]]]:
    """A real scheduler and two workers on loopback."""
    address = log.parent / f"scheduler-{port}.json"
    words = ["distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
    crew = [start(*words, "--scheduler-file", str(address))]
    try:
        wait_for(address.exists)
        for _ in range(2):
            more = ["--scheduler-file", str(address), "--nthreads", "1", "--no-nanny", "--no-dashboard"]
            crew.append(start("distributed.cli.dask_worker", *more, QUICK_LOG=str(log), QUICK_S="0.2"))
        yield json.loads(address.read_text())["address"], crew
    finally:
        for process in crew:
            process.kill()
            process.communicate()


def test_killed_worker_loses_no_case(quiet_run: tuple[Path, Path], tmp_path: Path) -> None:
    study, whole = quiet_run
    log = tmp_path / "who.txt"
    with cluster(log) as (address, crew):
        client = start("tests.study.run_quick", str(study), str(tmp_path / "out"), "1", address)
        wait_for(lambda: log.exists() and len(log.read_text().splitlines()) >= 6)
        crew[1].send_signal(signal.SIGKILL)
        assert finish(client).strip() == "30 0 0 whole"
    same(whole, tmp_path / "out")


def test_restarted_scheduler_loses_no_case(quiet_run: tuple[Path, Path], tmp_path: Path) -> None:
    """The run ends when its scheduler dies; another one at the same address goes on from what was solved."""
    study, whole = quiet_run
    log = tmp_path / "who.txt"
    with cluster(log) as (address, crew):
        client = start("tests.study.run_quick", str(study), str(tmp_path / "out"), "1", address)
        wait_for(lambda: log.exists() and len(log.read_text().splitlines()) >= 6)
        crew[0].send_signal(signal.SIGKILL)
        assert "scheduler was lost" in finish(client)
    kept = rows(tmp_path / "out")["cases"].shape[0]
    assert kept < 30
    with cluster(log, int(address.rsplit(":", 1)[1])) as (again, _):
        assert again == address
        solved, reused, failed, ending = finish(
            start("tests.study.run_quick", str(study), str(tmp_path / "out"), "1", address)
        ).split()
    assert (int(solved) + int(reused), failed, ending) == (30, "0", "whole")
    # What a worker had begun may not have reached the client; what had is never solved again.
    assert int(reused) >= max(1, kept)
    same(whole, tmp_path / "out")


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Callable[[str], None]]:
    """A disk in memory of a given size; what is lent makes it larger. Skips where nothing may be mounted."""
    folder.mkdir()
    try:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True, capture_output=True
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no disk may be mounted here")
    try:
        yield lambda more: subprocess.run(["mount", "-o", f"remount,size={more}", str(folder)], check=True) and None
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def full_and_resumed(study: Path, whole: Path, out: Path, room: Callable[[], None], **how: str) -> None:
    told = finish(start("tests.study.run_quick", str(study), str(out), "1", **how))
    assert "could not be written: No space left on device" in told
    solved = int(told.split()[0])
    assert 0 < solved < 30
    read = pd.concat([pd.DataFrame(), *map(pd.read_parquet, out.glob("cases/*.parquet"))])  # what is there is readable
    assert len(read) <= solved
    for left in out.rglob(".writing-*"):
        os.utime(left, (0, 0))  # as old as a crash of another day
    room()
    more, reused, failed, ending = finish(start("tests.study.run_quick", str(study), str(out), "1")).split()
    assert (int(more) + int(reused), failed, ending) == (30, "0", "whole")
    assert int(reused) > 0
    same(whole, out)
    assert not list(out.rglob(".writing-*"))


def test_full_disk_loses_no_case(quiet_run: tuple[Path, Path], tmp_path: Path) -> None:
    study, whole = quiet_run
    with small_disk(tmp_path / "disk", "120k") as enlarge:
        full_and_resumed(study, whole, tmp_path / "disk" / "out", lambda: enlarge("8m"))


def test_refused_writes_lose_no_case(quiet_run: tuple[Path, Path], tmp_path: Path) -> None:
    """The same where nothing may be mounted: every write after the first bytes is refused, half of it on the disk."""
    study, whole = quiet_run
    full_and_resumed(study, whole, tmp_path / "out", lambda: None, QUICK_ROOM="5000")


def test_a_folder_of_another_study_is_refused(quiet_run: tuple[Path, Path], tmp_path: Path) -> None:
    from planner.faults import InputError
    from planner.study.engine import run_study

    study, whole = quiet_run
    with pytest.raises(InputError, match="--resume"):
        run_study(study, out=whole)
    other = tmp_path / "other.yaml"
    other.write_text(QUICK.replace("quick", "other"))
    with pytest.raises(InputError, match="another study"):
        run_study(other, out=whole, resume=True)
