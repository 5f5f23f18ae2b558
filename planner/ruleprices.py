"""What each rule and each doubt costs: the case solved again without it, or with the doubt read the other way."""

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
from planner.rulebook import Variant, case_with, rules_of
from planner.solve import Infeasible, NoPlan

#: Names in the rulebook of the rules that are priced, in the order of the result.
_PRICED = ("governance.", "reliability.storage_mandate_h", "policy.domestic_floor_frac", "exposure_limits.")
OTHER = {"allow": "refuse", "refuse": "allow"}


def price_rules(
    problem: Problem,
    found: Plan,
    *,
    gap_frac: float | None = None,
    time_limit_s: float | None = None,
    note: Callable[[str], None] = lambda text: None,
) -> Plan:
    """Return the plan with the price of every governance rule, mandate and doubt that the case has.

    Parameters
    ----------
    problem, found
        A problem and its plan.
    gap_frac, time_limit_s
        Of every further solve; those of the case if None.
    note
        Called with the name of every rule.

    Notes
    -----
    A price is uncertain by the gaps of both plans: ``uncertain_musd`` adds them up.
    A doubt with status ``disputed`` is priced by its flag: all offers under that flag are read the other way.
    """
    refuse_operations(problem, "prices of rules")
    prices = []
    for kind, rule, changed in (*_rules(problem), *_doubts(problem)):
        note(f"without {rule}" if kind == "rule" else f"doubt about {rule}")
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


def _rules(problem: Problem) -> Iterator[tuple[str, str, Case]]:
    """Every governance rule, mandate, floor and exposure limit that is on, and the case without it."""
    rules = rules_of(problem)
    for priced in _PRICED:
        for rule in rules:
            if rule.name.startswith(priced):
                yield "rule", rule.name, rule.drop(Variant(problem)).problem.case
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
