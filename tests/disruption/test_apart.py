"""World by world with tolls: its bounds and first stages against every first stage, the joint model, and workers."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from planner.changes import Disruption
from planner.crew import Crew
from planner.disruption import deciding
from planner.disruption.answer import DisruptionAnswer, answered
from planner.disruption.apart import Ledger
from planner.disruption.deciding import WORST, Deciding
from planner.disruption.found import aim_of
from planner.disruption.hedge import Hedger
from planner.disruption.joint import Joining
from planner.disruption.tolls import shared_decisions
from planner.disruption.worlds import CALM, Prospect
from planner.problem import Problem
from planner.solve import Infeasible
from tests.disruption.test_tree import SETTINGS, SOURCE, Fleets, _fixed_tree, _with, best_of_all, certain, solved, trees

Tree = tuple[Problem, dict[str, Problem]]
TOLERANCE_MUSD = 2e-5


def apart(calm: Problem, futures: dict[str, Problem], crew: Crew | None = None) -> DisruptionAnswer:
    return answered(Deciding(calm, futures, gap_frac=1e-6, time_limit_s=600, crew=crew, apart=True))


@settings(SETTINGS, max_examples=8)
@given(trees())
def test_bounds_hold_and_first_stages_are_real(tree: Tree) -> None:
    """No first stage is below the bound, none found is below the best, and tolls do no worse than knowing."""
    calm, futures = tree
    prospect = Prospect(calm, futures)
    want, orders = best_of_all(prospect)
    if orders is None:
        return
    found = apart(calm, futures)
    assert found.bound_musd <= want + TOLERANCE_MUSD
    assert found.aim_musd >= want - TOLERANCE_MUSD
    known = [float(Fleets(w.problem).cost.min(initial=np.inf)) for w in prospect.worlds]
    assert found.bound_musd >= aim_of(prospect, known) - TOLERANCE_MUSD or found.gap_frac < 2e-6
    assert all(o.verified for o in found.outcomes if o.cost_musd is not None)


@settings(SETTINGS, max_examples=6)
@given(trees())
def test_certain_futures_give_the_deterministic_plans(tree: Tree) -> None:
    """Probability 0 of every future gives the plan of the calm case, 1 of one that future's own least cost."""
    calm, futures = tree
    for name in (CALM, *futures):
        sure = certain(calm, name)
        least = Fleets(calm if name == CALM else futures[name]).cost.min(initial=np.inf)
        if not np.isfinite(least):
            continue
        prospect = Prospect(sure, futures)
        want, orders = best_of_all(prospect)
        if orders is None:
            continue
        found = solved(sure, futures)
        assert found.aim_musd == pytest.approx(want, rel=3e-6)
        if name == CALM:
            assert found.expected_musd == pytest.approx(least, rel=3e-6)
        assert found.hedging_musd in (None, pytest.approx(0.0, abs=1e-5))
        assert found.knowing_musd == pytest.approx(0.0, abs=1e-5)


def many(count: int) -> Tree:
    """The tree of ``_fixed_tree`` with its future split into many that become known in different months."""
    calm, futures = _fixed_tree()
    rule = calm.case.disruption.model_dump(mode="json")
    months = [f"{2027 + (11 + k // 2) // 12}-{(11 + k // 2) % 12 + 1:02d}" for k in range(count)]
    rule["futures"] = {
        f"stop-{k}": {"probability_frac": 0.6 / count, "known": month, "premium_frac": 0.1 + 0.01 * k, **SOURCE}
        for k, month in enumerate(months)
    }
    section = Disruption.model_validate_json(json.dumps(rule))
    return _with(calm, section), {name: replace(futures["stop"]) for name in rule["futures"]}


def test_many_futures_agree_with_the_model_of_all() -> None:
    """Twenty futures, never in one model by themselves: the same orders as in the model of all of them."""
    calm, futures = many(20)
    assert len(Prospect(calm, futures).worlds) > deciding.MANY_WORLDS
    found = answered(Deciding(calm, futures, gap_frac=1e-4, time_limit_s=600))
    whole = answered(Deciding(calm, futures, gap_frac=1e-4, time_limit_s=600, apart=False))
    assert found.aim_musd == pytest.approx(whole.aim_musd, rel=2e-4)
    assert found.bound_musd <= whole.aim_musd + TOLERANCE_MUSD
    assert whole.bound_musd <= found.aim_musd + TOLERANCE_MUSD
    assert found.hedging_musd is not None
    assert found.hedging_musd >= 0.0


