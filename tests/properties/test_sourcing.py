# ruff: noqa: E501
"""The sourcing network against every fleet with a linear program of its own, and what must not change or rise."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from planner.catalogue import BanRow, SourceNodeRow
from planner.explain.orders import complete
from planner.frontier.nodeworth import layers_left, node_worths
from planner.pipeline import plan
from planner.problem import Component, Flag, Problem
from planner.results import Plan
from planner.solve import Infeasible
from planner.units import parse_month, year_of
from planner.verify import verify
from tests.properties.brute import Brute
from tests.properties.networks import AMOUNT, LAYERS, NODES, WEIGHT, network, shares, sourced
from tests.properties.questions import STAMP, lean
from tests.properties.test_brute_force import SETTINGS, chance, odd, questions
from tests.properties.test_monotone import cost, of_case, offers, tables

MEASURES = ("value", "chokepoint", "value_ownership", "chokepoint_ownership")


@st.composite
def networked(draw: Any) -> Problem:
    """A small question with a network and a limit on exposure that only sourcing or another offer can meet."""
    problem = draw(questions())
    premiums = [draw(odd(0.2, 9.0)) for _ in NODES]
    energy = 2.0 * sum(o.energy_usable_ac_mwh for o in problem.offers if o.is_storage)
    sizes = [draw(odd(0.2, 9.0)) * energy * a / 1000.0 for a in (AMOUNT[n[1]] for n in NODES)]
    same = chance(draw, 0.4)
    made = {}
    for i, name in enumerate(o.offer for o in problem.offers if o.is_storage):
        if same and i:
            made[name] = next(iter(made.values()))
            continue
        pairs = {n: (draw(odd(0.1, 1.0)), draw(odd(0.1, 1.0))) for n in LAYERS[:-1]}
        pairs["cell"] = (draw(odd(0.0, 0.1)), draw(odd(0.0, 0.1)))
        made[name] = shares(**pairs)
    accept = draw(
        st.sampled_from([{"Alpha": "*", "Beta": "*"}, {"Alpha": "home-ore;home-salt;ally-powder;ally-graphite"}])
    )
    start = draw(st.sampled_from(["2026-01", "2029-03"]))
    found = sourced(problem, made, network(premiums, sizes, start, accept=accept))
    measure = draw(st.sampled_from(MEASURES))
    try:
        cheapest = plan(of_case(found, "exposure_limits", {}), gap_frac=0.05)
    except Infeasible:
        cheapest = None
    assume(cheapest is not None)
    assert cheapest is not None
    limit = cheapest.exposure_frac[measure] * draw(odd(0.55, 1.03))
    return of_case(found, "exposure_limits", {measure: LIMIT.model_copy(update={"max_frac": limit})})


LIMIT = lean(exposure_limits={"value": {"max_frac": 1.0}}).case.exposure_limits["value"]


class Chain:
    """Least premium for given orders, offer by offer, with the Chinese part as a flow of its own."""

    def __init__(self, problem: Problem, found: Plan) -> None:
        self.problem = problem
        self.orders: dict[tuple[int, int], float] = defaultdict(float)
        periods = {p.label: i for i, p in enumerate(problem.periods)}
        for order in found.orders:
            o = next(i for i, x in enumerate(problem.offers) if x.offer == order.offer)
            if problem.offers[o].is_storage:
                self.orders[o, periods[order.period]] += order.energy_mwh
        self.columns: list[tuple[Any, ...]] = []
        for o, p in self.orders:
            takes = {r.layer: r.nodes for r in problem.tables.offer_sourcing if r.offer == problem.offers[o].offer}
            for node in problem.tables.source_nodes:
                names = takes.get(node.layer)
                if names is None or (names != "*" and node.node not in names.split(";")):
                    continue
                ways = node.feeds.split(";") if node.layer == "mining" else [""]
                for part in ("made", "owned", "hosted"):
                    self.columns += [(o, p, node, via, part) for via in ways]

    def _less(self, column: tuple[Any, ...], owner: bool) -> float:
        _, _, node, _, part = column
        counted = {"made": (1, 1), "owned": (0, 1), "hosted": (1, 0)}[part][owner]
        return counted - float((node.owner_country if owner else node.country) == "China")

    def _ratio(self, o: int) -> float:
        offer = self.problem.offers[o]
        return round(offer.energy_nameplate_dc_mwh / offer.energy_usable_ac_mwh, 3)

    def _limit(self, node: SourceNodeRow, p: int) -> float:
        rows = {r.year: r for r in self.problem.tables.source_output if r.node == node.node}
        period = self.problem.periods[p]
        months = range(period.start - node.ahead_months, period.end - node.ahead_months)
        at = np.interp(year_of(months[0]), sorted(rows), [rows[y].capacity for y in sorted(rows)])
        there = sum(m >= node.start for m in months) / len(months)
        return at * 1000 * 0.87 * 0.31 * (1 - node.delay_risk_frac) * there * min(1.0, len(months) / 12)

    def musd(self, required: float) -> float:
        """Infinite if the limits on exposure cannot be met with these orders."""
        problem = self.problem
        rate, decision = problem.case.finance.discount_rate_frac, problem.case.timeline.decision
        usd, upper, right = [], [], []
        for o, p, node, *_ in self.columns:
            kg = self._ratio(o) * AMOUNT[node.layer]
            worth = (1 + rate) ** (-(problem.periods[p].start - decision) / 12)
            usd.append((kg * node.premium_usd_per_unit + 0.17) * 1e3 * worth / 1e6)

        def row(pick: Any, most: float) -> None:
            upper.append([pick(c) for c in self.columns])
            right.append(most)

        for (o, p), mwh in self.orders.items():
            for layer in AMOUNT:
                s = problem.offers[o].layers[layer]
                low = min(s.production_frac, s.ownership_frac)
                for part, share in (
                    ("made", low),
                    ("owned", s.ownership_frac - low),
                    ("hosted", s.production_frac - low),
                ):
                    row(
                        lambda c, o=o, p=p, layer=layer, part=part: float(
                            c[:2] == (o, p) and c[2].layer == layer and c[4] == part
                        ),
                        share * mwh,
                    )
        for node in problem.tables.source_nodes:
            for p in {p for _, p in self.orders}:
                row(
                    lambda c, node=node, p=p: (
                        float(c[2] is node and c[1] == p) * self._ratio(c[0]) * AMOUNT[node.layer]
                    ),
                    self._limit(node, p),
                )
        for group, p in {(self._group(o), p) for o, p in self.orders}:
            for r in [n for n in problem.tables.source_nodes if n.layer == "refining"]:
                row(
                    lambda c, r=r, g=group, p=p: (
                        (self._group(c[0]) == g and c[1] == p) * (float(c[3] == r.node) - float(c[2] is r))
                    ),
                    0.0,
                )
            outside = sum(
                (1 - problem.offers[o].layers["cathode"].production_frac) * m
                for (o, q), m in self.orders.items()
                if q == p and self._group(o) == group
            )
            row(
                lambda c, g=group, p=p: (
                    (self._group(c[0]) == g and c[1] == p)
                    * (float(c[2].layer == "refining") - (c[2].layer == "cathode") * self._less(c, False))
                ),
                outside,
            )
        for measure, limit in problem.case.exposure_limits.items():
            owner = measure.endswith("_ownership")
            for layers, weigh in (
                [(LAYERS, WEIGHT)]
                if measure.startswith("value")
                else [((n,), dict.fromkeys(LAYERS, 1.0)) for n in LAYERS]
            ):
                there = sum(
                    weigh[n] * (problem.offers[o].layers[n].ownership_frac if owner else problem.offers[o].layers[n].production_frac) * mwh
                    for (o, _), mwh in self.orders.items() for n in layers
                )  # fmt: skip
                row(
                    lambda c, layers=layers, weigh=weigh, owner=owner: (
                        -weigh[c[2].layer] * self._less(c, owner) * float(c[2].layer in layers)
                    ),
                    limit.max_frac * required - there,
                )
        if not self.columns:
            return 0.0 if all(b >= -1e-9 for b in right) else np.inf
        best = linprog(usd, np.array(upper), np.array(right) + 1e-9, method="highs")
        return float(best.fun) if best.status == 0 else np.inf

    def _group(self, o: int) -> tuple[Any, ...]:
        offer = self.problem.offers[o]
        takes = tuple(sorted((r.layer, r.nodes) for r in self.problem.tables.offer_sourcing if r.offer == offer.offer))
        return offer.chemistry, takes, self._ratio(o)


def brute_cost(problem: Problem) -> float:
    """Least cost of fleet and premium over every fleet."""
    plain = of_case(of_case(problem, "sourcing.mode", "none"), "exposure_limits", {})
    best = np.inf
    for found in Brute(plain).candidates():
        if found.cost_musd >= best:
            break
        extra = Chain(problem, found).musd(found.required_mwh)
        if found.cost_musd + extra < best and verify(plain, found, monte_carlo=False).passed:
            best = found.cost_musd + extra
    return best


@settings(SETTINGS, max_examples=12)
@given(networked())
def test_best_of_all_fleets_and_flows(problem: Problem) -> None:
    """The plan costs what the best fleet costs with the least premium that meets the exposure limit."""
    brute = brute_cost(problem)
    mine = cost(problem)
    assert mine == pytest.approx(brute, abs=5e-6, rel=2e-6)


@settings(SETTINGS, max_examples=6)
@given(networked())
def test_table_shares_change_nothing(problem: Problem) -> None:
    """With the table's shares kept, the answer is that of the model without the network."""
    assert cost(of_case(problem, "sourcing.mode", "table")) == pytest.approx(
        cost(of_case(problem, "sourcing.mode", "none")), abs=1e-9
    )


