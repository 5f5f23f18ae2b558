# ruff: noqa: E501
"""Orders signed before anyone knows, against every first stage and every fleet of every world tried one by one."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from planner.changes import Disruption
from planner.disruption.answer import DisruptionAnswer, answered
from planner.disruption.deciding import Deciding
from planner.disruption.found import Found, needed
from planner.disruption.hedge import Hedger
from planner.disruption.joint import Fixed
from planner.disruption.measures import cvar
from planner.disruption.worlds import CALM, OrderKey, Prospect, World
from planner.problem import Problem
from planner.solve import Infeasible
from tests.properties.brute import Brute, Flow
from tests.properties.questions import BASE_TIER, lean, output_row, ramp

SETTINGS = settings(
    deadline=None, derandomize=True, database=None, max_examples=12,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)  # fmt: skip
SOURCE = {"source": "test", "confidence": "medium"}


class Fleets:
    """Every lawful fleet of a world with its cost, by the verifier's ledger."""

    def __init__(self, problem: Problem) -> None:
        brute = Brute(problem)
        n = brute.grid[brute.lawful()]
        load, floors = brute.served(n)
        n, load = n[floors], load[floors]
        self.n = n
        labels = [(problem.offers[o].offer, problem.periods[p].label) for o, p in brute.pairs]
        self.at = {key: i for i, key in enumerate(labels)}
        if not len(n):
            self.cost = np.zeros(0)
            return
        cost, _, _ = brute.priced(n, load)
        zones = problem.case.site.zones
        best = np.full(len(n), np.inf)
        for wall in product((False, True), repeat=len(zones)):
            usd = sum(
                brute.book.cost("barrier_usd_per_m") * 2.0 * (z.length_m + z.width_m) * w
                for z, w in zip(zones, wall, strict=True)
            )
            extra = Flow("fire_barriers", usd, problem.periods[0].start).present_usd(
                problem.case.timeline.decision, problem.case.finance.discount_rate_frac
            )
            held = [brute._standing(z, w)[0] for z, w in zip(zones, wall, strict=True)]
            best = np.where(brute._reach(held)[brute._index(n)], np.minimum(best, cost + extra), best)
        self.cost = best / 1e6


def least(prospect: Prospect, world: World, fleets: Fleets, orders: dict[OrderKey, int]) -> float:
    """Cheapest fleet of a world with the orders signed before it was known, by plain arithmetic."""
    base, rule = prospect.base, prospect.rule
    rate, decision = base.case.finance.discount_rate_frac, base.case.timeline.decision
    paid = next(p.share_frac for p in base.case.finance.payments if p.at == "order")

    def value(month: int) -> float:
        return (1 + rate) ** (-(month - decision) / 12)

    cost = fleets.cost.copy()
    signed: set[str] = set()
    for key, month in prospect.signed_month.items():
        if month >= world.known:
            continue
        count = orders[key]
        price = prospect.price_usd(key) / 1e6
        offer = next(o for o in base.offers if o.offer == key[0])
        signed |= {offer.supplier} if count else set()
        back = rule.secured_frac + (1 - rule.secured_frac) * (world.future.back_frac if world.future else 0.0)
        lost = price * paid * (value(month) - back * value(world.known))
        if key not in fleets.at:
            cost += lost * count
            continue
        gone = count - fleets.n[:, fleets.at[key]]
        start = next(p.start for p in base.periods if p.label == key[1])
        fee = offer.cancellation_fee_frac or rule.cancellation[-1].fee_frac
        cancelled = price * (paid * value(month) + (fee - paid) * value(world.known))
        cost = np.where(gone < 0, np.inf, cost)
        cost += np.where(gone > 0, gone * cancelled if start > world.known else np.inf, 0.0)
    for key, i in fleets.at.items():
        offer = next(o for o in world.problem.offers if o.offer == key[0])
        period = next(p for p in world.problem.periods if p.label == key[1])
        month = period.start - offer.order_lead_months
        if month >= world.known:
            cost += prospect.premium_musd(world, world.offer_index[key[0]], period.index) * fleets.n[:, i]
    for supplier in signed:
        fee = next(s.qualification_usd for s in base.tables.suppliers if s.supplier == supplier) / 1e6
        mine = [i for (o, _), i in fleets.at.items() if _supplier(base, o) == supplier]
        cost += fee * (fleets.n[:, mine].sum(axis=1) == 0)
    return float(cost.min(initial=np.inf))


