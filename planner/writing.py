"""A plan as files: ``plan.json``, and one table per part as CSV and Parquet.

Everything is written beside its place first and then moved, ``plan.json`` last: a reader
never sees half a file, and a new ``plan.json`` means that the tables are new too.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel

from planner.catalogue import Row
from planner.faults import Fault, InputError
from planner.problem import Problem
from planner.results import (
    DailyUse,
    EntityFlag,
    HeldEnergy,
    LayerSource,
    Margin,
    Order,
    Placement,
    Plan,
    PoolShare,
    Record,
    Replacement,
    Retirement,
    RulePrice,
    RunningContainers,
    WaterfallStep,
    ZoneChoice,
    ZoneUse,
)  # fmt: skip

#: A spreadsheet would run a text cell that begins with one of these.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
CAUSES = ("grid", "transformers", "permits", "fire_approval")
_ROW_FIELDS = frozenset(Row.model_fields)
_TYPES = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
_ALLOWED = "a folder that can be written"
#: Files and folders that are being written begin so; what is left of them after a crash may be removed.
WRITING = ".writing-"

Cell = str | int | float | bool | None


@dataclass(frozen=True)
class Table:
    """A table ready to write: column types by name, and rows of cells."""

    columns: Mapping[str, type]
    rows: Sequence[tuple[Cell, ...]]


def tables_of(plan: Plan, problem: Problem) -> dict[str, Table]:
    """Every table of a plan, by file name without suffix.

    Parameters
    ----------
    plan
        From ``planner.plan``.
    problem
        The problem that it answers, for the provenance rows.
    """
    bought = {order.offer for order in plan.orders}
    return {
        "orders": table_of_records(Order, plan.orders),
        "placements": table_of_records(Placement, plan.placements),
        "zone_options": table_of_records(ZoneChoice, plan.zone_options),
        "rule_prices": table_of_records(RulePrice, plan.rule_prices),
        "entities": table_of_records(EntityFlag, plan.entities),
        "credit_pools": table_of_records(PoolShare, plan.credit_pools),
        "sourcing": table_of_records(Replacement, plan.sourcing),
        "sourced_layers": table_of_records(LayerSource, plan.sourced_layers),
        "energisation_steps": _steps(plan),
        "retirements": table_of_records(Retirement, plan.retirements),
        "cost_breakdown": Table({"item": str, "cost_musd": float}, tuple(plan.cost_breakdown_musd.items())),
        "served": Table({"period": str, "served_mw": float}, tuple(plan.served_mw.items())),
        "critical_path": _critical_path(plan),
        "reliability": table_of_records(Margin, plan.reliability),
        "fire": table_of_records(ZoneUse, plan.fire),
        "requirement_waterfall": table_of_records(WaterfallStep, plan.requirement_waterfall_mwh),
        "verification": _verification(plan),
        **_operations(plan),
        "provenance": _provenance(problem, bought),
    }


def _operations(plan: Plan) -> dict[str, Table]:
    """Tables of the operating years; none without them."""
    if plan.operations is None:
        return {}
    years = plan.operations.years
    sources = list(plan.operations.value_musd)
    head = (
        "period",
        "import_mw",
        "flexible_mw",
        "export_mw",
        "served_mw",
        "grid_only_mw",
        "peak_import_mw",
        "cost_musd",
    )
    columns = {name: str if name == "period" else float for name in head} | {f"{s}_musd": float for s in sources}
    lots = {
        "period": str, "lot": str, "offer": str, "power_mw": float, "energy_mwh": float, "discharged_mwh": float,
        "cycles": float, "soh_frac": float,
    }  # fmt: skip
    return {
        "operating_years": Table(
            columns, tuple((*(getattr(y, n) for n in head), *(y.stack_musd[s] for s in sources)) for y in years)
        ),
        "operating_lots": Table(
            lots,
            tuple((y.period, *(getattr(lot, n) for n in list(lots)[1:])) for y in years for lot in y.lots),
        ),
        "held_energy": table_of_records(HeldEnergy, plan.operations.held),
        "daily_use": table_of_records(DailyUse, plan.operations.daily_use),
        "running_containers": table_of_records(RunningContainers, plan.operations.running),
        "operating_value": Table({"source": str, "cost_musd": float}, tuple(plan.operations.value_musd.items())),
    }


#: What ``planner plan`` and ``planner explain`` leave in a folder, but for the suffixes of tables.
_TABLES = (
    "orders", "placements", "zone_options", "rule_prices", "entities", "credit_pools", "sourcing", "sourced_layers",
    "energisation_steps", "retirements", "cost_breakdown", "served", "critical_path", "reliability", "fire",
    "requirement_waterfall", "verification", "operating_years", "operating_lots", "held_energy", "daily_use",
    "running_containers", "operating_value", "schedule", "schedule_lots", "provenance", "explain_bridges",
    "explain_offers", "explain_thresholds", "explain_rules", "explain_ranges", "explain_alternatives",
    "explain_baselines", "explain_orders",
)  # fmt: skip
_OTHERS = ("explain.json", "report.html", "report.xlsx", "plan.json")
EARLIER = "earlier"


def set_aside(folder: Path) -> Path | None:
    """Move the plan of an earlier run, and all that was written with it, to a folder of its own.

    For a run that ends without a plan: its folder must not show another run's.

    Returns
    -------
    Path or None
        Where the earlier plan is; None if there was none.

    Raises
    ------
    OSError
        If a file cannot be moved.
    """
    names = [*(f"{t}.{kind}" for t in _TABLES for kind in ("csv", "parquet")), *_OTHERS]
    there = [name for name in names if (folder / name).is_file()]
    if "plan.json" not in there:
        return None
    (folder / EARLIER).mkdir(exist_ok=True)
    for name in there:
        os.replace(folder / name, folder / EARLIER / name)
    return folder / EARLIER


def schedule_files(plan: Plan) -> dict[str, bytes]:
    """Hourly schedules as Parquet: the site per period and step, and every lot; no file without schedules."""
    if not plan.schedules:
        return {}
    site, lots = [], []
    for period, s in plan.schedules.items():
        steps = len(s.load)
        label, step = pa.array([period] * steps).dictionary_encode(), pa.array(range(steps), pa.int32())
        flows = {
            "load_mw": s.load, "import_mw": s.imported, "export_mw": s.exported,
            "renewable_mw": s.renewable.sum(axis=0),
            "generated_mw": s.generated.sum(axis=0), "curtailed_mw": s.curtailed, "charge_mw": s.charge.sum(axis=0),
            "discharge_mw": s.discharge.sum(axis=0), "stored_mwh": s.stored.sum(axis=0),
            "import_usd_per_mwh": s.price_usd_per_mwh,
        }  # fmt: skip
        site.append(pa.table({"period": label, "step": step, **flows}))
        for j, name in enumerate(s.lots):
            own = {"charge_mw": s.charge[j], "discharge_mw": s.discharge[j], "stored_mwh": s.stored[j]}
            of = pa.array([name] * steps).dictionary_encode()
            lots.append(pa.table({"period": label, "lot": of, "step": step, **own}))
    return {
        "schedule.parquet": _parquet_bytes(site),
        **({"schedule_lots.parquet": _parquet_bytes(lots)} if lots else {}),
    }


def _parquet_bytes(tables: Sequence[pa.Table]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.concat_tables([t.unify_dictionaries() for t in tables]), sink, compression="zstd")
    return bytes(sink.getvalue().to_pybytes())


def out_fault(folder: Path) -> Fault | None:
    """Tell why a folder cannot take results, without making it; None when nothing speaks against it."""
    try:
        there = next(p for p in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(p))
        if not there.is_dir():
            return Fault("--out", "", f"{there}, which is no folder", _ALLOWED)
        if not os.access(there, os.W_OK | os.X_OK):
            return Fault("--out", "", f"{there}, which must not be written", _ALLOWED)
    except (OSError, ValueError, StopIteration) as error:
        return Fault("--out", "", f"a path that cannot be used ({_reason(error)})", _ALLOWED)
    return None


def make_folder(folder: Path) -> None:
    """Make the folder for results and try it, before any time is spent on solving.

    Raises
    ------
    InputError
        If nothing can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (OSError, ValueError) as error:
        raise InputError([Fault("--out", "", f"{folder}: {_reason(error)}", _ALLOWED)]) from None


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def json_text(found: BaseModel) -> str:
    """A result as text: strict JSON, so never NaN or infinity."""
    return json.dumps(found.model_dump(mode="json"), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def write_plan(plan: Plan, problem: Problem, folder: Path) -> tuple[Path, ...]:
    """Write every file of a plan, replacing those of an earlier run.

    Parameters
    ----------
    plan
        From ``planner.plan``.
    problem
        The problem that it answers.
    folder
        Made if it is missing.

    Returns
    -------
    tuple of Path
        What was written, ``plan.json`` last.

    Raises
    ------
    OSError
        If the folder cannot be written; files of an earlier run are then whole.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # backslashreplace writes a lone surrogate as a JSON escape
    text = json_text(plan).encode("utf-8", "backslashreplace")
    return write_tables(tables_of(plan, problem), folder, {**schedule_files(plan), "plan.json": text})


def write_tables(
    tables: Mapping[str, Table], folder: Path, last: Mapping[str, bytes] | None = None
) -> tuple[Path, ...]:
    """Write tables as CSV and Parquet, then other files; each appears whole, all after the last is written.

    Parameters
    ----------
    tables
        By file name without suffix.
    folder
        Exists.
    last
        Content of further files by name, moved into place after the tables.

    Raises
    ------
    OSError
        If the folder cannot be written; files of an earlier run are then whole.
    """
    with beside(folder) as work:
        names = []
        for name, table in tables.items():
            _write_csv(table, work / f"{name}.csv")
            _write_parquet(table, work / f"{name}.parquet")
            names += [f"{name}.csv", f"{name}.parquet"]
        for name, content in (last or {}).items():
            (work / name).write_bytes(content)
            names.append(name)
    return tuple(folder / name for name in names)


@contextmanager
def beside(folder: Path) -> Iterator[Path]:
    """Lend an empty folder; what is written into it is moved into ``folder`` at the end, JSON last, or not at all.

    A folder takes the place of one of the same name.
    """
    work = Path(tempfile.mkdtemp(dir=folder, prefix=WRITING))
    try:
        yield work
        for made in sorted(work.iterdir(), key=lambda p: (not p.is_dir(), p.suffix == ".json")):
            there = folder / made.name
            if made.is_dir() and there.exists():
                os.replace(there, work / f"{made.name}.old")
            os.replace(made, there)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def write_texts(texts: Mapping[str, str], folder: Path) -> None:
    """Write small text files, each beside its place first and then moved."""
    for name, text in texts.items():
        write_whole(folder / name, text.encode("utf-8", "backslashreplace"))


def write_whole(path: Path, content: bytes) -> None:
    """Write one file beside its place and move it there once it is on the disk.

    Raises
    ------
    OSError
        If it cannot be written; a file that was there before is then whole.
    """
    handle, work = tempfile.mkstemp(dir=path.parent, prefix=WRITING)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(work, 0o644)
        os.replace(work, path)
    except BaseException:
        Path(work).unlink(missing_ok=True)
        raise


def table_of_records(kind: type[Record], records: Iterable[Record]) -> Table:
    """Table with a column per field of a record class, so that an empty one has its columns too."""
    hints = get_type_hints(kind)
    columns = {name: _bare(hints[name]) for name in kind.model_fields}
    return Table(columns, [tuple(getattr(record, name) for name in columns) for record in records])


def _bare(hint: Any) -> type:
    if get_origin(hint) is Literal:
        return str
    kinds = [k for k in get_args(hint) if k is not NoneType] if isinstance(hint, UnionType) else [hint]
    found: type = kinds[0]
    return found


def _critical_path(plan: Plan) -> Table:
    columns = {"period": str, "served_mw": float, "target_mw": float, "binding": str}
    rows = [
        (c.period, c.served_mw, c.target_mw, c.binding, *(c.slack_mw.get(cause) for cause in CAUSES))
        for c in plan.critical_path
    ]
    return Table(columns | {f"slack_{cause}_mw": float for cause in CAUSES}, rows)


def _steps(plan: Plan) -> Table:
    """Every step before an energisation date, with its slack in months."""
    columns = {"period": str, "step": str, "offer": str, "ready": str, "slack_months": int}
    rows = [(c.period, s.step, s.offer, s.ready, s.slack_months) for c in plan.critical_path for s in c.steps]
    return Table(columns, rows)


def _verification(plan: Plan) -> Table:
    """Residuals, errors, findings and Monte Carlo figures, one row each."""
    columns = {"kind": str, "topic": str, "value": float, "text": str}
    verdict = plan.verification
    if verdict is None:
        return Table(columns, [])
    rows: list[tuple[Cell, ...]] = [("residual", name, value, "") for name, value in verdict.residuals.items()]
    rows += [("error", "", None, text) for text in verdict.errors]
    rows += [("finding", finding.topic, None, finding.text) for finding in verdict.findings]
    rows += [("monte_carlo", name, value, "") for name, value in verdict.monte_carlo.items()]
    return Table(columns, rows)


def _provenance(problem: Problem, bought: set[str]) -> Table:
    """Every data row that entered; ``in_plan`` is false for rows of offers that were not bought."""
    names = ("table", "key", "values", "unit", "source", "date", "confidence", "note")
    rows: list[tuple[Cell, ...]] = []
    for table, entered in problem.rows.items():
        for row in entered:
            cells = row.model_dump(mode="json")
            keys = [k for k in getattr(row, "key", ()) if k in cells]
            own = [k for k in cells if k not in _ROW_FIELDS and k not in keys]
            rows.append(
                (
                    table,
                    " / ".join(str(cells[k]) for k in keys),
                    "; ".join(f"{k} {cells[k]}" for k in own if cells[k] is not None),
                    *(str(cells[k]) for k in names[3:]),
                    getattr(row, "offer", None) in (None, *bought),
                )
            )
    return Table(dict.fromkeys(names, str) | {"in_plan": bool}, rows)


def _write_csv(table: Table, path: Path) -> None:
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(table.columns)
        writer.writerows([_csv_cell(cell) for cell in row] for row in table.rows)


def _csv_cell(cell: Cell) -> str:
    """Write a cell so that a spreadsheet reads text as text; numbers stay numbers."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, str):
        return f"'{cell}" if cell.startswith(FORMULA_STARTS) else cell
    return repr(cell)


def _write_parquet(table: Table, path: Path) -> None:
    schema = pa.schema([(name, _TYPES[kind]) for name, kind in table.columns.items()])
    columns = zip(*table.rows, strict=True) if table.rows else [()] * len(table.columns)
    arrays = [
        pa.array([_stored(cell) for cell in cells], type=field.type)
        for cells, field in zip(columns, schema, strict=True)
    ]
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), path)


def _stored(cell: Cell) -> Cell:
    """Spell out what UTF-8 cannot hold."""
    return cell.encode("utf-8", "backslashreplace").decode() if isinstance(cell, str) else cell
