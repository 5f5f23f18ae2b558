"""Reading a result folder: the plan, its data rows, its explanation, and the front with the plan of each point."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from planner.answers import CaseRegret, Explanation, Regret
from planner.faults import Fault, InputError, shown
from planner.results import Plan

FloatArray = NDArray[np.float64]
MAX_BYTES = 200_000_000
#: Columns of ``provenance.parquet``.
ROW_COLUMNS = ("table", "key", "values", "unit", "source", "date", "confidence", "note", "in_plan")
#: Written by ``planner study-report``, and laid beside a plan by ``planner report DIR --study``.
REGRET = "regret.json"
#: Why a page has no explanation.
ABSENT = "Not asked yet; every question is solved anew by the command, with the folder of this page as DIR:"
BROKEN = "explain.json cannot be read; the command asks anew, with the folder of this page as DIR:"
OF_ANOTHER_PLAN = "explain.json is of another plan; the command asks anew, with the folder of this page as DIR:"


class _Part(BaseModel):
    """A part of ``frontier.json``; keys that the page does not show are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Point(_Part):
    """One point: a plan, and what one more point of exposure (0.01) costs to its left and saves to its right."""

    cost_musd: float = Field(allow_inf_nan=False)
    bound_musd: float | None = None
    exposure_frac: float = Field(allow_inf_nan=False)
    supported: bool = False
    plan: str | None = None
    role: str = ""
    price_left_musd: float | None = None
    price_right_musd: float | None = None
    cutoff_break_even_frac_per_yr: float | None = None
    public_net_musd: float | None = None
    public_usd_per_mwh: float | None = None


class Weight(_Part):
    """Which point a weight of security against cost reaches."""

    theta: float
    point: int


class Jump(_Part):
    """A step of the front: what a little less exposure costs there, and what changes."""

    exposure_frac: float
    cost_below_musd: float
    cost_at_musd: float
    words: str


class Band(_Part):
    """What is proved at one exposure: no plan with no more of it is cheaper."""

    exposure_frac: float
    bound_musd: float


class Front(_Part):
    """``frontier.json``: the front between cost and exposure."""

    case: str = ""
    input_sha256: str = ""
    measure: str
    required_mwh: float | None = None
    tolerance: float | None = None
    uncovered_frac: float | None = None
    uncovered_whole_frac: float | None = None
    points: tuple[Point, ...] = Field(min_length=1)
    weights: tuple[Weight, ...] = ()
    jumps: tuple[Jump, ...] = ()
    band: tuple[Band, ...] = ()
    unreached_saving_frac: float | None = None
    knee_words: str = ""
    least_exposure_words: str = ""
    break_even_words: str = ""


@dataclass(frozen=True)
class Pack:
    """Everything that the report shows.

    Attributes
    ----------
    plan
        The plan; of a front without one of its own, the plan of its cheapest point.
    rows
        Data rows that entered, each a tuple in the order of ``ROW_COLUMNS``.
    front, front_plans
        The front from cheap to secure, and the plan of each of its points (None where there is none).
    explanation
        What ``planner explain`` found about this plan, None if nothing was asked.
    without_explanation
        Why there is none, in a sentence; empty when there is one.
    has_own_plan
        Whether the folder holds a plan of its own, which ``planner explain`` needs.
    regret
        What a study found about the case of the plan, with the study's name and date; None without one.
    schedule
        Flows of the last operating year, one array per column of ``schedule.parquet``; empty without operations.
    left_aside
        Faults of files beside the plan (an old explanation, front or regret), which the report goes without.
    """

    plan: Plan
    rows: tuple[tuple[str | bool, ...], ...]
    front: Front | None
    front_plans: tuple[Plan | None, ...]
    explanation: Explanation | None = None
    without_explanation: str = ""
    has_own_plan: bool = True
    regret: tuple[Regret, CaseRegret] | None = None
    schedule: Mapping[str, FloatArray] = field(default_factory=dict)
    left_aside: tuple[Fault, ...] = ()


def read_pack(folder: Path, study: Path | None = None) -> Pack:
    """Read a result folder, and the regret of a study from its folder.

    Raises
    ------
    InputError
        With everything that keeps the plan from being reported.
    """
    faults: list[Fault] = []
    if not folder.is_dir():
        raise InputError([Fault(str(folder), "", "no such folder", "a folder that planner plan or frontier wrote")])
    has_own_plan = (folder / "plan.json").exists()
    aside: list[Fault] = []
    front, plans = _front(folder, aside if has_own_plan else faults)
    if aside:
        front, plans = None, ()
    plan = _plan(folder / "plan.json", "plan.json", faults) if has_own_plan else None
    if plan is None and not faults:
        plan = next((p for p in plans if p is not None), None)
    if plan is None and not faults:
        faults.append(Fault(str(folder), "", "no plan.json", "a folder that planner plan or frontier wrote"))
    rows = _rows(folder / "provenance.parquet", faults)
    explanation, without = _explanation(folder, plan, aside)
    if study is not None and not (study / REGRET).is_file():
        faults.append(Fault(str(study), "", f"no {REGRET}", "a folder that planner study-report wrote to"))
    regret = _regret(study or folder, plan, faults if study is not None else aside)
    schedule = _schedule(folder / "schedule.parquet", faults) if plan is not None and plan.operations else {}
    if faults or plan is None:
        raise InputError(faults)
    return Pack(plan, rows, front, plans, explanation, without, has_own_plan, regret, schedule, tuple(aside))


