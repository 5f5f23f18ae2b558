# ruff: noqa: E501
"""Every feature of the model changes some answer: one table, name -> (base, change, direction).

``base`` and ``change`` are overrides of the lean question (``change`` is laid over ``base``);
the direction says whether the change makes the plan dearer or cheaper. Both plans are
proved optimal and pass the verifier.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from planner.case import MEASURES
from planner.catalogue import BanRow, TariffRow
from planner.model.build import FAMILIES
from planner.pipeline import plan
from planner.problem import Flag, Problem, Tier
from planner.results import Plan
from tests.properties.questions import BASE_TIER, CALM, LEAN, STAMP, fire_row, full_tables, lean, ramp

Overrides = dict[str, Any]
DEARER, CHEAPER = "dearer", "cheaper"


def rows(table: str, change: Any, **which: Any) -> Overrides:
    """``tables`` override: the fields of some rows of a table replaced."""
    out = []
    for row in full_tables()[table]:
        hit = all(getattr(row, k) == v for k, v in which.items())
        out.append(row.model_copy(update=change) if hit else row)
    return {"tables": {table: tuple(out)}}


def more(table: str, *extra: Any) -> Overrides:
    return {"tables": {table: (*full_tables()[table], *extra)}}


def credit(parameter: str, value: float) -> Overrides:
    return rows("credits", {"value": value}, parameter=parameter)


def alpha(**fields: Any) -> Overrides:
    return {"offer_changes": {"Alpha": fields}}


def beta(**fields: Any) -> Overrides:
    return {"offer_changes": {"Beta": fields}}


def yard(**fields: Any) -> Overrides:
    """One zone that is tight for the fleet."""
    zone = {
        "zone": "north", "zone_type": "outdoor_near", "length_m": 31.0, "width_m": 19.7, "distance_to_hall_m": 4.0,
        "distance_to_line_m": 2.0, "fire_areas": 1, "hazard_budget_mwh": None, "fire_water_lpm": 4100.0,
        "allowed_chemistries": None, "available_from": None,
    }  # fmt: skip
    return {"site__zones": [{**zone, **fields}]}


def two_yards(**fields: Any) -> Overrides:
    south = {**yard()["site__zones"][0], "zone": "south", "length_m": 57.0, "width_m": 41.0}
    return {"site__zones": [*yard()["site__zones"], {**south, **fields}]}


def losses(**kinds: float) -> Overrides:
    return {"reliability__contingencies": {**CALM, **kinds}}


def ban(since: str, clock: str = "order", flag: str = "list1260h") -> Overrides:
    return {"tables": {"bans": (BanRow(ban="b", buyer="utility", flag=flag, since=since, clock=clock, **STAMP),)}}


def flagged(status: str) -> Overrides:
    return alpha(flags={"list1260h": Flag(status=status, since=None, reason="test")})  # type: ignore[arg-type]


def both(*parts: Overrides) -> Overrides:
    """Overrides laid over each other; tables and offers are merged."""
    out: Overrides = {}
    for part in parts:
        for key, value in part.items():
            if key == "tables":
                out[key] = {**out.get(key, {}), **value}
            elif key == "offer_changes":
                old = out.get(key, {})
                out[key] = {**old, **{o: {**old.get(o, {}), **f} for o, f in value.items()}}
            else:
                out[key] = value
    return out


#: Strong boxes and cheap generators, which serve the later steps.
GENS: Overrides = {
    "offer_changes": {"Gen": {"price": {2029: 41.0}}, "Alpha": {"power_mw": 3.7}},
    "firm__min_outage_h": 1.5,
}
LATE = ramp(("2029-01", "2030-01", 7.3, 4.1, 5.9), ("2030-01", "2034-01", 13.9, 4.1, 31.0))
SHORT_LIFE = {
    "periods": ramp(("2029-01", "2030-01", 11.3, 4.1, 31.0), ("2030-01", "2032-01", 13.9, 4.1, 31.0)),
    "offer_changes": {"Alpha": {"design_life_yr": 2.2, "price": {2029: 61.0}}}, "offers": ("Alpha", "Beta"),
}  # fmt: skip
ORDER_FIRST = [{"at": "order", "share_frac": 0.83}, {"at": "delivery", "share_frac": 0.17}]
PHASE = LEAN["policy__phases"][0]

FEATURES: dict[str, tuple[Overrides, Overrides, str]] = {
    # purchase
    "volume tier": ({}, alpha(tiers=(BASE_TIER, Tier(tier="bulk", from_mwh=23.0, discount_frac=0.13))), CHEAPER),
    "tier out of reach": (alpha(tiers=(BASE_TIER, Tier(tier="bulk", from_mwh=23.0, discount_frac=0.13))), alpha(tiers=(BASE_TIER, Tier(tier="bulk", from_mwh=2300.0, discount_frac=0.13))), DEARER),
    "minimum order": ({}, alpha(min_order_mwh=71.0), DEARER),
    "factory limit": ({}, {"supply__scale_frac": 0.017}, DEARER),
    "lead time": ({}, alpha(lead_time_months=15), DEARER),
    "shipping time": ({}, alpha(shipping_months=8), DEARER),
    "qualification time": ({}, alpha(qualification_months=9), DEARER),
    "commissioning time": ({}, alpha(commissioning_months=10), DEARER),
    "quote validity": ({}, alpha(valid_until=12 * 2027 + 2), DEARER),
    "host": ({}, alpha(host="salt_cavern"), DEARER),
    "delivery risk": ({"supply__scale_frac": 0.031}, alpha(delivery_risk_frac=0.43), DEARER),
    "supplier qualification": ({}, rows("suppliers", {"qualification_usd": 2.9e6}, supplier="Betaco"), DEARER),
    "price": ({}, alpha(price={2028: 149.0}), DEARER),
    "price by year": (alpha(price={2029: 131.0}), alpha(price={2029: 131.0, 2030: 97.0}), CHEAPER),
    "energy basis": ({}, alpha(energy_basis="usable_ac"), CHEAPER),
    "design life": ({}, alpha(design_life_yr=1.3), DEARER),
    # taxes and trade
    "tariff by date": ({}, more("tariffs", TariffRow(duty_origin="CN", duty_class="ess", since="2028-05", rate_frac=0.71, **STAMP)), DEARER),
    "tariff too late": (more("tariffs", TariffRow(duty_origin="CN", duty_class="ess", since="2028-05", rate_frac=0.71, **STAMP)), more("tariffs", TariffRow(duty_origin="CN", duty_class="ess", since="2032-05", rate_frac=0.71, **STAMP)), CHEAPER),
    "dutiable value": ({}, alpha(dutiable_value_frac=0.13), CHEAPER),
    "incoterm": ({}, alpha(incoterm="DDP"), CHEAPER),
    "included duty": ({}, alpha(includes=frozenset({"duty"})), CHEAPER),
    "included conversion": ({}, alpha(includes=frozenset({"conversion"})), CHEAPER),
    "included spares": ({}, alpha(includes=frozenset({"spares"})), CHEAPER),
    "all-in price": ({}, alpha(price_layer="all_in"), CHEAPER),
    "lithium path": ({}, {"finance__lithium_path": "dear"}, DEARER),
    "lithium share": ({}, alpha(lithium_pass_through_frac=0.9), DEARER),
    "base credit": ({}, credit("base_pwa_frac", 0.17), DEARER),
    "bonus credit": ({}, credit("bonus_pwa_frac", 0.23), CHEAPER),
    "credit phase-out": ({}, credit("available_frac", 0.53), DEARER),
    "domestic threshold": ({}, credit("domestic_threshold_frac", 0.93), DEARER),
    "material-assistance threshold": ({}, credit("macr_threshold_frac", 0.97), DEARER),
    "no test before 2026": (credit("macr_threshold_frac", 0.97), {"policy__phases": [{**PHASE, "construction_start": "2025-12"}], "tables": {"credits": tuple(r.model_copy(update={"value": 0.97}) if r.parameter == "macr_threshold_frac" else r for r in full_tables()["credits"])}}, CHEAPER),
    "continuity": ({}, {"policy__phases": [{**PHASE, "construction_start": "2024-12"}]}, DEARER),
    "phase deliveries": ({}, {"policy__phases": [{**PHASE, "deliveries_until": "2029-12"}]}, DEARER),
    "elective pay": ({**credit("domestic_threshold_frac", 0.93), "policy__monetisation": "own"}, {"policy__monetisation": "elective_pay"}, DEARER),
    "energy community": ({}, {"policy__energy_community": False}, DEARER),
    "prevailing wage": ({}, {"policy__prevailing_wage": False}, DEARER),
    "own use of credits": ({}, {"policy__monetisation": "own"}, CHEAPER),
    "no monetisation": ({}, {"policy__monetisation": "none"}, DEARER),
    "transfer discount": ({}, {"policy__transfer_discount_frac": 0.19}, DEARER),
    "domestic floor": ({}, {"policy__domestic_floor_frac": 0.61}, DEARER),
    "ban": (flagged("yes"), ban("2027-03"), DEARER),
    "ban by date of order": (both(flagged("yes"), ban("2027-03")), ban("2028-01"), CHEAPER),
    "ban by clock": (both(flagged("yes"), ban("2028-01")), ban("2028-01", "delivery"), DEARER),
    "ban by flag": (both(flagged("yes"), ban("2027-03")), ban("2027-03", flag="fcc"), CHEAPER),
    "buyer of a ban": (both(flagged("yes"), ban("2027-03")), {"buyer": "hyperscaler"}, CHEAPER),
    "disputed flag refused": (both(flagged("disputed"), ban("2027-03")), {"policy__disputed": "refuse"}, DEARER),
    # outages
    "supplier contingency": ({}, losses(supplier=0.47), DEARER),
    "cell maker contingency": ({}, losses(cell_maker=0.47), DEARER),
    "cell factory contingency": ({}, losses(cell_factory=0.47), DEARER),
    "country contingency": ({}, losses(country=0.47), DEARER),
    "chemistry contingency": ({}, losses(chemistry=0.47), DEARER),
    "software contingency": ({}, losses(software=0.67), DEARER),
    "fire-group contingency": ({}, losses(fire_group=0.97), DEARER),
    "surviving share": (losses(supplier=0.47), losses(supplier=0.31), CHEAPER),
    "contingencies from a date": (losses(supplier=0.47), {"reliability__contingencies_from": "2030-01"}, CHEAPER),
    "fire-group evidence": (both(losses(fire_group=0.97), more("fire_rules", fire_row("group_containers", 1.0, evidence="lsft"))), {"offer_changes": {o: {"evidence": "lsft"} for o in ("Alpha", "Beta")}}, CHEAPER),
    "availability": ({}, alpha(availability_frac=0.77), DEARER),
    "availability quantile": ({}, {"reliability__availability": {"basis": "quantile", "probability_frac": 0.97, "fleet": 23}}, DEARER),
    "quantile probability": ({"reliability__availability": {"basis": "quantile", "probability_frac": 0.997, "fleet": 23}}, {"reliability__availability": {"basis": "quantile", "probability_frac": 0.51, "fleet": 23}}, CHEAPER),
    "reserve": ({}, {"reliability__reserve_frac": 0.61}, DEARER),
    "duty": ({}, {"reliability__duty": "daily"}, DEARER),
    "cell temperature": ({"reliability__duty": "daily"}, {"site__cell_temperature_c": 35.0}, DEARER),
    "service profile": ({}, {"reliability__service": [{"until_h": 1.5, "share_frac": 1.0}, {"until_h": 3.75, "share_frac": 0.77}]}, DEARER),
    "longer outages": ({}, {"reliability__service": [{"until_h": 1.5, "share_frac": 1.0}, {"until_h": 6.75, "share_frac": 0.43}]}, DEARER),
    "known length": ({}, {"reliability__length_known": True}, CHEAPER),
    "on-site PV": ({"load_pu": LEAN["load_pu"] * np.where(LEAN["pv_cf"] > 0, 1.0, 0.41)}, {"pv__mw": 6.1}, CHEAPER),
    "PV derating": ({"load_pu": LEAN["load_pu"] * np.where(LEAN["pv_cf"] > 0, 1.0, 0.41), "pv__mw": 6.1}, {"pv__derate_frac": 0.07}, DEARER),
    "shortest outage of generators": (GENS, {"firm__min_outage_h": 2.9}, DEARER),
    "generator permit": (GENS, {"site__generator_mw_max": 1.1}, DEARER),
    "fuel": (GENS, {"offer_changes": {"Gen": {"fuel_usd_per_mwh": 4100.0}}}, DEARER),
    "UPS": ({}, {"reliability__ride_through__ups_s": 7.0}, DEARER),
    "response": ({}, beta(response_s=710.0), DEARER),
    "slow by steps": ({}, beta(response_s=5100.0), DEARER),
    "storage mandate": ({}, {"reliability__storage_mandate_h": 4.3}, DEARER),
    "power": ({}, alpha(power_mw=0.83), DEARER),
    "delay price": ({}, {"load__delay_usd_per_mw_yr": 9.1e3}, CHEAPER),
    "contracted floor": ({"load__delay_usd_per_mw_yr": 9.1e3}, {"periods": ramp(("2029-01", "2030-01", 7.3, 6.7, 31.0), ("2030-01", "2034-01", 13.9, 13.1, 31.0))}, DEARER),
    "energisable load": ({}, {"periods": LATE, "site__energisation__grid": {"2028-01": 5.9, "2030-01": 31.0}}, DEARER),
    # site
    "tight yard": ({}, yard(), DEARER),
    "setback to the hall": (yard(), yard(distance_to_hall_m=21.0), CHEAPER),
    "setback to the line": (yard(), yard(distance_to_line_m=0.3), DEARER),
    "barrier price": (yard(), rows("costs", {"value": 8900.0}, cost="barrier_usd_per_m"), DEARER),
    "evidence and footprint": (yard(), alpha(evidence="lsft"), CHEAPER),
    "plant around containers": (yard(), rows("fire_rules", {"value": 1.9}, rule="bop_multiplier"), DEARER),
    "fire-area cap": (yard(length_m=91.0), rows("fire_rules", {"value": 13.1}, rule="fire_area_cap_mwh", chemistry="lfp"), DEARER),
    "fire areas": (both(yard(length_m=91.0), rows("fire_rules", {"value": 13.1}, rule="fire_area_cap_mwh", chemistry="lfp")), yard(length_m=91.0, fire_areas=3), CHEAPER),
    "fire profile": (both(yard(length_m=91.0), more("fire_rules", fire_row("fire_area_cap_mwh", 13.1, "lfp", profile="nfpa855_2026", zone_type="outdoor_near"))), {"fire__profile": "nfpa855_2026"}, DEARER),
    "hazard budget": (yard(length_m=91.0), yard(length_m=91.0, hazard_budget_mwh=31.0), DEARER),
    "hazard class": (yard(length_m=91.0, hazard_budget_mwh=61.0), rows("fire_rules", {"value": 4.9}, rule="hazard_class", chemistry="lfp"), DEARER),
    "fire water": (yard(length_m=91.0), yard(length_m=91.0, fire_water_lpm=1100.0), DEARER),
    "allowed chemistries": (yard(length_m=91.0), yard(length_m=91.0, allowed_chemistries=["zinc", "none"]), DEARER),
    "zone opens late": (both(two_yards(), {"load__delay_usd_per_mw_yr": 1.3e7}), both(two_yards(available_from="2033-01")), DEARER),
    # money
    "payments": ({}, {"finance__payments": ORDER_FIRST}, DEARER),
    "discount rate": ({}, {"finance__discount_rate_frac": 0.031}, DEARER),
    "residual value": ({}, {"finance__residual_frac": 0.37}, CHEAPER),
    "insurance by hazard": ({}, rows("fire_rules", {"value": 4.9}, rule="hazard_class", chemistry="lfp"), DEARER),
    "upkeep by energy": ({}, alpha(om_usd_per_kwh_yr=5.3), DEARER),
    "upkeep by power": ({}, alpha(om_usd_per_kw_yr=17.0), DEARER),
    "upkeep by price": ({}, alpha(om_frac_per_yr=0.023), DEARER),
    "standby energy price": ({}, {"price_usd_per_mwh": LEAN["load_pu"] * 131.0}, DEARER),
    "auxiliary load": ({}, alpha(auxiliary_kw_per_mwh=7.1), DEARER),
    "self-discharge": ({}, alpha(self_discharge_frac_per_day=0.013), DEARER),
    "round-trip efficiency": ({}, alpha(round_trip_eff_frac=0.41), DEARER),
}  # fmt: skip

for _cost in (
    "freight_usd_per_t", "power_conversion_usd_per_kw", "transformer_usd_per_kw", "balance_of_plant_usd_per_kwh",
    "balance_of_plant_usd_per_kw", "installation_usd_per_kwh", "commissioning_usd_per_kw", "spares_frac", "epc_frac",
    "land_usd_per_m2", "insurance_frac_per_yr", "end_of_life_usd_per_kwh",
):  # fmt: skip
    FEATURES[f"cost row {_cost}"] = (
        {}, {"tables": {"costs": tuple(r.model_copy(update={"value": abs(r.value) * 1.7}) if r.cost == _cost else r for r in full_tables()["costs"])}}, DEARER,
    )  # fmt: skip


@cache
def _unchanged() -> Plan:
    return _solved(lean())


def _solved(problem: Problem) -> Plan:
    found = plan(problem, gap_frac=0.0)
    assert found.verification is not None
    assert found.verification.passed, found.verification.errors
    return found


@pytest.mark.parametrize("name", FEATURES)
def test_feature_changes_the_answer(name: str) -> None:
    base, change, direction = FEATURES[name]
    before = _solved(lean(**base)) if base else _unchanged()
    after = _solved(lean(**both(base, change)))
    difference = after.cost_musd - before.cost_musd
    assert abs(difference) > 1e-4 * abs(before.cost_musd), f"{before.cost_musd} and {after.cost_musd}"
    assert (difference > 0) == (direction == DEARER), f"{before.cost_musd} became {after.cost_musd}"


@pytest.mark.parametrize("measure", MEASURES)
def test_exposure_limit_changes_the_answer(measure: str) -> None:
    """Six tenths of the exposure of the free plan: the plan costs more and keeps the limit."""
    free = _unchanged()
    most = 0.6 * free.exposure_frac[measure]
    assert most > 0
    bound = _solved(lean(exposure_limits={measure: {"max_frac": most, "per_period": False}}))
    assert bound.exposure_frac[measure] <= most + 1e-9
    assert bound.cost_musd > free.cost_musd * (1 + 1e-4)


def test_exposure_limit_per_period_is_looser_when_fleets_follow_each_other() -> None:
    """Boxes that last one period each: together they break a total limit that each fleet keeps."""
    free = _solved(lean(**SHORT_LIFE))
    rounds = [sum(o.energy_mwh for o in free.orders if o.offer == "Alpha" and o.period == p) for p in free.served_mw]
    assert min(rounds) > 0
    limit = (max(rounds) + 0.37 * min(rounds)) / free.required_mwh
    kept = _solved(lean(**SHORT_LIFE, exposure_limits={"cell": {"max_frac": limit, "per_period": True}}))
    total = _solved(lean(**SHORT_LIFE, exposure_limits={"cell": {"max_frac": limit, "per_period": False}}))
    assert kept.exposure_frac["cell"] > limit >= total.exposure_frac["cell"]
    assert total.cost_musd > kept.cost_musd * (1 + 1e-4)


def test_strict_fire_rules_keep_rows_from_memory_out() -> None:
    """The open setback of lfp rests on memory (tag M): under ``fire.strict`` lfp stands behind a wall, or not at all."""
    strict = _solved(lean(fire__strict=True))
    walled = {z.zone for z in strict.zone_options if z.barrier}
    assert {p.zone for p in strict.placements if p.offer == "Alpha"} <= walled
    assert strict.cost_musd > _unchanged().cost_musd * (1 + 1e-4)


def test_features_move_orders_states_and_places() -> None:
    """Cost is not all: a fleet, a credit state, a wall, a place and a served load change too."""
    free = _unchanged()
    floor = _solved(lean(policy__domestic_floor_frac=0.61))
    assert {(o.offer, o.period, o.containers) for o in free.orders} != {
        (o.offer, o.period, o.containers) for o in floor.orders
    }
    assert _solved(lean(**credit("domestic_threshold_frac", 0.93))).credit_state != free.credit_state
    open_yard = _solved(lean(**yard(distance_to_hall_m=21.0)))
    walled = _solved(lean(**both(yard(), {"load__delay_usd_per_mw_yr": 9e7})))
    assert [z.barrier for z in open_yard.zone_options] == [False]
    assert [z.barrier for z in walled.zone_options] == [True]
    late = _solved(lean(**two_yards(available_from="2030-01")))
    assert {p.zone for p in late.placements if p.period == "2029-01"} == {"north"}
    cheap = _solved(lean(load__delay_usd_per_mw_yr=9.1e3))
    assert cheap.served_mw["2029-01"] < free.served_mw["2029-01"]


def test_every_rule_has_a_feature() -> None:
    """The table touches each business rule of the formulation."""
    touched = {
        "reliability": "service profile", "contracted_load": "contracted floor", "supply": "factory limit",
        "site_area": "tight yard", "fire": "fire-area cap", "generator_permit": "generator permit",
        "domestic_floor": "domestic floor", "storage_mandate": "storage mandate", "energisation": "energisable load",
    }  # fmt: skip
    assert set(touched.values()) <= set(FEATURES)
    elsewhere = {"max_share", "min_suppliers", "committed"}  # test_terms.py, study/test_futures.py
    assert {f.rule for f in FAMILIES} - {""} == {*touched, *elsewhere, "exposure_limit"}
