"""A future changes the tables that model and verifier read, and so the answer; its neutral value changes nothing."""

from __future__ import annotations

import dataclasses
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from planner import finance
from planner.inputs import InputError, load_case
from planner.pipeline import plan
from planner.policy import bans_on, bans_proven_by
from planner.problem import Problem
from planner.results import Plan
from planner.shipped import shipped_scenarios
from planner.solve import Infeasible
from planner.units import parse_month
from planner.verify.lookup import Book

STAMP = "source: test, confidence: medium"
CASES = ("utility-200mw", "defence-50mw", "hyperscaler-1gw-texas", "hyperscaler-500mw-virginia")


@cache
def loaded(case: str, *overrides: str) -> Problem:
    return load_case(case, overrides)


def tiny(*overrides: str) -> Plan:
    found = plan(load_case("tiny", overrides))
    assert found.verification is not None
    assert found.verification.passed, found.verification.errors
    return found


def future(section: str, keys: str) -> str:
    return f"futures.{section}.test={{{keys}, {STAMP}}}"


@pytest.mark.parametrize(
    ("change", "musd"),
    [
        # two of each at 0.40 and 0.57 and 0.80 for the supplier (cases/README.md): 2.74; dearer by 7 %: 1.94 x 1.07
        (future("offers", "price_scale_frac: 1.07"), 1.94 * 1.07 + 0.8),
        # two block-b hold 12 MWh: 10 USD/kWh of public money on each
        (future("offers", "offers: [block-b], grant_add_usd_per_kwh: 10"), 2.74 - 0.12),
        # block-a alone: five at 0.40
        (future("offers", "offers: [block-b], withdrawn: true"), 2.8),
        # 13 months more than fit between the decision and 2028 for block-b: 2026-12 + 6 + 1 + 2 + 5 months
        (future("offers", "offers: [block-b], lead_add_months: 5"), 2.8),
        # three quarters of the load need 15 MWh: 4 a + 6 b >= 15; a=b=2 no longer: a=4 1.60, a=1 b=2 1.54, b=3 1.71
        (future("load", "target_scale_frac: 0.75"), 1.54 + 0.8),
        # three hours need 30 MWh of energy: 4 a + 6 b >= 30: b=5 is 2.85, a=3 b=3 is 2.91
        (future("load", "full_service_h: 3"), 2.85 + 0.8),
        # 5 block-a signed and nothing else can be ordered in time
        ("committed={until: 2028-01, orders: [{offer: block-a, delivery: 2028-01, containers: 5}]}", 2.8),
        # one block-a signed too late to bind: the rest is free
        ("committed={until: 2027-01, orders: []}", 2.74),
    ],
)
def test_change_moves_the_answer_by_hand(change: str, musd: float) -> None:
    assert tiny(change).cost_musd == pytest.approx(musd, abs=2e-4)


@pytest.mark.parametrize(
    "change",
    [
        future("factories", "countries: [United States], output_scale_frac: 0"),
        future("factories", "obtainable_scale_frac: 0"),
        future("cutoffs", "countries: [United States], goods: cell, since: 2027-01, clock: delivered"),
        future("offers", "withdrawn: false, lead_add_months: 30"),
        "committed={until: 2028-01, orders: [{offer: block-a, delivery: 2028-01, containers: 4}]}",
    ],
)
def test_change_leaves_no_plan(change: str) -> None:
    with pytest.raises(Infeasible):
        plan(load_case("tiny", [change]))


@pytest.mark.parametrize(
    "change",
    [
        future("offers", "price_scale_frac: 1, lithium_scale_frac: 1, lead_add_months: 0, risk_add_frac: 0"),
        future("factories", "delay_months: 0, output_scale_frac: 1, obtainable_scale_frac: 1"),
        future("duties", "since: 2028-05, add_frac: 0"),
        future("lithium", "from_year: 2029, price_scale_frac: 1"),
        future("costs", "costs: [land_usd_per_m2], value_scale_frac: 1"),
        future("load", "delay_months: 0, target_scale_frac: 1, full_service_h: 0"),
    ],
)
def test_neutral_value_changes_no_figure(change: str) -> None:
    """Rows may be added (a year between two others), but every look-up gives the same."""
    base, neutral = loaded("utility-200mw"), loaded("utility-200mw", change)
    assert [dataclasses.astuple(p) for p in base.periods] == [dataclasses.astuple(p) for p in neutral.periods]
    old, new = Book(base), Book(neutral)
    fields = set(type(base.offers[0]).model_fields) - {"price", "confidence"}
    for a, b in zip(base.offers, neutral.offers, strict=True):
        assert a.model_dump(include=fields) == b.model_dump(include=fields)
        for period in base.periods:
            year = period.start // 12
            assert old.price(a, year) == pytest.approx(new.price(b, year))
            assert old.duty_rate(a, period.start) == new.duty_rate(b, period.start)
            assert old.lithium_usd(a, year, 4000.0) == pytest.approx(new.lithium_usd(b, year, 4000.0))
            for factory in (a.cell_factory, a.assembly_plant):
                limits = [book.factory_limit_mwh(factory, year, 1.0) for book in (old, new)]
                assert limits[0] == pytest.approx(limits[1])
    assert base.case.reliability == neutral.case.reliability


