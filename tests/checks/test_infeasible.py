"""The clash that is named is smallest, and every way out is one: all proved by planning the changed question."""

from __future__ import annotations

from dataclasses import replace

import pytest

from planner.infeasible import Diagnosis, diagnose, explain
from planner.inputs import load_case
from planner.pipeline import plan
from planner.problem import Problem
from planner.rulebook import Rule, Variant, rules_of
from planner.solve import Infeasible, Stop
from planner.workbench import Workbench
from tests.properties.questions import CALM, lean, output_row

NARROW = "site.zones.0.length_m=2"
CASES: dict[str, Problem] = {
    "narrow yard": load_case("tiny", [NARROW]),
    "late decision": load_case("tiny", ["timeline.decision=2027-12"]),
    "no factory": load_case("tiny", ["supply.scale_frac=0.0001"]),
    "exposure": load_case("tiny", ["exposure_limits={value_ownership: {max_frac: 0.1}}"]),
    "floor": load_case("tiny", ["policy.domestic_floor_frac=0.95"]),
    "two at once": load_case("tiny", [NARROW, "policy.domestic_floor_frac=0.95"]),
    "loss of a supplier": lean(
        offers=("Alpha", "Beta"), reliability__contingencies={**CALM, "supplier": 0.97},
        tables={"factory_output": tuple(output_row(f, 0.071) for f in ("A-cells", "A-plant", "B-works", "G-plant"))},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def told() -> dict[str, Diagnosis]:
    return {name: diagnose(problem) for name, problem in CASES.items()}


def rule(problem: Problem, name: str) -> Rule:
    return next(r for r in rules_of(problem) if r.name == name)


def holds(variant: Variant) -> bool:
    """Whether any plan in whole containers exists."""
    found = Workbench(variant, Stop(60.0), True, 0.01).feasible()
    assert found is not None
    return found


@pytest.mark.parametrize("name", CASES)
def test_the_case_is_infeasible_and_said_to_be(name: str, told: dict[str, Diagnosis]) -> None:
    with pytest.raises(Infeasible):
        plan(CASES[name])
    found = told[name]
    assert found.finished
    assert found.sets
    assert found.ways_out


@pytest.mark.parametrize("name", CASES)
def test_every_set_is_smallest(name: str, told: dict[str, Diagnosis]) -> None:
    """With all other rules dropped the set still clashes; with any member dropped too, it does not."""
    problem = CASES[name]
    for clash in told[name].sets:
        members = [c.rule for c in clash]
        only = Variant(problem)
        for r in rules_of(problem):
            only = r.drop(only) if r.name not in members else only
        assert not holds(only)
        for member in members:
            assert holds(rule(problem, member).drop(only)), member


@pytest.mark.parametrize("name", CASES)
def test_every_way_out_is_one_and_none_is_too_far(name: str, told: dict[str, Diagnosis]) -> None:
    """Planning the eased question gives a verified plan; easing a little less gives none."""
    problem = CASES[name]
    for way in told[name].ways_out:
        if any(unit == "MWh nameplate" for unit in way.units):
            continue
        changed = less = Variant(problem)
        for i, (named, amount) in enumerate(zip(way.rules, way.amounts, strict=True)):
            r = rule(problem, named)
            whole = r.ease is None or amount >= r.most
            changed = r.drop(changed) if whole or r.ease is None else r.ease(changed, amount)
            if i == len(way.rules) - 1 and r.ease is not None and not whole:
                less = r.ease(less, amount - max(1.0 if r.unit == "months" else 0.0, 0.13, 2e-3 * amount))
            else:
                less = changed
        if changed.waived or len(changed.rules) < len(Variant(problem).rules):
            assert holds(changed), way.text
        else:
            found = plan(changed.problem, gap_frac=0.01)
            assert found.verification is not None
            assert found.verification.passed, way.text
            assert way.cost_upper_musd == pytest.approx(found.cost_musd, rel=0.03)
        if less is not changed:
            assert not holds(less), way.text


def test_numbers_of_the_narrow_yard(told: dict[str, Diagnosis]) -> None:
    """Two blocks of each kind take 270 m2 (tiny, by hand); 2 m x 100 m is 200 m2, so 35 % are missing.

    A block of b (6 MWh) and one of a (4 MWh) take 135 m2, two of b and none of a likewise: 12 MWh, 60 % of the
    load; a third block does not fit.
    """
    ways = {w.rules: w for w in told["narrow yard"].ways_out}
    assert ways["site.zones",].text == "yards 35.0 % longer"
    assert ways["reliability.service",].amounts[0] == pytest.approx(40.0, abs=0.05)
    assert ways["load.floor_mw",].text == "4.0 MW less contracted in every period"


def test_missing_deliveries_are_told_and_enough(told: dict[str, Diagnosis]) -> None:
    """Twenty MWh are needed and nothing can come: so 20 MWh are missing, and a factory that has them is enough."""
    (way,) = [w for w in told["late decision"].ways_out if "MWh nameplate" in w.units]
    assert way.text == "delivery of 20.0 MWh more lfp from United States by 2028-01"
    (way,) = [w for w in told["no factory"].ways_out if "MWh nameplate" in w.units]
    assert sum(way.amounts) == pytest.approx(20.0, abs=0.1)
    problem = CASES["no factory"]
    for gwh, fits in ((0.0201, True), (0.0199, False)):
        rows = tuple(
            r.model_copy(update={"capacity_gwh": gwh, "committed_frac": 0.0, "obtainable_frac": 1.0})
            for r in problem.tables.factory_output
        )
        changed = replace(problem, tables=replace(problem.tables, factory_output=rows))
        supply = changed.case.supply.model_copy(update={"scale_frac": 1.0})
        changed = replace(changed, case=changed.case.model_copy(update={"supply": supply}))
        assert holds(Variant(changed)) is fits


def test_two_clashes_are_both_told(told: dict[str, Diagnosis]) -> None:
    """A yard that is too small and a floor that no offer reaches: neither easing helps without the other."""
    found = told["two at once"]
    assert {"policy.domestic_floor_frac", "site.zones"} <= {c.rule for rules in found.sets for c in rules}
    names = [set(way.rules) for way in found.ways_out]
    assert {"policy.domestic_floor_frac", "site.zones"} in names
    assert {"policy.domestic_floor_frac"} not in names
    assert {"site.zones"} not in names


def test_bans_and_lead_times_can_be_named() -> None:
    """Nothing can be delivered in time: the decision is too late for every offer, whatever else gives."""
    assert {"lead_time", "load.floor_mw"} <= {c.rule for c in explain(CASES["late decision"])}
