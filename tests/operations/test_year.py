"""The operating year against another formulation and solver, and the schedules that follow it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from planner.operations.alike import alike, operate_alike
from planner.operations.schedule import follow, value_stack_usd
from planner.operations.worth import best_worth, chain, resting_worth, worth
from planner.operations.year import Clock, Dispatch, Generator, Site, Store, operate, yearly_cost_usd
from planner.units import HOURS_PER_YEAR
from tests.operations.years import other_solver_usd, small_clock, small_site

SEEDS = st.integers(0, 10_000)


def total_usd(clock: Clock, d: Dispatch, generators: list[Generator]) -> float:
    cost = yearly_cost_usd(clock, d, generators)
    return sum(v for k, v in cost.items() if k != "unserved_mwh") + cost["unserved_mwh"] * clock.unserved_usd_per_mwh


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.sampled_from([0.0, 0.31]), st.sampled_from([1, 3]))
def test_another_solver_finds_the_same_year(seed: int, demand: float, seasons: int) -> None:
    clock = small_clock(seed, demand=demand * 400.0, seasons=seasons)
    site, stores, generators = small_site(seed, clock)
    mine = total_usd(clock, operate(clock, site, stores, generators, tolerance=1e-9), generators)
    other = other_solver_usd(clock, site, stores, generators) / clock.years
    assert mine == pytest.approx(other, rel=3e-6, abs=1.0)


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.sampled_from([0.999, 1.001]))
def test_budgets_and_exports_that_cannot_count_are_left_out_and_change_nothing(seed: int, share: float) -> None:
    clock = small_clock(seed)
    site, stores, generators = small_site(seed, clock)
    site = replace(site, export_mw=0.0)
    stores = [
        replace(
            s,
            throughput_mwh=share
            * float(s.power_mw.max())
            * HOURS_PER_YEAR
            * s.efficiency_frac
            / (1 + s.efficiency_frac),
        )
        for s in stores
    ]
    d = operate(clock, site, stores, generators, tolerance=1e-9)
    other = other_solver_usd(clock, site, stores, generators) / clock.years
    assert total_usd(clock, d, generators) == pytest.approx(other, rel=3e-6, abs=1.0)
    assert not d.exported.any()
    assert d.wear_usd_per_mwh == pytest.approx(0.0, abs=1e-3)


@settings(max_examples=15, deadline=None)
@example(761, 1)  # all stores charge at once in the last step, by load that is missing
@given(SEEDS, st.sampled_from([1, 3]))
def test_stores_that_differ_in_size_only_are_operated_as_one(seed: int, seasons: int) -> None:
    """Twice the store beside each one, in any order: as dear as apart, and each within its own range."""
    clock = small_clock(seed, seasons=seasons)
    site, some, generators = small_site(seed, clock)
    twice = [
        replace(
            s, power_mw=2 * s.power_mw, energy_mwh=2 * s.energy_mwh, floor_mwh=2 * s.floor_mwh,
            throughput_mwh=2 * s.throughput_mwh,
        )
        for s in some
    ]  # fmt: skip
    stores = [*some, *reversed(twice)]
    assert sorted(map(len, alike(stores))) == [2] * len(some)
    d = operate_alike(clock, site, stores, generators, tolerance=1e-9)
    apart = total_usd(clock, operate(clock, site, stores, generators, tolerance=1e-9), generators)
    assert total_usd(clock, d, generators) == pytest.approx(apart, rel=3e-6, abs=1.0)
    supplied = d.imported - d.exported + d.renewable.sum(axis=0) + d.generated.sum(axis=0) + d.curtailed + d.unserved
    assert supplied + (d.discharge - d.charge).sum(axis=0) == pytest.approx(clock.load_pu * site.served_mw, abs=1e-4)
    for j, s in enumerate(stores):
        room = 1e-6 * s.energy_mwh
        floor = np.where(clock.season_ends, s.energy_mwh, s.floor_mwh[clock.season])
        assert (d.stored[j] >= floor - room).all()
        assert (d.stored[j] <= s.energy_mwh + room).all()
        assert (d.charge[j] + d.discharge[j] <= s.power_mw[clock.season] * (1 + 1e-6)).all()
        before = np.append(s.energy_mwh, d.stored[j][:-1])
        change = clock.dt_h * (s.efficiency_frac * d.charge[j] - d.discharge[j])
        assert d.stored[j] == pytest.approx(s.keep_frac * before + change, abs=1e-4)


def test_stores_that_differ_in_what_a_mw_can_do_stay_apart() -> None:
    s = Store("s", np.array([4.0]), 16.0, np.array([8.0]), 3000.0, 0.86, 0.999)
    others = [
        replace(s, energy_mwh=17.0), replace(s, floor_mwh=np.array([7.0])), replace(s, throughput_mwh=2900.0),
        replace(s, efficiency_frac=0.87), replace(s, keep_frac=0.998), replace(s, power_mw=np.array([4.1])),
    ]  # fmt: skip
    assert len(alike([s, *others])) == 1 + len(others)
    higher = replace(s, keep_frac=1.0), replace(s, keep_frac=1.0, energy_mwh=20.0, floor_mwh=np.array([12.0]))
    assert len(alike(higher)) == 1  # what never leaves and loses nothing does not count


def test_a_year_without_stores_takes_the_cheapest_of_what_there_is() -> None:
    clock = small_clock(5, negative=False)
    d = operate(clock, Site(50.0, 200.0, 0.0, 0.0, np.array([70.0])), [], [], tolerance=1e-9)
    sun = np.minimum(70.0 * clock.renewable_cf[0], 50.0 * clock.load_pu)
    assert d.imported == pytest.approx(50.0 * clock.load_pu - sun, abs=1e-4)
    assert d.unserved == pytest.approx(0.0, abs=1e-4)


@settings(max_examples=25, deadline=None)
@given(SEEDS)
@example(248)  # nothing but missing load can fill the stores in time
def test_what_is_scheduled_holds_exactly_and_costs_hardly_more(seed: int) -> None:
    clock = small_clock(seed, demand=97.0, seasons=2)
    site, stores, generators = small_site(seed, clock)
    guide = operate(clock, site, stores, generators, tolerance=1e-8)
    d = follow(clock, site, stores, guide.stored, guide, generators)
    size = site.served_mw
    assert np.minimum(d.charge, d.discharge).max() == 0.0
    kept = d.imported - d.exported + d.renewable.sum(0) + d.generated.sum(0) + d.curtailed + d.unserved
    kept += (d.discharge - d.charge).sum(0) - clock.load_pu * size
    assert np.abs(kept).max() <= 1e-9 * size
    for j, s in enumerate(stores):
        floor = np.where(clock.season_ends, s.energy_mwh, s.floor_mwh[clock.season])
        assert (d.charge[j] + d.discharge[j] - s.power_mw[clock.season]).max() <= 1e-9 * s.power_mw.max()
        before = np.concatenate([[s.energy_mwh], d.stored[j][:-1]])
        move = clock.dt_h * (s.efficiency_frac * d.charge[j] - d.discharge[j])
        assert np.abs(s.keep_frac * before + move - d.stored[j]).max() <= 1e-9 * s.energy_mwh
        assert (d.stored[j] - floor).min() >= -1e-6 * s.energy_mwh
        assert d.stored[j].max() <= s.energy_mwh * (1 + 1e-9)
        assert d.discharge[j].sum() * clock.dt_h <= s.throughput_mwh * clock.years * (1 + 1e-9)
    # Charging and discharging at once pays only while prices are negative: the proof of the value is the relaxation.
    relaxed, real = total_usd(clock, guide, generators), total_usd(clock, d, generators)
    assert real >= relaxed - 1e-5 * abs(relaxed) - 1.0
    stack = value_stack_usd(clock, d, [(0, g) for g in generators])
    load_bill = float(clock.load_pu @ clock.import_usd_per_mwh) * size * clock.dt_h / clock.years
    cost = yearly_cost_usd(clock, d, generators)
    bought = sum(v for k, v in cost.items() if k != "unserved_mwh")
    missing = float(d.unserved @ clock.import_usd_per_mwh) * clock.dt_h / clock.years
    assert sum(stack.values()) == pytest.approx(bought - load_bill + missing, rel=1e-9, abs=1e-3)


def test_without_negative_prices_the_schedule_costs_what_the_program_says() -> None:
    for seed in range(8):
        clock = small_clock(seed, negative=False)
        site, stores, generators = small_site(seed, clock)
        guide = operate(clock, site, stores, generators, tolerance=1e-9)
        d = follow(clock, site, stores, guide.stored, guide, generators)
        assert total_usd(clock, d, generators) == pytest.approx(total_usd(clock, guide, generators), rel=2e-4)


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_half_hours_agree_with_hours_on_stepwise_data(seed: int) -> None:
    clock = small_clock(seed, demand=55.0)
    site, stores, generators = small_site(seed, clock)
    stores = [replace(s, keep_frac=1.0) for s in stores]
    twice = {
        name: np.repeat(getattr(clock, name), 2)
        for name in ("load_pu", "import_usd_per_mwh", "export_usd_per_mwh", "open_frac", "season", "month")
    }
    fine = replace(clock, dt_h=0.5, renewable_cf=np.repeat(clock.renewable_cf, 2, axis=1), **twice)
    hour = total_usd(clock, operate(clock, site, stores, generators, tolerance=1e-9), generators)
    half = total_usd(fine, operate(fine, site, stores, generators, tolerance=1e-9), generators)
    assert half == pytest.approx(hour, rel=3e-6, abs=1.0)


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_more_grid_cheaper_stores_and_less_held_back_never_cost_more(seed: int) -> None:
    clock = small_clock(seed, seasons=2)
    site, stores, generators = small_site(seed, clock)

    def cost(site: Site, stores: list[Store]) -> float:
        return total_usd(clock, operate(clock, site, stores, generators, tolerance=1e-9), generators)

    base = cost(site, stores)
    slack = 1e-6 * abs(base) + 1.0
    assert cost(replace(site, firm_import_mw=1.13 * site.firm_import_mw), stores) <= base + slack
    better = [replace(s, efficiency_frac=min(1.0, s.efficiency_frac * 1.02)) for s in stores]
    # With negative prices a lossy store is paid for what it loses: compare where losing costs.
    if clock.import_usd_per_mwh.min() > 0:
        assert cost(site, better) <= base + slack
    freer = [replace(s, floor_mwh=0.4 * s.floor_mwh, keep_frac=1.0) for s in stores]
    tighter = [replace(s, keep_frac=1.0) for s in stores]
    assert cost(site, freer) <= cost(site, tighter) + slack


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.floats(0.3, 30.0), st.floats(0.45, 1.0), st.floats(20.0, 900.0))
def test_the_worth_of_a_store_is_its_best_year(seed: int, hours: float, efficiency: float, cycles: float) -> None:
    """Against given values of energy one store alone: the chain and the linear program are the same number."""
    clock = small_clock(seed, 24 * 70)
    power = 7.3
    store = Store("s", np.full(1, power), power * hours, np.zeros(1), cycles * power * hours, efficiency, 0.9995)
    wide = Site(0.0, 1e3, 1e3, 1e3, np.zeros(1))
    plain = replace(clock, export_usd_per_mwh=clock.import_usd_per_mwh)
    d = operate(plain, wide, [store], [], tolerance=1e-9)
    # What the store moves, not the cost of the year: that prices what the solver's tolerance leaves unserved.
    earned = float(plain.import_usd_per_mwh @ (d.discharge - d.charge)[0]) * plain.dt_h / plain.years
    w = best_worth(plain, plain.import_usd_per_mwh, hours, efficiency, 0.9995, cycles)
    proved = power * (w.power.sum() + hours * (w.energy + w.swing).sum() + hours * cycles * w.wear)
    assert proved >= earned * (1 - 1e-6) - 1e-3
    assert proved <= earned * 1.00005 + 1.0


@settings(max_examples=25, deadline=None)
@given(SEEDS, SEEDS)
def test_any_chain_proves_a_bound(seed: int, other: int) -> None:
    clock = small_clock(seed, 72, seasons=2)
    node = small_clock(other, 72).import_usd_per_mwh
    draw = np.random.default_rng(other)
    floor = draw.uniform(0, 10, 2)
    power = draw.uniform(1, 9, 2)
    store = Store("s", power, 31.0, floor, 31.0 * 200, 0.83, 0.999)
    plain = replace(clock, import_usd_per_mwh=node, export_usd_per_mwh=node)
    d = operate(plain, Site(0.0, 1e3, 1e3, 1e3, np.zeros(1)), [store], [], tolerance=1e-9)
    earned = -total_usd(plain, d, [])
    for w in (
        worth(clock, node, draw.uniform(-50, 100, 72), draw.uniform(0, 30), 0.83, 0.999),
        worth(clock, node, chain(clock, node, 4.0, 3.0, 0.83, 0.999), 4.0, 0.83, 0.999),
        best_worth(clock, node, 31 / 9, 0.83, 0.999, 200.0),
        best_worth(clock, node, 31 / 9, 0.83, 0.999, 200.0, near=draw.uniform(0, 30)),
        resting_worth(clock, node, 31 / 9, 0.83, 0.999),
    ):
        bound = w.power @ power + w.energy.sum() * 31.0 + w.swing @ (31.0 - floor) + w.wear * 31.0 * 200
        assert bound >= earned - 1e-4 * abs(earned) - 1e-3