@settings(SETTINGS, max_examples=12)
@given(networked(), st.sampled_from(["free", "more", "earlier", "cheaper", "wider"]))
def test_freedom_never_costs_more(problem: Problem, change: str) -> None:
    """Choices, output, earlier starts, lower premiums and a longer list of accepted nodes only lower the cost."""
    before, t = problem, problem.tables
    after = problem
    if change == "free":
        before = of_case(problem, "sourcing.mode", "none")
    elif change == "more":
        rows = tuple(r.model_copy(update={"capacity": 1.7 * r.capacity}) for r in t.source_output)
        after = tables(problem, source_output=rows)
    elif change == "earlier":
        before = tables(
            problem, source_nodes=tuple(n.model_copy(update={"start": parse_month("2031-05")}) for n in t.source_nodes)
        )
    elif change == "cheaper":
        rows = tuple(
            n.model_copy(update={"premium_usd_per_unit": 0.3 * n.premium_usd_per_unit}) for n in t.source_nodes
        )
        after = tables(problem, source_nodes=rows)
    else:
        after = tables(problem, offer_sourcing=tuple(r.model_copy(update={"nodes": "*"}) for r in t.offer_sourcing))
    assert cost(after) <= cost(before) + 1e-6


#: One offer, all of it Chinese before the cell, that must come down to a third by value.
ALONE: dict[str, Any] = {"offers": ("Alpha",), "exposure_limits": {"value": {"max_frac": 0.5}}}
CHINESE = {
    "Alpha": shares(mining=(0.3, 0.5), refining=(0.9, 0.9), cathode=(1.0, 1.0), anode=(0.9, 0.95), cell=(0.0, 0.0))
}
PLENTY = [50.0] * len(NODES)
DEAR = [1.1, 1.3, 2.1, 1.7, 2.9, 1.9, 3.1]


