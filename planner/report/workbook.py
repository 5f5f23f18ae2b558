"""The workbook: award, schedule, cost with live formulas, compliance, exposure, explanation, assumptions, sources."""

from __future__ import annotations

from pathlib import Path

from planner.answers import Explanation
from planner.dossier import Dossier
from planner.report.captions import lost_words, offer_names
from planner.report.chain import COLUMNS, ITEM_COLUMNS, sheet_formula, shown_values
from planner.report.pack import Pack
from planner.report.sheets import Book, cell
from planner.report.sourcesheets import write_rows, write_sources
from planner.report.wording import (
    BINDING,
    CHECK,
    CONTINGENCY,
    COST,
    CREDIT,
    FINDING,
    MEASURE,
    STATUS,
    capital,
    chemistry,
    period,
    with_bans,
    with_names,
    words,
)
from planner.results import Plan

COST_SHEET = "Cost build-up"


def write_workbook(pack: Pack, path: Path) -> None:
    """Write the workbook.

    Parameters
    ----------
    pack
        From ``read_pack``.
    path
        File to write.
    """
    plan, dossier = pack.plan, pack.plan.dossier
    assert dossier is not None  # read_pack refuses plans without
    book = Book(str(path))
    _award(book, plan, dossier)
    _schedule(book, dossier)
    _cost(book, plan, dossier)
    _compliance(book, plan, dossier)
    _exposure(book, plan, dossier)
    if pack.explanation is not None:
        _explain(book, pack.explanation)
    _assumptions(book, plan, dossier)
    write_sources(book, pack)
    write_rows(book, pack)
    book.close()


def _award(book: Book, plan: Plan, dossier: Dossier) -> None:
    sheet = book.sheet("Award", (22, 20, 28, 14, 14, 14, 10, 12, 12, 10, 12, 12, 12, 12, 14, 14, 12), plan.title)
    passed = plan.verification is not None and plan.verification.passed
    facts = [
        ("Net present cost, million USD", plan.cost_musd, "two"),
        ("Proven bound, million USD", plan.bound_musd, "two"),
        ("Could be cheaper by at most", plan.gap_frac, "fine_share"),
        ("Status", STATUS[plan.status], "line"),
        ("Replayed independently", "passed" if passed else "NOT VERIFIED", "text"),
        ("Weakest data", plan.provenance.get("lowest_confidence"), "text"),
        ("Full load from", dossier.headline.full_load_month or "not before the horizon", "text"),
    ]
    for label, value, style in facts:
        sheet.put(sheet.row, 0, label)
        sheet.put(sheet.row, 1, value, style)
        sheet.row += 1
    sheet.row += 1
    styles = ("text",) * 6 + ("whole", "one", "one", "one", "text", "text", "text", "share", "two", "two", "text")
    sheet.head(
        ("Offer", "Supplier", "Product", "Chemistry", "Goods from", "Cells from", "Units", "MWh usable AC",
         "MWh DC nameplate", "MW", "First order by", "First in service", "Last in service", "Share of storage",
         "Equipment, million USD", "Net cost, million USD", "Confidence"),
        styles,
    )  # fmt: skip
    top = sheet.row
    sheet.rows(
        [
            (a.offer, a.supplier, a.product, chemistry(a.chemistry, a.kind), a.origin, a.cell_country, a.containers,
             a.energy_usable_mwh, a.energy_nameplate_mwh, a.power_mw, a.first_order_month, a.first_delivery_month,
             a.last_delivery_month, a.storage_share_frac, a.equipment_musd, a.cost_musd, a.confidence)
            for a in dossier.awards
        ],
        styles,
    )  # fmt: skip
    sheet.finish(top, 1)


def _schedule(book: Book, dossier: Dossier) -> None:
    sheet = book.sheet("Schedule", (12, 24, 22, 14, 14, 12, 12, 12, 10, 14, 16), "Orders, in the order of signature")
    styles = ("text",) * 8 + ("whole", "two", "text")
    sheet.head(
        ("Sign by", "Offer", "Supplier", "Chemistry", "Goods from", "On site", "In service", "Leaves", "Units",
         "Price, USD", "per"),
        styles,
    )  # fmt: skip
    top = sheet.row
    sheet.rows(
        [
            (q.order_month, q.offer, q.supplier, chemistry(q.chemistry, q.kind), q.origin,
             q.arrival_month, q.start_month, q.retirement_month, q.containers, q.price_usd_per_basis, q.basis)
            for q in dossier.order_lines
        ],
        styles,
    )  # fmt: skip
    sheet.finish(top, 2)


