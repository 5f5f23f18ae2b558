"""Points of a front as candidates: each has its turn, and none is taken that the case cannot order."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from planner.disruption import deciding
from planner.disruption.answer import ALL, answered
from planner.disruption.command import foreign_orders, front_orders
from planner.disruption.deciding import FRONT_POINT, Deciding
from planner.disruption.hands import Here, Job
from planner.disruption.hedge import Outcome
from planner.disruption.joint import Fixed
from planner.disruption.page import page_html
from planner.disruption.show import print_answer
from planner.disruption.worlds import CALM
from planner.faults import Fault
from planner.writing import json_text
from tests.disruption.test_tree import _fixed_tree, _with_slots

LIMIT_S = 700.0


class Watched(Here):
    """Solves here and keeps the jobs."""

    def each(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Outcome]]:
        for job, outcome in super().each(jobs):
            self.jobs = [*getattr(self, "jobs", []), job]
            yield job, outcome


def test_no_candidate_uses_the_time_of_those_that_wait() -> None:
    """With thirty points of a front no world of one of the first may use the time of all."""
    calm, futures = _fixed_tree()
    points = {
        f"{FRONT_POINT}value {n}": {("Alpha", "2029-01"): n % 6, ("Beta", "2029-01"): n // 6} for n in range(1, 31)
    }
    asked = Deciding(calm, futures, gap_frac=1e-4, time_limit_s=LIMIT_S, candidates=points)
    asked.hands = hands = Watched(asked.hedger)
    asked.decide()
    signed = [{k: n for k, n in orders.items() if n and k in asked.prospect.pair} for orders in points.values()]
    turns: dict[tuple[str, str], float] = {}
    for job in hands.jobs:
        if job.fixed is not None and dict(job.fixed.orders) in signed:
            turns.setdefault((job.world, str(job.fixed)), job.seconds)
    assert len(turns) > 10
    share = deciding._TRIED_UNTIL * deciding._LEAST_TURN
    assert max(list(turns.values())[:10]) <= share * LIMIT_S * 1.01


def test_a_point_with_slots_is_no_point_of_the_front() -> None:
    """The only orders are a point of the front; with slots beside them they compete with every other choice."""
    calm, futures = _fixed_tree()
    name = f"{FRONT_POINT}value 0.1"
    asked = Deciding(_with_slots(calm, 3), futures, gap_frac=1e-4, time_limit_s=LIMIT_S)
    asked.done.knowing = asked._knowing()
    asked._try(name, Fixed(asked.done.knowing[CALM].fixed.orders), 0.5)
    asked._reserving()
    assert any(n == f"slots for {name}" for n in asked.done.tried)
    assert [n for n in asked.done.tried if n.startswith(FRONT_POINT)] == [name]


def test_points_are_compared_with_one_another_on_the_screen() -> None:
    """Which point is best from which probability stands apart from which of all choices is."""
    calm, futures = _fixed_tree()
    points = {f"{FRONT_POINT}value {n}": {("Alpha", "2029-01"): n} for n in (1, 2)}
    found = answered(Deciding(calm, futures, gap_frac=1e-4, time_limit_s=LIMIT_S, candidates=points))
    shown = io.StringIO()
    print_answer(found, Console(file=shown, width=200))
    every, points_alone = shown.getvalue().split("among all choices")[1].split("among the points of the front")
    for row in found.reigns:
        assert row.choice in (every if row.among == ALL else points_alone)
    assert f"{FRONT_POINT}value" in points_alone
    assert f"as if {CALM}" not in points_alone


class Hasty(Here):
    """Finds no plan for orders that stand in some future when it is asked for the first time."""

    def each(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Outcome]]:
        for job, outcome in super().each(jobs):
            seen = getattr(self, "seen", set())
            hasty = job.fixed is not None and job.world != CALM and (job.world, str(job.fixed)) not in seen
            self.seen = {*seen, (job.world, str(job.fixed))}
            yield job, replace(outcome, plan=None, cost_musd=np.inf, bound_musd=-np.inf) if hasty else outcome


def test_orders_without_a_plan_in_time_are_tried_again() -> None:
    """What hedging is worth is told as soon as a second look finds the calm orders' plans."""
    calm, futures = _fixed_tree()
    want = answered(Deciding(calm, futures, gap_frac=1e-4, time_limit_s=LIMIT_S))
    asked = Deciding(calm, futures, gap_frac=1e-4, time_limit_s=LIMIT_S)
    asked.hands = Hasty(asked.hedger)
    found = answered(asked)
    assert want.hedging_musd is not None
    assert found.hedging_musd == pytest.approx(want.hedging_musd, abs=1e-6)
    assert not any("in time" in said for said in found.findings)


class Unproving(Here):
    """Proves nothing about one future."""

    def each(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Outcome]]:
        for job, outcome in super().each(jobs):
            yield job, replace(outcome, bound_musd=-np.inf) if job.world != CALM else outcome


def test_an_answer_without_a_bound_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the time is too short to prove anything, bound and gap are empty, and page and screen say so."""
    calm, futures = _fixed_tree()
    asked = Deciding(calm, futures, gap_frac=1e-4, time_limit_s=LIMIT_S)
    asked.hands = Unproving(asked.hedger)
    monkeypatch.setattr(asked, "_together", lambda: None)
    found = answered(asked)
    assert found.bound_musd is found.gap_frac is found.hedging_most_musd is None
    assert found.status == "time_limit"
    assert json.loads(json_text(found))["bound_musd"] is None
    assert "not known" in page_html(found)
    shown = io.StringIO()
    print_answer(found, Console(file=shown, width=200))
    assert "nothing proved" in shown.getvalue()


def front_in(folder: Path, offer: str) -> Path:
    (folder / "plan.json").write_text(
        json.dumps({"orders": [{"offer": offer, "period": "2029-01", "containers": 2}]}), encoding="utf-8"
    )
    front = {"measure": "value", "points": [{"plan": "plan.json", "exposure_frac": 0.3}]}
    (folder / "frontier.json").write_text(json.dumps(front), encoding="utf-8")
    return folder


@pytest.mark.parametrize(("offer", "told"), [("Alpha", False), ("Gamma", True)])
def test_a_front_of_another_case_is_refused(tmp_path: Path, offer: str, told: bool) -> None:
    """Orders that the case cannot take are not left out in silence: what is left would be another portfolio."""
    calm, _ = _fixed_tree()
    faults: list[Fault] = []
    candidates = front_orders(front_in(tmp_path, offer), faults)
    assert not faults
    found = foreign_orders(calm, candidates, tmp_path)
    assert [("Gamma for 2029-01" in str(f)) for f in found] == [True] * told
