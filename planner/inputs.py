"""From a case file to a ``Problem``: the only place where the planner's inputs are read.

All faults of the case, the tables, the quotes and the profiles are raised together as one
``InputError``; nothing else is raised for a bad input.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from planner.case import Case
from planner.casefile import (
    DefaultRow,
    RawCase,
    Source,
    apply_override,
    files_of,
    lay_defaults,
    lay_files,
    lay_scenario,
    same_month_twice,
    validate,
)  # fmt: skip
from planner.catalogue import ExchangeRow, Row
from planner.crosschecks import cross_faults
from planner.faults import Fault, InputError, closest, one_of, shown
from planner.futures import Future, changed_case
from planner.offerbook import Known, OfferRows, gather, join
from planner.periods import TimelineError, lay_periods
from planner.problem import FloatArray, Offer, Period, Problem, Tables
from planner.profiles import Profiles, Series
from planner.quotechecks import quote_faults
from planner.quotes import Quote, QuoteBook, file_quotes, inline_quotes
from planner.reading import read_standard_input
from planner.shipped import case_path, data_dir, scenario_path
from planner.tablefiles import CLASSES, RowSets, lay_own_rows, read_table, read_tables
from planner.units import month_text

__all__ = ["Fault", "InputError", "case_schema", "load_case"]

#: Stands for a case on standard input; a file of this name is ``./-``.
STANDARD_INPUT = "-"


def load_case(
    path: str | Path,
    overrides: Sequence[str] = (),
    tables_dir: str | Path | None = None,
    quotes_as_of: int | None = None,
    scenario: str | Path | Sequence[str | Path] | None = None,
) -> Problem:
    """Read a case, the tables and the profiles, and check everything at once.

    Parameters
    ----------
    path
        Case file, the name of a shipped case, or ``-`` for standard input.
    overrides
        ``key.path=value`` texts, applied in order over the case.
    tables_dir
        Folder with the tables; the shipped one if None. Profiles and defaults that it
        does not hold are taken from the shipped one.
    quotes_as_of
        Month index at which own quotes must still hold, or they are faults; -1 is the case's decision.
        None refuses no quote here: a plan simply cannot order after ``valid_until``.
    scenario
        Overlay, or several in order, laid over the case before the overrides: files, or names of
        ``cases/scenarios``.

    Returns
    -------
    Problem
        Frozen; its arrays are read-only.

    Raises
    ------
    InputError
        With every fault found.
    """
    folders, overlays = _Folders.of(tables_dir), _overlays(scenario)
    case, raw, tables, faults = _read(path, overrides, overlays, folders)
    as_of = case.timeline.decision if quotes_as_of == -1 else quotes_as_of
    problem = _Assembly(case, raw, tables, folders, faults, as_of).problem()
    return replace(problem, asked=_asked(path, overrides, overlays))


def load_worlds(
    path: str | Path,
    overrides: Sequence[str] = (),
    *,
    tables_dir: str | Path | None = None,
    scenario: str | Path | Sequence[str | Path] | None = None,
) -> tuple[Problem, dict[str, Problem]]:
    """Read a case, and once more for every future of its section ``disruption``.

    Parameters
    ----------
    path, overrides, tables_dir, scenario
        As for ``load_case``.

    Returns
    -------
    tuple
        The case as it is if nothing happens, and by name what it is in each uncertain future.

    Raises
    ------
    InputError
        With every fault of every future.
    """
    folders, overlays = _Folders.of(tables_dir), _overlays(scenario)
    case, raw, tables, faults = _read(path, overrides, overlays, folders)
    untouched = {name: dict(rows) for name, rows in tables.items()}
    calm = _Assembly(case, raw, tables, folders, faults, case.timeline.decision).problem()
    worlds, wrong = {}, list[Fault]()
    for name, future in case.disruption.futures.items():
        changed = {f"{name} {change}": (part, change) for part, keys in future.changes.items() for change in keys}
        sections = {
            part: {**getattr(case.futures, part), **{f"{name} {change}": value for change, value in keys.items()}}
            for part, keys in future.changes.items()
        }
        own = case.model_copy(
            update={
                "futures": case.futures.model_copy(update=sections),
                "disruption": case.disruption.model_copy(update={"options": {}}),  # checked above, once
            }
        )
        copied = {table: dict(rows) for table, rows in untouched.items()}
        try:
            problem = _Assembly(own, raw, copied, folders, [], case.timeline.decision).problem()
        except InputError as error:
            wrong += [_of_future(fault, raw, name, changed) for fault in error.faults]
            continue
        same = {"load_pu": calm.load_pu, "pv_cf": calm.pv_cf, "price_usd_per_mwh": calm.price_usd_per_mwh}
        worlds[name] = replace(problem, **same)  # type: ignore[arg-type]
    if wrong:
        raise InputError(wrong)
    return replace(calm, asked=_asked(path, overrides, overlays)), worlds


def _of_future(fault: Fault, raw: RawCase, future: str, changed: Mapping[str, tuple[str, str]]) -> Fault:
    """A fault of a future's change, at the key where the case wrote it."""
    for name, (part, change) in changed.items():
        key = f"futures.{part}.{name}."
        if fault.key.startswith(key):
            path = ("disruption", "futures", future, part, change, *fault.key.removeprefix(key).split("."))
            return raw.fault(path, fault.found, fault.allowed)
    return fault


