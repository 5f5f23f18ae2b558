"""The page answers a board's questions: each from explain.json, frontier.json or regret.json, or names the command."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from planner.answers import Threshold
from planner.faults import Fault, InputError
from planner.report import write_report
from planner.report.frontview import front_view
from planner.report.pack import Front, Point, read_pack
from planner.report.why import threshold_cell
from planner.report.wording import musd, number, percent, span
from tests.report.folders import plan_of

#: What mission.md asks a user to be able to answer, and where the page shows more.
QUESTIONS = {
    "portfolio": "#awards", "arrival": "#orders", "proof": "#chart-outage-0", "exposure": "#front-points",
    "cutoff": "#front-points", "public": "#front-stretches", "why_not": "#why-offers", "clash": "#why-rules",
    "regret": "#regret-plans", "quotes": "#why-prices",
}  # fmt: skip


def raw(folder: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    return found


def expected(folder: Path) -> dict[str, list[str]]:
    """Texts that the answer to each question must hold, taken from the files alone."""
    plan, found, front = plan_of(folder), raw(folder, "explain"), raw(folder, "frontier")
    points = sorted(front["points"], key=lambda p: -p["exposure_frac"])
    cheap, knee, secure = points
    tight = min(plan["reliability"], key=lambda m: m["margin_mwh"])
    left_out = [a for a in found["offers"] if not a["bought"]]
    priced = [(abs(t["change_enters_frac"]), a["offer"], t) for a in left_out for t in a["thresholds"]
              if t["figure"] == "price" and t["change_enters_frac"] is not None]  # fmt: skip
    _, nearest, price = min(priced, key=lambda p: p[0])
    dearest = max((r for r in found["rules"] if r["change"] == "dropped"), key=lambda r: r["saved_lower_musd"])
    bought = [b for b in found["bridges"] if b["bought"]]
    removed = (cheap["exposure_frac"] - knee["exposure_frac"]) * front["required_mwh"]
    payment = (knee["cost_musd"] - cheap["cost_musd"]) * 1e6 / removed
    worst = next(c for c in raw(folder, "regret")["cases"][0]["candidates"] if c["plan_of"] == "cut-off")
    return {
        "portfolio": [number(plan["cost_musd"], 1), number(sum(o["containers"] for o in plan["orders"]))],
        "arrival": [plan["dossier"]["order_lines"][0]["start_month"], plan["placements"][0]["zone"]],
        "proof": [number(plan["verification"]["replayed_windows"]), "passed", number(tight["required_mwh"], 1)],
        "exposure": [
            musd(secure["cost_musd"] - cheap["cost_musd"]), front["knee_words"], front["least_exposure_words"],
        ],
        "cutoff": [percent(p["cutoff_break_even_frac_per_yr"], 2) for p in (knee, secure)],
        "public": [number(p["public_usd_per_mwh"]) for p in (knee, secure)] + [number(payment)],
        "why_not": [number(len(left_out)), nearest, number(price["enters_at"], 2), number(price["now"], 2)],
        "clash": [dearest["words"], span(dearest["saved_lower_musd"], dearest["saved_upper_musd"])],
        "regret": [worst["plan_of"], number(worst["worst_musd"], 1)],
        "quotes": [number(len(found["bridges"]))] + [number(b["at_site_usd_per_kwh"], 1) for b in bought],
    }  # fmt: skip


def test_every_question_is_answered_from_the_files(mission_folder: Path, watch: Any) -> None:
    seen = watch(mission_folder)
    page, wanted = seen.page, expected(mission_folder)
    assert page.locator("[data-question]").count() == len(QUESTIONS)
    for key, where in QUESTIONS.items():
        text = page.locator(f"[data-question={key}] dd").inner_text()
        assert wanted[key]
        for part in wanted[key]:
            assert part in text, (key, part, text)
        assert page.locator(where).count() == 1, where
        link = page.locator(f"[data-question={key}] a").get_attribute("href")
        assert page.locator(f"{link}").count() == 1, link
    assert page.locator("#questions code").count() == 0
    seen.quiet()


def test_a_newcomer_finds_every_part_of_every_answer(mission_folder: Path, watch: Any) -> None:
    """Not only the sentence: each block, loss, offer, price, rule, point and quote that a question asks about."""
    page, plan, found = watch(mission_folder).page, plan_of(mission_folder), raw(mission_folder, "explain")
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    lines = plan["dossier"]["order_lines"]
    rows = page.locator("#orders tbody tr").all_inner_texts()
    assert len(rows) == len(lines) > 0
    for line in lines:  # when does each block arrive
        assert any(line["offer"] in row and line["order_month"] in row and line["start_month"] in row for row in rows)
    zones = {z["zone"] for z in plan["placements"]}
    drawn = page.locator("#zones svg").count()
    assert drawn == len(zones) > 0  # where does it stand
    losses = {m["contingency"] for m in plan["reliability"]}
    assert page.locator("#outages .chart").count() == len(plan["dossier"]["outage_curves"]) >= len(losses)
    for a in found["offers"]:  # why was it not chosen, and at what price or date would it be
        row = page.locator(f"#why-offers tr[data-offer={a['offer']}]").inner_text()
        assert a["text"] in row
        told = {t["figure"] for t in a["thresholds"] if t["enters_at"] is not None or t["stays_out_at"] is not None}
        assert told or a["verdict"] in ("needed", "cannot be bought", "does not fit"), a["offer"]
    for rule in found["rules"]:  # which is cheapest to relax
        assert rule["words"] in page.locator("#why-rules").inner_text()
    front = raw(mission_folder, "frontier")  # by half, to nothing, the knee, the probability, who pays
    named = page.locator("#front-points tbody").inner_text().lower()
    assert all(words in named for words in ("cheap end", "half the exposure", "knee", "secure end"))
    assert page.locator("#front-stretches tbody tr").count() == sum(p["supported"] for p in front["points"]) - 1
    assert page.locator("#front-jumps tbody tr").count() == len(front["jumps"])
    for c in raw(mission_folder, "regret")["cases"][0]["candidates"]:
        assert page.locator(f"#regret-plans tr[data-candidate={c['plan_of']}]").count() == 1
    for b in found["bridges"]:  # what is each quote, duty-paid and at site
        figure = page.locator(f"#why-prices tr[data-offer={b['offer']}] [data-figure=at_site_usd_per_kwh]").inner_text()
        assert figure == number(b["at_site_usd_per_kwh"], 1)
        assert b["product"] in page.locator("#why-prices").inner_text()


def test_no_key_stands_where_a_name_belongs(mission_folder: Path, watch: Any) -> None:
    """Tables and figures are headed by supplier and product; the name of the offer stands small below."""
    page, found = watch(mission_folder).page, raw(mission_folder, "explain")
    ids = {b["offer"] for b in found["bridges"]}
    for table in ("why-offers", "why-prices"):
        heads = page.locator(f"#{table} tbody th > bdi").all_inner_texts()
        assert heads
        assert not ids & set(heads)
    labels = page.locator("#chart-prices .ytick text, #chart-timeline .ytick text").all_text_contents()
    assert labels
    assert not ids & {label.strip(" \u2605") for label in labels}
    assert not any(name in page.locator("#turns li b").all_inner_texts()[0] for name in ids)


def test_a_question_without_an_answer_names_its_command(tiny_folder: Path, watch: Any) -> None:
    page = watch(tiny_folder).page
    commands = {
        "exposure": "planner frontier tiny --measure cell --out DIR", "why_not": "planner explain DIR",
        "clash": "planner explain DIR", "quotes": "planner explain DIR",
        "regret": "planner report DIR --study STUDYDIR",
    }  # fmt: skip
    for key, command in commands.items():
        assert command in page.locator(f"[data-question={key}] code").inner_text()
    assert "planner explain DIR" in page.locator("[data-absent=explanation]").inner_text()
    assert page.locator("#explorer, #why-offers, #regret").count() == 0


def test_why_equals_explain_json(mission_folder: Path, watch: Any) -> None:
    page, found = watch(mission_folder).page, raw(mission_folder, "explain")
    assert page.locator("#why-offers tbody tr").count() == len(found["offers"]) > 4
    for a in found["offers"]:
        cells = page.locator(f"#why-offers tr[data-offer={a['offer']}] td").all_inner_texts()
        assert cells[0] == a["verdict"]
        assert cells[1] == span(a["extra_cost_lower_musd"], a["extra_cost_upper_musd"])
        assert a["text"] in cells[6]
        for t in a["thresholds"]:
            column = ["price", "duty", "lead_time", "allocation"].index(t["figure"])
            if t["figure"] == "price":
                assert number(t["enters_at"], 2) in cells[2 + column]
            assert (percent(t["now"], 2) if t["figure"] == "duty" else number(t["now"])) in cells[2 + column]
    for rule in {r["rule"] for r in found["rules"]}:
        cells = page.locator(f"#why-rules tr[data-rule='{rule}'] td").all_inner_texts()
        for r in (r for r in found["rules"] if r["rule"] == rule):
            at = 0 if r["change"] == "dropped" else 3
            assert cells[at : at + 2] == [span(r["saved_lower_musd"], r["saved_upper_musd"]), r["verdict"]]
    for b in found["bridges"]:
        row = page.locator(f"#why-prices tr[data-offer={b['offer']}]")
        assert row.locator("[data-figure=at_site_usd_per_kwh]").inner_text() == number(b["at_site_usd_per_kwh"], 1)
    bars = page.evaluate("document.getElementById('chart-prices').data.slice(0, -1).map(t => t.x)")
    ends = [sum(column) for column in zip(*bars, strict=True)]
    assert sorted(ends) == pytest.approx(sorted(b["at_site_usd_per_kwh"] for b in found["bridges"]))
    for b in found["baselines"]:
        assert number(b["cost_musd"], 2) in page.locator(f"[data-baseline={b['baseline']}]").inner_text()
    assert page.locator("#why-alternatives tbody tr").count() == len(found["alternatives"])
    kept = [r for r in found["ranges"] if r["verdict"] != "in none"]
    assert page.locator("#why-ranges tbody tr").count() == len(kept) > 0
    widest = max(r["within_frac"] for r in kept)
    drawn = page.evaluate("document.getElementById('chart-ranges').data[2].x")
    assert drawn == [r["planned_mwh"] for r in kept if r["within_frac"] == widest][::-1]


def test_what_would_change_the_answer_is_solved_anew(mission_folder: Path, watch: Any) -> None:
    """The nearest price, the dearest rule and the dearest loss, from explain.json and in this order."""
    page, found = watch(mission_folder).page, raw(mission_folder, "explain")
    first = page.locator("#turns li").all_inner_texts()
    assert len(first) == 3
    prices = [t for a in found["offers"] for t in a["thresholds"] if t["figure"] == "price"]
    near = min(abs(t["change_enters_frac"]) for t in prices)
    assert percent(near) in first[0]
    rule = max((r for r in found["rules"] if r["verdict"] == "binds"), key=lambda r: r["saved_lower_musd"])
    assert rule["words"] in first[1]
    loss = max((a for a in found["offers"] if a["bought"]), key=lambda a: a["extra_cost_lower_musd"])
    assert loss["offer"] in first[2]
    assert number(loss["extra_cost_lower_musd"], 2) in first[2]


def test_the_front_says_what_the_next_step_costs(mission_folder: Path, watch: Any) -> None:
    seen = watch(mission_folder)
    page, front = seen.page, raw(mission_folder, "frontier")
    points = sorted(front["points"], key=lambda p: -p["exposure_frac"])
    cheap = points[0]
    for key, point in zip(("cheap", "knee", "secure"), points, strict=True):
        row = page.locator(f"#front-points tr[data-point~={key}]")
        for figure, text in (
            ("premium_musd", number(point["cost_musd"] - cheap["cost_musd"], 2)),
            ("price_left_musd", number(point["price_left_musd"], 2)),
            ("price_right_musd", number(point["price_right_musd"], 2)),
            ("public_usd_per_mwh", number(point["public_usd_per_mwh"])),
        ):
            assert row.locator(f"[data-figure={figure}]").inner_text() == text, (key, figure)
    assert page.locator("#front-jumps tbody tr").count() == len(front["jumps"])
    words = page.locator("#front-jumps").inner_text()
    assert all(jump["words"] in words for jump in front["jumps"])
    slider = page.locator("#position")
    slider.focus()
    for point in points:
        facts = page.locator("#position-facts").inner_text()
        assert number(point["cost_musd"] - cheap["cost_musd"], 2) in facts
        if point["price_left_musd"] is not None:
            assert f"{number(point['price_left_musd'], 2)} million USD" in facts
        if point is not cheap:
            assert percent(point["cutoff_break_even_frac_per_yr"], 2) in facts
            assert f"{number(point['public_usd_per_mwh'])} USD" in facts
        page.keyboard.press("ArrowRight")
    seen.quiet()


def test_an_offer_that_stays_out_at_any_price_says_so() -> None:
    free = Threshold(
        figure="price", unit="USD/kWh", now=28.3, enters_at=None, stays_out_at=0.0, change_enters_frac=None,
        change_stays_out_frac=-1.0, text="", period="2033-01..2036-12",
    )  # fmt: skip
    cell = threshold_cell(free)
    assert cell.lines == ("out even at 0",)
    assert cell.below == ("now 28.30 USD/kWh", "for 2033\u20132036")


def test_a_premium_that_never_pays_is_said_so() -> None:
    def said(*pays: float | None) -> str:
        points = tuple(
            Point(cost_musd=100.0 + 10.0 * i, exposure_frac=0.5 - 0.2 * i, role="knee" if i == 1 else "",
                  cutoff_break_even_frac_per_yr=frac)
            for i, frac in enumerate(pays)
        )  # fmt: skip
        return front_view(Front(measure="cell", points=points), [None] * len(points)).sentences["cutoff"]

    assert said(0.0, 0.02, 0.1) == (
        "The premium pays from 2.00\u00a0% a year at the knee (premium of 10.0 million USD), from 10.00\u00a0% a year"
        " at the secure end (premium of 20.0 million USD)."
    )
    assert said(0.0, 0.02, None).endswith(
        "a year at the knee (premium of 10.0 million USD). At no probability does it pay at the secure end"
        " (premium of 20.0 million USD)."
    )
    assert said(0.0, None, None) == (
        "At no probability does the premium pay at the knee (premium of 10.0 million USD), or at the secure end"
        " (premium of 20.0 million USD)."
    )


def test_who_pays_adds_up(mission_folder: Path) -> None:
    """Stretches of the front, from the plans alone: the buyer's and the public's part of each."""
    pack = read_pack(mission_folder)
    assert pack.front is not None
    view = front_view(pack.front, pack.front_plans)
    plans = [p for p in pack.front_plans if p is not None]
    assert len(view.stretches) == len(plans) - 1 == 2
    for stretch, before, after in zip(view.stretches, plans, plans[1:], strict=False):
        assert stretch.removed_mwh == pytest.approx(
            (before.exposure_frac["value"] - after.exposure_frac["value"]) * before.required_mwh
        )
        assert stretch.buyer_musd == pytest.approx(after.cost_musd - before.cost_musd)
        assert stretch.public_musd == pytest.approx(before.public_musd["net"] - after.public_musd["net"])
        taxes = before.public_musd["taxes"] - after.public_musd["taxes"]
        taxes += before.public_musd["recapture"] - after.public_musd["recapture"]
        assert stretch.duties_lost_musd + stretch.credits_musd + taxes == pytest.approx(stretch.public_musd)
    assert sum(s.public_musd for s in view.stretches) != 0


def test_offers_are_found_by_verdict_and_word(mission_folder: Path, watch: Any) -> None:
    page = watch(mission_folder).page
    shown = page.locator("#why-offers tbody tr:visible")
    everything = shown.count()
    page.locator("#why-verdict").select_option("bought")
    assert 0 < shown.count() < everything
    page.locator("#why-verdict").select_option("")
    page.locator("#why-search").fill("block-e")
    assert shown.count() == 1
    assert "1 of " in page.locator("#why-count").inner_text()


def test_answers_of_another_plan_are_not_shown(mission_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(mission_folder, tmp_path, dirs_exist_ok=True)
    found = raw(mission_folder, "explain")
    (tmp_path / "explain.json").write_text(json.dumps(found | {"plan_cost_musd": 1.0}), encoding="utf-8")
    write_report(tmp_path)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "explain.json is of another plan" in text
    assert 'id="why-offers"' not in text
    (tmp_path / "explain.json").write_text(json.dumps(found | {"offers": [{"offer": 3}]}), encoding="utf-8")
    aside: list[Fault] = []
    write_report(tmp_path, left_aside=aside)
    assert [fault.file for fault in aside] == ["explain.json"] * len(aside)
    assert aside[0].key.startswith("offers.0")
    assert "explain.json cannot be read" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_front_of_other_inputs_says_so(mission_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(mission_folder, tmp_path, dirs_exist_ok=True)
    front = raw(mission_folder, "frontier") | {"input_sha256": "0" * 64}
    assert "inputs that differ" not in (mission_folder / "report.html").read_text(encoding="utf-8")
    (tmp_path / "frontier.json").write_text(json.dumps(front), encoding="utf-8")
    write_report(tmp_path)
    assert "inputs that differ" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_regret_comes_from_a_study(mission_folder: Path, tiny_folder: Path, tmp_path: Path, watch: Any) -> None:
    page = watch(mission_folder).page
    cells = [row.split("\t") for row in page.locator("#regret-plans tbody tr").all_inner_texts()]
    assert cells[0] == ["as-today", "3.2", "0.8", "on average"]
    assert cells[2][:3] == ["late", "does not survive", "does not survive"]
    for name in ("plan.json", "provenance.parquet"):
        shutil.copy(tiny_folder / name, tmp_path / name)
    with pytest.raises(InputError, match=r"regret\.json"):
        write_report(tmp_path, tiny_folder)
    assert "regret.json" in {p.name for p in write_report(tmp_path, mission_folder)}
    assert "One plan cannot say" in (tmp_path / "report.html").read_text(encoding="utf-8")  # of another case


@pytest.mark.parametrize(("scheme", "width"), [("dark", 1280), ("light", 390)])
def test_answers_are_accessible(mission_folder: Path, watch: Any, scheme: str, width: int) -> None:
    seen = watch(mission_folder, viewport={"width": width, "height": 800}, color_scheme=scheme)
    seen.page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    rest = {"exclude": [[".js-plotly-plot svg"], ["#rows tbody tr:nth-child(n+6)"]]}
    seen.accessible(rest)
    bare = seen.page.evaluate(
        "[...document.querySelectorAll('#why .chart, #explorer .chart')].filter(f => !f.querySelector('path')).length"
    )
    assert bare == 0


def test_answers_print_without_being_shrunk(mission_folder: Path, watch: Any) -> None:
    seen = watch(mission_folder, viewport={"width": 690, "height": 900})
    seen.page.emulate_media(media="print")
    seen.page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    wide = seen.page.evaluate(
        """[...document.querySelectorAll('main *')]
            .filter(e => !e.closest('svg') && e.getBoundingClientRect().right > 691).map(e => e.tagName + '#' + e.id)"""
    )
    assert wide == []
    seen.quiet()


def test_hostile_answers_are_only_text(hostile_answers_folder: Path, watch: Any) -> None:
    seen = watch(hostile_answers_folder)
    page = seen.page
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    page.locator("#position").press("ArrowRight")
    assert page.locator("img, a[href^='javascript']").count() == 0
    assert page.locator("main script").count() == 0
    text = page.locator("body").inner_text()
    assert "<script>alert(1)</script>" in text
    assert "{{ 7*7 }}" in text
    assert not set("\u202e\u200f\x1b") & set(page.locator("html").text_content())
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    labels = page.locator("#chart-prices .ytick text").all_text_contents()
    assert any("</script><img" in label for label in labels)
    seen.quiet()
