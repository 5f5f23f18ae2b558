# ruff: noqa: E501
"""Whole plans with operating years: verified, proved, and answering what a late grid is worth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import planner
from planner.faults import InputError
from planner.model.coefficients import Coefficients
from planner.operations.campus import Campus, Fleet
from planner.operations.cuts import Learner
from planner.operations.rows import CutRows
from planner.operations.schedule import Standing, plan_year, servable_mw
from planner.operations.settle import Settlement
from planner.operations.year import Dispatch
from planner.results import Plan
from planner.search import Search
from planner.solve import Attempt, Stop
from planner.verify import verify

LATE = [
    "operations.enabled=true", "operations.price_years=[2022]", "load.shape.file=null", "load.shape.column=null",
    "load.shape.years=1", "site.energisation.grid={2028-01: 9.3}", "timeline.horizon_years=2", "load.final_floor_frac=0.5",
]  # fmt: skip


@pytest.fixture(scope="module")
def late() -> tuple[planner.Problem, Plan]:
    """The grid gives 9.3 of 10 MW, for good."""
    problem = planner.load_case("tiny", LATE)
    return problem, planner.plan(problem)


def test_storage_lets_more_load_on_than_the_grid_alone(late: tuple[planner.Problem, Plan]) -> None:
    """Load factor 0.93: what the store gives at the peaks it takes from the valleys below 9.3 MW."""
    _, plan = late
    assert plan.verification is not None and plan.verification.passed, plan.verification
    assert plan.status in ("optimal", "gap_limit")
    assert max(plan.served_mw.values()) > 9.31
    assert plan.operations is not None
    year = plan.operations.years[0]
    assert year.grid_only_mw == pytest.approx(9.3, rel=1e-9)
    assert year.peak_import_mw <= 9.3 + 1e-6
    assert plan.operations.earlier_months > 0
    served_beyond = sum(max(0.0, mw - 9.3) * 12 for mw in plan.served_mw.values())
    assert plan.operations.earlier_months == pytest.approx(served_beyond / 10.0, rel=1e-6)
    without = planner.plan(planner.load_case("tiny", LATE[2:]))
    assert max(without.served_mw.values()) <= 9.3 + 1e-9
    assert plan.cost_musd < without.bound_musd


def test_more_held_back_or_more_grid_moves_the_cost_one_way(late: tuple[planner.Problem, Plan]) -> None:
    _, plan = late
    wider = planner.plan(planner.load_case("tiny", [*LATE, "site.energisation.grid={2028-01: 9.6}"]))
    assert wider.bound_musd <= plan.cost_musd + 1e-6
    longer = planner.plan(
        planner.load_case(
            "tiny", [*LATE, "reliability.service=[{until_h: 2.0, share_frac: 1.0}, {until_h: 3.0, share_frac: 0.3}]"]
        )
    )
    assert longer.cost_musd >= plan.bound_musd - 1e-6


def test_a_plan_whose_years_are_not_known_yet_is_mended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As when time runs out: the search believes that all 10 MW can be served, the schedules say what really can.

    The load is 8.5 MW in the mean, the grid gives 8.
    """
    problem = planner.load_case("tiny", [*LATE, "site.energisation.grid={2028-01: 8}"])
    monkeypatch.setattr(Settlement, "_operate", lambda self, *terms: 0.0)
    monkeypatch.setattr(Learner, "prime", lambda self: None)
    monkeypatch.setattr("planner.operations.cuts._POOLS", {})
    blind = planner.plan(problem)
    assert blind.verification is not None and blind.verification.passed, blind.verification
    assert 8.0 < max(blind.served_mw.values()) < 9.45
    monkeypatch.undo()
    plan = planner.plan(problem)
    assert blind.bound_musd <= plan.cost_musd + 1e-6
    assert blind.cost_musd >= plan.bound_musd - 1e-6