def _supplier(problem: Problem, offer: str) -> str:
    return next(o.supplier for o in problem.offers if o.offer == offer)


def best_of_all(prospect: Prospect) -> tuple[float, dict[OrderKey, int] | None]:
    """Least aim over every first stage, and one that has it."""
    tables = {w.name: Fleets(w.problem) for w in prospect.worlds}
    most = dict(zip(prospect.c.pairs, prospect.c.largest_delivery, strict=True))
    keys = list(prospect.pair)
    best: tuple[float, dict[OrderKey, int] | None] = (np.inf, None)
    for counts in product(*(range(int(most[prospect.pair[k]]) + 1) for k in keys)):
        orders = dict(zip(keys, counts, strict=True))
        costs = [least(prospect, w, tables[w.name], orders) for w in prospect.worlds]
        if not np.isfinite(max(costs)):
            continue
        odds = [w.probability for w in prospect.worlds]
        rule = prospect.rule
        aim = max(costs) if rule.aim == "worst" else float(np.dot(odds, costs))
        if rule.aim == "expected" and rule.cvar_weight:
            aim += rule.cvar_weight * cvar(costs, odds, rule.tail_frac)
        best = min(best, (aim, orders), key=lambda found: found[0])
    return best


@st.composite
def trees(draw: Any) -> tuple[Problem, dict[str, Problem]]:
    """Two storage offers, two deliveries, one or two futures in which Alpha's cells stop or all is dearer."""
    scale = draw(st.integers(31, 97)) / 53
    most = draw(st.sampled_from([2, 3]))
    changes: dict[str, Any] = {
        name: {"tiers": (BASE_TIER,), "cancellation_fee_frac": draw(st.sampled_from([0.0, 0.31]))}
        for name in ("Alpha", "Beta")
    }
    probe = lean(offers=("Alpha", "Beta"), offer_changes=changes)
    size = {o.offer: o.energy_nameplate_dc_mwh / (1 - o.delivery_risk_frac) for o in probe.offers}
    usable = sum(o.energy_usable_ac_mwh for o in probe.offers)

    def outputs(alpha_later: float) -> tuple[Any, ...]:
        alpha, beta = (size[n] * (most + 0.4) / 280.0 for n in ("Alpha", "Beta"))
        rows = [
            output_row(f, alpha * (1.0 if y < 2030 else alpha_later), y)
            for f in ("A-cells", "A-plant")
            for y in (2029, 2030)
        ]
        return (*rows, *(output_row("B-works", beta, y) for y in (2029, 2030)))

    target = scale * usable * most / 9.0
    spec: dict[str, Any] = {
        "offers": ("Alpha", "Beta"), "offer_changes": changes, "load__delay_usd_per_mw_yr": draw(st.sampled_from([3e5, 2.3e6])),
        "load__target_mw": {"2029-01": target / 2, "2030-01": target}, "load__floor_mw": {},
        "site__energisation__grid": {"2028-01": 9 * target}, "site__energisation__transformers": {"2028-01": 9 * target},
        "site__energisation__permits": {"2028-01": 9 * target},
    }  # fmt: skip
    spec["periods"] = ramp(
        ("2029-01", "2030-01", target / 2, 0.0, 9 * target), ("2030-01", "2034-01", target, 0.2 * target, 9 * target)
    )
    known = draw(st.sampled_from(["2027-11", "2028-03", "2028-08", "2028-12"]))
    futures = {
        "stop": {"probability_frac": draw(st.sampled_from([0.13, 0.41])), "known": known,
                 "premium_frac": draw(st.sampled_from([0.0, 0.37])), "back_frac": draw(st.sampled_from([0.0, 0.6])), **SOURCE},
    }  # fmt: skip
    problems = {"stop": {"tables": {"factory_output": outputs(0.0)}}}
    if draw(st.booleans()):
        futures["dear"] = {"probability_frac": 0.29, "known": "2028-05", "premium_frac": 0.83, **SOURCE}
        problems["dear"] = {"tables": {"factory_output": outputs(1.0)}, "load__delay_usd_per_mw_yr": 5.7e6}
    rule = {
        "futures": futures, "options": {}, "cancellation": [{"after_months": 0, "fee_frac": 0.17}],
        "secured_frac": draw(st.sampled_from([0.0, 0.5])), "short_usd_per_mw_yr": None,
        "aim": draw(st.sampled_from(["expected", "expected", "worst"])),
        "cvar_weight": draw(st.sampled_from([0.0, 0.9])), "tail_frac": 0.23,
    }  # fmt: skip
    calm = lean(**{**spec, "tables": {"factory_output": outputs(1.0)}})
    section = Disruption.model_validate_json(json.dumps(rule))
    calm = _with(calm, section)
    return calm, {name: lean(**{**spec, **change}) for name, change in problems.items()}


