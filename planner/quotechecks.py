"""What is wrong between quotes, or within one: expired, twice, superseded, contradictory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from planner.catalogue import OfferRow
from planner.faults import Fault, shown
from planner.offerbook import OfferRows, includes_of
from planner.quotes import Quote
from planner.units import month_text


def quote_faults(quotes: Sequence[Quote], book: Mapping[str, OfferRows], as_of: int | None = None) -> Iterator[Fault]:
    """Faults of quotes that were read, each named once.

    Parameters
    ----------
    quotes
        As written.
    book
        Rows of every offer, the quotes among them.
    as_of
        Month at which a quote must still hold; None does not ask.
    """
    seen: dict[tuple[str, ...], Quote] = {}
    latest: dict[tuple[str, str], tuple[str, Quote]] = {}
    for quote in quotes:
        name = str(quote.keys.get("offer", "")).strip()
        rows = book.get(name)
        if rows is None or rows.head is None or rows.file != quote.file:
            continue
        head = rows.head
        if as_of is not None and head.valid_until < as_of:
            allowed = f"a quote that still holds in {month_text(as_of)}"
            yield quote.fault("valid_until", f"an expired quote ({month_text(head.valid_until)})", allowed)
        yield from contradictions(quote, rows, head)
        if not quote.keys.get("document"):
            continue
        terms = tuple(str(v) for k, v in sorted(quote.keys.items()) if k not in ("offer", "note"))
        if terms in seen:
            first = seen[terms]
            yield quote.fault(
                "offer", f"the same quote as {first.keys['offer']} (line {first.line})", "each quote once"
            )
            continue
        seen[terms] = quote
        paper = (str(quote.keys["document"]), str(quote.keys.get("product", name)))
        older = latest.get(paper)
        if older is not None and older[0] != head.revision:
            new, old = (quote, older[1]) if head.revision > older[0] else (older[1], quote)
            found = f"a revision that {new.keys['offer']} (line {new.line}) supersedes"
            yield old.fault("revision", found, "the newest revision of a document alone")
        if older is None or head.revision > older[0]:
            latest[paper] = (head.revision, quote)


def contradictions(quote: Quote, rows: OfferRows, head: OfferRow) -> Iterator[Fault]:
    """Statements of one quote that cannot both hold."""
    has = includes_of(head)
    if head.incoterm == "DDP" and "duty" not in has:
        yield quote.fault("includes", "DDP without duty", "duty, which DDP includes")
    if head.incoterm != "DDP" and "duty" in has and head.incoterm in ("EXW", "FOB", "CIF"):
        yield quote.fault("incoterm", f"{head.incoterm} with duty included", "DDP, or no duty in includes")
    if head.incoterm in ("EXW", "FOB") and "freight" in has:
        yield quote.fault("incoterm", f"{head.incoterm} with freight included", "CIF, DAP or DDP, or no freight")
    if head.price_layer == "dc_block" and "conversion" in has:
        yield quote.fault("price_layer", "dc_block with conversion included", "ac_system, or no conversion")
    if head.price_layer == "all_in" and head.kind == "storage" and "conversion" not in has:
        yield quote.fault(
            "price_layer", "all_in without conversion", "ac_system or dc_block, or conversion in includes"
        )
    if head.valid_until < head.price_date:
        found = f"{month_text(head.valid_until)}, before price_date {month_text(head.price_date)}"
        yield quote.fault("valid_until", found, "a month from price_date on")
    paid = [rows.values[n].value for n in _PAID if n in rows.values]
    if paid and any(paid) and abs(sum(paid) - 1.0) > 1e-9:
        yield quote.fault("pay_order_frac", f"payments that add up to {sum(paid):g}", "shares that add up to 1")
    terms = {n: rows.values[n].value for n in _TERMS if n in rows.values}
    if terms.get("delay_damages_frac_per_month", 0) > 0 and not terms.get("delay_damages_cap_frac"):
        yield quote.fault("delay_damages_cap_frac", "damages without a cap", shown("a share above 0").strip('"'))


_PAID = ("pay_order_frac", "pay_delivery_frac", "pay_acceptance_frac")
_TERMS = ("delay_damages_frac_per_month", "delay_damages_cap_frac")
