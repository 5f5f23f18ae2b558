# ruff: noqa: E501
"""Planted bugs: the model is changed behind the planner's back, and something independent must notice.

Each mutant is a monkeypatch of one line of thought (a sign, an efficiency, a missing year).
It counts as killed when, on some small question, the verifier rejects the plan, the planner
contradicts itself, or the cost differs from the brute force.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

import planner.finance as finance
import planner.lazy as lazy
import planner.model.coefficients as coefficients
import planner.model.reliability as reliability
import planner.outages as outages
import planner.policy as policy
import planner.search.parts as search
import planner.supply as supply
import planner.yard as yard
from planner.model.coefficients import Coefficients
from planner.pipeline import plan
from planner.problem import Problem, Tier
from planner.separate import Separator
from planner.solve import Infeasible, SolverFault
from tests.properties.brute import Brute
from tests.properties.questions import BASE_TIER, CALM, full_tables, lean, output_row, ramp

Mutate = Callable[[pytest.MonkeyPatch], None]
FEW = tuple(
    output_row(f, gwh) for f, gwh in (("A-cells", 0.131), ("A-plant", 0.131), ("B-works", 0.071), ("G-plant", 0.9))
)
LOW_FLOORS = ramp(("2029-01", "2030-01", 7.3, 1.1, 31.0), ("2030-01", "2034-01", 13.9, 1.7, 31.0))
SMALL: dict[str, Any] = {"offers": ("Alpha", "Beta"), "tables": {"factory_output": FEW}, "periods": LOW_FLOORS}


def overlaid(**more: Any) -> dict[str, Any]:
    out = {**SMALL, **more}
    if "tables" in more:
        out["tables"] = {**SMALL["tables"], **more["tables"]}
    return out


def credits_with(parameter: str, value: float) -> tuple[Any, ...]:
    rows = full_tables()["credits"]
    return tuple(r.model_copy(update={"value": value}) if r.parameter == parameter else r for r in rows)


BULK = Tier(tier="bulk", from_mwh=13.0, discount_frac=0.11)
QUESTIONS: dict[str, dict[str, Any]] = {
    "plain": SMALL,
    "losses": overlaid(reliability__contingencies={**CALM, "supplier": 0.37, "fire_group": 0.61}),
    "mandate": overlaid(reliability__storage_mandate_h=4.1),
    "content": overlaid(policy__domestic_floor_frac=0.61),
    "exposure": overlaid(exposure_limits={"cell": {"max_frac": 0.41, "per_period": False}}),
    "assistance": overlaid(tables={"credits": credits_with("macr_threshold_frac", 0.97)}),
    "cycled": overlaid(reliability__duty="daily", site__cell_temperature_c=35.0),
    "cheap delay": overlaid(load__delay_usd_per_mw_yr=6.1e4),
    "scarce": overlaid(
        tables={"factory_output": tuple(output_row(f, gwh) for f, gwh in (("A-cells", 0.061), ("A-plant", 0.083), ("B-works", 0.041)))}
    ),
    "orders": overlaid(offer_changes={"Alpha": {"tiers": (BASE_TIER, BULK)}, "Beta": {"min_order_mwh": 17.3}}),
    "short lives": overlaid(
        offer_changes={"Alpha": {"design_life_yr": 2.2}, "Beta": {"design_life_yr": 3.4}}, load__delay_usd_per_mw_yr=4.7e5,
        periods=ramp(("2029-01", "2030-01", 3.7, 0.7, 31.0), ("2030-01", "2031-05", 4.9, 0.7, 31.0), ("2031-05", "2032-03", 4.9, 0.9, 31.0)),
        tables={"factory_output": tuple(output_row(f, 0.053) for f in ("A-cells", "A-plant", "B-works"))},
    ),
    "tight yard": overlaid(
        site__zones=[{
            "zone": "north", "zone_type": "outdoor_near", "length_m": 31.0, "width_m": 19.7, "distance_to_hall_m": 4.0,
            "distance_to_line_m": 2.0, "fire_areas": 1, "hazard_budget_mwh": 61.0, "fire_water_lpm": 4100.0,
            "allowed_chemistries": None, "available_from": None,
        }]
    ),
    "late yard": overlaid(
        site__zones=[{
            "zone": "north", "zone_type": "outdoor_near", "length_m": 131.0, "width_m": 39.7, "distance_to_hall_m": 4.0,
            "distance_to_line_m": 2.0, "fire_areas": 3, "hazard_budget_mwh": None, "fire_water_lpm": 1100.0,
            "allowed_chemistries": None, "available_from": None,
        }]
    ),
    "generators": overlaid(
        offers=("Alpha", "Gen"), firm__min_outage_h=1.5, offer_changes={"Gen": {"price": {2029: 41.0}}, "Alpha": {"power_mw": 3.7, "price": {2028: 271.0}}},
        site__generator_mw_max=2.5,
    ),
    "known length": overlaid(reliability__length_known=True),
    "sun": overlaid(pv__mw=3.1),
    "slow": overlaid(offer_changes={"Beta": {"response_s": 1310.0}}),
    "elective pay": overlaid(policy__monetisation="elective_pay", tables={"credits": credits_with("domestic_threshold_frac", 0.63)}),
}  # fmt: skip


@cache
def problem_of(name: str) -> Problem:
    return lean(**QUESTIONS[name])


@cache
def truth(name: str) -> float:
    """Cost by brute force, infinite if nothing holds."""
    best = Brute(problem_of(name)).best()
    return np.inf if best is None else best.cost_musd


def noticed(name: str) -> str:
    """How the wrong planner is found out on a question; empty if it is not."""
    try:
        found = plan(problem_of(name), gap_frac=0.0, time_limit_s=20.0)
    except Infeasible:
        return "" if np.isinf(truth(name)) else "calls infeasible what is not"
    except (SolverFault, LookupError, ArithmeticError) as fault:
        return f"contradicts itself: {fault}"
    assert found.verification is not None
    if not found.verification.passed:
        return "; ".join(found.verification.errors)
    return "" if found.cost_musd == pytest.approx(truth(name), rel=1e-6, abs=5e-6) else "costs more than need be"


def scaled(cls: Any, name: str, factor: float) -> Mutate:
    """A cached array of the coefficients times a factor."""
    original = cls.__dict__[name].func

    def mutate(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(cls, name, property(lambda self: original(self) * factor))

    return mutate


def result(module: Any, name: str, change: Callable[..., Any]) -> Mutate:
    """A function whose result is changed; ``change`` gets the result and the arguments."""
    original = getattr(module, name)

    def mutate(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(module, name, lambda *args, **kw: change(original(*args, **kw), *args))

    return mutate


def row(change: Callable[[Any, Coefficients, Any], Any]) -> Mutate:
    """Every outage row changed, where the model writes it and where the search adds it; the separation is told too."""
    original = reliability.numeric_row

    def wrong(c: Coefficients, key: Any) -> Any:
        return change(original(c, key), c, key)

    def mutate(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(reliability, "numeric_row", wrong)
        patch.setattr(lazy, "numeric_row", wrong)

        def violated(self: Separator, containers: Any, served: Any, used: Any, *rest: Any) -> Any:
            return []

        patch.setattr(Separator, "violated", violated)
        patch.setattr(search, "seed_rows", lambda c: reliability.all_rows(c))

    return mutate


def never_separated(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Separator, "violated", lambda self, *args: [])


def cost_item(name: str, factor: float) -> Mutate:
    def change(cost: Any, *_: Any) -> Any:
        return replace(cost, items_usd={**cost.items_usd, name: cost.items_usd[name] * factor})

    return result(finance, "container_cost", change)


def losses_changed(change: Callable[[Any], Any]) -> Mutate:
    original = Coefficients.__dict__["contingencies"].func

    def mutate(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(Coefficients, "contingencies", property(lambda self: [change(q) for q in original(self)]))

    return mutate


def no_fade(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(coefficients, "state_of_health", lambda problem, offer, ages, *_: np.ones_like(ages))


def last_period_skipped(r: Any, c: Coefficients, key: Any) -> Any:
    if key.period == len(c.problem.periods) - 1:
        return replace(r, served=0.0)
    return r


def one_period_too_long(stands: bool, offer: Any, delivered: Any, period: Any) -> bool:
    return delivered.start <= period.start and finance.retirement_month(offer, delivered.start) > period.start


def fields(change: dict[str, Any]) -> Mutate:
    """Offers seen by the coefficients with fields replaced; the rest of the planner sees the true ones."""

    def mutate(patch: pytest.MonkeyPatch) -> None:
        original = lazy.assemble

        def assemble(c: Coefficients, *args: Any) -> Any:
            true = c.problem
            c.problem = replace(true, offers=tuple(o.model_copy(update=change) for o in true.offers))
            model = original(c, *args)
            c.problem = true
            return model

        patch.setattr(lazy, "assemble", assemble)

    return mutate


def case_part(part: str, change: dict[str, Any]) -> Mutate:
    """The case seen while the model is written, with keys of one part replaced."""

    def mutate(patch: pytest.MonkeyPatch) -> None:
        original = lazy.assemble

        def assemble(c: Coefficients, *args: Any) -> Any:
            true = c.problem
            section = getattr(true.case, part).model_copy(update=change)
            c.problem = replace(true, case=true.case.model_copy(update={part: section}))
            model = original(c, *args)
            c.problem = true
            return model

        patch.setattr(lazy, "assemble", assemble)

    return mutate


#: name -> (where it shows, mutation)
MUTANTS: dict[str, tuple[str, Mutate]] = {
    # outage rows
    "power counted twice": ("plain", scaled(Coefficients, "power_mw", 2.0)),
    "energy a tenth too large": ("plain", scaled(Coefficients, "energy_mwh", 1.1)),
    "energy a tenth too small": ("plain", scaled(Coefficients, "energy_mwh", 0.9)),
    "availability ignored": ("plain", result(outages, "safe_availability", lambda a, *_: 1.0)),
    "fade ignored": ("cycled", no_fade),
    "served over target dropped": ("cheap delay", row(lambda r, c, key: replace(r, served=1.0 / c.problem.final_target_mw))),
    "sign of the served load": ("plain", row(lambda r, c, key: replace(r, served=-r.served))),
    "sign of the delivery": ("plain", row(lambda r, c, key: replace(r, pair=-r.pair))),
    "last period skipped": ("plain", row(last_period_skipped)),
    "rows never separated": ("losses", never_separated),
    "surviving share squared": ("losses", losses_changed(lambda q: replace(q, surviving_frac=q.surviving_frac**2))),
    "nothing is ever lost": ("losses", losses_changed(lambda q: replace(q, offers=frozenset()))),
    "fire loss dropped": ("losses", result(yard, "fire_group", lambda n, *_: 0)),
    "fire loss doubled": ("losses", result(yard, "fire_group", lambda n, *_: 2 * n)),
    "requirement of half the windows": ("plain", result(outages, "requirement", lambda r, *_: replace(r, mwh=r.mwh * 0.93))),
    "step taken for an hour": ("plain", result(outages, "requirement", lambda r, problem, *_: replace(r, mwh=r.mwh / problem.dt_h))),
    "PV ignored": ("sun", result(outages, "requirement", lambda r, p, s: _blind(p, s))),
    "start delay ignored": ("generators", result(outages, "start_delay", lambda d, *_: replace(d, first_step=0, rest_h=0.0))),
    "bridge rows dropped": ("slow", lambda patch: patch.setattr(Coefficients, "bridge_delays_h", property(lambda self: []))),
    "length known taken as unknown": ("known length", result(outages, "service_steps", lambda s, problem: [np.maximum.reduce([np.pad(v, (0, max(map(len, s)) - len(v))) for v in s])])),
    # purchase, supply, time
    "minimum order ignored": ("orders", fields({"min_order_mwh": 0.0})),
    "tier discount dropped": ("orders", result(finance, "container_cost", lambda c, problem, offer, period, d: _CONTAINER_COST(problem, offer, period, 0.0))),
    "tier volume ignored": ("orders", fields({"tiers": (BASE_TIER, Tier(tier="bulk", from_mwh=0.1, discount_frac=0.11))})),
    "delivery risk ignored": ("scarce", result(supply, "booked_mwh", lambda mwh, offer: 0.6 * mwh)),
    "factory output of a longer period": ("short lives", result(supply, "factory_limit_mwh", lambda mwh, *_: mwh * 1.6)),
    "retirement off by one period": ("short lives", result(supply, "counts_in", one_period_too_long)),
    "generator permit ignored": ("generators", case_part("site", {"generator_mw_max": 1e5})),
    "storage mandate ignored": ("mandate", case_part("reliability", {"storage_mandate_h": 0.0})),
    # policy
    "credit rate doubled": ("plain", result(policy, "credit_rate", lambda rate, *_: 2 * rate)),
    "material assistance ignored": ("assistance", result(policy, "macr_threshold", lambda t, *_: None)),
    "domestic content ignored": ("elective pay", result(policy, "domestic_threshold", lambda t, *_: 0.0)),
    "domestic floor ignored": ("content", case_part("policy", {"domestic_floor_frac": 0.0})),
    "exposure limit ignored": ("exposure", lambda patch: patch.setattr("planner.model.exposure.exposure_share", lambda *a: 0.0)),
    # money
    "duty dropped": ("plain", cost_item("duty", 0.0)),
    "residual value of the wrong sign": ("plain", cost_item("residual_value", -1.0)),
    "insurance without the hazard": ("plain", cost_item("insurance", 1 / 1.7)),
    "discounting backwards": ("plain", result(finance, "discount", lambda d, *_: 1.0 / d)),
    "a missing year of upkeep": ("plain", result(finance, "stream", lambda years, problem, a, b: max(0.0, years - 0.8) if b - a > 12 else years)),
    # site
    "area multiplier dropped": ("tight yard", result(yard, "occupied_m2", lambda m2, *_: m2 / 2.7)),
    "setback ignored": ("tight yard", result(yard, "zone_options", lambda options, problem, zone: tuple(replace(j, usable_m2=zone.length_m * zone.width_m) for j in options))),
    "barrier free": ("tight yard", result(yard, "zone_options", lambda options, *_: tuple(replace(j, cost_usd=0.0) for j in options))),
    "hazard of one for all": ("tight yard", result(yard, "hazard_class", lambda h, *_: 1.0)),
    "fire water ignored": ("late yard", result(yard, "may_stand", lambda ok, *_: True)),
}  # fmt: skip
_CONTAINER_COST = finance.container_cost
_REQUIREMENT = outages.requirement


def _blind(problem: Problem, steps: set[int]) -> Any:
    return _REQUIREMENT(replace(problem, pv_cf=np.zeros_like(problem.pv_cf)), steps)


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_right_planner_is_not_accused(name: str) -> None:
    assert np.isfinite(truth(name))
    assert noticed(name) == ""


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_killed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    question, mutate = MUTANTS[name]
    truth(question)  # before the planner is broken
    mutate(monkeypatch)
    assert noticed(question), f"{name} goes unnoticed on {question}"


def test_there_are_enough() -> None:
    assert len(MUTANTS) >= 40
