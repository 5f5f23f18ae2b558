"""``study.html``: one page that reads a result set to a policy person. Drawing only; figures come from ``reading``."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from planner.answers import Candidate, CaseRegret, Regret
from planner.report.page import asset, environment, policy
from planner.study import reading
from planner.study.blocks import as_figure, as_table, cell, number
from planner.study.joint import joint_overlay
from planner.study.reading import Findings, read_results
from planner.study.spec import Study
from planner.writing import json_text, write_texts


@dataclass(frozen=True)
class Section:
    """A heading, a sentence, and tables or figures."""

    id: str
    heading: str
    text: str
    blocks: list[dict[str, Any]]


def write_study_report(folder: Path) -> Path:
    """Write ``study.html``, ``regret.json`` and ``joint.yaml`` beside a result set, replacing earlier ones.

    Parameters
    ----------
    folder
        Written by ``planner study``; it may be unfinished.

    Raises
    ------
    planner.faults.InputError
        If the folder holds no result set.
    OSError
        If it cannot be written.
    """
    path = folder / "study.html"
    found = read_results(folder)
    study = Study.model_validate_json(json.dumps(found.manifest["spec"]))
    joint = {} if study.regret is None else {"joint.yaml": joint_overlay(study)}
    write_texts({"regret.json": json_text(regret(found)), **joint, path.name: page(found)}, folder)
    return path


def regret(found: Findings) -> Regret:
    """The regret of every plan that was tried, as data; no cases where the study asks for none."""

    def finite(value: float) -> float | None:
        return float(value) if math.isfinite(value) else None

    return Regret(
        study=str(found.manifest["study"]),
        until=str((found.manifest["spec"].get("regret") or {}).get("until", "")),
        cases=tuple(
            CaseRegret(
                case=t.case,
                futures=tuple(map(str, t.regret_musd.columns)),
                candidates=tuple(
                    Candidate(
                        plan_of=name, worst_musd=finite(t.worst_musd[name]), expected_musd=finite(t.expected_musd[name])
                    )
                    for name in map(str, t.regret_musd.index)
                ),
                least_worst=t.minimax,
                least_expected=t.least_expected,
                left_out=t.hopeless,
            )
            for t in reading.regrets(found)
        ),
    )


def page(found: Findings) -> str:
    """The whole page as text, in the dress of a plan's page; it needs no network."""
    gaps = found.cases["gap_frac"].max()
    shown = [s for s in sections(found) if s.blocks]
    library, script = asset("plotly-basic.min.js"), _script(shown)
    return (
        environment()
        .get_template("study.html.j2")
        .render(
            title=found.manifest["title"] or found.manifest["study"],
            manifest=found.manifest,
            statuses=found.cases["status"].value_counts().to_dict(),
            gap=None if pd.isna(gaps) else f"{gaps:.1%}",
            sections=shown,
            policy=policy(library, script),
            style=Markup(asset("page.css")),
            library=Markup(library),
            script=Markup(script),
        )
    )


def _script(shown: list[Section]) -> str:
    """Draw every figure; the numbering is that of the template."""
    return "".join(
        f'Plotly.newPlot("figure-{s.id}-{n}", ...{block["figure"]});\n'
        for s in shown
        for n, block in enumerate(s.blocks, 1)
        if block["figure"]
    )


def sections(found: Findings) -> list[Section]:
    """Every section of the page; those with nothing to show have no blocks."""
    makers: tuple[Callable[[Findings], Section], ...] = (
        _futures, _heat, _fronts, _shares, _tornado, _regret, _switches, _public, _failures,
    )  # fmt: skip
    return [make(found) for make in makers]


def _futures(found: Findings) -> Section:
    table = reading.against_base(found)
    blocks = []
    base = found.scenarios[0]
    for case in found.bases:
        part = table[table["case"] == case] if len(table) else table
        largest = part["change_frac"].abs().max() if len(part) else 0
        rows = []
        for r in part.to_dict("records"):
            change = "base" if r["scenario"] == base else "tie" if r["tie"] else f"{r['change_frac']:+.1%}"
            planned = r["status"] in reading.PLANNED
            rows.append(
                [
                    cell(r["scenario"]),
                    cell(number(r["cost_musd"]) if planned else r["status"]),
                    cell(change if planned else "", r["change_frac"] / largest if planned and largest else None),
                    cell(number(100 * r["exposure_cell_frac"], 0)),
                    cell(number(100 * r["exposure_value_frac"], 0)),
                    cell(number(r["energy_mwh"], 0)),
                    cell(number(r["late_load_musd"])),
                    cell(number(r["public_net_musd"])),
                ]
            )
        columns = [
            "future", "cost, million USD", f"against {base}", "China-made cells, % of need", "value from China, %",
            "bought, MWh", "late load, million USD", "duties less credits, million USD",
        ]  # fmt: skip
        if rows:
            blocks.append(as_table(case, columns, rows))
    text = f"The cheapest plan of each buyer in each future, against {base}. Each is planned knowing its future."
    return Section("futures", "What each future costs", text, blocks)


