"""The buyer's own quotes: one mapping or one CSV or XLSX row per offer, turned into table rows.

A quote may lean on another offer by ``like``: whatever it does not give is copied from there.
Turned into rows, a quote passes the same checks as a shipped offer.
"""

from __future__ import annotations

import math
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from planner.casekeys import words_of
from planner.catalogue import (
    OFFER_FIELDS,
    ExchangeRow,
    OfferComponentRow,
    OfferFlagRow,
    OfferLayerRow,
    OfferPriceRow,
    OfferRow,
    OfferTierRow,
    OfferValueRow,
    Row,
)  # fmt: skip
from planner.faults import Fault, known_name, shown
from planner.offerbook import OfferRows
from planner.quotecells import PRICE_COLUMN, keys_of, options_of
from planner.quotemoney import Quote, in_dollars, rate_of
from planner.reading import MAX_TABLE_BYTES, read_bytes, read_csv

__all__ = ["MAX_QUOTES", "QUOTE_KEYS", "Quote", "QuoteBook", "file_quotes", "inline_quotes"]
MAX_QUOTES = 2000
MAX_UNZIPPED = 200_000_000
R = TypeVar("R", bound=Row)
_PRICE_COLUMN = PRICE_COLUMN
_PROVENANCE = ("source", "date", "confidence", "note", "unit")
_COLUMNS = tuple(c for c in OfferRow.model_fields if c not in _PROVENANCE)
_MAPPINGS = ("flags", "components", "layers")
QUOTE_KEYS = (
    *_COLUMNS, *_PROVENANCE, *OFFER_FIELDS, "like", "price", "price_unit", "fx_usd_per_unit", "tiers",
    "options", *_MAPPINGS,
)  # fmt: skip


def inline_quotes(own: Sequence[Mapping[str, Any]], file: str, line: int | None) -> list[Quote]:
    """Quotes written in the case under ``offers.own``."""
    return [Quote(keys, file, f"offers.own.{i}", line) for i, keys in enumerate(own)]


def _cell(value: Any) -> str:
    if hasattr(value, "strftime"):
        return str(value.strftime("%Y-%m-%d"))
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    missing = value is None or (isinstance(value, float) and math.isnan(value))
    return "" if missing else str(value).strip()


def _sheet(path: Path, shown_as: str, faults: list[Fault]) -> list[dict[str, str]] | None:
    """First sheet of a workbook as text cells."""
    allowed = "a workbook whose first sheet has a header row and one offer per row"
    if read_bytes(path, shown_as, MAX_TABLE_BYTES, faults) is None:
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MAX_UNZIPPED:
                faults.append(Fault(shown_as, "", f"more than {MAX_UNZIPPED} bytes unpacked", allowed))
                return None
        import pandas as pd  # noqa: PLC0415 - slow to import, and only workbooks need it

        frame = pd.read_excel(path, dtype=object, nrows=MAX_QUOTES + 1, engine="openpyxl")
    except Exception as error:  # a broken workbook can fail in any way
        faults.append(Fault(shown_as, "", f"a file that is no workbook ({type(error).__name__})", allowed))
        return None
    header = [str(name).strip() for name in frame.columns]
    return [dict(zip(header, map(_cell, row), strict=True)) for row in frame.itertuples(index=False, name=None)]