def _with(problem: Problem, rule: Disruption) -> Problem:
    return replace(problem, case=problem.case.model_copy(update={"disruption": rule}))


def certain(problem: Problem, name: str) -> Problem:
    """The case with one future certain: probability 1, the others 0."""
    rule = problem.case.disruption
    futures = {n: f.model_copy(update={"probability_frac": float(n == name)}) for n, f in rule.futures.items()}
    return replace(
        problem, case=problem.case.model_copy(update={"disruption": rule.model_copy(update={"futures": futures})})
    )


def test_a_certain_future_gives_its_own_plan() -> None:
    """Probability 1 and 0: the least cost of the one world that is left, everything known."""
    calm, futures = _fixed_tree()
    tables = {"stop": Fleets(futures["stop"]), CALM: Fleets(calm)}
    for name in ("stop", CALM):
        sure = certain(calm, name)
        assert [w.name for w in Prospect(sure, futures).worlds] == [name]
        if name == CALM:
            assert solved(sure, futures).aim_musd == pytest.approx(tables[CALM].cost.min(), rel=3e-6)
        else:
            found = solved(sure, futures)
            want = least(Prospect(sure, futures), Prospect(sure, futures).worlds[0], tables[name], _orders_of(found))
            assert found.aim_musd == pytest.approx(want, rel=3e-6)
            assert found.aim_musd == pytest.approx(tables[name].cost.min(), rel=3e-6)
            assert found.knowing_musd == pytest.approx(0.0, abs=1e-5)


def test_reserved_capacity_is_bought_only_where_it_pays() -> None:
    """An option that is cheap and early is reserved and lowers the cost; a dear one is left alone."""
    calm, futures = _fixed_tree()
    bare = solved(calm, futures)
    option = {"offer": "Beta", "containers": 2, "strike_frac": 0.97, "expires": "2030-12", "lead_months": 2, **SOURCE}
    for fee, taken in ((0.01, True), (9000.0, False)):
        rule = calm.case.disruption.model_dump(mode="json") | {"options": {"early": option | {"fee_usd_per_kwh": fee}}}
        found = solved(_with(calm, Disruption.model_validate_json(json.dumps(rule))), futures)
        assert bool(found.reserved) is taken
        assert not found.findings
        if taken:
            assert found.aim_musd < bare.aim_musd - 1e-4
        else:
            assert found.aim_musd == pytest.approx(bare.aim_musd, rel=3e-6)


def _orders_of(found: DisruptionAnswer) -> dict[OrderKey, int]:
    orders: dict[OrderKey, int] = Counter()
    for row in found.signed:
        if row.choice == found.best:
            orders[row.offer, row.period] = row.containers
    return orders


