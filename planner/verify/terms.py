"""Contract terms, taxes and public money of one container as dated cash flows."""

from __future__ import annotations

from collections.abc import Mapping

from planner.problem import Offer
from planner.verify.flow import Flow
from planner.verify.lookup import Book, latest

#: Taxed or deducted in the year in which it is paid.
DEDUCTED = frozenset(
    (
        "fuel", "operation", "insurance", "standby_energy", "end_of_life", "residual_value", "delay", "service",
        "finance_adder", "cancellation", "expected_delay", "delivery_damages", "energy",
    )
)  # fmt: skip
PAID_BETWEEN = ("duty", "tax_credit", "grant", "recapture", "depreciation", "income_tax")


def milestones(book: Book, offer: Offer) -> dict[str, float]:
    """Share of the equipment price by milestone: those of the offer, else of the case."""
    own = (offer.pay_order_frac, offer.pay_delivery_frac, offer.pay_acceptance_frac)
    if any(own):
        return dict(zip(("order", "delivery", "acceptance"), own, strict=True))
    return {pay.at: pay.share_frac for pay in book.case.finance.payments}


def contract_flows(
    book: Book, offer: Offer, start: int, ordered: int, leaves: int, equipment: float, capex: float
) -> list[Flow]:
    """Expected lateness and its damages, service, dearer money, cancellation, grants.

    Parameters
    ----------
    book, offer
        Table look-ups, and what is bought.
    start, ordered, leaves
        Months of delivery, order, and retirement or end of the plan.
    equipment, capex
        Undiscounted dollars of one container.
    """
    case = book.case
    kwh = 1000.0 * offer.energy_usable_ac_mwh
    steps = case.reliability.service
    begins = (0.0, *(s.until_h for s in steps[:-1]))
    hours = sum((s.until_h - b) * s.share_frac for s, b in zip(steps, begins, strict=True))
    months = offer.expected_delay_months
    flows = []
    if offer.is_storage:
        late = case.load.delay_usd_per_mw_yr / 12.0 * months * kwh / 1000.0 / hours
        flows.append(Flow("expected_delay", late, start))
    rate = min(months * offer.delay_damages_frac_per_month, offer.delay_damages_cap_frac)
    flows.append(Flow("delivery_damages", -rate * equipment, start))
    if "service" not in offer.includes:
        until = min(start + round(12 * offer.service_years), leaves)
        flows.append(Flow("service", offer.service_usd_per_kwh_yr * kwh, start, until))
    adder = case.finance.maturity_adder_frac_per_yr.model_dump()[offer.maturity]
    flows.append(Flow("finance_adder", adder * capex, start, min(start + 12 * case.finance.adder_years, leaves)))
    odds = case.contract.cancellation_probability_frac
    flows.append(Flow("cancellation", odds * offer.cancellation_fee_frac * equipment, ordered))
    flows.append(Flow("grant", -offer.grant_usd_per_kwh * kwh, start))
    return flows


def public_flows(book: Book, offer: Offer, start: int, capex: float, kept: float, gross: float) -> list[Flow]:
    """Credit, recapture, depreciation and what the public pays to makers.

    Parameters
    ----------
    book, offer, start, capex
        As above.
    kept, gross
        Credit per dollar of capex after monetisation, and as the law grants it.
    """
    case = book.case
    flows = [Flow("tax_credit", -kept * capex, start + 12)]
    scenario = case.credits.recapture
    open_share = 1.0 if scenario.rule == "ten_year" else max(0.0, (5 - scenario.year) / 5)
    back = scenario.probability_frac * open_share * gross * capex
    flows.append(Flow("recapture", back, start + 12 * scenario.year))
    basis = capex * (1.0 - gross / 2.0)
    for row in book.problem.tables.depreciation:
        if row.schedule == case.finance.depreciation:
            saved = case.finance.tax_rate_frac * row.deducted_frac * basis
            flows.append(Flow("depreciation", -saved, start + 12 * row.year - 6))
    flows.append(Flow("production_credit", _made_here_usd(book, offer, start), start))
    return flows


def _made_here_usd(book: Book, offer: Offer, start: int) -> float:
    usd = 0.0
    steps: dict[str, list[tuple[int, float]]] = {}
    for row in book.problem.tables.production_credits:
        steps.setdefault(row.component, []).append((row.since, row.usd_per_kwh))
    for name, values in steps.items():
        part = offer.components.get(name)
        if part and part.present and part.us_made and not book.reads_as_yes(part.prohibited, "pfe_tax"):
            usd += 1000.0 * offer.energy_nameplate_dc_mwh * (latest(values, start) or 0.0)
    return usd


def taxed(flows: list[Flow], tax_rate: float) -> list[Flow]:
    """Flows with the income tax that each of the deducted ones saves."""
    saved = [
        Flow("income_tax", -tax_rate * f.usd, f.month, f.until, f.why)
        for f in flows
        if f.item in DEDUCTED and tax_rate > 0
    ]
    return flows + saved


def seen_by(objective: str, items: Mapping[str, float]) -> dict[str, float]:
    """Items that an objective counts; the others are zero."""
    hidden = ("production_credit",) if objective == "buyer" else PAID_BETWEEN
    return {k: 0.0 if k in hidden else v for k, v in items.items()}


def public_money(items: Mapping[str, float]) -> dict[str, float]:
    """What the public receives and pays, and the net that it receives, from all items of a plan."""
    out = {
        "duties": items["duty"],
        "recapture": items["recapture"],
        "taxes": items["depreciation"] + items["income_tax"],
        "tax_credits": -items["tax_credit"],
        "production_credits": items["production_credit"],
        "grants": -items["grant"],
    }
    gets = out["duties"] + out["recapture"] + out["taxes"]
    return {**out, "net": gets - out["tax_credits"] - out["production_credits"] - out["grants"]}
