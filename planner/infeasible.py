"""Nothing fits: which business rules clash, and how far each must give.

The relaxed problem (containers continuous) is enough to show a clash. A deletion filter
over the rules finds a smallest set that cannot hold together; then each rule of that set
is eased alone, with the others kept, by the least share that makes the rest fit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import coo_array, csr_array, hstack

from planner.model.build import FAMILIES
from planner.model.coefficients import Coefficients
from planner.model.row import RULES
from planner.problem import Problem
from planner.search import Search
from planner.solve import Compiled, Infeasible, NoPlan, Stop

#: Refusals that are rules of the buyer or the market, with the words used in messages.
REFUSALS = {
    "ban": "purchase bans",
    "lead_time": "lead times against the decision date",
    "validity": "validity of the quotes",
    "site": "what the site can host",
    "strict": "fire rules from memory are refused (fire.strict)",
}
_EASE_LIMIT = 1000.0


@dataclass(frozen=True)
class Clash:
    """One rule of a clashing set: its words, and how far it must give (None: only as a whole)."""

    rule: str
    words: str
    must_give: str


def explain(problem: Problem, time_limit_s: float = 120.0) -> tuple[Clash, ...]:
    """A smallest set of business rules that clash, each with the least easing that resolves it.

    Parameters
    ----------
    problem
        A problem that ``planner.plan`` found infeasible.
    time_limit_s
        For all re-solves together; what is not finished by then is left in the set.

    Returns
    -------
    tuple of Clash
        Empty if the relaxed problem is feasible after all (only whole containers fail).
    """
    stop = Stop(time_limit_s)
    waived = frozenset(REFUSALS)
    if _feasible(problem, frozenset(RULES), frozenset(), stop):
        return ()
    kept_rules = set(RULES)
    kept_refusals = set(REFUSALS)
    for refusal in REFUSALS:  # a waived refusal adds columns; kept waived if the clash remains without it
        trial = kept_refusals - {refusal}
        if not _feasible(problem, frozenset(kept_rules), waived - trial, stop):
            kept_refusals = trial
    for rule in RULES:
        trial_rules = kept_rules - {rule}
        if not _feasible(problem, frozenset(trial_rules), waived - kept_refusals, stop):
            kept_rules = trial_rules
    easings = [_ease(problem, rule, kept_rules, waived - kept_refusals, stop) for rule in sorted(kept_rules)]
    return (*easings, *(Clash(r, REFUSALS[r], "only as a whole: allow what it refuses") for r in sorted(kept_refusals)))


def _search(problem: Problem, rules: frozenset[str], waived: frozenset[str], stop: Stop) -> Search:
    search = Search(Coefficients(problem, waived), stop, 1.0, problem.case.solver.seed, rules=rules)
    search.prepare()
    return search


def _feasible(problem: Problem, rules: frozenset[str], waived: frozenset[str], stop: Stop) -> bool:
    """Whether any relaxed plan exists under the given rules; False when time is up."""
    if stop.now:
        return False
    search = _search(problem, rules, waived, stop)
    search.compiled.cost = np.zeros_like(search.compiled.cost)
    try:
        return search.relaxed_plan().x is not None
    except (Infeasible, NoPlan):
        return False


def _least_easing(
    problem: Problem, rule: str, rules: frozenset[str], waived: frozenset[str], stop: Stop
) -> float | None:
    """Smallest value of one easing column on the rows of a rule that makes the rest fit."""
    search = _search(problem, rules, waived, stop)
    compiled = search.compiled
    families = {member.name for member in FAMILIES if member.rule == rule}
    mine = [i for i, name in enumerate(compiled.row_names) if name.split("[")[0] in families]
    if not mine:
        return None
    entries = [_easing_entry(compiled, rule, i) for i in mine]
    column = coo_array((entries, (mine, [0] * len(mine))), shape=(len(compiled.row_lower), 1))
    compiled.matrix = csr_array(hstack([compiled.matrix, column], format="csr"))
    compiled.cost = np.append(np.zeros_like(compiled.cost), 1.0)
    compiled.offset = 0.0
    compiled.lower = np.append(compiled.lower, 0.0)
    compiled.upper = np.append(compiled.upper, _EASE_LIMIT if rule not in _IN_MEGAWATTS else np.inf)
    compiled.integer = np.append(compiled.integer, False)
    try:
        attempt = search.relaxed_plan(len(compiled.cost) - 1 if rule == "reliability" else None)
    except (Infeasible, NoPlan):
        return None
    return float(attempt.x[-1]) if attempt.x is not None else None


_IN_MEGAWATTS = ("contracted_load", "energisation")


def _easing_entry(compiled: Compiled, rule: str, row: int) -> float:
    """Coefficient of the easing column in a row: one unit eases it by its own size, a megawatt, or a point."""
    if rule in ("reliability", "contracted_load"):
        return 1.0
    if rule in ("energisation", "exposure_limit"):
        return -1.0
    if rule == "site_area":  # usable areas are coefficients of the options, so a share of the largest
        begin, end = compiled.matrix.indptr[row], compiled.matrix.indptr[row + 1]
        return float(compiled.matrix.data[begin:end].min())
    return -float(compiled.row_upper[row])


_SENTENCES = {
    "reliability": "the requirement must fall by {share:.1%} in the worst contingency",
    "contracted_load": "{value:,.0f} MW less must be contracted in the tightest period",
    "supply": "factories must deliver {share:.1%} more to this buyer",
    "site_area": "the yards must be {share:.1%} larger",
    "fire": "the energy that fire areas may hold must rise by {share:.1%}",
    "generator_permit": "the generator permit must rise by {share:.1%}",
    "exposure_limit": "the exposure limits must rise by {value:.3f} (share of the required MWh)",
    "energisation": "{value:,.0f} MW more must be energisable in the tightest period",
}


def _ease(problem: Problem, rule: str, rules: set[str], waived: frozenset[str], stop: Stop) -> Clash:
    """How far one rule must give while the others stay."""
    words = RULES[rule]
    if rule in ("max_share", "min_suppliers"):
        return Clash(rule, words, "only as a whole: a wider share, or fewer suppliers")
    if rule in ("domestic_floor", "storage_mandate"):
        return Clash(rule, words, _ease_by_bisection(problem, rule, frozenset(rules), waived, stop))
    value = _least_easing(problem, rule, frozenset(rules), waived, stop) if not stop.now else None
    if value is None:
        return Clash(rule, words, "easing this rule alone does not help, or time ran out")
    return Clash(rule, words, _SENTENCES[rule].format(share=value, value=value))


def _ease_by_bisection(problem: Problem, rule: str, rules: frozenset[str], waived: frozenset[str], stop: Stop) -> str:
    """Largest floor or mandate that fits; these rules multiply variables, so no easing column is linear."""
    case = problem.case
    high = case.policy.domestic_floor_frac if rule == "domestic_floor" else case.reliability.storage_mandate_h

    def at(value: float) -> Problem:
        if rule == "domestic_floor":
            policy = case.policy.model_copy(update={"domestic_floor_frac": value})
            return replace(problem, case=case.model_copy(update={"policy": policy}))
        reliability = case.reliability.model_copy(update={"storage_mandate_h": value})
        return replace(problem, case=case.model_copy(update={"reliability": reliability}))

    if not _feasible(at(0.0), rules, waived, stop):
        return "easing this rule alone does not help, or time ran out"
    low, top = 0.0, high
    for _ in range(10):
        middle = (low + top) / 2
        low, top = (middle, top) if _feasible(at(middle), rules, waived, stop) else (low, middle)
    unit = "" if rule == "domestic_floor" else " h"
    return f"must come down from {high:g}{unit} to {low:.3g}{unit}"
