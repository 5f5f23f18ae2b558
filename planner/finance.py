"""Present value of one container, item by item (conventions, section 6).

Closed forms, one dictionary per container. The verifier adds up dated cash flows instead;
the two must agree to the cent.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from planner import contract, taxes, yard
from planner.case import Phase
from planner.contract import ACCEPTANCE_MONTHS
from planner.present import discount, stream
from planner.problem import Offer, Period, Problem
from planner.taxes import CREDIT_LAG_MONTHS
from planner.units import HOURS_PER_YEAR, KW_PER_MW, KWH_PER_MWH, MONTHS_PER_YEAR, year_of

__all__ = ["ACCEPTANCE_MONTHS", "CREDIT_LAG_MONTHS", "discount", "stream"]  # for those who look here first

LARGEST_LITHIUM_FALL_FRAC = 0.5
ITEMS = (
    "equipment", "duty", "freight", "power_conversion", "balance_of_plant", "installation", "epc", "fuel", "land",
    "fire_barriers", "qualification", "operation", "insurance", "standby_energy", "end_of_life", "residual_value",
    "tax_credit", "delay", "expected_delay", "delivery_damages", "service", "finance_adder", "cancellation", "grant",
    "recapture", "depreciation", "income_tax", "production_credit", "sourcing",
)  # fmt: skip


#: Items of a case with ``operations``.
OPERATING_ITEMS = ("energy", "renewables")


def items_of(problem: Problem) -> tuple[str, ...]:
    """Cost items of a problem."""
    return ITEMS if problem.case.operating is None else (*ITEMS, *OPERATING_ITEMS)


@dataclass(frozen=True)
class ContainerCost:
    """Present value in USD by item, before credit, and the undiscounted capex that credits rest on."""

    items_usd: dict[str, float]
    capex_usd: float


def retirement_month(offer: Offer, start: int) -> int:
    """Month at which a container commissioned at ``start`` leaves."""
    return start + int(np.floor(MONTHS_PER_YEAR * offer.design_life_yr + 1e-9))


def price_usd(problem: Problem, offer: Offer, year: int) -> float:
    """Price of one container before tier discount, with the lithium clause, in USD."""
    years, values = zip(*sorted(offer.price.items()), strict=True)
    price = float(np.interp(year, years, values))
    if offer.price_unit == "USD/kW":
        return offer.power_mw * KW_PER_MW * price
    nameplate_kwh = offer.energy_nameplate_dc_mwh * KWH_PER_MWH
    basis_kwh = nameplate_kwh if offer.energy_basis == "dc_nameplate" else offer.energy_usable_ac_mwh * KWH_PER_MWH
    base = basis_kwh * price
    change = _lithium(problem, year) - _lithium(problem, year_of(offer.price_date))
    clause = offer.lithium_pass_through_frac * offer.lithium_kg_per_kwh * change * nameplate_kwh
    return base + max(clause, -LARGEST_LITHIUM_FALL_FRAC * base)


def _lithium(problem: Problem, year: int) -> float:
    path = problem.case.finance.lithium_path
    points = sorted((r.year, r.usd_per_kg) for r in problem.tables.lithium if r.path == path)
    years, values = zip(*points, strict=True)
    return float(np.interp(year, years, values))


def duty_rate(problem: Problem, offer: Offer, month: int) -> float:
    """Ad valorem duty at an import month: the last row at or before it."""
    rows = [
        r
        for r in problem.tables.tariffs
        if r.duty_origin == offer.duty_origin and r.duty_class == offer.duty_class and r.since <= month
    ]
    return max(rows, key=lambda r: r.since).rate_frac if rows else 0.0


@lru_cache(maxsize=8)
def _mean_price(series_bytes: bytes) -> float:
    return float(np.frombuffer(series_bytes).mean())


def mean_energy_price(problem: Problem) -> float:
    """Mean of the case's price series in USD/MWh."""
    return _mean_price(problem.price_usd_per_mwh.tobytes())


def container_cost(problem: Problem, offer: Offer, period: Period, discount_frac: float) -> ContainerCost:
    """Present value of buying and keeping one container.

    Parameters
    ----------
    problem, offer, period
        What is bought and when it is commissioned.
    discount_frac
        Discount of the price tier.
    """
    month = period.start
    equipment = price_usd(problem, offer, year_of(month)) * (1.0 - discount_frac)
    parts = capital_usd(problem, offer, month, equipment)
    capex = sum(parts.values())
    at_delivery = discount(problem, month)
    items = {name: value * at_delivery for name, value in parts.items()}
    items["equipment"] = equipment * contract.payment_factor(problem, offer, month)
    items["fuel"] = offer.fuel_usd_per_mwh * offer.energy_usable_ac_mwh * at_delivery
    land = yard.cost_row(problem, "land_usd_per_m2", offer.chemistry, offer.origin)
    items["land"] = land * yard.occupied_m2(problem, offer) * at_delivery
    items |= _yearly(problem, offer, month, equipment, capex)
    items |= _ending(problem, offer, month, equipment)
    leaves = min(retirement_month(offer, month), problem.horizon)
    items |= contract.terms_usd(problem, offer, month, equipment, capex, leaves)
    return ContainerCost(items, capex)


