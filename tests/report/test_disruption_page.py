"""The page of a disruption answer, in a real browser, and the command that writes it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from planner.disruption.answer import DisruptionAnswer
from planner.disruption.command import DisruptionWish, front_orders
from planner.disruption.page import page_html, read_answer
from planner.faults import InputError
from tests.report.folders import HOSTILE


def wish(folder: Path, **changes: Any) -> DisruptionWish:
    terms: dict[str, Any] = {
        "case": "tiny", "overrides": [], "scenarios": ["cut-off-any-year"], "out": folder, "front": None,
        "gap_frac": 0.001, "time_limit_s": 300.0, "workers": 1, "scheduler": None, "apart": False, "as_json": False,
        "quiet": True,
    }  # fmt: skip
    return DisruptionWish(**{**terms, **changes})


@pytest.fixture(scope="module")
def hedge_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hedge")
    assert wish(folder).carry_out(io.StringIO()) == 0
    return folder


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
def test_page_shows_choices_and_chain(hedge_folder: Path, watch: Any, scheme: str, width: int) -> None:
    answer = read_answer(hedge_folder)
    seen = watch(hedge_folder, ready="main", viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = seen.page
    assert page.locator("#choices-table tbody tr").count() == len(answer.choices)
    worlds = [o.future for o in answer.outcomes if o.choice == answer.best]
    assert page.locator("#matrix tbody tr").count() == len(worlds)
    assert page.locator("details.future").count() == len(worlds)
    assert page.locator("svg.chain").count() == len(worlds)
    assert page.locator("#signed tbody tr").count() == sum(s.choice == answer.best and s.now for s in answer.signed)
    assert f"{answer.aim_musd:,.2f}" in page.locator("[data-field=answer]").inner_text()
    seen.accessible()
    seen.quiet()


def test_chain_holds_what_is_delivered(hedge_folder: Path) -> None:
    """Every layer of a future carries the storage that its plan delivers, and cells of China end with the cut-off."""
    answer = read_answer(hedge_folder)
    for future in {r.future for r in answer.chain}:
        by_layer: dict[str, float] = {}
        for r in answer.chain:
            if r.future == future:
                by_layer[r.layer] = by_layer.get(r.layer, 0.0) + r.energy_mwh
        assert max(by_layer.values()) == pytest.approx(20.0)
        late = [r for r in answer.chain if r.future == future and r.after and r.layer == "cell"]
        assert future == "calm" or all(r.country != "China" for r in late)


def test_hostile_text_is_only_text(hedge_folder: Path) -> None:
    answer = read_answer(hedge_folder)
    text = " | ".join(HOSTILE[:10])
    html = page_html(answer.model_copy(update={"title": text, "findings": (text,)}))
    assert "<script" not in html
    assert "<img src=x" not in html
    assert "49" not in html.split("<h1>")[1].split("</h1>")[0]


def test_points_of_a_front_are_read_from_coarse_to_fine(tmp_path: Path) -> None:
    points = []
    for i in range(7):
        (tmp_path / f"{i}.json").write_text(
            json.dumps({"orders": [{"offer": "a", "period": "2028", "containers": i}]}), encoding="utf-8"
        )
        points.append({"plan": f"{i}.json", "exposure_frac": i / 7})
    front = {"measure": "cell", "points": points}
    (tmp_path / "frontier.json").write_text(json.dumps(front), encoding="utf-8")
    found = [orders["a", "2028"] for orders in front_orders(tmp_path, []).values()]
    assert sorted(found) == list(range(7))
    assert found[:3] == [6, 0, 4]


def test_a_broken_answer_and_wrong_options_are_refused(hedge_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "disruption.json").write_text('{"schema_version": "0"}', encoding="utf-8")
    with pytest.raises(InputError, match="no readable answer"):
        read_answer(tmp_path)
    with pytest.raises(InputError) as caught:
        wish(tmp_path, gap_frac=2.0, time_limit_s=-1.0, workers=0, front=tmp_path).carry_out(io.StringIO())
    told = str(caught.value)
    for words in ("--gap", "--time-limit", "--workers", "--front"):
        assert words in told
    again = DisruptionAnswer.model_validate(json.loads((hedge_folder / "disruption.json").read_text("utf-8")))
    assert again == read_answer(hedge_folder)
