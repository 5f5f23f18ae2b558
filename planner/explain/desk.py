"""Where the answers are worked out: one workbench for the plan's own question, and fresh ones for changed questions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from planner.answers import ProblemKind
from planner.model.coefficients import Coefficients
from planner.problem import FloatArray, Problem
from planner.results import Plan
from planner.rulebook import Variant
from planner.search import Search
from planner.solve import BOUND_SLACK_MUSD, Infeasible, Stop
from planner.workbench import Bracket, Curves, Workbench

#: An extra cost is known well enough when its bracket is no wider than this share of it.
CLOSE_FRAC = 0.1
#: Plans of fewer containers are explained in whole ones: there a container more or less is a large step.
SMALL_PLAN_CONTAINERS = 60


@dataclass
class Desk:
    """A plan and its question, with what is needed to answer what-ifs about it.

    Attributes
    ----------
    problem, plan
        The question and the answer that is explained.
    stop
        The time budget; Ctrl-C sets it too.
    kind
        Whether numbers are from the problem in fractions of containers or in whole ones.
    gap_frac
        Gap to which every question is solved.
    question_s
        Seconds that one question may take.
    turned
        Cheapest plans with (True) or without (False) a group of offers, once solved.
    """

    problem: Problem
    plan: Plan
    stop: Stop
    kind: ProblemKind
    gap_frac: float
    question_s: float
    note: Callable[[str], None] = lambda text: None
    index: dict[str, int] = field(init=False)
    curves: Curves = field(default_factory=dict, init=False)
    turned: dict[tuple[frozenset[int], bool], Bracket] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.index = {o.offer: i for i, o in enumerate(self.problem.offers)}

    @cached_property
    def bench(self) -> Workbench:
        """The plan's own question, compiled once."""
        return Workbench(Variant(self.problem), self.stop, self.kind == "whole", self.gap_frac, curves=self.curves)

    @cached_property
    def best(self) -> Bracket:
        """The optimum of the plan's own question, in the problem that numbers are from.

        Raises
        ------
        Infeasible
            If there is no plan, so that the plan cannot be of this question.
        OutOfTime
            If no plan was found in time.
        """
        self.note("the plan's own question")
        found = self.bench.solve(limit_s=4 * self.question_s)
        if found.impossible:
            raise Infeasible
        if found.x is None:
            raise OutOfTime
        return found

    @cached_property
    def whole_search(self) -> Search:
        """Search for whole containers, with the outage rows that are known."""
        made = Search(Coefficients(self.problem), self.stop, self.gap_frac, self.problem.case.solver.seed)
        made.prepare(tuple(self.bench.outages.rows))
        return made

    def turn(self, group: frozenset[int], inside: bool, branch: bool, start: FloatArray | None = None) -> Bracket:
        """Cheapest plan with (``inside``) something of a group, or without all of it; better at every call.

        Parameters
        ----------
        group
            Indices of offers.
        inside
            Whether something of the group is bought, or nothing.
        branch
            Whether to search until the answer is known well enough, or to be content with a first bracket.
        start
            A plan whose decisions may serve.
        """
        known = self.turned.get((group, inside))
        if known is not None and (not branch or known.impossible or self.settled(known)):
            return known
        change = self.bench.buy_of(group) if inside else self.bench.force_out(group)
        if known is not None and known.x is not None:
            start = known.x
        found = self.bench.solve(
            change, start=start, limit_s=self.question_s, least=self.best.lower, branch=branch,
            enough=lambda upper, lower: self.settled(Bracket(lower, upper, None)),
        )  # fmt: skip
        self.turned[group, inside] = found if known is None or found.impossible else found.joined(known)
        return self.turned[group, inside]

    def settled(self, turned: Bracket) -> bool:
        """Whether what a plan costs more than the best one is known to the gap, or closely beside its size."""
        if not np.isfinite(turned.upper):
            return turned.impossible
        more = turned.upper - self.best.upper
        close = CLOSE_FRAC * max(0.0, more) if self.kind == "fractions" else 0.0
        wide = max(self.gap_frac * abs(turned.upper), close) + 3 * BOUND_SLACK_MUSD
        return bool(turned.upper - turned.lower <= wide)

    def fresh(self, variant: Variant) -> Workbench:
        """Workbench of a changed question, with the outage rows that are known already."""
        known = self.bench.outage_names
        return Workbench(variant, self.stop, self.kind == "whole", self.gap_frac, known, self.curves)

    def solve_changed(self, variant: Variant, branch: bool = True) -> Bracket:
        """Optimum of a changed question; without ``branch`` a first bracket of it."""
        bench = self.fresh(variant)
        same = len(bench.compiled.cost) == len(self.bench.compiled.cost)
        return bench.solve(start=self.best.x if same else None, limit_s=self.question_s, branch=branch)


class OutOfTime(Exception):
    """The time budget ended before this question was answered."""


def kind_for(plan: Plan) -> ProblemKind:
    """Which problem suits a plan: whole containers while they are few."""
    return "whole" if sum(order.containers for order in plan.orders) <= SMALL_PLAN_CONTAINERS else "fractions"
