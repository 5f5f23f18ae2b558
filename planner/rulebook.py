"""The rules that a buyer can give way on: what dropping one means, and what easing it by an amount means.

Every rule is a change of the planning question itself, in the unit in which the buyer thinks of it, so
that whatever is said about it can be checked by planning the changed question.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from planner.case import CONTINGENCIES, Case
from planner.model.row import RULES
from planner.policy import bans_on
from planner.problem import Offer, Period, Problem

#: What is far more than any case needs, as a factor.
PLENTY = 100.0
_EVERYTHING_MW = 1e5


@dataclass(frozen=True)
class Variant:
    """A question with rules changed: another problem, model rules left out, refusals waived."""

    problem: Problem
    rules: frozenset[str] = frozenset(RULES)
    waived: frozenset[str] = frozenset()


Change = Callable[[Variant], Variant]
Easing = Callable[[Variant, float], Variant]


@dataclass(frozen=True)
class Rule:
    """A rule as a buyer knows it.

    Attributes
    ----------
    name
        Key of the case, or the name of a table row.
    words
        What it asks for.
    unit
        Of the easing: ``MW``, ``h``, ``months``, ``point`` (0.01 of a share), ``%`` (of what is allowed), or empty.
    now
        What the rule asks today, in ``unit``; None where that is not one number.
    most
        Easing, in ``unit``, that is as good as dropping the rule.
    drop
        The question without the rule.
    ease
        The question with the rule eased by an amount in ``unit``; None for rules that only hold or do not.
    result
        A sentence for an easing; ``{amount}`` and ``{rest}`` (what is left of ``now``) are filled in.
    """

    name: str
    words: str
    unit: str
    now: float | None
    most: float
    drop: Change
    ease: Easing | None
    result: str


def rules_of(problem: Problem) -> tuple[Rule, ...]:
    """Every rule of a problem that can give, those that are given up most easily first."""
    return (
        *_offer_rules(problem),
        *_policy_rules(problem),
        *_governance_rules(problem),
        *_site_rules(problem),
        *_reliability_rules(problem),
    )


def eased(problem: Problem, rule: Rule, amount: float) -> Variant:
    """Return the question with one rule eased by an amount in the rule's unit; the whole rule from ``most`` on."""
    start = Variant(problem)
    return rule.drop(start) if rule.ease is None or amount >= rule.most else rule.ease(start, amount)


# -- how a question is changed ------------------------------------------------------------------


def case_with(case: Case, path: str, value: Any) -> Case:
    """Return a case with one key replaced."""

    def nested(part: Any, keys: list[str]) -> Any:
        return value if not keys else part.model_copy(update={keys[0]: nested(getattr(part, keys[0]), keys[1:])})

    changed: Case = nested(case, path.split("."))
    return changed


def with_case(variant: Variant, path: str, value: Any) -> Variant:
    """Return the variant with one key of its case replaced."""
    return replace(variant, problem=replace(variant.problem, case=case_with(variant.problem.case, path, value)))


def with_offers(variant: Variant, change: Callable[[Offer], Offer]) -> Variant:
    """Return the variant with every offer changed."""
    return replace(variant, problem=replace(variant.problem, offers=tuple(map(change, variant.problem.offers))))


def with_periods(variant: Variant, change: Callable[[Period], Period]) -> Variant:
    """Return the variant with every delivery period changed."""
    return replace(variant, problem=replace(variant.problem, periods=tuple(map(change, variant.problem.periods))))


def _waive(refusal: str) -> Change:
    return lambda v: replace(v, waived=v.waived | {refusal})


# -- the rules ------------------------------------------------------------------------------------


