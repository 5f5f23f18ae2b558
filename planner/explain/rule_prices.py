"""What each rule costs: dropped, or eased by a unit, and everything decided anew."""

from __future__ import annotations

from typing import Literal

import numpy as np

from planner.answers import RulePrice
from planner.explain.desk import Desk
from planner.explain.offers import between, finite
from planner.model.coefficients import Coefficients
from planner.rulebook import Rule, Variant, eased

Change = Literal["dropped", "eased"]
#: Rules that are only eased: without them there is nothing left to plan.
_ONLY_EASED = ("reliability.service",)
#: Eased, orders are signed and paid later too: easing can save more than dropping.
_NOT_NESTED = ("lead_time",)


def changes_of(rule: Rule) -> tuple[Change, ...]:
    """How a rule can give way: as a whole, and by one unit where it is a number."""
    dropped: tuple[Change, ...] = () if rule.name in _ONLY_EASED else ("dropped",)
    return (*dropped, "eased") if rule.ease is not None and rule.most > 1.0 else dropped


def price_rule(
    desk: Desk, rule: Rule, change: Change, branch: bool = True, known: RulePrice | None = None
) -> RulePrice:
    """What is saved when a rule is dropped, or eased by one unit.

    Parameters
    ----------
    desk
        The plan and its question.
    rule, change
        One of ``planner.rulebook.rules_of``, and one of its ``changes_of``.
    branch
        Whether to search to the gap, or to be content with a first bracket.
    known
        What is known of it already.
    """
    desk.note(f"rule {rule.name}, {change}{'' if branch else ', first figures'}")
    amount = rule.most if change == "dropped" else 1.0
    best, variant = desk.best, eased(desk.problem, rule, amount)
    without = best if _admits_nothing(desk, rule, variant) else desk.solve_changed(variant, branch)
    # A rule that gives way never makes the best plan dearer: what was possible still is.
    low, high = max(0.0, best.lower - without.upper), max(0.0, best.upper - without.lower)
    if without is best:
        low = high = 0.0
    if known is not None and known.saved_upper_musd is not None:
        low, high = max(low, known.saved_lower_musd or 0.0), min(high, known.saved_upper_musd)
    return _stated(desk, rule, change, low, high, settled=desk.settled(without) or (branch and without.x is not None))


def eased_by_dropped(desk: Desk, rule: Rule, dropped: RulePrice) -> RulePrice | None:
    """What easing a rule saves where dropping it tells already: never more, so nothing or a tie; else None.

    Parameters
    ----------
    desk, rule
        As for ``price_rule``.
    dropped
        The price of the whole rule.
    """
    if rule.name in _NOT_NESTED or dropped.verdict not in ("costs nothing", "tie"):
        return None
    if dropped.saved_upper_musd is None:
        return None
    return _stated(desk, rule, "eased", 0.0, dropped.saved_upper_musd)


def _stated(desk: Desk, rule: Rule, change: Change, low: float, high: float, settled: bool = True) -> RulePrice:
    """Put a bracket of savings into words."""
    best, amount = desk.best, rule.most if change == "dropped" else 1.0
    if not np.isfinite(high):
        verdict, text = "open", "the time was too short"
    elif low > 0.0:
        verdict, text = "binds", f"saves {between(low, high)} million USD"
    elif high <= 1e-5 * max(1.0, abs(best.upper)):
        verdict, text = "costs nothing", "saves nothing"
    elif not settled:
        verdict, text = "open", f"saves at most {high:,.2f} million USD; the time was too short to narrow it"
    else:
        verdict, text = "tie", f"a tie within the gaps: saves at most {high:,.2f} million USD"
    if change == "eased":
        rest = None if rule.now is None else rule.now - amount
        what = rule.result.format(amount=amount, rest=_rest(rule, amount, rest))
        text = f"{what.replace(' 1 months ', ' 1 month ')}: {text}"
    return RulePrice(
        rule=rule.name,
        words=rule.words,
        change=change,
        amount=amount,
        unit=rule.unit,
        now=rule.now,
        problem=desk.kind,
        saved_lower_musd=finite(low),
        saved_upper_musd=finite(high),
        verdict=verdict,
        text=text,
        settled=settled or verdict == "costs nothing",
    )


def _admits_nothing(desk: Desk, rule: Rule, variant: Variant) -> bool:
    """Whether a rule that only keeps deliveries out lets none in when it gives way: then nothing changes."""
    only_admission = rule.name in ("validity", "site.hosts") or rule.name.startswith("ban: ")
    return only_admission and Coefficients(variant.problem, variant.waived).pairs == desk.bench.c.pairs


def _rest(rule: Rule, amount: float, rest: float | None) -> float:
    """What a rule asks once it is eased: a permit grows, everything else shrinks."""
    grows = rule.name == "site.generator_mw_max"
    return (rule.now or 0.0) + amount if grows else (rest or 0.0)