def offer(problem: Problem, name: str):
    return next(o for o in problem.offers if o.offer == name)


def test_duty_is_added_between_its_dates_for_model_and_verifier() -> None:
    change = future(
        "duties", "origins: [China], classes: [lithium_ion], since: 2028-05, until: 2029-03, add_frac: 0.113"
    )
    base, changed = loaded("utility-200mw"), loaded("utility-200mw", change)
    china, korea = offer(base, "catl-tener-cn"), offer(base, "lg-jh4-kr")
    for month, added in (("2028-04", 0.0), ("2028-05", 0.113), ("2029-02", 0.113), ("2029-03", 0.0)):
        at = parse_month(month)
        rates = [Book(p).duty_rate(china, at) for p in (base, changed)]
        assert rates[1] - rates[0] == pytest.approx(added)
        assert finance.duty_rate(changed, china, at) == pytest.approx(rates[1])
        assert Book(changed).duty_rate(korea, at) == Book(base).duty_rate(korea, at)


@pytest.mark.parametrize(
    ("clock", "months"),
    [
        ("delivered", "commissioning_months"),
        ("shipped", "shipping_months commissioning_months"),
        ("ordered", "order_lead_months"),
    ],
)
def test_cut_off_spares_what_its_clock_spares(clock: str, months: str) -> None:
    since = parse_month("2029-01")
    change = future("cutoffs", f"countries: [China], goods: cell, since: 2029-01, clock: {clock}")
    problem = loaded("hyperscaler-1gw-texas", change)
    china, korea = offer(problem, "tesla-mp3-tx-catl"), offer(problem, "lg-jh4-kr")
    last = since + sum(getattr(china, m) for m in months.split())
    for period in problem.periods:
        cut = any(ban.startswith("cut-off") for ban in bans_on(problem, china, period))
        assert cut == (period.start >= last), period.label
        assert not any(ban.startswith("cut-off") for ban in bans_on(problem, korea, period))


def test_late_ramp_gives_what_the_tables_give_earlier() -> None:
    change = future("factories", "factories: [ford-glendale], delay_months: 12, obtainable_scale_frac: 0.9")
    base, late = Book(loaded("utility-200mw")), Book(loaded("utility-200mw", change))
    for year in range(2027, 2034):
        before = base.factory_limit_mwh("ford-glendale", year - 1, 1.0)
        assert late.factory_limit_mwh("ford-glendale", year, 1.0) == pytest.approx(0.9 * before)
    assert late.factory_limit_mwh("lg-lansing", 2029, 1.0) == base.factory_limit_mwh("lg-lansing", 2029, 1.0)


def test_lithium_rises_after_the_price_was_dated() -> None:
    """Pass-through counts the rise since the offer was dated: tripling must not lift the base of 2026."""
    problem = loaded("utility-200mw", future("lithium", "from_year: 2027, price_scale_frac: 3"))
    base = Book(loaded("utility-200mw"))
    china = offer(problem, "catl-tener-cn")
    assert Book(problem).lithium_index(2026) == base.lithium_index(2026)
    rise = 3 * base.lithium_index(2029) - base.lithium_index(2026)
    kwh = china.energy_nameplate_dc_mwh * 1000
    want = china.lithium_pass_through_frac * china.lithium_kg_per_kwh * rise
    assert Book(problem).lithium_usd(china, 2029, kwh) == pytest.approx(want)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", shipped_scenarios())
def test_shipped_scenario_fits_every_buyer_and_changes_the_question(case: str, name: str) -> None:
    same = load_case(case, scenario=name).input_sha256 == loaded(case).input_sha256
    # A public owner has no credit that could end.
    assert same == ((case, name) == ("defence-50mw", "credits-end"))


def test_overlays_add_to_each_other() -> None:
    both = load_case("utility-200mw", scenario=["export-cut-off-early", "conversions-late"])
    assert set(both.case.futures.cutoffs) == {"cells", "systems"}
    assert both.case.futures.factories["converted"].delay_months == 18


def test_unknown_names_are_faults() -> None:
    changes = [
        future("offers", "suppliers: [CATTL], price_scale_frac: 2"),
        future("duties", "origins: [Chyna], since: 2028-01, add_frac: 0.1"),
    ]
    with pytest.raises(InputError) as caught:
        load_case("utility-200mw", changes)
    assert {f.key for f in caught.value.faults} == {"futures.offers.test.suppliers", "futures.duties.test.origins"}