def file_quotes(path: Path, shown_as: str, faults: list[Fault]) -> list[Quote]:
    """Quotes of a CSV or XLSX file, one offer per row; empty cells are keys not given."""
    if path.suffix.lower() == ".xlsx":
        sheet = _sheet(path, shown_as, faults)
        rows = [] if sheet is None else sheet
        lines = list(range(2, len(rows) + 2))
    else:
        text = read_csv(path, shown_as, faults)
        rows = [] if text is None else [dict(zip(text.header, r, strict=True)) for r in text.rows]
        lines = [] if text is None else text.lines
    if len(rows) > MAX_QUOTES:
        faults.append(Fault(shown_as, "", f"more than {MAX_QUOTES} rows", f"at most {MAX_QUOTES} offers"))
        return []
    unknown = [c for c in (rows[0] if rows else ()) if c not in QUOTE_KEYS and not _PRICE_COLUMN.fullmatch(c)]
    for column in unknown:
        faults.append(Fault(shown_as, column or '""', "an unknown column", known_name(column, QUOTE_KEYS), 1))
    quotes: list[Quote] = []
    for row, line in zip(rows, lines, strict=True):
        place = Quote({}, shown_as, "", line)
        if not any(v.strip() for v in row.values()):
            continue

        def report(column: str, found: str, allowed: str, place: Quote = place) -> None:
            faults.append(place.fault(column, found, allowed))

        keys = keys_of({k: v for k, v in row.items() if k not in unknown}, report)
        options = options_of(keys.pop("options"), report) if "options" in keys else []
        quotes.append(Quote(keys, shown_as, "", line))
        quotes += [Quote(variant, shown_as, "", line) for variant in _variants(keys, options)]
    return quotes


def _variants(keys: Mapping[str, Any], options: Sequence[tuple[str, float, str]]) -> Iterator[dict[str, Any]]:
    """Further quotes of one with options: each choice of them, with what it adds to the price and to ``includes``."""
    name = keys.get("offer", "")
    for count in range(1, len(options) + 1):
        for chosen in combinations(options, count):
            words = [word for word, _, _ in chosen]
            yield {"offer": "+".join([str(name), *words]), "like": name, "adders": chosen}


class QuoteBook:
    """Lays own quotes over the shipped offers, resolving ``like``.

    Parameters
    ----------
    book
        Offers by name, changed in place.
    date
        Month written on rows of quotes that give none.
    faults
        Takes every fault.
    exchange
        Rates for quotes in other currencies that state none.
    """

    def __init__(
        self, book: dict[str, OfferRows], date: str, faults: list[Fault], exchange: Sequence[ExchangeRow] = ()
    ) -> None:
        self.book = book
        self.exchange = exchange
        self.date = date
        self.faults = faults
        self.shipped = dict(book)
        self.quotes: dict[str, Quote] = {}
        self.done: set[str] = set()

    def lay(self, quotes: Sequence[Quote]) -> tuple[str, ...]:
        """Add every quote to the book; returns their names in order."""
        for quote in quotes:
            name = quote.keys.get("offer")
            if not isinstance(name, str) or not name.strip():
                found = "nothing" if name is None else shown(name)
                self.faults.append(quote.fault("offer", found, "a name for the offer"))
            elif name.strip() in self.quotes:
                self.faults.append(quote.fault("offer", f"{shown(name.strip())} twice", "each own offer once"))
            else:
                self.quotes[name.strip()] = quote
        for name in self.quotes:
            self._resolve(name)
        return tuple(self.quotes)

    def _resolve(self, name: str) -> None:
        """Add one quote after those that it is like; a loop of ``like`` is walked, not recursed."""
        chain = [name]
        while chain[-1] not in self.done:
            like = self._like(chain[-1])
            if like is None or like == chain[-1] or like not in self.quotes:
                break
            if like in chain:
                loop = " -> ".join([*chain[chain.index(like) :], like])
                self.faults.append(self.quotes[like].fault("like", f"the cycle {loop}", "a chain of offers that ends"))
                self.done.update(chain)
                return
            chain.append(like)
        for one in reversed(chain):
            if one not in self.done:
                self.done.add(one)
                self._add(one, self.quotes[one])

    def _like(self, name: str) -> str | None:
        like = self.quotes[name].keys.get("like")
        return like.strip() if isinstance(like, str) and like.strip() else None

    def _add(self, name: str, quote: Quote) -> None:
        rows = OfferRows(quote.file, quote.at or name, own=True, line=quote.line)
        like = self._like(name)
        base = None if like is None else (self.shipped if like == name else self.book).get(like)
        if "adders" in quote.keys and (base is None or base.head is None):
            return  # the quote whose options these are has its faults already
        if "like" in quote.keys and quote.keys["like"] is not None and (base is None or base.head is None):
            known = [n for n, r in self.book.items() if r.head is not None] + list(self.quotes)
            self.faults.append(quote.fault("like", shown(quote.keys["like"]), known_name(str(like), sorted(known))))
            return
        for unknown in [k for k in quote.keys if k not in (*QUOTE_KEYS, "adders")]:
            known_as = known_name(unknown, QUOTE_KEYS)
            self.faults.append(quote.fault(unknown, f"the unknown key {shown(unknown)}", known_as))
        if base is not None:
            _copy(base, rows, name)
        given_apart = self.shipped.get(name)
        if given_apart is not None and given_apart.head is None:
            for table, part in given_apart.parts().items():
                rows.parts()[table].update(part)
        before = len(self.faults)
        _Writer(name, quote, rows, self.date, self.faults, self.exchange).write()
        if quote.line is not None and len(self.faults) > before:
            rows.head = None  # one fault, one message: what is broken is not judged further
        self.book[name] = rows


