# ruff: noqa: E501
"""``plan`` gives the cost of the best of all whole-container fleets, or neither finds one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from planner.pipeline import plan
from planner.problem import Flag, Problem, Tier
from planner.solve import Infeasible
from planner.units import month_text, parse_month
from tests.properties.brute import Brute
from tests.properties.questions import BASE_TIER, CALM, OFFERS, lean, output_row, ramp, wave

#: Most containers of a delivery, by the number of (offer, period) pairs.
MOST = {1: 13, 2: 11, 3: 9, 4: 6, 6: 4, 9: 2}
SETTINGS = settings(
    deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)  # fmt: skip


def odd(low: float, high: float) -> st.SearchStrategy[float]:
    """Numbers that nothing divides."""
    return st.integers(1, 996).map(lambda i: low + (high - low) * i / 997)


def chance(draw: Any, part: float = 0.5) -> bool:
    return draw(st.integers(0, 99)) < 100 * part


@st.composite
def timelines(draw: Any) -> dict[str, Any]:
    """One to three periods of odd lengths with a rising target, in units of the final one."""
    lengths = draw(st.sampled_from([[41], [12, 29], [17, 31], [7, 38], [12, 12, 31], [7, 17, 29]]))
    shares = [*sorted(draw(odd(0.2, 0.95)) for _ in lengths[1:]), 1.0]
    floors = [s * draw(odd(0.1, 0.7)) for s in shares]
    floors = list(np.maximum.accumulate(floors))
    start = parse_month("2029-01")
    edges = start + np.concatenate([[0], np.cumsum(lengths)])
    return {"edges": [int(e) for e in edges], "shares": shares, "floors": floors}


@st.composite
def questions(draw: Any) -> Problem:
    """A small problem with some of the features on."""
    line = draw(timelines())
    names = draw(st.sampled_from([("Alpha", "Beta"), ("Alpha", "Beta", "Gen"), ("Alpha", "Gen"), ("Alpha",)]))
    most = MOST[len(names) * len(line["shares"])]
    changes: dict[str, dict[str, Any]] = {name: {} for name in names}
    energy = 0.0
    outputs = []
    for name in names:
        scale = draw(odd(0.7, 1.9))
        base = {**OFFERS[name], **changes[name]}
        if OFFERS[name]["kind"] == "storage":
            changes[name] |= {
                "energy_nameplate_dc_mwh": base["energy_nameplate_dc_mwh"] * scale,
                "energy_usable_ac_mwh": base["energy_usable_ac_mwh"] * scale,
                "power_mw": base["power_mw"] * scale * draw(odd(0.6, 1.7)),
                "availability_frac": draw(odd(0.91, 0.99)),
            }
            energy += changes[name]["energy_usable_ac_mwh"] * most
        if chance(draw, 0.25):
            changes[name]["design_life_yr"] = draw(odd(1.1, 4.0))
        if chance(draw, 0.3 if name == "Beta" else 0.07):
            changes[name]["response_s"] = draw(odd(50.0, 900.0))
        np_mwh = changes[name].get("energy_nameplate_dc_mwh", base["energy_nameplate_dc_mwh"])
        if name != "Gen" and chance(draw, 0.4):
            changes[name]["min_order_mwh"] = np_mwh * draw(odd(1.1, 1.9))
        if chance(draw, 0.4):
            step = Tier(tier="bulk", from_mwh=np_mwh * draw(odd(1.1, 3.9)), discount_frac=draw(odd(0.02, 0.3)))
            changes[name]["tiers"] = (BASE_TIER, step)
        booked = np_mwh / (1.0 - {"Gen": 0.0}.get(name, 0.03))
        rows = {"Alpha": ("A-cells", "A-plant"), "Beta": ("B-works",), "Gen": ("G-plant",)}[name]
        outputs += [output_row(f, booked * (most + draw(odd(0.1, 0.9))) / 280.0) for f in rows]
    if "Beta" in names and chance(draw, 0.25):
        changes["Beta"]["cell_factory"] = "A-cells"
    periods = len(line["shares"])
    target = energy * periods / (1.0 + 0.35 * (periods - 1)) / 2.6 * draw(odd(0.1, 0.45))
    spec = {
        "offers": names, "offer_changes": changes, "tables": {"factory_output": tuple(outputs)},
        "load_pu": wave(48, draw(st.integers(0, 9))), "dt_h": draw(st.sampled_from([0.75, 0.5, 0.25])),
        "pv_cf": np.maximum(0.0, np.sin(np.arange(48) * 2 * np.pi / 24 - 1.3)) * 0.81,
        "load__delay_usd_per_mw_yr": draw(odd(2e4, 9e6)),
    }  # fmt: skip
    spec |= draw(reliability("Beta" in names)) | draw(money(line)) | draw(yards())
    if chance(draw, 0.4):
        spec |= draw(governance())
    if chance(draw, 0.4):
        changes[names[0]] |= draw(terms())
        spec |= draw(views())
    if chance(draw, 0.25):
        spec["pv__mw"] = target * draw(odd(0.1, 0.5))
    grid = (
        {"2028-01": target * draw(odd(0.6, 0.99)), "2030-01": 1.3 * target}
        if chance(draw, 0.3)
        else {"2028-01": 1.3 * target}
    )
    spec["site__energisation__grid"] = grid
    spec["periods"] = _periods(line, target, grid)
    spec["load__target_mw"] = {month_text(p.start): p.target_mw for p in spec["periods"]}
    spec["site__energisation__transformers"] = spec["site__energisation__permits"] = {"2028-01": 1.7 * target}
    spec["load__floor_mw"] = {}
    if chance(draw, 0.4):
        spec["exposure_limits"] = {
            draw(st.sampled_from(["cell", "value", "control", "chokepoint", "cell_ownership", "chokepoint_ownership"])):
            {"max_frac": draw(odd(0.1, 1.3)), "per_period": chance(draw)}
        }  # fmt: skip
    return lean(**spec)


def _periods(line: dict[str, Any], target: float, grid: dict[str, float]) -> Any:
    rows = []
    for a, b, share, floor in zip(line["edges"], line["edges"][1:], line["shares"], line["floors"], strict=False):
        cap = [mw for month, mw in grid.items() if parse_month(month) <= a][-1]
        rows.append((month_text(a), month_text(b), share * target, floor * target, min(cap, 1.7 * target)))
    return ramp(*rows)


@st.composite
def reliability(draw: Any, diverse: bool) -> dict[str, Any]:
    """Losses (of suppliers only where there are two), service, mandate."""
    losses = dict(CALM)
    for kind, low, high in (
        ("supplier", 0.05, 0.5),
        ("chemistry", 0.05, 0.5),
        ("fire_group", 0.2, 0.9),
        ("software", 0.1, 0.5),
    ):
        if (diverse or kind == "fire_group") and chance(draw, 0.25):
            losses[kind] = draw(odd(low, high))
    out: dict[str, Any] = {
        "reliability__contingencies": losses, "reliability__length_known": chance(draw, 0.3),
        "reliability__ride_through__ups_s": draw(st.sampled_from([17.0, 45.0, 203.0])),
        "firm__min_outage_h": draw(st.sampled_from([0.9, 1.1, 1.7])),
    }  # fmt: skip
    if chance(draw, 0.3):
        out["reliability__availability"] = {"basis": "quantile", "probability_frac": draw(odd(0.7, 0.97)), "fleet": 37}
    if chance(draw, 0.3):
        out["reliability__contingencies_from"] = "2030-01"
    if chance(draw, 0.3):
        out["reliability__storage_mandate_h"] = draw(odd(0.7, 4.3))
    return out


@st.composite
def money(draw: Any, line: dict[str, Any]) -> dict[str, Any]:
    edges = line["edges"]
    middle = month_text(edges[len(edges) // 2])
    phases = [
        {"phase": "first", "construction_start": draw(st.sampled_from(["2025-11", "2026-05", "2028-06"])), "deliveries_until": middle},
        {"phase": "second", "construction_start": "2029-03", "deliveries_until": "2036-01"},
    ]  # fmt: skip
    return {
        "policy__phases": phases[draw(st.integers(0, 1)) :], "policy__disputed": draw(st.sampled_from(["allow", "refuse"])),
        "policy__monetisation": draw(st.sampled_from(["own", "transfer", "elective_pay", "none"])),
        "policy__domestic_floor_frac": draw(odd(0.2, 0.7)) if chance(draw, 0.3) else 0.0,
        "finance__discount_rate_frac": draw(odd(0.02, 0.13)),
    }  # fmt: skip


@st.composite
def governance(draw: Any) -> dict[str, Any]:
    """Largest shares and a least number of suppliers."""
    kinds = ["supplier", "country", "chemistry", "cell_factory"]
    shares: dict[str, Any] = {**dict.fromkeys(kinds), "maturity": {"proven": draw(odd(0.7, 0.99))}}
    shares["maturity"] = shares["maturity"] if chance(draw, 0.1) else {}
    shares[draw(st.sampled_from(kinds))] = draw(odd(0.5, 1.0))
    out: dict[str, Any] = {"governance__max_share": shares}
    if chance(draw):
        out |= {"governance__min_suppliers": 2, "governance__min_supplier_mwh": draw(odd(0.1, 9.0))}
    return out


@st.composite
def terms(draw: Any) -> dict[str, Any]:
    """Contract terms of one offer."""
    return {
        "expected_delay_months": draw(odd(0.0, 9.0)), "delay_damages_frac_per_month": draw(odd(0.0, 0.03)),
        "delay_damages_cap_frac": draw(odd(0.02, 0.1)), "service_usd_per_kwh_yr": draw(odd(0.1, 4.0)),
        "service_years": draw(odd(0.4, 6.0)), "cancellation_fee_frac": draw(odd(0.0, 0.4)),
        "grant_usd_per_kwh": draw(odd(0.0, 30.0)), "warranty_years": draw(odd(3.0, 9.0)),
        "warranty_soh_frac": draw(odd(0.6, 0.97)), "pay_order_frac": 0.31, "pay_acceptance_frac": 0.69,
        "flags": {"service_provider": Flag(status="yes", since=None, reason="test")} if chance(draw, 0.3) else {},
    }  # fmt: skip


@st.composite
def views(draw: Any) -> dict[str, Any]:
    """Taxes, dearer money, recapture, guaranteed health, the view."""
    return {
        "finance__tax_rate_frac": draw(odd(0.0, 0.4)), "contract__cancellation_probability_frac": draw(odd(0.0, 0.5)),
        "finance__maturity_adder_frac_per_yr__proven": draw(odd(0.0, 0.04)),
        "credits__recapture": {"probability_frac": draw(odd(0.0, 0.6)), "year": 2, "rule": "five_year"},
        "reliability__warranty": draw(st.sampled_from(["expected", "guaranteed"])),
        "objective": draw(st.sampled_from(["buyer", "buyer", "resource"])),
    }  # fmt: skip


@st.composite
def yards(draw: Any) -> dict[str, Any]:
    """One or two zones, some of them tight in area, energy, hazard or date."""
    near = {
        "zone": "north", "zone_type": "outdoor_near", "length_m": draw(odd(19.0, 61.0)), "width_m": draw(odd(13.0, 27.0)),
        "distance_to_hall_m": draw(odd(1.0, 9.0)), "distance_to_line_m": draw(odd(0.3, 4.0)), "fire_areas": 1,
        "hazard_budget_mwh": draw(odd(20.0, 130.0)) if chance(draw, 0.4) else None, "fire_water_lpm": 4100.0,
        "allowed_chemistries": None, "available_from": None,
    }  # fmt: skip
    far = {
        **near, "zone": "south", "zone_type": "outdoor_remote", "distance_to_hall_m": draw(odd(1.0, 9.0)),
        "hazard_budget_mwh": None, "allowed_chemistries": ["zinc", "none"] if chance(draw, 0.3) else None,
        "available_from": "2030-01" if chance(draw, 0.3) else None,
        "fire_water_lpm": 1100.0 if chance(draw, 0.2) else 3700.0,
    }  # fmt: skip
    if chance(draw, 0.4):
        near["length_m"] = 310.7
    return {"site__zones": [near] if chance(draw, 0.4) else [near, far]}


def compare(problem: Problem) -> float | None:
    """Cost on which the two agree, or None if both find nothing."""
    best = Brute(problem).best()
    try:
        found = plan(problem, gap_frac=0.0)
    except Infeasible:
        assert best is None, f"the planner calls infeasible what costs {best.cost_musd}: {best.orders}"
        return None
    assert found.verification is not None
    assert found.verification.passed, found.verification.errors
    assert best is not None, f"the planner finds a plan where no fleet holds: {found.orders}"
    assert found.cost_musd == pytest.approx(best.cost_musd, rel=1e-6, abs=2e-6), (found.orders, best.orders)
    return found.cost_musd


@settings(SETTINGS, max_examples=30)
@given(questions())
def test_plan_equals_brute_force(problem: Problem) -> None:
    compare(problem)


FEW = tuple(output_row(f, gwh) for f, gwh in (("A-cells", 0.131), ("A-plant", 0.131), ("B-works", 0.071)))


def test_slow_units_after_a_fire() -> None:
    """A fire takes fast boxes while the slow ones are not yet up: model and verifier must say the same of it."""
    losses = {**CALM, "fire_group": 0.97}
    slow = {"Beta": {"response_s": 1310.0, "price": {2029: 61.0}}}
    periods = ramp(("2029-01", "2030-01", 7.3, 1.1, 31.0), ("2030-01", "2034-01", 13.9, 1.7, 31.0))
    problem = lean(
        offers=("Alpha", "Beta"), tables={"factory_output": FEW}, reliability__contingencies=losses, offer_changes=slow,
        periods=periods,
    )  # fmt: skip
    assert compare(problem) is not None


def test_losses_of_the_same_fleet() -> None:
    """Supplier, country and chemistry coincide here: the stricter share rules, and each kind has its margin."""
    losses = {**CALM, "supplier": 0.29, "country": 0.37, "chemistry": 0.11, "software": 0.41}
    problem = lean(offers=("Alpha", "Beta"), tables={"factory_output": FEW}, reliability__contingencies=losses,
                   periods=ramp(("2029-01", "2034-01", 7.3, 1.1, 31.0)))  # fmt: skip
    assert compare(problem) is not None


@pytest.mark.parametrize("hours", [3.3, 4.1])
def test_mandate_counts_installed_energy(hours: float) -> None:
    """The mandate is in usable MWh times health; the reserve level of 0.93 is no part of it."""
    problem = lean(offers=("Alpha", "Beta"), tables={"factory_output": FEW}, reliability__storage_mandate_h=hours,
                   periods=ramp(("2029-01", "2030-01", 7.3, 1.1, 31.0), ("2030-01", "2034-01", 13.9, 1.7, 31.0)))  # fmt: skip
    assert compare(problem) is not None


def test_a_proved_plan_is_called_optimal() -> None:
    """Gap 0 within the solver's tolerance is optimal, not a time limit."""
    problem = lean(
        offers=("Alpha",), tables={"factory_output": FEW}, periods=ramp(("2029-01", "2034-01", 7.3, 1.1, 31.0))
    )
    assert plan(problem, gap_frac=0.0, time_limit_s=20.0).status == "optimal"