def test_committed_orders_are_cut_with_their_factory() -> None:
    """Ten signed on a factory that gives 55 % of it: five come, and five block-a are a plan."""
    problem = loaded("tiny")
    per = problem.offers[0].energy_nameplate_dc_mwh
    limit = Book(problem).factory_limit_mwh(problem.offers[0].cell_factory, 2028, 1.0)
    scale = 0.55 * 10 * per / limit
    signed = "committed={until: 2028-01, orders: [{offer: block-a, delivery: 2028-01, containers: 10}]}"
    found = tiny(signed, f"supply.scale_frac={scale!r}")
    assert [(o.offer, o.containers) for o in found.orders] == [("block-a", 5)]


def test_nodes_come_earlier_larger_and_cheaper() -> None:
    """A change of the sourcing network moves start and ramp together, and names itself in the rows."""
    on = "sourcing.mode=free"
    base = loaded("utility-200mw", on)
    problem = loaded(
        "utility-200mw", on,
        future("nodes", "nodes: [mitra-muskegon-lfp], start_add_months: -12, output_scale_frac: 1.5,"
                        " risk_scale_frac: 0.5, premium_add_usd_per_unit: -0.9"),
    )  # fmt: skip
    before, after = (next(n for n in p.tables.source_nodes if n.node == "mitra-muskegon-lfp") for p in (base, problem))
    assert after.start == before.start - 12
    assert after.premium_usd_per_unit == pytest.approx(before.premium_usd_per_unit - 0.9)
    assert after.delay_risk_frac == pytest.approx(before.delay_risk_frac / 2)
    assert "futures.nodes.test" in after.note

    def capacity(p: Problem, year: int) -> float:
        rows = sorted((r for r in p.tables.source_output if r.node == "mitra-muskegon-lfp"), key=lambda r: r.year)
        return float(np.interp(year, [r.year for r in rows], [r.capacity for r in rows]))

    for year in range(2027, 2034):
        assert capacity(problem, year) == pytest.approx(1.5 * capacity(base, year + 1))
    with pytest.raises(InputError) as caught:
        loaded("utility-200mw", on, future("nodes", "layers: [cathod], start_add_months: 12"))
    assert {f.key for f in caught.value.faults} == {"futures.nodes.test.layers"}


def test_faults_of_the_network_come_together(tmp_path: Path) -> None:
    """Wrong names and missing rows of own tables are faults with file and key, and only with the network on."""
    nodes = tmp_path / "nodes.csv"
    nodes.write_text(
        "node,layer,owner,country,owner_country,chemistries,feeds,premium_usd_per_unit,ahead_months,start,delay_risk_frac,"
        "unit,source,date,confidence,note\nnew-ore,minning,me,Chile,Chile,lfp,nowhere,1,3,2027-01,0,USD/kg,me,2026,low,\n"
    )
    takes = tmp_path / "takes.csv"
    takes.write_text(
        "offer,layer,nodes,change_usd_per_kwh,unit,source,date,confidence,note\n"
        "lg-jf2-mi,cathode,lf-daegu-lpf,0,USD/kWh,me,2026,low,\nlg-jf2-mi,pack,*,0,USD/kWh,me,2026,low,\n"
    )
    own = f"tables={{source_nodes: {nodes}, offer_sourcing: {takes}}}"
    with pytest.raises(InputError) as caught:
        load_case("utility-200mw", [own, "sourcing.mode=free"])
    assert {f.key for f in caught.value.faults} == {
        "new-ore layer", "new-ore feeds", "node", "lg-jf2-mi cathode", "lg-jf2-mi pack",
    }  # fmt: skip
    load_case("utility-200mw", [own])


def test_a_layer_cut_off_can_be_led_past() -> None:
    """With sources chosen, an offer that the cut-off of a layer stops still comes if none of the layer is Chinese."""
    stopped = load_case("utility-200mw", scenario="cathode-control")
    chosen = load_case("utility-200mw", ["sourcing.mode=free"], scenario="cathode-control")
    lg, tener = (next(o for o in chosen.offers if o.offer == n) for n in ("lg-jf2-mi", "catl-tener-cn"))
    last = chosen.periods[-1]
    assert [b for b in bans_on(stopped, offer(stopped, "lg-jf2-mi"), stopped.periods[-1]) if "cut-off" in b]
    assert not list(bans_on(chosen, lg, last))
    proven = list(bans_proven_by(chosen, lg, last))
    assert [(b.proof_layers, b.proof_frac) for b in proven] == [("cathode", 0.0)]
    assert [b for b in bans_on(chosen, tener, last) if "cut-off" in b]
