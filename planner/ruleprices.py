"""What each rule and each doubt costs: the case solved again without it, or with the doubt read the other way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, cast

from planner.case import Case
from planner.catalogue import FlagName
from planner.pipeline import plan as solve
from planner.problem import Offer, Problem
from planner.results import Plan, RulePrice
from planner.solve import Infeasible, NoPlan

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
    prices = []
    for kind, rule, changed in (*_rules(problem.case), *_doubts(problem)):
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


def _plays_no_part(problem: Problem, found: Plan, rule: str) -> bool:
    """Whether a doubt that is now read as no concerns no offer of the plan: refusing it only takes choices away."""
    flag, _, reading = rule.partition(": ")
    if not reading.startswith("refuse"):
        return False
    bought = {order.offer for order in found.orders}
    return not any(flag in disputed_flags(offer) for offer in problem.offers if offer.offer in bought)


def disputed_flags(offer: Offer) -> set[FlagName]:
    """Flags of an offer that are in dispute; a component in dispute bears on the tax flag."""
    found = {cast("FlagName", name) for name, flag in offer.flags.items() if flag.status == "disputed"}
    if any(part.prohibited == "disputed" for part in offer.components.values()):
        found.add("pfe_tax")
    return found


def _changed(case: Case, path: str, value: Any) -> Case:
    """The case with one key replaced."""
    head, _, rest = path.partition(".")
    inner = value if not rest else _changed_part(getattr(case, head), rest, value)
    return case.model_copy(update={head: inner})


def _changed_part(part: Any, path: str, value: Any) -> Any:
    head, _, rest = path.partition(".")
    inner = value if not rest else _changed_part(getattr(part, head), rest, value)
    return part.model_copy(update={head: inner})


def _rules(case: Case) -> Iterator[tuple[str, str, Case]]:
    """Every governance rule and mandate that is on, and the case without it."""
    limits = case.governance.max_share
    for kind in ("supplier", "country", "chemistry", "cell_factory"):
        if getattr(limits, kind) is not None:
            path = f"governance.max_share.{kind}"
            yield "rule", path, _changed(case, path, None)
    if limits.maturity:
        yield "rule", "governance.max_share.maturity", _changed(case, "governance.max_share.maturity", {})
    if case.governance.min_suppliers > 1:
        yield "rule", "governance.min_suppliers", _changed(case, "governance.min_suppliers", 0)
    if case.reliability.storage_mandate_h > 0:
        path = "reliability.storage_mandate_h"
        yield "rule", path, _changed(case, path, 0.0)
    if case.policy.domestic_floor_frac > 0:
        path = "policy.domestic_floor_frac"
        yield "rule", path, _changed(case, path, 0.0)
    for measure in case.exposure_limits:
        rest = {k: v for k, v in case.exposure_limits.items() if k != measure}
        yield "rule", f"exposure_limits.{measure}", case.model_copy(update={"exposure_limits": rest})
    if case.credits.unit == "phase" and case.objective == "buyer" and case.policy.monetisation != "none":
        if case.policy.phases:
            yield "doubt", "credits.unit: pools instead of phase", _changed(case, "credits.unit", "pools")
    elif case.credits.unit == "pools":
        yield "doubt", "credits.unit: phase instead of pools", _changed(case, "credits.unit", "phase")


def _doubts(problem: Problem) -> Iterator[tuple[str, str, Case]]:
    """Every flag that some offer has in dispute, and the case that reads it the other way."""
    policy = problem.case.policy
    disputed = {flag for offer in problem.offers for flag in disputed_flags(offer)}
    for flag in sorted(disputed):
        now = policy.disputed_flags.get(flag, policy.disputed)
        other = {**policy.disputed_flags, flag: OTHER[now]}
        yield "doubt", f"{flag}: {OTHER[now]} instead of {now}", _changed(problem.case, "policy.disputed_flags", other)
