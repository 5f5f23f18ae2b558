"""Reading of the tables of ``data/`` and of a case's own rows over them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from planner.casekeys import words_of
from planner.catalogue import TABLES, Row
from planner.faults import Fault, closest, known_name, shown
from planner.reading import CsvText, read_csv

RowKey = tuple[Any, ...]
RowsByKey = dict[RowKey, Row]
RowSets = dict[str, RowsByKey]
#: Tables read before, by class and stamp of the file: a study reads the same ones for every case.
_READ: dict[tuple[type[Row], tuple[object, ...]], RowsByKey] = {}
_MOST_READ = 200
CLASSES: Mapping[str, type[Row]] = {cls.table: cls for cls in TABLES}


@cache
def _adapter(cls: type[Row]) -> TypeAdapter[list[Row]]:
    return TypeAdapter(list[cls])  # type: ignore[valid-type]


@cache
def _columns(cls: type[Row]) -> dict[str, bool]:
    """Column names of a table, and whether each must be there."""
    return {f.alias or name: f.is_required() for name, f in cls.model_fields.items()}


@cache
def _key_of(cls: type[Row]) -> Callable[[Row], RowKey]:
    if len(cls.key) == 1:
        single = attrgetter(cls.key[0])
        return lambda row: (single(row),)
    return attrgetter(*cls.key)


def row_key(row: Row) -> RowKey:
    """Values of the key columns of a row."""
    return _key_of(type(row))(row)


def _header_faults(cls: type[Row], text: CsvText, shown_as: str) -> list[Fault]:
    columns = _columns(cls)
    faults = []
    for name, required in columns.items():
        if required and name not in text.header:
            faults.append(Fault(shown_as, name, "no such column", f"a column {name}", 1))
    for name in text.header:
        if name not in columns:
            hint = closest(name, [c for c in columns if c not in text.header])
            allowed = hint or f"the columns {', '.join(columns)}"
            faults.append(Fault(shown_as, name or '""', "an unknown column", allowed, 1))
    return faults


def read_table(cls: type[Row], path: Path, shown_as: str, faults: list[Fault]) -> RowsByKey:
    """Rows of one table file by key; every row or column that is wrong becomes a fault.

    Parameters
    ----------
    cls
        Schema of the table.
    path, shown_as
        The file, and its name in faults.
    faults
        Takes every fault; rows that have one are left out.
    """
    stamp = _stamp(path)
    if stamp is not None and (known := _READ.get((cls, stamp))) is not None:
        return dict(known)
    before = len(faults)
    rows = _read_table(cls, path, shown_as, faults)
    if stamp is not None and len(faults) == before:
        if len(_READ) >= _MOST_READ:
            _READ.clear()
        _READ[cls, stamp] = dict(rows)
    return rows


def _stamp(path: Path) -> tuple[object, ...] | None:
    """What changes when a file does; None when it cannot be told."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return str(path), status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size


def _read_table(cls: type[Row], path: Path, shown_as: str, faults: list[Fault]) -> RowsByKey:
    text = read_csv(path, shown_as, faults)
    if text is None:
        return {}
    wrong = _header_faults(cls, text, shown_as)
    if wrong:
        faults.extend(wrong)
        return {}
    cells = [dict(zip(text.header, row, strict=True)) for row in text.rows]
    lines = text.lines
    try:
        rows = _adapter(cls).validate_python(cells)
    except ValidationError as error:
        bad: set[int] = set()
        for problem in error.errors(include_url=False):
            index, *path_in_row = problem["loc"]
            bad.add(int(index))
            found, allowed = words_of(dict(problem))
            column = ".".join(str(part) for part in path_in_row)
            faults.append(Fault(shown_as, column, found, allowed, lines[int(index)]))
        rows = _adapter(cls).validate_python([c for i, c in enumerate(cells) if i not in bad])
        lines = [line for i, line in enumerate(lines) if i not in bad]
    return _by_key(cls, rows, lines, shown_as, faults)


def _by_key(cls: type[Row], rows: list[Row], lines: list[int], shown_as: str, faults: list[Fault]) -> RowsByKey:
    key_of = _key_of(cls)
    result: RowsByKey = {}
    for row, line in zip(rows, lines, strict=True):
        key = key_of(row)
        if key in result:
            faults.append(Fault(shown_as, " + ".join(cls.key), shown(" ".join(map(str, key))) + " twice", "once", line))
        else:
            result[key] = row
    return result


def read_tables(folder: Path, shown_folder: str, faults: list[Fault]) -> RowSets:
    """Every table of a folder, by table name."""
    return {
        name: read_table(cls, folder / f"{name}.csv", f"{shown_folder}/{name}.csv", faults)
        for name, cls in CLASSES.items()
    }


def lay_own_rows(tables: RowSets, own: Mapping[str, tuple[Path, str]], shown_as: str, faults: list[Fault]) -> None:
    """Replace rows of the same key by a case's own rows and add the others, in place.

    Parameters
    ----------
    tables
        Shipped rows, changed in place.
    own
        Table name -> file and its name in faults.
    shown_as
        Case file, named for a table that does not exist.
    """
    for name, (path, file) in own.items():
        cls = CLASSES.get(name)
        if cls is None:
            faults.append(
                Fault(shown_as, f"tables.{name}", f"the unknown table {shown(name)}", known_name(name, CLASSES))
            )
            continue
        tables[name].update(read_table(cls, path, file, faults))