def _overlays(scenario: str | Path | Sequence[str | Path] | None) -> list[str | Path]:
    return [scenario] if isinstance(scenario, str | Path) else list(scenario or ())


def _read(
    path: str | Path, overrides: Sequence[str], overlays: list[str | Path], folders: _Folders
) -> tuple[Case, RawCase, RowSets, list[Fault]]:
    """Valid case, where its keys came from, the tables, and the faults that tables have so far."""
    faults: list[Fault] = []
    raw = _raw_case(path, overrides, overlays, folders, faults)
    tables = read_tables(folders.tables, folders.shown, faults)
    case = validate(raw) if raw.usable else None
    faults.extend(raw.faults)
    if case is None or raw.faults:
        raise InputError(faults)
    return case, raw, tables, faults


def _asked(path: str | Path, overrides: Sequence[str], scenarios: Sequence[str | Path]) -> dict[str, object]:
    """Name a case so that it is found again from another folder: a shipped one by name, a file by its whole path."""
    overlays = [_lasting(overlay, scenario_path(overlay)) for overlay in scenarios]
    return {"case": _lasting(path, case_path(path)), "overrides": list(overrides), "scenarios": overlays}


def _lasting(name: str | Path, file: Path) -> str:
    return str(file.resolve()) if file == Path(name) else str(name)


def case_schema() -> dict[str, Any]:
    """JSON Schema of a case file; every key may also come from ``extends`` or the defaults."""
    schema = Case.model_json_schema(mode="serialization")
    schema["properties"]["extends"] = {
        "title": "Extends",
        "type": "string",
        "description": "Path of a case file that this one changes.",
    }
    schema["required"] = ["case"]
    for part in schema["$defs"].values():
        part.pop("required", None)
    return schema


@dataclass(frozen=True)
class _Folders:
    """Where tables, defaults and profiles lie, and how faults name the tables' folder."""

    tables: Path
    shown: str
    defaults: Path
    profiles: Path

    @classmethod
    def of(cls, tables_dir: str | Path | None) -> _Folders:
        shipped = data_dir()
        tables = shipped if tables_dir is None else Path(tables_dir)
        name = "data" if tables_dir is None else str(tables_dir)
        own_defaults, own_profiles = tables / "defaults.csv", tables / "profiles"
        try:
            defaults = own_defaults if own_defaults.exists() else shipped / "defaults.csv"
            profiles = own_profiles if own_profiles.is_dir() else shipped / "profiles"
        except (OSError, ValueError):
            defaults, profiles = shipped / "defaults.csv", shipped / "profiles"
        return cls(tables, name, defaults, profiles)


def _raw_case(
    path: str | Path,
    overrides: Sequence[str],
    scenarios: Sequence[str | Path],
    folders: _Folders,
    faults: list[Fault],
) -> RawCase:
    """Return the merged case before validation; not ``usable`` when a file could not be read."""
    file = case_path(path)
    name = (str(path) or ".") if file == Path(path) else f"cases/{file.name}"
    given = None
    if str(path) == STANDARD_INPUT:
        name = "standard input"
        given = read_standard_input(name, faults)
    raw = RawCase({}, {}, Source(name, file.parent))
    rows = cast("dict[Any, DefaultRow]", read_table(DefaultRow, folders.defaults, "data/defaults.csv", faults))
    lay_defaults(raw, list(rows.values()), "data/defaults.csv", folders.defaults.parent)
    if str(path) != STANDARD_INPUT or given is not None:
        lay_files(raw, file, name, given)
    for scenario in scenarios:
        lay_scenario(raw, scenario)
    raw.usable = not raw.faults and not faults
    if not raw.usable:
        return raw
    for override in overrides:
        apply_override(raw, override)
    raw.defaults = tuple(r for r in rows.values() if raw.source(tuple(r.path.split("."))).file == "data/defaults.csv")
    return raw


