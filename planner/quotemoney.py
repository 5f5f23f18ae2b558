"""A quote as written, and its prices in dollars."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from planner.catalogue import ExchangeRow, OfferRow
from planner.faults import Fault, one_of, shown

_PRICE_KEY = re.compile(r"price\.(\d{4})")
_MONEY = re.compile(r"([A-Z]{3})/(kWh|kW)")


@dataclass(frozen=True)
class Quote:
    """One own offer as written: its keys, and where they stand."""

    keys: Mapping[str, Any]
    file: str
    at: str
    line: int | None = None

    def fault(self, key: str, found: str, allowed: str) -> Fault:
        """Return a fault at one key of the quote."""
        if self.line is not None and not self.at:
            key = _PRICE_KEY.sub(r"price_\1", key)
        return Fault(self.file, ".".join(part for part in (self.at, key) if part), found, allowed, self.line)


def rate_of(
    quote: Quote, head: OfferRow | None, exchange: Sequence[ExchangeRow], faults: list[Fault], unit: str
) -> tuple[float, str] | None:
    """Dollars per unit of a price's currency, and the unit in dollars; None and a fault if there is no rate."""
    money = _MONEY.fullmatch(unit)
    currency = money[1] if money else "USD"
    stated = str(quote.keys.get("currency") or currency)
    if re.fullmatch(r"[A-Z]{3}", stated) and stated != currency:
        faults.append(quote.fault("currency", f"{stated} beside prices in {unit}", "one currency"))
        return None
    if money is None or currency == "USD":
        return 1.0, unit
    own = quote.keys.get("fx_usd_per_unit")
    if own is not None:
        try:
            value = float(own)
        except (TypeError, ValueError):
            value = math.nan
        if not 0 < value < 1e6:
            faults.append(quote.fault("fx_usd_per_unit", shown(own), "dollars per unit, above 0"))
            return None
        return value, f"USD/{money[2]}"
    if head is None:  # without a date there is no rate; what is wrong with the date is said already
        return 1.0, f"USD/{money[2]}"
    date = head.fx_date
    rows = [r for r in exchange if r.currency == currency and r.since <= date]
    if not rows:
        known = sorted({r.currency for r in exchange})
        faults.append(quote.fault("price_unit", shown(unit), f"fx_usd_per_unit, or {one_of(known)}"))
        return None
    return max(rows, key=lambda r: r.since).usd_per_unit, f"USD/{money[2]}"


def in_dollars(value: Any, rate: float) -> Any:
    """A price in dollars; what is no number stays as it is, for its fault."""
    try:
        return float(value) * rate
    except (TypeError, ValueError):
        return value
