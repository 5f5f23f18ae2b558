"""Every dollar of a plan as a dated cash flow, then discounted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from planner.problem import Offer, Problem
from planner.results import Plan
from planner.units import year_of
from planner.verify.content import credit_rate, gross_rate, phase_of
from planner.verify.fleet import Fleet, order_month
from planner.verify.flow import Flow
from planner.verify.lookup import Book
from planner.verify.operations import operating_flows
from planner.verify.sourced import Taken, flows_of
from planner.verify.tally import Tally, number
from planner.verify.terms import contract_flows, milestones, public_flows, public_money, seen_by, taxed

__all__ = ["Flow", "build_ledger", "check_cost", "container_flows", "cost_by_item", "public_money"]

ITEMS = (
    "equipment", "duty", "freight", "power_conversion", "balance_of_plant", "installation", "epc", "fuel", "land",
    "fire_barriers", "qualification", "operation", "insurance", "standby_energy", "end_of_life", "residual_value",
    "tax_credit", "delay", "expected_delay", "delivery_damages", "service", "finance_adder", "cancellation", "grant",
    "recapture", "depreciation", "income_tax", "production_credit", "sourcing",
)  # fmt: skip
CAPEX = ("equipment", "duty", "freight", "power_conversion", "balance_of_plant", "installation", "epc")


#: Items of a case with ``operations``.
OPERATING_ITEMS = ("energy", "renewables")


def items_of(problem: Problem) -> tuple[str, ...]:
    """Cost items of a problem."""
    return ITEMS if problem.case.operating is None else (*ITEMS, *OPERATING_ITEMS)


def build_usd(book: Book, offer: Offer, start: int, discount: float) -> dict[str, float]:
    """Undiscounted capital dollars of one container by item (those of ``CAPEX``).

    Parameters
    ----------
    book
        Table look-ups.
    offer
        What is bought.
    start
        First month of the delivery period.
    discount
        Tier discount.
    """
    year, kw = year_of(start), offer.power_mw * 1000.0
    usable, nameplate = offer.energy_usable_ac_mwh * 1000.0, offer.energy_nameplate_dc_mwh * 1000.0
    given, all_in = offer.includes, offer.price_layer == "all_in"
    chemistry, origin = offer.chemistry, offer.origin
    if offer.price_unit == "USD/kW":
        equipment = kw * book.price(offer, year) * (1.0 - discount)
    else:
        basis = nameplate if offer.energy_basis == "dc_nameplate" else usable
        equipment = basis * (book.price(offer, year) + book.lithium_usd(offer, year, basis)) * (1.0 - discount)
    out = dict.fromkeys(CAPEX, 0.0)
    out["equipment"] = equipment
    if "duty" not in given:
        rate = book.duty_rate(offer, start - offer.commissioning_months)
        out["duty"] = rate * offer.dutiable_value_frac * equipment
    if "freight" not in given and offer.incoterm not in ("DAP", "DDP"):
        per_t = book.cost("freight_usd_per_t", chemistry, origin)
        if offer.incoterm == "CIF":
            per_t *= book.cost("inland_freight_frac", chemistry, origin, 1.0)
        if offer.incoterm == "EXW":
            per_t += book.cost("export_haul_usd_per_t", chemistry, origin)
        out["freight"] = offer.mass_t * per_t
    if "conversion" not in given:
        out["power_conversion"] += kw * book.cost("power_conversion_usd_per_kw", chemistry, origin)
    if "transformer" not in given:
        out["power_conversion"] += kw * book.cost("transformer_usd_per_kw", chemistry, origin)
    if not all_in:
        out["balance_of_plant"] = usable * book.cost("balance_of_plant_usd_per_kwh", chemistry, origin)
        out["balance_of_plant"] += kw * book.cost("balance_of_plant_usd_per_kw", chemistry, origin)
        out["installation"] += usable * book.cost("installation_usd_per_kwh", chemistry, origin)
    if "commissioning" not in given:
        out["installation"] += kw * book.cost("commissioning_usd_per_kw", chemistry, origin)
    if "spares" not in given:
        out["installation"] += equipment * book.cost("spares_frac", chemistry, origin)
    if not all_in:
        out["epc"] = book.cost("epc_frac", chemistry, origin) * sum(out.values())
    return out


def container_flows(fleet: Fleet, o: int, p: int, credit: float, gross: float = 0.0) -> list[Flow]:
    """Cash flows of one container of offer ``o`` delivered in period ``p``.

    Parameters
    ----------
    fleet
        Lives, tiers and tables.
    o, p
        Offer and period index.
    credit
        Tax credit as a share of capex, after monetisation.
    gross
        The same before monetisation: what is recaptured, and half of what leaves the depreciable basis.
    """
    book, problem = fleet.book, fleet.problem
    offer, start, horizon = problem.offers[o], problem.periods[p].start, problem.horizon
    finance = problem.case.finance
    built = build_usd(book, offer, start, fleet.discount(o))
    equipment, capex = built["equipment"], sum(built.values())
    when = {"order": order_month(offer, problem.periods[p]), "delivery": start, "acceptance": start + 6}
    flows = [Flow("equipment", equipment * share, when[at]) for at, share in milestones(book, offer).items()]
    flows += [Flow(item, usd, start) for item, usd in built.items() if item != "equipment"]
    usable, nameplate = offer.energy_usable_ac_mwh, offer.energy_nameplate_dc_mwh * 1000.0
    kw = offer.power_mw * 1000.0
    land = book.cost("land_usd_per_m2", offer.chemistry, offer.origin) * book.area_m2(offer)
    flows += [Flow("fuel", offer.fuel_usd_per_mwh * usable, start), Flow("land", land, start)]
    leaves = min(int(fleet.retire[o, p]), horizon)
    upkeep = offer.om_usd_per_kwh_yr * usable * 1000.0 + offer.om_usd_per_kw_yr * kw + offer.om_frac_per_yr * equipment
    premium = book.cost("insurance_frac_per_yr", offer.chemistry, offer.origin) * book.hazard(offer) * capex
    flows += [Flow("operation", upkeep, start, leaves), Flow("insurance", premium, start, leaves)]
    if offer.is_storage:
        drain = (
            0.0
            if problem.case.operating is not None
            else offer.self_discharge_frac_per_day * usable * 1000.0 / 24.0 / offer.round_trip_eff_frac
        )
        mean = float(np.mean(problem.price_usd_per_mwh)) if len(problem.price_usd_per_mwh) else 0.0
        yearly = 8.76 * mean * (offer.auxiliary_kw_per_mwh * usable + drain)
        flows.append(Flow("standby_energy", yearly, start, leaves))
    flows += public_flows(book, offer, start, capex, *((credit, gross) if offer.is_storage else (0.0, 0.0)))
    flows += contract_flows(book, offer, start, when["order"], leaves, equipment, capex)
    scrap = book.cost("end_of_life_usd_per_kwh", offer.chemistry, offer.origin) * nameplate
    left = max(0.0, 1.0 - (horizon - start) / 12.0 / offer.design_life_yr)
    flows += [
        Flow("end_of_life", scrap, leaves),
        Flow("residual_value", -finance.residual_frac * equipment * left, horizon),
    ]
    return taxed(flows, finance.tax_rate_frac)


def build_ledger(fleet: Fleet, plan: Plan, taken: Sequence[Taken] = ()) -> list[Flow]:
    """All cash flows of a plan, from its orders, credit states, zone options and served load."""
    problem, book = fleet.problem, fleet.book
    flows: list[Flow] = []
    for o, p in fleet.bought:
        phase = phase_of(problem, p)
        why = f"{problem.offers[o].offer} {problem.periods[p].label}"
        for state, count in fleet.by_state(plan, o, p, phase.phase if phase else None).items():
            rates = (credit_rate(book, phase, state), gross_rate(book, phase, state)) if phase else (0.0, 0.0)
            for one in container_flows(fleet, o, p, *rates):
                flows.append(Flow(one.item, one.usd * count, one.month, one.until, why))
    for supplier in sorted({problem.offers[o].supplier for o in fleet.used}):
        usd = book.qualification.get(supplier, 0.0)
        flows.append(Flow("qualification", usd, problem.case.timeline.decision, None, supplier))
    flows += _site_flows(problem, book, plan)
    if problem.case.operating is not None:
        flows += taxed(operating_flows(problem, plan), problem.case.finance.tax_rate_frac)
    flows += flows_of(problem, taken)
    rate = problem.case.load.delay_usd_per_mw_yr
    for period in problem.periods:
        late = period.target_mw - number(plan.served_mw.get(period.label))
        delay = Flow("delay", rate * late, period.start, period.end, period.label)
        flows += taxed([delay], problem.case.finance.tax_rate_frac)
    return flows


def _site_flows(problem: Problem, book: Book, plan: Plan) -> list[Flow]:
    """Fire barriers of the zone options chosen."""
    per_m = book.cost("barrier_usd_per_m")
    zones = {z.zone: z for z in problem.case.site.zones}
    flows = []
    for choice in plan.zone_options:
        if choice.barrier and choice.zone in zones:
            zone = zones[choice.zone]
            usd = per_m * 2.0 * (zone.length_m + zone.width_m)
            flows.append(Flow("fire_barriers", usd, problem.periods[0].start, None, zone.zone))
    return flows


def cost_by_item(problem: Problem, flows: list[Flow]) -> dict[str, float]:
    """Present value of a ledger by item, in musd."""
    out = dict.fromkeys(items_of(problem), 0.0)
    decision, rate = problem.case.timeline.decision, problem.case.finance.discount_rate_frac
    for flow in flows:
        out[flow.item] += flow.present_usd(decision, rate) / 1e6
    return out


def check_cost(fleet: Fleet, plan: Plan, tally: Tally, taken: Sequence[Taken] = ()) -> dict[str, float]:
    """Compare every cost item, the total, public money, bound and gap with the ledger.

    Returns
    -------
    dict
        The recomputed items, in musd.
    """
    tally.hold("cost", "cost_items", "public", "bound", "gap")
    whole = cost_by_item(fleet.problem, build_ledger(fleet, plan, taken))
    mine = seen_by(fleet.problem.case.objective, whole)
    total = sum(mine.values())
    size = max(abs(total), 1e-9)
    claimed: Mapping[str, Any] = plan.cost_breakdown_musd
    items = items_of(fleet.problem)
    for item in sorted(set(claimed) - set(items)):
        tally.fail("cost_items", f"unknown cost item {item!r}")
    for item in items:
        # An item of nearly nothing is compared with the whole, not with itself.
        tally.same(
            "cost_items", claimed.get(item), mine[item], f"cost item {item} in musd", max(abs(mine[item]), 1e-6 * size)
        )
    tally.same("cost", plan.cost_musd, total, "cost_musd", size)
    public = public_money(whole)
    for key, value in public.items():
        tally.same("public", plan.public_musd.get(key), value, f"public_musd {key}", max(abs(value), 1e-6 * size))
    tally.hold("views")
    views = {view: sum(seen_by(view, whole).values()) for view in ("buyer", "resource")}
    for view, value in views.items():
        tally.same("views", plan.views_musd.get(view), value, f"views_musd {view}", size)
    difference = views["buyer"] - views["resource"] - public["net"]
    tally.at_most("views", abs(difference), 0.0, "buyer and resource cost differ by more than the public money", size)
    cost, bound = number(plan.cost_musd), number(plan.bound_musd)
    tally.at_most("bound", bound, cost, "bound_musd lies above cost_musd", max(abs(cost), 1e-9))
    gap = (cost - bound) / max(abs(cost), 1e-9)
    tally.same("gap", plan.gap_frac, gap, "gap_frac", 1.0)
    return mine