def _offer_rules(problem: Problem) -> Iterator[Rule]:
    """Quotes, dates and what factories can deliver."""
    yield Rule(
        "validity", "validity of the quotes", "months", None, 120.0, _waive("validity"),
        lambda v, a: with_offers(v, lambda o: o.model_copy(update={"valid_until": o.valid_until + round(a)})),
        "quotes valid {amount:.0f} months longer",
    )  # fmt: skip
    if any(o.min_order_mwh > 0 for o in problem.offers):

        def smaller(v: Variant, percent: float) -> Variant:
            kept = 1.0 - percent / 100.0
            return with_offers(v, lambda o: o.model_copy(update={"min_order_mwh": o.min_order_mwh * kept}))

        yield Rule(
            "min_order", "minimum orders of the suppliers", "%", 100.0, 100.0, lambda v: smaller(v, 100.0), smaller,
            "minimum orders {amount:.1f} % smaller",
        )  # fmt: skip
    yield Rule(
        "lead_time", "lead times against the decision date", "months", None, 240.0, _waive("lead_time"),
        lambda v, a: with_offers(v, lambda o: o.model_copy(update={"lead_time_months": o.lead_time_months - round(a)})),
        "lead times {amount:.0f} months shorter",
    )  # fmt: skip

    def more(v: Variant, percent: float) -> Variant:
        return with_case(v, "supply.scale_frac", v.problem.case.supply.scale_frac * (1.0 + percent / 100.0))

    yield Rule(
        "supply", "what factories can deliver to this buyer", "%", 100.0, 100.0 * PLENTY,
        lambda v: with_case(v, "supply.scale_frac", max(1.0, v.problem.case.supply.scale_frac) * PLENTY), more,
        "factories deliver {amount:.1f} % more to this buyer",
    )  # fmt: skip


def _policy_rules(problem: Problem) -> Iterator[Rule]:
    """Bans, disputed entities, content floor, exposure limits."""
    case = problem.case
    in_force = {name for o in problem.offers for p in problem.periods for name in bans_on(problem, o, p)}
    for ban in problem.tables.bans:
        if ban.ban in in_force:
            yield Rule(
                f"ban: {ban.ban}", f"purchase ban {ban.ban}", "", None, 0.0, _without_ban(ban.ban), None,
                f"purchase ban {ban.ban} does not hold",
            )  # fmt: skip
    if "refuse" in (case.policy.disputed, *case.policy.disputed_flags.values()):
        yield Rule(
            "policy.disputed", "doubt counts against a supplier", "", None, 0.0,
            lambda v: with_case(with_case(v, "policy.disputed", "allow"), "policy.disputed_flags", {}), None,
            "disputed entities are allowed",
        )  # fmt: skip
    if any(o.host != "any" and o.host not in case.site.hosts for o in problem.offers):
        yield Rule("site.hosts", "what the site can host", "", None, 0.0, _waive("site"), None, "the site hosts it")
    if case.fire.strict:
        yield Rule(
            "fire.strict", "fire rules from memory are refused", "", None, 0.0,
            lambda v: with_case(v, "fire.strict", False), None, "fire rules from memory are accepted",
        )  # fmt: skip
    for measure in case.exposure_limits:
        yield _exposure_rule(problem, measure)
    floor = case.policy.domestic_floor_frac
    if floor > 0:
        yield Rule(
            "policy.domestic_floor_frac", "the domestic-content floor", "point", 100.0 * floor, 100.0 * floor,
            lambda v: with_case(v, "policy.domestic_floor_frac", 0.0),
            lambda v, a: with_case(v, "policy.domestic_floor_frac", floor - a / 100.0),
            "a domestic floor of {rest:.2f} %",
        )  # fmt: skip


def _governance_rules(problem: Problem) -> Iterator[Rule]:
    """How far the buyer may lean on one name."""
    governance = problem.case.governance
    limits = {
        k: x for k in ("supplier", "country", "chemistry", "cell_factory") if (x := getattr(governance.max_share, k))
    }
    for kind, most in limits.items():
        yield _share_rule(f"governance.max_share.{kind}", f"largest share of one {kind.replace('_', ' ')}", most)
    if governance.max_share.maturity:
        path = "governance.max_share.maturity"
        yield Rule(
            path, "largest share by maturity", "", None, 0.0, lambda v: with_case(v, path, {}), None,
            "no limit on the maturity of products",
        )  # fmt: skip
    if governance.min_suppliers > 1:
        path, now = "governance.min_suppliers", float(governance.min_suppliers)
        yield Rule(
            path, "least number of suppliers", "", now, 0.0, lambda v: with_case(v, path, 0), None,
            "no least number of suppliers",
        )  # fmt: skip


