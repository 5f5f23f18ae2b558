"""``explain_plan``: every question about a plan, one after the other, each kept as soon as it is answered."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import zip_longest

import numpy as np

from planner.answers import Baseline, Explanation, ProblemKind, Range
from planner.checks import refuse_operations
from planner.explain import alternatives, baselines, ranges
from planner.explain.bridge import bridges
from planner.explain.desk import Desk, OutOfTime, kind_for
from planner.explain.offers import look_closer, price_offer, turn_offer
from planner.explain.orders import Counts
from planner.explain.rule_prices import Change, changes_of, eased_by_dropped, price_rule
from planner.problem import FloatArray, Problem
from planner.results import Plan
from planner.rulebook import Rule, rules_of
from planner.solve import Stop

BUDGET_S = 600.0
QUESTION_S = 30.0
#: While others wait, a question is cut shorter, but not below this.
_QUESTION_LEAST_S = 10.0
#: Containers bought in fractions differ from whole ones by more than a smaller gap would tell.
FRACTIONS_GAP_FRAC = 0.003
#: Part of the time left that a chapter may take before the next one has its turn; what it leaves is asked at the end.
_PART = {
    "compare": 1.0, "first": 1.0, "first rules": 0.3, "alternatives": 1.0, "first ranges": 1.0, "offers": 0.3,
    "rules": 0.35, "baselines": 0.35, "ranges": 0.3, "prices": 0.5, "closer": 1.0,
}  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """What is to be explained.

    Attributes
    ----------
    offers, rules
        Names; for one offer or rule that is named, lead time and allocation are looked at too.
    every_offer, every_rule, ranges, alternatives, baselines
        Whole chapters.
    compare
        Orders of the user's own plans, by name.
    """

    offers: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    every_offer: bool = False
    every_rule: bool = False
    ranges: bool = False
    alternatives: bool = False
    baselines: bool = False
    compare: Mapping[str, Counts] = field(default_factory=dict)

    @classmethod
    def everything(cls, compare: Mapping[str, Counts] | None = None) -> Asked:
        """Every chapter."""
        return cls((), (), True, True, True, True, True, compare or {})

    @property
    def nothing(self) -> bool:
        """Whether no chapter at all was named."""
        return self == Asked()


def explain_plan(
    problem: Problem,
    plan: Plan,
    asked: Asked | None = None,
    *,
    problem_kind: ProblemKind | None = None,
    gap_frac: float | None = None,
    budget_s: float = BUDGET_S,
    question_s: float = QUESTION_S,
    known: Explanation | None = None,
    keep: Callable[[Explanation], None] = lambda found: None,
    note: Callable[[str], None] = lambda text: None,
    stop: Stop | None = None,
) -> Explanation:
    """Explain a plan: why these offers, why not those, what each rule costs, what else is nearly as good.

    Parameters
    ----------
    problem, plan
        The planning question, and its answer from ``planner.plan``.
    asked
        What to explain; everything if None.
    problem_kind
        ``fractions`` (containers may be bought in fractions, yes-or-no decisions are whole) or ``whole``;
        by default whole for plans of few containers.
    gap_frac
        Gap to which every question is solved; if None that of the case, and at least 0.3 % in fractions.
    budget_s, question_s
        Seconds for everything, and for one question.
    known
        Answers of an earlier run, which are kept.
    keep
        Called with the explanation after every answer.
    note
        Called with the name of every question.
    stop
        To end the work from outside; its deadline replaces ``budget_s``.

    Returns
    -------
    Explanation
        ``unfinished`` names what the time did not allow.

    Raises
    ------
    planner.solve.Infeasible
        If the question has no plan at all, so that the plan cannot be its answer.
    ValueError
        If an offer or a rule is named that the case does not have.
    """
    refuse_operations(problem, "explanations")
    kind = problem_kind or kind_for(plan)
    gap = gap_frac
    if gap is None:
        gap = max(problem.case.solver.gap_frac, FRACTIONS_GAP_FRAC if kind == "fractions" else 0.0)
    found = _usable(known, plan, kind, gap)
    desk = Desk(problem, plan, stop or Stop(budget_s), kind, gap, question_s, note)
    board = _Board(desk, found, keep, time.monotonic())
    with desk.stop.catching_interrupt():
        board.work(Asked.everything() if asked is None else asked)
    return board.found


def _usable(known: Explanation | None, plan: Plan, kind: ProblemKind, gap: float) -> Explanation:
    """Earlier answers, if they are of the same plan, problem and gap; else an empty explanation."""
    fresh = Explanation(
        case=plan.case, input_sha256=plan.input_sha256, plan_cost_musd=plan.cost_musd, plan_bound_musd=plan.bound_musd,
        problem=kind, gap_frac=gap,
    )  # fmt: skip
    same = ("schema_version", "problem", "gap_frac")
    if known is not None and known.is_of(plan) and all(getattr(known, k) == getattr(fresh, k) for k in same):
        return known.model_copy(update={"unfinished": ()})
    return fresh


_Job = tuple[str, Callable[[], None]]


@dataclass
class _Board:
    """The explanation as it grows."""

    desk: Desk
    found: Explanation
    keep: Callable[[Explanation], None]
    began: float

    def work(self, asked: Asked) -> None:
        problem, plan = self.desk.problem, self.desk.plan
        self._put(bridges=bridges(problem, plan))
        offers = [o.offer for o in problem.offers] if asked.every_offer else list(asked.offers)
        known = {r.name: r for r in rules_of(problem)}
        rules = list(known) if asked.every_rule else list(asked.rules)
        unknown = [n for n in offers if n not in self.desk.index]
        unknown += [n for n in rules if n not in known]
        if unknown:
            raise ValueError(f"the case has no offer or rule of the name {', '.join(unknown)}")
        chapters = self._chapters(asked, offers, rules, known)
        later: list[_Job] = []
        longest = self.desk.question_s
        for chapter, listed in chapters.items():
            jobs = listed()
            own = Stop(_PART[chapter] * self.desk.stop.left_s())
            for i, (name, job) in enumerate(jobs):
                self.desk.question_s = min(longest, max(_QUESTION_LEAST_S, own.left_s() / (len(jobs) - i)))
                if own.now or not self._asked(job):
                    later.append((name, job))
        self.desk.question_s = longest
        self._put(unfinished=tuple(dict.fromkeys(name for name, job in later if not self._asked(job))))

    def _chapters(
        self, asked: Asked, offers: list[str], rules: list[str], known: Mapping[str, Rule]
    ) -> dict[str, Callable[[], list[_Job]]]:
        """What is asked, in chapters; each lists its questions when its turn comes, by what is known then.

        First brackets of all that has any come before one of them is narrowed.
        """
        groups = ranges.groups_of(self.desk) if asked.ranges else ()
        widths = sorted(ranges.WITHIN_FRAC, reverse=True)
        first: list[_Job] = [(f"offer {n}", partial(self._offer, n, False)) for n in offers]
        first += [(f"price of {n}", partial(self._price, n, False)) for n in offers]
        near = [
            [(f"range of {k} {n} within {w:.0%}", partial(self._range, k, n, m, w, False)) for k, n, m in groups]
            for w in widths
        ]
        return {
            "compare": lambda: [(f"compare {n}", partial(self._compare, n, c)) for n, c in asked.compare.items()],
            "first": lambda: first + near[0],
            "first rules": lambda: [
                (f"rule {n}, dropped", partial(self._rule, n, "dropped", False))
                for n in rules if "dropped" in changes_of(known[n])
            ],
            "alternatives": lambda: [("alternatives", self._alternatives)] if asked.alternatives else [],
            "first ranges": lambda: [job for jobs in near[1:] for job in jobs],
            "offers": lambda: [(f"offer {n}", partial(self._offer, n)) for n in self._in_order(offers)],
            "rules": lambda: [
                (f"rule {n}, {change}", partial(self._rule, n, change))
                for change in ("dropped", "eased")
                for n in rules
                if change in changes_of(known[n])
            ],
            "baselines": lambda: [
                (f"baseline {n}", partial(self._baseline, n)) for n in baselines.names() if asked.baselines
            ],
            "ranges": lambda: [
                (f"range of {k} {n} within {w:.0%}", partial(self._range, k, n, m, w))
                for w in widths for k, n, m in groups
            ],
            "prices": lambda: [(f"price of {n}", partial(self._price, n)) for n in self._in_order(offers)],
            "closer": lambda: [
                (f"lead time and allocation of {n}", partial(self._closer, n)) for n in self._in_order(offers)
            ],
        }  # fmt: skip

    def _in_order(self, offers: list[str]) -> list[str]:
        """What is bought and what is not in turn, as it matters to the reader.

        Of what is bought, what may be dearest to lose first; of what is not, what is nearest to being bought.
        """
        answers = {a.offer: a for a in self.found.offers}

        def rank(name: str) -> tuple[bool, float, float]:
            answer = answers.get(name)
            if answer is None or answer.extra_cost_upper_musd is None:
                return (True, 0.0, 0.0)
            near = min((abs(t.change_enters_frac) for t in answer.thresholds if t.change_enters_frac is not None),
                       default=np.inf)  # fmt: skip
            return (False, -answer.extra_cost_upper_musd, 0.0) if answer.bought else (
                False, near, answer.extra_cost_upper_musd)  # fmt: skip

        bought = {order.offer for order in self.desk.plan.orders}
        ranked = sorted(offers, key=rank)
        turns = zip_longest([n for n in ranked if n in bought], [n for n in ranked if n not in bought])
        return [name for pair in turns for name in pair if name is not None]

    def _asked(self, job: Callable[[], None]) -> bool:
        """Whether a question was answered before the time was up."""
        try:
            if self.desk.stop.now:
                raise OutOfTime
            job()
        except OutOfTime:
            return False
        return True

    def _put(self, **fields: object) -> None:
        """Add to the explanation and keep it."""
        spent = time.monotonic() - self.began
        self.began = time.monotonic()
        self.found = self.found.model_copy(update={**fields, "solve_s": self.found.solve_s + spent})
        self.keep(self.found)

    def _in_time(self) -> None:
        """Leave out what was cut short: it is asked again in the next run."""
        if self.desk.stop.now:
            raise OutOfTime

    def _best(self) -> dict[str, object]:
        best = self.desk.best
        return {"best_lower_musd": best.lower, "best_upper_musd": best.upper}

    def _offer(self, name: str, branch: bool = True) -> None:
        done = {a.offer: a for a in self.found.offers}
        if name in done and (done[name].settled or not branch):
            return
        made = turn_offer(self.desk, name, branch)
        if name in done:  # its prices stay
            kept = {k: getattr(done[name], k) for k in ("thresholds", "priced", "thorough")}
            made = made.model_copy(update=kept)
        done[name] = made
        order = self.desk.index
        self._put(offers=tuple(sorted(done.values(), key=lambda a: order[a.offer])), **self._best())
        if branch and not made.settled:  # what is known stands; with more time it is narrowed
            raise OutOfTime

    def _price(self, name: str, branch: bool = True) -> None:
        done = {a.offer: a for a in self.found.offers}
        if name not in done:
            raise OutOfTime
        if not done[name].priced and (branch or not done[name].thresholds):
            done[name] = price_offer(self.desk, done[name], branch)
            self._in_time()
            self._put(offers=tuple(done.values()))

    def _closer(self, name: str) -> None:
        done = {a.offer: a for a in self.found.offers}
        if name not in done or not done[name].priced:
            raise OutOfTime
        if not done[name].thorough:
            done[name] = look_closer(self.desk, done[name])
            self._in_time()
            self._put(offers=tuple(done.values()))

    def _rule(self, name: str, change: Change, branch: bool = True) -> None:
        done = {(r.rule, r.change): r for r in self.found.rules}
        before = done.get((name, change))
        if before is not None and (not branch or (before.settled and before.verdict != "open")):
            return
        rule = next(r for r in rules_of(self.desk.problem) if r.name == name)
        known = done.get((name, "dropped")) if change == "eased" else None
        told = None if known is None else eased_by_dropped(self.desk, rule, known)
        done[name, change] = told or price_rule(self.desk, rule, change, branch, before)
        self._in_time()
        self._put(rules=tuple(done.values()), **self._best())

    def _range(self, kind: str, name: str, members: frozenset[int], within_frac: float, branch: bool = True) -> None:
        key = (kind, name, within_frac)
        done: dict[tuple[str, str, float], Range] = {(r.group, r.name, r.within_frac): r for r in self.found.ranges}
        if key in done and (not branch or (done[key].settled and done[key].verdict != "open")):
            return
        done[key] = ranges.range_of(self.desk, kind, name, members, within_frac, branch)
        self._in_time()
        self._put(ranges=tuple(done.values()), **self._best())

    def _alternatives(self) -> None:
        if self.found.alternatives_text:
            return
        problem = self.desk.problem
        made = list(self.found.alternatives)
        known: list[FloatArray] = [alternatives.shares(problem, self.desk.plan)]
        known += [alternatives.shares_of(problem, a) for a in made]
        while len(made) < alternatives.MOST_ALTERNATIVES:
            if self.desk.stop.now:
                raise OutOfTime
            found = alternatives.next_alternative(self.desk, known, len(made) + 1)
            if found is None:
                break
            made.append(found[0])
            known.append(found[1])
            self._put(alternatives=tuple(made), **self._best())
        if self.desk.stop.now and len(made) < alternatives.MOST_ALTERNATIVES:
            raise OutOfTime
        self._put(alternatives_text=alternatives.summary_text(len(made)))

    def _baseline(self, name: str) -> None:
        done = {b.baseline for b in self.found.baselines if b.status != "not finished in time"}
        if name not in done:
            self._add_baseline(baselines.baseline(self.desk, name))
            if self.found.baselines[-1].status == "not finished in time":
                raise OutOfTime

    def _compare(self, name: str, counts: Counts) -> None:
        made = baselines.judged(self.desk, f"compare: {name}", f"the user's own plan {name}", "as given", counts)
        self._add_baseline(made)

    def _add_baseline(self, made: Baseline) -> None:
        kept = [b for b in self.found.baselines if b.baseline not in ("optimum", made.baseline)]
        self._put(baselines=(baselines.optimum(self.desk), *kept, made))
