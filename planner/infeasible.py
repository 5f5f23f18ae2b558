"""Nothing fits: which business rules clash, and the cheapest ways out in the buyer's units.

The rules are those of ``planner.rulebook``; giving way is a change of the question itself, so that every
statement can be checked by planning the changed question. A deletion filter finds a smallest set of rules
that cannot hold together, whatever the others do; a second set is looked for without each member of the
first. A way out eases one rule while all others stay, by the least amount; or two, where neither alone is enough.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from planner.outsupply import Shortfall, missing_deliveries
from planner.problem import Problem
from planner.rulebook import Rule, Variant, rules_of
from planner.solve import Stop
from planner.workbench import Curves, Workbench

#: An easing is found to this share of itself, then stated on the safe side.
_CLOSE_FRAC = 5e-4
_MOST_HALVINGS = 40
_MOST_SETS = 3
_COST_GAP_FRAC = 0.02
_COST_S = 15.0
#: Cases whose load takes at most about this many containers are judged in whole ones.
_SMALL_CONTAINERS = 20


@dataclass(frozen=True)
class Clash:
    """One rule of a clashing set: its name, its words, and how far it must give alone (empty: it cannot)."""

    rule: str
    words: str
    must_give: str


@dataclass(frozen=True)
class WayOut:
    """A change that makes a plan possible while every other rule stays.

    Attributes
    ----------
    text
        The change in the buyer's units.
    rules
        Names of the rules that give.
    amounts
        By how much each gives, in its unit; the whole rule where it only holds or does not.
    units
        Unit of each amount.
    cost_lower_musd, cost_upper_musd
        Bracket of the least cost of the changed question; None where the time was too short.
    """

    text: str
    rules: tuple[str, ...]
    amounts: tuple[float, ...]
    units: tuple[str, ...]
    cost_lower_musd: float | None
    cost_upper_musd: float | None


@dataclass(frozen=True)
class Diagnosis:
    """Why nothing fits.

    Attributes
    ----------
    sets
        Smallest sets of rules that clash; empty if containers in fractions would fit.
    ways_out
        Cheapest first.
    whole
        Whether whole containers were asked for (small cases) or containers in fractions.
    finished
        Whether every set is proved smallest and every way out least; False when time ran out.
    """

    sets: tuple[tuple[Clash, ...], ...]
    ways_out: tuple[WayOut, ...]
    whole: bool
    finished: bool


def diagnose(problem: Problem, time_limit_s: float = 120.0) -> Diagnosis:
    """Smallest sets of rules that clash, and the cheapest ways out.

    Parameters
    ----------
    problem
        A problem that ``planner.plan`` found infeasible.
    time_limit_s
        For all re-solves together.
    """
    return _Doctor(problem, Stop(time_limit_s)).diagnosis()


def explain(problem: Problem, time_limit_s: float = 120.0) -> tuple[Clash, ...]:
    """Return the first smallest set of rules that clash; see ``diagnose``."""
    found = diagnose(problem, time_limit_s).sets
    return found[0] if found else ()


class _Doctor:
    """Feasibility tests of changed questions, each remembered."""

    def __init__(self, problem: Problem, stop: Stop) -> None:
        self.problem, self.stop = problem, stop
        self.rules = rules_of(problem)
        self.start = Variant(problem)
        self.finished = True
        self.whole = False
        self.known: set[tuple[str, ...]] = set()
        self.curves: Curves = {}

    def diagnosis(self) -> Diagnosis:
        self.whole = self._small()
        if self._holds(self.start) is not False:
            return Diagnosis((), (), self.whole, self.finished)
        sets = self._sets()
        ways = self._ways_out(sets)
        alone = {way.rules[0]: way.text for way in ways if len(way.rules) == 1}
        told = tuple(tuple(Clash(r.name, r.words, alone.get(r.name, "")) for r in rules) for rules in sets)
        return Diagnosis(told, tuple(ways), self.whole, self.finished)

    def _small(self) -> bool:
        """Whether few containers are at stake: then they are whole in every test."""
        sizes = [o.energy_usable_ac_mwh for o in self.problem.offers if o.is_storage]
        usual = float(np.median(sizes)) if sizes else 1.0
        hours = max(step.until_h for step in self.problem.case.reliability.service)
        return self.problem.final_target_mw * hours / usual <= _SMALL_CONTAINERS

    def _holds(self, variant: Variant) -> bool | None:
        """Whether a plan exists; None when time is up."""
        if self.stop.now:
            self.finished = False
            return None
        bench = self._bench(variant)
        found = bench.feasible()
        self.known |= bench.outage_names
        return found

    def _bench(self, variant: Variant) -> Workbench:
        return Workbench(variant, self.stop, self.whole, _COST_GAP_FRAC, frozenset(self.known), self.curves)

    # -- sets -----------------------------------------------------------------------------

    def _sets(self) -> list[tuple[Rule, ...]]:
        """A smallest set, then others that clash without a member of one found before."""
        found = [self._smallest(())]
        for rule in found[0]:
            if len(found) == _MOST_SETS:
                break
            if self._holds(rule.drop(self.start)) is False:
                other = self._smallest((rule,))
                if other and all({r.name for r in other} != {r.name for r in known} for known in found):
                    found.append(other)
        return found

    def _smallest(self, without: Sequence[Rule]) -> tuple[Rule, ...]:
        """Deletion filter: a rule stays in the set if a plan exists once it is dropped too."""
        variant = self.start
        for rule in without:
            variant = rule.drop(variant)
        kept = []
        for rule in self.rules:
            if rule in without:
                continue
            trial = rule.drop(variant)
            if self._holds(trial) is False:
                variant = trial
            else:
                kept.append(rule)
        return tuple(kept)

    # -- ways out -------------------------------------------------------------------------

    def _ways_out(self, sets: Sequence[tuple[Rule, ...]]) -> list[WayOut]:
        """Easings of one rule of the first set; of two where one is not enough; and deliveries that are missing."""
        ways = [way for rule in sets[0] if (way := self._alone(rule, self.start)) is not None]
        ways += self._supply_way(sets)
        alone = {way.rules[0] for way in ways}
        pairs = [(a, b) for rules in sets[1:] for a in sets[0] for b in rules if a is not b]
        for first, second in {frozenset({a.name, b.name}): (a, b) for a, b in pairs}.values():
            if not alone & {first.name, second.name} and not self.stop.now:
                way = self._together(first, second)
                ways += [way] if way is not None else []
        return sorted(ways, key=lambda w: (w.cost_upper_musd is None, w.cost_upper_musd))

    def _alone(self, rule: Rule, start: Variant) -> WayOut | None:
        """Least easing of one rule on top of a variant; None if even without the rule there is no plan."""
        amount = self._least(rule, start)
        if amount is None or _gives_all(rule, amount):
            return None
        variant = self._applied(rule, start, amount)
        return self._priced(_sentence(rule, amount), (rule,), (amount,), variant)

    def _together(self, first: Rule, second: Rule) -> WayOut | None:
        """Least easing of a first rule with the second dropped, then the least of the second."""
        one = self._least(first, second.drop(self.start))
        if one is None:
            return None
        start = self._applied(first, self.start, one)
        two = self._least(second, start)
        if two is None or _gives_all(first, one) or _gives_all(second, two):
            return None
        text = f"{_sentence(first, one)}, and {_sentence(second, two)}"
        return self._priced(text, (first, second), (one, two), self._applied(second, start, two))

    @staticmethod
    def _applied(rule: Rule, start: Variant, amount: float) -> Variant:
        return rule.drop(start) if rule.ease is None or amount >= rule.most else rule.ease(start, amount)

    def _least(self, rule: Rule, start: Variant) -> float | None:
        """Least amount, rounded up to what is said, that is proved enough; None if nothing is."""
        if not self._holds(rule.drop(start)):
            return None
        if rule.ease is None:
            return rule.most
        low, high = 0.0, rule.most
        step = _step(rule)
        probe = max(step, 1e-3 * rule.most)
        while probe < high and not self._holds(rule.ease(start, probe)):  # most easings are small ones
            low, probe = probe, 4.0 * probe
            if self.stop.now:
                return high
        high = min(high, probe)
        for _ in range(_MOST_HALVINGS):
            if high - low <= max(step, _CLOSE_FRAC * high):
                break
            middle = _rounded(rule, (low + high) / 2)
            if middle >= high:
                break
            verdict = self._holds(rule.ease(start, middle))
            if verdict is None:
                break
            low, high = (low, middle) if verdict else (middle, high)
        return high

    def _supply_way(self, sets: Sequence[tuple[Rule, ...]]) -> list[WayOut]:
        """What more would have to be delivered, and when, if dates or factories are part of the clash."""
        if not any(r.name in ("supply", "lead_time") for r in sets[0]):
            return []
        missing = missing_deliveries(self.problem, self.stop)
        if not missing:
            return []
        text = "delivery of " + _listed(missing)
        names = tuple(f"{m.chemistry}, {m.country}, {m.period}" for m in missing)
        units = ("MWh nameplate",) * len(missing)
        return [WayOut(text, names, tuple(m.energy_mwh for m in missing), units, None, None)]

    def _priced(self, text: str, rules: tuple[Rule, ...], amounts: tuple[float, ...], variant: Variant) -> WayOut:
        lower = upper = None
        if not self.stop.now:
            found = self._bench(variant).solve(limit_s=_COST_S)
            lower = float(found.lower) if np.isfinite(found.lower) else None
            upper = float(found.upper) if np.isfinite(found.upper) else None
        names, units = tuple(r.name for r in rules), tuple(r.unit for r in rules)
        return WayOut(text, names, amounts, units, lower, upper)


def _gives_all(rule: Rule, amount: float) -> bool:
    """Whether no outage at all is left to plan for: that is no way out."""
    return rule.name == "reliability.service" and amount >= rule.most


def _step(rule: Rule) -> float:
    """Smallest difference that is worth telling, in the rule's unit."""
    return {"months": 1.0, "h": 0.01, "MW": 0.1, "point": 0.01, "%": 0.01}.get(rule.unit, 0.01)


def _rounded(rule: Rule, amount: float) -> float:
    """Round an amount up to what a sentence says."""
    step = _step(rule)
    return min(rule.most, math.ceil(round(amount / step, 6)) * step)


def _sentence(rule: Rule, amount: float) -> str:
    """Put a way out into words."""
    if rule.ease is None or amount >= rule.most:
        return f"give up: {rule.words}"
    grows = rule.name == "site.generator_mw_max"
    rest = (rule.now or 0.0) + (amount if grows else -amount)
    return rule.result.format(amount=amount, rest=rest)


def _listed(missing: Sequence[Shortfall]) -> str:
    return " and ".join(f"{m.energy_mwh:,.1f} MWh more {m.chemistry} from {m.country} by {m.date}" for m in missing)