def _cost(book: Book, plan: Plan, dossier: Dossier) -> None:
    """Every order line as a chain of formulas; items, other costs and the total below."""
    widths = (24, 20, 16, 18) + (15,) * (len(COLUMNS) - 4)
    sheet = book.sheet(COST_SHEET, widths, "Cost build-up: change a price, a rate or a number of containers")
    sheet.head([c.heading for c in COLUMNS], [_cost_style(c.key, c.unit) for c in COLUMNS])
    for column, spec in enumerate(COLUMNS):
        sheet.put(sheet.row, column, spec.unit, "unit")
    sheet.row += 1
    top = sheet.row
    place = {spec.key: column for column, spec in enumerate(COLUMNS)}
    lines = [shown_values(line.model_dump()) for line in dossier.order_lines]
    for values in lines:
        row = sheet.row
        for column, spec in enumerate(COLUMNS):
            style = _cost_style(spec.key, spec.unit)
            if spec.formula:
                text = sheet_formula(spec.formula, row, place)
                sheet.formula(row, column, text, float(str(values[spec.key])), style)
            else:
                value = values[spec.key]
                sheet.put(row, column, period(str(value)) if spec.key == "period" else value, style)
        sheet.row += 1
    end = sheet.row
    sheet.section("Items, million USD at present value")
    sheet.head(("Item", "Of", "From the lines above", "As in the plan"), ("text", "text", "musd", "musd"))
    first = sheet.row
    for item, musd in plan.cost_breakdown_musd.items():
        if item not in ITEM_COLUMNS or not lines:
            continue
        column = place[ITEM_COLUMNS[item]]
        counts, parts = (f"{cell(top, q)}:{cell(end - 1, q)}" for q in (place["containers"], column))
        sheet.put(sheet.row, 0, words(item, COST))
        sheet.formula(sheet.row, 2, f"=SUMPRODUCT({counts},{parts})/1000000", musd, "musd")
        sheet.put(sheet.row, 3, musd, "musd")
        sheet.row += 1
    for other in dossier.other_costs:
        sheet.put(sheet.row, 0, words(other.item, COST))
        sheet.put(sheet.row, 1, period(other.what))
        sheet.put(sheet.row, 2, other.cost_musd, "musd")
        sheet.row += 1
    last = max(sheet.row - 1, first)
    sheet.put(sheet.row, 0, "Net present cost", "total_text")
    sheet.put(sheet.row, 1, None, "total_text")
    sheet.formula(sheet.row, 2, f"=SUM({cell(first, 2)}:{cell(last, 2)})", plan.cost_musd, "total")
    sheet.put(sheet.row, 3, plan.cost_musd, "total")
    book.book.define_name("net_present_cost_musd", f"='{COST_SHEET}'!${cell(sheet.row, 2)[0]}${sheet.row + 1}")
    sheet.row += 1
    sheet.put(sheet.row, 0, "Difference to the plan, USD")
    difference = f"=({cell(sheet.row - 1, 2)}-{cell(sheet.row - 1, 3)})*1000000"
    sheet.formula(sheet.row, 2, difference, 0.0, "two")
    sheet.row += 1
    sheet.finish(top, 2, repeat=False, pages_wide=4)


def _cost_style(key: str, unit: str) -> str:
    if key in ("offer", "period", "basis"):
        return "text"
    if key == "containers":
        return "whole"
    if key.endswith("_frac") and "factor" not in key:
        return "share"
    if "factor" in key or key.endswith("_yr"):
        return "factor"
    return "musd" if unit.startswith("million") else "usd"