def _share_rule(path: str, words: str, most: float) -> Rule:
    return Rule(
        path, words, "point", 100.0 * most, 100.0 * (1.0 - most), lambda v: with_case(v, path, None),
        lambda v, a: with_case(v, path, most + a / 100.0), f"{words} of {{amount:.2f}} points more",
    )  # fmt: skip


def _without_ban(name: str) -> Change:
    def change(v: Variant) -> Variant:
        bans = tuple(b for b in v.problem.tables.bans if not (b.ban == name and b.buyer == v.problem.case.buyer))
        return replace(v, problem=replace(v.problem, tables=replace(v.problem.tables, bans=bans)))

    return change


def _exposure_rule(problem: Problem, measure: str) -> Rule:
    def without(v: Variant) -> Variant:
        kept = {k: limit for k, limit in v.problem.case.exposure_limits.items() if k != measure}
        return with_case(v, "exposure_limits", kept)

    def ease(v: Variant, points: float) -> Variant:
        limits = dict(v.problem.case.exposure_limits)
        limit = limits[measure]  # type: ignore[index]
        limits[measure] = limit.model_copy(update={"max_frac": limit.max_frac + points / 100.0})  # type: ignore[index]
        return with_case(v, "exposure_limits", limits)

    now = 100.0 * problem.case.exposure_limits[measure].max_frac  # type: ignore[index]
    words = f"the China-exposure limit ({measure.replace('_', ' ')})"
    result = f"an exposure limit ({measure.replace('_', ' ')}) {{amount:.2f}} points higher"
    return Rule(f"exposure_limits.{measure}", words, "point", now, 1000.0, without, ease, result)


def _site_rules(problem: Problem) -> Iterator[Rule]:
    """Permits, yards, fire caps, grid."""
    site = problem.case.site
    if any(o.kind == "generator" for o in problem.offers):
        yield Rule(
            "site.generator_mw_max", "the generator air permit", "MW", site.generator_mw_max, _EVERYTHING_MW,
            lambda v: with_case(v, "site.generator_mw_max", _EVERYTHING_MW),
            lambda v, a: with_case(v, "site.generator_mw_max", site.generator_mw_max + a),
            "a generator permit of {rest:.1f} MW",
        )  # fmt: skip

    def safer(v: Variant, percent: float) -> Variant:
        f = 1.0 + percent / 100.0
        zones = tuple(
            z.model_copy(
                update={
                    "fire_areas": z.fire_areas * f,
                    "hazard_budget_mwh": None if z.hazard_budget_mwh is None else z.hazard_budget_mwh * f,
                }
            )
            for z in v.problem.case.site.zones
        )
        return with_case(v, "site.zones", zones)

    yield Rule(
        "fire", "energy that fire areas and hazard budgets may hold", "%", 100.0, 100.0 * PLENTY,
        lambda v: safer(v, 100.0 * PLENTY), safer, "fire areas and hazard budgets that hold {amount:.1f} % more",
    )  # fmt: skip

    def longer(v: Variant, percent: float) -> Variant:
        f = 1.0 + percent / 100.0
        zones = tuple(z.model_copy(update={"length_m": z.length_m * f}) for z in v.problem.case.site.zones)
        return with_case(v, "site.zones", zones)

    yield Rule(
        "site.zones", "the area of the yards", "%", 100.0, 100.0 * PLENTY, lambda v: longer(v, 100.0 * PLENTY), longer,
        "yards {amount:.1f} % longer",
    )  # fmt: skip
    if any(p.energisable_mw < p.target_mw for p in problem.periods):

        def stronger(v: Variant, mw: float) -> Variant:
            causes = v.problem.case.site.energisation
            series = {
                k: {m: x + mw for m, x in dated.items()}
                for k in type(causes).model_fields
                if (dated := getattr(causes, k)) is not None
            }
            v = with_case(v, "site.energisation", causes.model_copy(update=series))
            return with_periods(v, lambda p: replace(p, energisable_mw=p.energisable_mw + mw))

        yield Rule(
            "site.energisation", "grid, transformers and permits", "MW", None, _EVERYTHING_MW,
            lambda v: stronger(v, _EVERYTHING_MW), stronger, "{amount:.1f} MW more energisable in every period",
        )  # fmt: skip


