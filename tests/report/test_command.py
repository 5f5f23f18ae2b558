"""``planner report``: from the files of a folder, again and again, and one message for a bad one."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import planner
from planner.faults import Fault, InputError
from planner.report import left_aside_words, write_report
from planner.report.captions import lost_words
from planner.report.chain import evaluate
from planner.report.pack import read_pack
from planner.report.wording import BAN, harmless, number, percent, period, with_bans, with_names
from tests.report.folders import plan_of

POINT = '{"measure": "value", "points": [{"cost_musd": 1, "exposure_frac": 0, "plan": "%s"}]}'
COMMAND = [sys.executable, "-c", "from planner.cli import main; main()"]


def report(folder: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*COMMAND, "report", str(folder)], capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stdout + done.stderr
    return done


def test_written_again_from_the_folder_alone(tiny_folder: Path, tmp_path: Path) -> None:
    first = (tiny_folder / "report.html").read_bytes()
    for name in ("plan.json", "provenance.parquet"):
        shutil.copy(tiny_folder / name, tmp_path / name)
    done = report(tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "report.html").read_bytes() == first
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "plan.json", "provenance.parquet", "report.html", "report.xlsx",
    ]  # fmt: skip


def test_a_front_without_a_plan_of_its_own(front_folder: Path, tmp_path: Path) -> None:
    for path in front_folder.glob("*.json"):
        if path.name != "plan.json":
            shutil.copy(path, tmp_path / path.name)
    pack = read_pack(tmp_path)
    assert pack.plan.cost_musd == min(p.cost_musd for p in pack.front_plans if p is not None)
    assert [p.exposure_frac for p in pack.front.points] == sorted(
        (q.exposure_frac for q in pack.front.points), reverse=True
    )
    write_report(tmp_path)
    text = (tmp_path / "report.html").read_text("utf-8")
    assert "This folder holds no table of data rows" in text
    # a front is explained once the case is planned beside it, with the overrides of the cheapest point
    assert "planner plan utility-200mw --out DIR &amp;&amp; planner explain DIR" in text


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("plan.json", "{", "plan.json"),
        ("plan.json", '{"case": 3}', "orders"),
        ("plan.json", "[" * 100_000, "plan.json"),
        ("provenance.parquet", "no table", "provenance.parquet"),
    ],
)  # fmt: skip
def test_broken_folders_are_told(file: str, text: str, words: str, tiny_folder: Path, tmp_path: Path) -> None:
    shutil.copy(tiny_folder / "plan.json", tmp_path / "plan.json")
    (tmp_path / file).write_text(text, encoding="utf-8")
    done = report(tmp_path)
    assert done.returncode == 2
    assert words in done.stderr
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("frontier.json", '{"measure": "value", "points": []}', "points"),
        ("frontier.json", POINT % "../x", "same folder"),
        ("frontier.json", POINT % "no.json", "no.json"),
        ("explain.json", "{", "explain.json"),
        ("explain.json", "\x00" * 9, "explain.json"),
        ("explain.json", '{"offers": 3}', "explain.json: offers"),
        ("regret.json", '{"study": 3}', "regret.json"),
    ],
)  # fmt: skip
def test_what_lies_broken_beside_a_plan_is_told_and_left_aside(
    file: str, text: str, words: str, tiny_folder: Path, tmp_path: Path
) -> None:
    for name in ("plan.json", "provenance.parquet"):
        shutil.copy(tiny_folder / name, tmp_path / name)
    (tmp_path / file).write_text(text, encoding="utf-8")
    aside: list[Fault] = []
    write_report(tmp_path, left_aside=aside)
    assert words in left_aside_words(aside)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert ("explain.json cannot be read" in page) == (file == "explain.json")
    assert 'id="explorer"' not in page
    assert (tmp_path / "report.xlsx").exists()
    assert (tmp_path / file).read_text("utf-8") == text  # it is the user's to look at


def test_a_broken_explanation_does_not_stop_a_plan_nor_a_report(tmp_path: Path) -> None:
    """One message, whatever the command; the plan ends as it would, the report says that its folder is not whole."""
    (tmp_path / "explain.json").write_text("{", encoding="utf-8")
    done = subprocess.run(
        [*COMMAND, "plan", "tiny", "--quiet", "--out", str(tmp_path)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("The report goes without what could not be read") == 1
    assert "explain.json" in done.stderr
    assert "Traceback" not in done.stderr
    (tmp_path / "report.html").unlink()
    again = report(tmp_path)
    assert again.returncode == 2
    assert again.stderr.count("The report goes without what could not be read") == 1
    assert (tmp_path / "report.html").exists()


def test_folders_without_a_result(tmp_path: Path, tiny_folder: Path) -> None:
    assert report(tmp_path).returncode == 2
    assert report(tmp_path / "nothing").returncode == 2
    old = plan_of(tiny_folder)
    del old["dossier"]
    (tmp_path / "plan.json").write_text(json.dumps(old), encoding="utf-8")
    with pytest.raises(InputError, match="plan the case again"):
        read_pack(tmp_path)


def test_losses_are_named(tiny_folder: Path) -> None:
    plan = read_pack(tiny_folder).plan
    assert lost_words(plan, plan.dossier.awards[0].offer) == plan.dossier.awards[0].name
    assert lost_words(plan, "lfp") == "LFP"
    assert lost_words(plan, "ford-glendale") == "Ford Glendale"
    assert lost_words(plan, "GM-LG Ultium") == "GM-LG Ultium"
    names = {"block-a": "Alpha One", "block-a-2": "Beta"}
    told = with_names("12 MWh more of block-a, none of block-a-2; Alpha One (block-a) and no-block-a stay", names)
    assert told == "12 MWh more of Alpha One, none of Beta; Alpha One (block-a) and no-block-a stay"
    assert with_names("block-a", {}) == "block-a"
    assert with_bans("ban: usc10-4865, control-software (2030)") == (
        "ban: 10 USC 4865, control software that answers to China (2030)"
    )
    assert BAN.keys() == {row.ban for row in planner.load_case("defence-50mw").tables.bans}


def test_words_and_numbers() -> None:
    assert number(-1234.56, 1) == "\u22121,234.6"
    assert number(-0.001, 2) == "0.00"
    assert number(None) == "\u2013"
    assert percent(0.1234) == "12.3\u00a0%"
    assert period("2033-01..2036-12") == "2033\u20132036"
    assert period("2033-02..2036-12") == "2033-02..2036-12"
    assert harmless("a\u202eb\x1bc\ud800") == "a\\u202eb\\x1bc\\ud800"
    assert len(harmless("x" * 10_000)) == 2000
    assert evaluate("-a * (b + 2) / 4", {"a": 3.0, "b": 5.0}) == -5.25
    with pytest.raises(ValueError, match="no part"):
        evaluate("abs(a)", {"a": 1.0})
