"""From every quote to a comparable price: duty paid, at site, USD per usable AC kWh."""

from __future__ import annotations

import numpy as np

from planner import finance, policy, supply
from planner.answers import Bridge
from planner.finance import container_cost, discount, price_usd
from planner.problem import Offer, Period, Problem, Tier
from planner.results import Plan
from planner.units import KW_PER_MW, KWH_PER_MWH, month_text, year_of

_CAPITAL = ("duty", "freight", "power_conversion", "balance_of_plant", "installation", "epc")


def bridges(problem: Problem, plan: Plan) -> tuple[Bridge, ...]:
    """One bridge per offer: for the period of its first delivery, planned or possible.

    Parameters
    ----------
    problem
        The planning question.
    plan
        Its answer: tells tiers, credit states, and what is bought.

    Returns
    -------
    tuple of Bridge
        In the order of the offers; offers that cannot come in any period are shown for that of full load.
    """
    first: dict[str, str] = {}
    tiers: dict[str, str] = {}
    starts = {p.label: p.start for p in problem.periods}
    for order in sorted(plan.orders, key=lambda r: starts.get(r.period, 0)):
        first.setdefault(order.offer, order.period)
        tiers[order.offer] = order.tier
    found = []
    for offer in problem.offers:
        period = _shown_period(problem, offer, first.get(offer.offer))
        tier = next((t for t in offer.tiers if t.tier == tiers.get(offer.offer)), offer.tiers[0])
        found.append(bridge(problem, plan, offer, period, tier))
    return tuple(found)


def _shown_period(problem: Problem, offer: Offer, label: str | None) -> Period:
    for period in problem.periods:
        if period.label == label or (label is None and supply.refusal(problem, offer, period) is None):
            return period
    return next(p for p in problem.periods if p.target_mw == problem.final_target_mw)


def bridge(problem: Problem, plan: Plan, offer: Offer, period: Period, tier: Tier) -> Bridge:
    """Bridge of one offer, delivery period and price tier, per usable AC kWh.

    Generators and contracts are given per kWh of the fuel or contract that one unit carries; their price
    per kW is the one to compare.
    """
    usable_kwh = offer.energy_usable_ac_mwh * KWH_PER_MWH
    year = year_of(period.start)
    cost = container_cost(problem, offer, period, tier.discount_frac)
    now = discount(problem, period.start)
    list_usd = price_usd(problem, offer, year)
    without_clause = offer.model_copy(update={"lithium_pass_through_frac": 0.0})
    quoted_usd = price_usd(problem, without_clause, year)
    equipment = list_usd * (1.0 - tier.discount_frac)
    capital = {name: cost.items_usd[name] / now for name in _CAPITAL}
    credit = _credit_usd(problem, plan, offer, period, cost.capex_usd)
    present = dict(cost.items_usd)
    at_site = equipment + sum(capital.values())
    dates = present["equipment"] + sum(present[name] for name in _CAPITAL) - at_site
    steps = {
        "quoted": quoted_usd,
        "lithium": list_usd - quoted_usd,
        "tier_discount": equipment - list_usd,
        **capital,
        "at_site": at_site,
        "payment_dates": dates,
        "fuel_and_land": present["fuel"] + present["land"],
        **{name: present[name] for name in ("operation", "insurance", "standby_energy")},
        **{name: present[name] for name in ("end_of_life", "residual_value")},
        "tax_credit": -credit,
        "net": sum(present.values()) - credit,
    }
    return Bridge(
        offer=offer.offer,
        supplier=offer.supplier,
        chemistry=offer.chemistry,
        origin=offer.origin,
        period=period.label,
        order_by=month_text(supply.order_month(offer, period)),
        bought=any(order.offer == offer.offer for order in plan.orders),
        quoted_price=quoted_price(offer, year),
        price_unit=offer.price_unit,
        energy_basis=offer.energy_basis,
        price_layer=offer.price_layer,
        incoterm=offer.incoterm,
        includes=" ".join(sorted(offer.includes)),
        tier=tier.tier,
        confidence=offer.confidence,
        product=offer.product,
        at_site_usd_per_kw=at_site / (offer.power_mw * KW_PER_MW),
        **{f"{name}_usd_per_kwh": usd / usable_kwh for name, usd in steps.items()},
    )


def quoted_price(offer: Offer, year: int) -> float:
    """Price as the quote writes it, in ``price_unit``, for a year of delivery (linear between listed years)."""
    years, values = zip(*sorted(offer.price.items()), strict=True)
    return float(np.interp(year, years, values))


def _credit_usd(problem: Problem, plan: Plan, offer: Offer, period: Period, capex_usd: float) -> float:
    """Present value of the tax credit of one container in the plan's credit state of its phase."""
    phase = policy.credit_phase(problem, period)
    if phase is None or not offer.is_storage:
        return 0.0
    row = problem.case.policy.phases[phase]
    rate = policy.credit_rate(problem, row, plan.credit_state.get(row.phase, "none"))
    return rate * capex_usd * discount(problem, period.start + finance.CREDIT_LAG_MONTHS)
