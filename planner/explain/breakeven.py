"""The price and the duty at which an offer enters or leaves the plan.

Let f(d) be the least cost of all plans that buy the offer, when its price (or its duty) is cut by the share
d. Each plan's cost falls linearly with d, so f is concave and falling. The plans without the offer cost the
same whatever d is. The offer enters where f meets that cost: the root of a concave function, which Newton's
method finds in two or three solves, each from the plan of the last one. A plan found at any d bounds the
root from above with its straight line; dual bounds at two cuts bound f from below by the chord between
them, and so the root too. Left of the last bound f rises at least by the price of the least that must be bought.

A first bracket needs no branch and bound: plans with the decisions of those known, and relaxations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from planner import finance, policy
from planner.answers import Threshold
from planner.explain.bridge import quoted_price
from planner.explain.desk import Desk
from planner.finance import container_cost, duty_rate
from planner.problem import FloatArray
from planner.units import USD_PER_MUSD, year_of
from planner.workbench import Bracket, Change

#: More solves than this are not spent on one root.
_MOST_SOLVES = 6
#: Of a first bracket: plans, and relaxations.
_FEW_SOLVES = 3
#: The price may grow at most tenfold in the search for where a bought offer leaves.
_DEAREST = -9.0
#: Money by which a point beside a root differs from it: more than the solver's own tolerance.
_BESIDE_MUSD = 1e-5
#: Roots whose bounds are closer than this are exact enough, as a share of the price.
_CLOSE = 1e-5

Figure = Literal["price", "duty"]


@dataclass(frozen=True)
class Root:
    """Where an offer enters: surely from the cut ``enters`` on, surely not up to ``stays_out``; inf if unknown."""

    enters: float
    stays_out: float

    def joined(self, other: Root) -> Root:
        """What two brackets of the same root tell together."""
        return Root(min(self.enters, other.enters), max(self.stays_out, other.stays_out))


def slope_row(desk: Desk, o: int, figure: Figure) -> FloatArray:
    """What each column's cost falls by, in million USD, when the whole price (or duty) of an offer goes."""
    bench, problem = desk.bench, desk.problem
    row = np.zeros(len(bench.compiled.cost))
    offer = problem.offers[o]
    spared = offer.model_copy(update={"includes": offer.includes | {"duty"}})
    for (o2, p, t, state), cost in bench.c.unit_cost_musd.items():
        if o2 != o:
            continue
        period, tier = problem.periods[p], offer.tiers[t]
        if figure == "price":  # a discount of 1 leaves everything but what follows the price
            rest = container_cost(problem, offer, period, 1.0)
        else:
            rest = container_cost(problem, spared, period, tier.discount_frac)
        rate, phase = 0.0, bench.c.phase[p]
        if phase is not None and state != "none":
            rate = policy.credit_rate(problem, problem.case.policy.phases[phase], state)
        paid = finance.discount(problem, period.start + finance.CREDIT_LAG_MONTHS)
        total = (sum(rest.items_usd.values()) - rate * rest.capex_usd * paid) / USD_PER_MUSD
        column = bench.compiled.index(bench.model.in_state[offer.offer, period.label, tier.tier, state])
        if column >= 0:
            row[column] = cost - total
    return row


def price_threshold(
    desk: Desk, o: int, figure: Figure, with_it: Bracket, without: Bracket, branch: bool = True
) -> Threshold | None:
    """Price (or duty) at which an offer enters, or leaves when it is bought; None where there is none.

    Parameters
    ----------
    desk
        The plan and its question.
    o
        Index of the offer.
    figure
        What moves; for the duty, the duty on this offer alone.
    with_it, without
        Optimum with the offer forced in, and without it, at today's figure.
    branch
        Whether to search to the gap, or to be content with a first bracket.
    """
    slope = slope_row(desk, o, figure)
    if not np.any(slope) or not np.isfinite(without.upper):
        return None
    if branch and with_it.x is not None:
        root = find_root(desk, o, slope, with_it, without)
        if not np.isfinite([root.enters, root.stays_out]).all():
            root = root.joined(first_root(desk, o, slope, with_it, without))
    else:
        root = first_root(desk, o, slope, with_it, without)
    return _told(desk, o, figure, with_it.x, root)


def first_root(desk: Desk, o: int, slope: FloatArray, with_it: Bracket, without: Bracket) -> Root:
    """Bracket of the root without branch and bound: from plans near those known, and from relaxations."""
    bench = desk.bench
    cost, offset = bench.compiled.cost, bench.compiled.offset
    forced = bench.force_in(o)
    plans = [] if with_it.x is None else [with_it.x]
    for _ in range(_FEW_SOLVES if plans else 0):
        to = min(1.0, max(_DEAREST, _newton(plans, cost, offset, slope, without.lower)))
        found = bench.attained(forced.and_also(Change(cost=cost - to * slope, offset=offset)), plans[-1])
        if desk.stop.now or found.x is None or float((cost - to * slope) @ (found.x - plans[-1])) > -_BESIDE_MUSD:
            break
        plans.append(found.x)
    lowers, least = {0.0: with_it.lower}, max(0.0, bench.relaxed(forced.and_also(Change(cost=slope))))
    for at in (1.0,) if with_it.lower >= without.upper else (_DEAREST, _DEAREST / 4.0):
        relaxed = bench.relaxed(forced.and_also(Change(cost=cost - at * slope, offset=offset)))
        if at < 0.0:  # dearer, no plan costs less than before
            relaxed = max(relaxed, with_it.lower - at * least)
        lowers[at] = relaxed
    return Root(_enters(plans, cost, offset, slope, without), _stays_out(lowers, without, least))