def test_workers_find_what_one_process_finds() -> None:
    calm, futures = _fixed_tree()
    here = apart(calm, futures)
    with Crew(2) as crew:
        away = apart(calm, futures, crew)
    assert away.aim_musd == pytest.approx(here.aim_musd, rel=1e-6)
    assert away.bound_musd <= here.aim_musd + TOLERANCE_MUSD
    assert not away.findings or all("worker" not in text for text in away.findings)


@settings(SETTINGS, max_examples=4)
@given(trees())
def test_tolls_of_the_relaxation_bound_every_first_stage(tree: Tree) -> None:
    """They add up to nothing; relaxed worlds cost no more than the relaxed whole, whole ones than the best orders."""
    calm, futures = tree
    prospect = Prospect(calm, futures)
    if len(prospect.worlds) < 2:
        return
    hedger = Hedger(prospect, 1e-6, 1)
    blocks = [hedger.block(w) for w in prospect.worlds]
    whole = hedger._search(Joining(prospect, blocks), 60.0)
    whole.prepare()
    whole.fractions, whole.site_open = None, True
    try:
        joint = whole._relax().objective
    except Infeasible:
        return
    tolls = whole._relaxed_tolls()
    assert tolls is not None
    hedger._remember(blocks, whole)
    for key, at in shared_decisions(prospect).items():
        assert sum(tolls.toll.get((w, key), 0.0) for w in at) == pytest.approx(0.0, abs=1e-9)
    rule = prospect.rule
    extra = 1.0 if rule.aim == "worst" else 1.0 + rule.cvar_weight
    assert tolls.weight.sum() == pytest.approx(extra, rel=1e-6)
    ledger, relaxed, bounds = Ledger(prospect), 0.0, 0.0
    lawful = ledger.lawful(tolls)
    assert lawful.weight.sum() == pytest.approx(extra, rel=1e-12)
    assert (lawful.weight >= ledger.base + ledger.least - 1e-12).all()
    assert lawful.weight == pytest.approx(tolls.weight, abs=2e-3)
    if (tolls.weight < 1e-3).any():  # a world that does not count carries its toll only once it does a little
        return
    for w, world in enumerate(prospect.worlds):
        toll = ledger.tolls_of(w, tolls)
        alone = hedger._search(Joining(prospect, [hedger.block(world)], None, toll), 60.0)
        alone.prepare()
        alone.site_open = True
        relaxed += float(tolls.weight[w]) * alone._relax().objective
        bounds += float(tolls.weight[w]) * hedger.tolled(world.name, toll, 60.0).bound_musd
    assert relaxed <= joint + 1e-5
    assert relaxed - 1e-5 <= bounds <= best_of_all(prospect)[0] + TOLERANCE_MUSD


@settings(SETTINGS, max_examples=8)
@given(trees())
def test_apart_finds_orders_for_the_worst_future(tree: Tree) -> None:
    """Never below the least worst cost over all first stages, and no worse than any other choice's."""
    calm, futures = tree
    rule = calm.case.disruption.model_copy(update={"aim": "worst"})
    worst, orders = best_of_all(Prospect(calm, futures, rule))
    if orders is None or len(Prospect(calm, futures).worlds) < 2:
        return
    calm = _with(calm, calm.case.disruption.model_copy(update={"aim": "expected"}))
    found = apart(calm, futures)
    robust = [c for c in found.choices if WORST in (c.choice, *c.also.split("; "))]
    assert len(robust) == 1
    assert robust[0].worst_musd >= worst - TOLERANCE_MUSD
    assert robust[0].worst_musd <= min(c.worst_musd for c in found.choices if c.worst_musd is not None) + 1e-9


def test_apart_finds_the_robust_orders() -> None:
    """In the small tree the orders for the worst future are those of all first stages."""
    calm, futures = _fixed_tree()
    rule = calm.case.disruption.model_copy(update={"aim": "worst"})
    worst, _ = best_of_all(Prospect(calm, futures, rule))
    found = apart(calm, futures)
    assert not found.findings
    robust = next(c for c in found.choices if WORST in (c.choice, *c.also.split("; ")))
    assert robust.worst_musd == pytest.approx(worst, rel=3e-6)


def test_tolls_close_what_knowing_leaves_open() -> None:
    """Where knowing the future is worth something, the bound with tolls lies above the one without."""
    calm, futures = _fixed_tree()
    found = apart(calm, futures)
    assert found.knowing_musd > 1e-3
    assert found.rounds > 0
    assert found.bound_musd > found.aim_musd - found.knowing_musd + 1e-4
