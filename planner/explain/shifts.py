"""The lead time and the factory allocation at which an offer enters: the question is changed and solved again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from planner import supply
from planner.answers import Threshold
from planner.explain.desk import Desk
from planner.problem import Problem
from planner.rulebook import Variant
from planner.units import MWH_PER_GWH

#: Factors on the obtainable share that are told apart: the two ends differ by less than this share.
_ALLOCATION_CLOSE = 0.02
_MOST_HALVINGS = 9


def with_lead_time(problem: Problem, o: int, months: int) -> Problem:
    """The problem with another lead time of one offer."""
    offers = list(problem.offers)
    offers[o] = offers[o].model_copy(update={"lead_time_months": months})
    return replace(problem, offers=tuple(offers))


def with_allocation(problem: Problem, o: int, factor: float) -> Problem:
    """The problem with the share obtainable from an offer's factories multiplied (at most all of it)."""
    mine = {problem.offers[o].cell_factory, problem.offers[o].assembly_plant}
    rows = tuple(
        r.model_copy(update={"obtainable_frac": min(1.0, r.obtainable_frac * factor)}) if r.factory in mine else r
        for r in problem.tables.factory_output
    )
    return replace(problem, tables=replace(problem.tables, factory_output=rows))


def enters(desk: Desk, o: int, problem: Problem) -> bool | None:
    """Whether an offer is in every cheapest plan of a changed question: yes, no, or None within the gaps."""
    bench = desk.fresh(Variant(problem))
    if o not in bench.c.offers_used:
        return False
    with_it = bench.solve(bench.force_in(o), limit_s=desk.question_s)
    without = bench.solve(bench.force_out(frozenset([o])), limit_s=desk.question_s)
    if with_it.impossible:
        return False
    if without.impossible or with_it.upper < without.lower:
        return True
    return False if with_it.lower >= without.upper else None


def _lead_steps(problem: Problem, o: int) -> list[int]:
    """Lead times, longest first, at which one more period can be reached."""
    offer = problem.offers[o]
    rest = offer.order_lead_months - offer.lead_time_months
    decision = problem.case.timeline.decision
    steps = {p.start - decision - rest for p in problem.periods}
    return sorted((months for months in steps if 0 <= months < offer.lead_time_months), reverse=True)


def lead_time_threshold(desk: Desk, o: int) -> Threshold | None:
    """Longest lead time, below today's, at which an offer that is not bought enters."""
    problem, offer = desk.problem, desk.problem.offers[o]
    steps = _lead_steps(problem, o)
    if not steps:
        return None
    desk.note(f"lead time of {offer.offer}")
    out, inside = offer.lead_time_months, None
    for months in steps:
        if desk.stop.now:
            break
        verdict = enters(desk, o, with_lead_time(problem, o, months))
        if verdict:
            inside = months
            break
        if verdict is False:
            out = months
    while inside is not None and out - inside > 1 and not desk.stop.now:
        middle = (out + inside) // 2
        verdict = enters(desk, o, with_lead_time(problem, o, middle))
        if verdict is None:
            break
        out, inside = (out, middle) if verdict else (middle, inside)
    now = offer.lead_time_months
    if inside is None:
        text = f"no shorter lead time is proved to bring it in (down to {steps[-1]} months; now {now})"
    else:
        text = f"enters at a lead time of {inside} months, stays out at {out} (now {now})"
    return Threshold(
        figure="lead_time",
        unit="months",
        now=now,
        enters_at=inside,
        stays_out_at=out,
        change_enters_frac=None if inside is None or not now else inside / now - 1.0,
        change_stays_out_frac=out / now - 1.0 if now else 0.0,
        text=text,
    )


def allocation_threshold(desk: Desk, o: int) -> Threshold | None:
    """Smallest part of its factories' output, above today's, at which an offer that is not bought enters.

    Other offers from the same factories get more too. The figure is in nameplate MWh for one year, of the
    scarcer of its two factories.
    """
    problem, offer = desk.problem, desk.problem.offers[o]
    period = next((p for p in problem.periods if supply.refusal(problem, offer, p) is None), problem.periods[-1])
    rows = [r for r in problem.tables.factory_output if r.factory in (offer.cell_factory, offer.assembly_plant)]
    shares = [r.obtainable_frac for r in rows if r.obtainable_frac > 0]
    if not shares or not supply.can_serve(problem, offer):
        return None
    desk.note(f"allocation of {offer.offer}")

    def mwh(factor: float) -> float:
        changed = with_allocation(problem, o, factor)
        limits = [supply.factory_limit_mwh(changed, f, period) for f in (offer.cell_factory, offer.assembly_plant)]
        return min(limits)

    low, high = 1.0, 1.0 / min(shares)
    verdict = enters(desk, o, with_allocation(problem, o, high))
    now = mwh(1.0)
    if not verdict:
        what = "stays out" if verdict is False else "is not proved to enter"
        text = (
            f"{what} even if all uncommitted output of its factories is obtainable ({mwh(high) / MWH_PER_GWH:,.2f} GWh)"
        )
        stays = mwh(high) if verdict is False else None
        return _allocation(now, None, stays, text)
    for _ in range(_MOST_HALVINGS):
        if high / low - 1.0 <= _ALLOCATION_CLOSE or desk.stop.now:
            break
        middle = float(np.sqrt(low * high))
        verdict = enters(desk, o, with_allocation(problem, o, middle))
        if verdict is None:
            break
        low, high = (low, middle) if verdict else (middle, high)
    text = f"enters with {mwh(high):,.0f} MWh a year obtainable, stays out with {mwh(low):,.0f} (now {now:,.0f})"
    return _allocation(now, mwh(high), mwh(low), text)


def _allocation(now: float, inside: float | None, out: float | None, text: str) -> Threshold:
    return Threshold(
        figure="allocation",
        unit="MWh a year",
        now=now,
        enters_at=inside,
        stays_out_at=out,
        change_enters_frac=None if inside is None or not now else inside / now - 1.0,
        change_stays_out_frac=None if out is None or not now else out / now - 1.0,
        text=text,
    )
