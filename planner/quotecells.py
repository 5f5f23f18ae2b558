"""Cells of a quote file: short forms of tiers, flags and options, and JSON for whatever a cell cannot say shortly."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

PRICE_COLUMN = re.compile(r"price_(\d{4})")
MAX_OPTIONS = 3
_OPTION = re.compile(r"(\w+)\s*:\s*([0-9.]+)\s*([A-Z]{3}/kWh?)")
_FLAG = re.compile(r"(\w+)\s*=\s*(\w+)(?:\s+since\s+([\d-]+))?(?:\s+because\s+(.+))?")
_PLAIN_PARTS = ("flags", "components", "layers")
#: (column, what was found, what is allowed) -> None
Report = Callable[[str, str, str], None]


def keys_of(row: Mapping[str, str], report: Report) -> dict[str, Any]:
    """Keys of one quote from its cells; a cell that cannot be read is reported and left out.

    Parameters
    ----------
    row
        Text by column; empty cells are keys not given.
    report
        Takes every fault.
    """
    keys: dict[str, Any] = {}
    price: dict[str, str] = {}
    for column, text in row.items():
        if not text.strip():
            continue
        year = PRICE_COLUMN.fullmatch(column)
        if year:
            price[year[1]] = text
        elif column in ("tiers", *_PLAIN_PARTS):
            value = _structured(column, text, report)
            if value is not None:
                keys[column] = value
        else:
            keys[column] = text
    return keys | ({"price": price} if price else {})


def _structured(column: str, text: str, report: Report) -> Any:
    if text.lstrip()[:1] in "[{":
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            report(column, "broken JSON", "JSON, or the short form of the template")
            return None
    parts = [part.strip() for part in text.split(";") if part.strip()]
    return _tiers(parts, report) if column == "tiers" else _marks(column, parts, report)


def _tiers(parts: list[str], report: Report) -> list[dict[str, Any]] | None:
    """Read ``0: 0; 500: 0.03`` as volume in nameplate MWh and discount."""
    tiers = []
    for n, part in enumerate(parts, 1):
        volume, _, discount = part.partition(":")
        try:
            tiers.append({"tier": f"tier {n}", "from_mwh": float(volume), "discount_frac": float(discount)})
        except ValueError:
            report("tiers", json.dumps(part), "volume in MWh: discount, as in 0: 0; 500: 0.03")
            return None
    return tiers


def _marks(column: str, parts: list[str], report: Report) -> dict[str, Any] | None:
    """Read ``pfe_tax=no; fcc=disputed since 2026-07 because ...``, ``cells=yes``, ``cell=0.4``."""
    marks: dict[str, Any] = {}
    for part in parts:
        found = _FLAG.fullmatch(part) if column == "flags" else None
        name, equals, value = part.partition("=")
        if found:
            since = {} if found[3] is None else {"since": found[3]}
            marks[found[1]] = {"status": found[2], **since, **({"reason": found[4]} if found[4] else {})}
        elif equals and column != "flags":
            marks[name.strip()] = value.strip()
        else:
            report(column, json.dumps(part), "name=value, separated by semicolons")
            return None
    return marks


def options_of(text: str, report: Report) -> list[tuple[str, float, str]]:
    """Read ``conversion: 45 USD/kW; spares: 0.5 USD/kWh`` as what is added, its price and its unit."""
    options = []
    for part in (p.strip() for p in text.split(";")):
        found = _OPTION.fullmatch(part)
        if found is None:
            report("options", json.dumps(part), "word: price unit, as in conversion: 45 USD/kW")
            return []
        options.append((found[1], float(found[2]), found[3]))
    if len(options) > MAX_OPTIONS:
        report("options", f"{len(options)} options", f"at most {MAX_OPTIONS} options of one quote")
        return []
    return options
