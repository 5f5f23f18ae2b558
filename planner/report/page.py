"""The page: one file with its style, scripts, figures and data in it."""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from planner.dossier import OutageCurve
from planner.report import wording
from planner.report.captions import captions, lost_words, offer_names, public_words
from planner.report.frontview import FrontView, cutoff_words, front_view
from planner.report.operating import duration_svg, week_svg
from planner.report.pack import ROW_COLUMNS, Pack
from planner.report.questions import answers, explain_command
from planner.report.sankey import sankey
from planner.report.why import PRICE_STEPS, Why, differs, doubts, why_of
from planner.results import Plan

SCRIPTS = ("base.js", "charts.js", "site.js", "tables.js", "explorer.js", "why.js", "start.js")
#: The page stays below 6 MB: plans of the front are left out evenly beyond this.
MOST_VIEW_BYTES = 3_000_000


def asset(name: str) -> str:
    """A file of the page, as text."""
    return files("planner.report").joinpath("assets", name).read_text(encoding="utf-8")


def environment() -> Environment:
    """Templates of the pages: everything escaped, nothing undefined, the words and formats of the report as filters."""
    made = Environment(
        loader=FunctionLoader(asset), autoescape=True, undefined=StrictUndefined, finalize=_finalize, trim_blocks=True
    )
    made.filters |= {
        "cutoff": cutoff_words,
        "differs": differs,
        "span": wording.span,
        "number": wording.number,
        "percent": wording.percent,
        "period": wording.period,
        "periods": wording.periods,
        "words": lambda name, table: wording.words(name, getattr(wording, table)),
        "capital": wording.capital,
        "chemistry_colour": wording.chemistry_colour,
        "origin_colour": wording.origin_colour,
    }
    made.globals["chemistry_name"] = wording.chemistry
    return made


def page_html(pack: Pack) -> str:
    """The whole page as text.

    Parameters
    ----------
    pack
        From ``read_pack``.
    """
    pages = environment()
    pages.filters["lost"] = lambda name: lost_words(pack.plan, name)
    pages.filters["named"] = lambda text: wording.with_names(text, offer_names([pack.plan]))
    library = asset("plotly-basic.min.js")
    script = "\n".join(asset(name) for name in SCRIPTS)
    why = None if pack.explanation is None else why_of(pack.explanation)
    view = None if pack.front is None else front_view(pack.front, pack.front_plans)
    data = _data(pack, why, view)
    dossier = pack.plan.dossier
    assert dossier is not None  # read_pack refuses plans without
    return pages.get_template("page.html.j2").render(
        plan=pack.plan,
        dossier=dossier,
        turns=(*(why.turns if why else ()), *doubts(dossier.turns)),
        why=why,
        without_explanation=pack.without_explanation,
        price_steps=PRICE_STEPS,
        front=pack.front,
        other_question=pack.front is not None and pack.front.input_sha256 not in ("", pack.plan.input_sha256),
        view=view,
        answers=answers(pack, why, view),
        explain_command=explain_command(pack),
        regret=pack.regret,
        shown_points=sum("view" in point for point in data["front"]["points"]) if data["front"] else 0,
        rows=len(pack.rows),
        status=wording.STATUS[pack.plan.status],
        captions=captions(pack),
        pictures=_pictures(pack),
        public_words=public_words(pack.plan),
        measure_words=wording.MEASURE,
        chain=sankey(pack.plan.sourced_layers),
        policy=policy(library, script),
        style=Markup(asset("page.css")),
        library=Markup(library),
        script=Markup(script),
        data=Markup(script_json(data)),
    )


def _pictures(pack: Pack) -> dict[str, Markup]:
    """Week and duration curve of the last operating year; empty without schedules."""
    if not pack.schedule:
        return {}
    step_h = 8760.0 / len(pack.schedule["load_mw"]) * max(1, round(len(pack.schedule["load_mw"]) / 8760.0))
    return {"week": Markup(week_svg(pack.schedule, step_h)), "duration": Markup(duration_svg(pack.schedule))}


def _finalize(value: Any) -> Any:
    return wording.harmless(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def policy(*scripts: str) -> str:
    """Content security policy of a page: no network, and no script but these."""
    allowed = " ".join(_hash(script) for script in scripts)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; base-uri 'none';"
        " form-action 'none'"
    )