def _fixed_tree() -> tuple[Problem, dict[str, Problem]]:
    """Alpha stops in 2030, known in 2028-12 when all is signed."""
    changes = {name: {"tiers": (BASE_TIER,)} for name in ("Alpha", "Beta")}
    size = {"Alpha": 5.3 / 0.97, "Beta": 2.9 / 0.97}

    def outputs(later: float) -> tuple[Any, ...]:
        rows = [
            output_row(f, size["Alpha"] * 3.4 / 280 * (later if y > 2029 else 1.0), y)
            for f in ("A-cells", "A-plant")
            for y in (2029, 2030)
        ]
        return (*rows, *(output_row("B-works", size["Beta"] * 3.4 / 280, y) for y in (2029, 2030)))

    spec: dict[str, Any] = {
        "offers": ("Alpha", "Beta"), "offer_changes": changes, "load__delay_usd_per_mw_yr": 2.3e6,
        "load__target_mw": {"2029-01": 1.1, "2030-01": 3.7}, "load__floor_mw": {},
        "periods": ramp(("2029-01", "2030-01", 1.1, 0.0, 31.0), ("2030-01", "2034-01", 3.7, 0.7, 31.0)),
    }  # fmt: skip
    rule = {
        "futures": {"stop": {"probability_frac": 0.37, "known": "2028-12", "premium_frac": 0.21, **SOURCE}},
        "options": {}, "cancellation": [{"after_months": 0, "fee_frac": 0.17}], "secured_frac": 0.0,
        "short_usd_per_mw_yr": None, "aim": "expected", "cvar_weight": 0.0, "tail_frac": 0.23,
    }  # fmt: skip
    calm = lean(**{**spec, "tables": {"factory_output": outputs(1.0)}})
    stop = lean(**{**spec, "tables": {"factory_output": outputs(0.0)}})
    return _with(calm, Disruption.model_validate_json(json.dumps(rule))), {"stop": stop}


def solved(calm: Problem, futures: dict[str, Problem]) -> DisruptionAnswer:
    return answered(Deciding(calm, futures, gap_frac=1e-6, time_limit_s=600))


@SETTINGS
@given(trees())
def test_best_orders_are_those_of_all_first_stages(tree: tuple[Problem, dict[str, Problem]]) -> None:
    calm, futures = tree
    want, orders = best_of_all(Prospect(calm, futures))
    if orders is None:
        with pytest.raises(Infeasible):
            solved(calm, futures)
        return
    found = solved(calm, futures)
    assert found.aim_musd == pytest.approx(want, rel=3e-6)
    assert found.bound_musd <= want + 1e-5
    assert found.hedging_musd is None or found.hedging_musd >= 0.0
    assert found.hedging_least_musd is None or 0.0 <= found.hedging_least_musd <= (found.hedging_musd or 0.0) + 1e-6
    assert found.knowing_musd >= 0.0
    assert all(o.verified for o in found.outcomes if o.cost_musd is not None)
    assert not found.findings


@SETTINGS
@given(trees())
def test_figures_of_every_choice_are_those_of_its_orders(tree: tuple[Problem, dict[str, Problem]]) -> None:
    """Cost, mean, tail and regret of each choice against plain arithmetic over every fleet with its orders signed."""
    calm, futures = tree
    prospect = Prospect(calm, futures)
    tables = {w.name: Fleets(w.problem) for w in prospect.worlds}
    if best_of_all(prospect)[1] is None:
        return
    found, odds = solved(calm, futures), [w.probability for w in prospect.worlds]
    most = dict(zip(prospect.c.pairs, prospect.c.largest_delivery, strict=True))
    every = [
        dict(zip(prospect.pair, counts, strict=True))
        for counts in product(*(range(int(most[pair]) + 1) for pair in prospect.pair.values()))
    ]
    known = [min(least(prospect, w, tables[w.name], orders) for orders in every) for w in prospect.worlds]
    for choice in found.choices:
        signed = {(r.offer, r.period): r.containers for r in found.signed if r.choice == choice.choice}
        orders = dict.fromkeys(prospect.pair, 0) | signed
        costs = [least(prospect, w, tables[w.name], orders) for w in prospect.worlds]
        rows = [o.cost_musd for o in found.outcomes if o.choice == choice.choice]
        assert [np.inf if c is None else c for c in rows] == pytest.approx(costs, rel=3e-6)
        if not np.isfinite(max(costs)):
            assert choice.expected_musd is None
            continue
        rule = prospect.rule
        tail = min(
            eta + sum(p * max(0.0, c - eta) for c, p in zip(costs, odds, strict=True)) / rule.tail_frac for eta in costs
        )
        assert choice.expected_musd == pytest.approx(np.dot(odds, costs), rel=3e-6)
        assert choice.cvar_musd == pytest.approx(tail, rel=3e-6)
        assert choice.worst_musd == pytest.approx(max(costs), rel=3e-6)
        assert choice.worst_regret_musd == pytest.approx(max(np.subtract(costs, known)), abs=3e-6 * max(costs))
        aim = max(costs) if rule.aim == "worst" else np.dot(odds, costs) + rule.cvar_weight * tail
        assert choice.aim_musd == pytest.approx(aim, rel=3e-6)


