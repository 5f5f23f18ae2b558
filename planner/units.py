"""The closed list of unit suffixes, the conversions, and months as whole numbers.

Dates are *month indices* everywhere inside the planner: ``12 * year + month - 1``.
A month is fine enough for contracts and factories, and whole numbers add exactly.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, PlainSerializer

#: Every unit that a field name or a CSV header may end in.
UNIT_SUFFIXES: Final[tuple[str, ...]] = (
    "_mwh",
    "_gwh",
    "_kwh",
    "_mw",
    "_kw",
    "_h",
    "_s",
    "_yr",
    "_months",
    "_month",
    "_usd",
    "_musd",
    "_usd_per_kwh",
    "_usd_per_kw",
    "_usd_per_kwh_yr",
    "_usd_per_kw_yr",
    "_usd_per_mwh",
    "_usd_per_mw_yr",
    "_usd_per_t",
    "_usd_per_m",
    "_usd_per_m2",
    "_usd_per_kg",
    "_frac",
    "_frac_per_day",
    "_frac_per_yr",
    "_frac_per_month",
    "_usd_per_unit",
    "_m",
    "_m2",
    "_t",
    "_lpm",
    "_c",
    "_kg_per_kwh",
    "_kw_per_mwh",
)

KWH_PER_MWH: Final = 1000.0
KW_PER_MW: Final = 1000.0
MWH_PER_GWH: Final = 1000.0
USD_PER_MUSD: Final = 1e6
HOURS_PER_YEAR: Final = 8760.0
MONTHS_PER_YEAR: Final = 12
SECONDS_PER_HOUR: Final = 3600.0

_MONTH = re.compile(r"^(\d{4})-(\d{2})(-\d{2})?$")


def parse_month(value: Any) -> int:
    """Month index of ``2027-03``, ``2027-03-15`` (the day is dropped) or a date object.

    Raises
    ------
    ValueError
        If the text is not a month between 1990-01 and 2150-12.
    """
    text = value.isoformat() if hasattr(value, "isoformat") else str(value).strip()
    match = _MONTH.match(text)
    if not match or not 1 <= int(match[2]) <= 12 or not 1990 <= int(match[1]) <= 2150:
        raise ValueError(f"{text!r} is not a month written YYYY-MM (1990-01 to 2150-12)")
    return int(match[1]) * MONTHS_PER_YEAR + int(match[2]) - 1


def month_text(month: int) -> str:
    """``YYYY-MM`` of a month index."""
    return f"{month // MONTHS_PER_YEAR:04d}-{month % MONTHS_PER_YEAR + 1:02d}"


def year_of(month: int) -> int:
    """Calendar year of a month index."""
    return month // MONTHS_PER_YEAR


def _to_month(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value > 12 * 1990:
        return value
    return parse_month(value)


#: A pydantic field that reads ``YYYY-MM`` and holds the month index.
Month = Annotated[int, BeforeValidator(_to_month), PlainSerializer(month_text, when_used="json")]