@dataclass
class _Assembly:
    """Joins a valid case with tables and series; one method per part of the problem."""

    case: Case
    raw: RawCase
    tables: RowSets
    folders: _Folders
    faults: list[Fault]
    quotes_as_of: int | None = None

    def problem(self) -> Problem:
        self.case = changed_case(self.case)
        self.faults.extend(same_month_twice(self.raw, self.case))
        files = {path: (file, self._shown(path)) for path, file in files_of(self.raw, self.case).items()}
        own = {path[1]: file for path, file in files.items() if path[0] == "tables"}
        lay_own_rows(self.tables, own, self.raw.main.file, self.faults)
        tables_broken = bool(self.faults)
        future = Future(self.case, self.tables, self._fault)
        if not tables_broken:
            future.change_tables()
        quotes = self._quotes(files.get(("offers", "file")))
        series = Profiles(self.folders.profiles, files, self.raw.main.file, self.faults).read(self.case)
        periods = self._periods()
        if tables_broken:
            raise InputError(self.faults)
        book, offers = self._offers(quotes, future)
        selected = self._select(book, offers, [name for name in book if book[name].own])
        tables = Tables(**{n: tuple(self.tables[n].values()) for n in Tables.__dataclass_fields__})  # type: ignore[arg-type]
        self.faults.extend(cross_faults(self.case, self.raw, tables, selected))
        if self.faults or series is None or not periods:
            raise InputError(self.faults)
        return self._frozen(selected, periods, tables, series, book)

    def _shown(self, path: tuple[str, ...]) -> str:
        """Name of a file of the case in faults: as the case writes it, beside the case."""
        return str(self.raw.file_of(path))

    def _fault(self, key: str, found: str, allowed: str) -> None:
        self.faults.append(self.raw.fault(tuple(key.split(".")), found, allowed))

    def _quotes(self, file: tuple[Path, str] | None) -> list[Quote]:
        source = self.raw.source(("offers", "own"))
        quotes = inline_quotes(self.case.offers.own, source.file, source.line)
        return quotes if file is None else quotes + file_quotes(*file, self.faults)

    def _periods(self) -> tuple[Period, ...]:
        try:
            return lay_periods(self.case)
        except TimelineError as error:
            self._fault(error.key, error.found, error.allowed)
        return ()

    def _offers(self, quotes: Sequence[Quote], future: Future) -> tuple[dict[str, OfferRows], dict[str, Offer]]:
        """Every offer, shipped and own, that is free of faults."""
        book = gather(self.tables, self.folders.shown)
        exchange = cast("Sequence[ExchangeRow]", list(self.tables["exchange"].values()))
        QuoteBook(book, month_text(self.case.timeline.decision), self.faults, exchange).lay(quotes)
        self.faults.extend(quote_faults(quotes, book, self.quotes_as_of))
        withdrawn = future.change_offers(book)
        known = Known.of(self.tables, self.case.policy.component_table, self.case.reliability.duty)
        joined = {name: join(rows, known, self.faults) for name, rows in book.items() if self._head_known(rows)}
        return book, {name: offer for name, offer in joined.items() if offer is not None and name not in withdrawn}

    def _head_known(self, rows: OfferRows) -> bool:
        """Whether the head row could be read; a broken one of an own offer has its faults already."""
        return not (rows.own and rows.head is None)

    def _select(self, book: Mapping[str, OfferRows], offers: Mapping[str, Offer], own: list[str]) -> tuple[Offer, ...]:
        """Offers that the case lets us buy, in table order."""
        choice = self.case.offers
        for key, names in (("use", choice.use or ()), ("exclude", choice.exclude)):
            for name in names:
                if name not in book:
                    hint = closest(name, book)
                    allowed = hint or f"the name of an offer: {one_of(book)}"
                    self._fault(f"offers.{key}", f"the unknown offer {shown(name)}", allowed)
        if choice.mode == "replace":
            wanted = [n for n in book if n in own]
            for name in choice.use or ():
                offer = offers.get(name)
                if offer is not None and offer.is_storage and name not in own:
                    allowed = "generators and contracts of the tables, since offers.mode is replace"
                    self._fault("offers.use", f"the shipped storage offer {name}", allowed)
                elif offer is not None and name not in own:
                    wanted.append(name)
        else:
            wanted = list(book) if choice.use is None else [n for n in book if n in choice.use]
        selected = tuple(offers[n] for n in wanted if n in offers and n not in choice.exclude)
        if not selected and not self.faults:
            self._fault("offers", "no offer left", "a choice that leaves one offer or more")
        return selected

    def _frozen(
        self,
        offers: tuple[Offer, ...],
        periods: tuple[Period, ...],
        tables: Tables,
        series: Series,
        book: Mapping[str, OfferRows],
    ) -> Problem:
        rows = _rows_entered(self.case, offers, tables, book, self.raw.defaults)
        dt_h = self.case.load.shape.step_minutes / 60
        arrays = (series.load_pu, series.pv_cf, series.price_usd_per_mwh, *series.renewable_cf.values())
        return Problem(
            case=self.case,
            offers=offers,
            periods=periods,
            tables=tables,
            load_pu=series.load_pu,
            pv_cf=series.pv_cf,
            price_usd_per_mwh=series.price_usd_per_mwh,
            renewable_cf=series.renewable_cf,
            dt_h=dt_h,
            input_sha256=_sha256(self.case, rows, arrays),
            rows=rows,
            notes=(*series.notes, *_table_notes(self.case, offers, periods, tables)),
        )