def test_a_grid_that_comes_two_years_late_is_bridged_in_part() -> None:
    """Until 2030 the grid gives 9.3 of 10 MW: the plan says what storage energises before, and what that is worth."""
    until = [
        "timeline.horizon_years=4",
        "timeline.periods=[{months: 24, count: 2}]",
        "load.delay_usd_per_mw_yr=3000000",
    ]
    on_time = planner.plan(planner.load_case("tiny", [*LATE, *until, "site.energisation.grid={2028-01: 10}"]))
    problem = planner.load_case("tiny", [*LATE, *until, "site.energisation.grid={2028-01: 9.3, 2030-01: 10}"])
    plan = planner.plan(problem)
    assert plan.verification is not None and plan.verification.passed, plan.verification
    assert plan.operations is not None and on_time.operations is not None
    assert on_time.operations.earlier_months == 0.0
    assert plan.operations.earlier_months > 0.1
    assert plan.operations.earlier_delay_musd > 0.0
    bare = planner.plan(
        planner.load_case("tiny", [*LATE[2:], *until, "site.energisation.grid={2028-01: 9.3, 2030-01: 10}"])
    )
    assert plan.cost_musd < bare.bound_musd
    shipped = planner.load_case("hyperscaler-1gw-texas", scenario="texas-grid-late").case
    usual = planner.load_case("hyperscaler-1gw-texas").case
    steps = zip(usual.site.energisation.grid.items(), shipped.site.energisation.grid.items(), strict=True)
    assert [(late - month, mw - most) for (month, most), (late, mw) in steps] == [(0, 0.0), (24, 0.0), (24, 0.0)]
    assert shipped.operating is not None


def test_off_changes_nothing() -> None:
    off = planner.plan(planner.load_case("tiny"))
    on = planner.plan(planner.load_case("tiny", ["operations.enabled=true", "operations.price_years=[2022]"]))
    assert off.cost_musd == pytest.approx(2.74)
    assert off.operations is None and "energy" not in off.cost_breakdown_musd
    assert on.cost_musd <= off.cost_musd + 1e-6  # a full reserve costs nothing to hold, and the rest may earn


PLANTS = {
    "balance": ("imported", 40, 0.7),
    "stores": ("stored", 77, 1.3),
    "one_way": ("charge", None, None),
    "gate": ("imported", 12, 9.0),
    "unserved": ("unserved", 200, 0.4),
}


@pytest.mark.parametrize("check", PLANTS)
def test_a_planted_fault_is_found(late: tuple[planner.Problem, Plan], check: str) -> None:
    problem, plan = late
    label = next(iter(plan.schedules))
    s = plan.schedules[label]
    name, step, size = PLANTS[check]
    wrong = np.array(getattr(s, name))
    if step is None:
        t = int(np.argmax(s.discharge[0]))
        wrong[0, t] += 0.3
    elif wrong.ndim == 2:
        wrong[0, step] += size
    else:
        wrong[step] += size
    broken = plan.with_schedules({**plan.schedules, label: replace(s, **{name: wrong})})
    verdict = verify(problem, broken, monte_carlo=False)
    assert not verdict.passed
    assert verdict.residuals[check] > 1e-6


def test_running_more_than_the_outages_leave_is_found(late: tuple[planner.Problem, Plan]) -> None:
    problem, plan = late
    years = plan.operations
    assert years is not None and years.running
    more = [row.model_copy(update={"reserve_frac": 0.0}) for row in years.running]
    used = [row.model_copy(update={"reserve_frac": 0.0}) for row in years.daily_use]
    lower = years.model_copy(update={"running": tuple(more), "daily_use": tuple(used)})
    extra = years.model_copy(
        update={"running": tuple(r.model_copy(update={"containers": 1.2 * r.containers}) for r in years.running)}
    )
    for wrong, check in ((lower, "held"), (extra, "running")):
        broken = plan.model_copy(update={"operations": wrong}).with_schedules(plan.schedules)
        verdict = verify(problem, broken, monte_carlo=False)
        assert verdict.residuals[check] > 1e-3
    if any(row.reserve_frac > 0.0 for row in years.running):
        broken = plan.model_copy(update={"operations": lower}).with_schedules(plan.schedules)
        assert verify(problem, broken, monte_carlo=False).residuals["reliability"] > 1e-3


def containers(c: Coefficients, n: np.ndarray, y: np.ndarray, served_mw: float, run_frac: float = 1.0) -> Fleet:
    """A fleet of ``n`` containers of each delivery, ``y`` at each setting, a share of which runs all the time."""
    running = run_frac * y[:, None, None, :] * c.alive[:, :, None, None]
    return Fleet(n, y, running, np.full(len(c.problem.periods), served_mw), np.zeros(0))


