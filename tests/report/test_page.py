"""The page in a real browser: silent, alone, complete, equal to plan.json, accessible."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from planner.report.wording import number, percent
from tests.report.folders import LIMITS, plan_of

MARKS = ".bars path, .scatterlayer path, .scatterlayer text, svg .containers"


def test_page_is_one_small_file(front_folder: Path) -> None:
    text = (front_folder / "report.html").read_text(encoding="utf-8")
    assert len(text.encode()) < 6_000_000
    assert "Content-Security-Policy" in text
    for outside in ('src="http', "src='http", 'href="http', "@import", "url(http"):
        assert outside not in text.split('<script type="application/json"')[0]


def test_silent_and_alone(front_folder: Path, watch: Any) -> None:
    seen = watch(front_folder)
    seen.page.locator("#position").press("ArrowRight")
    seen.page.locator("#theme").click()
    seen.quiet()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_theme_button_names_where_it_leads(tiny_folder: Path, watch: Any, scheme: str) -> None:
    page = watch(tiny_folder, color_scheme=scheme).page
    button, other = page.locator("#theme"), {"light": "Dark theme", "dark": "Light theme"}
    back = {"light": "Light theme", "dark": "Dark theme"}
    assert button.inner_text() == other[scheme]
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    button.click()
    assert button.inner_text() == back[scheme]
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before
    assert button.get_attribute("aria-pressed") is None  # a name that changes and a state would say it twice


def test_names_are_whole_on_a_phone(front_folder: Path, watch: Any) -> None:
    """There the names of rows stand above their bars; nothing is cut, nothing runs into the next row."""
    page = watch(front_folder, viewport={"width": 390, "height": 800}).page
    awards = plan_of(front_folder)["dossier"]["awards"]
    for chart, wanted in (
        ("timeline", {a["product"] for a in awards if len(a["product"]) <= 40}),
        ("cost", {"Operation and service", "Net present cost"}),
    ):
        names = page.locator(f"#chart-{chart} .annotation-text").all_text_contents()
        assert names
        assert not [n for n in names if n.endswith("\u2026") and len(n) < 50]
        for product in wanted:
            assert any(product.lower() in name.lower() for name in names), (chart, product)
        boxes = page.locator(f"#chart-{chart} .annotation-text").evaluate_all(
            "found => found.map(e => { const b = e.getBoundingClientRect(); return [b.top, b.bottom, b.right]; })"
        )
        assert max(right for _, _, right in boxes) <= 390
        rows = sorted(boxes)
        assert all(upper[1] <= lower[0] for upper, lower in pairwise(rows))


#: Keys of a case and other names with underscores; commands, names of data rows and hashes may hold them.
MACHINE_WORD = r"\b[a-z0-9]+_[a-z0-9_]+\b(?!\.csv)|\b(?:policy|reliability|site|load|exposure_limits)\.[a-z]"


@pytest.mark.parametrize("name", ["front_folder", "tiny_folder", "mission_folder"])
def test_no_machine_words_in_prose(name: str, watch: Any, request: pytest.FixtureRequest) -> None:
    page = watch(request.getfixturevalue(name)).page
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    page.evaluate(
        "document.querySelectorAll('code, pre, .hash, table:has(.hash), #rows, #row-filters, #why-rules small, script,"
        " style').forEach(e => e.remove())"
    )
    text = page.locator("body").inner_text()
    assert len(text) > 3000
    assert re.findall(MACHINE_WORD, text) == []


def test_every_figure_has_marks(front_folder: Path, watch: Any) -> None:
    page = watch(front_folder).page
    bare = page.evaluate(
        """marks => [...document.querySelectorAll('figure')]
            .filter(f => !f.querySelector('table') && !f.querySelector(marks)).map(f => f.id)""",
        MARKS,
    )
    assert bare == []
    assert page.locator("figure").count() >= 14
    for table in ("margins", "exposure"):
        assert page.locator(f"#{table} td").count() > 0
    curves = len(plan_of(front_folder)["dossier"]["outage_curves"])
    assert page.locator("#outages .js-line, #outages path.js-line").count() >= 2 * curves


def test_numbers_equal_the_plan(front_folder: Path, watch: Any) -> None:
    page, plan = watch(front_folder).page, plan_of(front_folder)
    for field, text in (
        ("cost_musd", number(plan["cost_musd"], 2)),
        ("bound_musd", number(plan["bound_musd"], 2)),
        ("gap_frac", percent(plan["gap_frac"], 2)),
        ("passed", "passed"),
        ("lowest_confidence", plan["provenance"]["lowest_confidence"]),
    ):
        assert page.locator(f"[data-field={field}]").text_content() == text, field
    for item, musd in plan["cost_breakdown_musd"].items():
        told = page.locator(f"[data-item={item}]")  # what costs nothing has no line
        assert told.all_text_contents() == ([number(musd, 3)] if abs(musd) >= 5e-4 else [])
    for measure, share in plan["exposure_frac"].items():
        assert page.locator(f"[data-measure={measure}]").text_content() == number(share, 3)
    rows = page.locator("#awards tbody tr")
    assert rows.count() == len(plan["dossier"]["awards"])
    for i, award in enumerate(plan["dossier"]["awards"]):
        cells = rows.nth(i).locator("th, td").all_text_contents()
        assert award["offer"] in cells[0]
        assert cells[4] == number(award["containers"])
        assert cells[5] == number(award["energy_usable_mwh"])
    total = page.evaluate("document.getElementById('chart-cost').data[1].text.at(-1)")
    assert total == f"<b>{number(plan['cost_musd'])}</b>"
    drawn = page.evaluate("[...document.querySelectorAll('#zones .containers')].map(p => Number(p.dataset.containers))")
    assert sum(drawn) == sum(z["containers"] - z["unplaced"] for z in plan["dossier"]["site"])
    subpaths = page.evaluate(
        "[...document.querySelectorAll('#zones .containers')].map(p => (p.getAttribute('d').match(/M/g) || []).length)"
    )
    assert subpaths == drawn


def test_slider_changes_everything_at_once(front_folder: Path, watch: Any) -> None:
    seen = watch(front_folder)
    page = seen.page
    front = json.loads((front_folder / "frontier.json").read_text(encoding="utf-8"))

    def state() -> dict[str, str]:
        shown: dict[str, str] = page.evaluate(
            """() => ({
                portfolio: document.querySelector('#explorer-awards tbody').textContent,
                timeline: JSON.stringify(document.getElementById('chart-explorer-timeline').data),
                cost: JSON.stringify(document.getElementById('chart-explorer-cost').data),
                site: document.getElementById('explorer-site').innerHTML,
                ring: JSON.stringify(document.getElementById('chart-front').data[1].x),
                words: document.getElementById('position-text').textContent})"""
        )
        return shown

    slider = page.locator("#position")
    assert slider.get_attribute("max") == str(len(LIMITS) - 1)
    slider.focus()
    states = [state()]
    for _ in LIMITS[1:]:
        page.keyboard.press("ArrowRight")
        states.append(state())
    for part in states[0]:  # two of the plans may stand alike on the site
        assert len({s[part] for s in states}) >= (2 if part == "site" else len(LIMITS)), part
    for shown, point in zip(states, front["points"], strict=True):
        assert f"{number(point['cost_musd'], 1)} million USD" in shown["words"]
        assert f"Exposure {number(point['exposure_frac'], 3)}" in shown["words"]
    seen.quiet()


def test_rows_sort_and_filter(front_folder: Path, watch: Any) -> None:
    seen = watch(front_folder)
    page = seen.page
    count = page.locator("#row-count")
    used = plan_of(front_folder)["provenance"]["data_rows_used"]
    assert count.text_content().startswith(f"{number(used)} of ")
    page.locator("#row-confidence").select_option("high")
    confidences = set(page.locator("#rows tbody tr td:nth-child(7)").all_text_contents())
    assert confidences == {"high"}
    page.locator("#row-confidence").select_option("")
    page.locator("#row-search").fill("tariff")
    assert "tariff" in page.locator("#rows tbody tr").first.text_content().lower()
    page.locator("#row-search").fill("")
    head = page.locator("#rows thead th", has_text="confidence")
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert page.locator("#rows tbody tr td:nth-child(7)").first.text_content() == "assumption"
    head.locator("button").press("Enter")
    assert page.locator("#rows tbody tr td:nth-child(7)").first.text_content() == "high"
    before = page.locator("#rows tbody tr").count()
    page.locator("#row-more").click()
    assert page.locator("#rows tbody tr").count() > before
    page.locator("input[value=ownership_frac]").check()
    seen.quiet()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
def test_accessible_and_no_sideways_scrolling(front_folder: Path, watch: Any, scheme: str, width: int) -> None:
    seen = watch(front_folder, viewport={"width": width, "height": 800}, color_scheme=scheme)
    seen.page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    # Left out: the inside of figures, which are images with a text, and all but the first data rows, which are alike.
    rest = {"exclude": [[".js-plotly-plot svg"], ["#rows tbody tr:nth-child(n+6)"]]}
    seen.accessible(rest)


def test_prints_without_being_shrunk(front_folder: Path, watch: Any, tmp_path: Path) -> None:
    seen = watch(front_folder, viewport={"width": 690, "height": 900}, color_scheme="dark")
    content = seen.page.pdf(path=str(tmp_path / "report.pdf"), prefer_css_page_size=True)
    assert content.startswith(b"%PDF")
    seen.page.emulate_media(media="print")
    seen.page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    wide = seen.page.evaluate(
        """[...document.querySelectorAll('main *')]
            .filter(e => !e.closest('svg') && e.getBoundingClientRect().right > 691).map(e => e.tagName + '#' + e.id)"""
    )
    assert wide == []
    assert seen.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    seen.page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    seen.quiet()


def test_hostile_text_is_only_text(hostile_folder: Path, watch: Any) -> None:
    seen = watch(hostile_folder)
    page = seen.page
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    page.locator("#row-bought").uncheck()
    assert page.locator("img, a[href^='javascript']").count() == 0
    assert page.locator("main script").count() == 0
    text = page.locator("body").inner_text()
    assert "<script>alert(1)</script>" in text
    assert "{{ 7*7 }}" in text
    assert "49" not in page.locator("#awards").inner_text()
    assert not set("\u202e\u200f\x1b") & set(page.locator("html").text_content())
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    lengths = page.evaluate("[...document.querySelectorAll('td, p, li')].map(e => e.textContent.length)")
    assert max(lengths) < 5000
    labels = page.locator("#chart-timeline .ytick text").all_text_contents()
    assert labels
    assert all("</script><img" in label for label in labels)
    seen.quiet()
