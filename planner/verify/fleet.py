"""From the orders of a plan to whole containers, their lives and their places."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from planner.problem import Offer, Period, Problem
from planner.results import Order, Plan
from planner.units import month_text, year_of
from planner.verify.lookup import Book
from planner.verify.tally import Tally, number

#: Tier names that mean the list price.
NO_TIER = ("", "none")


@dataclass
class Fleet:
    """Whole containers by offer and delivery period.

    Attributes
    ----------
    counts
        Containers, shape (offers, periods).
    retire
        Month at which a delivery retires, same shape.
    alive
        Whether a delivery counts in a period, shape (offers, delivery periods, periods).
    soh
        State of health at the end of a period, same shape as ``alive`` (1 where nothing stands).
    tier
        Tier name by offer index, of the offers bought.
    placed
        Containers by (offer index, period index, zone name).
    daily_use
        With operations: containers meant for daily use by (offer index, delivery index), one value per setting.
    running
        With operations: containers that run by (offer index, delivery index, period index), shape (seasons, settings).
    """

    problem: Problem
    book: Book
    counts: NDArray[np.int64]
    retire: NDArray[np.int64]
    alive: NDArray[np.bool_]
    soh: NDArray[np.float64]
    tier: dict[int, str] = field(default_factory=dict)
    placed: dict[tuple[int, int, str], int] = field(default_factory=dict)
    daily_use: dict[tuple[int, int], NDArray[np.float64]] = field(default_factory=dict)
    running: dict[tuple[int, int, int], NDArray[np.float64]] = field(default_factory=dict)

    @property
    def bought(self) -> list[tuple[int, int]]:
        """Pairs (offer index, period index) with containers."""
        return [(int(o), int(p)) for o, p in zip(*np.nonzero(self.counts), strict=True)]

    @property
    def used(self) -> list[int]:
        """Indices of the offers bought at all."""
        return [int(o) for o in np.flatnonzero(self.counts.sum(axis=1))]

    def by_state(self, plan: Plan, o: int, p: int, phase: str | None) -> dict[str, float]:
        """Containers of a delivery by the credit state that the plan claims."""
        if phase is None:
            return {"none": float(self.counts[o, p])}
        state = plan.credit_state.get(phase, "none")
        if state != "pools":
            return {state: float(self.counts[o, p])}
        name, label = self.problem.offers[o].offer, self.problem.periods[p].label
        parts: dict[str, float] = {}
        for row in plan.credit_pools:
            if (row.offer, row.period) == (name, label):
                parts[row.state] = parts.get(row.state, 0.0) + number(row.containers)
        return parts or {"none": float(self.counts[o, p])}

    def discount(self, o: int) -> float:
        """Tier discount that the orders claim."""
        name = self.tier.get(o, "")
        return next((t.discount_frac for t in self.problem.offers[o].tiers if t.tier == name), 0.0)


def order_month(offer: Offer, period: Period) -> int:
    """Month by which the order must be placed."""
    return period.start - offer.order_lead_months


def full_load(problem: Problem) -> int:
    """Index of the first period at the largest target."""
    return next(i for i, p in enumerate(problem.periods) if p.target_mw == problem.final_target_mw)


def blank_fleet(problem: Problem, book: Book) -> Fleet:
    """An empty fleet with the lives of every possible delivery."""
    offers, periods = problem.offers, problem.periods
    starts = np.array([p.start for p in periods], dtype=np.int64)
    ends = np.array([p.end for p in periods], dtype=np.int64)
    life = np.array([math.floor(12.0 * o.design_life_yr + 1e-9) for o in offers], dtype=np.int64)
    retire = starts[None, :] + life[:, None]
    alive = (starts[:, None] <= starts[None, :])[None] & (retire[:, :, None] >= ends[None, None, :])
    shape = (len(offers), len(periods))
    return Fleet(problem, book, np.zeros(shape, dtype=np.int64), retire, alive, np.ones((*shape, len(periods))))


def whole(value: object) -> int | None:
    """The whole number that a count is, or None."""
    got = number(value)
    return int(got) if math.isfinite(got) and got == math.floor(got) else None


def build_fleet(problem: Problem, plan: Plan, book: Book, tally: Tally) -> Fleet:
    """Read the orders and placements; every fault becomes an error and the rest goes on.

    Parameters
    ----------
    problem, plan
        The question and its claimed answer.
    book
        Table look-ups.
    tally
        Where errors go.

    Returns
    -------
    Fleet
        What the orders amount to.
    """
    tally.hold("orders_known", "orders_whole", "orders_figures", "tier")
    fleet = blank_fleet(problem, book)
    offers = {o.offer: i for i, o in enumerate(problem.offers)}
    periods = {p.label: i for i, p in enumerate(problem.periods)}
    for order in plan.orders:
        name = f"{order.offer} in {order.period}"
        o, p = offers.get(order.offer), periods.get(order.period)
        if o is None or p is None:
            tally.fail("orders_known", f"order {name}: unknown {'offer' if o is None else 'period'}")
            continue
        count = whole(order.containers)
        if count is None or count <= 0:
            tally.fail("orders_whole", f"order {name}: {order.containers!r} containers is no whole positive number")
            rough = number(order.containers)
            count = int(rough) if math.isfinite(rough) and rough > 0 else 0
        fleet.counts[o, p] += count
        if fleet.tier.setdefault(o, order.tier) != order.tier:
            tally.fail(
                "tier", f"{order.offer} is ordered in tiers {fleet.tier[o]!r} and {order.tier!r}; one holds for all"
            )
        _check_figures(problem.offers[o], problem.periods[p], order, count, tally)
    for o, p in fleet.bought:
        for q in np.flatnonzero(fleet.alive[o, p]):
            age = (problem.periods[q].end - problem.periods[p].start) / 12.0
            fleet.soh[o, p, q] = book.soh(problem.offers[o], age)
    if problem.case.operating is not None:
        tally.guard("daily_use", read_operations, fleet, plan, tally, offers, periods)
    for o in fleet.used:
        if problem.offers[o].is_storage and not book.knows_fade(problem.offers[o]):
            tally.note("fade", f"{problem.offers[o].offer}: no rows of its fade curve; taken as never fading")
    tally.guard("placements", read_placements, fleet, plan, tally, offers, periods)
    return fleet


def read_operations(fleet: Fleet, plan: Plan, tally: Tally, offers: dict[str, int], periods: dict[str, int]) -> None:
    """Note what is meant for daily use and what runs, and wear it."""
    tally.hold("daily_use", "running", "held")
    problem, operating = fleet.problem, fleet.problem.case.operating
    if plan.operations is None or operating is None:
        tally.fail("running", "the case has operations, the plan has none")
        return
    settings, seasons = len(operating.reserve_settings), len(operating.seasons)
    for use in plan.operations.daily_use:
        o, p, j = (
            offers.get(use.offer),
            periods.get(use.period),
            setting_of(operating.reserve_settings, use.reserve_frac),
        )
        if o is None or p is None or j is None or fleet.counts[o, p] == 0:
            tally.fail(
                "daily_use", f"daily use of {use.offer} in {use.period}: nothing was ordered there, or no setting"
            )
            continue
        fleet.daily_use.setdefault((o, p), np.zeros(settings))[j] += number(use.containers)
    for (o, p), each in fleet.daily_use.items():
        name, count = f"{problem.offers[o].offer} of {problem.periods[p].label}", float(fleet.counts[o, p])
        tally.at_most("daily_use", float(each.sum()), count, f"containers of {name} in daily use", count)
        tally.fail("daily_use", f"containers of {name} in daily use: less than none", max(0.0, -float(each.min())))
    for row in plan.operations.running:
        k, p, q = offers.get(row.offer), periods.get(row.delivery), periods.get(row.period)
        j = setting_of(operating.reserve_settings, row.reserve_frac)
        text = f"{row.offer} of {row.delivery} running in {row.period}"
        if k is None or p is None or q is None or j is None or not 0 <= row.season < seasons:
            tally.fail("running", f"{text}: unknown offer, delivery, period, season or setting")
            continue
        if not fleet.alive[k, p, q]:
            tally.fail("running", f"{text}: it does not stand there then")
            continue
        fleet.running.setdefault((k, p, q), np.zeros((seasons, settings)))[row.season, j] += number(row.containers)
    for (i, d, at), runs in fleet.running.items():
        text = f"containers of {problem.offers[i].offer} of {problem.periods[d].label}"
        text += f" running in {problem.periods[at].label}"
        meant = fleet.daily_use.get((i, d), np.zeros(settings))
        over = float((runs - meant).max())
        tally.fail("running", f"{text}: {over:.3g} more than are meant for it", max(0.0, over) / fleet.counts[i, d])
        tally.fail("running", f"{text}: less than none", max(0.0, -float(runs.min())))
    for i, d in fleet.daily_use:
        count = max(1.0, float(fleet.counts[i, d]))
        for at in np.flatnonzero(fleet.alive[i, d]).tolist():
            lost = [n * (fresh - soh) for n, fresh, soh, *_ in duties(fleet, i, d, at)]
            fleet.soh[i, d, at] -= sum(lost) / count
    _check_held(fleet, plan, tally, offers, periods)


def setting_of(settings: tuple[float, ...], reserve: object) -> int | None:
    """Which setting a share of energy kept is."""
    got = number(reserve)
    return next((j for j, r in enumerate(settings) if abs(r - got) <= 1e-9), None)


def duties(fleet: Fleet, o: int, p: int, q: int) -> Iterator[tuple[float, float, float, float, int]]:
    """Of a delivery in a period, by setting: containers, health without and with daily use, share kept, setting."""
    problem, operating = fleet.problem, fleet.problem.case.operating
    meant = fleet.daily_use.get((o, p))
    if operating is None or meant is None:
        return
    offer, age = problem.offers[o], (problem.periods[q].end - problem.periods[p].start) / 12.0
    fresh = fleet.book.soh(offer, age)
    daily = min(fleet.book.soh(offer, age, "daily"), fresh)
    for j, kept in enumerate(operating.reserve_settings):
        yield float(meant[j]), fresh, fresh - (1.0 - kept) * (fresh - daily), kept, j


def _check_held(fleet: Fleet, plan: Plan, tally: Tally, offers: dict[str, int], periods: dict[str, int]) -> None:
    """What the plan says is left for outages is what does not swing."""
    assert plan.operations is not None
    problem, full = fleet.problem, fleet.book.case.reliability.reserve_frac
    said = {(row.offer, row.period, row.season): number(row.energy_mwh) for row in plan.operations.held}
    for name, o in offers.items():
        usable = problem.offers[o].energy_usable_ac_mwh * full
        for label, q in periods.items():
            mine = [int(p) for p in np.flatnonzero(fleet.alive[o, :, q] & (fleet.counts[o] > 0))]
            if not mine or not problem.offers[o].is_storage:
                continue
            top = usable * float(sum(fleet.counts[o, p] * fleet.soh[o, p, q] for p in mine))
            for season in range(len(plan.operations.seasons)):
                held = top
                for p in mine:
                    runs = fleet.running.get((o, p, q))
                    if runs is not None:
                        for _, _, soh, kept, j in duties(fleet, o, p, q):
                            held -= float(runs[season, j]) * usable * soh * (1.0 - kept)
                tally.same(
                    "held", said.get((name, label, season), 0.0), held, f"MWh held back by {name} in {label}",
                    max(top, 1.0),
                )  # fmt: skip


def _check_figures(offer: Offer, period: Period, order: Order, count: int, tally: Tally) -> None:
    """Compare what an order repeats from the tables."""
    expected = {
        "supplier": offer.supplier,
        "chemistry": offer.chemistry,
        "origin": offer.origin,
        "year": year_of(period.start),
        "order_by": month_text(order_month(offer, period)),
    }
    for key, right in expected.items():
        got = getattr(order, key)
        if got != right:
            tally.fail(
                "orders_figures", f"order {offer.offer} in {period.label}: {key} is {got!r}, should be {right!r}"
            )
    energy, power = count * offer.energy_usable_ac_mwh, count * offer.power_mw
    what = f"order {offer.offer} in {period.label}"
    tally.same("orders_figures", order.energy_mwh, energy, f"{what}: energy_mwh (usable AC)")
    tally.same("orders_figures", order.power_mw, power, f"{what}: power_mw")


def read_placements(fleet: Fleet, plan: Plan, tally: Tally, offers: dict[str, int], periods: dict[str, int]) -> None:
    """Sum placements by delivery and zone and compare them with the orders."""
    tally.hold("placements")
    zones = {z.zone for z in fleet.problem.case.site.zones}
    total = np.zeros_like(fleet.counts)
    for spot in plan.placements:
        o, p, count = offers.get(spot.offer), periods.get(spot.period), whole(spot.containers)
        name = f"placement of {spot.offer} of {spot.period} in zone {spot.zone}"
        if o is None or p is None or spot.zone not in zones:
            tally.fail("placements", f"{name}: unknown offer, period or zone")
            continue
        if spot.year != year_of(fleet.problem.periods[p].start):
            tally.fail("placements", f"{name}: year is {spot.year!r}")
        if count is None or count < 0:
            tally.fail("placements", f"{name}: {spot.containers!r} containers is no whole number")
            continue
        fleet.placed[o, p, spot.zone] = fleet.placed.get((o, p, spot.zone), 0) + count
        total[o, p] += count
    for o, p in zip(*np.nonzero(total != fleet.counts), strict=True):
        where = f"{fleet.problem.offers[o].offer} of {fleet.problem.periods[p].label}"
        tally.fail("placements", f"{where}: {total[o, p]} containers placed, {fleet.counts[o, p]} ordered")
