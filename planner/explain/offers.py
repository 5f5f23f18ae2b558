"""Why this offer, why not that one: forced in, left out, and the figures at which it would change."""

from __future__ import annotations

import numpy as np

from planner import supply
from planner.answers import OfferAnswer, Threshold
from planner.explain.breakeven import price_threshold
from planner.explain.desk import Desk
from planner.explain.shifts import allocation_threshold, lead_time_threshold
from planner.problem import Offer
from planner.workbench import Bracket


def turn_offer(desk: Desk, name: str, branch: bool = True) -> OfferAnswer:
    """Answer for one offer: what turning the decision round costs.

    Parameters
    ----------
    desk
        The plan and its question.
    name
        Of the offer.
    branch
        Whether to search until the cost is known well enough, or to be content with a first bracket.
    """
    o = desk.index[name]
    desk.note(f"offer {name}" if branch else f"offer {name}, first figures")
    if o not in desk.bench.c.offers_used:
        return _never(desk, o)
    return _answer(desk, o, *_both_ways(desk, o, branch))


def price_offer(desk: Desk, answer: OfferAnswer, branch: bool = True) -> OfferAnswer:
    """Return the answer with the price (and, if ``branch``, the duty) at which the decision would change.

    Without ``branch`` the figures are those of a few relaxations and plans near the best one: first brackets.
    """
    if answer.priced:
        return answer
    o = desk.index[answer.offer]
    desk.note(f"price of {answer.offer}" if branch else f"price of {answer.offer}, first figures")
    with_it, without, _ = _both_ways(desk, o, branch)
    thresholds: list[Threshold] = []
    if not without.impossible and not with_it.impossible:
        for figure in ("price", "duty") if branch else ("price",):
            found = price_threshold(desk, o, figure, with_it, without, branch)
            if found is not None:
                thresholds.append(found)
    return answer.model_copy(update={"thresholds": tuple(thresholds), "priced": branch})


def _both_ways(desk: Desk, o: int, branch: bool) -> tuple[Bracket, Bracket, bool]:
    """Cheapest plans with and without an offer, and whether the best plan buys it."""
    best, alone = desk.best, frozenset([o])
    assert best.x is not None
    used = desk.bench.uses(best.x, o)
    if used:
        return best, desk.turn(alone, False, branch, without_offers(desk, alone, best.x)), used
    return desk.turn(alone, True, branch, with_offer(desk, o, best.x)), best, used


def look_closer(desk: Desk, answer: OfferAnswer) -> OfferAnswer:
    """Return the answer with the lead time and the allocation at which an offer that is not bought enters."""
    o = desk.index[answer.offer]
    if answer.verdict in ("bought", "needed"):
        return answer.model_copy(update={"thorough": True})
    found = [t for t in (lead_time_threshold(desk, o), allocation_threshold(desk, o)) if t is not None]
    return answer.model_copy(update={"thresholds": (*answer.thresholds, *found), "thorough": True})


def without_offers(desk: Desk, offers: frozenset[int], x: np.ndarray) -> np.ndarray:
    """Return the decisions of a plan without some offers: a start, not yet a plan."""
    start = x.copy()
    start[[j for o in offers for j in desk.bench.columns.tiers.get(o, []) if j >= 0]] = 0.0
    return start


def with_offer(desk: Desk, o: int, x: np.ndarray) -> np.ndarray:
    """Return the decisions of a plan with an offer added in its first tier: a start, not yet a plan."""
    start = x.copy()
    start[desk.bench.columns.tiers[o][0]] = 1.0
    for level, members in enumerate(desk.bench.c.group_levels):
        column = desk.bench.compiled.index(desk.bench.model.group_level[level])
        if o in members and column >= 0:
            start[column] = 1.0
    return start


def _answer(desk: Desk, o: int, with_it: Bracket, without: Bracket, used: bool) -> OfferAnswer:
    offer = desk.problem.offers[o]
    turned, kept = (without, with_it) if used else (with_it, without)
    low, high = max(0.0, turned.lower - kept.upper), turned.upper - kept.lower
    bought = sum(order.containers for order in desk.plan.orders if order.offer == offer.offer)
    what = "losing it costs" if used else "its minimum order costs"
    if turned.impossible:
        verdict = "needed" if used else "does not fit"
        text = "no plan keeps every rule without it" if used else "no plan with its minimum order keeps every rule"
    elif not np.isfinite(turned.upper):
        verdict = "open"
        text = f"no plan was found in the time given; {what} at least {low:,.2f} million USD more"
    elif low <= 0.0 and not desk.settled(turned):
        verdict = "open"
        text = f"{what} at most {high:,.2f} million USD more; the time was too short to narrow it"
    elif low <= 0.0:
        verdict = "tie"
        text = f"a tie within the gaps: with it or without it, the cost differs by at most {high:,.2f} million USD"
    else:
        verdict = "bought" if used else "stays out"
        text = f"{what} {between(low, high)} million USD more"
    if bool(bought) != used:
        text += "; the plan in whole containers decides otherwise than the problem these numbers are from"
    made = _record(offer, bought, verdict, desk, (with_it, without), (low, high), text)
    return made.model_copy(update={"settled": desk.settled(turned)})


def _record(
    offer: Offer,
    bought: int,
    verdict: str,
    desk: Desk,
    brackets: tuple[Bracket, Bracket] | None,
    extra: tuple[float, float] | None,
    text: str,
) -> OfferAnswer:
    ends = [b for pair in brackets or () for b in (pair.lower, pair.upper)] or [np.inf] * 4
    low, high = extra if extra is not None else (np.inf, np.inf)
    return OfferAnswer(
        offer=offer.offer,
        supplier=offer.supplier,
        product=offer.product,
        chemistry=offer.chemistry,
        origin=offer.origin,
        bought=bought > 0,
        containers=bought,
        energy_mwh=bought * offer.energy_usable_ac_mwh,
        verdict=verdict,
        problem=desk.kind,
        with_lower_musd=finite(ends[0]),
        with_upper_musd=finite(ends[1]),
        without_lower_musd=finite(ends[2]),
        without_upper_musd=finite(ends[3]),
        extra_cost_lower_musd=finite(low),
        extra_cost_upper_musd=finite(high),
        thresholds=(),
        priced=brackets is None,
        thorough=False,
        text=text,
    )


def between(low: float, high: float) -> str:
    """A bracket in words: one number where both ends are the same as written."""
    ends = f"{low:,.2f}", f"{high:,.2f}"
    return ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"


def finite(value: float) -> float | None:
    """Return a number, or None for one that JSON cannot hold."""
    return float(value) if np.isfinite(value) else None


def _never(desk: Desk, o: int) -> OfferAnswer:
    """An offer that no plan of this question can buy, with the reasons by period."""
    problem, offer = desk.problem, desk.problem.offers[o]
    reasons: dict[str, list[str]] = {}
    for period in problem.periods:
        why = supply.refusal(problem, offer, period)
        if why is not None:
            text = f"{why.rule.replace('_', ' ')}: {why.text}"
        elif not supply.can_serve(problem, offer):
            text = "starts after the longest outage ends, or never"
        else:
            text = "less than one container can be had from its factories, or stand on the site"
        reasons.setdefault(text, []).append(period.label)
    said = "; ".join(f"{text} ({' to '.join(dict.fromkeys((q[0], q[-1])))})" for text, q in reasons.items())
    return _record(offer, 0, "cannot be bought", desk, None, None, said)
