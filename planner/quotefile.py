"""Quote files written: the template, and offers as rows that read back to the same offers."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

from planner.catalogue import OFFER_FIELDS, OfferRow
from planner.problem import Offer
from planner.quotes import QUOTE_KEYS
from planner.units import month_text

_MONTHS = ("price_date", "valid_until", "fx_date")
_KEPT_APART = ("price", "tiers", "flags", "components", "layers", "includes")

TEMPLATE_ROWS: tuple[dict[str, str], ...] = (
    {
        "offer": "quote-1", "like": "fluence-gsp-us", "product": "container 5 MWh",
        "document": "Q-1001", "revision": "2",
        "source": "quotation of the supplier", "date": "2026-11", "confidence": "high", "price_layer": "ac_system",
        "incoterm": "DDP", "includes": "duty freight conversion commissioning", "currency": "USD", "fx_date": "2026-11",
        "energy_basis": "usable_ac", "price_date": "2026-11", "valid_until": "2027-06", "price_unit": "USD/kWh",
        "price_2028": "187", "price_2029": "180", "tiers": "0: 0; 500: 0.03", "min_order_mwh": "100",
        "pay_order_frac": "0.2", "pay_delivery_frac": "0.7", "pay_acceptance_frac": "0.1",
        "delay_damages_frac_per_month": "0.02", "delay_damages_cap_frac": "0.1", "expected_delay_months": "1",
        "warranty_years": "15", "warranty_soh_frac": "0.7", "options": "spares: 1.5 USD/kWh",
    },
    {
        "offer": "quote-2", "like": "lg-jh4-kr", "product": "DC block", "document": "Q-2002", "revision": "1",
        "source": "quotation of the supplier", "date": "2026-11", "confidence": "high", "price_layer": "dc_block",
        "incoterm": "FOB", "currency": "EUR", "fx_date": "2026-11", "fx_usd_per_unit": "1.15",
        "energy_basis": "dc_nameplate", "price_date": "2026-11", "valid_until": "2027-03", "price_unit": "EUR/kWh",
        "price_2028": "92", "flags": "fcc=no; service_provider=no", "service_usd_per_kwh_yr": "1.2",
        "service_years": "2",
        "cancellation_fee_frac": "0.15",
    },
)  # fmt: skip


def columns_of(rows: Iterable[dict[str, Any]]) -> list[str]:
    """Columns of a quote file in a fixed order, prices by year after the price unit."""
    years = sorted({k for row in rows for k in row if k.startswith("price_2")})
    order = [k for k in QUOTE_KEYS if k != "price"]
    at = order.index("price_unit") + 1
    return [*order[:at], *years, *order[at:]]


def csv_text(rows: Sequence[dict[str, Any]]) -> str:
    """Quote rows as CSV."""
    out = io.StringIO()
    writer = csv.DictWriter(out, columns_of(rows), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def quote_rows(offers: Iterable[Offer]) -> list[dict[str, Any]]:
    """Rows of a quote file that read back to the same offers; prices are in dollars.

    What the planner does not keep of an offer (document, revision, source) is written as words that say so.
    """
    rows = []
    for offer in offers:
        row: dict[str, Any] = {
            "source": "written by planner", "date": month_text(offer.price_date), "confidence": offer.confidence,
            "currency": "USD", "document": f"offer {offer.offer}", "revision": "1", "unit": "-",
        }  # fmt: skip
        row["fx_date"] = row["date"]
        row["includes"] = " ".join(sorted(offer.includes))
        for name in (*OfferRow.model_fields, *OFFER_FIELDS):
            if name in Offer.model_fields and name not in _KEPT_APART:
                value = getattr(offer, name)
                row[name] = month_text(value) if name in _MONTHS else value
        row |= {f"price_{year}": price for year, price in offer.price.items()}
        row["price_unit"] = offer.price_unit
        row["tiers"] = json.dumps([t.model_dump() for t in offer.tiers])
        flags = {
            n: {"status": f.status, "reason": f.reason, **({} if f.since is None else {"since": month_text(f.since)})}
            for n, f in offer.flags.items()
        }
        parts = {
            n: {"present": _word(c.present), "us_made": _word(c.us_made), "prohibited": c.prohibited}
            for n, c in offer.components.items()
        }
        layers = {n: share.model_dump() for n, share in offer.layers.items()}
        row |= {"flags": json.dumps(flags), "components": json.dumps(parts), "layers": json.dumps(layers)}
        rows.append(row)
    return rows


def _word(value: bool) -> str:
    return "yes" if value else "no"
