"""What each doubt costs: the case solved again with the doubt read the other way.

What a rule costs is asked with ``planner explain --rule``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import cast

from planner.case import Case
from planner.catalogue import FlagName
from planner.checks import refuse_operations
from planner.pipeline import plan as solve
from planner.problem import Offer, Problem
from planner.results import Plan, RulePrice
from planner.rulebook import case_with
from planner.solve import Infeasible, NoPlan

OTHER = {"allow": "refuse", "refuse": "allow"}


def price_doubts(
    problem: Problem,
    found: Plan,
    *,
    gap_frac: float | None = None,
    time_limit_s: float | None = None,
    note: Callable[[str], None] = lambda text: None,
) -> Plan:
    """Return the plan with the price of every doubt that the case has.

    Parameters
    ----------
    problem, found
        A problem and its plan.
    gap_frac, time_limit_s
        Of every further solve; those of the case if None.
    note
        Called with the name of every doubt.

    Notes
    -----
    A price is uncertain by the gaps of both plans: ``uncertain_musd`` adds them up.
    A doubt with status ``disputed`` is priced by its flag: all offers under that flag are read the other way.
    """
    refuse_operations(problem, "prices of rules")
    prices = []
    for kind, rule, changed in (*_unit_of_credits(problem), *_doubts(problem)):
        note(f"doubt about {rule}")
        prices.append(_price(problem, found, kind, rule, changed, gap_frac, time_limit_s))
    return found.model_copy(update={"rule_prices": tuple(prices)})


def _price(
    problem: Problem,
    found: Plan,
    kind: str,
    rule: str,
    changed: Case,
    gap_frac: float | None,
    time_limit_s: float | None,
) -> RulePrice:
    known = {"kind": kind, "rule": rule, "with_musd": found.cost_musd}
    open_musd = found.cost_musd - found.bound_musd
    try:
        other = solve(replace(problem, case=changed), gap_frac=gap_frac, time_limit_s=time_limit_s)
    except (Infeasible, NoPlan) as end:
        words = "no plan read the other way" if isinstance(end, Infeasible) else "not solved in time"
        return RulePrice(**known, without_musd=None, price_musd=None, uncertain_musd=open_musd, note=words)
    uncertain = open_musd + other.cost_musd - other.bound_musd
    price = found.cost_musd - other.cost_musd
    words = "a tie within the gaps" if abs(price) <= uncertain else ""
    if other.status == "unverified":
        words = "the other plan failed verification"
    return RulePrice(**known, without_musd=other.cost_musd, price_musd=price, uncertain_musd=uncertain, note=words)


def disputed_flags(offer: Offer) -> set[FlagName]:
    """Flags of an offer that are in dispute; a component in dispute bears on the tax flag."""
    found = {cast("FlagName", name) for name, flag in offer.flags.items() if flag.status == "disputed"}
    if any(part.prohibited == "disputed" for part in offer.components.values()):
        found.add("pfe_tax")
    return found


def _unit_of_credits(problem: Problem) -> Iterator[tuple[str, str, Case]]:
    """The unit of the credit tests, where it matters, and the case that reads it the other way."""
    case = problem.case
    if case.credits.unit == "phase" and case.objective == "buyer" and case.policy.monetisation != "none":
        if case.policy.phases:
            yield "doubt", "credits.unit: pools instead of phase", case_with(case, "credits.unit", "pools")
    elif case.credits.unit == "pools":
        yield "doubt", "credits.unit: phase instead of pools", case_with(case, "credits.unit", "phase")


def _doubts(problem: Problem) -> Iterator[tuple[str, str, Case]]:
    """Every flag that some offer has in dispute, and the case that reads it the other way."""
    policy = problem.case.policy
    disputed = {flag for offer in problem.offers for flag in disputed_flags(offer)}
    for flag in sorted(disputed):
        now = policy.disputed_flags.get(flag, policy.disputed)
        other = {**policy.disputed_flags, flag: OTHER[now]}
        yield "doubt", f"{flag}: {OTHER[now]} instead of {now}", case_with(problem.case, "policy.disputed_flags", other)
