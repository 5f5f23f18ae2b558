"""Every ending of the command line: exit code, message, files; and never a traceback."""

from __future__ import annotations

import csv
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

import planner
from planner import cli, terminal
from planner.catalogue import TABLES
from planner.results import Plan
from planner.shipped import cases_dir
from planner.terminal import LiveLine, plain

HOSTILE = (
    "<script>alert(1)</script>",
    "=cmd()",
    "+1+1",
    "@sum(a1)",
    "-2+3",
    "[red]markup[/red] [/] [link=x]",
    "a\u202etxt.exe\u200f",
    "\U0001f525\U0001f468\u200d\U0001f469",
    "\x1b[2J\x1b[31mred",
    ":fire: {braces} %s \\n",
)
COMMAND = [sys.executable, "-c", "from planner.cli import main; main()"]


def planner_(*arguments: str, cwd: Path, limit_s: float = 90, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user would, in a folder of its own."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        cwd=cwd,
        env=os.environ | {"PYTHONUTF8": "1"} | environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=limit_s,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert "Traceback" not in done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def solved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """One plain run of the tiny case."""
    folder = tmp_path_factory.mktemp("solved")
    return folder, planner_("plan", "tiny", cwd=folder)


def own_case(folder: Path, **swaps: str) -> Path:
    """Copy the tiny case with pieces of text replaced."""
    for name in ("tiny.yaml", "tiny_costs.csv", "tiny_load.csv"):
        shutil.copy(cases_dir() / name, folder / name)
    path = folder / "tiny.yaml"
    text = path.read_text(encoding="utf-8")
    for old, new in swaps.items():
        assert old in text
        text = text.replace(old, new, 1)
    path.write_text(text, encoding="utf-8")
    return path


def test_plan_writes_and_shows(solved: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, done = solved
    assert done.returncode == 0, done.stderr
    out = folder / "out" / "tiny"
    assert Plan.model_validate_json((out / "plan.json").read_text(encoding="utf-8")).cost_musd == pytest.approx(2.74)
    for words in ("2.74 million USD", "What to buy", "block-a", "block-b", "load x hours", "cell ownership", "yard"):
        assert words in done.stdout
    assert "\x1b" not in done.stdout + done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 100
    assert "verifying" in done.stderr
    assert not [p for p in out.iterdir() if p.name.startswith(".")]


def test_tables_agree_with_the_plan(solved: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    out = solved[0] / "out" / "tiny"
    plan = json.loads((out / "plan.json").read_text(encoding="utf-8"))
    assert {p.stem for p in out.glob("*.csv")} == {p.stem for p in out.glob("*.parquet")}
    for name in ("orders", "placements", "zone_options", "retirements", "reliability", "fire"):
        assert (
            pd.read_parquet(out / f"{name}.parquet").to_dict("records")
            == [{k: (float("nan") if v is None else v) for k, v in row.items()} for row in plan[name]]
            or name == "fire"
        )
        assert len(pd.read_csv(out / f"{name}.csv")) == len(plan[name])
    assert pd.read_parquet(out / "retirements.parquet").columns.tolist() == ["offer", "delivered", "year", "containers"]
    costs = pd.read_csv(out / "cost_breakdown.csv").set_index("item")["cost_musd"]
    assert costs.to_dict() == plan["cost_breakdown_musd"]
    assert costs.sum() == pytest.approx(plan["cost_musd"])
    rows = pd.read_parquet(out / "provenance.parquet")
    assert int(rows["in_plan"].sum()) == plan["provenance"]["data_rows_used"]
    assert set(rows["table"]) <= {t.table for t in TABLES} | {"defaults"}
    assert set(pd.read_csv(out / "verification.csv")["kind"]) >= {"residual", "finding", "monte_carlo"}


def test_second_run_replaces_the_first(solved: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, _ = solved
    before = {p.name for p in (folder / "out/tiny").iterdir()}
    done = planner_("plan", "tiny", "--quiet", "--audit", "--set", "load.delay_usd_per_mw_yr=1", cwd=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert {p.name for p in (folder / "out/tiny").iterdir()} == before


def test_json_is_the_plan_and_nothing_else(tmp_path: Path) -> None:
    done = planner_("plan", "tiny", "--json", "--out", "here/deep", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout == (tmp_path / "here/deep/plan.json").read_text(encoding="utf-8")
    assert Plan.model_validate_json(done.stdout).status in ("optimal", "gap_limit")
    assert "verifying" in done.stderr


def test_every_fault_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    done = planner_(
        "plan", "tiny", "--set", "lod.x=1", "--set", "finance.discount_rate_frac=7", "--gap", "nan",
        "--time-limit", "-1", "--out", "file/below", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stdout == ""
    for words in ("lod", "--gap", "--time-limit", "--out", "no folder"):
        assert words in done.stderr
    assert (tmp_path / "file").read_text() == "kept"
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check", "nosuch"], "no such file"),
        (["check", "."], "found"),
        (["check"], "Missing argument"),
        (["plan", "tiny", "--gap", "wide"], "--gap"),
        (["plan", "tiny", "--foo"], "--foo"),
        (["nonsense"], "nonsense"),
        (["check", "tiny", "--set", "broken"], "key.path=value"),
        (["check", "tiny", "--set", "title=" + "x" * 10_000], "200 characters"),
        (["check", "\x1b[31m\u202e"], "\\x1b"),
    ],
)
def test_bad_input(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert ending(*arguments, monkeypatch=monkeypatch) == 2
    said = capsys.readouterr()
    assert words in said.err
    assert "\x1b" not in said.err
    assert "Traceback" not in said.err
    assert len(said.err) < 5000
    assert said.out == ""


def test_bad_input_as_json(tmp_path: Path) -> None:
    done = planner_("check", "tiny", "--json", "--set", "a=1", "--set", "b=2", cwd=tmp_path)
    assert done.returncode == 2
    assert [f["file"] for f in json.loads(done.stdout)["faults"]] == ["--set", "--set"]


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    done = planner_("plan", "tiny", "--out", "/proc/nothing", cwd=tmp_path)
    assert done.returncode == 2
    assert "/proc" in done.stderr
    assert "relaxation" not in done.stderr


def test_check(tmp_path: Path) -> None:
    done = planner_("check", "tiny", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("tiny: no fault")
    answer = json.loads(planner_("check", "tiny", "--json", cwd=tmp_path).stdout)
    assert (answer["status"], answer["impossible"]) == ("ok", [])
    assert list(tmp_path.iterdir()) == []


LIMIT = "exposure_limits={cell_ownership: {max_frac: 0.5}}"


def test_impossible_is_3(tmp_path: Path) -> None:
    done = planner_("check", "tiny", "--set", LIMIT, cwd=tmp_path)
    assert done.returncode == 3
    assert "exposure_limits.cell_ownership" in done.stdout


def test_infeasible_names_the_rules(tmp_path: Path) -> None:
    done = planner_("plan", "tiny", "--json", "--set", LIMIT, cwd=tmp_path)
    assert done.returncode == 3
    answer = json.loads(done.stdout)
    assert answer["status"] == "infeasible"
    assert {"exposure_limits.cell_ownership", "reliability.service"} <= {c["rule"] for c in answer["clash"]}
    assert ["exposure_limits.cell_ownership"] in [w["rules"] for w in answer["ways_out"]]
    assert "the China-exposure limit" in done.stderr
    assert "Ways out" in done.stderr
    assert "cannot hold together" in done.stderr


def test_time_limit_without_a_plan_is_5(tmp_path: Path) -> None:
    done = planner_("plan", "utility-200mw", "--time-limit", "0.01", "--json", cwd=tmp_path)
    assert done.returncode == 5
    assert json.loads(done.stdout)["status"] == "no_plan"
    assert "time limit" in done.stderr


def interrupted(cwd: Path, after: str, wait_s: float, *arguments: str) -> tuple[int, str, str]:
    """Send Ctrl-C some time after a step was announced."""
    running = subprocess.Popen(
        [*COMMAND, *arguments], cwd=cwd, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert running.stderr is not None
    seen = ""
    while after not in seen:
        line = running.stderr.readline()
        assert line, f"ended without {after!r}: {seen}"
        seen += line
    time.sleep(wait_s)
    running.send_signal(signal.SIGINT)
    out, rest = running.communicate(timeout=60)
    assert "Traceback" not in seen + rest
    return running.returncode, out, seen + rest


def test_interrupt_before_a_plan_is_5(tmp_path: Path) -> None:
    code, out, err = interrupted(tmp_path, "relaxation", 0.0, "plan", "utility-200mw", "--json")
    assert code == 5
    assert json.loads(out)["status"] == "no_plan"
    assert "user" in err


def test_interrupt_keeps_the_plan(tmp_path: Path) -> None:
    arguments = ("plan", "utility-200mw", "--json", "--gap", "0", "--time-limit", "300")
    code, out, err = interrupted(tmp_path, "branch and bound", 1.0, *arguments)
    plan = Plan.model_validate_json(out)
    assert code == 4
    assert plan.status == "interrupted"
    assert plan.verification is not None
    assert plan.verification.passed
    assert f"{plan.gap_frac:.2%}" in err
    assert (tmp_path / "out/utility-200mw/plan.json").exists()


def test_interrupt_anywhere_else_is_5(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("planner.inputs.load_case", stopped)
    assert ending("plan", "tiny", monkeypatch=monkeypatch) == 5


def ending(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Exit code of ``main`` in this process."""
    monkeypatch.setattr(sys, "argv", ["planner", *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_defect_is_1_and_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("\x1b[2J secret")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("planner.pipeline.plan", broken)
    monkeypatch.delenv("PLANNER_DEBUG", raising=False)
    assert ending("plan", "tiny", monkeypatch=monkeypatch) == 1
    said = capsys.readouterr().err
    assert "KeyError" in said
    assert "PLANNER_DEBUG=1" in said
    assert "Traceback" not in said
    assert "\x1b" not in said
    monkeypatch.setenv("PLANNER_DEBUG", "1")
    assert ending("plan", "tiny", monkeypatch=monkeypatch) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(("status", "code"), [("unverified", 1), ("time_limit", 4), ("interrupted", 4), ("optimal", 0)])
def test_status_decides_the_exit_code(
    status: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = planner.plan(planner.load_case("tiny")).model_copy(update={"status": status})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("planner.pipeline.plan", lambda *_, **__: found)
    assert ending("plan", "tiny", "--quiet", monkeypatch=monkeypatch) == code
    assert json.loads((tmp_path / "out/tiny/plan.json").read_text())["status"] == status
    assert bool(capsys.readouterr().err) is (code != 0)


def test_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("planner.writing._write_parquet", full)
    assert ending("plan", "tiny", monkeypatch=monkeypatch) == 1
    said = capsys.readouterr()
    assert "No space left" in said.err
    assert "What to buy" in said.out
    assert list((tmp_path / "out/tiny").iterdir()) == []


def test_hostile_supplier_text_is_harmless(tmp_path: Path) -> None:
    """What a supplier writes reaches the terminal and the spreadsheet as text."""
    product = json.dumps(" ".join(HOSTILE)[:390], ensure_ascii=False)
    case = own_case(
        tmp_path,
        **{
            "like: fluence-gsp-us": f"like: fluence-gsp-us\n      product: {product}\n      document: '=cmd()'",
            "10 MW of constant load for 2 h from two own offers": json.dumps(
                " ".join(HOSTILE)[:190], ensure_ascii=False
            ),
        },
    )
    done = planner_("plan", str(case), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "[red]markup[/red]" in done.stdout
    assert not re.search("[\x1b\u202e\u200f\u200d]", done.stdout + done.stderr)
    out = tmp_path / "out" / "tiny"
    for path in out.glob("*.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.reader(file):
                for cell in row:
                    assert not cell.startswith(("=", "+", "@", "\t", "\r")), (path.name, cell)
                    assert not cell.startswith("-") or float(cell) <= 0
    title = json.loads((out / "plan.json").read_text(encoding="utf-8"))["title"]
    assert title.startswith("<script>")


def test_long_supplier_text_is_a_fault(tmp_path: Path) -> None:
    case = own_case(tmp_path, **{"like: fluence-gsp-us": f"like: fluence-gsp-us\n      product: {'x' * 10_000}"})
    done = planner_("check", str(case), cwd=tmp_path)
    assert done.returncode == 2
    assert "product" in done.stderr
    assert len(done.stderr) < 1000


def test_formula_guard_leaves_numbers_alone() -> None:
    from planner.writing import _csv_cell

    assert [_csv_cell(c) for c in (-1.5, -2, True, None, "-x", "\tx", "x=1")] == [
        "-1.5", "-2", "true", "", "'-x", "'\tx", "x=1",
    ]  # fmt: skip


def test_ascii_terminal(tmp_path: Path) -> None:
    done = planner_(
        "plan", "tiny", "--set", "title=\U0001f525 é", cwd=tmp_path, PYTHONUTF8="0", PYTHONIOENCODING="ascii"
    )
    assert done.returncode == 0, done.stderr
    assert "\\U0001f525" in done.stdout


def test_reader_that_goes_away(tmp_path: Path) -> None:
    shell = subprocess.run(
        [*COMMAND[:1], "-c", "import subprocess, sys; p = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE);"
         "p.stdout.close(); sys.exit(p.wait())", *COMMAND, "plan", "tiny", "--json"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert shell.returncode == 0, shell.stderr
    assert "Traceback" not in shell.stderr
    assert "BrokenPipe" not in shell.stderr


def test_schema_and_help(tmp_path: Path) -> None:
    assert "load" in json.loads(planner_("schema", cwd=tmp_path).stdout)["properties"]
    assert "check" in planner_("--help", cwd=tmp_path).stdout
    assert planner_("--version", cwd=tmp_path).stdout == f"planner {planner.__version__}\n"
    probe = (
        "import planner.cli, sys; sys.exit(any(m in sys.modules for m in ('numpy', 'pyomo', 'highspy', 'pydantic')))"
    )
    assert subprocess.run([sys.executable, "-c", probe], check=False).returncode == 0


def test_names_of_the_package() -> None:
    for name in planner.__all__:
        assert getattr(planner, name)
        assert name in dir(planner)
    with pytest.raises(AttributeError, match="nothing"):
        _ = planner.nothing  # type: ignore[attr-defined]


def test_live_line_knows_every_step_of_the_search() -> None:
    """A step that reports figures must be known, or its bound would be misread or lost."""
    steps, reporting = [""], set()
    planner.plan(
        planner.load_case("tiny"),
        note=steps.append,
        progress=lambda *_: reporting.add(steps[-1]),
    )
    assert reporting
    assert reporting <= set(terminal.STEPS)


def test_live_line_states_bound_and_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    line = LiveLine(quiet=True)
    line.note("relaxation")
    line.progress("outage rows", float("nan"), 97.0)
    line.note("whole containers")
    line.progress("branch and bound", 113.0, 109.0)
    assert "best found 113.0, bound 97.0 million USD, gap 14.16%" in line.line()
    line.note("branch and bound")
    line.progress("branch and bound", 107.0, 101.0)
    assert "best found 107.0, bound 101.0 million USD, gap 5.61%" in line.line()


def test_no_bound_that_is_reported_lies_above_the_plan() -> None:
    """Fixed decisions give bounds of a part of the question: they are not reported as bounds of it."""
    told: list[float] = []
    found = planner.plan(
        planner.load_case("utility-200mw"), gap_frac=0.05, progress=lambda step, best, bound: told.append(bound)
    )
    assert max(told) > 0.0
    assert max(told) <= found.cost_musd + 1e-6


def test_live_line_forgets_what_the_bound_rules_out() -> None:
    """A best solution of a problem that still lacked rows is no plan once the bound has passed it."""
    line = LiveLine(quiet=True)
    line.note("rough plan")
    line.progress("branch and bound", 92.0, 90.0)
    line.note("bound problem")
    line.progress("branch and bound", math.inf, 95.0)
    assert line.line().startswith("bound problem: bound 95.0 million USD")
    line.progress("branch and bound", 99.0, 95.5)
    assert "best in fractions of containers 99.0, bound 95.5" in line.line()


def test_plain_text() -> None:
    assert plain("a\tb\nc\x1b") == "a b c\\x1b"
    assert plain("x" * 300) == "x" * 237 + "..."
