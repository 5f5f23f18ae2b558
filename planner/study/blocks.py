"""Cells, tables and figures of the page of a study."""

from __future__ import annotations

import math
from typing import Any

from planner.report.page import script_json

_PLAIN = {"text": "", "colour": "", "ink": ""}


def number(value: Any, digits: int = 1) -> str:
    """A figure with thousands separated; a missing one is ``none``, an infinite one does not survive."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "none" if value is None or math.isnan(value) else "does not survive"
    return f"{value:,.{digits}f}"


def cell(text: Any, share: float | None = None) -> dict[str, str]:
    """A cell; ``share`` from -1 (blue, less) to 1 (red, more) colours it."""
    if share is None or not math.isfinite(share):
        return _PLAIN | {"text": str(text)}
    strength = min(1.0, abs(share))
    far = (178, 24, 43) if share > 0 else (33, 102, 172)
    mix = tuple(round(255 + (c - 255) * strength) for c in far)
    return {"text": str(text), "colour": f"rgb{mix}", "ink": "#fff" if strength > 0.6 else "#1c2733"}


def as_table(title: str, columns: list[str], rows: list[list[dict[str, str]]]) -> dict[str, Any]:
    """A table of cells under a title."""
    return {"title": title, "columns": columns, "rows": rows, "figure": ""}


def as_figure(title: str, traces: list[dict[str, Any]], **layout: Any) -> dict[str, Any]:
    """A Plotly figure as arguments of ``newPlot``; texts in it cannot end their script."""
    base = {"margin": {"l": 60, "r": 20, "t": 20, "b": 60}, "font": {"family": "system-ui, sans-serif"}, **layout}
    text = script_json([traces, base, {"responsive": True, "displaylogo": False}])
    return {"title": title, "columns": [], "rows": [], "figure": text}
