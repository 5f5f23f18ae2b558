"""Orders completed to plans are the plans they came from; baselines break what they say; files and command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import openpyxl
import pandas as pd
import pytest

from planner.explain import Asked, Explanation, board, explain_plan
from planner.explain.baselines import counts_of, full_load_period, judged, rule_of_thumb
from planner.explain.board import Desk
from planner.explain.files import read_orders
from planner.explain.orders import complete
from planner.faults import InputError
from planner.inputs import load_case
from planner.pipeline import plan
from planner.problem import Problem
from planner.results import Plan
from planner.solve import Stop
from planner.verify import verify
from tests.properties.questions import CALM, lean
from tests.properties.test_monotone import CONTINGENT

COMMAND = [sys.executable, "-c", "from planner.cli import main; main()"]


def planner_(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*COMMAND, *arguments], cwd=cwd, env=os.environ | {"PYTHONUTF8": "1"}, capture_output=True, text=True,
        encoding="utf-8", timeout=120, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stdout + done.stderr
    return done


@pytest.mark.parametrize(
    "problem",
    [
        lean(),
        lean(**CONTINGENT),
        lean(reliability__contingencies={**CALM, "supplier": 0.31, "fire_group": 0.83}, policy__disputed="refuse"),
    ],
)
def test_orders_alone_give_the_plan_back(problem: Problem) -> None:
    """Load, credits, tiers, places and cost of an optimal plan follow from its orders: and it is verified anew."""
    best = plan(problem, gap_frac=0.0)
    again = complete(problem, counts_of(best), best.bound_musd)
    assert again.cost_musd == pytest.approx(best.cost_musd, rel=1e-7)
    assert again.served_mw == pytest.approx(best.served_mw, abs=1e-5)
    verdict = verify(problem, again, monte_carlo=False)
    assert verdict.passed, verdict.errors


def test_a_broken_plan_is_costed_and_names_what_it_breaks() -> None:
    """A ban, a minimum order and the contracted load are broken by one order of one container."""
    problem = lean(buyer="defence", offer_changes={"Alpha": {"min_order_mwh": 41.0}}, load__floor_mw={"2029-01": 4.1})
    best = plan(problem, gap_frac=0.01)
    desk = Desk(problem, best, Stop(60.0), "whole", 0.01, 10.0)
    row = judged(desk, "mine", "mine", "given", {("Alpha", "2029-01"): 1})
    assert not row.keeps_every_rule
    kinds = {text.partition(":")[0] for text in row.breaks}
    assert {"min_order", "served"} <= kinds
    assert row.delay_musd > 0
    assert row.cost_musd == pytest.approx(complete(problem, {("Alpha", "2029-01"): 1}).cost_musd)


def test_rule_of_thumb_by_hand() -> None:
    """Four hours of 10 MW are 40 MWh; blocks of 6 MWh are cheapest per kWh: 7 of them."""
    problem = load_case("tiny")
    assert rule_of_thumb(problem, plan(problem)) == {("block-b", "2028"): 7}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiny")
    assert planner_("plan", "tiny", "--quiet", "--set", "load.delay_usd_per_mw_yr=900000", cwd=path).returncode == 0
    return path


def test_command_answers_everything_from_the_folder_alone(folder: Path) -> None:
    """From another folder, without naming case or overrides: the plan carries them."""
    done = planner_("explain", str(folder / "out" / "tiny"), cwd=folder.parent)
    assert done.returncode == 0, done.stderr
    for words in ("why this plan", "Comparable prices", "What the rules cost", "Beside the plans", "142.50"):
        assert words in done.stdout
    out = folder / "out" / "tiny"
    found = Explanation.model_validate_json((out / "explain.json").read_text(encoding="utf-8"))
    assert {a.verdict for a in found.offers} == {"bought"}
    assert not found.unfinished
    for name in ("bridges", "offers", "thresholds", "rules", "ranges", "alternatives", "baselines", "orders"):
        table = pd.read_parquet(out / f"explain_{name}.parquet")
        assert len(table) == len(pd.read_csv(out / f"explain_{name}.csv"))
    assert len(pd.read_csv(out / "explain_rules.csv")) == len(found.rules)
    page = (out / "report.html").read_text(encoding="utf-8")
    assert 'data-offer="block-a"' in page
    assert "142.50" in page
    assert "Explain" in openpyxl.load_workbook(out / "report.xlsx").sheetnames


def test_answers_are_kept_and_a_run_goes_on(folder: Path) -> None:
    out = folder / "out" / "tiny"
    first = planner_("explain", str(out), "--offer", "block-a", "--afresh", "--json", cwd=folder)
    assert [a["offer"] for a in json.loads(first.stdout)["offers"]] == ["block-a"]
    again = planner_("explain", str(out), "--offer", "block-a", "--offer", "block-b", "--json", cwd=folder)
    assert [a["offer"] for a in json.loads(again.stdout)["offers"]] == ["block-a", "block-b"]
    assert "offer block-a" not in again.stderr
    assert "offer block-b" in again.stderr


def test_stopped_in_time_keeps_what_it_has_and_is_4(folder: Path) -> None:
    out = folder / "out" / "tiny"
    done = planner_("explain", str(out), "--afresh", "--time-limit", "1e-6", cwd=folder)
    assert done.returncode == 4
    found = Explanation.model_validate_json((out / "explain.json").read_text(encoding="utf-8"))
    assert "offer block-a" in found.unfinished
    assert found.bridges
    assert f"{len(found.unfinished)} questions were not answered" in (out / "report.html").read_text(encoding="utf-8")


def test_a_chapter_out_of_time_waits_for_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a chapter leaves is asked after the others, not dropped."""
    for chapter in ("first", "offers"):
        monkeypatch.setitem(board._PART, chapter, 0.0)
    problem, said = load_case("tiny"), list[str]()
    asked = Asked(every_offer=True, rules=("supply", "lead_time"))
    found = explain_plan(problem, plan(problem), asked, note=said.append)
    first = {what: min(i for i, text in enumerate(said) if text.startswith(what)) for what in ("offer", "rule")}
    assert first["rule"] < first["offer"]
    assert not found.unfinished
    assert {a.offer for a in found.offers} == {"block-a", "block-b"}
    assert all(a.priced and a.thorough for a in found.offers)
    rules = [text for text in said if text.startswith("rule")]
    assert rules == sorted(rules, key=lambda text: "eased" in text)  # each is dropped before any is eased


