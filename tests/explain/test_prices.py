"""Break-even figures hold on both sides, and forced-in costs, ranges and rule prices are those of brute force."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from planner.answers import Explanation
from planner.explain import Asked, explain_plan
from planner.explain.bridge import bridges
from planner.explain.desk import Desk
from planner.explain.rule_prices import changes_of, eased_by_dropped, price_rule
from planner.explain.shifts import with_allocation, with_lead_time
from planner.pipeline import plan
from planner.problem import Offer, Problem
from planner.results import Plan
from planner.rulebook import eased, rules_of
from planner.solve import Infeasible, Stop
from tests.properties.brute import Brute
from tests.properties.questions import lean, output_row

#: Two storage offers and a generator, of a few containers each: every fleet can be tried.
SMALL: dict[str, Any] = {
    "tables": {
        "factory_output": (
            output_row("A-cells", 0.125), output_row("A-plant", 0.125), output_row("B-works", 0.1005),
            output_row("G-plant", 0.9),
        )
    },
    "offer_changes": {
        "Alpha": {"min_order_mwh": 11.3},
        "Beta": {"min_order_mwh": 7.1, "power_mw": 1.23, "price": {2029: 243.0, 2032: 241.0}},
    },
    "site__generator_mw_max": 5.0, "load__target_mw": {"2029-01": 7.3, "2030-01": 13.9},
}  # fmt: skip
ODD = 1e-5


@pytest.fixture(scope="module")
def problem() -> Problem:
    return lean(**SMALL)


@pytest.fixture(scope="module")
def solved(problem: Problem) -> tuple[Plan, Explanation]:
    found = plan(problem, gap_frac=0.0)
    asked = Asked(every_offer=True, ranges=True)
    return found, explain_plan(problem, found, asked, problem_kind="whole", gap_frac=0.0)


def priced(problem: Problem, name: str, factor: float) -> Problem:
    """The problem with every price of an offer, lithium clause included, multiplied."""

    def at(o: Offer) -> Offer:
        clause = o.lithium_pass_through_frac * factor
        return o.model_copy(
            update={"price": {y: v * factor for y, v in o.price.items()}, "lithium_pass_through_frac": clause}
        )

    return replace(problem, offers=tuple(at(o) if o.offer == name else o for o in problem.offers))


def used(found: Plan, name: str) -> bool:
    return any(order.offer == name for order in found.orders)


def best(problem: Problem, **limits: Any) -> Plan:
    return plan(problem, gap_frac=0.0, **limits)


def test_the_case_has_both_kinds(solved: tuple[Plan, Explanation]) -> None:
    """A bought and an unbought offer, else the tests below would prove little."""
    assert {used(solved[0], a.offer) for a in solved[1].offers} == {True, False}
    assert all(a.bought == used(solved[0], a.offer) for a in solved[1].offers)


def test_price_is_proved_on_both_sides(problem: Problem, solved: tuple[Plan, Explanation]) -> None:
    proved = 0
    for answer in solved[1].offers:
        for t in answer.thresholds:
            if t.figure != "price" or t.enters_at is None or t.stays_out_at is None:
                continue
            assert t.stays_out_at - t.enters_at == pytest.approx(0.0, abs=1e-4 * t.now)
            assert used(best(priced(problem, answer.offer, t.enters_at / t.now * (1 - ODD))), answer.offer)
            assert not used(best(priced(problem, answer.offer, t.stays_out_at / t.now * (1 + ODD))), answer.offer)
            proved += 1
    assert proved >= 2


def test_duty_is_proved_on_both_sides() -> None:
    """Alpha bears a duty of 31 to 47 %; a dear duty makes it leave."""
    problem = lean(**SMALL)
    found = best(problem)
    answer = explain_plan(problem, found, Asked(offers=("Alpha",)), problem_kind="whole", gap_frac=0.0).offers[0]
    duty = next(t for t in answer.thresholds if t.figure == "duty")
    assert duty.enters_at is not None
    assert duty.stays_out_at is not None
    for rate, inside in ((duty.enters_at * (1 - ODD), True), (duty.stays_out_at * (1 + ODD), False)):
        rows = tuple(r.model_copy(update={"rate_frac": r.rate_frac * rate / duty.now}) for r in problem.tables.tariffs)
        changed = replace(problem, tables=replace(problem.tables, tariffs=rows))
        assert used(best(changed), "Alpha") is inside


class Fleets:
    """Least cost of every whole fleet of a small problem, by brute force, in million USD."""

    def __init__(self, problem: Problem) -> None:
        brute = Brute(problem)
        n = brute.grid[brute.lawful()]
        load, floors = brute.served(n)
        self.n, load = n[floors], load[floors]
        self.cost = brute.priced(self.n, load)[0] / 1e6
        stands = np.array([brute._index(row) for row in self.n])
        free = brute._reach([brute._standing(z, False)[0] for z in problem.case.site.zones])
        self.cost[~free.reshape(-1)[stands]] = np.inf  # walls cost money and are not tried: none is needed here
        self.offer = brute.offer_of
        self.problem = problem

    def mwh(self, wanted: Any) -> Any:
        each = [
            o.energy_usable_ac_mwh * o.is_storage * bool(wanted(o))
            for o in (self.problem.offers[i] for i in self.offer)
        ]
        return self.n @ np.array(each)

    def least(self, mask: Any) -> float:
        return float(np.where(mask, self.cost, np.inf).min())


@pytest.fixture(scope="module")
def fleets(problem: Problem) -> Fleets:
    return Fleets(problem)


def test_forced_in_and_out_are_brute_force(problem: Problem, solved: tuple[Plan, Explanation], fleets: Fleets) -> None:
    optimum = fleets.least(np.ones(len(fleets.cost), dtype=bool))
    assert solved[0].cost_musd == pytest.approx(optimum, rel=1e-8)
    for answer in solved[1].offers:
        o = next(i for i, offer in enumerate(problem.offers) if offer.offer == answer.offer)
        count = fleets.n[:, fleets.offer == o].sum(axis=1)
        turned = fleets.least(count == 0 if answer.bought else count > 0)
        if np.isinf(turned):
            assert answer.verdict in ("needed", "does not fit")
            continue
        assert answer.extra_cost_lower_musd is not None
        assert answer.extra_cost_upper_musd is not None
        assert answer.extra_cost_lower_musd - 1e-6 <= turned - optimum <= answer.extra_cost_upper_musd + 1e-6
        assert answer.extra_cost_upper_musd - answer.extra_cost_lower_musd < 1e-5


def test_ranges_are_brute_force(solved: tuple[Plan, Explanation], fleets: Fleets) -> None:
    optimum = float(fleets.cost.min())
    attribute = {"supplier": "supplier", "country": "cell_country", "chemistry": "chemistry"}
    assert len(solved[1].ranges) == 2 * 6
    for r in solved[1].ranges:
        near = fleets.cost <= optimum * (1 + r.within_frac) + 1e-9
        mwh = fleets.mwh(lambda o, r=r: getattr(o, attribute[r.group]) == r.name)[near]
        assert r.least_upper_mwh == pytest.approx(mwh.min(), abs=1e-4)
        assert r.most_lower_mwh == pytest.approx(mwh.max(), abs=1e-4)
        assert (r.least_lower_mwh, r.most_upper_mwh) == pytest.approx((mwh.min(), mwh.max()), abs=1e-4)
        verdict = "in every plan" if mwh.min() > 0 else ("in none" if mwh.max() == 0 else "a choice")
        assert r.verdict == verdict
    assert len({r.verdict for r in solved[1].ranges}) >= 2


def test_rule_prices_are_plans_of_the_changed_question(problem: Problem, solved: tuple[Plan, Explanation]) -> None:
    names = ("min_order", "supply", "reliability.service", "site.generator_mw_max")
    found = explain_plan(problem, solved[0], Asked(rules=names), problem_kind="whole", gap_frac=0.0)
    assert {r.rule for r in found.rules} == set(names)
    saved = []
    for price in found.rules:
        rule = next(r for r in rules_of(problem) if r.name == price.rule)
        cost = best(eased(problem, rule, price.amount).problem).cost_musd
        assert price.saved_lower_musd is not None
        assert price.saved_upper_musd is not None
        assert price.saved_lower_musd - 2e-6 <= solved[0].cost_musd - cost <= price.saved_upper_musd + 2e-6
        saved.append(price.saved_lower_musd)
    assert max(saved) > 0.01


def test_what_dropping_a_rule_tells_is_true_of_easing_it(problem: Problem, solved: tuple[Plan, Explanation]) -> None:
    desk = Desk(problem, solved[0], Stop(120.0), "whole", 0.0, 30.0)
    told = []
    for rule in (r for r in rules_of(problem) if {"dropped", "eased"} <= set(changes_of(r))):
        dropped = price_rule(desk, rule, "dropped")
        told.append(eased_by_dropped(desk, rule, dropped))
        if told[-1] is not None:
            asked = price_rule(desk, rule, "eased")
            assert asked.saved_lower_musd is not None
            assert asked.saved_upper_musd is not None
            assert told[-1].saved_upper_musd is not None
            assert 0.0 == told[-1].saved_lower_musd <= asked.saved_lower_musd
            assert asked.saved_upper_musd <= told[-1].saved_upper_musd + 2e-6
        else:
            assert dropped.verdict == "binds" or rule.name == "lead_time"
    assert None in told
    assert any(one is not None for one in told)


def test_bridge_adds_up_and_is_the_cost_of_a_container(problem: Problem, solved: tuple[Plan, Explanation]) -> None:
    steps = ("quoted", "lithium", "tier_discount", "duty", "freight", "power_conversion", "balance_of_plant",
             "installation", "epc")  # fmt: skip
    later = ("payment_dates", "fuel_and_land", "operation", "insurance", "standby_energy", "end_of_life",
             "residual_value", "tax_credit")  # fmt: skip
    found = bridges(problem, solved[0])
    assert [b.offer for b in found] == [o.offer for o in problem.offers]
    total = 0.0
    for b in found:
        assert b.at_site_usd_per_kwh == pytest.approx(sum(getattr(b, f"{k}_usd_per_kwh") for k in steps))
        assert b.net_usd_per_kwh == pytest.approx(
            b.at_site_usd_per_kwh + sum(getattr(b, f"{k}_usd_per_kwh") for k in later)
        )
    for order in solved[0].orders:  # one period each would do; every container of the plan must add up
        from planner.explain.bridge import bridge

        offer = next(o for o in problem.offers if o.offer == order.offer)
        period = next(p for p in problem.periods if p.label == order.period)
        tier = next(t for t in offer.tiers if t.tier == order.tier)
        total += bridge(problem, solved[0], offer, period, tier).net_usd_per_kwh * order.energy_mwh * 1e3 / 1e6
    items = solved[0].cost_breakdown_musd
    assert total == pytest.approx(
        solved[0].cost_musd - items["delay"] - items["qualification"] - items["fire_barriers"]
    )


def test_lead_time_and_allocation_are_proved_on_both_sides() -> None:
    """An offer far too slow, cheap otherwise; and one whose factory is too small for its minimum order."""
    slow = lean(**SMALL | {"offer_changes": {"Alpha": {"lead_time_months": 90, "valid_until": 12 * 2050}}})
    answer = explain_plan(slow, best(slow), Asked(offers=("Alpha",)), problem_kind="whole", gap_frac=0.0).offers[0]
    assert answer.verdict == "cannot be bought"
    lead = next(t for t in answer.thresholds if t.figure == "lead_time")
    assert lead.enters_at is not None
    assert used(best(with_lead_time(slow, 0, int(lead.enters_at))), "Alpha")
    assert not used(best(with_lead_time(slow, 0, int(lead.stays_out_at or 0))), "Alpha")
    tight = lean(**SMALL | {"offer_changes": {"Alpha": {"min_order_mwh": 140.0}}})
    answer = explain_plan(tight, best(tight), Asked(offers=("Alpha",)), problem_kind="whole", gap_frac=0.0).offers[0]
    share = next(t for t in answer.thresholds if t.figure == "allocation")
    for change, inside in ((share.change_enters_frac, True), (share.change_stays_out_frac, False)):
        if change is not None:
            try:
                found = best(with_allocation(tight, 0, 1.0 + change))
            except Infeasible:
                pytest.fail("the changed question has no plan")
            assert used(found, "Alpha") is inside
