"""Explanations as files: ``explain.json`` and tables beside the plan; and the plan's own question read back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from planner.answers import Alternative, Baseline, Bridge, Explanation, OfferAnswer, Range, RulePrice
from planner.explain.orders import Counts
from planner.faults import Fault, InputError, known_name, shown
from planner.inputs import load_case
from planner.problem import Problem
from planner.reading import MAX_TABLE_BYTES, read_csv, read_text
from planner.results import Plan, Record
from planner.writing import Cell, Table, json_text, table_of_records, write_tables, write_texts

JSON_NAME = "explain.json"


def read_plan(folder: Path, faults: list[Fault]) -> Plan | None:
    """Return the plan of a folder (or of a ``plan.json`` itself), or None and faults."""
    path = folder if folder.suffix == ".json" else folder / "plan.json"
    text = read_text(path, str(path), MAX_TABLE_BYTES, faults)
    if text is None:
        return None
    try:
        return Plan.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        faults.append(
            Fault(str(path), key, f"text that is no plan ({first['msg']})", "plan.json as the planner writes it")
        )
        return None


def read_question(plan: Plan, folder: Path, case: str | None, overrides: Sequence[str]) -> Problem:
    """Return the question that a plan answers: as the plan names it, or as the caller says.

    Raises
    ------
    InputError
        If it cannot be read, or is not the question that was answered.
    """
    asked = plan.provenance.get("question")
    if case is None and not (isinstance(asked, dict) and asked.get("case")):
        allowed = "a plan that names its case, or the option --case"
        raise InputError([Fault(str(folder / "plan.json"), "provenance.question", "no case", allowed)])
    scenarios: list[str] = []
    if case is None:
        assert isinstance(asked, dict)
        scenarios = [*map(str, asked.get("scenarios", ()))]
        case, overrides = str(asked["case"]), [*map(str, asked.get("overrides", ())), *overrides]
    problem = load_case(case, overrides, scenario=scenarios)
    if problem.input_sha256 != plan.input_sha256:
        found = "a plan of another question: its case, tables or planner version have changed since"
        allowed = "the case as it was planned (--case, --set), or a new plan"
        raise InputError([Fault(str(folder / "plan.json"), "input_sha256", found, allowed)])
    return problem


def read_known(folder: Path) -> Explanation | None:
    """Return the answers of an earlier run; None when there are none that can be read."""
    text = read_text(folder / JSON_NAME, JSON_NAME, MAX_TABLE_BYTES, [])
    if text is None:
        return None
    try:
        return Explanation.model_validate_json(text)
    except ValidationError:
        return None


def read_orders(path: Path, problem: Problem) -> Counts:
    """Orders of the user's own plan: a ``plan.json``, or a CSV with ``offer``, ``period`` and ``containers``.

    Raises
    ------
    InputError
        With every fault found.
    """
    faults: list[Fault] = []
    rows = _rows_of_plan(path, faults) if path.suffix == ".json" else _rows_of_csv(path, faults)
    counts: dict[tuple[str, str], int] = {}
    offers, periods = [o.offer for o in problem.offers], [p.label for p in problem.periods]
    for where, line, offer, period, containers in rows:
        if offer not in offers:
            faults.append(Fault(where, "offer", shown(offer), known_name(offer, offers), line))
        if period not in periods:
            faults.append(Fault(where, "period", shown(period), known_name(period, periods), line))
        if containers is None or containers <= 0:
            faults.append(Fault(where, "containers", "no whole number above 0", "containers bought", line))
        elif offer in offers and period in periods:
            counts[offer, period] = counts.get((offer, period), 0) + containers
    if not rows and not faults:
        faults.append(Fault(str(path), "", "no orders", "one order or more"))
    if faults:
        raise InputError(faults)
    return counts


_Line = tuple[str, int | None, str, str, int | None]


def _rows_of_plan(path: Path, faults: list[Fault]) -> list[_Line]:
    plan = read_plan(path, faults)
    return [] if plan is None else [(str(path), None, r.offer, r.period, r.containers) for r in plan.orders]


def _rows_of_csv(path: Path, faults: list[Fault]) -> list[_Line]:
    text = read_csv(path, str(path), faults)
    if text is None:
        return []
    missing = [name for name in ("offer", "period", "containers") if name not in text.header]
    faults.extend(Fault(str(path), name, "no such column", "a column of that name", 1) for name in missing)
    if missing:
        return []
    at = [text.header.index(name) for name in ("offer", "period", "containers")]
    found: list[_Line] = []
    for cells, line in zip(text.rows, text.lines, strict=True):
        offer, period, count = (cells[i].strip() for i in at)
        whole = int(count) if count.isdecimal() and len(count) < 9 else None
        found.append((str(path), line, offer, period, whole))
    return found


def keep_json(found: Explanation, folder: Path) -> None:
    """Write ``explain.json`` atomically.

    Raises
    ------
    OSError
        If the folder cannot be written; an earlier file is then whole.
    """
    write_texts({JSON_NAME: json_text(found)}, folder)


def tables_of(found: Explanation) -> dict[str, Table]:
    """Tables of an explanation, by file name without suffix."""
    return {
        "explain_bridges": table_of_records(Bridge, found.bridges),
        "explain_offers": _without(OfferAnswer, found.offers, "thresholds"),
        "explain_thresholds": _thresholds(found.offers),
        "explain_rules": table_of_records(RulePrice, found.rules),
        "explain_ranges": table_of_records(Range, found.ranges),
        "explain_alternatives": _without(Alternative, found.alternatives, "orders"),
        "explain_baselines": _baselines(found.baselines),
        "explain_orders": _orders(found),
    }


def write_explanation(found: Explanation, folder: Path) -> None:
    """Write tables as CSV and Parquet, then ``explain.json``.

    Raises
    ------
    OSError
        If the folder cannot be written; files of an earlier run are then whole.
    """
    write_tables(tables_of(found), folder)
    keep_json(found, folder)


def _without(kind: type[Record], records: Iterable[Record], *left_out: str) -> Table:
    whole = table_of_records(kind, records)
    kept = [i for i, name in enumerate(whole.columns) if name not in left_out]
    columns = {name: t for name, t in whole.columns.items() if name not in left_out}
    return Table(columns, [tuple(row[i] for i in kept) for row in whole.rows])


def _thresholds(offers: Iterable[OfferAnswer]) -> Table:
    names: dict[str, type] = {
        "offer": str, "figure": str, "unit": str, "now": float, "enters_at": float, "stays_out_at": float,
        "change_enters_frac": float, "change_stays_out_frac": float, "text": str,
    }  # fmt: skip
    rows: list[tuple[Cell, ...]] = [
        (answer.offer, *(getattr(t, name) for name in names if name != "offer"))
        for answer in offers
        for t in answer.thresholds
    ]
    return Table(names, rows)


def _baselines(found: Sequence[Baseline]) -> Table:
    table = _without(Baseline, found, "orders")
    at = list(table.columns).index("breaks")
    rows = [tuple("; ".join(c) if i == at else c for i, c in enumerate(row)) for row in table.rows]  # type: ignore[arg-type]
    return Table({**table.columns, "breaks": str}, rows)


def _orders(found: Explanation) -> Table:
    columns: dict[str, type] = {"plan": str, "offer": str, "period": str, "containers": int, "energy_mwh": float}
    plans: list[tuple[str, Any]] = [(f"alternative {a.number}", a.orders) for a in found.alternatives]
    plans += [(b.baseline, b.orders) for b in found.baselines]
    rows: list[tuple[Cell, ...]] = [
        (name, r.offer, r.period, r.containers, r.energy_mwh) for name, orders in plans for r in orders
    ]
    return Table(columns, rows)