def with_credit(
    problem: Problem, offer: Offer, period: Period, cost: ContainerCost, phase: Phase | None, state: str
) -> dict[str, float]:
    """All items of one container in a credit state, as present values in USD; firm resources earn no credit."""
    items = dict(cost.items_usd)
    earned = phase if offer.is_storage else None
    items |= taxes.credit_items(problem, period.start, cost.capex_usd, earned, state)
    made_here = taxes.production_credit_usd(problem, offer, period.start)
    items["production_credit"] = made_here * discount(problem, period.start)
    return with_tax(problem, items)


def with_tax(problem: Problem, items: dict[str, float]) -> dict[str, float]:
    """Items with the income tax on those that are deducted at once."""
    return items | {"income_tax": taxes.income_tax(problem, items)}


def counted_usd(problem: Problem, items: dict[str, float]) -> float:
    """What the case's objective counts of a set of items, in USD."""
    return sum(taxes.in_view(items, problem.case.objective).values())


def capital_usd(problem: Problem, offer: Offer, month: int, equipment: float) -> dict[str, float]:
    """Undiscounted capital items of one container in USD."""

    def layer(cost: str) -> float:
        return yard.cost_row(problem, cost, offer.chemistry, offer.origin)

    power_kw = offer.power_mw * KW_PER_MW
    usable_kwh = offer.energy_usable_ac_mwh * KWH_PER_MWH
    all_in = offer.price_layer == "all_in"
    has = offer.includes
    duty = 0.0
    if "duty" not in has:
        rate = duty_rate(problem, offer, month - offer.commissioning_months)
        duty = rate * offer.dutiable_value_frac * equipment
    parts = {
        "equipment": equipment,
        "duty": duty,
        "freight": _freight_usd(problem, offer),
        "power_conversion": (0.0 if "conversion" in has else power_kw * layer("power_conversion_usd_per_kw"))
        + (0.0 if "transformer" in has else power_kw * layer("transformer_usd_per_kw")),
        "balance_of_plant": 0.0
        if all_in
        else usable_kwh * layer("balance_of_plant_usd_per_kwh") + power_kw * layer("balance_of_plant_usd_per_kw"),
        "installation": (0.0 if all_in else usable_kwh * layer("installation_usd_per_kwh"))
        + (0.0 if "commissioning" in has else power_kw * layer("commissioning_usd_per_kw"))
        + (0.0 if "spares" in has else equipment * layer("spares_frac")),
    }
    parts["epc"] = 0.0 if all_in else layer("epc_frac") * sum(parts.values())
    return parts


def _freight_usd(problem: Problem, offer: Offer) -> float:
    """Way from where the seller hands over to the site, undiscounted: all of it from EXW and FOB, inland from CIF."""
    if "freight" in offer.includes or offer.incoterm in ("DAP", "DDP"):
        return 0.0

    def layer(cost: str, otherwise: float) -> float:
        return yard.cost_row(problem, cost, offer.chemistry, offer.origin, otherwise)

    freight = yard.cost_row(problem, "freight_usd_per_t", offer.chemistry, offer.origin)
    if offer.incoterm == "CIF":
        freight *= layer("inland_freight_frac", 1.0)
    if offer.incoterm == "EXW":
        freight += layer("export_haul_usd_per_t", 0.0)
    return offer.mass_t * freight


def _yearly(problem: Problem, offer: Offer, month: int, equipment: float, capex: float) -> dict[str, float]:
    """Operation, insurance and standby energy over the life in the horizon."""
    usable = offer.energy_usable_ac_mwh
    years = stream(problem, month, min(retirement_month(offer, month), problem.horizon))
    operation = (
        offer.om_usd_per_kwh_yr * usable * KWH_PER_MWH
        + offer.om_usd_per_kw_yr * offer.power_mw * KW_PER_MW
        + offer.om_frac_per_yr * equipment
    )
    premium = yard.cost_row(problem, "insurance_frac_per_yr", offer.chemistry, offer.origin)
    standby = 0.0
    if offer.is_storage:
        lost_kw = usable * KWH_PER_MWH * offer.self_discharge_frac_per_day / 24.0 / offer.round_trip_eff_frac
        if problem.case.operating is not None:  # then each year's schedule pays for it
            lost_kw = 0.0
        standby_kw = offer.auxiliary_kw_per_mwh * usable + lost_kw
        standby = standby_kw / KW_PER_MW * HOURS_PER_YEAR * mean_energy_price(problem)
    return {
        "operation": operation * years,
        "insurance": premium * yard.hazard_class(problem, offer) * capex * years,
        "standby_energy": standby * years,
    }


def _ending(problem: Problem, offer: Offer, month: int, equipment: float) -> dict[str, float]:
    """End of life and residual value."""
    leaves = min(retirement_month(offer, month), problem.horizon)
    scrap = yard.cost_row(problem, "end_of_life_usd_per_kwh", offer.chemistry, offer.origin)
    life_left = max(0.0, 1.0 - (problem.horizon - month) / MONTHS_PER_YEAR / offer.design_life_yr)
    residual = problem.case.finance.residual_frac * equipment * life_left
    return {
        "end_of_life": scrap * offer.energy_nameplate_dc_mwh * KWH_PER_MWH * discount(problem, leaves),
        "residual_value": -residual * discount(problem, problem.horizon),
    }
