"""Plans that a reviewer asks about, completed, costed and judged by the same verifier as the optimum."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace

from planner import supply
from planner.answers import AlternativeOrder, Baseline
from planner.explain.bridge import bridge
from planner.explain.desk import Desk
from planner.explain.orders import Counts, complete, nothing_lost_mw
from planner.pipeline import plan as solve_plan
from planner.problem import Offer, Period, Problem
from planner.results import Plan
from planner.rulebook import Variant, with_case, with_periods
from planner.solve import Infeasible, NoPlan
from planner.verify import verify

#: Baselines are solved to this gap, or to the gap asked if that is wider: their faults are larger than it.
_GAP_FRAC = 0.005
THUMB_HOURS = 4.0
_CHINA = ("China", "CN")


def _calm(v: Variant) -> Variant:
    kept = v.problem.case.reliability.contingencies
    lost = {k: None for k in type(kept).model_fields if k != "fire_group"}
    return with_case(v, "reliability.contingencies", kept.model_copy(update=lost))


def _lawless(v: Variant) -> Variant:
    v = with_case(v, "exposure_limits", {})
    v = with_case(v, "policy.domestic_floor_frac", 0.0)
    return replace(v, problem=replace(v.problem, tables=replace(v.problem.tables, bans=())))


#: What a baseline gives up, step by step, until a plan exists; each step keeps the earlier ones.
_WAIVED: tuple[tuple[str, Callable[[Variant], Variant]], ...] = (
    ("nothing", lambda v: v),
    ("survival of losses other than fire", _calm),
    ("exposure limits, content floor and purchase bans", _lawless),
    ("contracted load", lambda v: with_periods(v, lambda p: replace(p, floor_mw=0.0))),
)


def chinese(problem: Problem, offer: Offer) -> bool:
    """Whether the cells come from China, or its supplier belongs there."""
    owners = {s.supplier: s.owner_country for s in problem.tables.suppliers}
    return offer.cell_country in _CHINA or owners.get(offer.supplier) in _CHINA


def cheapest_chemistry(problem: Problem, plan: Plan) -> str:
    """Chemistry of the storage offer with the lowest duty-paid price at site per usable kWh."""
    priced = []
    for offer in problem.offers:
        period = _deliverable(problem, offer)
        if offer.is_storage and period is not None:
            found = bridge(problem, plan, offer, period, offer.tiers[0])
            priced.append((found.at_site_usd_per_kwh, offer.chemistry))
    return min(priced)[1] if priced else "lfp"


def _deliverable(problem: Problem, offer: Offer) -> Period | None:
    return next((p for p in problem.periods if supply.refusal(problem, offer, p) is None), None)


def names() -> tuple[str, ...]:
    """Names of the baselines, without the user's own."""
    return ("all_china", "all_allied", "cheapest_chemistry", "rule_of_thumb_4h")


def baseline(desk: Desk, name: str) -> Baseline:
    """Work one baseline out.

    Parameters
    ----------
    desk
        The plan and its question.
    name
        One of ``names()``.
    """
    desk.note(f"baseline {name.replace('_', ' ')}")
    problem = desk.problem
    if name == "rule_of_thumb_4h":
        words = f"rule of thumb: {THUMB_HOURS:g} h of the target load, from the cheapest offer of each period"
        return judged(desk, name, words, "by arithmetic", rule_of_thumb(problem, desk.plan))
    if name == "all_china":
        words = "storage with cells from China, or of a Chinese owner, only"
        return _restricted(desk, name, words, lambda o: chinese(problem, o))
    if name == "all_allied":
        words = "no cells from China and no Chinese owner: allied and domestic storage only"
        return _restricted(desk, name, words, lambda o: not chinese(problem, o))
    chemistry = cheapest_chemistry(problem, desk.plan)
    words = f"only the chemistry with the cheapest quote at site: {chemistry.replace('_', ' ')}"
    return _restricted(desk, name, words, lambda o: o.chemistry == chemistry)


def _restricted(desk: Desk, name: str, words: str, wanted: Callable[[Offer], bool]) -> Baseline:
    """Cheapest plan from some storage offers; rules are given up until there is one."""
    problem = desk.problem
    offers = tuple(o for o in problem.offers if not o.is_storage or wanted(o))
    if not any(o.is_storage for o in offers):
        return empty(name, words, "no such offer in the case")
    variant, given_up = Variant(replace(problem, offers=offers)), []
    for waived, change in _WAIVED:
        if desk.stop.now:
            return empty(name, words, "not finished in time")
        variant = change(variant)
        if waived != "nothing":
            given_up.append(waived)
        try:
            found = solve_plan(
                variant.problem,
                gap_frac=max(_GAP_FRAC, desk.gap_frac),
                time_limit_s=min(desk.question_s * 2, desk.stop.left_s()),
            )
        except Infeasible:
            continue
        except NoPlan:
            return empty(name, words, "not finished in time")
        status = f"cheapest of its kind, gap {found.gap_frac:.2%}"
        if given_up:
            status += f", without {'; '.join(given_up)}"
        return judged(desk, name, words, status, counts_of(found))
    return empty(name, words, "no such plan exists, even without these rules: " + "; ".join(given_up))


