# ruff: noqa: E501
"""Areas, setbacks and fire rules by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from planner.model.coefficients import Coefficients
from planner.yard import fire_area_cap_mwh, fire_group, fire_rule, hazard_class, may_stand, occupied_m2, zone_options
from tests.properties.questions import fire_row, full_tables, lean


def test_occupied_area() -> None:
    """6.1 x 2.4 m = 14.64 m2; lfp with a unit test x 2.7, others x 2.3; balance of plant x 1.2: 47.4336 and 40.4064 m2."""
    problem = lean()
    assert [occupied_m2(problem, o) for o in problem.offers] == pytest.approx([47.4336, 40.4064, 40.4064])


def test_options_of_a_zone() -> None:
    """North: 79 x 43 m, 4 m from the hall, 2 m from the line. Line rule 3.1 m: inset 1.1 m on three sides.

    Open, level 6.1 m: needs 2.1 m more: (79 - 2.2) x (43 - 2.1 - 1.1) = 76.8 x 39.8 = 3056.64 m2, all but lfp.
    Open, level 9.3 m: needs 5.3 m more: 76.8 x 36.6 = 2810.88 m2, all.
    Wall, level 3 m: nothing more: 76.8 x 41.9 = 3217.92 m2, all, for 890 USD/m x 244 m = 217,160 USD.
    """
    problem = lean()
    options = zone_options(problem, problem.case.site.zones[0])
    found = {(j.barrier, j.setback_m): (j.usable_m2, j.cost_usd, j.chemistries) for j in options}
    assert set(found) == {(False, 6.1), (False, 9.3), (True, 3.0)}
    assert found[False, 6.1] == (pytest.approx(3056.64), 0.0, {"zinc", "none"})
    assert found[False, 9.3] == (pytest.approx(2810.88), 0.0, {"lfp", "zinc", "none"})
    assert found[True, 3.0] == (pytest.approx(3217.92), pytest.approx(217_160), {"lfp", "zinc", "none"})


def test_beaten_options_are_left_out() -> None:
    """South is 55 m from the hall, where no setback bites: one open option is as good as any, and the wall only costs."""
    problem = lean()
    (only,) = zone_options(problem, problem.case.site.zones[1])
    assert (only.barrier, only.usable_m2) == (False, 157.0 * 67.0)
    assert only.chemistries == {"lfp", "zinc", "none"}


def test_a_zone_too_narrow_has_no_area() -> None:
    """Width 6 m, 5.3 m of setback and 1.1 m of inset: -0.4 m is nothing, not a negative area."""
    problem = lean()
    zone = problem.case.site.zones[0].model_copy(update={"width_m": 6.0})
    assert {j.setback_m: j.usable_m2 for j in zone_options(problem, zone) if not j.barrier}.get(9.3, 0.0) == 0.0


def test_the_most_specific_rule() -> None:
    """Profile before common; then the row with more named fields."""
    problem = lean()
    assert hazard_class(problem, problem.offers[0]) == 1.7
    assert hazard_class(problem, problem.offers[1]) == 1.0
    rows = (
        *full_tables()["fire_rules"],
        fire_row("group_containers", 5.0, "zinc"),
        fire_row("group_containers", 7.0, "zinc", evidence="unit_test"),
        fire_row("group_containers", 11.0, profile="ifc2018", evidence="lsft"),
    )
    table = replace(problem, tables=replace(problem.tables, fire_rules=rows))
    assert [fire_group(table, o) for o in table.offers[:2]] == [3, 7]
    tested = table.offers[1].model_copy(update={"evidence": "lsft"})
    assert fire_group(table, tested) == 11
    none = table.offers[1].model_copy(update={"evidence": "none"})
    assert fire_group(table, none) == 5
    with pytest.raises(LookupError, match="no fire rule"):
        fire_rule(problem, "event_rate_per_gw_yr", "zinc")


def test_who_may_stand_where() -> None:
    """Lfp needs 1900 l/min; a zone with 1899 cannot take it; a list of chemistries binds storage only."""
    problem = lean()
    alpha, beta, gen = problem.offers
    south = problem.case.site.zones[1]
    assert may_stand(problem, alpha, south)
    assert not may_stand(problem, alpha, south.model_copy(update={"fire_water_lpm": 1899.0}))
    listed = south.model_copy(update={"allowed_chemistries": ("lfp",)})
    assert [may_stand(problem, o, listed) for o in (alpha, beta, gen)] == [True, False, True]


def test_how_many_fit() -> None:
    """North alone: lfp 3217.92 / 47.43 = 67.8 by area (with the wall); 7 areas x 60 MWh / 4.7 = 89.4 by cap;

    900 MWh of hazard / (1.7 x 4.7) = 112.6: 67. Beta is not listed there. With 3 areas: 180 / 4.7 = 38.3: 38.
    With a budget of 100: 100 / 7.99 = 12.5: 12.
    """
    assert Coefficients(lean()).fit(0, 0) == 67
    assert Coefficients(lean()).fit(1, 0) == 0
    for change, count in (({"fire_areas": 3}, 38), ({"hazard_budget_mwh": 100.0}, 12)):
        problem = lean()
        zones = [z.model_dump() for z in problem.case.site.zones]
        zones[0] |= change
        assert Coefficients(lean(site__zones=zones)).fit(0, 0) == count


def test_cap_by_zone_type() -> None:
    """Lfp: 60 MWh a fire area near the hall, else 9700 (the general row). Zinc: 55 anywhere."""
    problem = lean()
    north, south = problem.case.site.zones
    alpha, beta, _ = problem.offers
    caps = [fire_area_cap_mwh(problem, o, z) for o in (alpha, beta) for z in (north, south)]
    assert caps == [60.0, 9700.0, 55.0, 55.0]