def _heat(found: Findings) -> Section:
    """Heat tables over the first two grid keys."""
    grid = list(found.manifest["spec"]["grid"])[:2]
    blocks = []
    if len(grid) == 2:
        own = found.own[found.own["draw"] <= 0]
        first, second = (f"set.{k}" for k in grid)
        for (case, scenario), part in own.groupby(["case", "scenario"], sort=False):
            free = part[part["limit_frac"].isna()] if part["limit_frac"].isna().any() else part
            table = free.pivot_table("cost_musd", first, second, aggfunc="first", sort=False, dropna=False)
            low, high = table.min().min(), table.max().max()
            rows = [
                [cell(i), *(cell(number(v), (2 * (v - low) / (high - low) - 1) if high > low else None) for v in r)]
                for i, r in zip(table.index, table.to_numpy(), strict=True)
            ]
            blocks.append(as_table(f"{case}, {scenario}", [f"{grid[0]} \\ {grid[1]}", *map(str, table.columns)], rows))
    return Section("heat", "Cost over two keys", "Cost in million USD; blue is cheap, red is dear.", blocks)


def _fronts(found: Findings) -> Section:
    table = reading.fronts(found)
    blocks = []
    for case in found.bases if len(table) else []:
        traces = []
        rows = []
        part = table[table["case"] == case]
        for scenario, line in part.groupby("scenario", sort=False):
            planned = line[line["cost_musd"].notna()].sort_values("exposure_cell_frac")
            points = planned[["exposure_cell_frac", "cost_musd"]].to_numpy().tolist()
            traces.append(
                {"x": [p[0] for p in points], "y": [p[1] for p in points], "name": scenario, "mode": "lines+markers"}
            )
            for r in line.to_dict("records"):
                limit = "no limit" if pd.isna(r["limit_frac"]) else f"at most {r['limit_frac']:.0%}"
                cost = number(r["cost_musd"]) if r["status"] in reading.PLANNED else r["status"]
                rows.append([cell(f"{scenario}, {limit}"), cell(cost)])
        blocks.append(
            as_figure(
                case,
                traces,
                xaxis={"title": {"text": "China-made cells, share of need"}},
                yaxis={"title": {"text": "million USD"}},
            )
        )
        blocks.append(as_table("", ["future and limit", "cost, million USD"], rows))
    return Section("fronts", "What leaving China costs", "Cost under each exposure limit, by future.", blocks)


def _shares(found: Findings) -> Section:
    table = reading.supplier_share(found)
    blocks = []
    for case in found.bases:
        part = table[table["case"] == case]
        traces = [
            {"type": "bar", "name": s, "x": t["scenario"].tolist(), "y": t["share_frac"].tolist()}
            for s, t in part.groupby("supplier", sort=False)
        ]
        if traces:
            blocks.append(
                as_figure(
                    case,
                    traces,
                    barmode="stack",
                    xaxis={"categoryarray": found.scenarios},
                    yaxis={"tickformat": ".0%"},
                    height=460,
                )
            )
    text = "Share of the storage energy ordered, by supplier; generators and firm contracts are left out."
    return Section("shares", "Who is bought from", text, blocks)


def _tornado(found: Findings) -> Section:
    table = reading.effects(found)
    blocks = []
    for (case, scenario), part in table.groupby(["case", "scenario"], sort=False) if len(table) else ():
        wide = part.assign(width=(part["high"] - part["low"]).abs()).sort_values("width")
        bars = {
            "type": "bar", "orientation": "h", "y": wide["parameter"].tolist(), "base": wide["low"].tolist(),
            "x": (wide["high"] - wide["low"]).tolist(),
        }  # fmt: skip
        blocks.append(
            as_figure(
                f"{case}, {scenario}", [bars], xaxis={"title": {"text": "million USD"}}, height=120 + 40 * len(wide)
            )
        )
        rows = [
            [
                cell(r["parameter"]),
                *(cell(number(r[k], 2)) for k in ("low", "high", "rank_correlation", "first_frac", "total_frac")),
            ]
            for r in wide.iloc[::-1].to_dict("records")
        ]
        columns = [
            "parameter",
            "cost at its lowest fifth",
            "at its highest fifth",
            "rank correlation",
            "first-order index",
            "total-effect index",
        ]
        blocks.append(as_table("", columns, rows))
    text = "Mean cost where a drawn parameter is low and where it is high; indices are shares of the variance."
    return Section("tornado", "Which unknowns matter", text, blocks)