def _with_slots(calm: Problem, containers: int) -> Problem:
    """The case with slots of one offer that may be reserved for a small fee."""
    option = {
        "offer": "Beta", "containers": containers, "strike_frac": 0.97, "expires": "2030-12", "lead_months": 2,
        "fee_usd_per_kwh": 0.01, **SOURCE,
    }  # fmt: skip
    rule = calm.case.disruption.model_dump(mode="json") | {"options": {"early": option}}
    return _with(calm, Disruption.model_validate_json(json.dumps(rule)))


def test_what_no_future_calls_is_not_reserved() -> None:
    """Slots that no future calls are taken off with their fee, and the plans stay as they are."""
    calm, futures = _fixed_tree()
    prospect = Prospect(_with_slots(calm, 9), futures)
    hedger = Hedger(prospect, 1e-6, 1)
    fixed = Fixed({}, {"early": 9})
    found = Found(fixed, tuple(hedger.alone(w.name, fixed, 60.0) for w in prospect.worlds))
    trimmed = needed(prospect, found)
    called = max(o.called.get("early", 0) for o in found.outcomes)
    assert 0 < called < 9
    assert trimmed.fixed.reserved == {"early": called}
    again = [Hedger(prospect, 1e-6, 1).alone(w.name, trimmed.fixed, 60.0) for w in prospect.worlds]
    assert trimmed.costs == pytest.approx([o.cost_musd for o in again], rel=3e-6)
    assert all(o.bound_musd <= a.cost_musd + 1e-5 for o, a in zip(trimmed.outcomes, again, strict=True))
    assert all(sum(o.parts_musd.values()) == pytest.approx(o.cost_musd) for o in trimmed.outcomes)


def test_what_was_lost_counts_towards_the_volume() -> None:
    """An award of three containers of which two never come is lawful, and the replay agrees."""
    calm, futures = _fixed_tree()
    size = next(o for o in calm.offers if o.offer == "Alpha").energy_nameplate_dc_mwh

    def strict(problem: Problem) -> Problem:
        offers = tuple(
            o.model_copy(update={"min_order_mwh": 2.5 * size}) if o.offer == "Alpha" else o for o in problem.offers
        )
        return replace(problem, offers=offers)

    futures = {name: strict(problem) for name, problem in futures.items()}
    hedger = Hedger(Prospect(strict(calm), futures), 1e-6, 1)
    found = hedger.alone("stop", Fixed({("Alpha", "2029-01"): 1, ("Alpha", "2030-01"): 2}), 60.0)
    assert found.plan is not None
    came = sum(o.containers for o in found.plan.orders if o.offer == "Alpha")
    assert came == 1
    assert sum(found.lost.values()) == 2
    assert found.plan.verification is not None
    assert found.plan.verification.passed, found.plan.verification.errors


def test_reservations_are_tried_beside_the_calm_orders() -> None:
    """The calm orders with the slots that the disrupted world would pay for are among the choices."""
    calm, futures = _fixed_tree()
    found = solved(_with_slots(calm, 3), futures)
    assert any("slots for" in c.choice or "slots for" in c.also for c in found.choices) or found.reserved
    assert found.hedging_musd is not None
    assert found.hedging_musd >= 0.0