def _compliance(book: Book, plan: Plan, dossier: Dossier) -> None:
    sheet = book.sheet("Compliance", (30, 26, 16, 16, 16, 16, 16, 16, 16, 16, 16), "Rules and how they are kept")
    sheet.section("Tax credit by construction phase")
    sheet.table(
        ("Phase", "Construction starts", "Nameplate MWh", "Domestic content", "threshold", "Material assistance",
         "threshold", "Credit", "Rate", "Million USD"),
        [
            (h.phase, h.construction_start_month, h.nameplate_mwh, h.domestic_frac, h.domestic_threshold_frac,
             h.macr_frac, h.macr_threshold_frac,
             "nothing delivered" if h.domestic_frac is None else words(h.state, CREDIT), h.rate_frac, h.credit_musd)
            for h in dossier.phases
        ],
        ("text", "text", "one", "share", "share", "share", "share", "text", "share", "two"),
    )  # fmt: skip
    sheet.section("Content by vintage")
    sheet.table(
        ("Period", "Phase", "Nameplate MWh", "Domestic content", "threshold", "Material assistance", "threshold"),
        [
            (period(v.period), v.phase or "after the last", v.nameplate_mwh, v.domestic_frac, v.domestic_threshold_frac,
             v.macr_frac, v.macr_threshold_frac)
            for v in dossier.vintages
        ],
        ("text", "text", "one", "share", "share", "share", "share"),
    )  # fmt: skip
    sheet.section("Tightest outage of each contingency")
    sheet.table(
        ("Contingency", "Lost", "Period", "Hours", "Required MWh", "Left MWh", "Margin MWh"),
        [
            (words(m.contingency, CONTINGENCY), lost_words(plan, m.lost) if m.lost else "nothing", period(m.period),
             m.hours, m.required_mwh, m.delivered_mwh, m.margin_mwh)
            for m in plan.reliability
        ],
        ("text", "text", "text", "two", "one", "one", "two"),
    )  # fmt: skip
    sheet.section("Zones at their fullest")
    sheet.table(
        ("Zone", "What is full", "Area used m2", "allowed m2", "Energy MWh", "allowed MWh", "Hazard MWh", "allowed MWh",
         "Fire water l/min", "allowed l/min"),
        [
            (u.zone, words(u.binding, BINDING), u.area_used_m2, u.area_allowed_m2, u.energy_used_mwh,
             u.energy_allowed_mwh,
             u.hazard_used_mwh, u.hazard_allowed_mwh, u.fire_water_used_lpm, u.fire_water_allowed_lpm)
            for u in plan.fire
        ],
        ("text", "text", *("whole",) * 8),
    )  # fmt: skip
    sheet.section("Load by period")
    sheet.table(
        ("Period", "Held back by", "Target MW", "Energised MW"),
        [
            (
                period(r.period),
                words(r.binding, BINDING),
                r.target_mw,
                r.served_mw,
            )
            for r in plan.critical_path
        ],
        ("text", "text", "one", "one"),
    )
    sheet.section("Independent replay")
    verdict = plan.verification
    residuals = [] if verdict is None else [(capital(words(n, CHECK)), None, v) for n, v in verdict.residuals.items()]
    sheet.table(("Check", "", "Largest relative violation"), residuals, ("text", "text", "tiny"))
    if verdict is not None:
        notes = [(e, "fault") for e in verdict.errors] + [
            (with_names(f.text, offer_names([plan])), words(f.topic, FINDING)) for f in verdict.findings
        ]
        sheet.rows([(topic, text) for text, topic in notes], ("text", "text"))
    sheet.finish(2, 1, repeat=False)


