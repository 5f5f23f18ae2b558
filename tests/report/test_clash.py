"""The page of a case that has no plan, in a real browser."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import planner
from planner.checks import Checks
from planner.infeasible import Clash, Diagnosis, WayOut, diagnose
from planner.plancommand import PlanWish
from planner.report.clash import clash_html, write_clash
from planner.solve import NoPlan
from planner.writing import _TABLES, write_plan
from tests.report.folders import HOSTILE

OVERRIDES = ["site.energisation.permits.2028-01=7"]


@pytest.fixture(scope="module")
def clash_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``planner plan`` leaves when the permits are too small for the load."""
    folder = tmp_path_factory.mktemp("clash")
    wish = PlanWish("tiny", OVERRIDES, folder, None, None, False, True, True)
    assert wish.carry_out(io.StringIO()) == 3
    return folder


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
def test_page_says_what_clashes_and_the_ways_out(clash_folder: Path, watch: Any, scheme: str, width: int) -> None:
    seen = watch(clash_folder, ready="main", viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = seen.page
    found = diagnose(planner.load_case("tiny", OVERRIDES))
    told = page.locator("body").inner_text()
    assert found.sets
    assert found.ways_out
    assert page.locator("table.clash").count() == len(found.sets)
    assert page.locator("table.clash tbody tr").count() == sum(map(len, found.sets))
    assert page.locator("#ways-out tbody tr").count() == len(found.ways_out)
    for way in found.ways_out:
        assert way.text in told
    best = found.ways_out[0].cost_upper_musd
    assert best is not None
    assert f"{best:,.1f}" in told
    seen.accessible()
    seen.quiet()


def test_the_message_names_the_page(clash_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    PlanWish("tiny", OVERRIDES, clash_folder, None, None, False, True, True).carry_out(io.StringIO())
    assert str(clash_folder / "report.html") in capsys.readouterr().err


def test_no_plan_of_an_earlier_run_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The earlier plan is kept, apart; so is what a run that finds no plan in time leaves."""
    found = planner.plan(planner.load_case("tiny"))

    def too_late(*_: object, **__: object) -> None:
        raise NoPlan(interrupted=False)

    for overrides, code in ((OVERRIDES, 3), ([], 5)):
        wish = PlanWish("tiny", overrides, tmp_path, None, None, False, True, True)
        if code == 5:
            monkeypatch.setattr("planner.frontier.weighted.plan", too_late)
        write_plan(found, planner.load_case("tiny"), tmp_path)
        for name in ("explain.json", "report.xlsx", "mine.csv"):
            (tmp_path / name).write_text("{}", encoding="utf-8")
        assert wish.carry_out(io.StringIO()) == code
        left = {p.name for p in tmp_path.iterdir()}
        assert left == ({"earlier", "mine.csv", "report.html"} if code == 3 else {"earlier", "mine.csv"}), left
        kept = {p.name for p in (tmp_path / "earlier").iterdir()}
        assert {"plan.json", "orders.csv", "provenance.parquet", "explain.json", "report.xlsx"} <= kept
        assert "is now in" in capsys.readouterr().err
        (tmp_path / "report.html").unlink(missing_ok=True)


def test_every_table_is_known_to_be_set_aside(front_folder: Path, mission_folder: Path) -> None:
    names = {p.stem for folder in (front_folder, mission_folder) for p in folder.glob("*.parquet")}
    assert len(names) > 20
    assert names <= set(_TABLES)


def test_hostile_text_is_only_text(tmp_path: Path, browser: Any) -> None:
    problem = planner.load_case("tiny")
    problem = replace(problem, case=problem.case.model_copy(update={"title": HOSTILE[5]}))
    text = " | ".join(HOSTILE[:10])
    found = Diagnosis(
        ((Clash(HOSTILE[0], text, text),),), (WayOut(text, ("a",), (1.0,), ("",), None, None),), True, False
    )
    write_clash(tmp_path, problem, found, Checks((), ()), text)
    page = browser.new_page()
    page.goto((tmp_path / "report.html").as_uri())
    assert page.locator("img, script, main a").count() == 0
    assert "<script>alert(1)</script>" in page.locator("body").inner_text()
    page.close()


def test_nothing_known_is_said() -> None:
    problem = planner.load_case("tiny")
    assert "not found out" in clash_html(problem, None, Checks((), ()), "planner plan tiny")
    late = Diagnosis(((Clash("a", "a rule", ""),),), (), True, False)
    told = clash_html(problem, late, Checks((), ()), "planner plan tiny")
    assert "Each set is smallest" not in told
    assert "no easing of it alone was found in time" in told
    whole = Diagnosis((), (), True, True)
    assert "only whole containers" in clash_html(problem, whole, Checks((), ()), "planner plan tiny")