def _rows_entered(
    case: Case,
    offers: Iterable[Offer],
    tables: Tables,
    book: Mapping[str, OfferRows],
    defaults: tuple[Row, ...],
) -> dict[str, tuple[Row, ...]]:
    """Rows that can bear on the result, by table name."""
    rows: dict[str, list[Row]] = {name: [] for name in CLASSES}
    for offer in offers:
        for table, part in book[offer.offer].by_table():
            rows[table].extend(part)
    chosen = tuple(offers)
    suppliers = {o.supplier for o in chosen}
    factories = {f for o in chosen for f in (o.cell_factory, o.assembly_plant)}
    chemistries = {o.chemistry for o in chosen}
    duties = {(o.duty_origin, o.duty_class) for o in chosen}
    curves = {o.fade_curve for o in chosen}
    origins = {o.origin for o in chosen}
    profiles = {case.fire.profile, "common"}
    kept: dict[str, Iterable[Row]] = {
        "suppliers": (r for r in tables.suppliers if r.supplier in suppliers),
        "factories": (r for r in tables.factories if r.factory in factories),
        "factory_output": (r for r in tables.factory_output if r.factory in factories),
        "component_weights": (r for r in tables.component_weights if r.version == case.policy.component_table),
        "layer_weights": (r for r in tables.layer_weights if r.chemistry in chemistries),
        "tariffs": (r for r in tables.tariffs if (r.duty_origin, r.duty_class) in duties),
        "credits": tables.credits,
        "bans": (r for r in tables.bans if r.buyer == case.buyer),
        "fire_rules": (r for r in tables.fire_rules if r.profile in profiles and r.chemistry in {"*", *chemistries}),
        "costs": (r for r in tables.costs if r.chemistry in {"*", *chemistries} and r.origin in {"*", *origins}),
        "fade": (r for r in tables.fade if r.curve in curves and r.duty == case.reliability.duty),
        "production_credits": tables.production_credits,
        "depreciation": (r for r in tables.depreciation if r.schedule == case.finance.depreciation),
        "lithium": (r for r in tables.lithium if r.path == case.finance.lithium_path),
    }
    if case.sourcing.mode != "none":
        names = {o.offer for o in chosen}
        kept["materials"] = (r for r in tables.materials if r.chemistry in chemistries)
        kept["source_nodes"], kept["source_output"] = tables.source_nodes, tables.source_output
        kept["offer_sourcing"] = (r for r in tables.offer_sourcing if r.offer in names)
    result = {name: tuple(part) for name, part in rows.items()}
    result.update({name: tuple(part) for name, part in kept.items()})
    result["defaults"] = defaults
    return result


def _sha256(case: Case, rows: Mapping[str, tuple[Row, ...]], arrays: Iterable[FloatArray]) -> str:
    """Digest of everything that can change the result."""
    digest = hashlib.sha256(json.dumps(case.model_dump(mode="json"), sort_keys=True).encode())
    for name in sorted(rows):
        if name == "defaults":
            continue
        digest.update(name.encode())
        for row in rows[name]:
            digest.update(repr(tuple(vars(row).values())).encode())
    for array in arrays:
        digest.update(str(array.shape).encode())
        digest.update(array.astype("<f8").tobytes())
    return digest.hexdigest()


def _table_notes(case: Case, offers: Sequence[Offer], periods: Sequence[Period], tables: Tables) -> Iterable[str]:
    """Say what a reader must know about tables that end before the plan does."""
    duties = {(o.duty_origin, o.duty_class) for o in offers}
    sourced = [r for r in tables.tariffs if r.confidence not in ("assumption", "memory")]
    dates = [r.date for r in sourced if (r.duty_origin, r.duty_class) in duties]
    if dates:
        yield f"duties after {max(dates)} are not known; the last known rate is held"
    last_price = min(max(o.price) for o in offers)
    if periods[-1].start // 12 > last_price:
        yield f"some prices end in {last_price}; the last one is held"
    outputs = max((r.year for r in tables.factory_output), default=0)
    if periods[-1].start // 12 > outputs:
        yield f"factory output after {outputs} is held at its last value"
    if case.offers.own or case.offers.file:
        yield "the buyer's own quotes entered as given"