def test_baselines_are_compared_where_the_plan_is_at_full_load() -> None:
    best = plan(load_case("tiny"))
    late = best.model_copy(update={"served_mw": {"2030": 57.0, "2031": 200.0, "2032": 200.0}})
    assert full_load_period(late) == "2031"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--offer", "block-c"], "--offer"),
        (["--rule", "gravity"], "--rule"),
        (["--gap", "2"], "--gap"),
        (["--time-limit", "0"], "--time-limit"),
        (["--containers", "half"], "--containers"),
        (["--compare", "nowhere.csv"], "no such file"),
        (["--set", "load.delay_usd_per_mw_yr=1"], "another question"),
    ],
)
def test_bad_input_is_2(folder: Path, arguments: list[str], words: str) -> None:
    done = planner_("explain", str(folder / "out" / "tiny"), *arguments, cwd=folder)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr


def test_no_plan_is_2(tmp_path: Path) -> None:
    assert planner_("explain", str(tmp_path), cwd=tmp_path).returncode == 2
    (tmp_path / "plan.json").write_text("{}", encoding="utf-8")
    assert planner_("explain", str(tmp_path), cwd=tmp_path).returncode == 2


def test_compare_reads_a_plan_and_a_table(folder: Path) -> None:
    mine = folder / "mine.csv"
    mine.write_text("offer,period,containers\nblock-a,2028,5\n", encoding="utf-8")
    done = planner_(
        "explain", "out/tiny", "--compare", "mine.csv", "--compare", "out/tiny/plan.json", "--json", cwd=folder
    )
    assert done.returncode == 0, done.stderr
    rows = {b["baseline"]: b for b in json.loads(done.stdout)["baselines"]}
    assert rows["compare: mine.csv"]["cost_musd"] == pytest.approx(2.8)  # five at 400,000 USD, and 800,000 to qualify
    assert rows["compare: out/tiny/plan.json"]["extra_cost_musd"] == pytest.approx(0.0, abs=1e-6)
    assert rows["compare: out/tiny/plan.json"]["keeps_every_rule"]


def test_every_fault_of_a_table_at_once(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("offer,period,containers\nblock-x,2028,5\nblock-a,1999,1\nblock-b,2028,-3\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_orders(path, load_case("tiny"))
    assert [f.line for f in caught.value.faults] == [2, 3, 4]


def test_alternatives_are_plans_near_the_optimum_and_different() -> None:
    problem = lean(
        offer_changes={"Beta": {"power_mw": 1.23, "price": {2029: 231.0, 2032: 229.0}}}, site__generator_mw_max=5.0
    )
    best: Plan = plan(problem, gap_frac=0.0)
    found = explain_plan(problem, best, Asked(alternatives=True), gap_frac=0.001)
    assert found.alternatives
    assert found.alternatives[0].extra_frac < 0.019, "money is left lying: the cost limit is not a target"
    for a in found.alternatives:
        assert a.verified
        assert a.moved_frac >= 0.1
        assert best.cost_musd - 1e-6 <= a.cost_musd <= 1.02 * best.cost_musd + 1e-6
    if len(found.alternatives) < 5:
        assert "no further plan" in found.alternatives_text


def test_unknown_names_are_refused() -> None:
    problem = load_case("tiny")
    with pytest.raises(ValueError, match="block-c"):
        explain_plan(problem, plan(problem), Asked(offers=("block-c",)))