def alone(limit: float, tabled: dict[str, Any] | None = None, **case: Any) -> Problem:
    problem = lean(**{**ALONE, "exposure_limits": {"value": {"max_frac": limit}}, **case})
    return sourced(problem, CHINESE, tabled or network(DEAR, PLENTY))


def test_ore_without_conversion_buys_nothing() -> None:
    """With no refinery and no cathode plant outside China, ore lowers no exposure, whatever there is of it."""
    without = network(DEAR, [50.0, 50.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    least = min_exposure(alone(9.0, without))
    assert least == pytest.approx(min_exposure(alone(9.0, network(DEAR, [0.0] * 7))))
    refined = network(DEAR, [50.0, 50.0, 50.0, 50.0, 0.0, 0.0, 0.0])
    assert min_exposure(alone(9.0, refined)) == pytest.approx(least)  # every cathode plant is Chinese
    assert min_exposure(alone(9.0, network(DEAR, PLENTY))) < 0.2 * least


def min_exposure(problem: Problem) -> float:
    """Least exposure by value for the fleet of the cheapest plan: what is left when all that can be replaced is."""
    low, high = 0.0, plan(problem, gap_frac=0.0).exposure_frac["value"]
    for _ in range(12):
        middle = (low + high) / 2
        limited = of_case(problem, "exposure_limits", {"value": LIMIT.model_copy(update={"max_frac": middle})})
        try:
            high = min(middle, plan(limited, gap_frac=0.01).exposure_frac["value"])
        except Infeasible:
            low = middle
    return high


PLANTS: dict[str, Any] = {
    "more than is Chinese": lambda r: r.model_copy(update={"energy_mwh": 3 * r.energy_mwh, "amount": 3 * r.amount, "cost_musd": 3 * r.cost_musd}),
    "an unknown node": lambda r: r.model_copy(update={"node": "nowhere"}),
    "another country": lambda r: r.model_copy(update={"country": "Atlantis"}),
    "a lighter load": lambda r: r.model_copy(update={"amount": 0.9 * r.amount}),
    "a lower premium": lambda r: r.model_copy(update={"cost_musd": 0.9 * r.cost_musd}),
    "another part": lambda r: r.model_copy(update={"part": "hosted"}),
    "another period": lambda r: r.model_copy(update={"period": "2029-01" if r.period != "2029-01" else "2030-01"}),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTS)
def test_planted_faults_are_found(name: str) -> None:
    """The verifier recomputes the flows from the plan alone."""
    problem = alone(0.4)
    found = plan(problem, gap_frac=0.0)
    assert found.sourcing
    assert found.verification is not None
    assert found.verification.passed, found.verification.errors
    for i in range(len(found.sourcing)):
        rows = list(found.sourcing)
        rows[i] = PLANTS[name](rows[i])
        verdict = verify(problem, found.model_copy(update={"sourcing": tuple(rows)}), monte_carlo=False)
        assert not verdict.passed, rows[i]


def test_dropped_flows_and_sources_are_found() -> None:
    """Without its replacements a plan claims exposure, cost and sources that it does not have."""
    problem = alone(0.4)
    found = plan(problem, gap_frac=0.0)
    bare = verify(problem, found.model_copy(update={"sourcing": ()}), monte_carlo=False)
    assert {"exposure", "exposure_limit", "cost", "sourced_layers"} <= {
        k for k, v in bare.residuals.items() if v > bare.tolerance
    }
    layers = found.sourced_layers[1:]
    verdict = verify(problem, found.model_copy(update={"sourced_layers": layers}), monte_carlo=False)
    assert verdict.residuals["sourced_layers"] > verdict.tolerance
    fixed = of_case(problem, "sourcing.mode", "table")
    assert verify(fixed, found, monte_carlo=False).residuals["sourcing"] > verdict.tolerance


def test_output_binds() -> None:
    """Half the output of the only cathode plants costs more, and the verifier sees a plan that ignores it."""
    problem = alone(0.4)
    found = plan(problem, gap_frac=0.0)
    used = sum(r.amount for r in found.sourcing if r.layer == "cathode")
    assert used > 0
    tight = tables(
        problem,
        source_output=tuple(r.model_copy(update={"capacity": r.capacity * 1e-3}) for r in problem.tables.source_output),
    )
    verdict = verify(tight, found, monte_carlo=False)
    assert verdict.residuals["sourcing_output"] > verdict.tolerance


def test_doubt_is_settled_by_sources() -> None:
    """A ban on a disputed offer is lifted where its sources prove it clean, and only there."""
    ban = BanRow(ban="clean cells", buyer="utility", flag="usc4865", since="2020-01", clock="order",
                 proof_layers="cathode;anode", proof_frac=0.05, **STAMP)  # fmt: skip
    flags = {"usc4865": Flag(status="disputed", since=None, reason="materials")}
    banned = tables(alone(9.0, policy__disputed="refuse"), bans=(ban,))
    banned = offers(banned, "Alpha", flags=flags)
    found = plan(banned, gap_frac=0.0)
    assert found.verification is not None
    assert found.verification.passed, found.verification.errors
    assert {r.layer for r in found.sourcing} == {"cathode", "anode"}
    assert "sourcing_proof" in found.verification.residuals
    bare = verify(banned, found.model_copy(update={"sourcing": ()}), monte_carlo=False)
    assert bare.residuals["sourcing_proof"] > bare.tolerance
    assert "ban" in {
        k for k, v in verify(of_case(banned, "sourcing.mode", "none"), found).residuals.items() if v > 1e-6
    }
    with pytest.raises(Infeasible):
        plan(tables(banned, source_output=()), gap_frac=0.0)


@pytest.mark.parametrize("unit", ["phase", "pools"])
def test_traced_material_assistance(unit: str) -> None:
    """Where materials are traced, the credit of a non-Chinese cell hangs on what it is made of."""
    parts = {
        "cells": Component(present=True, us_made=True, prohibited="no"), "pack": Component(present=True, us_made=True, prohibited="no"),
    }  # fmt: skip
    weights = tuple(
        r.model_copy(update={"component": "cells"}) if r.component == "cell" else r
        for r in lean().tables.component_weights
    )
    problem = offers(tables(alone(9.0, credits__unit=unit), component_weights=weights), "Alpha", components=parts)
    easy = cost(problem)
    traced = of_case(problem, "sourcing.material_assistance", "traced")
    found = plan(traced, gap_frac=0.0)
    assert found.verification is not None
    assert found.verification.passed, found.verification.errors
    assert found.sourcing
    assert any(r.state for r in found.sourcing)
    assert found.cost_musd > easy + 1e-3
    without = cost(of_case(traced, "sourcing.mode", "table"))
    assert found.cost_musd < without - 1e-3


def test_worth_of_a_tonne_is_a_floor() -> None:
    """Ten more tonnes save at least ten times what one is said to be worth, and exactly that while orders stay."""
    problem = alone(0.4, network(DEAR, [0.03, 0.03, 0.03, 0.05, 0.01, 0.09, 0.02]))
    found = plan(problem, gap_frac=0.0)
    dear = [r for r in node_worths(problem, "value", found) if r.worth_usd_per_unit > 0]
    assert dear
    best = dear[0]
    assert best.taken == pytest.approx(best.limit, rel=1e-6)
    factor = 1.0 + 0.1 / best.limit
    more = tuple(
        r.model_copy(update={"capacity": r.capacity * factor}) if r.node == best.node else r
        for r in problem.tables.source_output
    )
    others = [r for r in dear if r.node == best.node]
    after = cost(tables(problem, source_output=more))
    saved = sum(r.worth_usd_per_unit * 0.1 * r.limit / best.limit for r in others) / 1e6
    assert found.cost_musd - after >= saved * (1 - 1e-3) - 1e-7
    left = layers_left(problem, "value", found)
    assert {r.layer for r in left} <= set(LAYERS)


def test_a_limit_per_period_counts_what_stands() -> None:
    """Sources of one delivery lighten every period in which it stands; the verifier agrees."""
    problem = alone(0.4)
    limit = LIMIT.model_copy(update={"max_frac": 0.3, "per_period": True})
    found = plan(of_case(problem, "exposure_limits", {"value": limit}), gap_frac=0.0)
    assert found.verification is not None
    assert found.verification.passed, found.verification.errors
    assert found.sourcing
    looser = plan(
        of_case(problem, "exposure_limits", {"value": limit.model_copy(update={"max_frac": 0.35})}), gap_frac=0.0
    )
    assert looser.cost_musd <= found.cost_musd + 1e-6


def test_given_orders_are_stated_with_the_makers_own_sources() -> None:
    """Orders without a search have no chosen sources, and then cost and expose what they do without the network."""
    problem = alone(9.0)
    counts = {(o.offer, o.period): o.containers for o in plan(problem, gap_frac=0.0).orders}
    free, plain = (complete(p, counts) for p in (problem, of_case(problem, "sourcing.mode", "none")))
    assert free.cost_musd == pytest.approx(plain.cost_musd)
    assert free.exposure_frac == pytest.approx(plain.exposure_frac)
    assert not free.sourcing


def test_given_orders_get_the_sources_that_keep_the_limit() -> None:
    """A plan that holds its limit through sourcing is the same plan when only its orders are given."""
    problem = alone(0.4)
    found = plan(problem, gap_frac=0.0)
    counts = {(o.offer, o.period): o.containers for o in found.orders}
    bare = complete(of_case(problem, "sourcing.mode", "none"), counts)
    given = complete(problem, counts)
    assert bare.exposure_frac["value"] > 0.4
    assert given.exposure_frac["value"] <= 0.4 + 1e-9
    assert given.cost_musd == pytest.approx(found.cost_musd, rel=1e-6)
    verdict = verify(problem, given, monte_carlo=False)
    assert verdict.passed, verdict.errors


def test_domestic_content_looks_at_the_cell_and_later_only() -> None:
    """No source before the cell moves domestic content."""
    problem = alone(0.4)
    found = plan(problem, gap_frac=0.0)
    counts = {(o.offer, o.period): o.containers for o in found.orders}
    assert found.sourcing
    assert complete(problem, counts).domestic_content_frac == pytest.approx(found.domestic_content_frac)
