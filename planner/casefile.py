"""From files to one validated case: defaults, ``extends``, the case itself, ``--set``.

Later layers win key by key. A series (``load.target_mw``, ``load.floor_mw``, each of
``site.energisation``) and an entry of ``exposure_limits`` are replaced as a whole; so are lists.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field, ValidationError

from planner.case import ENERGISATION_CAUSES, Case
from planner.casekeys import MISSING, allowed_keys, next_type, words_of
from planner.catalogue import Row, Text
from planner.faults import Fault, closest, known_name, shown
from planner.reading import YamlText, parse_yaml, read_yaml
from planner.shipped import case_path, scenario_path

MAX_EXTENDS = 8
KeyPath = tuple[str, ...]
_WHOLE: tuple[KeyPath, ...] = (
    ("load", "target_mw"),
    ("load", "floor_mw"),
    ("site", "energisation", "*"),
    ("exposure_limits", "*"),
)
_FILE_KEYS: tuple[KeyPath, ...] = (
    ("tables", "*"),
    ("offers", "file"),
    ("load", "shape", "file"),
    ("prices", "file"),
)


class DefaultRow(Row):
    """The value of a case key that a case need not give (column ``key`` of ``defaults.csv``)."""

    table: ClassVar[str] = "defaults"
    key: ClassVar[tuple[str, ...]] = ("path",)
    path: Annotated[Text, Field(alias="key")]
    value: str


@dataclass(frozen=True)
class Source:
    """Who set a key: a file as shown to the reader, its folder, and the line."""

    file: str
    folder: Path
    line: int | None = None


@dataclass
class RawCase:
    """The merged mapping of a case and the origin of every key in it.

    Attributes
    ----------
    top
        Merged keys, before validation.
    origin
        Source of each key path.
    main
        Source named for keys that nobody gave.
    defaults
        Rows of the defaults that no layer above replaced.
    usable
        Whether every file could be read, so that validation makes sense.
    """

    top: dict[str, Any]
    origin: dict[KeyPath, Source]
    main: Source
    faults: list[Fault] = field(default_factory=list)
    defaults: tuple[DefaultRow, ...] = ()
    usable: bool = True

    def source(self, path: KeyPath) -> Source:
        """Source of a key path, or of the nearest key above it."""
        for n in range(len(path), 0, -1):
            if path[:n] in self.origin:
                return self.origin[path[:n]]
        return self.main

    def fault(self, path: KeyPath, found: str, allowed: str) -> Fault:
        """Return a fault at a key path, with the file and line that set it."""
        source = self.source(path)
        return Fault(source.file, ".".join(path), found, allowed, source.line)

    def file_of(self, path: KeyPath) -> Path:
        """Return the file named at a key path, relative to the file that names it."""
        value: Any = self.top
        for part in path:
            value = value[part]
        return self.source(path).folder / str(value)


def is_like(path: KeyPath, patterns: Sequence[KeyPath]) -> bool:
    """Whether a key path fits a pattern in which ``*`` stands for any key."""
    return any(len(p) == len(path) and all(a in ("*", b) for a, b in zip(p, path, strict=True)) for p in patterns)


def merge(raw: RawCase, layer: Mapping[str, Any], sources: Mapping[KeyPath, Source], at: KeyPath = ()) -> None:
    """Lay ``layer`` over the mapping at ``at``, in place; ``sources`` tells who set each key."""
    under = raw.top
    for part in at:
        under = under[part]
    for key, value in layer.items():
        path = (*at, key)
        old = under.get(key)
        if isinstance(old, dict) and isinstance(value, dict) and not is_like(path, _WHOLE):
            merge(raw, value, sources, path)
            continue
        if value is None and is_like(path, (("exposure_limits", "*"),)):
            under.pop(key, None)
            continue
        under[key] = value
        for known in [p for p in raw.origin if p[: len(path)] == path]:
            del raw.origin[known]
        for known, source in sources.items():
            if known[: len(path)] == path:
                raw.origin[known] = source


def lay_defaults(raw: RawCase, rows: Sequence[DefaultRow], shown_as: str, folder: Path) -> None:
    """Put the default values under everything else."""
    for row in rows:
        parsed = parse_yaml(row.value, shown_as, raw.faults, any_top=True)
        if parsed is None:
            continue
        path = tuple(row.path.split("."))
        nested: Any = parsed.top["value"]
        for part in reversed(path):
            nested = {part: nested}
        merge(raw, nested, {path: Source(shown_as, folder)})


def lay_files(raw: RawCase, path: Path, shown_as: str, given: YamlText | None = None) -> None:
    """Lay a case file and the files that it extends over the defaults, lowest first.

    ``given`` is the text of the case itself when it comes from elsewhere; names in it are relative to ``path``.
    """
    chain: list[tuple[Path, str, YamlText]] = []
    seen: list[Path] = []
    current: Path | None = path
    while current is not None:
        real = _real(current)
        if real in seen:
            loop = " -> ".join(p.name for p in [*seen[seen.index(real) :], real])
            raw.faults.append(Fault(shown_as, "extends", f"the cycle {loop}", "a chain of files that ends"))
            break
        if len(seen) > MAX_EXTENDS:
            raw.faults.append(Fault(shown_as, "extends", f"more than {MAX_EXTENDS} files", f"at most {MAX_EXTENDS}"))
            break
        seen.append(real)
        name = shown_as if not chain else str(current)
        text = given if given is not None and not chain else read_yaml(current, name, raw.faults)
        if text is None:
            break
        chain.append((current, name, text))
        current = _base_of(raw, current, name, text)
    for file, name, text in reversed(chain):
        sources = {p: Source(name, file.parent, line) for p, line in text.lines.items()}
        merge(raw, text.top, sources)


def lay_scenario(raw: RawCase, scenario: str | Path) -> None:
    """Lay one overlay over the case: case keys of a future, from a file or from the shipped scenarios."""
    path = scenario_path(scenario)
    shown_as = str(scenario) if path == Path(scenario) else f"cases/scenarios/{path.name}"
    text = read_yaml(path, shown_as, raw.faults)
    if text is None:
        return
    for key in ("case", "extends"):
        if key in text.top:
            line = text.lines.get((key,))
            raw.faults.append(Fault(shown_as, key, "a key that a scenario must not change", "no such key here", line))
            del text.top[key]
    merge(raw, text.top, {p: Source(shown_as, path.parent, line) for p, line in text.lines.items()})


def _real(path: Path) -> Path:
    try:
        return Path(os.path.realpath(path))
    except (OSError, ValueError):
        return path


def _base_of(raw: RawCase, file: Path, name: str, text: YamlText) -> Path | None:
    if "extends" not in text.top:
        return None
    base = text.top.pop("extends")
    if not isinstance(base, str) or not base or "\0" in base:
        line = text.lines.get(("extends",))
        raw.faults.append(Fault(name, "extends", shown(base), "the path of another case file", line))
        return None
    beside = file.parent / base
    shipped = case_path(base)
    if not os.path.exists(beside) and not Path(base).is_absolute() and os.path.isfile(shipped):
        return shipped
    return beside


def apply_override(raw: RawCase, text: str) -> None:
    """Apply one ``key.path=value`` in place; the value is a YAML scalar, list or mapping."""
    shown_as = "--set"
    key, equals, value_text = text.partition("=")
    path = tuple(part.strip() for part in key.strip().split("."))
    if not equals or not all(path):
        raw.faults.append(Fault(shown_as, "", shown(text), "key.path=value"))
        return
    before = len(raw.faults)
    parsed = parse_yaml(value_text, f"{shown_as} {key.strip()}", raw.faults, any_top=True)
    if parsed is None or len(raw.faults) > before or not _known_path(raw, path):
        return
    value = parsed.top["value"]
    parent: Any = raw.top
    for n, part in enumerate(path[:-1]):
        if isinstance(parent, list):
            parent = parent[int(part)]
        else:
            if not isinstance(parent.get(part), dict | list):
                parent[part] = {}
            parent = parent[part]
        if not isinstance(parent, dict | list):
            raw.faults.append(Fault(shown_as, ".".join(path[: n + 2]), "no such key", "a key that holds keys"))
            return
    source = Source(shown_as, raw.main.folder)
    if isinstance(parent, list):
        parent[int(path[-1])] = value
        raw.origin[path] = source
        return
    if any(part.isdecimal() for part in path[:-1]):
        parent[path[-1]] = value
        raw.origin[path] = source
        return
    merge(raw, {path[-1]: value}, {path: source}, path[:-1])


def _known_path(raw: RawCase, path: KeyPath) -> bool:
    """Whether the schema and the lists of the case have this path; a fault if not."""
    kind: Any = Case
    value: Any = raw.top
    for n, part in enumerate(path):
        here = ".".join(path[: n + 1])
        if isinstance(value, list) and not _is_index(part, value):
            allowed = f"an index from 0 to {len(value) - 1}" if value else "a list with entries"
            raw.faults.append(Fault("--set", here, f"index {shown(part)}", allowed))
            return False
        kind_below = next_type(kind, part)
        if kind_below is MISSING:
            known = allowed_keys(kind)
            allowed = known_name(part, known) if known else "nothing below this key"
            raw.faults.append(Fault("--set", here, f"the unknown key {shown(part)}", allowed))
            return False
        kind = kind_below
        value = value.get(part) if isinstance(value, dict) else value[int(part)] if isinstance(value, list) else None
    return True


def _is_index(part: str, values: list[Any]) -> bool:
    return part.isdecimal() and len(part) <= 6 and int(part) < len(values)


def validate(raw: RawCase) -> Case | None:
    """Return the case of a merged mapping, or None and one fault per thing that is wrong."""
    try:
        return Case.model_validate_json(json.dumps(raw.top), strict=True)
    except ValidationError as error:
        problems = error.errors(include_url=False)
    except (ValueError, RecursionError) as error:
        raw.faults.append(Fault(raw.main.file, "", shown(str(error)), "a mapping of keys and values"))
        return None
    locations = [tuple(str(part) for part in e["loc"]) for e in problems]
    for problem, location in zip(problems, locations, strict=True):
        below = any(len(o) > len(location) and o[: len(location)] == location for o in locations)
        if problem["type"] == "too_short" and below:
            continue
        path = tuple(part for part in location if part != "[key]")
        found, allowed = words_of(dict(problem))
        if problem["type"] == "extra_forbidden":
            kind: Any = Case
            for part in path[:-1]:
                kind = next_type(kind, part)
            found = f"the unknown key {shown(path[-1])}"
            allowed = closest(path[-1], allowed_keys(kind)) or known_name(path[-1], allowed_keys(kind))
        raw.faults.append(raw.fault(path, found, allowed))
    return None


def same_month_twice(raw: RawCase, case: Case) -> Iterator[Fault]:
    """Faults for two keys of a series that mean the same month."""
    series: dict[KeyPath, dict[int, float]] = {
        ("load", "target_mw"): case.load.target_mw,
        ("load", "floor_mw"): case.load.floor_mw,
    }
    for name in ENERGISATION_CAUSES:
        if getattr(case.site.energisation, name) is not None:
            series["site", "energisation", name] = getattr(case.site.energisation, name)
    for path, values in series.items():
        written: Any = raw.top
        for part in path:
            written = written[part]
        if len(written) != len(values):
            yield raw.fault(path, "two dates in one month", "each month once")


def files_of(raw: RawCase, case: Case) -> dict[KeyPath, Path]:
    """Paths of the files that a case names, by key path."""
    named: dict[KeyPath, str | None] = {("tables", n): f for n, f in case.tables.items()}
    named["offers", "file"] = case.offers.file
    named["load", "shape", "file"] = case.load.shape.file
    named["prices", "file"] = case.prices.file
    for name, renewable in (case.operating.renewables if case.operating is not None else {}).items():
        named["operations", "renewables", name, "file"] = renewable.file
    return {path: raw.file_of(path) for path, value in named.items() if value is not None}