def _reliability_rules(problem: Problem) -> Iterator[Rule]:
    """Mandate, losses, contracted load, the outages themselves."""
    reliability = problem.case.reliability
    hours = reliability.storage_mandate_h
    if hours > 0:
        yield Rule(
            "reliability.storage_mandate_h", "the storage mandate in hours", "h", hours, hours,
            lambda v: with_case(v, "reliability.storage_mandate_h", 0.0),
            lambda v, a: with_case(v, "reliability.storage_mandate_h", hours - a),
            "a storage mandate of {rest:.2f} h",
        )  # fmt: skip
    for kind in CONTINGENCIES:
        share = getattr(reliability.contingencies, kind)
        if share is not None:
            yield _contingency_rule(kind, share)
    if any(p.floor_mw > 0 for p in problem.periods):
        yield from _load_rules(problem)
    yield Rule(
        "reliability.service", "ride through the outages asked for", "%", 100.0, 99.9,
        lambda v: replace(v, rules=v.rules - {"reliability"}), _smaller_service,
        "{amount:.2f} % less load to be carried through outages",
    )  # fmt: skip


def _smaller_service(v: Variant, percent: float) -> Variant:
    steps = tuple(
        s.model_copy(update={"share_frac": s.share_frac * (1.0 - percent / 100.0)})
        for s in v.problem.case.reliability.service
    )
    return with_case(v, "reliability.service", steps)


def _contingency_rule(kind: str, share: float) -> Rule:
    path = f"reliability.contingencies.{kind}"
    lost = {"software": "all units with prohibited software", "fire_group": "the largest fire group"}
    words = f"survive the loss of {lost.get(kind, 'any one ' + kind.replace('_', ' '))}"

    def ease(v: Variant, points: float) -> Variant:
        return with_case(v, path, share - points / 100.0)

    return Rule(
        path, words, "point", 100.0 * share, 100.0 * share - 1e-3, lambda v: with_case(v, path, None), ease,
        f"{{rest:.2f}} % of the requirement after the loss ({kind.replace('_', ' ')})",
    )  # fmt: skip


def _load_rules(problem: Problem) -> Iterator[Rule]:
    """Contracted load: later by a period, or less of it."""
    periods = problem.periods
    before = dict(zip(range(1, len(periods)), [p.floor_mw for p in periods], strict=False))
    steps = {p.index: p.floor_mw - before.get(p.index, 0.0) for p in periods[:-1]}
    if steps and max(steps.values()) > 0:

        def later(v: Variant, mw: float) -> Variant:
            return with_periods(v, lambda p: replace(p, floor_mw=p.floor_mw - min(mw, steps.get(p.index, 0.0))))

        most = max(steps.values())
        yield Rule(
            "load.floor_mw, a period later", "contracted load in time", "MW", None, most, lambda v: later(v, most),
            later, "{amount:.1f} MW of the contracted load energised one delivery period later",
        )  # fmt: skip

    def less(v: Variant, mw: float) -> Variant:
        return with_periods(v, lambda p: replace(p, floor_mw=max(0.0, p.floor_mw - mw)))

    top = max(p.floor_mw for p in periods)
    yield Rule(
        "load.floor_mw", "energise the contracted load", "MW", top, top, lambda v: less(v, top), less,
        "{amount:.1f} MW less contracted in every period",
    )  # fmt: skip