def _hash(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def script_json(data: Any) -> str:
    """JSON that cannot end its script element."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _data(pack: Pack, why: Why | None, view: FrontView | None) -> dict[str, Any]:
    """What the scripts draw: texts made harmless here, so that no script need think of it."""
    data = {
        "plan": pack.plan.model_dump(mode="json", exclude={"placements", "orders", "sourcing", "sourced_layers"}),
        "rows": _coded(pack.rows),
        "front": _front(pack, view),
        "why": None if why is None else _why(why),
        "chemistry": {k: {"name": n, "colour": c} for k, (n, c) in wording.CHEMISTRY.items()},
        "firm": {k: {"name": n, "colour": c} for k, (n, c) in wording.FIRM.items()},
        "origin": wording.ORIGIN,
        "otherOrigin": wording.OTHER_ORIGIN,
        "cost": wording.COST,
        "measure": wording.MEASURE,
        "contingency": wording.CONTINGENCY,
        "lost": {q.lost: lost_words(pack.plan, q.lost) for q in _curves(pack.plan)},
        "confidence": wording.CONFIDENCE,
    }
    found: dict[str, Any] = wording.harmless_tree(data)
    return found


def _curves(plan: Plan) -> tuple[OutageCurve, ...]:
    return plan.dossier.outage_curves if plan.dossier else ()


def _coded(rows: tuple[tuple[str | bool, ...], ...]) -> dict[str, Any]:
    """Rows as indices into a list of their texts, which repeat a lot."""
    place: dict[str | bool, int] = {}
    coded = [[place.setdefault(cell, len(place)) for cell in row] for row in rows]
    return {"columns": ROW_COLUMNS, "texts": list(place), "rows": coded}


def _view(plan: Plan) -> dict[str, Any]:
    """The parts of a plan that the explorer redraws."""
    chosen = {"headline", "awards", "order_lines", "site", "periods"}
    dates = {"containers", "retirement_month"}
    lines = {
        "offer",
        "supplier",
        "chemistry",
        "kind",
        "origin",
        "period",
        "order_month",
        "arrival_month",
        "start_month",
    }
    dossier = plan.dossier
    assert dossier is not None  # read_pack refuses plans without
    view = dossier.model_dump(mode="json", include=chosen)
    view["order_lines"] = [q.model_dump(include=lines | dates) for q in dossier.order_lines]
    return {
        "cost_musd": plan.cost_musd,
        "bound_musd": plan.bound_musd,
        "gap_frac": plan.gap_frac,
        "status": plan.status,
        "cost_breakdown_musd": plan.cost_breakdown_musd,
        "exposure_frac": plan.exposure_frac,
        "served_mw": plan.served_mw,
        "dossier": view,
    }


def _why(why: Why) -> dict[str, Any]:
    """What the figures of the explanation draw."""
    names = [p.bridge.name for p in why.drawn_prices]
    return {
        "ranges": [r.model_dump() for r in why.drawn_ranges],
        "priceSteps": PRICE_STEPS,
        "prices": [
            {
                "offer": p.bridge.name if names.count(p.bridge.name) == 1 else f"{p.bridge.offer}: {p.bridge.name}",
                "bought": p.bridge.bought,
                "steps": p.steps,
                "at_site": p.bridge.at_site_usd_per_kwh,
            }
            for p in why.drawn_prices
        ],
    }


def _front(pack: Pack, view: FrontView | None) -> dict[str, Any] | None:
    if pack.front is None or view is None:
        return None
    front = pack.front.model_dump(mode="json", include={"measure", "points", "weights"})
    front["jumps"] = [jump.model_dump() for jump in view.jumps]
    views = [None if plan is None else _view(plan) for plan in pack.front_plans]
    there = [i for i, view in enumerate(views) if view is not None]
    size = sum(len(json.dumps(views[i])) for i in there)
    every = max(1, -(-size // MOST_VIEW_BYTES))
    kept = {i for n, i in enumerate(there) if n % every == 0} | set(there[-1:])
    for i, point in enumerate(front["points"]):
        point["premium_musd"] = point["cost_musd"] - front["points"][0]["cost_musd"]
        point["cutoff_words"] = cutoff_words(pack.front.points[i])
        point["next_jump"] = view.next_jump[i]
        if i in kept:
            point["view"] = views[i]
    return front