def _copy(base: OfferRows, rows: OfferRows, name: str) -> None:
    """Copy every row of ``base`` under another offer name."""
    rows.head = None if base.head is None else base.head.model_copy(update={"offer": name})
    for table, part in rows.parts().items():
        part.update({k: row.model_copy(update={"offer": name}) for k, row in base.parts()[table].items()})


@dataclass(frozen=True)
class _Writer:
    """Writes what a quote gives as rows over those it copied."""

    name: str
    quote: Quote
    rows: OfferRows
    date: str
    faults: list[Fault]
    exchange: Sequence[ExchangeRow] = ()

    def write(self) -> None:
        self.head()
        for field, value in self.given(OFFER_FIELDS).items():
            unit = OFFER_FIELDS[field][0]
            row = self.row(OfferValueRow, field, {"field": field, "value": value, "unit": unit}, "value")
            if row is not None:
                self.rows.values[field] = row
        self.prices()
        self.tiers()
        self.marks("flags", OfferFlagRow, "flag", "status", {"reason": "as quoted"})
        self.marks("components", OfferComponentRow, "component", "us_made", {"present": "yes", "prohibited": "no"})
        self.marks("layers", OfferLayerRow, "layer", "production_frac", {})

    def given(self, names: Any) -> dict[str, Any]:
        return {k: self.quote.keys[k] for k in names if self.quote.keys.get(k) is not None}

    def provenance(self) -> dict[str, Any]:
        base = {"source": "buyer", "date": self.date, "confidence": "medium", "unit": "-"}
        return base | {k: _text(v) for k, v in self.given(_PROVENANCE).items()}

    def row(self, cls: type[R], key: str, columns: Mapping[str, Any], value_column: str = "") -> R | None:
        """One row, or None and its faults at ``key``."""
        merged = {"offer": self.name, **self.provenance(), **columns}
        if any(isinstance(v, bool) for v in merged.values()):
            self.faults.append(self.quote.fault(key, "true or false", "a number or a word"))
            return None
        try:
            return cls.model_validate(merged)
        except ValidationError as error:
            for problem in error.errors(include_url=False):
                column = ".".join(str(part) for part in problem["loc"])
                path = key if column == value_column else ".".join(part for part in (key, column) if part)
                self.faults.append(self.quote.fault(path, *words_of(dict(problem))))
        return None

    def head(self) -> None:
        given = {k: _text(v) for k, v in self.given(_COLUMNS).items()}
        given.pop("offer", None)
        if re.fullmatch(r"[A-Z]{3}", str(given.get("currency", ""))):
            given["currency"] = "USD"  # prices are turned into dollars as they are read
        if "adders" in self.quote.keys and self.rows.head is not None:
            words = [word for word, _, _ in self.quote.keys["adders"]]
            given["includes"] = " ".join([self.rows.head.includes, *words])
        base = {} if self.rows.head is None else {c: getattr(self.rows.head, c) for c in _COLUMNS}
        self.rows.head = self.row(OfferRow, "", {**base, **given, "offer": self.name})

    def adders(self) -> None:
        """Raise the copied prices by the options taken."""
        for word, extra, unit in self.quote.keys.get("adders", ()):
            found = rate_of(self.quote, self.rows.head, self.exchange, self.faults, unit)
            if found is None:
                return
            rate, dollars = found
            figures = {n: r.value for n, r in self.rows.values.items()}
            basis = "energy_nameplate_dc_mwh"
            if self.rows.head is not None and self.rows.head.energy_basis == "usable_ac":
                basis = "energy_usable_ac_mwh"
            for year, row in list(self.rows.prices.items()):
                size = 1.0
                if dollars != row.unit:
                    per_kwh = figures["power_mw"] / figures[basis]
                    size = per_kwh if row.unit == "USD/kWh" else 1.0 / per_kwh
                more = f"option {word}: {extra:g} {unit}"
                note = "; ".join(part for part in (row.note, more) if part)
                value = row.value + extra * rate * size
                self.rows.prices[year] = row.model_copy(update={"value": value, "note": note})

    def prices(self) -> None:
        self.adders()
        price, unit = self.quote.keys.get("price"), self.quote.keys.get("price_unit")
        if price is None:
            if unit is not None:
                self.faults.append(self.quote.fault("price_unit", shown(unit), "a unit together with price"))
            return
        if unit is None:
            unit = next((row.unit for row in self.rows.prices.values()), None)
        if not isinstance(price, Mapping) or not price or unit is None:
            key, found = ("price_unit", "nothing") if unit is None else ("price", shown(price))
            allowed = "USD/kWh or USD/kW" if unit is None else "a mapping from year to price"
            self.faults.append(self.quote.fault(key, found, allowed))
            return
        found_rate = rate_of(self.quote, self.rows.head, self.exchange, self.faults, str(unit))
        if found_rate is None:
            return
        rate, dollars = found_rate
        self.rows.prices.clear()
        for year, value in price.items():
            columns: dict[str, Any] = {"year": year, "value": value, "unit": dollars}
            if rate != 1.0:
                columns |= {"value": in_dollars(value, rate), "note": f"{value} {unit} at {rate:g} USD"}
            row = self.row(OfferPriceRow, f"price.{year}", columns, "value")
            if row is not None:
                self.rows.prices[row.year] = row

    def tiers(self) -> None:
        tiers = self.quote.keys.get("tiers")
        if tiers is None:
            return
        if not isinstance(tiers, list) or not all(isinstance(t, Mapping) for t in tiers):
            allowed = "a list of tier, from_mwh and discount_frac"
            self.faults.append(self.quote.fault("tiers", shown(tiers), allowed))
            return
        self.rows.tiers.clear()
        for i, tier in enumerate(tiers):
            row = self.row(OfferTierRow, f"tiers.{i}", {"tier": f"tier {i + 1}", "unit": "frac", **tier})
            if row is not None and row.tier in self.rows.tiers:
                self.faults.append(self.quote.fault(f"tiers.{i}", f"{shown(row.tier)} twice", "each tier once"))
            elif row is not None:
                self.rows.tiers[row.tier] = row

    def marks(self, key: str, cls: type[R], name: str, short: str, base: Mapping[str, Any]) -> None:
        """Write flags, components or layers: a mapping from name to a word or to columns."""
        marks = self.quote.keys.get(key)
        if marks is None:
            return
        if not isinstance(marks, Mapping):
            self.faults.append(self.quote.fault(key, shown(marks), f"a mapping from {name} to its columns"))
            return
        table = {"flags": "offer_flags", "components": "offer_components", "layers": "offer_layers"}[key]
        part = self.rows.parts()[table]
        for mark, value in marks.items():
            columns = dict(value) if isinstance(value, Mapping) else {short: value}
            if key == "layers" and not isinstance(value, Mapping):
                columns["ownership_frac"] = value
            row = self.row(cls, f"{key}.{mark}", {**base, **columns, name: mark}, short)
            if row is not None:
                part[mark] = row


def _text(value: Any) -> Any:
    """Numbers as text, for columns that hold words."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