def test_cuts_lie_below_every_schedule() -> None:
    """What was learned from one fleet is a bound for any other one."""
    c = Coefficients(planner.load_case("tiny", LATE))
    campus = Campus(c)
    learner = Learner(campus)
    draw = np.random.default_rng(7)

    stored = np.array([c.problem.offers[o].is_storage for o in c.pair_offer])

    def fleet() -> Fleet:
        n = draw.integers(1, 6, len(c.pairs)).astype(float)
        y = (n * stored)[:, None] * draw.dirichlet(np.ones(1 + len(c.swing_frac)), len(c.pairs))[:, 1:]
        return containers(c, n, y, draw.uniform(8.0, 9.4), draw.random())

    learner.learn([0], fleet(), 1e-5)
    for _ in range(4):
        other = fleet()
        bounds = learner.bounds_musd(other)
        priced = np.array([cut.price_counts for cut in learner.cuts()])
        bound = float(bounds[priced, 0].max())
        assert bounds[~priced, 0].max(initial=0.0) <= 1e-6  # nor do they call a year impossible that has a schedule
        year = plan_year(campus, 0, other)
        assert year.cost_usd["unserved_mwh"] < 1e-6
        assert bound <= year.total_usd / 1e6 + 1e-9
        (k,) = learner.learn([0], other, 1e-6)
        assert float(learner.bounds_musd(other)[k, 0]) == pytest.approx(year.total_usd / 1e6, rel=0.03, abs=2e-3)


def known_rows(c: Coefficients) -> tuple[Search, CutRows]:
    search = Search(c, Stop(1e9), 1e-3, 0)
    search.prepare()
    assert search.settlement is not None
    return search, search.settlement.cuts


def decided(search: Search, cuts: CutRows, fleet: Fleet) -> np.ndarray:
    """Columns that stand for a fleet and count for its years what is known of them."""
    x = np.append(np.zeros(len(search.compiled.cost)), 0.0)
    x[cuts.containers], x[cuts.served] = fleet.containers, fleet.served_mw
    x[cuts.columns.cycled], x[cuts.columns.running] = fleet.cycled, fleet.running
    x[cuts.columns.operating] = -1e6
    cuts.raised_musd(x[:-1])
    return x[:-1]