def find_root(desk: Desk, o: int, slope: FloatArray, with_it: Bracket, without: Bracket) -> Root:
    """Newton's method on the least cost with the offer in, as its price is cut (or raised: cuts below 0)."""
    bench = desk.bench
    cost, offset = bench.compiled.cost, bench.compiled.offset
    forced = bench.force_in(o)
    plans: list[FloatArray] = []
    lowers: dict[float, float] = {}
    at, found = 0.0, with_it
    for _ in range(_MOST_SOLVES):
        lowers[at] = found.lower
        if found.x is not None:
            plans.append(found.x)
        root = Root(_enters(plans, cost, offset, slope, without), _stays_out(lowers, without))
        if root.enters - root.stays_out <= _CLOSE or desk.stop.now:
            return root
        to = min(1.0, max(_DEAREST, _newton(plans, cost, offset, slope, without.upper)))
        if any(abs(to - done) < 1e-9 for done in lowers):  # converged: bound the root from the other side too
            falls = max(float(slope @ x) for x in plans)
            if root.enters == np.inf or falls <= 0.0:
                return root
            to = root.enters - (3.0 * bench.gap_frac * abs(without.upper) + _BESIDE_MUSD) / falls
            if to < _DEAREST or any(abs(to - done) < 1e-9 for done in lowers):
                return root
        at = to
        change = forced.and_also(Change(cost=cost - at * slope, offset=offset))
        found = bench.solve(change, start=plans[-1], limit_s=desk.question_s)
    return root


def _crossing(x: FloatArray, cost: FloatArray, offset: float, slope: FloatArray, level: float) -> float:
    """Cut at which a plan costs ``level``."""
    falls = float(slope @ x)
    return (float(cost @ x) + offset - level) / falls if falls > 1e-12 else np.inf


def _newton(plans: list[FloatArray], cost: FloatArray, offset: float, slope: FloatArray, level: float) -> float:
    return min(_crossing(x, cost, offset, slope, level) for x in plans)


def _enters(plans: list[FloatArray], cost: FloatArray, offset: float, slope: FloatArray, without: Bracket) -> float:
    """Smallest cut at which some plan with the offer costs no more than any without it can."""
    crossing = min((_crossing(x, cost, offset, slope, without.lower) for x in plans), default=np.inf)
    return crossing if crossing <= 1.0 else np.inf


def _stays_out(lowers: dict[float, float], without: Bracket, least: float = 0.0) -> float:
    """Largest cut up to which every plan with the offer costs more than one without it.

    ``least`` is what the price of the offer is in any plan that buys it, in million USD.
    """
    level = without.upper
    cuts = sorted(lowers)
    above = [cut for cut in cuts if lowers[cut] >= level]
    if not above:
        return max(cut - (level - lowers[cut]) / least for cut in cuts) if least > _BESIDE_MUSD else -np.inf
    last = max(above)
    after = [cut for cut in cuts if cut > last]
    if not after:
        return last
    nearest = after[0]
    height, drop = lowers[last] - level, lowers[last] - lowers[nearest]
    return last + (nearest - last) * height / drop if drop > 0 else last


def _told(desk: Desk, o: int, figure: Figure, x: FloatArray | None, root: Root) -> Threshold:
    """The root in the unit of the quote, for the first period in which the plan with the offer takes it."""
    problem, offer = desk.problem, desk.problem.offers[o]
    pairs = desk.bench.pair_columns(o)
    taken = [p for p, j in pairs if x is None or x[j] > 1e-6]
    period = problem.periods[taken[0]] if taken else problem.periods[-1]
    if figure == "price":
        now, unit = quoted_price(offer, year_of(period.start)), offer.price_unit
    else:
        now, unit = duty_rate(problem, offer, period.start - offer.commissioning_months), "frac"
    enters = now * (1.0 - root.enters) if np.isfinite(root.enters) else None
    stays = now * (1.0 - root.stays_out) if np.isfinite(root.stays_out) else None
    return Threshold(
        figure=figure,
        unit=unit,
        now=now,
        enters_at=enters,
        stays_out_at=stays,
        change_enters_frac=-root.enters if np.isfinite(root.enters) else None,
        change_stays_out_frac=-root.stays_out if np.isfinite(root.stays_out) else None,
        text=_sentence(figure, unit, now, enters, stays, root, period.label),
        period=period.label,
    )


def _sentence(
    figure: str, unit: str, now: float, enters: float | None, stays: float | None, root: Root, period: str
) -> str:
    def said(value: float) -> str:
        return f"{value:,.2f} {unit}" if figure == "price" else f"{100 * value:.2f} %"

    what, now_words = "price" if figure == "price" else "duty on this offer alone", f"({said(now)} in {period})"
    if enters is None:
        if root.stays_out >= 1.0:
            return f"stays out even at a {what} of 0 {now_words}"
        told = f"no {what} down to 0 is proved to bring it in"
        return f"{told} {now_words}" if stays is None else f"{told}, from {said(stays)} it stays out {now_words}"
    if stays is None:
        return f"is in the plan up to a {what} of {said(enters)} at least {now_words}"
    if root.enters <= 0.0:
        return f"is in the plan up to a {what} of {said(enters)}, out from {said(stays)} {now_words}"
    return f"enters at a {what} of {said(enters)}, stays out from {said(stays)} {now_words}"
