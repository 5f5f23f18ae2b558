"""What a contract adds to the price of one container: payment dates, delay, service, cancellation, dearer money.

Every term is neutral at zero. Dollars are present values per container.
"""

from __future__ import annotations

from planner.present import discount, stream
from planner.problem import Offer, Problem
from planner.units import KWH_PER_MWH, MONTHS_PER_YEAR

ACCEPTANCE_MONTHS = 6


def payment_shares(problem: Problem, offer: Offer) -> dict[str, float]:
    """Share of the equipment price at order, delivery and acceptance: the offer's own, else the case's."""
    own = {"order": offer.pay_order_frac, "delivery": offer.pay_delivery_frac, "acceptance": offer.pay_acceptance_frac}
    if sum(own.values()) > 0:
        return own
    return {str(p.at): p.share_frac for p in problem.case.finance.payments}


def payment_factor(problem: Problem, offer: Offer, month: int) -> float:
    """Present value of one dollar of equipment paid at its milestones."""
    when = {"order": month - offer.order_lead_months, "delivery": month, "acceptance": month + ACCEPTANCE_MONTHS}
    return sum(share * discount(problem, when[at]) for at, share in payment_shares(problem, offer).items())


def service_hours(problem: Problem) -> float:
    """Full-load hours of the whole outage: each step of the service profile at its share, in h."""
    hours, before = 0.0, 0.0
    for step in problem.case.reliability.service:
        hours += (step.until_h - before) * step.share_frac
        before = step.until_h
    return hours


def terms_usd(
    problem: Problem, offer: Offer, month: int, equipment_usd: float, capex_usd: float, leaves: int
) -> dict[str, float]:
    """Present value of the contract terms of one container, by cost item, in USD.

    Parameters
    ----------
    problem, offer
        What is bought.
    month
        Start of the delivery period.
    equipment_usd, capex_usd
        Undiscounted price, and capital cost, of one container.
    leaves
        Month at which the container retires or the plan ends.

    Notes
    -----
    A container that is expected to come ``m`` months late holds back the load that its usable energy
    carries over the service profile, ``usable / service_hours`` MW, at the price of delayed load. Damages
    are what the supplier pays for these months, up to the cap.
    """
    case = problem.case
    usable_kwh = offer.energy_usable_ac_mwh * KWH_PER_MWH
    at_delivery = discount(problem, month)
    late_mw = offer.energy_usable_ac_mwh / service_hours(problem) if offer.is_storage else 0.0
    late_usd = case.load.delay_usd_per_mw_yr * late_mw * offer.expected_delay_months / MONTHS_PER_YEAR
    damages = min(offer.delay_damages_frac_per_month * offer.expected_delay_months, offer.delay_damages_cap_frac)
    served_until = min(month + round(MONTHS_PER_YEAR * offer.service_years), leaves)
    service = 0.0 if "service" in offer.includes else offer.service_usd_per_kwh_yr * usable_kwh
    adder = getattr(case.finance.maturity_adder_frac_per_yr, offer.maturity)
    lent_until = min(month + MONTHS_PER_YEAR * case.finance.adder_years, leaves)
    fee = case.contract.cancellation_probability_frac * offer.cancellation_fee_frac * equipment_usd
    return {
        "expected_delay": late_usd * at_delivery,
        "delivery_damages": -damages * equipment_usd * at_delivery,
        "service": service * stream(problem, month, served_until),
        "finance_adder": adder * capex_usd * stream(problem, month, lent_until),
        "cancellation": fee * discount(problem, month - offer.order_lead_months),
        "grant": -offer.grant_usd_per_kwh * usable_kwh * at_delivery,
    }