def test_a_whole_plan_is_operated_once_for_what_it_teaches_and_for_its_schedules(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two periods alike: one operated year is both, and its bound holds for any other fleet."""
    monkeypatch.setattr("planner.operations.cuts._POOLS", {})
    c = Coefficients(planner.load_case("tiny", LATE))
    search, cuts = known_rows(c)
    settlement = search.settlement
    assert settlement is not None and len(c.problem.periods) == 2
    stored = np.array([float(c.problem.offers[o].is_storage) for o in c.pair_offer])
    settings = stored[:, None] * np.array([0.0, 1.0, 0.0, 0.0])
    x = decided(search, cuts, containers(c, 2.0 * stored, settings, 9.1))
    seen = []
    whole = Standing.operate

    def operate(self: Standing, *terms: object, **more: object) -> Dispatch:
        seen.append(self)
        return whole(self, *terms, **more)

    monkeypatch.setattr(Standing, "operate", operate)
    settlement.settle(x)
    years = settlement.schedule(x)
    assert len(seen) == len({one.key for one in seen}) == len({one.key for one in settlement._standing(x)})
    assert [y.period for y in years] == [0, 1]
    value = -sum(y.total_usd for y in years) / 1e6
    assert value > 0.01
    assert -(cuts.operating_musd(x) + cuts.hidden_musd(x)).sum() == pytest.approx(value, rel=0.01)
    assert not settlement.short(x, years)
    known = len(cuts.learner.cuts())
    settlement.settle(decided(search, cuts, containers(c, 2.0 * stored, settings, 9.1)), little_musd=0.1)
    assert len(cuts.learner.cuts()) == known  # nothing new
    other = containers(c, 3.0 * stored, stored[:, None] * np.array([0.5, 0.5, 0.0, 1.0]), 9.2)
    y = decided(search, cuts, other)
    bound = cuts.operating_musd(y) + cuts.hidden_musd(y)
    for p in range(2):
        assert bound[p] <= plan_year(cuts.campus, p, other).total_usd / 1e6 + 1e-9


def test_a_plan_that_breaks_outage_rows_is_not_settled(
    late: tuple[planner.Problem, Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row is found missing at first: what runs must be planned again before the plan counts."""
    search = Search(Coefficients(late[0]), Stop(1e9), 1e-3, 0)
    plan = Attempt(search.run().x, np.inf, -np.inf, False)
    assert plan.x is not None
    plan.objective = float(search.compiled.cost @ plan.x) + search.compiled.offset
    add, seen = search.outages.add_violated, []

    def added(x: np.ndarray) -> object:
        if not seen:
            search.outages.rows.append(search.outages.rows[0])
        seen.append(x)
        return add(x)

    monkeypatch.setattr(search.outages, "add_violated", added)
    settled, years = search.with_years(plan)
    assert len(seen) == 2
    assert settled.x is not None
    assert not search.outages.missing(settled.x)
    assert [y.misses_load for y in years] == [False, False]


def test_load_that_is_missed_is_learned_before_its_price(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("planner.operations.cuts._POOLS", {})
    c = Coefficients(planner.load_case("tiny", LATE))
    search, cuts = known_rows(c)
    settlement = search.settlement
    assert settlement is not None
    stored = np.array([float(c.problem.offers[o].is_storage) for o in c.pair_offer])
    settings = stored[:, None] * np.array([2.0, 0.5, 0.0, 0.5])

    def settled(served_mw: float) -> tuple[bool, int]:
        x, before = decided(search, cuts, containers(c, 3.0 * stored, settings, served_mw)), len(cuts.learner.cuts())
        settlement.settle(x)
        return cuts.impossible(x), sum(cut.price_counts for cut in cuts.learner.cuts()[before:])

    impossible, priced = settled(10.95)
    assert impossible
    assert priced
    assert settled(10.9) == (True, 0)  # it lacked load before, and does: no price is needed
    impossible, priced = settled(9.4)
    assert not impossible
    assert priced


def test_the_load_that_can_be_carried_is_the_most_that_has_a_schedule() -> None:
    """Newton's method against schedules just below and just above."""
    c = Coefficients(planner.load_case("tiny", LATE))
    campus = Campus(c)
    stored = np.array([float(c.problem.offers[o].is_storage) for o in c.pair_offer])

    def fleet(served_mw: float) -> Fleet:
        return containers(c, 3.0 * stored, stored[:, None] * np.array([2.0, 0.5, 0.0, 0.5]), served_mw)

    most = servable_mw(Standing.of(campus, 0, fleet(11.0)))
    assert 9.3 < most < 10.9
    assert plan_year(campus, 0, fleet(most)).cost_usd["unserved_mwh"] < 1e-6 * most * 8760
    assert plan_year(campus, 0, fleet(1.001 * most)).cost_usd["unserved_mwh"] > 1e-6 * most * 8760
    assert servable_mw(Standing.of(campus, 0, fleet(9.0))) == pytest.approx(9.0, rel=1e-4)


def test_full_stores_are_topped_up_at_full_load() -> None:
    """What is wholly held back still loses energy: it is drawn where the gate is all that serves the load."""
    problem = planner.load_case("tiny", LATE)
    leaking = tuple(o.model_copy(update={"self_discharge_frac_per_day": 0.01}) for o in problem.offers)
    c = Coefficients(replace(problem, offers=leaking))
    campus = Campus(c)
    o = campus.stores[0]
    mine = np.flatnonzero((c.pair_offer == o) & c.alive[:, 0])[:1]
    n = np.zeros(len(c.pairs))
    n[mine] = 4.0
    none = np.zeros((len(n), len(c.swing_frac)))
    fleet = containers(c, n, none, 9.3)
    assert plan_year(campus, 0, fleet).cost_usd["unserved_mwh"] > 1e-4  # the gate is as wide as the load
    most = servable_mw(Standing.of(campus, 0, fleet))
    assert 9.29 < most < 9.3
    year = plan_year(campus, 0, containers(c, n, none, most))
    assert year.cost_usd["unserved_mwh"] < 1e-6 * most * 8760
    assert year.lots[0].store.energy_mwh == pytest.approx(float(year.dispatch.stored[0].min()), rel=1e-9)


def test_no_container_runs_that_is_not_meant_to(late: tuple[planner.Problem, Plan]) -> None:
    _, plan = late
    assert plan.operations is not None
    meant = {(u.offer, u.period, u.reserve_frac): u.containers for u in plan.operations.daily_use}
    for row in plan.operations.running:
        assert row.containers <= meant[row.offer, row.delivery, row.reserve_frac] + 1e-9


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("operations.seasons=[[1, 2], [3]]", "every month"),
        ("operations.renewables={wind: {kind: wind, since: 2028-01, mw: 3}}", "a file"),
    ],
)
def test_bad_sections_are_named(override: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        planner.load_case("tiny", ["operations.enabled=true", override])
    assert any("operations" in f.key and words in f.allowed for f in caught.value.faults), caught.value.faults