def _schedule(path: Path, faults: list[Fault]) -> dict[str, FloatArray]:
    """Flows of the last period; a folder without the file is reported without pictures."""
    if not path.exists():
        return {}
    try:
        table = pq.read_table(path)
        label = np.asarray(table.column("period").to_pylist())
        names = [name for name in table.column_names if name not in ("period", "step")]
        return {name: np.asarray(table.column(name), dtype=float)[label == label[-1]] for name in names}
    except Exception as error:  # a broken file can fail in any way
        faults.append(
            Fault(path.name, "", f"a table that cannot be read ({type(error).__name__})", "a table as written")
        )
        return {}


def _text(path: Path, name: str, faults: list[Fault]) -> str | None:
    try:
        if path.stat().st_size > MAX_BYTES:
            faults.append(Fault(name, "", f"more than {MAX_BYTES} bytes", "a result of the planner"))
            return None
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        faults.append(Fault(name, "", "no such file", "a result of the planner"))
    except (OSError, ValueError) as error:
        faults.append(Fault(name, "", getattr(error, "strerror", None) or type(error).__name__, "a readable file"))
    return None


def _plan(path: Path, name: str, faults: list[Fault]) -> Plan | None:
    text = _text(path, name, faults)
    if text is None:
        return None
    try:
        plan = Plan.model_validate_json(text)
    except ValidationError as error:
        faults += _told(error, name, "plan.json")
        return None
    except (ValueError, RecursionError):
        faults.append(Fault(name, "", "text that is no JSON", "a plan.json"))
        return None
    if plan.dossier is None:
        faults.append(Fault(name, "dossier", "nothing", "a plan.json written by this version; plan the case again"))
        return None
    return plan


def _explanation(folder: Path, plan: Plan | None, faults: list[Fault]) -> tuple[Explanation | None, str]:
    """Return the answers about a plan, or None and why there are none to show."""
    if not (folder / "explain.json").exists():
        return None, ABSENT
    text = _text(folder / "explain.json", "explain.json", faults)
    if text is None or plan is None:
        return None, BROKEN
    try:
        found = Explanation.model_validate_json(text)
    except ValidationError as error:
        if _of_other_input(text, plan):  # left there by another version of the planner, perhaps
            return None, OF_ANOTHER_PLAN
        faults += _told(error, "explain.json", "explain.json")
        return None, BROKEN
    return (found, "") if found.is_of(plan) else (None, OF_ANOTHER_PLAN)


def _told(error: ValidationError, name: str, kind: str) -> list[Fault]:
    """What keeps a file from being read as what it should be."""
    return [
        Fault(name, ".".join(map(str, part["loc"])), shown(part["input"]), f"{kind} of this version ({part['msg']})")
        for part in error.errors(include_url=False)[:20]
    ]


def _regret(folder: Path, plan: Plan | None, faults: list[Fault]) -> tuple[Regret, CaseRegret] | None:
    """Return what a study found about the case of a plan; None when there is nothing, or nothing about this case."""
    if not (folder / REGRET).exists():
        return None
    text = _text(folder / REGRET, REGRET, faults)
    if text is None:
        return None
    try:
        found = Regret.model_validate_json(text)
    except ValidationError as error:
        faults += _told(error, REGRET, REGRET)
        return None
    return next(((found, part) for part in found.cases if plan is not None and part.case == plan.case), None)


def _of_other_input(text: str, plan: Plan) -> bool:
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(raw, dict) and raw.get("input_sha256", plan.input_sha256) != plan.input_sha256


def _front(folder: Path, faults: list[Fault]) -> tuple[Front | None, tuple[Plan | None, ...]]:
    if not (folder / "frontier.json").exists():
        return None, ()
    text = _text(folder / "frontier.json", "frontier.json", faults)
    if text is None:
        return None, ()
    try:
        front = Front.model_validate(json.loads(text))
    except (ValueError, RecursionError) as error:
        where = error.errors(include_url=False)[0] if isinstance(error, ValidationError) else None
        key = ".".join(str(part) for part in where["loc"]) if where else ""
        faults.append(Fault("frontier.json", key, where["msg"] if where else "text that is no JSON", "a frontier.json"))
        return None, ()
    # From efficiency to security: exposure falls along the slider.
    order = sorted(range(len(front.points)), key=lambda i: (-front.points[i].exposure_frac, front.points[i].cost_musd))
    place = {old: new for new, old in enumerate(order)}
    weights = tuple(Weight(theta=w.theta, point=place[w.point]) for w in front.weights if w.point in place)
    points = tuple(front.points[i] for i in order)
    plans = tuple(_point_plan(folder, point, faults) for point in points)
    return front.model_copy(update={"points": points, "weights": weights}), plans


def _point_plan(folder: Path, point: Point, faults: list[Fault]) -> Plan | None:
    if point.plan is None:
        return None
    path = folder / point.plan
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError):
        inside = False
    if not inside:
        faults.append(Fault("frontier.json", "points.plan", shown(point.plan), "a file in the same folder"))
        return None
    return _plan(path, point.plan, faults)


def _rows(path: Path, faults: list[Fault]) -> tuple[tuple[Any, ...], ...]:
    """Data rows; a folder without them is reported without them."""
    if not path.exists():
        return ()
    try:
        table = pq.read_table(path, columns=list(ROW_COLUMNS))
        return tuple(zip(*(table.column(name).to_pylist() for name in ROW_COLUMNS), strict=True))
    except Exception as error:  # a broken file can fail in any way
        faults.append(
            Fault(path.name, "", f"a table that cannot be read ({type(error).__name__})", "a table as written")
        )
        return ()
