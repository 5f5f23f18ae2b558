"""What must not change the cost, and what may only lower it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pyomo.environ as pyo
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from planner.catalogue import TariffRow
from planner.model.build import build_model
from planner.model.coefficients import Coefficients
from planner.pipeline import plan
from planner.problem import Problem
from planner.search import Search
from planner.solve import Compiled, Infeasible, Run, Stop
from planner.verify import verify
from tests.properties.questions import CALM, STAMP, lean
from tests.properties.test_brute_force import SETTINGS, odd, questions

CONTINGENT: dict[str, Any] = {
    "reliability__contingencies": {**CALM, "supplier": 0.23, "fire_group": 0.71},
    "reliability__storage_mandate_h": 1.3, "policy__domestic_floor_frac": 0.31,
}  # fmt: skip


def cost(problem: Problem, gap: float = 0.0) -> float:
    """Proved cost of a problem, infinite if nothing holds; the plan must pass the verifier."""
    try:
        found = plan(problem, gap_frac=gap)
    except Infeasible:
        return np.inf
    assert found.verification is not None
    assert found.verification.passed, found.verification.errors
    return found.cost_musd


@settings(SETTINGS, max_examples=15)
@given(questions(), st.sampled_from([0.0, 0.013, 0.17]))
def test_every_plan_passes_the_verifier(problem: Problem, gap: float) -> None:
    """At any gap, with every window replayed; the cost lies within the gap that is stated."""
    try:
        found = plan(problem, gap_frac=gap)
    except Infeasible:
        return
    verdict = verify(problem, found, audit=True)
    assert verdict.passed, verdict.errors
    assert found.bound_musd <= found.cost_musd
    assert found.gap_frac <= gap + 1e-6
    exact = cost(problem)
    assert found.bound_musd - 2e-6 <= exact <= found.cost_musd + 2e-6


def offers(problem: Problem, name: str, **fields: Any) -> Problem:
    """The problem with some fields of one offer replaced; a number that is a function changes the old value."""
    changed = []
    for o in problem.offers:
        new = {k: v(getattr(o, k)) if callable(v) else v for k, v in fields.items()}
        changed.append(o.model_copy(update=new) if o.offer == name else o)
    return replace(problem, offers=tuple(changed))


def tables(problem: Problem, **rows: Any) -> Problem:
    return replace(problem, tables=replace(problem.tables, **rows))


def of_case(problem: Problem, path: str, value: Any) -> Problem:
    """The problem with one key of its case replaced."""

    def nested(part: Any, keys: list[str]) -> Any:
        if not keys:
            return value
        return part.model_copy(update={keys[0]: nested(getattr(part, keys[0]), keys[1:])})

    return replace(problem, case=nested(problem.case, path.split(".")))


def scaled_costs(problem: Problem, name: str, factor: float) -> Problem:
    rows = [r.model_copy(update={"value": r.value * factor}) if r.cost == name else r for r in problem.tables.costs]
    return tables(problem, costs=tuple(rows))


def wider(problem: Problem, factor: float) -> Problem:
    zones = tuple(z.model_copy(update={"width_m": z.width_m * factor}) for z in problem.case.site.zones)
    return of_case(problem, "site.zones", zones)


def more_output(problem: Problem, factor: float) -> Problem:
    rows = [r.model_copy(update={"capacity_gwh": r.capacity_gwh * factor}) for r in problem.tables.factory_output]
    return tables(problem, factory_output=tuple(rows))


def lower_phi(problem: Problem, factor: float) -> Problem:
    rules = problem.case.reliability.contingencies
    eased = {k: None if v is None else v * factor for k, v in rules}
    return of_case(problem, "reliability.contingencies", type(rules)(**eased))


def lower_duty(problem: Problem, factor: float) -> Problem:
    rows = [r.model_copy(update={"rate_frac": r.rate_frac * factor}) for r in problem.tables.tariffs]
    return tables(problem, tariffs=tuple(rows))


Ease = Callable[[Problem, float], Problem]
#: Each takes a problem and a factor below 1, and gives one that is nowhere dearer or tighter.
EASIER: dict[str, Ease] = {
    "price": lambda p, f: offers(p, "Alpha", price=lambda old: {y: v * f for y, v in old.items()}),
    "duty": lower_duty,
    "freight": lambda p, f: scaled_costs(p, "freight_usd_per_t", f),
    "installation": lambda p, f: scaled_costs(p, "installation_usd_per_kwh", f),
    "insurance": lambda p, f: scaled_costs(p, "insurance_frac_per_yr", f),
    "land": lambda p, f: scaled_costs(p, "land_usd_per_m2", f),
    "upkeep": lambda p, f: offers(p, "Alpha", om_usd_per_kwh_yr=lambda old: old * f),
    "factory output": lambda p, f: more_output(p, 1 / f),
    "area": lambda p, f: wider(p, 1 / f),
    "phi": lower_phi,
    "availability": lambda p, f: offers(p, "Alpha", availability_frac=lambda old: 1 - (1 - old) * f),
    "lead time": lambda p, f: offers(p, "Alpha", lead_time_months=lambda old: int(old * f)),
    "minimum order": lambda p, f: offers(p, "Alpha", min_order_mwh=lambda old: old * f),
    "delay price": lambda p, f: of_case(p, "load.delay_usd_per_mw_yr", p.case.load.delay_usd_per_mw_yr * f),
    "served share": lambda p, f: of_case(
        p, "reliability.service",
        tuple(s.model_copy(update={"share_frac": s.share_frac * f}) for s in p.case.reliability.service),
    ),
    "mandate": lambda p, f: of_case(
        p, "reliability.storage_mandate_h", p.case.reliability.storage_mandate_h * f
    ),
    "domestic floor": lambda p, f: of_case(p, "policy.domestic_floor_frac", p.case.policy.domestic_floor_frac * f),
    "standby price": lambda p, f: replace(p, price_usd_per_mwh=p.price_usd_per_mwh * f),
}  # fmt: skip


@pytest.mark.parametrize("name", EASIER)
def test_easier_never_costs_more(name: str) -> None:
    problem = lean(**CONTINGENT, offer_changes={"Alpha": {"min_order_mwh": 41.0}, "Beta": {"min_order_mwh": 17.0}})
    before = cost(problem)
    assert np.isfinite(before)
    for factor in (0.83, 0.37):
        after = cost(EASIER[name](problem, factor))
        assert after <= before * (1 + 1e-9) + 2e-6
        before = after


@settings(SETTINGS, max_examples=12)
@given(questions(), st.sampled_from(sorted(EASIER)), odd(0.5, 0.97))
def test_easier_never_costs_more_anywhere(problem: Problem, name: str, factor: float) -> None:
    before = cost(problem)
    assume(np.isfinite(before))
    assert cost(EASIER[name](problem, factor)) <= before * (1 + 1e-9) + 2e-6


@pytest.mark.parametrize("gap", [0.011, 0.07])
def test_within_the_gaps(gap: float) -> None:
    """Costs of two inexact plans may cross, but never by more than their gaps."""
    problem = lean(**CONTINGENT)
    dear, cheap = plan(problem, gap_frac=gap), plan(EASIER["price"](problem, 0.97), gap_frac=gap)
    assert cheap.bound_musd <= dear.cost_musd + 2e-6
    assert cheap.cost_musd <= dear.cost_musd * (1 + gap) + 2e-6


def renamed(problem: Problem) -> Problem:
    """The same question under other offer and zone names, sorted differently, in another order."""
    names = {"Alpha": "Zeta", "Beta": "Aleph", "Gen": "Motor"}
    turned = tuple(o.model_copy(update={"offer": names[o.offer]}) for o in reversed(problem.offers))
    zones = tuple(
        z.model_copy(update={"zone": f"{9 - i}-yard"}) for i, z in enumerate(reversed(problem.case.site.zones))
    )
    names_of = [f.name for f in fields(problem.tables) if f.name != "fire_rules"]
    rows = {k: tuple(reversed(getattr(problem.tables, k))) for k in names_of}
    return of_case(tables(replace(problem, offers=turned), **rows), "site.zones", zones)


@settings(SETTINGS, max_examples=12)
@given(questions())
def test_names_and_order_change_no_cost(problem: Problem) -> None:
    before = cost(problem)
    after = cost(renamed(problem))
    assert (after == before) if np.isinf(before) else after == pytest.approx(before, rel=1e-8, abs=2e-6)


def test_a_period_label_changes_no_cost() -> None:
    problem = lean(**CONTINGENT)
    turned = replace(problem, periods=tuple(replace(p, label=f"round {9 - p.index}") for p in problem.periods))
    assert cost(turned) == pytest.approx(cost(problem), rel=1e-8)


def test_an_offer_that_nobody_can_use_changes_no_cost() -> None:
    problem = lean(**CONTINGENT)
    late = problem.offers[1].model_copy(update={"offer": "Never", "lead_time_months": 97, "price": {2029: 1.7}})
    assert cost(replace(problem, offers=(*problem.offers, late))) == pytest.approx(cost(problem), rel=1e-8)


def all_at_once(problem: Problem) -> float:
    """Cost of the model with every outage row, solved directly."""
    model = build_model(problem, rows="all")
    compiled = Compiled.from_pyomo(model)
    whole = compiled.integer.copy()
    for variable in model.placed.values():
        if compiled.index(variable) >= 0:
            whole[compiled.index(variable)] = True
    run = Run(compiled, Stop(60.0), seed=3)
    run.load(whole)
    attempt = run.solve(0.0)
    return np.inf if attempt.infeasible else attempt.objective


@settings(SETTINGS, max_examples=12)
@given(questions())
def test_lazy_rows_are_all_rows(problem: Problem) -> None:
    assert Coefficients(problem).pairs
    exact, lazy = all_at_once(problem), cost(problem)
    assert (lazy == exact) if np.isinf(exact) else lazy == pytest.approx(exact, rel=1e-6, abs=2e-6)


def test_pyomo_solves_the_same_model() -> None:
    """The public model with every row, whole placements, through Pyomo's own HiGHS interface."""
    problem = lean(**CONTINGENT)
    model = build_model(problem, rows="all")
    for variable in model.placed.values():
        variable.domain = pyo.NonNegativeIntegers
    solver = pyo.SolverFactory("appsi_highs")
    solver.config.mip_gap = 0.0
    solver.solve(model)
    assert pyo.value(model.cost_musd) == pytest.approx(cost(problem), rel=1e-6)


def test_seed_rows_alone_are_too_few() -> None:
    """Without separation the seed rows of this problem allow a cheaper fleet: the test above has teeth."""
    problem = lean(**CONTINGENT)
    compiled = Compiled.from_pyomo(build_model(problem, rows="seed"))
    run = Run(compiled, Stop(60.0), seed=3)
    run.load(compiled.integer)
    assert run.solve(0.0).objective < cost(problem) - 1e-3


def test_known_rows_change_no_cost() -> None:
    """Rows of an earlier search, some of them slack or useless, lead to the same plan."""
    problem = lean(**CONTINGENT)
    search = Search(Coefficients(problem), Stop(60.0), 0.0, 1)
    first = search.run()
    again = plan(problem, gap_frac=0.0, known_rows=first.rows)
    assert again.cost_musd == pytest.approx(first.cost_musd, rel=1e-8)


def test_a_duty_of_another_origin_changes_nothing() -> None:
    problem = lean(**CONTINGENT)
    row = TariffRow(duty_origin="KR", duty_class="ess", since="2026-01", rate_frac=0.77, **STAMP)
    assert cost(tables(problem, tariffs=(*problem.tables.tariffs, row))) == pytest.approx(cost(problem), rel=1e-12)
