# ruff: noqa: E501
"""Content ratios, credit rates and bans by hand; the IRS table is the shipped one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from planner.case import Phase
from planner.catalogue import BanRow
from planner.inputs import load_case
from planner.pipeline import plan
from planner.policy import (
    bans_on,
    credit_phase,
    credit_rate,
    credit_value,
    domestic_content,
    domestic_threshold,
    flag_binds,
    macr_threshold,
    material_assistance,
)
from planner.problem import Component, Flag, Problem
from planner.units import parse_month
from tests.properties.questions import STAMP, lean

M = parse_month
PACK = ("cells", "packaging", "pack_production")
INVERTER = ("pcb_assemblies", "inverter_thermal", "electrical_parts", "inverter_enclosure", "inverter_production")
CONTAINER = ("enclosure", "bms", "container_thermal", "container_production")
ALL = (*PACK, *INVERTER, *CONTAINER)


@pytest.fixture(scope="module")
def irs() -> Problem:
    """A problem on the shipped tables."""
    return load_case("tiny")


def box(
    problem: Problem, us: tuple[str, ...] = ALL, barred: tuple[str, ...] = (), present: tuple[str, ...] = ALL
) -> Any:
    """An offer with the given components US-made, prohibited, present."""
    parts = {
        n: Component(present=n in present, us_made=n in us, prohibited="yes" if n in barred else "no") for n in ALL
    }  # fmt: skip
    return problem.offers[0].model_copy(update={"components": parts})


def test_sums_of_the_irs_table(irs: Problem) -> None:
    """Notice 2025-08, grid-scale: pack 52.0 + 5.6 + 8.0 = 65.6; inverter 1.4 + 0.4 + 0.5 + 0.4 + 1.9 = 4.6.

    Container 14.8 + 7.4 + 5.6 + 2.0 = 29.8 (the published subtotal; the rows give 29.8), total 100.
    """
    for parts, total in ((PACK, 0.656), (INVERTER, 0.046), (CONTAINER, 0.298), (ALL, 1.0)):
        assert domestic_content(irs, box(irs, us=parts)) == pytest.approx(total, abs=1e-12)


@pytest.mark.parametrize(
    ("barred", "ratio"),
    [
        (PACK, 0.344),
        (("cells",), 0.48),
        (("packaging", "pack_production", *CONTAINER, *INVERTER), 0.52),
        ((*CONTAINER, *INVERTER), 0.656),
        (CONTAINER, 0.702),
        (INVERTER, 0.954),
        (("bms",), 0.926),
        (("enclosure",), 0.852),
        (ALL, 0.0),
        ((), 1.0),
    ],
)
def test_material_assistance_cases(irs: Problem, barred: tuple[str, ...], ratio: float) -> None:
    """One less the weights of what a prohibited entity made: 1 - 0.656 = 0.344 for the pack, 1 - 0.52 = 0.48 for cells."""
    assert material_assistance(irs, box(irs, barred=barred)) == pytest.approx(ratio, abs=1e-12)


@pytest.mark.parametrize(
    ("us", "share"),
    [
        ((*CONTAINER, *INVERTER), 0.344),
        (("cells",), 0.52),
        (PACK, 0.656),
        (("cells", *CONTAINER), 0.818),
        (("packaging", *CONTAINER, *INVERTER), 0.40),
    ],
)
def test_domestic_content_cases(irs: Problem, us: tuple[str, ...], share: float) -> None:
    """Sum of the weights of US-made components; all but cells loses pack production too: 100 - 52 - 8 = 40."""
    assert domestic_content(irs, box(irs, us=us)) == pytest.approx(share, abs=1e-12)


def test_what_is_absent(irs: Problem) -> None:
    """Without inverter the denominator of material assistance is 0.954: prohibited cells leave 1 - 0.52 / 0.954 = 0.45493.

    Domestic content keeps 100 below the line: 1 - 0.046 = 0.954 with everything else US-made.
    """
    bare = box(irs, barred=("cells",), present=(*PACK, *CONTAINER))
    assert material_assistance(irs, bare) == pytest.approx(1 - 0.52 / 0.954)
    assert domestic_content(irs, bare) == pytest.approx(0.954)
    assert material_assistance(irs, box(irs, present=())) == 1.0


def test_mixing_is_weighted_by_nameplate(irs: Problem) -> None:
    """Prohibited packs (0.344) and others (1.0): share x of packs passes 55 % up to 0.45 / 0.656 = 68.6 %.

    At 75 % (starts from 2030) it is 0.25 / 0.656 = 38.1 %.
    """
    pack = material_assistance(irs, box(irs, barred=PACK))
    for threshold, most in ((0.55, 0.686), (0.60, 0.610), (0.65, 0.534), (0.70, 0.457), (0.75, 0.381)):
        assert (1 - threshold) / (1 - pack) == pytest.approx(most, abs=5e-4)


def test_thresholds_by_construction_start(irs: Problem) -> None:
    """Material assistance 55, 60, 65, 70, 75 % for starts in 2026 to 2030; none before 2026. Domestic 50 % in 2026, then 55 %."""

    def phase(start: str) -> Phase:
        return Phase(phase="x", construction_start=start, deliveries_until="2040-01")

    assert macr_threshold(irs, phase("2025-12")) is None
    for year, least in ((2026, 0.55), (2027, 0.60), (2028, 0.65), (2029, 0.70), (2030, 0.75), (2031, 0.75)):
        assert macr_threshold(irs, phase(f"{year}-01")) == least
        assert macr_threshold(irs, phase(f"{year}-12")) == least
    assert domestic_threshold(irs, phase("2026-12")) == 0.50
    assert domestic_threshold(irs, phase("2027-01")) == 0.55
    assert [credit_value(irs, "available_frac", M(f"{y}-06")) for y in (2033, 2034, 2035, 2036)] == [
        1.0,
        0.75,
        0.5,
        0.0,
    ]


def test_credit_rates_of_the_small_tables() -> None:
    """30 % base, 10 % bonus, 10 % energy community, 95 % available, sold at 7 % off.

    Base: (0.30 + 0.10) x 0.95 x 0.93 = 0.35340; bonus: 0.50 x 0.95 x 0.93 = 0.44175; own use: x 1; no community: 0.30.
    Without prevailing wage the small tables have no rows: 0.
    """
    problem = lean()
    phase = problem.case.policy.phases[0]
    assert credit_rate(problem, phase, "base") == pytest.approx(0.3534)
    assert credit_rate(problem, phase, "bonus") == pytest.approx(0.44175)
    assert credit_rate(problem, phase, "none") == 0.0
    own = lean(policy__monetisation="own", policy__energy_community=False)
    assert credit_rate(own, phase, "base") == pytest.approx(0.285)
    assert credit_rate(lean(policy__monetisation="none"), phase, "bonus") == 0.0
    assert credit_rate(lean(policy__prevailing_wage=False), phase, "bonus") == 0.0


def test_phases_and_continuity() -> None:
    """Construction from 2025-01 gives credit up to 48 months later: a period that starts 2029-01 counts, 2029-02 does not.

    A period at or after the last ``deliveries_until`` has no phase; each period takes the first phase that is still open.
    """
    phases = [
        {"phase": "old", "construction_start": "2025-01", "deliveries_until": "2029-03"},
        {"phase": "new", "construction_start": "2028-05", "deliveries_until": "2031-07"},
    ]
    problem = lean(policy__phases=phases)
    at = lambda month: replace(problem.periods[0], start=M(month))  # noqa: E731
    wanted = {"2029-01": 0, "2029-02": None, "2029-03": 1, "2031-06": 1, "2031-07": None}
    assert {m: credit_phase(problem, at(m)) for m in wanted} == wanted
    nothing = lean(policy__phases=phases, policy__monetisation="none")
    assert credit_phase(nothing, at("2029-01")) is None


def test_flags_and_bans() -> None:
    """A disputed flag binds under ``refuse`` only; a flag has force from its date; a ban looks at order or delivery.

    Alpha is ordered 18 months before delivery: for 2029-01 in 2027-07, a month after the ban of orders from 2027-06.
    """
    flags = {"ndaa154": Flag(status="disputed", since=M("2027-08"), reason="test")}
    rows = tuple(
        BanRow(ban=f"ban by {clock}", buyer="utility", flag="ndaa154", since="2027-06", clock=clock, **STAMP)
        for clock in ("order", "delivery")
    )
    problem = lean(offer_changes={"Alpha": {"flags": flags}}, tables={"bans": rows}, policy__disputed="refuse")
    alpha, period = problem.offers[0], problem.periods[0]
    assert not flag_binds(lean(offer_changes={"Alpha": {"flags": flags}}), alpha, "ndaa154")
    assert flag_binds(problem, alpha, "ndaa154")
    assert not flag_binds(problem, alpha, "ndaa154", M("2027-07"))
    assert list(bans_on(problem, alpha, period)) == ["ban by delivery"]
    assert list(bans_on(problem, alpha, replace(period, start=M("2029-02")))) == ["ban by order", "ban by delivery"]
    other = problem.case.model_copy(update={"buyer": "defence"})
    assert list(bans_on(replace(problem, case=other), alpha, period)) == []


def test_credit_of_a_plan_by_hand() -> None:
    """One phase that earns the bonus: credit = 0.44175 x capex, 12 months after delivery.

    The plan's items are present values at delivery; all of capex but equipment is paid then, and equipment is paid
    then too, so the credit is 0.44175 x (capex items) x 1.067^-1.
    """
    problem = lean(
        offers=("Beta",), finance__payments=[{"at": "delivery", "share_frac": 1.0}], finance__discount_rate_frac=0.067,
        offer_changes={"Beta": {"response_s": 0.1}},
    )  # fmt: skip
    items = plan(problem, gap_frac=0.0).cost_breakdown_musd
    names = ("equipment", "duty", "freight", "power_conversion", "balance_of_plant", "installation", "epc")
    # Beta holds 0.52 + 0.17 = 0.69 domestic and no prohibited part: the bonus.
    assert items["tax_credit"] == pytest.approx(-0.44175 / 1.067 * sum(items[n] for n in names))
