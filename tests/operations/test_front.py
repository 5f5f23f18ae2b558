"""Fronts with operating years: points that a plan, a replay and the certificate agree on, and years learned once."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import planner
from planner.faults import InputError
from planner.frontier import weighted
from planner.frontier.campus import limited
from planner.frontier.files import write_frontier
from planner.frontier.portfolio import Traced, cheapest, trace_frontier
from planner.frontier.start import take_up_start
from planner.frontier.walk import Walk
from planner.frontier.wholeplans import Made, Maker, Wanted
from planner.operations.schedule import YearPlan
from planner.present import stream
from planner.search import Search, Solution
from planner.solve import Infeasible, NoPlan, Stop
from planner.verify import verify
from tests.report import mission

#: A gate that is too narrow for the load at its peaks: what storage lets in is worth most of the plan.
LATE = [
    "operations.enabled=true", "operations.price_years=[2022]", "load.shape.file=null", "load.shape.column=null",
    "load.shape.years=1", "site.energisation.grid={2028-01: 37.2}", "timeline.horizon_years=2",
    "load.final_floor_frac=0.5", "solver.gap_frac=0.001",
]  # fmt: skip
GAP = 0.001
MEASURE = "value"


@pytest.fixture(scope="module")
def problem(tmp_path_factory: pytest.TempPathFactory) -> planner.Problem:
    path = tmp_path_factory.mktemp("case") / "mission.yaml"
    path.write_text(json.dumps(mission.case(), default=str), encoding="utf-8")
    return planner.load_case(str(path), LATE)


@pytest.fixture(scope="module")
def traced(problem: planner.Problem) -> Traced:
    return trace_frontier(problem, measure=MEASURE, tolerance=0.02, most_points=8, thetas=(0.0, 1.0))


def test_no_point_is_beaten_by_another(traced: Traced) -> None:
    corners = [(p.exposure_frac, p.cost_musd) for p in traced.frontier.points]
    assert len(corners) >= 5
    for (e0, c0), (e1, c1) in pairwise(corners):
        assert e0 < e1
        assert c0 > c1


def test_every_point_costs_what_its_replayed_plan_costs(problem: planner.Problem, traced: Traced) -> None:
    """Energy is added up here from the hourly schedules; the verifier reads every other dollar."""
    price = None
    for point, plan in zip(traced.frontier.points, traced.plans, strict=True):
        verdict = verify(problem, plan, monte_carlo=False)
        assert verdict.passed, verdict
        assert point.cost_musd == pytest.approx(sum(plan.cost_breakdown_musd.values()), rel=1e-9)
        assert point.exposure_frac == plan.exposure_frac[MEASURE]
        assert plan.operations is not None
        assert list(plan.schedules) == [p.label for p in problem.periods]
        energy = 0.0
        for period in problem.periods:
            s = plan.schedules[period.label]
            price = s.price_usd_per_mwh
            usd = float(((s.imported - s.exported - s.load) * price).sum()) * problem.dt_h
            energy += stream(problem, period.start, period.end) * usd / 1e6
        assert plan.cost_breakdown_musd["energy"] == pytest.approx(energy, rel=1e-6, abs=1e-6)
    assert price is not None and np.ptp(price) > 100.0


def test_the_ends_and_a_point_between_are_those_of_single_plans(problem: planner.Problem, traced: Traced) -> None:
    points = traced.frontier.points
    alone = planner.plan(problem)
    assert points[-1].bound_musd <= alone.cost_musd + 1e-6
    assert alone.bound_musd <= points[-1].cost_musd + 1e-6
    assert points[-1].cost_musd == pytest.approx(alone.cost_musd, rel=2 * GAP)
    for point in (points[0], points[len(points) // 2]):
        held = limited(problem, MEASURE, point.exposure_frac + 1e-9)
        found = planner.plan(held)
        assert found.status in ("optimal", "gap_limit")
        assert point.bound_musd <= found.cost_musd + 1e-6
        assert found.bound_musd <= point.cost_musd + 1e-6
    with pytest.raises(Infeasible):
        planner.plan(limited(problem, MEASURE, points[0].exposure_frac - 0.01))


def test_the_certificate_agrees_with_what_the_points_say(traced: Traced) -> None:
    f = traced.frontier
    assert f.uncovered_frac <= f.tolerance
    for point in f.points:  # the band is proved for every plan with at most its exposure
        for step in f.band:
            if step.exposure_frac >= point.exposure_frac:
                assert step.bound_musd <= point.cost_musd + 1e-6
    hidden = sum(
        (right.exposure_frac - left.exposure_frac) * (left.cost_musd - right.bound_musd)
        for left, right in pairwise(f.points)
    )
    first, last = f.points[0], f.points[-1]
    whole = (last.exposure_frac - first.exposure_frac) * (first.cost_musd - last.cost_musd)
    assert 0.0 < f.uncovered_whole_frac <= hidden / whole + 1e-3


def test_files_hold_the_schedules_of_every_point(traced: Traced, tmp_path: Path) -> None:
    write_frontier(traced, tmp_path)
    for point, plan in zip(traced.frontier.points, traced.plans, strict=True):
        table = pq.read_table((tmp_path / point.plan).parent / "schedule.parquet").to_pydict()
        assert table["import_mw"] == pytest.approx(np.concatenate([s.imported for s in plan.schedules.values()]))


@pytest.mark.parametrize("served", [True, False])
def test_going_on_takes_the_cheapest_plan_up_if_its_schedules_still_serve_the_load(
    problem: planner.Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, served: bool
) -> None:
    asked = {"measure": MEASURE, "tolerance": 0.1, "most_points": 2, "thetas": (0.0, 1.0)}
    before = trace_frontier(problem, state=tmp_path / "state.npz", **asked)
    monkeypatch.setattr("planner.operations.cuts._POOLS", {})  # as in a new process
    searches = []

    def search(*terms: object) -> tuple[planner.Plan, Search, Solution]:
        searches.append(terms)
        return cheapest(*terms)

    taken = []

    def take_up(*terms: object) -> tuple[planner.Plan, Search, Solution] | None:
        found = take_up_start(*terms)
        taken.append(None if found is None else found[0])
        return found

    monkeypatch.setattr("planner.frontier.portfolio.cheapest", search)
    monkeypatch.setattr("planner.frontier.portfolio.take_up_start", take_up)
    if not served:
        monkeypatch.setattr(YearPlan, "misses_load", property(lambda self: not searches))
    after = trace_frontier(problem, state=tmp_path / "state.npz", resume=True, **asked)
    assert len(searches) == (0 if served else 1)
    assert not after.frontier.findings
    for one, other in zip((before.plans[0], before.plans[-1]), (after.plans[0], after.plans[-1]), strict=True):
        assert other.verification is not None and other.verification.passed
        assert other.cost_musd == pytest.approx(one.cost_musd, rel=GAP)
    assert len(taken) == 1
    if served:
        plan = taken[0]
        assert plan is not None
        assert plan.verification is not None and plan.verification.passed
        assert plan.cost_musd == pytest.approx(before.plans[-1].cost_musd, rel=GAP)
        assert list(plan.schedules) == [p.label for p in problem.periods]
    assert after.frontier.points[-1].gap_frac <= GAP + 1e-9


def test_no_plan_is_made_where_one_in_hand_is_within_the_gap(
    problem: planner.Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, asked = [], []
    make, settled = Maker.make, Walk._settled

    def noted(self: Maker, wanted: Wanted) -> Made:
        made.append(wanted)
        return make(self, wanted)

    def answered(self: Walk, wanted: Wanted) -> bool:
        asked.append((self, wanted, settled(self, wanted)))
        return asked[-1][2]

    monkeypatch.setattr(Maker, "make", noted)
    monkeypatch.setattr(Walk, "_settled", answered)
    trace_frontier(problem, measure=MEASURE, tolerance=0.1, most_points=2, thetas=(0.0, 1.0))
    assert made
    assert made == [wanted for _, wanted, answer in asked if not answer]
    walk, one = asked[0][0], asked[0][1]
    cheap = min(walk.plans, key=lambda p: p.cost_musd)
    right, cost = cheap.exposure_frac[MEASURE], cheap.cost_musd
    assert settled(walk, replace(one, exposure_frac=right, bound_musd=cost * (1 - GAP / 2)))
    assert not settled(walk, replace(one, exposure_frac=right, bound_musd=cost * (1 - 2 * GAP)))
    assert not settled(walk, replace(one, exposure_frac=0.0, bound_musd=cost * (1 - GAP / 2)))


def test_several_workers_are_refused(problem: planner.Problem) -> None:
    """Each would have to learn the years again."""
    with pytest.raises(InputError, match="--workers"):
        trace_frontier(problem, measure=MEASURE, workers=2)


@pytest.mark.parametrize(("operated", "share"), [(True, 0.5), (False, 1.0)])
def test_a_cheapest_plan_whose_gap_stays_open_leaves_time_for_the_front(
    problem: planner.Problem, monkeypatch: pytest.MonkeyPatch, operated: bool, share: float
) -> None:
    limits = []

    def note(problem: planner.Problem, stop: Stop, audit: bool) -> None:
        limits.append(stop.limit_s)
        raise NoPlan(False)

    monkeypatch.setattr("planner.frontier.portfolio.cheapest", note)
    off = problem.case.operations.model_copy(update={"enabled": operated})
    asked = replace(problem, case=problem.case.model_copy(update={"operations": off}))
    with pytest.raises(NoPlan):
        trace_frontier(asked, measure=MEASURE, time_limit_s=100.0)
    assert limits[0] == pytest.approx(100.0 * share, abs=5.0)


def test_a_weight_of_security_is_refused_with_operating_years(problem: planner.Problem) -> None:
    security = problem.case.security.model_copy(update={"theta": 0.5})
    asked = replace(problem, case=problem.case.model_copy(update={"security": security}))
    with pytest.raises(InputError, match="operations"):
        weighted.plan(asked)
