# ruff: noqa: E501
"""Contract terms, entities, governance and views: each changes an award, shows in the breakdown, and is neutral at its neutral value."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.catalogue import BanRow, CreditRow, DepreciationRow
from planner.model.build import assemble
from planner.model.coefficients import Coefficients
from planner.model.reliability import seed_rows
from planner.pipeline import plan
from planner.problem import Flag, Problem
from planner.results import Plan
from planner.ruleprices import price_doubts
from planner.solve import Compiled
from tests.cases.test_features import Overrides, alpha, beta, both, credit, full_tables
from tests.properties.questions import LEAN, STAMP, lean
from tests.properties.test_brute_force import SETTINGS, odd

PHASE = LEAN["policy__phases"][0]
SHARES: dict[str, Any] = {"supplier": None, "country": None, "chemistry": None, "cell_factory": None, "maturity": {}}


def credits(**values: float) -> Overrides:
    """Several credit parameters replaced at once."""
    changed = (r.model_copy(update={"value": values.get(r.parameter, r.value)}) for r in full_tables()["credits"])
    return {"tables": {"credits": tuple(changed)}}


#: Zinc hardly dearer than lithium, so that a term decides between them.
CLOSE: Overrides = {
    "policy__monetisation": "none",
    "offer_changes": {"Beta": {"price": {2029: 240.0}, "power_mw": 1.3}},
}
#: The same under credits whose tests do not bind.
CREDITED: Overrides = both(
    credits(macr_threshold_frac=0.3, domestic_threshold_frac=0.99), beta(price={2029: 260.0}, power_mw=1.3)
)


#: Load whose delay costs little, and boxes that come five months late.
LATE: Overrides = {"load__delay_usd_per_mw_yr": 3e5, **alpha(expected_delay_months=5.0)}


def provider(status: str, years: float) -> dict[str, Any]:
    return {"service_years": years, "flags": {"service_provider": Flag(status=status, since=None, reason="test")}}  # type: ignore[arg-type]


def ban(**predicate: Any) -> Overrides:
    return {
        "tables": {"bans": (BanRow(ban="b", buyer="utility", since="2027-03", clock="order", **predicate, **STAMP),)}
    }


def doubtful_cell() -> Overrides:
    """The cell of Alpha is disputed rather than barred."""
    parts = lean().offers[0].components
    return alpha(components={**parts, "cell": parts["cell"].model_copy(update={"prohibited": "disputed"})})


#: Name -> (base, change, item that must show, or "").
TERMS: dict[str, tuple[Overrides, Overrides, str]] = {
    "late by delay": (CLOSE, alpha(expected_delay_months=23.0), "expected_delay"),
    "damages": (both(CLOSE, LATE), alpha(delay_damages_frac_per_month=0.07, delay_damages_cap_frac=0.9), "delivery_damages"),
    "service": (CLOSE, alpha(service_usd_per_kwh_yr=41.0, service_years=4.0), "service"),
    "cancellation": (both(CLOSE, {"contract__cancellation_probability_frac": 0.9}), alpha(cancellation_fee_frac=0.9), "cancellation"),
    "dearer money": (both(CLOSE, alpha(maturity="pilot")), {"finance__maturity_adder_frac_per_yr": {"proven": 0.0, "early": 0.0, "pilot": 0.19}}, "finance_adder"),
    "grant": (CLOSE, beta(grant_usd_per_kwh=190.0), "grant"),
    "own payments": (both(CLOSE, beta(price={2029: 229.0}), {"finance__discount_rate_frac": 0.31}), alpha(pay_order_frac=1.0), "equipment"),
    "guaranteed health": (both(CLOSE, alpha(warranty_years=5.0, warranty_soh_frac=0.2)), {"reliability__warranty": "guaranteed"}, ""),
    "effective control": (CREDITED, alpha(**provider("yes", 2.5)), ""),
    "doubt about one flag": (both(CREDITED, alpha(**provider("disputed", 2.5))), {"policy__disputed_flags": {"service_provider": "refuse"}}, ""),
    "doubt about a component": (both(doubtful_cell(), credit("macr_threshold_frac", 0.97)), {"policy__disputed_flags": {"pfe_tax": "refuse"}}, ""),
    "ban by maker": ({}, ban(makers="Nobody; Alphacell"), ""),
    "ban by content": ({}, ban(layers="cell; control_software", china_frac=0.5), ""),
    "ban by licence": (alpha(licensor_country="CN"), ban(licensor_country="CN"), ""),
    "largest supplier": ({}, {"governance__max_share": {**SHARES, "supplier": 0.61}}, ""),
    "largest country": ({}, {"governance__max_share": {**SHARES, "country": 0.61}}, ""),
    "largest chemistry": ({}, {"governance__max_share": {**SHARES, "chemistry": 0.61}}, ""),
    "largest cell factory": ({}, {"governance__max_share": {**SHARES, "cell_factory": 0.61}}, ""),
    "immature products": (alpha(maturity="early"), {"governance__max_share": {**SHARES, "maturity": {"early": 0.53}}}, ""),
    "two suppliers": ({}, {"governance__min_suppliers": 2, "governance__min_supplier_mwh": 17.0}, ""),
    "pools": (credits(macr_threshold_frac=0.97, domestic_threshold_frac=0.59), {"credits__unit": "pools"}, ""),
    "continuity by date": (CREDITED, {"policy__phases": [{**PHASE, "construction_start": "2024-12"}]}, ""),
    "recapture": (CREDITED, {"credits__recapture": {"probability_frac": 1.0, "year": 0, "rule": "ten_year"}}, ""),
    "taxes": (both(CLOSE, alpha(service_usd_per_kwh_yr=15.0, service_years=5.0)), {"finance__tax_rate_frac": 0.57}, "depreciation"),
    "resource view": (both(CLOSE, beta(price={2029: 190.0})), {"objective": "resource"}, "production_credit"),
}  # fmt: skip


@cache
def solved_plain() -> Plan:
    return solved(lean())


def solved(problem: Problem) -> Plan:
    found = plan(problem, gap_frac=0.0)
    assert found.verification is not None
    assert found.verification.passed, found.verification.errors
    return found


def award(found: Plan) -> dict[tuple[str, str], int]:
    return {(o.offer, o.period): o.containers for o in found.orders}


@pytest.mark.parametrize("name", TERMS)
def test_term_changes_an_award(name: str) -> None:
    base, change, item = TERMS[name]
    before = solved(lean(**base)) if base else solved_plain()
    after = solved(lean(**both(base, change)))
    assert award(after) != award(before) or after.credit_state != before.credit_state, (award(before), after.cost_musd)
    if item:
        who = "Beta" if name in ("grant", "resource view") else "Alpha"
        alone = [solved(lean(**ov, offers=(who,))).cost_breakdown_musd[item] for ov in (base, both(base, change))]
        assert alone[0] != alone[1], item
    for found in (before, after):
        assert sum(found.cost_breakdown_musd.values()) == pytest.approx(found.cost_musd, abs=1e-8)
        assert found.views_musd["buyer"] - found.views_musd["resource"] == pytest.approx(
            found.public_musd["net"], abs=1e-8
        )


def test_recapture_is_a_share_of_the_credit() -> None:
    """Year 2 of five: three fifths are unvested. 7 % transfer discount: the law takes back the whole credit.

    The credit comes 12 months after delivery, the recapture 24: recapture = p * 3/5 * credit / 0.93 / 1.067.
    """
    odds = 0.31
    found = solved(
        lean(**both(CREDITED, {"credits__recapture": {"probability_frac": odds, "year": 2, "rule": "five_year"}}))
    )
    items = found.cost_breakdown_musd
    assert items["tax_credit"] < 0
    assert items["recapture"] == pytest.approx(odds * 0.6 * -items["tax_credit"] / 0.93 / 1.067, rel=1e-9)
    assert any("recaptured in year 2" in text for text in found.assumptions)


def test_after_tax_view_by_hand() -> None:
    """Straight deduction of all in year 1, half a year after delivery; half of the gross credit leaves the basis."""
    once = (DepreciationRow(schedule="macrs5", year=1, deducted_frac=1.0, **STAMP),)
    base = both(CREDITED, {"tables": {"depreciation": once}, "offers": ("Alpha",), "finance__discount_rate_frac": 0.0})
    plain, taxed = solved(lean(**base)), solved(lean(**base, finance__tax_rate_frac=0.21))
    assert award(plain) == award(taxed)
    items = taxed.cost_breakdown_musd
    capex = sum(
        items[k]
        for k in ("equipment", "duty", "freight", "power_conversion", "balance_of_plant", "installation", "epc")
    )
    gross = -items["tax_credit"] / 0.93
    assert items["depreciation"] == pytest.approx(-0.21 * (capex - gross / 2), rel=1e-9)
    spent = sum(
        items[k] for k in ("operation", "insurance", "standby_energy", "end_of_life", "residual_value", "delay")
    )
    assert items["income_tax"] == pytest.approx(-0.21 * spent, rel=1e-9)
    assert taxed.cost_musd - plain.cost_musd == pytest.approx(items["depreciation"] + items["income_tax"], rel=1e-9)


def test_elective_pay_before_2024_keeps_its_credit() -> None:
    """A start whose payment is kept in part earns that part without domestic content."""
    kept = CreditRow(
        parameter="elective_kept_frac",
        since="2020-01",
        value=0.85,
        unit="frac",
        source="t",
        date="2026-11",
        confidence="medium",
    )
    base = both(CREDITED, {"policy__monetisation": "elective_pay", "offers": ("Alpha",)})
    lost = solved(lean(**base))
    assert lost.credit_state == {"first": "none"}
    rows = (*base["tables"]["credits"], kept)
    partly = solved(lean(**{**base, "tables": {"credits": rows}}))
    own = solved(lean(**{**base, "policy__monetisation": "own"}))
    assert partly.credit_state == own.credit_state == {"first": "base"}
    credit_of = [p.cost_breakdown_musd["tax_credit"] for p in (partly, own)]
    assert credit_of[0] == pytest.approx(0.85 * credit_of[1], rel=1e-9)


def test_service_provider_matters_only_beyond_two_years() -> None:
    short = solved(lean(**both(CREDITED, alpha(**provider("yes", 2.0)))))
    none = solved(lean(**CREDITED))
    assert award(short) == award(none) and short.credit_state == none.credit_state


NEUTRAL: list[tuple[str, Any]] = [
    ("credits__recapture", lambda x: {"probability_frac": 0.0, "year": int(9 * x), "rule": "ten_year"}),
    ("contract__cancellation_probability_frac", lambda x: 0.0),
    ("contract__warranty_years", lambda x: 1.0 + 20 * x),
    ("contract__warranty_soh_frac", lambda x: 0.1 + 0.9 * x),
    ("finance__adder_years", lambda x: int(30 * x)),
    ("finance__depreciation", lambda x: "straight15"),
    ("governance__min_supplier_mwh", lambda x: 900.0 * x),
    ("governance__max_share", lambda x: {**dict.fromkeys(("supplier", "country", "chemistry", "cell_factory"), 1.0), "maturity": {"pilot": 0.0}}),
    ("policy__disputed_flags", lambda x: {"fcc": "allow"}),
]  # fmt: skip


def arrays(problem: Problem) -> list[Any]:
    """The compiled model: equal arrays are the same problem to the solver."""
    c = Coefficients(problem)
    m = Compiled.from_pyomo(assemble(c, seed_rows(c)))
    return [m.matrix.toarray(), m.row_lower, m.row_upper, m.cost, m.offset, m.lower, m.upper, m.integer]


@cache
def plain_arrays() -> list[Any]:
    return arrays(lean())


@settings(SETTINGS, max_examples=12)
@given(odd(0.0, 1.0), st.sets(st.sampled_from(range(len(NEUTRAL))), min_size=1))
def test_neutral_values_change_nothing(x: float, chosen: set[int]) -> None:
    """A term at its neutral value, whatever its companions say, leaves the compiled model as it is."""
    case = {NEUTRAL[i][0]: NEUTRAL[i][1](x) for i in chosen}
    fields = {
        "expected_delay_months": 0.0, "delay_damages_frac_per_month": x, "delay_damages_cap_frac": x,
        "service_usd_per_kwh_yr": 0.0, "service_years": 9 * x, "cancellation_fee_frac": x, "warranty_years": 30 * x,
        "warranty_soh_frac": x, "grant_usd_per_kwh": 0.0, "licensor_country": "CN",
    }  # fmt: skip
    for mine, plain in zip(arrays(lean(**case, offer_changes={"Alpha": fields})), plain_arrays(), strict=True):
        assert np.array_equal(mine, plain)


def test_neutral_test_has_teeth() -> None:
    changed = arrays(lean(offer_changes={"Alpha": {"expected_delay_months": 0.1}}))
    assert not np.array_equal(changed[3], plain_arrays()[3])


@settings(SETTINGS, max_examples=8)
@given(odd(0.3, 0.99), odd(0.3, 0.9), odd(150.0, 320.0))
def test_pools_are_never_dearer_and_refusal_never_cheaper(macr: float, domestic: float, price: float) -> None:
    base = both(credits(macr_threshold_frac=macr, domestic_threshold_frac=domestic), beta(price={2029: price}))
    phase = solved(lean(**base))
    pools = solved(lean(**both(base, {"credits__unit": "pools"})))
    assert pools.cost_musd <= phase.cost_musd + 3e-6
    assert set(pools.credit_state.values()) == {"pools"}
    refused = solved(lean(**both(base, doubtful_cell(), {"policy__disputed": "refuse"})))
    allowed = solved(lean(**both(base, doubtful_cell())))
    assert refused.cost_musd >= allowed.cost_musd - 3e-6


def test_what_is_not_binding_may_slip() -> None:
    """The transformers are ready months before they are needed: later by their slack changes nothing, by one more it does."""
    base = {"site__energisation__transformers": {"2028-01": 7.4, "2029-01": 37.0}}
    found = solved(lean(**base))
    step = next(s for s in found.critical_path[0].steps if s.step == "transformers")
    assert (found.critical_path[0].binding, step.ready, step.slack_months) == ("none", "2028-01", 12)
    late = solved(lean(site__energisation__transformers={"2029-01": 37.0}))
    assert late.cost_musd == found.cost_musd and award(late) == award(found)
    chain = [s for s in found.critical_path[0].steps if s.step == "commissioning"]
    assert chain[0].slack_months == 12 * 2029 - 12 * 2027 - 1 - 18 and chain[0].offer == "Alpha"
    slack = chain[0].slack_months
    kept = solved(lean(offer_changes={"Alpha": {"lead_time_months": 9 + slack}, "Beta": {"lead_time_months": 9}}))
    assert award(kept) == award(found)
    gone = solved(lean(offer_changes={"Alpha": {"lead_time_months": 10 + slack}}))
    assert award(gone) != award(found)


def test_entities_say_why_and_how_they_are_read() -> None:
    found = solved(lean(policy__disputed_flags={"list1260h": "refuse"}))
    flags = {(e.offer, e.flag): (e.status, e.binds, e.reason) for e in found.entities}
    assert flags["Alpha", "list1260h"] == ("disputed", True, "test")
    assert flags["Alpha", "software_control"] == ("yes", True, "test")


def test_each_doubt_has_its_price() -> None:
    """The price of a doubt is the cost as read less the cost read the other way, each solved on its own."""
    shares = {"governance__max_share": {**SHARES, "supplier": 0.61}}
    problem = lean(**both(shares, doubtful_cell(), credits(macr_threshold_frac=0.97)))
    found = price_doubts(problem, solved(problem), gap_frac=0.0)
    by_rule = {p.rule: p for p in found.rule_prices}
    refused = solved(
        lean(**both(shares, doubtful_cell(), credits(macr_threshold_frac=0.97), {"policy__disputed": "refuse"}))
    )
    doubt = by_rule["pfe_tax: refuse instead of allow"]
    assert doubt.without_musd == pytest.approx(refused.cost_musd, abs=1e-6) and doubt.price_musd < 0
    assert by_rule["credits.unit: pools instead of phase"].price_musd >= -3e-6
    listed = by_rule["list1260h: refuse instead of allow"]
    assert listed.price_musd == pytest.approx(0.0, abs=1e-6)