def _regret(found: Findings) -> Section:
    blocks = []
    for t in reading.regrets(found):
        finite = t.regret_musd.to_numpy()[pd.notna(t.regret_musd.to_numpy())]
        largest = max([v for v in finite if math.isfinite(v)] or [0.0])
        rows = []
        for name in map(str, t.regret_musd.index):
            row = t.regret_musd.loc[name].to_numpy(dtype=float)
            cells = [cell(number(v), 1.0 if math.isinf(float(v)) else v / largest if largest else None) for v in row]
            rows.append(
                [
                    cell(f"plan of {name}"),
                    *cells,
                    cell(number(t.worst_musd[str(name)])),
                    cell(number(t.expected_musd[str(name)])),
                ]
            )
        blocks.append(as_table(t.case, ["plan signed", *map(str, t.regret_musd.columns), "worst", "expected"], rows))
        words = (
            f"{t.case}: least worst regret with the plan of {t.minimax},"
            f" least expected regret with that of {t.least_expected}."
            if t.minimax
            else f"{t.case}: no plan tried survives every future."
        )
        if t.hopeless:
            words += f" No plan at all was found for {', '.join(t.hopeless)}: left out."
        blocks.append({"title": words, "columns": [], "rows": [], "figure": ""})
    rule = found.manifest["spec"].get("regret") or {}
    text = (
        f"Orders that each plan signs before {rule.get('until', '')} are fixed and everything later is planned anew,"
        " knowing the future that came. Million USD above the best plan for that future. Orders that a cut-off stops"
        " are lost; what was paid for them is not counted. The cheapest orders that hold in all these futures may be"
        " those of none of them: joint.yaml beside this page asks planner disruption for them, as one model."
    )
    return Section("regret", "Which plan is regretted least", text, blocks)


def _switches(found: Findings) -> Section:
    table = reading.switches(found)
    rows = [
        [cell(f"{r['case']}, {r['scenario']}"), *(cell(r[k]) for k in ("key", "from", "to", "was", "becomes"))]
        for r in (table.to_dict("records") if len(table) else [])
    ]
    blocks = [as_table("", ["case", "key", "from", "to", "largest supplier", "becomes"], rows)] if rows else []
    return Section(
        "switches", "Where the choice switches", "Between which values of a key the largest supplier changes.", blocks
    )


def _public(found: Findings) -> Section:
    table = reading.instruments(found)
    table = table[table["public_net_musd"].notna()] if len(table) else table
    rows = [
        [
            cell(f"{r['case']}, {r['instrument']}"),
            cell("tie" if r["tie"] else f"{r['change_musd']:+,.1f}"),
            cell(number(r["public_added_musd"])),
            cell(number(r["removed_mwh"], 0)),
            *(cell("" if pd.isna(r[k]) else number(r[k], 0)) for k in ("public_usd_per_mwh", "all_usd_per_mwh")),
        ]
        for r in (table.to_dict("records") if len(table) else [])
    ]
    columns = [
        "case and instrument", "cost to the buyer, million USD", "public money added, million USD",
        "China-made cells removed, MWh", "public USD per MWh removed", "buyer and public, USD per MWh removed",
    ]  # fmt: skip
    text = (
        f"Each future, and each exposure limit as a rule, against {found.scenarios[0]}: credits and grants paid less"
        " duties received. A negative figure is money the public keeps. No figure per MWh where less than a hundredth"
        " of the need is removed."
    )
    return Section("public", "What the public pays", text, [as_table("", columns, rows)] if rows else [])


def _failures(found: Findings) -> Section:
    bad = found.cases[~found.cases["status"].isin(reading.PLANNED)]
    rows = [[cell(r["name"]), cell(r["status"]), cell(r["reason"])] for r in bad.to_dict("records")]
    blocks = [as_table("", ["case", "ending", "reason"], rows)] if rows else []
    return Section(
        "failures", "Cases without a plan", "They are answers too: what cannot be kept, or what went wrong.", blocks
    )
