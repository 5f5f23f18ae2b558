"""Result folders that the report is drawn from: real plans, a front of three of them, and hostile text."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import planner
from planner.report import write_report
from planner.results import Plan
from planner.writing import json_text, write_plan
from tests.report.folders import CHROMIUM, FLAGS, HOSTILE, LIMITS, plan_of
from tests.report.mission import REGRET, write_mission


@pytest.fixture(scope="session")
def front_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three real plans of the utility case with different exposure limits, as planner frontier leaves them."""
    folder = tmp_path_factory.mktemp("front")
    points = []
    for i, limit in enumerate(LIMITS):
        rule = [] if limit is None else [f"exposure_limits.value.max_frac={limit}"]
        problem = planner.load_case("utility-200mw", rule)
        plan = planner.plan(problem, gap_frac=0.08)
        if i == 0:
            write_plan(plan, problem, folder)
        (folder / f"point-{i}.json").write_text(json_text(plan), encoding="utf-8")
        points.append({
            "cost_musd": plan.cost_musd, "bound_musd": plan.bound_musd, "exposure_frac": plan.exposure_frac["value"],
            "supported": i != 1, "plan": f"point-{i}.json",
        })  # fmt: skip
    front = {
        "measure": "value", "tolerance": 0.01, "uncovered_frac": 0.01, "uncovered_whole_frac": 0.04, "points": points,
        "weights": [{"theta": 0.0, "point": 0}, {"theta": 1.0, "point": 2}],
    }  # fmt: skip
    (folder / "frontier.json").write_text(json.dumps(front), encoding="utf-8")
    write_report(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    problem = planner.load_case("tiny")
    write_plan(planner.plan(problem), problem, folder)
    write_report(folder)
    return folder


@pytest.fixture(scope="session")
def mission_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plan with its explanation, a front and the regret of a study."""
    folder = tmp_path_factory.mktemp("mission")
    write_mission(folder)
    (folder / "regret.json").write_text(json.dumps(REGRET), encoding="utf-8")
    write_report(folder)
    return folder


@pytest.fixture(scope="session")
def hostile_answers_folder(mission_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with hostile text wherever an explanation, a front or a study holds text."""
    folder = tmp_path_factory.mktemp("hostile-answers")
    shutil.copytree(mission_folder, folder, dirs_exist_ok=True)
    text = " | ".join(HOSTILE)
    found, front, regret = (
        json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in ("explain", "frontier", "regret")
    )
    for record in (*found["bridges"], *found["offers"]):
        record |= {"offer": HOSTILE[5], "supplier": HOSTILE[1], "origin": HOSTILE[7], "product": HOSTILE[5]}
    for record in (*found["offers"], *found["rules"], *found["alternatives"]):
        record["text"] = text
    for record in found["rules"]:
        record |= {"rule": HOSTILE[0], "words": HOSTILE[7]}
    for record in found["ranges"]:
        record["name"] = HOSTILE[8]
    for record in found["bridges"]:
        record |= {"incoterm": HOSTILE[0], "energy_basis": HOSTILE[9], "price_unit": HOSTILE[1]}
    for record in found["baselines"]:
        record |= {"words": text, "status": HOSTILE[5], "breaks": [*HOSTILE]}
    found |= {"alternatives_text": text, "unfinished": [*HOSTILE]}
    front |= {"knee_words": text, "least_exposure_words": HOSTILE[0], "break_even_words": HOSTILE[5]}
    for jump in front["jumps"]:
        jump["words"] = text
    regret |= {"study": HOSTILE[0], "until": HOSTILE[5]}
    regret["cases"][0] |= {"futures": [*HOSTILE], "left_out": [*HOSTILE], "least_worst": HOSTILE[5]}
    for candidate in regret["cases"][0]["candidates"][1:]:
        candidate["plan_of"] = HOSTILE[5]
    for name, raw in (("explain", found), ("frontier", front), ("regret", regret)):
        (folder / f"{name}.json").write_text(json.dumps(raw), encoding="utf-8")
    write_report(folder)
    return folder


@pytest.fixture(scope="session")
def hostile_folder(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plan in which every text that someone outside could write is hostile."""
    folder = tmp_path_factory.mktemp("hostile")
    shutil.copytree(tiny_folder, folder, dirs_exist_ok=True)
    problem = planner.load_case("tiny")
    text = " | ".join(HOSTILE)
    raw = plan_of(tiny_folder)
    raw |= {"case": HOSTILE[0], "title": text, "assumptions": [*HOSTILE]}
    raw["provenance"]["command"] = text
    raw["verification"]["findings"] = [{"topic": t, "text": t} for t in HOSTILE]
    for record in (*raw["dossier"]["awards"], *raw["dossier"]["order_lines"]):
        record |= {"offer": HOSTILE[5], "supplier": HOSTILE[1], "origin": HOSTILE[7], "chemistry": HOSTILE[6]}
    for n, record in enumerate(raw["dossier"]["awards"]):
        record["product"] = HOSTILE[(6 - n) % len(HOSTILE)]
    for zone in raw["dossier"]["site"]:
        zone["zone"] = HOSTILE[0]
    for record in (*raw["dossier"]["turns"], *raw["dossier"]["question"]):
        record["text"] = text
    for record in raw["dossier"]["layer_exposure"]:
        record |= {"layer": HOSTILE[5], "origin": HOSTILE[7]}
    plan = Plan.model_validate(raw)
    rows = {
        name: tuple(row.model_copy(update={"source": HOSTILE[i % len(HOSTILE)], "note": text, "unit": HOSTILE[1]})
                    for i, row in enumerate(table))
        for name, table in problem.rows.items()
    }  # fmt: skip
    object.__setattr__(problem, "rows", rows)
    write_plan(plan, problem, folder)
    write_report(folder)
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Headless Chromium as Debian packs it; tests that need it are skipped where it is not there."""
    playwright = pytest.importorskip("playwright.sync_api")
    if not Path(CHROMIUM).exists():
        pytest.skip(f"no {CHROMIUM}: install Debian's chromium to test the page in a browser")
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield chromium
        chromium.close()


class Watched:
    """A page of a result folder, with everything that it said and asked for."""

    def __init__(
        self, browser: Any, folder: Path, ready: str = "#site-legend .chip, #zones svg", **options: Any
    ) -> None:
        self.context = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | options))
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.said.append(f"error: {error}"))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("dialog", lambda dialog: (self.said.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        self.url = (folder / "report.html").as_uri()
        self.page.goto(self.url)
        self.page.wait_for_selector(ready, state="attached")

    def accessible(self, rest: dict[str, Any] | None = None) -> None:
        """Nothing runs out sideways, and axe finds no serious fault; ``rest`` says what it leaves out."""
        from axe_playwright_python.sync_playwright import Axe

        assert self.page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        found = Axe().run(self.page, context=rest).response["violations"]
        serious = [
            (v["id"], [n["html"][:120] for n in v["nodes"]][:3])
            for v in found
            if v["impact"] in ("serious", "critical")
        ]
        assert serious == []

    def quiet(self) -> None:
        """Nothing was said, and nothing but the file itself was asked for."""
        assert self.said == []
        assert self.asked == [self.url]


@pytest.fixture
def watch(browser: Any) -> Iterator[Any]:
    open_pages: list[Watched] = []

    def opened(folder: Path, **options: Any) -> Watched:
        open_pages.append(Watched(browser, folder, **options))
        return open_pages[-1]

    yield opened
    for one in open_pages:
        one.context.close()
