"""Who can deliver what, when: admissible deliveries and factory limits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner import policy, yard
from planner.finance import retirement_month
from planner.outages import safe_availability, start_delay, window_steps
from planner.problem import FloatArray, Offer, Period, Problem
from planner.units import MWH_PER_GWH, month_text, year_of


@dataclass(frozen=True)
class Refusal:
    """Why an offer cannot be delivered in a period: the rule and a sentence."""

    rule: str
    text: str


def order_month(offer: Offer, period: Period) -> int:
    """Month by which the order must be signed."""
    return period.start - offer.order_lead_months


def full_load_start(problem: Problem) -> int:
    """First month of the first period at the final target."""
    return next(p.start for p in problem.periods if p.target_mw == problem.final_target_mw)


def refusal(problem: Problem, offer: Offer, period: Period) -> Refusal | None:
    """The first rule that keeps ``offer`` out of ``period``, or None."""
    if offer.host != "any" and offer.host not in problem.case.site.hosts:
        return Refusal("site", f"the site has no {offer.host.replace('_', ' ')}")
    unread = yard.strict_refusal(problem, offer)
    if unread is not None:
        return Refusal("strict", f"its fire rule {unread} rests on memory")
    signed = order_month(offer, period)
    decision = problem.case.timeline.decision
    if signed < decision:
        months = offer.order_lead_months
        return Refusal("lead_time", f"{months} months from order; the decision is {month_text(decision)}")
    if period.start <= full_load_start(problem) and signed > offer.valid_until:
        return Refusal("validity", f"the quote ends {month_text(offer.valid_until)}")
    bans = list(policy.bans_on(problem, offer, period))
    if bans:
        return Refusal("ban", ", ".join(bans))
    return None


def can_serve(problem: Problem, offer: Offer) -> bool:
    """Whether a unit starts before the longest window ends and has any availability."""
    starts_in_time = start_delay(problem, offer).first_step < window_steps(problem)
    return starts_in_time and safe_availability(problem, offer) > 0


def counts_in(offer: Offer, delivered: Period, period: Period) -> bool:
    """Whether containers delivered in one period still stand throughout another."""
    return delivered.start <= period.start and retirement_month(offer, delivered.start) >= period.end


def factory_limit_mwh(problem: Problem, factory: str, period: Period) -> float:
    """Nameplate MWh that this buyer can obtain from a factory for one period."""
    rows = sorted((r for r in problem.tables.factory_output if r.factory == factory), key=lambda r: r.year)
    if not rows:
        return 0.0
    year = year_of(period.start)
    years = [r.year for r in rows]

    def at(column: str) -> float:
        values: FloatArray = np.array([getattr(r, column) for r in rows])
        return float(np.interp(year, years, values))

    yearly = at("capacity_gwh") * MWH_PER_GWH * (1.0 - at("committed_frac")) * at("obtainable_frac")
    return yearly * min(period.years, 1.0) * problem.case.supply.scale_frac


def committed_containers(problem: Problem, pairs: list[tuple[int, int]]) -> dict[tuple[int, int], int]:
    """Signed containers that still come, for every admissible delivery to be signed before ``committed.until``.

    Parameters
    ----------
    problem
        The planning question.
    pairs
        Admissible deliveries (offer index, period index).

    Returns
    -------
    dict
        Containers of each such pair, 0 where nothing was signed; empty when nothing is committed. Where a
        factory gives this buyer less than was signed for, every order on it is cut by the same share.
    """
    until = problem.case.committed.until
    if until is None:
        return {}
    signed = {(s.offer, s.delivery): s.containers for s in problem.case.committed.orders}
    offers, periods = problem.offers, problem.periods
    bound = {(o, p): 0 for o, p in pairs if order_month(offers[o], periods[p]) < until}
    asked = {pair: signed.get((offers[pair[0]].offer, periods[pair[1]].start), 0) for pair in bound}
    booked: dict[tuple[str, int], float] = {}
    for (o, p), count in asked.items():
        for factory in {offers[o].cell_factory, offers[o].assembly_plant}:
            booked[factory, p] = booked.get((factory, p), 0.0) + count * booked_mwh(offers[o])
    for (o, p), count in asked.items():
        share = min(
            min(1.0, factory_limit_mwh(problem, f, periods[p]) / booked[f, p]) if booked[f, p] > 0 else 1.0
            for f in (offers[o].cell_factory, offers[o].assembly_plant)
        )
        bound[o, p] = int(np.floor(count * share + 1e-6))
    return bound


def booked_mwh(offer: Offer) -> float:
    """Factory output to book for one container that arrives, in nameplate MWh."""
    return offer.energy_nameplate_dc_mwh / (1.0 - offer.delivery_risk_frac)
