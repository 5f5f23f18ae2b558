"""A front as files: ``frontier.json``, ``frontier.csv``, the plan of every point, and pictures."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel

from planner.frontier.nodeworth import LayerLeft, NodeWorth, layers_left, node_worths
from planner.frontier.pictures import static_pictures
from planner.frontier.portfolio import Traced
from planner.frontier.results import FrontierPoint
from planner.writing import beside, json_text, schedule_files, write_texts

PLANS = "plans"
#: Points of a front at which sources are priced.
_SOURCED_POINTS = 7


def write_frontier(traced: Traced, folder: Path) -> None:
    """Write every file of a front, replacing those of an earlier run; ``frontier.json`` last.

    Parameters
    ----------
    traced
        From ``planner.trace_frontier``.
    folder
        Made if it is missing.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with beside(folder) as work:
        for point, plan in zip(traced.frontier.points, traced.plans, strict=True):
            place = work / point.plan
            place.parent.mkdir(parents=True)
            place.write_text(json_text(plan), encoding="utf-8")
            for name, content in schedule_files(plan).items():
                (place.parent / name).write_bytes(content)
        (work / "frontier.csv").write_text(_csv(FrontierPoint, traced.frontier.points), encoding="utf-8")
        for name, text in _sourcing(traced).items():
            (work / name).write_text(text, encoding="utf-8")
        for name, picture in static_pictures([traced]).items():
            (work / f"{name}.svg").write_text(picture, encoding="utf-8")
        (work / "frontier.json").write_text(json_text(traced.frontier), encoding="utf-8")


def _csv(kind: type[BaseModel], rows: Sequence[BaseModel], more: Sequence[Mapping[str, object]] = ()) -> str:
    """Records as CSV; ``more`` holds columns that stand before those of each record."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    front = [*more[0]] if more else []
    writer.writerow([*front, *kind.model_fields])
    for k, row in enumerate(rows):
        cells = [*(more[k].values() if more else ()), *row.model_dump().values()]
        writer.writerow("" if v is None else v for v in cells)
    return text.getvalue()


def _sourcing(traced: Traced) -> dict[str, str]:
    """What sources are worth along the front, where the plan chooses them: at the ends and at points between."""
    problem, front = traced.problem, traced.frontier
    if problem.case.sourcing.mode != "free":
        return {}
    last = len(front.points) - 1
    at = sorted({round(k * last / (_SOURCED_POINTS - 1)) for k in range(_SOURCED_POINTS)})
    worths, left = [], []
    for i in at:
        place = {"point": i, "exposure_frac": front.points[i].exposure_frac, "cost_musd": front.points[i].cost_musd}
        worths += [(place, row) for row in node_worths(problem, front.measure, traced.plans[i])]
        left += [(place, row) for row in layers_left(problem, front.measure, traced.plans[i])]
    return {
        "node_worth.csv": _csv(NodeWorth, [r for _, r in worths], [p for p, _ in worths]),
        "layers_left.csv": _csv(LayerLeft, [r for _, r in left], [p for p, _ in left]),
    }


def write_comparison(rows: Sequence[dict[str, object]], traced: Sequence[Traced], folder: Path) -> None:
    """Write ``comparison.csv``, ``comparison.json`` and one picture of several fronts."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows([{k: "" if v is None else v for k, v in row.items()} for row in rows])
    contents = {"comparison.csv": text.getvalue(), "comparison.svg": static_pictures(traced)["front"]}
    contents["comparison.json"] = json.dumps(rows, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_texts(contents, folder)