def rule_of_thumb(problem: Problem, plan: Plan) -> dict[tuple[str, str], int]:
    """Orders by rule of thumb: hours x target of usable energy when new, cheapest deliverable offer first."""
    counts: dict[tuple[str, str], int] = {}
    drawn: dict[tuple[str, str], float] = {}
    held = 0.0
    for period in problem.periods:
        coming = [o for o in problem.offers if o.is_storage and supply.refusal(problem, o, period) is None]
        coming.sort(key=lambda o: bridge(problem, plan, o, period, o.tiers[0]).at_site_usd_per_kwh)
        for offer in coming:
            missing = THUMB_HOURS * period.target_mw - held
            if missing <= 0:
                break
            room = min(
                supply.factory_limit_mwh(problem, f, period) - drawn.get((f, period.label), 0.0)
                for f in {offer.cell_factory, offer.assembly_plant}
            )
            n = min(math.ceil(missing / offer.energy_usable_ac_mwh), int(room / supply.booked_mwh(offer)))
            if n > 0:
                counts[offer.offer, period.label] = n
                held += n * offer.energy_usable_ac_mwh
                for f in {offer.cell_factory, offer.assembly_plant}:
                    drawn[f, period.label] = drawn.get((f, period.label), 0.0) + n * supply.booked_mwh(offer)
    return counts


def counts_of(plan: Plan) -> dict[tuple[str, str], int]:
    """Containers by (offer, period)."""
    counts: dict[tuple[str, str], int] = {}
    for order in plan.orders:
        counts[order.offer, order.period] = counts.get((order.offer, order.period), 0) + order.containers
    return counts


def full_load_period(plan: Plan) -> str:
    """First period in which a plan energises its largest load: before, grid and permits hold every plan back alike."""
    most = max(plan.served_mw.values())
    return next(label for label, mw in plan.served_mw.items() if mw >= most - 1e-6 * max(1.0, most))


def judged(desk: Desk, name: str, words: str, status: str, counts: Counts) -> Baseline:
    """Complete orders to a plan, verify it against the case, and put it beside the optimum."""
    problem = desk.problem
    if not counts:
        return empty(name, words, "nothing is ordered")
    found = complete(problem, counts)
    verdict = verify(problem, found, monte_carlo=False)
    full = full_load_period(desk.plan)
    storage = [o for o in found.orders if problem.offers[desk.index[o.offer]].is_storage]
    return Baseline(
        baseline=name,
        words=words,
        status=status,
        keeps_every_rule=verdict.passed,
        cost_musd=found.cost_musd,
        extra_cost_musd=found.cost_musd - desk.plan.cost_musd,
        energy_mwh=sum(o.energy_mwh for o in storage),
        power_mw=sum(o.power_mw for o in storage),
        delay_musd=found.cost_breakdown_musd["delay"],
        full_load_period=full,
        served_at_full_load_mw=found.served_mw[full],
        nothing_lost_mw=nothing_lost_mw(problem, counts)[full],
        exposure_cell_frac=found.exposure_frac["cell"],
        exposure_value_frac=found.exposure_frac["value"],
        domestic_content_frac=found.domestic_content_frac["all"],
        breaks=tuple(broken(verdict.errors)),
        orders=tuple(
            AlternativeOrder(offer=o.offer, period=o.period, containers=o.containers, energy_mwh=o.energy_mwh)
            for o in found.orders
        ),
    )


def broken(errors: Iterable[str]) -> list[str]:
    """One sentence per kind of rule that is broken, with how many more there are of it."""
    by_kind: dict[str, list[str]] = {}
    for error in errors:
        by_kind.setdefault(error.partition(":")[0], []).append(error)
    return [lines[0] + (f" (and {len(lines) - 1} more)" if len(lines) > 1 else "") for lines in by_kind.values()]


def empty(name: str, words: str, status: str) -> Baseline:
    """A baseline without a plan."""
    return Baseline(
        baseline=name, words=words, status=status, keeps_every_rule=False, cost_musd=None, extra_cost_musd=None,
        energy_mwh=0.0, power_mw=0.0, delay_musd=0.0, served_at_full_load_mw=0.0, nothing_lost_mw=None,
        exposure_cell_frac=None,
        exposure_value_frac=None, domestic_content_frac=None, breaks=(), orders=(),
    )  # fmt: skip


def optimum(desk: Desk) -> Baseline:
    """The plan itself, in the same columns."""
    problem, plan = desk.problem, desk.plan
    full = full_load_period(plan)
    storage = [o for o in plan.orders if problem.offers[desk.index[o.offer]].is_storage]
    verdict = plan.verification
    return Baseline(
        baseline="optimum", words="the plan", status=f"gap {plan.gap_frac:.2%}",
        keeps_every_rule=verdict is not None and verdict.passed, cost_musd=plan.cost_musd, extra_cost_musd=0.0,
        energy_mwh=sum(o.energy_mwh for o in storage), power_mw=sum(o.power_mw for o in storage),
        delay_musd=plan.cost_breakdown_musd["delay"], full_load_period=full,
        served_at_full_load_mw=plan.served_mw[full], nothing_lost_mw=nothing_lost_mw(problem, counts_of(plan))[full],
        exposure_cell_frac=plan.exposure_frac["cell"], exposure_value_frac=plan.exposure_frac["value"],
        domestic_content_frac=plan.domestic_content_frac["all"],
        breaks=() if verdict is None else tuple(broken(verdict.errors)),
        orders=tuple(
            AlternativeOrder(offer=o.offer, period=o.period, containers=o.containers, energy_mwh=o.energy_mwh)
            for o in plan.orders
        ),
    )  # fmt: skip
