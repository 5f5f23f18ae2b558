"""The clash that is named is one: every rule of it is needed, and the amounts resolve it."""

from __future__ import annotations

import pytest

from planner.infeasible import explain
from planner.inputs import load_case
from planner.pipeline import plan
from planner.solve import Infeasible

NARROW = "site.zones.0.length_m=2"


def test_small_yard_clashes_with_load_and_outages() -> None:
    """Two blocks of each kind take 270 m2 (tiny, by hand); 2 m x 100 m is 200 m2, so 35 % are missing."""
    problem = load_case("tiny", [NARROW])
    with pytest.raises(Infeasible):
        plan(problem)
    clash = {c.rule: c.must_give for c in explain(problem)}
    assert set(clash) == {"contracted_load", "reliability", "site_area"}
    assert "35.0%" in clash["site_area"]
    assert "21." in clash["reliability"]


@pytest.mark.parametrize(
    "way_out",
    [
        ["site.zones.0.length_m=2.7"],
        [NARROW, "load.final_floor_frac=0.6"],
        [NARROW, "reliability.service=[{until_h: 2, share_frac: 0.6}]"],
    ],
)
def test_giving_in_resolves_it(way_out: list[str]) -> None:
    found = plan(load_case("tiny", way_out))
    assert found.verification is not None
    assert found.verification.passed


@pytest.mark.parametrize("length_m", [2.5, 2.69])
def test_less_than_said_does_not(length_m: float) -> None:
    with pytest.raises(Infeasible):
        plan(load_case("tiny", [f"site.zones.0.length_m={length_m}"]))


def test_bans_and_lead_times_can_be_named() -> None:
    """Nothing can be delivered in time: the decision is too late for every offer, whatever else gives."""
    problem = load_case("tiny", ["timeline.decision=2027-12"])
    assert {"lead_time", "contracted_load"} <= {c.rule for c in explain(problem)}
