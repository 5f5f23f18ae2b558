# ruff: noqa: E501
"""A small planning question and a feasible plan for it, built by arithmetic alone.

``small_problem`` reads no file; ``small_plan`` uses no solver. Case keys are overridden by
path with double underscores (``reliability__storage_mandate_h=2.0``), fields of an offer by
``offer_changes={"Alpha": {"design_life_yr": 3.0}}``, tables by ``tables={"bans": (...)}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from planner.case import MEASURES, Case
from planner.catalogue import (
    BanRow,
    ComponentWeightRow,
    CostRow,
    CreditRow,
    FactoryOutputRow,
    FactoryRow,
    FadeRow,
    FireRuleRow,
    LayerWeightRow,
    LithiumRow,
    Row,
    SupplierRow,
    TariffRow,
)  # fmt: skip
from planner.problem import Component, Flag, LayerShare, Offer, Period, Problem, Tables, Tier
from planner.results import Margin, Order, Placement, Plan, Retirement, ZoneChoice, ZoneUse
from planner.units import month_text, parse_month, year_of
from planner.verify.content import exposure, phase_of, ratios
from planner.verify.fleet import Fleet, build_fleet, order_month
from planner.verify.ledger import build_ledger, cost_by_item, public_money
from planner.verify.lookup import Book
from planner.verify.reliability import Outages
from planner.verify.tally import Tally
from planner.verify.terms import seen_by
from planner.verify.zones import setback_levels, standing, usable_m2

CASE: dict[str, Any] = {
    "case": "small",
    "title": "Three offers, three periods, two zones",
    "buyer": "utility",
    "timeline": {
        "decision": "2027-02", "first": "2029-01", "periods": [{"months": 12, "count": 2}],
        "horizon_years": 4, "later_months": 36,
    },
    "load": {
        "target_mw": {"2029-01": 37.3, "2030-01": 83.1}, "floor_mw": {"2029-01": 20.0}, "final_floor_frac": 1.0,
        "delay_usd_per_mw_yr": 1.3e6,
        "shape": {
            "utilisation": None, "climate": None, "idle_frac": 0.4, "cooling_frac_per_c": 0.004, "cooling_from_c": 18.0,
            "years": 1, "hotter_c_per_year": 0.0, "file": "load.csv", "column": "load", "step_minutes": 30,
        },
    },
    "prices": {"hub": None, "years": [2021], "file": "price.csv", "column": "price"},
    "pv": {"mw": 0.0, "derate_frac": 0.87, "climate": "el_paso_tx"},
    "reliability": {
        "service": [
            {"until_h": 2.0, "share_frac": 1.0}, {"until_h": 6.0, "share_frac": 0.45}, {"until_h": 11.0, "share_frac": 0.2},
        ],
        "length_known": False, "reserve_frac": 0.93, "duty": "float", "warranty": "expected",
        "availability": {"basis": "mean", "probability_frac": 0.95, "fleet": 40},
        "ride_through": {"ups_s": 45.0},
        "contingencies": {
            "supplier": 0.37, "cell_maker": None, "cell_factory": None, "country": 0.35, "chemistry": None,
            "software": 0.41, "fire_group": 0.87,
        },
        "contingencies_from": None, "storage_mandate_h": 1.1,
    },
    "site": {
        "region": "somewhere", "hosts": ["any"], "cell_temperature_c": 27.0,
        "energisation": {
            "grid": {"2028-06": 61.0, "2030-01": 90.0}, "transformers": {"2028-01": 95.0}, "permits": {"2028-01": 99.0},
            "fire_approval": None,
        },
        "generator_mw_max": 21.0,
        "zones": [
            {
                "zone": "north", "zone_type": "outdoor_near", "length_m": 79.0, "width_m": 43.0, "distance_to_hall_m": 4.0,
                "distance_to_line_m": 2.0, "fire_areas": 7, "hazard_budget_mwh": 900.0, "fire_water_lpm": 4100.0,
                "allowed_chemistries": ["lfp", "none"], "available_from": None,
            },
            {
                "zone": "south", "zone_type": "outdoor_remote", "length_m": 157.0, "width_m": 67.0, "distance_to_hall_m": 55.0,
                "distance_to_line_m": 11.0, "fire_areas": 9, "hazard_budget_mwh": None, "fire_water_lpm": 2300.0,
                "allowed_chemistries": None, "available_from": "2028-11",
            },
        ],
    },
    "firm": {"min_outage_h": 3.2},
    "fire": {"profile": "ifc2018", "strict": False},
    "policy": {
        "prevailing_wage": True, "energy_community": True, "monetisation": "transfer", "transfer_discount_frac": 0.07,
        "disputed": "allow", "disputed_flags": {}, "domestic_floor_frac": 0.05, "component_table": "v1",
        "phases": [
            {"phase": "first", "construction_start": "2028-06", "deliveries_until": "2030-01"},
            {"phase": "second", "construction_start": "2029-03", "deliveries_until": "2032-06"},
        ],
    },
    "credits": {"unit": "phase", "recapture": {"probability_frac": 0.0, "year": 3, "rule": "five_year"}},
    "contract": {"warranty_years": 15.0, "warranty_soh_frac": 0.7, "cancellation_probability_frac": 0.0},
    "governance": {
        "max_share": {"supplier": None, "country": None, "chemistry": None, "cell_factory": None, "maturity": {}},
        "min_suppliers": 0, "min_supplier_mwh": 0.0,
    },
    "objective": "buyer",
    "finance": {
        "maturity_adder_frac_per_yr": {"proven": 0.0, "early": 0.0, "pilot": 0.0}, "adder_years": 10,
        "tax_rate_frac": 0.0, "depreciation": "macrs5",
        "discount_rate_frac": 0.067, "residual_frac": 0.11, "lithium_path": "mid",
        "payments": [
            {"at": "order", "share_frac": 0.23}, {"at": "delivery", "share_frac": 0.61}, {"at": "acceptance", "share_frac": 0.16},
        ],
    },
    "exposure_limits": {"cell": {"max_frac": 2.0, "per_period": False}, "value": {"max_frac": 2.0, "per_period": True}},
    "offers": {"use": None, "exclude": [], "mode": "add", "own": [], "file": None},
    "supply": {"scale_frac": 1.0},
    "sourcing": {"mode": "none", "material_assistance": "component"},
    "security": {"theta": 0.0, "measure": "cell", "replacement_usd_per_kwh": 110.0, "wait_months": 13.0},
    "committed": {"until": None, "orders": []},
    "futures": {k: {} for k in ("offers", "factories", "duties", "cutoffs", "lithium", "costs", "load", "nodes")},
    "disruption": {
        "futures": {}, "options": {}, "cancellation": [{"after_months": 0, "fee_frac": 0.13}],
        "secured_frac": 0.0, "short_usd_per_mw_yr": None, "aim": "expected", "cvar_weight": 0.0, "tail_frac": 0.23,
    },
    "solver": {"gap_frac": 0.01, "time_limit_s": 60.0, "seed": 1},
    "tables": {},
}  # fmt: skip

OFFER: dict[str, Any] = {
    "product": "box", "software_country": "US", "evidence": "unit_test", "maturity": "proven", "host": "any",
    "price_layer": "dc_block", "incoterm": "FOB", "includes": frozenset(), "energy_basis": "dc_nameplate",
    "price_date": parse_month("2026-09"), "valid_until": parse_month("2032-12"), "round_trip_eff_frac": 0.87,
    "self_discharge_frac_per_day": 0.0013, "auxiliary_kw_per_mwh": 1.7, "length_m": 6.1, "width_m": 2.4, "height_m": 2.9,
    "mass_t": 41.0, "design_life_yr": 18.5, "min_order_mwh": 0.0, "lead_time_months": 9, "shipping_months": 2,
    "qualification_months": 3, "commissioning_months": 4, "delivery_risk_frac": 0.03, "dutiable_value_frac": 0.83,
    "lithium_kg_per_kwh": 0.0, "lithium_pass_through_frac": 0.0, "om_usd_per_kwh_yr": 1.9, "om_usd_per_kw_yr": 2.3,
    "om_frac_per_yr": 0.004, "fuel_usd_per_mwh": 0.0, "permitted_h": 0.0, "price_unit": "USD/kWh", "tiers": (),
    "flags": {}, "components": {}, "layers": {}, "confidence": "medium",
}  # fmt: skip


def _flag(status: str, since: str | None = None) -> Flag:
    return Flag(status=status, since=parse_month(since) if since else None, reason="test")  # type: ignore[arg-type]


def _component(us_made: bool, prohibited: str) -> Component:
    return Component(present=True, us_made=us_made, prohibited=prohibited)  # type: ignore[arg-type]


OFFERS: dict[str, dict[str, Any]] = {
    "Alpha": {
        "supplier": "Alphaco", "chemistry": "lfp", "kind": "storage", "cell_maker": "Alphacell", "cell_factory": "A-cells",
        "assembly_plant": "A-plant", "cell_country": "CN", "origin": "CN", "fade_curve": "lfp", "duty_origin": "CN",
        "duty_class": "ess", "energy_nameplate_dc_mwh": 5.3, "energy_usable_ac_mwh": 4.7, "power_mw": 1.9,
        "availability_frac": 0.973, "response_s": 0.4, "lithium_kg_per_kwh": 0.6, "lithium_pass_through_frac": 0.4,
        "price": {2028: 131.0, 2031: 113.0}, "min_order_mwh": 40.0,
        "tiers": (Tier(tier="bulk", from_mwh=100.0, discount_frac=0.03), Tier(tier="mega", from_mwh=9000.0, discount_frac=0.2)),
        "flags": {"software_control": _flag("yes"), "list1260h": _flag("disputed")},
        "components": {"cell": _component(False, "yes"), "pack": _component(True, "no"), "inverter": _component(True, "no")},
        "layers": {
            "cell": LayerShare(production_frac=1.0, ownership_frac=0.9),
            "control_software": LayerShare(production_frac=0.2, ownership_frac=0.7),
        },
    },
    "Beta": {
        "supplier": "Betaco", "chemistry": "zinc", "kind": "storage", "cell_maker": "Betaco", "cell_factory": "B-works",
        "assembly_plant": "B-works", "cell_country": "US", "origin": "US", "fade_curve": "zinc", "duty_origin": "US",
        "duty_class": "ess", "energy_nameplate_dc_mwh": 2.9, "energy_usable_ac_mwh": 2.6, "power_mw": 0.61,
        "availability_frac": 0.957, "response_s": 40.0, "energy_basis": "usable_ac", "price": {2029: 223.0, 2032: 187.0},
        "incoterm": "DAP", "confidence": "low", "min_order_mwh": 10.0,
        "components": {"cell": _component(True, "no"), "pack": _component(False, "no"), "inverter": _component(True, "no")},
        "layers": {"cell": LayerShare(production_frac=0.1, ownership_frac=0.0)},
    },
    "Gen": {
        "supplier": "Genco", "chemistry": "none", "kind": "generator", "cell_maker": "none", "cell_factory": "none",
        "assembly_plant": "G-plant", "cell_country": "US", "origin": "US", "fade_curve": "none", "duty_origin": "US",
        "duty_class": "generator", "energy_nameplate_dc_mwh": 47.0, "energy_usable_ac_mwh": 47.0, "power_mw": 2.3,
        "availability_frac": 0.951, "response_s": 90.0, "price": {2029: 1090.0}, "price_unit": "USD/kW",
        "price_layer": "all_in", "includes": frozenset({"freight", "conversion", "transformer"}), "fuel_usd_per_mwh": 71.0,
        "delivery_risk_frac": 0.0,
    },
}  # fmt: skip

_STAMP: dict[str, Any] = {"source": "test", "date": "2026-11", "confidence": "medium"}


def _rows(kind: type[Row], unit: str, names: str, *values: tuple[Any, ...]) -> tuple[Any, ...]:
    keys = names.split()
    return tuple(
        kind(**dict(zip(keys, v, strict=True)), **({} if "unit" in keys else {"unit": unit}), **_STAMP) for v in values
    )


def small_tables() -> dict[str, tuple[Any, ...]]:
    """The few rows that the small question needs."""
    fire = "profile rule chemistry zone_type evidence barrier value edition section tag"
    return {
        "suppliers": _rows(SupplierRow, "-", "supplier hq_country owner_country qualification_usd",
            ("Alphaco", "CN", "CN", 410000.0), ("Betaco", "US", "US", 730000.0), ("Genco", "US", "US", 0.0)),
        "factories": _rows(FactoryRow, "-", "factory stage owner owner_country country",
            ("A-cells", "cell", "Alphaco", "CN", "CN"), ("A-plant", "assembly", "Alphaco", "CN", "CN"),
            ("B-works", "assembly", "Betaco", "US", "US"), ("G-plant", "assembly", "Genco", "US", "US")),
        "factory_output": _rows(FactoryOutputRow, "-", "factory year capacity_gwh committed_frac obtainable_frac",
            ("A-cells", 2028, 30.0, 0.4, 0.05), ("A-cells", 2031, 40.0, 0.3, 0.05), ("A-plant", 2029, 9.0, 0.5, 0.2),
            ("B-works", 2029, 1.1, 0.3, 0.4), ("B-works", 2032, 2.3, 0.2, 0.4), ("G-plant", 2029, 5.0, 0.5, 0.9)),
        "component_weights": _rows(ComponentWeightRow, "frac", "version product component is_production weight_frac",
            ("v1", "ess", "cell", "no", 0.52), ("v1", "ess", "pack", "no", 0.21), ("v1", "ess", "inverter", "no", 0.17)),
        "layer_weights": _rows(LayerWeightRow, "frac", "chemistry layer weight_frac",
            ("lfp", "cell", 0.43), ("lfp", "control_software", 0.07), ("zinc", "cell", 0.38)),
        "tariffs": _rows(TariffRow, "frac", "duty_origin duty_class since rate_frac",
            ("CN", "ess", "2026-01", 0.31), ("CN", "ess", "2029-06", 0.47)),
        "credits": _rows(CreditRow, "frac", "parameter since value",
            ("base_pwa_frac", "2025-01", 0.3), ("bonus_pwa_frac", "2025-01", 0.1), ("energy_community_pwa_frac", "2025-01", 0.1),
            ("domestic_threshold_frac", "2025-01", 0.45), ("domestic_threshold_frac", "2029-01", 0.55),
            ("macr_threshold_frac", "2026-01", 0.55), ("macr_threshold_frac", "2029-01", 0.62), ("available_frac", "2025-01", 0.95)),
        "bans": _rows(BanRow, "-", "ban buyer flag since clock",
            ("list ban", "defence", "list1260h", "2027-06", "order"), ("list ban", "utility", "list1260h", "2034-01", "delivery")),
        "fire_rules": _rows(FireRuleRow, "-", fire,
            ("common", "hazard_class", "*", "*", "*", "*", 1.0, "e", "1", "A"),
            ("ifc2018", "hazard_class", "lfp", "*", "*", "*", 1.7, "e", "1", "P"),
            ("common", "setback_hall_m", "*", "*", "*", "no", 6.1, "e", "2", "A"),
            ("common", "setback_hall_m", "lfp", "*", "*", "no", 9.3, "e", "2", "M"),
            ("common", "setback_hall_m", "*", "*", "*", "yes", 3.0, "e", "2", "A"),
            ("common", "setback_line_m", "*", "*", "*", "*", 3.1, "e", "2", "A"),
            ("common", "footprint_multiplier", "*", "*", "*", "*", 2.3, "e", "3", "A"),
            ("common", "footprint_multiplier", "lfp", "*", "unit_test", "*", 2.7, "e", "3", "A"),
            ("common", "bop_multiplier", "*", "*", "*", "*", 1.2, "e", "3", "A"),
            ("common", "group_containers", "*", "*", "*", "*", 3.0, "e", "4", "A"),
            ("common", "fire_area_cap_mwh", "lfp", "outdoor_near", "*", "*", 60.0, "e", "5", "A"),
            ("common", "fire_area_cap_mwh", "zinc", "*", "*", "*", 55.0, "e", "5", "A"),
            ("common", "fire_water_lpm", "lfp", "*", "*", "*", 1900.0, "e", "6", "A")),
        "costs": _rows(CostRow, "-", "cost chemistry origin value",
            ("freight_usd_per_t", "*", "*", 140.0), ("freight_usd_per_t", "*", "CN", 290.0),
            ("power_conversion_usd_per_kw", "*", "*", 61.0), ("transformer_usd_per_kw", "*", "*", 23.0),
            ("balance_of_plant_usd_per_kwh", "*", "*", 17.0), ("balance_of_plant_usd_per_kwh", "zinc", "*", 19.0),
            ("balance_of_plant_usd_per_kw", "*", "*", 7.0), ("installation_usd_per_kwh", "*", "*", 13.0),
            ("commissioning_usd_per_kw", "*", "*", 5.0), ("spares_frac", "*", "*", 0.013), ("epc_frac", "*", "*", 0.071),
            ("land_usd_per_m2", "*", "*", 37.0), ("barrier_usd_per_m", "*", "*", 890.0), ("insurance_frac_per_yr", "*", "*", 0.0031),
            ("end_of_life_usd_per_kwh", "*", "*", 4.3), ("end_of_life_usd_per_kwh", "zinc", "US", -1.7)),
        "fade": _rows(FadeRow, "frac", "curve duty temperature_c age_yr soh_frac",
            ("lfp", "float", 20.0, 0.0, 1.0), ("lfp", "float", 20.0, 7.0, 0.91), ("lfp", "float", 35.0, 0.0, 1.0),
            ("lfp", "float", 35.0, 5.0, 0.87), ("zinc", "float", 25.0, 0.0, 1.0), ("zinc", "float", 25.0, 9.0, 0.93)),
        "lithium": _rows(LithiumRow, "USD/kg", "path year usd_per_kg", ("mid", 2026, 13.0), ("mid", 2031, 19.0)),
    }  # fmt: skip


def _nested(base: Any, path: list[str], value: Any) -> Any:
    """A copy of nested dictionaries with one entry replaced."""
    if not path:
        return value
    return {**base, path[0]: _nested(base.get(path[0], {}), path[1:], value)}


def small_problem(**overrides: Any) -> Problem:
    """Build the small question.

    Parameters
    ----------
    **overrides
        ``offers`` (offer names to keep), ``offer_changes``, ``tables``, ``load_pu``, ``pv_cf``,
        ``price_usd_per_mwh``, ``dt_h``, ``periods``, or a case path such as ``fire__strict``.

    Returns
    -------
    Problem
        Complete, without reading a file.
    """
    direct = ("offers", "offer_changes", "tables", "load_pu", "pv_cf", "price_usd_per_mwh", "dt_h", "periods")
    given = {k: overrides.pop(k) for k in direct if k in overrides}
    raw: Any = CASE
    for key, value in overrides.items():
        raw = _nested(raw, key.split("__"), value)
    case = Case.model_validate(raw)
    changes = given.get("offer_changes", {})
    offers = tuple(
        Offer(offer=name, **{**OFFER, **OFFERS[name], **changes.get(name, {})})
        for name in given.get("offers", tuple(OFFERS))
    )
    step = np.arange(337)
    load = 0.83 + 0.11 * np.sin(step * 2 * np.pi / 48) + 0.06 * np.sin(step * 0.7131)
    sun = np.maximum(0.0, np.sin(step * 2 * np.pi / 48 - 1.3)) * 0.81
    return Problem(
        case=case,
        offers=offers,
        periods=given.get("periods", small_periods()),
        tables=Tables(**{**small_tables(), **given.get("tables", {})}),
        load_pu=given.get("load_pu", load / load.max()),
        pv_cf=given.get("pv_cf", sun),
        price_usd_per_mwh=given.get("price_usd_per_mwh", 41.0 + 13.0 * np.cos(step * 0.317)),
        dt_h=given.get("dt_h", 0.5),
        input_sha256="0" * 64,
        rows={},
    )


def small_periods() -> tuple[Period, ...]:
    """Three periods: the ramp, full load, and three later years."""
    m = parse_month
    return (
        Period(0, "2029", m("2029-01"), m("2030-01"), 37.3, 20.0, 61.0),
        Period(1, "2030", m("2030-01"), m("2031-01"), 83.1, 20.0, 90.0),
        Period(2, "2031+", m("2031-01"), m("2034-01"), 83.1, 83.1, 90.0),
    )


def small_counts(problem: Problem) -> dict[tuple[str, str], int]:
    """Few containers that hold every reliability row: add where a row is short, then take away what is spare."""
    counts: dict[tuple[str, str], int] = {}
    if any(o.offer == "Gen" for o in problem.offers):
        counts["Gen", problem.periods[0].label] = 3
    served = {p.label: p.target_mw for p in problem.periods}

    def shortage(q: int) -> tuple[float, frozenset[int]]:
        fleet = _fleet(problem, counts)
        worst, lost = 0.0, frozenset[int]()
        for row in Outages(fleet, served).rows(q):
            gap = float(row.margin.min())
            if gap < min(worst, -1e-9):
                worst, lost = gap, row.loss.offers
        return worst, lost

    storage = [o for o in problem.offers if o.is_storage]
    for q, period in enumerate(problem.periods):
        if period.target_mw <= 0:
            continue
        for offer in storage:
            counts[offer.offer, period.label] = 1
        while (short := shortage(q))[0] < 0:
            names = [o.offer for i, o in enumerate(problem.offers) if o.is_storage and i not in short[1]]
            counts[names[0] if names else storage[0].offer, period.label] += 1
        for offer in storage:
            while counts[offer.offer, period.label] > 1:
                counts[offer.offer, period.label] -= 1
                if shortage(q)[0] < 0:
                    counts[offer.offer, period.label] += 1
                    break
    return counts


def _orders(problem: Problem, counts: Mapping[tuple[str, str], Any], tiers: Mapping[str, str]) -> tuple[Order, ...]:
    offers = {o.offer: o for o in problem.offers}
    periods = {p.label: p for p in problem.periods}
    out = []
    for (name, label), count in counts.items():
        o, p = offers[name], periods[label]
        out.append(
            Order.model_construct(
                offer=name, supplier=o.supplier, chemistry=o.chemistry, origin=o.origin, year=year_of(p.start), period=label,
                order_by=month_text(order_month(o, p)), tier=tiers.get(name, ""), containers=count,
                energy_mwh=count * o.energy_usable_ac_mwh, power_mw=count * o.power_mw,
            )
        )  # fmt: skip
    return tuple(out)


EMPTY: dict[str, Any] = {
    "status": "optimal", "cost_musd": 0.0, "bound_musd": 0.0, "gap_frac": 0.0, "placements": (), "zone_options": (),
    "retirements": (), "cost_breakdown_musd": {}, "public_musd": {}, "exposure_frac": {}, "domestic_content_frac": {},
    "macr_frac": {}, "credit_state": {}, "served_mw": {}, "critical_path": (), "reliability": (), "fire": (),
    "requirement_waterfall_mwh": (), "required_mwh": 0.0, "assumptions": (), "verification": None, "timing_s": {},
    "provenance": {},
}  # fmt: skip


def _blank(problem: Problem, **fields: Any) -> Plan:
    start = {**EMPTY, "case": problem.case.case, "title": problem.case.title, "input_sha256": problem.input_sha256}
    return Plan.model_construct(**{**start, "schema_version": "1.0", "orders": (), **fields})


def _fleet(problem: Problem, counts: Mapping[tuple[str, str], int]) -> Fleet:
    return build_fleet(problem, _blank(problem, orders=_orders(problem, counts, {})), Book(problem), Tally())


def small_plan(
    problem: Problem,
    counts: Mapping[tuple[str, str], int] | None = None,
    *,
    tiers: Mapping[str, str] | None = None,
    served: Mapping[str, float] | None = None,
    states: Mapping[str, str] | None = None,
    zones: Mapping[str, str] | None = None,
    barriers: frozenset[str] = frozenset(),
) -> Plan:
    """State a plan in full for given decisions; whatever is left out is chosen feasibly.

    Parameters
    ----------
    problem
        From ``small_problem``.
    counts
        Containers by (offer, period label); default ``small_counts``.
    tiers, served, states
        Tier by offer, MW by period label, credit state by phase (default the best allowed).
    zones
        Zone by offer; default Alpha in the north, the others in the south.
    barriers
        Zones with a barrier.

    Returns
    -------
    Plan
        Every figure recomputed from these decisions, so that only the decisions can be wrong.
    """
    chosen = small_counts(problem) if counts is None else dict(counts)
    tier = {"Alpha": "bulk"} if tiers is None else tiers
    load = {p.label: p.target_mw for p in problem.periods} if served is None else dict(served)
    where = {"Alpha": "north", **(zones or {})}
    book = Book(problem)
    options = []
    for zone in problem.case.site.zones:
        wall = zone.zone in barriers
        top = setback_levels(book, zone, wall)[-1]
        area = usable_m2(book, zone, wall, top)
        options.append(ZoneChoice(zone=zone.zone, barrier=wall, setback_m=top, usable_m2=area))
    years = {p.label: year_of(p.start) for p in problem.periods}
    spots = tuple(
        Placement.model_construct(offer=o, year=years[p], period=p, zone=where.get(o, "south"), containers=n)
        for (o, p), n in chosen.items()
    )
    plan = _blank(
        problem, orders=_orders(problem, chosen, tier), placements=spots, zone_options=tuple(options), served_mw=load
    )
    return _finish(problem, plan, book, states)


def best_states(fleet: Fleet) -> dict[str, str]:
    """The highest credit state that the ratios of each phase allow."""
    out = {}
    for phase in fleet.problem.case.policy.phases:
        got = ratios(fleet, [p for p in range(len(fleet.problem.periods)) if phase_of(fleet.problem, p) is phase])
        macr = fleet.book.credit("macr_threshold_frac", phase.construction_start)
        domestic = fleet.book.credit("domestic_threshold_frac", phase.construction_start)
        out[phase.phase] = "none"
        if got and got[1] >= macr and fleet.problem.case.policy.monetisation != "none":
            out[phase.phase] = "bonus" if got[0] >= domestic else "base"
    return out


def _finish(problem: Problem, plan: Plan, book: Book, states: Mapping[str, str] | None) -> Plan:
    """Fill in every figure that follows from the decisions."""
    fleet = build_fleet(problem, plan, book, Tally())
    outages = Outages(fleet, dict(plan.served_mw))
    required = outages.required_mwh()
    credit = best_states(fleet) if states is None else dict(states)
    plan = plan.model_copy(update={"credit_state": credit})
    whole = cost_by_item(problem, build_ledger(fleet, plan))
    items = seen_by(problem.case.objective, whole)
    total = sum(items.values())
    every = range(len(problem.periods))
    got = {h.phase: ratios(fleet, [p for p in every if phase_of(problem, p) is h]) for h in problem.case.policy.phases}
    got["all"] = ratios(fleet, every)
    gone = tuple(
        Retirement(
            offer=problem.offers[o].offer, delivered=problem.periods[p].label, year=year_of(int(fleet.retire[o, p])),
            containers=int(fleet.counts[o, p]),
        )
        for o, p in fleet.bought
        if fleet.retire[o, p] < problem.horizon
    )  # fmt: skip
    return plan.model_copy(
        update={
            "cost_musd": total,
            "bound_musd": total * 0.997,
            "gap_frac": 0.003,
            "retirements": gone,
            "cost_breakdown_musd": items,
            "public_musd": public_money(whole),
            "views_musd": {view: sum(seen_by(view, whole).values()) for view in ("buyer", "resource")},
            "exposure_frac": {m: exposure(fleet, m, required) for m in MEASURES},
            "domestic_content_frac": {k: v[0] if v else None for k, v in got.items()},
            "macr_frac": {k: v[1] if v else None for k, v in got.items()},
            "reliability": _margins(outages),
            "fire": _fire_table(fleet, plan),
            "required_mwh": required,
        }
    )


def _margins(outages: Outages) -> tuple[Margin, ...]:
    best: dict[str, Margin] = {}
    for q, period in enumerate(outages.problem.periods):
        for row in outages.rows(q):
            k = int(np.argmin(row.margin[1:])) + 1
            value = float(row.margin[k])
            if row.loss.kind not in best or value < best[row.loss.kind].margin_mwh:
                best[row.loss.kind] = Margin(
                    contingency=row.loss.kind, lost=row.loss.lost, period=period.label,
                    hours=float(row.curve.kappa[k].sum()) * outages.problem.dt_h, margin_mwh=value,
                    required_mwh=float(row.need[k]), delivered_mwh=float(row.need[k]) + value,
                )  # fmt: skip
    return tuple(best.values())


def _fire_table(fleet: Fleet, plan: Plan) -> tuple[ZoneUse, ...]:
    out = []
    for zone, option in zip(fleet.problem.case.site.zones, plan.zone_options, strict=True):
        now = [standing(fleet, zone, q)[0] for q in range(len(fleet.problem.periods))]
        cap = min(s.cap_mwh for s in now)
        out.append(
            ZoneUse(
                zone=zone.zone, area_used_m2=max(s.area_m2 for s in now), area_allowed_m2=option.usable_m2,
                energy_used_mwh=max(s.energy_mwh for s in now), energy_allowed_mwh=cap if np.isfinite(cap) else None,
                hazard_used_mwh=max(s.hazard_mwh for s in now), hazard_allowed_mwh=zone.hazard_budget_mwh,
                fire_water_used_lpm=max(s.water_lpm for s in now), fire_water_allowed_lpm=zone.fire_water_lpm, binding="",
            )
        )  # fmt: skip
    return tuple(out)