def _exposure(book: Book, plan: Plan, dossier: Dossier) -> None:
    sheet = book.sheet("Exposure", (30, 22, 20, 20, 14), "Exposure to China, per unit of the required energy")
    sheet.section("By measure")
    rows = [(capital(words(name, MEASURE)), share) for name, share in plan.exposure_frac.items()]
    sheet.table(("Measure", "Exposure"), rows, ("text", "three"))
    sheet.section("By layer and origin of the goods")
    sheet.table(
        ("Layer", "Goods from", "By place", "By owner"),
        [(r.layer.replace("_", " "), r.origin, r.production_frac, r.ownership_frac) for r in dossier.layer_exposure],
        ("text", "text", "three", "three"),
    )
    sheet.section("Countries by role")
    sheet.table(
        ("Role", "Country", "MWh usable AC", "Share of storage"),
        [(r.role, r.country, r.energy_mwh, r.share_frac) for r in dossier.country_shares],
        ("text", "text", "one", "share"),
    )
    sheet.section("Duties")
    sheet.table(
        ("Origin of the dutiable part", "Units", "Dutiable, million USD", "Highest rate", "Duty, million USD"),
        [(t.duty_origin, t.containers, t.dutiable_musd, t.highest_rate_frac, t.duty_musd) for t in dossier.tariffs],
        ("text", "whole", "two", "share", "two"),
    )
    sheet.finish(2, 1, repeat=False)


def _explain(book: Book, found: Explanation) -> None:
    widths = (26, 58, 16, 14, 14, 40, 14, 14)
    sheet = book.sheet("Explain", widths, "Why this, why not that: every question solved anew")
    sheet.section("Offers: what it costs to turn each decision round")
    sheet.table(
        ("Offer", "Why", "Verdict", "Costs more, at least, million USD", "at most", "Product"),
        [
            (a.offer, with_bans(a.text), a.verdict, a.extra_cost_lower_musd, a.extra_cost_upper_musd, a.name)
            for a in found.offers
        ],
        ("text", "text", "text", "two", "two", "text"),
    )  # fmt: skip
    sheet.section("Offers: the figure at which each enters or leaves, nothing else moved")
    sheet.table(
        ("Offer", "Figure", "Unit", "Now", "In at", "Out at", "Change, in", "Change, out"),
        [
            (a.offer, t.figure.replace("_", " "), t.unit, t.now, t.enters_at, t.stays_out_at, t.change_enters_frac,
             t.change_stays_out_frac)
            for a in found.offers for t in a.thresholds
        ],
        ("text", "text", "text", "two", "two", "two", "share", "share"),
    )  # fmt: skip
    sheet.section("Rules: what is saved when one gives way")
    sheet.table(
        ("Rule", "Key", "Change", "By", "Unit", "Saves, at least, million USD", "at most", "Verdict"),
        [
            (with_bans(r.words), r.rule, r.change, None if r.change == "dropped" else r.amount, r.unit,
             r.saved_lower_musd, r.saved_upper_musd, r.verdict)
            for r in found.rules
        ],
        ("text", "text", "text", "two", "text", "two", "two", "text"),
    )  # fmt: skip
    sheet.section("Quotes brought to one footing, USD per usable AC kWh")
    sheet.table(
        ("Offer", "Product", "Delivered", "Quote", "Unit", "At site, duty paid", "Net present value",
         "At site per kW"),
        [
            (b.offer, b.name, period(b.period), b.quoted_price, b.price_unit, b.at_site_usd_per_kwh, b.net_usd_per_kwh,
             b.at_site_usd_per_kw)
            for b in found.bridges
        ],
        ("text", "text", "text", "two", "text", "two", "two", "two"),
    )  # fmt: skip
    sheet.finish(2, 1, repeat=False)


def _assumptions(book: Book, plan: Plan, dossier: Dossier) -> None:
    sheet = book.sheet("Assumptions", (30, 100, 18), "What was asked, and what the figures rest on")
    sheet.section("The question")
    sheet.rows([(f.label, f.text) for f in dossier.question], ("text", "text"))
    sheet.section("Assumptions")
    sheet.rows([(None, text) for text in plan.assumptions], ("text", "text"))
    sheet.section("What would change the answer")
    sheet.table(
        ("Topic", "Why", "Million USD rest on it"),
        [(t.topic, t.text, t.at_stake_musd) for t in dossier.turns],
        ("text", "text", "one"),
    )
    sheet.section("Provenance")
    names = ("planner", "solver", "solver_version", "python", "command", "data_rows_used", "lowest_confidence")
    facts = [(n.replace("_", " "), str(plan.provenance[n])) for n in names if n in plan.provenance]
    sheet.rows([*facts, ("input sha256", plan.input_sha256), ("schema", plan.schema_version)], ("text", "text"))
    sheet.finish(2, 1, repeat=False)
