"""``study.html``: one page that reads a result set to a policy person. Drawing only; figures come from ``reading``."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from planner.answers import Candidate, CaseRegret, Regret
from planner.study import reading
from planner.study.reading import Findings, read_results
from planner.writing import json_text, write_texts

_PLAIN = {"text": "", "colour": "", "ink": ""}


@dataclass(frozen=True)
class Section:
    """A heading, a sentence, and tables or figures."""

    id: str
    heading: str
    text: str
    blocks: list[dict[str, Any]]


def write_study_report(folder: Path) -> Path:
    """Write ``study.html`` and ``regret.json`` beside a result set, replacing earlier ones.

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
    write_texts({"regret.json": json_text(regret(found)), path.name: page(found)}, folder)
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
    """The whole page as text; it needs no network."""
    from plotly.offline import get_plotlyjs  # noqa: PLC0415 - four megabytes, only for a page

    template = files("planner.study").joinpath("assets", "study.html.j2").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    gaps = found.cases["gap_frac"].max()
    return environment.from_string(template).render(
        title=found.manifest["title"] or found.manifest["study"],
        manifest=found.manifest,
        statuses=found.cases["status"].value_counts().to_dict(),
        gap=None if pd.isna(gaps) else f"{gaps:.1%}",
        sections=[s for s in sections(found) if s.blocks],
        library=Markup(get_plotlyjs()),
    )


def sections(found: Findings) -> list[Section]:
    """Every section of the page; those with nothing to show have no blocks."""
    makers: tuple[Callable[[Findings], Section], ...] = (
        _futures, _heat, _fronts, _shares, _tornado, _regret, _switches, _public, _failures,
    )  # fmt: skip
    return [make(found) for make in makers]


def _number(value: Any, digits: int = 1) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "none" if value is None or math.isnan(value) else "does not survive"
    return f"{value:,.{digits}f}"


def _cell(text: Any, share: float | None = None) -> dict[str, str]:
    """A cell; ``share`` from -1 (blue, less) to 1 (red, more) colours it."""
    if share is None or not math.isfinite(share):
        return _PLAIN | {"text": str(text)}
    strength = min(1.0, abs(share))
    far = (178, 24, 43) if share > 0 else (33, 102, 172)
    mix = tuple(round(255 + (c - 255) * strength) for c in far)
    return {"text": str(text), "colour": f"rgb{mix}", "ink": "#fff" if strength > 0.6 else "#1c2733"}


def _table(title: str, columns: list[str], rows: list[list[dict[str, str]]]) -> dict[str, Any]:
    return {"title": title, "columns": columns, "rows": rows, "figure": ""}


def _figure(title: str, traces: list[dict[str, Any]], **layout: Any) -> dict[str, Any]:
    """A Plotly figure as arguments of ``newPlot``; texts in it cannot end their script."""
    base = {"margin": {"l": 60, "r": 20, "t": 20, "b": 60}, "font": {"family": "system-ui, sans-serif"}, **layout}
    text = json.dumps([traces, base, {"responsive": True, "displaylogo": False}], allow_nan=False)
    safe = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return {"title": title, "columns": [], "rows": [], "figure": Markup(safe)}


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
                    _cell(r["scenario"]),
                    _cell(_number(r["cost_musd"]) if planned else r["status"]),
                    _cell(change if planned else "", r["change_frac"] / largest if planned and largest else None),
                    _cell(_number(100 * r["exposure_cell_frac"], 0)),
                    _cell(_number(100 * r["exposure_value_frac"], 0)),
                    _cell(_number(r["energy_mwh"], 0)),
                    _cell(_number(r["late_load_musd"])),
                    _cell(_number(r["public_net_musd"])),
                ]
            )
        columns = [
            "future", "cost, million USD", f"against {base}", "China-made cells, % of need", "value from China, %",
            "bought, MWh", "late load, million USD", "duties less credits, million USD",
        ]  # fmt: skip
        if rows:
            blocks.append(_table(case, columns, rows))
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
                [_cell(i), *(_cell(_number(v), (2 * (v - low) / (high - low) - 1) if high > low else None) for v in r)]
                for i, r in zip(table.index, table.to_numpy(), strict=True)
            ]
            blocks.append(_table(f"{case}, {scenario}", [f"{grid[0]} \\ {grid[1]}", *map(str, table.columns)], rows))
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
                cost = _number(r["cost_musd"]) if r["status"] in reading.PLANNED else r["status"]
                rows.append([_cell(f"{scenario}, {limit}"), _cell(cost)])
        blocks.append(
            _figure(
                case,
                traces,
                xaxis={"title": {"text": "China-made cells, share of need"}},
                yaxis={"title": {"text": "million USD"}},
            )
        )
        blocks.append(_table("", ["future and limit", "cost, million USD"], rows))
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
                _figure(
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
            _figure(
                f"{case}, {scenario}", [bars], xaxis={"title": {"text": "million USD"}}, height=120 + 40 * len(wide)
            )
        )
        rows = [
            [
                _cell(r["parameter"]),
                *(_cell(_number(r[k], 2)) for k in ("low", "high", "rank_correlation", "first_frac", "total_frac")),
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
        blocks.append(_table("", columns, rows))
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
            cells = [_cell(_number(v), 1.0 if math.isinf(float(v)) else v / largest if largest else None) for v in row]
            rows.append(
                [
                    _cell(f"plan of {name}"),
                    *cells,
                    _cell(_number(t.worst_musd[str(name)])),
                    _cell(_number(t.expected_musd[str(name)])),
                ]
            )
        blocks.append(_table(t.case, ["plan signed", *map(str, t.regret_musd.columns), "worst", "expected"], rows))
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
        " are lost; what was paid for them is not counted."
    )
    return Section("regret", "Which plan is regretted least", text, blocks)


def _switches(found: Findings) -> Section:
    table = reading.switches(found)
    rows = [
        [_cell(f"{r['case']}, {r['scenario']}"), *(_cell(r[k]) for k in ("key", "from", "to", "was", "becomes"))]
        for r in (table.to_dict("records") if len(table) else [])
    ]
    blocks = [_table("", ["case", "key", "from", "to", "largest supplier", "becomes"], rows)] if rows else []
    return Section(
        "switches", "Where the choice switches", "Between which values of a key the largest supplier changes.", blocks
    )


def _public(found: Findings) -> Section:
    table = reading.against_base(found)
    table = table[table["public_usd_per_mwh"].notna()] if len(table) else table
    rows = [
        [_cell(f"{r['case']}, {r['scenario']}"), _cell(_number(r["public_added_musd"])),
         _cell(_number(r["removed_mwh"], 0)),
         _cell(_number(r["public_usd_per_mwh"], 0))]
        for r in (table.to_dict("records") if len(table) else [])
    ]  # fmt: skip
    columns = [
        "case and future",
        "public money added, million USD",
        "China-made cells removed, MWh",
        "USD per MWh removed",
    ]
    text = "Credits paid less duties received, against the first scenario; a negative figure is money the public keeps."
    return Section("public", "What the public pays", text, [_table("", columns, rows)] if rows else [])


def _failures(found: Findings) -> Section:
    bad = found.cases[~found.cases["status"].isin(reading.PLANNED)]
    rows = [[_cell(r["name"]), _cell(r["status"]), _cell(r["reason"])] for r in bad.to_dict("records")]
    blocks = [_table("", ["case", "ending", "reason"], rows)] if rows else []
    return Section(
        "failures", "Cases without a plan", "They are answers too: what cannot be kept, or what went wrong.", blocks
    )
