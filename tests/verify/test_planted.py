"""The verifier accepts a right plan and rejects every planted wrong one under the right check."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from planner.catalogue import BanRow
from planner.criticalpath import critical_path
from planner.problem import Flag, Problem
from planner.results import Plan, PoolShare, Retirement
from planner.verify import verify
from planner.verify.content import phase_of
from tests.small import small_counts, small_plan, small_problem

PROBLEM = small_problem()
COUNTS = small_counts(PROBLEM)
PLAN = small_plan(PROBLEM, COUNTS)


def judged(problem: Problem, plan: Plan) -> dict[str, float]:
    """Checks that fail, with their residuals."""
    found = verify(problem, plan, monte_carlo=False)
    bad = {k: v for k, v in found.residuals.items() if v > found.tolerance}
    assert found.passed == (not bad and not found.errors)
    assert bool(bad) == bool(found.errors)
    return bad


def with_counts(**changes: Any) -> Plan:
    """The plan with other counts, everything else restated to fit: ``Alpha_2030=12``."""
    counts = {**COUNTS, **{(k.split("_")[0], k.split("_")[1]): v for k, v in changes.items()}}
    return small_plan(PROBLEM, {k: v for k, v in counts.items() if v})


def with_order(index: int, **changes: Any) -> Plan:
    orders = list(PLAN.orders)
    orders[index] = orders[index].model_copy(update=changes)
    return PLAN.model_copy(update={"orders": tuple(orders)})


def with_field(**changes: Any) -> Plan:
    return PLAN.model_copy(update=changes)


def scaled(mapping: dict[str, float], key: str, factor: float = 1.001) -> dict[str, float]:
    return {**mapping, key: mapping[key] * factor}


def one_too_few() -> tuple[Problem, Plan]:
    """Take one container away where that alone breaks the worst hour."""
    for key in COUNTS:
        plan = small_plan(PROBLEM, {**COUNTS, key: COUNTS[key] - 1})
        if "reliability" in judged(PROBLEM, plan):
            return PROBLEM, plan
    raise AssertionError("the plan is not tight")


def under(
    counts: dict[tuple[str, str], int] | None = None, plan_args: dict[str, Any] | None = None, **case: Any
) -> tuple[Problem, Plan]:
    """A plan that is right in itself, under a case that forbids it."""
    problem = small_problem(**case)
    return problem, small_plan(problem, counts or COUNTS, **(plan_args or {}))


def same(plan: Plan) -> tuple[Problem, Plan]:
    return PROBLEM, plan


def order_of(offer: str, period: str) -> int:
    return next(i for i, o in enumerate(PLAN.orders) if (o.offer, o.period) == (offer, period))


def without_placement() -> Plan:
    spots = list(PLAN.placements)
    spots[1] = spots[1].model_copy(update={"containers": spots[1].containers - 1})
    return with_field(placements=tuple(spots))


def served(**changes: float) -> dict[str, float]:
    return {**PLAN.served_mw, **changes}


ITEMS = PLAN.cost_breakdown_musd
MARGIN = PLAN.reliability[0]
ZONES = PLAN.zone_options

PLANTED: dict[str, tuple[str, Callable[[], tuple[Problem, Plan]]]] = {
    "one container too few in the worst hour": ("reliability", one_too_few),
    "no storage at all": ("reliability", lambda: same(with_counts(Alpha_2029=0, Alpha_2030=0))),
    "a fractional count": ("orders_whole", lambda: same(with_order(1, containers=COUNTS["Alpha", "2029"] + 0.5))),
    "a negative count": ("orders_whole", lambda: same(with_order(0, containers=-3))),
    "a count that is no number": ("orders_whole", lambda: same(with_order(0, containers=float("nan")))),
    "an unknown offer": ("orders_known", lambda: same(with_order(0, offer="Omega"))),
    "an unknown period": ("orders_known", lambda: same(with_order(0, period="1999"))),
    "a wrong order date": ("orders_figures", lambda: same(with_order(0, order_by="2028-11"))),
    "energy of an order misstated": ("orders_figures", lambda: same(with_order(1, energy_mwh=99.0))),
    "a late delivery": ("dates", lambda: under(offer_changes={"Beta": {"lead_time_months": 20}})),
    "a quote that ran out": ("dates", lambda: under(offer_changes={"Beta": {"valid_until": 12 * 2027 + 3}})),
    "a host that the site lacks": ("host", lambda: under(offer_changes={"Beta": {"host": "salt_cavern"}})),
    "a ban broken at order": ("ban", lambda: under(buyer="defence", policy__disputed="refuse")),
    "supply exceeded": ("supply", lambda: under(supply__scale_frac=0.2)),
    "minimum order missed": ("min_order", lambda: under(offer_changes={"Beta": {"min_order_mwh": 900.0}})),
    "a tier not reached": ("tier", lambda: same(small_plan(PROBLEM, COUNTS, tiers={"Alpha": "mega"}))),
    "an unknown tier": ("tier", lambda: same(small_plan(PROBLEM, COUNTS, tiers={"Alpha": "gift"}))),
    "two tiers of one offer": ("tier", lambda: same(with_order(order_of("Alpha", "2030"), tier=""))),
    "too many generators": ("generators", lambda: under(site__generator_mw_max=4.9)),
    "served above energisable": ("served", lambda: under(site__energisation__grid={"2028-06": 31.7, "2030-01": 90.0})),
    "served below the floor": ("served", lambda: same(small_plan(PROBLEM, COUNTS, served=served(**{"2031+": 80.0})))),
    "served falls": (
        "served",
        lambda: same(small_plan(PROBLEM, COUNTS, served=served(**{"2029": 36.1, "2030": 30.2}))),
    ),
    "served is no number": ("served", lambda: same(with_field(served_mw={**PLAN.served_mw, "2030": float("nan")}))),
    "a credit on a failed ratio": (
        "credit_state",
        lambda: same(small_plan(PROBLEM, COUNTS, states={"first": "bonus", "second": "bonus"})),
    ),
    "a credit that nobody can use": (
        "credit_state",
        lambda: under(plan_args={"states": {"first": "base", "second": "none"}}, policy__monetisation="none"),
    ),
    "a ratio misstated": ("content", lambda: same(with_field(macr_frac=scaled(PLAN.macr_frac, "all")))),  # type: ignore[arg-type]
    "the domestic floor broken": ("domestic_floor", lambda: under(policy__domestic_floor_frac=0.71)),
    "exposure claimed wrong": ("exposure", lambda: same(with_field(exposure_frac=scaled(PLAN.exposure_frac, "value")))),
    "an exposure limit broken": ("exposure_limit", lambda: under(exposure_limits__cell={"max_frac": 0.4})),
    "an exposure limit of a period broken": (
        "exposure_limit",
        lambda: under(exposure_limits__control={"max_frac": 0.3, "per_period": True}),
    ),
    "a zone overfilled": ("zone_area", lambda: under(site__zones=[{**z, "width_m": 21.0} for z in _zones()])),
    "a fire area overfilled": ("zone_energy", lambda: under(site__zones=[{**z, "fire_areas": 2} for z in _zones()])),
    "a hazard budget broken": (
        "zone_hazard",
        lambda: under(site__zones=[{**z, "hazard_budget_mwh": 100.0} for z in _zones()]),
    ),
    "fire water short": ("zone_water", lambda: under(site__zones=[{**z, "fire_water_lpm": 1800.0} for z in _zones()])),
    "a chemistry where it is forbidden": (
        "zone_chemistry",
        lambda: same(small_plan(PROBLEM, COUNTS, zones={"Beta": "north"})),
    ),
    "a zone used before it opens": (
        "zone_date",
        lambda: under(site__zones=[{**z, "available_from": "2029-07"} for z in _zones()]),
    ),
    "usable area misstated": (
        "zone_option",
        lambda: same(with_field(zone_options=(ZONES[0].model_copy(update={"usable_m2": 9e3}), ZONES[1]))),
    ),
    "a zone without an option": ("zone_option", lambda: same(with_field(zone_options=ZONES[:1]))),
    "a setback too small": (
        "zone_chemistry",
        lambda: same(with_field(zone_options=(ZONES[0].model_copy(update={"setback_m": 6.1}), ZONES[1]))),
    ),
    "a fire rule from memory under strict": ("fire_strict", lambda: under(fire__strict=True)),
    "the fire table misstated": (
        "zone_report",
        lambda: same(with_field(fire=(PLAN.fire[0].model_copy(update={"area_used_m2": 1.0}), PLAN.fire[1]))),
    ),
    "placements not matching orders": ("placements", lambda: same(without_placement())),
    "a wrong discount rate": (
        "cost_items",
        lambda: (PROBLEM, small_plan(small_problem(finance__discount_rate_frac=0.07), COUNTS)),
    ),
    "a wrong total": ("cost", lambda: same(with_field(cost_musd=PLAN.cost_musd * 1.0001))),
    "a wrong cost item": ("cost_items", lambda: same(with_field(cost_breakdown_musd=scaled(ITEMS, "duty")))),
    "a wrong small cost item": ("cost_items", lambda: same(with_field(cost_breakdown_musd=scaled(ITEMS, "land")))),
    "a cost item left out": (
        "cost_items",
        lambda: same(with_field(cost_breakdown_musd={k: v for k, v in ITEMS.items() if k != "epc"})),
    ),
    "public money misstated": ("public", lambda: same(with_field(public_musd=scaled(PLAN.public_musd, "duties")))),
    "a bound above the cost": ("bound", lambda: same(with_field(bound_musd=PLAN.cost_musd * 1.001, gap_frac=-0.001))),
    "a gap misstated": ("gap", lambda: same(with_field(gap_frac=0.001))),
    "a requirement misstated": ("required", lambda: same(with_field(required_mwh=PLAN.required_mwh * 1.00001))),
    "a margin misstated": ("margins", lambda: same(with_field(reliability=(_shifted(), *PLAN.reliability[1:])))),
    "a margin left out": ("margins", lambda: same(with_field(reliability=PLAN.reliability[1:]))),
    "a storage mandate missed": ("storage_mandate", lambda: under(reliability__storage_mandate_h=3.9)),
    "no unit quick enough": ("ride_through", lambda: under(reliability__ride_through__ups_s=38.0, load__floor_mw={})),
    "contingencies left out of the ramp": ("reliability", lambda: _early()),
    "retired containers counted": (
        "reliability",
        lambda: under(offer_changes={"Beta": {"design_life_yr": 3.9}, "Alpha": {"design_life_yr": 3.9}}),
    ),
    "a retirement not listed": ("retirements", lambda: _unlisted()),
    "a retirement made up": (
        "retirements",
        lambda: same(with_field(retirements=(Retirement(offer="Beta", delivered="2029", year=2033, containers=2),))),
    ),
    "a supplier above its share": ("max_share", lambda: under(governance__max_share__supplier=0.51)),
    "a maturity above its share": ("max_share", lambda: under(governance__max_share__maturity={"proven": 0.5})),
    "too few suppliers": ("min_suppliers", lambda: under(governance__min_suppliers=3)),
    "a supplier too small to count": (
        "min_suppliers",
        lambda: under(governance__min_suppliers=2, governance__min_supplier_mwh=9000.0),
    ),
    "a view misstated": ("views", lambda: same(with_field(views_musd=scaled(PLAN.views_musd, "resource")))),
    "service by a prohibited provider": ("credit_state", lambda: _controlled()),
    "a banned maker": ("ban", lambda: _banned(makers="Alphacell")),
    "a banned licence": ("ban", lambda: _banned(licensor_country="CN")),
    "banned content": ("ban", lambda: _banned(layers="cell", china_frac=0.9)),
    "a slack misstated": ("critical_path", lambda: _slack(1)),
    "more in pools than ordered": ("pools", lambda: _pooled(1.5)),
    "an answer to another question": ("input", lambda: same(with_field(input_sha256="1" * 64))),
}


def _banned(**predicate: Any) -> tuple[Problem, Plan]:
    row = BanRow(ban="b", buyer="utility", since="2027-03", clock="order", unit="-", source="t", date="2026-11",
                 confidence="medium", **predicate)  # fmt: skip
    changes = {"Alpha": {"licensor_country": "CN"}}
    problem = small_problem(tables={"bans": (row,)}, offer_changes=changes)
    return problem, small_plan(problem, COUNTS)


def _controlled() -> tuple[Problem, Plan]:
    """A phase takes a credit although a prohibited firm serves its boxes for three years."""
    flags = {"service_provider": Flag(status="yes", since=None, reason="test")}
    problem = small_problem(offer_changes={n: {"service_years": 3.0, "flags": flags} for n in ("Alpha", "Beta")},
                            tables={"credits": ()})  # fmt: skip
    return problem, small_plan(problem, COUNTS, states={"first": "base", "second": "base"})


def _slack(wrong: int) -> tuple[Problem, Plan]:
    """The path that the planner states, one month off in one step."""
    problem = PROBLEM
    bought = {p.label: tuple(o for o in problem.offers if COUNTS.get((o.offer, p.label))) for p in problem.periods}
    path = critical_path(problem, PLAN.served_mw, bought)
    assert not judged(problem, with_field(critical_path=path))
    step = path[0].steps[0].model_copy(update={"slack_months": path[0].steps[0].slack_months + wrong})
    first = path[0].model_copy(update={"steps": (step, *path[0].steps[1:])})
    return problem, with_field(critical_path=(first, *path[1:]))


def _pooled(times: float) -> tuple[Problem, Plan]:
    problem = small_problem(credits__unit="pools")
    phases = {p.label: phase_of(problem, i) for i, p in enumerate(problem.periods)}
    rows = tuple(
        PoolShare(phase=phase.phase, offer=o, period=p, state="none", containers=times * n)
        for (o, p), n in COUNTS.items()
        if (phase := phases[p]) is not None and o != "Gen"
    )
    return problem, small_plan(problem, COUNTS).model_copy(update={"credit_pools": rows})


def _zones() -> list[dict[str, Any]]:
    return [z.model_dump() for z in PROBLEM.case.site.zones]


def _shifted() -> Any:
    return MARGIN.model_copy(
        update={"margin_mwh": MARGIN.margin_mwh + 0.1, "delivered_mwh": MARGIN.delivered_mwh + 0.1}
    )


def _early() -> tuple[Problem, Plan]:
    """A plan for a campus that accepts single suppliers until full load, where the case does not."""
    lax = small_counts(small_problem(reliability__contingencies_from="2030-01"))
    assert lax != COUNTS
    return PROBLEM, small_plan(PROBLEM, lax)


def _unlisted() -> tuple[Problem, Plan]:
    problem = small_problem(offer_changes={"Gen": {"design_life_yr": 3.0}})
    return problem, small_plan(problem).model_copy(update={"retirements": ()})


def test_accepts_the_right_plan() -> None:
    found = verify(PROBLEM, PLAN, audit=True)
    assert found.passed, found.errors
    assert max(found.residuals.values()) <= 1e-9
    assert found.monte_carlo["shortfall_probability_frac"] <= 0.05


@pytest.mark.parametrize(
    "case",
    [
        {"pv__mw": 23.7},
        {"reliability__length_known": True},
        {"dt_h": 0.25},
        {"reliability__availability__basis": "quantile"},
        {"policy__monetisation": "elective_pay"},
        {"offers": ("Alpha", "Beta")},
        {"reliability__contingencies_from": "2030-01"},
    ],
    ids=str,
)
def test_accepts_right_plans_of_other_cases(case: dict[str, Any]) -> None:
    problem = small_problem(**case)
    found = verify(
        problem, small_plan(problem, states={"first": "none", "second": "none"}), audit=True, monte_carlo=False
    )
    assert found.passed, found.errors


@pytest.mark.parametrize("name", PLANTED)
def test_rejects(name: str) -> None:
    check, build = PLANTED[name]
    problem, plan = build()
    assert check in judged(problem, plan)


#: These break one rule alone: nothing else may be reported.
CLEAN = (
    "a tier not reached", "too many generators", "served above energisable", "a credit on a failed ratio",
    "exposure claimed wrong", "an exposure limit broken", "a gap misstated", "fire water short", "a late delivery",
    "supply exceeded", "minimum order missed", "a storage mandate missed", "no unit quick enough", "a zone overfilled",
)  # fmt: skip


@pytest.mark.parametrize("name", CLEAN)
def test_reports_nothing_else(name: str) -> None:
    check, build = PLANTED[name]
    assert set(judged(*build())) == {check}


def test_shortage_fails_the_replay_too() -> None:
    problem, plan = under(offer_changes={"Beta": {"design_life_yr": 3.9}, "Alpha": {"design_life_yr": 3.9}})
    bad = judged(problem, plan)
    assert "replay" in bad and "replay_agreement" not in bad


def test_nonsense_gives_errors_and_no_exception() -> None:
    empty = Plan.model_construct(**{**PLAN.__dict__, "orders": (), "served_mw": {}, "fire": (), "reliability": ()})
    assert not verify(PROBLEM, empty).passed
    odd = PLAN.model_copy(
        update={
            "orders": (PLAN.orders[0].model_copy(update={"containers": "many", "energy_mwh": None}),),
            "cost_breakdown_musd": None, "exposure_frac": {"cell": "much"}, "served_mw": {"2029": None},
            "zone_options": (ZONES[0].model_copy(update={"setback_m": float("nan")}),), "credit_state": {"first": 7},
            "placements": (PLAN.placements[0].model_copy(update={"containers": -1.5}),), "reliability": (None,),
        }
    )  # fmt: skip
    found = verify(PROBLEM, odd)
    assert not found.passed and len(found.errors) >= 8


def test_same_seed_same_answer() -> None:
    assert verify(PROBLEM, PLAN, seed=5) == verify(PROBLEM, PLAN, seed=5)
