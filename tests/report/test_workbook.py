"""The workbook: live formulas that add up to the plan, text that stays text."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import openpyxl
import pytest

from tests.report.folders import plan_of

SHEETS = ["Award", "Schedule", "Cost build-up", "Compliance", "Exposure", "Assumptions", "Sources", "Data rows"]
OFFICE = shutil.which("soffice")


def total_row(sheet: openpyxl.worksheet.worksheet.Worksheet) -> tuple[object, ...]:
    rows = [r for r in sheet.iter_rows(max_col=4, values_only=True) if r[0] == "Net present cost"]
    assert len(rows) == 1
    return tuple(rows[0])


def recalculated(workbook: Path, folder: Path) -> openpyxl.Workbook:
    """The workbook after LibreOffice: shown values are dropped first, so that it must calculate them."""
    dropped = 0
    with zipfile.ZipFile(workbook) as old, zipfile.ZipFile(folder / "bare.xlsx", "w") as new:
        for name in old.namelist():
            content, count = re.subn(rb"(</f>)<v>[^<]*</v>", rb"\1", old.read(name))
            dropped += count
            new.writestr(name, content)
    assert dropped > 0
    subprocess.run(
        [str(OFFICE), "--headless", f"-env:UserInstallation=file://{folder}/profile", "--convert-to",
         "xlsx:Calc MS Excel 2007 XML", "--outdir", str(folder / "out"), str(folder / "bare.xlsx")],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    return openpyxl.load_workbook(folder / "out" / "bare.xlsx", data_only=True)


@pytest.mark.skipif(OFFICE is None, reason="no LibreOffice: install libreoffice-calc to recalculate the workbook")
def test_libreoffice_recalculates_to_the_cent(front_folder: Path, tmp_path: Path) -> None:
    plan = plan_of(front_folder)
    sheet = recalculated(front_folder / "report.xlsx", tmp_path)["Cost build-up"]
    total = total_row(sheet)
    assert abs(float(str(total[2])) - plan["cost_musd"]) * 1e6 < 0.005
    items = {r[0]: r[2] for r in sheet.iter_rows(max_col=4, values_only=True) if r[3] is not None}
    assert items["Equipment"] == pytest.approx(plan["cost_breakdown_musd"]["equipment"], abs=5e-9)
    assert items["Tax credit"] == pytest.approx(plan["cost_breakdown_musd"]["tax_credit"], abs=5e-9)
    assert not [c for row in sheet.iter_rows(values_only=True) for c in row if isinstance(c, str) and c.startswith("#")]


@pytest.mark.skipif(OFFICE is None, reason="no LibreOffice: install libreoffice-calc to recalculate the workbook")
def test_a_changed_price_changes_the_cost(front_folder: Path, tmp_path: Path) -> None:
    book = openpyxl.load_workbook(front_folder / "report.xlsx")
    sheet = book["Cost build-up"]
    heads = [c.value for c in sheet[3]]
    price = sheet.cell(5, heads.index("Price") + 1)
    price.value *= 1.07
    book.save(tmp_path / "changed.xlsx")
    # openpyxl keeps no shown values, so the dropping is done by itself
    subprocess.run(
        [str(OFFICE), "--headless", f"-env:UserInstallation=file://{tmp_path}/profile", "--convert-to",
         "xlsx:Calc MS Excel 2007 XML", "--outdir", str(tmp_path / "out"), str(tmp_path / "changed.xlsx")],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    done = openpyxl.load_workbook(tmp_path / "out" / "changed.xlsx", data_only=True)["Cost build-up"]
    assert float(str(total_row(done)[2])) > plan_of(front_folder)["cost_musd"] + 0.01


def test_shown_values_add_up_too(front_folder: Path, tiny_folder: Path) -> None:
    """Readers that do not calculate (previews) see the same figures."""
    for folder in (front_folder, tiny_folder):
        sheet = openpyxl.load_workbook(folder / "report.xlsx", data_only=True)["Cost build-up"]
        cost = plan_of(folder)["cost_musd"]
        assert total_row(sheet)[2] == pytest.approx(cost, abs=5e-9)
        heads = [c.value for c in sheet[3]]
        lines = [sheet.cell(r, len(heads)).value for r in range(5, 5 + len(plan_of(folder)["dossier"]["order_lines"]))]
        others = sum(o["cost_musd"] for o in plan_of(folder)["dossier"]["other_costs"])
        assert sum(lines) + others == pytest.approx(cost, abs=5e-9)


def test_sheets_are_ready_to_read_and_print(front_folder: Path) -> None:
    book = openpyxl.load_workbook(front_folder / "report.xlsx")
    assert book.sheetnames == SHEETS
    for sheet in book:
        assert sheet.freeze_panes, sheet.title
        assert sheet.print_area, sheet.title
        assert sheet.sheet_properties.pageSetUpPr.fitToPage, sheet.title
    formats = {c.number_format for row in book["Cost build-up"].iter_rows(min_row=5, max_row=5) for c in row}
    assert {"#,##0", "#,##0.00", "0.0%", "0.000000", "#,##0.000000"} <= formats
    assert book["Data rows"].auto_filter.ref


def test_sources_are_for_print_and_rows_for_reading(front_folder: Path) -> None:
    """Thousands of rows stand in one sheet, those of the plan first, of which a page prints; another sums them up."""
    book = openpyxl.load_workbook(front_folder / "report.xlsx")
    rows = list(book["Data rows"].iter_rows(min_row=4, values_only=True))
    used = plan_of(front_folder)["provenance"]["data_rows_used"]
    assert [row[8] for row in rows] == ["yes"] * used + ["no"] * (len(rows) - used)
    assert len(rows) > used > 0
    assert str(book["Data rows"].print_area).endswith("$I$9")
    sources = {row[0]: row for row in book["Sources"].iter_rows(min_row=4, values_only=True)}
    assert sources.keys() == {row[4] for row in rows}
    assert str(book["Sources"].print_area).endswith(f"$F${3 + len(sources)}")
    weakest = ("assumption", "memory", "low", "medium", "high")
    for source, (_, latest, count, bought, confidence, tables) in sources.items():
        mine = [row for row in rows if row[4] == source]
        assert (count, bought) == (len(mine), sum(row[8] == "yes" for row in mine))
        assert latest == max(row[5] for row in mine)
        assert confidence == min((row[6] for row in mine), key=weakest.index)
        assert set(tables.split(", ")) == {row[0].replace("_", " ") for row in mine}


def test_the_explanation_has_its_sheet(mission_folder: Path, front_folder: Path) -> None:
    """Every offer, break-even, rule and quote of explain.json, under its own heading."""
    book = openpyxl.load_workbook(mission_folder / "report.xlsx")
    assert book.sheetnames == [*SHEETS[:5], "Explain", *SHEETS[5:]]
    assert "Explain" not in openpyxl.load_workbook(front_folder / "report.xlsx").sheetnames
    found = json.loads((mission_folder / "explain.json").read_text(encoding="utf-8"))
    sheet = book["Explain"]
    assert sheet.freeze_panes
    assert sheet.print_area
    # a workbook keeps 16 digits
    rows = [alike(*row) for row in sheet.iter_rows(max_col=8, values_only=True)]
    for a in found["offers"]:
        assert alike(a["offer"], a["text"], a["verdict"], a["extra_cost_lower_musd"]) in {r[:4] for r in rows}
        for t in a["thresholds"]:
            kept = (a["offer"], t["figure"].replace("_", " "), t["unit"], t["now"], t["enters_at"], t["stays_out_at"])
            assert alike(*kept) in {r[:6] for r in rows}
    for r in found["rules"]:
        assert (r["words"], r["rule"], r["change"]) in {q[:3] for q in rows}
        assert alike(r["saved_lower_musd"], r["saved_upper_musd"], r["verdict"]) in {q[5:] for q in rows}
    prices = {(q[0], q[5]) for q in rows}
    assert {alike(b["offer"], b["at_site_usd_per_kwh"]) for b in found["bridges"]} <= prices


def alike(*cells: object) -> tuple[object, ...]:
    return tuple(round(float(c), 9) if isinstance(c, int | float) else c for c in cells)


@pytest.mark.parametrize("name", ["hostile_folder", "hostile_answers_folder"])
def test_hostile_text_is_no_formula(name: str, request: pytest.FixtureRequest) -> None:
    hostile_folder = request.getfixturevalue(name)
    book = openpyxl.load_workbook(hostile_folder / "report.xlsx")
    formulas = [(s.title, c.coordinate) for s in book for row in s.iter_rows() for c in row if c.data_type == "f"]
    assert formulas
    assert {title for title, _ in formulas} == {"Cost build-up"}
    texts = [c for s in book for row in s.iter_rows() for c in row if c.data_type == "s" and c.value]
    risky = [c for c in texts if str(c.value).startswith(("=", "+", "@"))]
    assert risky
    assert all(c.quotePrefix for c in risky if c.parent.title != "Award" or c.row > 1)
    assert max(len(str(c.value)) for c in texts) <= 32_767
    assert not set("\u202e\u200f\x1b") & {character for c in texts for character in str(c.value)}
    with zipfile.ZipFile(hostile_folder / "report.xlsx") as archive:
        assert not [n for n in archive.namelist() if b"<hyperlink" in archive.read(n)]
