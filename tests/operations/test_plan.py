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
from planner.operations.cuts import Learner, merged
from planner.operations.schedule import plan_year, servable_mw
from planner.operations.settle import Settlement
from planner.operations.year import Store
from planner.results import Plan
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
    monkeypatch.setattr(Settlement, "_operate", lambda self, x, enough_musd: 0.0)
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


def test_holding_back_less_than_the_outages_need_is_found(late: tuple[planner.Problem, Plan]) -> None:
    problem, plan = late
    assert plan.operations is not None
    less = tuple(h.model_copy(update={"energy_mwh": 0.9 * h.energy_mwh}) for h in plan.operations.held)
    broken = plan.model_copy(update={"operations": plan.operations.model_copy(update={"held": less})}).with_schedules(
        plan.schedules
    )
    verdict = verify(problem, broken, monte_carlo=False)
    assert verdict.residuals["reliability"] > 1e-3


def test_cuts_lie_below_every_schedule() -> None:
    """What was learned from one fleet is a bound for any other one."""
    c = Coefficients(planner.load_case("tiny", LATE))
    campus = Campus(c)
    learner = Learner(campus)
    draw = np.random.default_rng(7)

    def fleet() -> Fleet:
        n = draw.integers(1, 6, len(c.pairs)).astype(float)
        y = n * draw.random(len(c.pairs))
        held = np.zeros((len(c.problem.offers), len(c.problem.periods), 1))
        made = Fleet(n, y, held, np.full(len(c.problem.periods), draw.uniform(8.0, 9.4)), np.zeros(0))
        held[:, :, 0] = campus.totals(made).energy_mwh * draw.uniform(0.0, 0.9)
        return made

    learner.learn([0], fleet(), 1e-5)
    for _ in range(4):
        other = fleet()
        bounds, _ = learner.bounds_musd(other)
        priced = np.array([cut.price_counts for cut in learner.cuts()])
        bound = float(bounds[priced, 0].max())
        assert bounds[~priced, 0].max(initial=0.0) <= 1e-6  # nor do they call a year impossible that has a schedule
        year = plan_year(campus, 0, other)
        assert year.cost_usd["unserved_mwh"] < 1e-6
        assert bound <= year.total_usd / 1e6 + 1e-9
        (k,) = learner.learn([0], other, 1e-6)
        assert float(learner.bounds_musd(other)[0][k, 0]) == pytest.approx(year.total_usd / 1e6, rel=0.03, abs=2e-3)


def test_the_load_that_can_be_carried_is_the_most_that_has_a_schedule() -> None:
    """Newton's method against schedules just below and just above."""
    c = Coefficients(planner.load_case("tiny", LATE))
    campus = Campus(c)
    stored = np.array([c.problem.offers[o].is_storage for o in c.pair_offer])
    held = np.zeros((len(c.problem.offers), len(c.problem.periods), 1))

    def fleet(served_mw: float) -> Fleet:
        served = np.full(len(c.problem.periods), served_mw)
        return Fleet(3.0 * stored, 2.0 * stored, held, served, np.zeros(0))

    most = servable_mw(campus, 0, fleet(11.0))
    assert 9.3 < most < 10.9
    assert plan_year(campus, 0, fleet(most)).cost_usd["unserved_mwh"] < 1e-6 * most * 8760
    assert plan_year(campus, 0, fleet(1.001 * most)).cost_usd["unserved_mwh"] > 1e-6 * most * 8760
    assert servable_mw(campus, 0, fleet(9.0)) == pytest.approx(9.0, rel=1e-4)


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
    held = np.zeros((len(c.problem.offers), len(c.problem.periods), 1))
    fleet = Fleet(n, 0.0 * n, held, np.full(len(c.problem.periods), 9.3), np.zeros(0))
    held[:, :, 0] = campus.totals(fleet).energy_mwh / campus.up_frac[:, None]
    assert plan_year(campus, 0, fleet).cost_usd["unserved_mwh"] > 1e-4  # the gate is as wide as the load
    most = servable_mw(campus, 0, fleet)
    assert 9.29 < most < 9.3
    served = np.full(len(c.problem.periods), most)
    year = plan_year(campus, 0, Fleet(n, 0.0 * n, held, served, np.zeros(0)))
    assert year.cost_usd["unserved_mwh"] < 1e-6 * most * 8760
    assert year.lots[0].store.energy_mwh == pytest.approx(float(year.dispatch.stored[0].min()), rel=1e-9)


def test_merged_stores_cannot_lend_each_other_what_they_lack() -> None:
    """A store that is wholly held back has cycles to spare, a free one has none: together they still do nothing."""
    full = Store("full", 5.0, 20.0, np.array([20.0]), 300.0 * 20.0, 0.9, 1.0)
    tired = Store("tired", 5.0, 20.0, np.array([0.0]), 0.0, 0.9, 1.0)
    assert [s.throughput_mwh for s in merged([full, tired], 300.0, 0.2)] == [0.0, 6000.0]
    assert len(merged([full, tired], 300.0, np.inf)) == 1
    assert len(merged([full, replace(full, power_mw=6.0)], 300.0, 0.2)) == 1


def test_all_containers_of_an_offer_have_the_same_share_in_daily_use(late: tuple[planner.Problem, Plan]) -> None:
    problem, plan = late
    assert plan.operations is not None
    counts = {(o.offer, o.period): o.containers for o in plan.orders}
    shares: dict[str, set[float]] = {}
    used = {(u.offer, u.period): u.containers for u in plan.operations.daily_use}
    for (offer, period), count in counts.items():
        if next(o for o in problem.offers if o.offer == offer).is_storage:
            shares.setdefault(offer, set()).add(round(used.get((offer, period), 0.0) / count, 6))
    assert shares
    assert all(len(s) == 1 for s in shares.values())


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
