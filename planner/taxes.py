"""Credit, its recapture, depreciation and income tax of one container, and the public's side of a plan."""

from __future__ import annotations

from collections.abc import Mapping

from planner import policy
from planner.case import Phase
from planner.present import discount
from planner.problem import Offer, Problem
from planner.units import KWH_PER_MWH, MONTHS_PER_YEAR

CREDIT_LAG_MONTHS = 12
VESTING_YEARS = 5
#: Half of the credit leaves the depreciable basis (26 USC 50(c)(3)).
BASIS_REDUCTION = 0.5
#: Items that lower taxable income in the year in which they are paid; a residual value raises it.
DEDUCTED = (
    "fuel", "operation", "insurance", "standby_energy", "end_of_life", "residual_value", "delay", "service",
    "finance_adder", "cancellation", "expected_delay", "delivery_damages", "energy",
)  # fmt: skip
#: Items that pass between the buyer and the public; the resource view leaves them out.
TRANSFERS = ("duty", "tax_credit", "grant", "recapture", "depreciation", "income_tax")


def recaptured_frac(problem: Problem) -> float:
    """Expected share of the credit that is taken back."""
    case = problem.case.credits.recapture
    unvested = 1.0 if case.rule == "ten_year" else max(0.0, 1.0 - case.year / VESTING_YEARS)
    return case.probability_frac * unvested


def production_credit_usd(problem: Problem, offer: Offer, month: int) -> float:
    """What the public pays the maker of one container delivered at ``month`` (26 USC 45X), undiscounted, in USD.

    Only for components that are US-made and free of prohibited entities.
    """
    total = 0.0
    for name in sorted({r.component for r in problem.tables.production_credits}):
        part = offer.components.get(name)
        if part is None or not (part.present and part.us_made) or policy.counts_as_yes(problem, part.prohibited):
            continue
        rows = [r for r in problem.tables.production_credits if r.component == name and r.since <= month]
        total += max(rows, key=lambda r: r.since).usd_per_kwh if rows else 0.0
    return total * offer.energy_nameplate_dc_mwh * KWH_PER_MWH


def credit_items(problem: Problem, month: int, capex_usd: float, phase: Phase | None, state: str) -> dict[str, float]:
    """Credit, recapture and depreciation of one container as present values, by cost item, in USD.

    Parameters
    ----------
    problem
        The planning question.
    month
        Start of the delivery period.
    capex_usd
        Undiscounted capital cost.
    phase, state
        Construction phase and credit state; no phase earns no credit.
    """
    kept = gross = 0.0
    if phase is not None:
        kept = policy.credit_rate(problem, phase, state) * capex_usd
        gross = policy.gross_credit_rate(problem, phase, state) * capex_usd
    year = problem.case.credits.recapture.year
    taken_back = recaptured_frac(problem) * gross
    finance = problem.case.finance
    basis = capex_usd - BASIS_REDUCTION * gross
    rows = [r for r in problem.tables.depreciation if r.schedule == finance.depreciation]
    deducted = 0.0
    if finance.tax_rate_frac > 0:
        middle = MONTHS_PER_YEAR / 2
        deducted = sum(
            r.deducted_frac * discount(problem, month + MONTHS_PER_YEAR * (r.year - 1) + middle) for r in rows
        )
    return {
        "tax_credit": -kept * discount(problem, month + CREDIT_LAG_MONTHS),
        "recapture": taken_back * discount(problem, month + MONTHS_PER_YEAR * year),
        "depreciation": -finance.tax_rate_frac * basis * deducted,
    }


def income_tax(problem: Problem, items: Mapping[str, float]) -> float:
    """Tax saved (negative) on what is deducted at once; in the unit of ``items``."""
    return -problem.case.finance.tax_rate_frac * sum(items.get(name, 0.0) for name in DEDUCTED)


def in_view(items: Mapping[str, float], objective: str) -> dict[str, float]:
    """Items as the objective counts them: the buyer pays no production credit, the resource view no transfers."""
    if objective == "buyer":
        return {k: 0.0 if k == "production_credit" else v for k, v in items.items()}
    return {k: 0.0 if k in TRANSFERS else v for k, v in items.items()}


def public_musd(items: Mapping[str, float]) -> dict[str, float]:
    """What passes between the buyer and the public, from all items of a plan, in million USD.

    ``net`` is what the public receives less what it pays: buyer cost less resource cost.
    """
    received = {
        "duties": items["duty"],
        "recapture": items["recapture"],
        "taxes": items["income_tax"] + items["depreciation"],
    }
    paid = {
        "tax_credits": -items["tax_credit"],
        "production_credits": items["production_credit"],
        "grants": -items["grant"],
    }
    return {**received, **paid, "net": sum(received.values()) - sum(paid.values())}
