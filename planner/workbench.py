"""One compiled problem, many questions: bounds, costs and rows are changed on the arrays.

A question is answered as a bracket: the cost of a plan that satisfies every row, and a bound below which
no plan lies. Outage rows found for one question stay for the next.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array, hstack, vstack

from planner.lazy import Prepared, solved_with_every_row, without_site
from planner.model.coefficients import Coefficients
from planner.model.reliability import RowKey, row_name, seed_rows
from planner.outages import Requirement
from planner.problem import FloatArray, Problem
from planner.rulebook import Variant
from planner.solve import BOUND_SLACK_MUSD, FEASIBILITY, INFINITY, Attempt, Compiled, Run, SolverFault, Stop

#: Seconds that a run with every yes-or-no decision fixed may take.
_ATTAIN_S = 20.0
#: Share of a gap asked that a mixed-integer run may leave open; the rest is for what is repaired afterwards.
_RUN_SHARE = 0.6
_MOST_ROUNDS = 40
#: Gap at which a search for any plan at all may stop; the cost guides it to the rows that matter.
_ANY_PLAN_GAP_FRAC = 0.9


@dataclass(frozen=True)
class Change:
    """What a question changes on the arrays: column bounds, the objective, and rows that are added."""

    lower: Mapping[int, float] = field(default_factory=dict)
    upper: Mapping[int, float] = field(default_factory=dict)
    cost: FloatArray | None = None
    offset: float = 0.0
    rows: tuple[tuple[FloatArray, float, float], ...] = ()

    def on(self, base: Compiled) -> Compiled:
        """Return the base problem with this change; the base is left as it is."""
        lower, upper = base.lower.copy(), base.upper.copy()
        for j, value in self.lower.items():
            lower[j] = value
        for j, value in self.upper.items():
            upper[j] = value
        changed = replace(base, lower=lower, upper=upper, row_names=list(base.row_names))
        if self.cost is not None:
            changed.cost, changed.offset = self.cost, self.offset
        if self.rows:
            matrix = csr_array(np.array([row for row, _, _ in self.rows]))
            changed.matrix = csr_array(vstack([base.matrix, matrix], format="csr"))
            changed.row_lower = np.append(base.row_lower, [low for _, low, _ in self.rows])
            changed.row_upper = np.append(base.row_upper, [high for _, _, high in self.rows])
            changed.row_names += ["question"] * len(self.rows)
        return changed

    def and_also(self, other: Change) -> Change:
        """Both changes; the other one's objective and bounds win."""
        cost, offset = (self.cost, self.offset) if other.cost is None else (other.cost, other.offset)
        lower, upper = {**self.lower, **other.lower}, {**self.upper, **other.upper}
        return Change(lower, upper, cost, offset, (*self.rows, *other.rows))


NOTHING = Change()
#: Told (cost of the best plan, bound): whether a question is decided.
Enough = Callable[[float, float], bool]


def never_enough(upper: float, lower: float) -> bool:
    """Only the gap ends the search."""
    return False


Curves = dict[object, Requirement]


@dataclass(frozen=True)
class Bracket:
    """Where the optimum of a question lies, in the unit of its objective (million USD for costs).

    ``upper`` belongs to the plan ``x``; both are infinite when no plan exists, and ``x`` is None when none
    was found.
    """

    lower: float
    upper: float
    x: FloatArray | None

    @property
    def impossible(self) -> bool:
        """Whether it is proved that no plan exists."""
        return self.lower == np.inf

    def joined(self, other: Bracket) -> Bracket:
        """What two brackets of the same question tell together."""
        best = self if self.upper <= other.upper else other
        return Bracket(max(self.lower, other.lower), best.upper, best.x)


class Workbench:
    """A problem, compiled once, on which questions are solved.

    Parameters
    ----------
    variant
        The question, perhaps with rules left out or refusals waived.
    stop
        When to stop.
    whole
        Whether containers and placements are whole (else they may be bought in fractions).
    gap_frac
        Gap to which questions are solved unless they say otherwise.
    known_rows
        Outage rows to start with, by name as ``outage_names`` gives them.
    curves
        Requirement curves that other workbenches of like questions have computed; this one is added.
    """

    def __init__(
        self,
        variant: Variant,
        stop: Stop,
        whole: bool,
        gap_frac: float,
        known_rows: frozenset[tuple[str, ...]] = frozenset(),
        curves: Curves | None = None,
    ) -> None:
        self.variant, self.stop, self.whole, self.gap_frac = variant, stop, whole, gap_frac
        self.problem: Problem = variant.problem
        self.seed = self.problem.case.solver.seed
        self.c = Coefficients(self.problem, variant.waived)
        self._borrow({} if curves is None else curves)
        rows = self._first_rows(known_rows) if "reliability" in variant.rules else []
        made = Prepared.of(self.c, rows, variant.rules)
        self.model, self.compiled, self.columns, self.outages = made.model, made.compiled, made.columns, made.outages
        self.site_binds = whole
        self.solves = 0
        self._columns_split()

    def _borrow(self, curves: Curves) -> None:
        """Take the requirement curve of a question with the same load, outages and start classes, or lend this one."""
        case, c = self.problem.case, self.c
        classes = frozenset(c.delays[o].first_step for o in c.offers_used)
        targets = tuple(p.target_mw for p in self.problem.periods)
        load = (id(self.problem.load_pu), id(self.problem.pv_cf), self.problem.dt_h, case.pv.mw, case.pv.derate_frac)
        key = (classes, targets, load, case.reliability.service, case.reliability.length_known)
        if key not in curves:
            curves[key] = c.requirement
        vars(c)["requirement"] = curves[key]

    def _first_rows(self, known: frozenset[tuple[str, ...]]) -> list[RowKey]:
        """Seed rows, and those of an earlier problem that this one has under the same name."""
        rows = seed_rows(self.c)
        if known and self.problem.case.operating is None:
            place = {contingency.name: q for q, contingency in enumerate(self.c.contingencies)}
            period = {p.label: i for i, p in enumerate(self.problem.periods)}
            count = {"+".join(str(k) for k in n): i for i, n in enumerate(self.c.requirement.counts)}
            rows += [
                RowKey(place[a], period[b], count[k])
                for a, b, k in sorted(known)
                if a in place and b in period and k in count and self.c.requirement.mwh[period[b], count[k]] > 0
            ]
        return [k for k in dict.fromkeys(rows) if self.c.holds[k.contingency, k.period]]

    @property
    def outage_names(self) -> frozenset[tuple[str, ...]]:
        """Names of the outage rows found so far, for the next workbench."""
        return frozenset(row_name(self.c, k) for k in self.outages.rows if not k.bridge)

    def _columns_split(self) -> None:
        """Which columns are whole in the runs, which are yes-or-no decisions of the purchase, of the site."""
        integer = self.compiled.integer
        site_columns = self.columns.site[self.columns.site >= 0]
        placed = self.columns.placed[self.columns.placed >= 0]
        bought = self.columns.containers[self.columns.containers >= 0]
        self.purchase: NDArray[np.bool_] = integer.copy()
        self.purchase[bought] = False
        self.purchase[site_columns] = False
        self.integer: NDArray[np.bool_] = integer.copy()
        if self.whole:
            self.integer[placed] = True
        else:
            self.integer[bought] = False

    # -- columns --------------------------------------------------------------------------

    def add_columns(self, block: csr_array, at_most: list[int]) -> None:
        """Append free columns from 0 up, each at most another column; for questions that need more than rows."""
        compiled, count = self.compiled, block.shape[1]
        width = len(compiled.cost)
        compiled.matrix = csr_array(hstack([compiled.matrix, block], format="csr"))
        compiled.cost = np.append(compiled.cost, np.zeros(count))
        compiled.lower = np.append(compiled.lower, np.zeros(count))
        compiled.upper = np.append(compiled.upper, np.full(count, INFINITY))
        for name in ("integer", "purchase"):
            setattr(self, name, np.append(getattr(self, name), np.zeros(count, dtype=bool)))
        compiled.integer = np.append(compiled.integer, np.zeros(count, dtype=bool))
        index = np.arange(count)
        rows, columns = np.concatenate([index, index]), np.concatenate([np.array(at_most, dtype=int), width + index])
        signs = np.repeat([1.0, -1.0], count)
        limits = csr_array(coo_array((signs, (rows, columns)), shape=(count, width + count)))
        compiled.add_rows(limits, np.zeros(count), np.full(count, np.inf), ["question"] * count)

    def pair_columns(self, o: int) -> list[tuple[int, int]]:
        """(period index, column of ``containers``) of an offer."""
        pairs = zip(self.c.pairs, self.columns.containers, strict=True)
        return [(p, int(j)) for (o2, p), j in pairs if o2 == o and j >= 0]

    def energy_row(self, offers: frozenset[int]) -> FloatArray:
        """Usable AC MWh of the storage of some offers, as a row over the columns."""
        row = np.zeros(len(self.compiled.cost))
        for o in offers:
            if self.problem.offers[o].is_storage:
                for _, j in self.pair_columns(o):
                    row[j] = self.problem.offers[o].energy_usable_ac_mwh
        return row

    def force_in(self, o: int) -> Change:
        """At least the minimum order of an offer is bought."""
        return self.buy_of(frozenset([o]))

    def buy_of(self, offers: frozenset[int]) -> Change:
        """At least the minimum order of one of some offers is bought."""
        row = np.zeros(len(self.compiled.cost))
        row[[j for o in offers for j in self.columns.tiers.get(o, []) if j >= 0]] = 1.0
        return Change(rows=((row, 1.0, INFINITY),))

    def force_out(self, offers: frozenset[int]) -> Change:
        """Nothing of some offers is bought."""
        tiers = [j for o in offers for j in self.columns.tiers.get(o, []) if j >= 0]
        return Change(upper=dict.fromkeys(tiers, 0.0))

    def uses(self, x: FloatArray, o: int) -> bool:
        """Whether a plan buys anything of an offer."""
        return any(x[j] > 0.5 for j in self.columns.tiers.get(o, []))

    # -- solving --------------------------------------------------------------------------

    def relaxed(self, change: Change) -> float:
        """Bound of a question from its relaxation alone; inf if that is infeasible."""
        found = self._lazily(change, np.zeros_like(self.integer), self.site_binds, self._own_stop(np.inf))
        return np.inf if found.infeasible else found.bound

    def attained(self, change: Change, start: FloatArray) -> Bracket:
        """Best plan with the yes-or-no decisions of another one; no bound comes with it."""
        found = self._attain(change, start, self._own_stop(np.inf))
        return Bracket(-np.inf, found.objective, found.x)

    def solve(
        self,
        change: Change = NOTHING,
        *,
        gap_frac: float | None = None,
        abs_gap: float = 0.0,
        start: FloatArray | None = None,
        limit_s: float = np.inf,
        least: float = -np.inf,
        enough: Enough = never_enough,
        branch: bool = True,
        plan_wanted: bool = False,
    ) -> Bracket:
        """Solve a question to a gap, or to what the time allows.

        Parameters
        ----------
        change
            What the question changes.
        gap_frac, abs_gap
            Gap asked, as a share of the objective (the workbench's if None) and in its unit.
        start
            A plan of a like question.
        limit_s
            Seconds that the question may take.
        least
            A bound that is known to hold: that of a question of which this one is a part.
        enough
            Told (upper, lower): whether the answer is decided, however wide the gap still is.
        branch
            If not, only what costs one relaxation and one run with the decisions of the start: a first bracket.
        plan_wanted
            Whether a good plan matters more than a close bound.
        """
        gap = self.gap_frac if gap_frac is None else gap_frac
        stop = self._own_stop(limit_s)
        best = Attempt(None, np.inf, -np.inf, False)
        relaxed = self._lazily(change, np.zeros_like(self.integer), self.site_binds, stop)
        if relaxed.infeasible:
            return Bracket(np.inf, np.inf, None)
        lower = max(least, relaxed.bound)
        if start is not None and len(start) == len(self.compiled.cost):
            best = self._attain(change, start, stop, abs_gap)
        site_in, started = self.site_binds, best.x is not None
        for _ in range(_MOST_ROUNDS if branch else 0):
            if stop.now or self._closed(best, lower, gap, abs_gap) or enough(best.objective, lower):
                break
            known = len(self.outages.rows)
            run = self._run(change, self.integer, site_in, stop)
            if started and not self.whole and not plan_wanted:
                run.seldom_guess()
            run.enough = enough
            attempt = run.solve(gap * _RUN_SHARE, start=best.x, abs_gap=abs_gap * _RUN_SHARE)
            self.solves += 1
            if attempt.infeasible:
                if best.x is not None:
                    raise SolverFault("HiGHS calls a question infeasible, yet a plan satisfies every row")
                return Bracket(np.inf, np.inf, None)
            lower = max(lower, attempt.bound)
            found = self._attain(change, attempt.x, stop, abs_gap)
            best = found if found.objective < best.objective else best
            done = self._closed(best, lower, gap, abs_gap) or enough(best.objective, lower)
            if len(self.outages.rows) == known and not done:
                if site_in:  # nothing more to learn: the gap that remains is stated
                    break
                site_in = True
        if lower > best.objective + FEASIBILITY * (1 + abs(best.objective)) + 3 * BOUND_SLACK_MUSD:
            raise SolverFault("a dual bound lies above a plan that satisfies every row")
        return Bracket(min(lower, best.objective), best.objective, best.x)

    def feasible(self, limit_s: float = np.inf) -> bool | None:
        """Whether any plan keeps every rule; None when time ran out first."""
        found = self.solve(gap_frac=_ANY_PLAN_GAP_FRAC, limit_s=limit_s)
        return False if found.impossible else (True if found.x is not None else None)

    def _own_stop(self, limit_s: float) -> Stop:
        """Stop at the question's limit or the workbench's; Ctrl-C reaches both."""
        outer = self.stop

        class Own(Stop):
            @property
            def now(self) -> bool:
                self.interrupted = outer.interrupted
                return self.interrupted or self.left_s() <= 0.0

        own = Own(0.0)
        own.deadline = min(outer.deadline, time.monotonic() + limit_s)
        return own

    @staticmethod
    def _closed(best: Attempt, lower: float, gap: float, abs_gap: float) -> bool:
        if best.x is None:
            return False
        return best.objective - lower <= gap * abs(best.objective) + abs_gap + 3 * BOUND_SLACK_MUSD

    def _run(self, change: Change, integer: NDArray[np.bool_], site_in: bool, stop: Stop) -> Run:
        problem = change.on(self.compiled)
        if not site_in:
            problem = without_site(problem)
        run = Run(problem, stop, self.seed)
        run.load(integer)
        return run

    def _lazily(self, change: Change, integer: NDArray[np.bool_], site_in: bool, stop: Stop) -> Attempt:
        """Solve and add violated outage rows until none is left."""
        return solved_with_every_row(self._run(change, integer, site_in, stop), self.outages, 0.0)

    def _attain(self, change: Change, x: FloatArray | None, stop: Stop, abs_gap: float = 0.0) -> Attempt:
        """Best plan, with every row, for the yes-or-no decisions of ``x``; in whole containers when asked."""
        none = Attempt(None, np.inf, -np.inf, False)
        if x is None:
            return none
        fixed = self.purchase
        whole = np.round(x)
        decisions = Change(
            dict(zip(np.flatnonzero(fixed).tolist(), whole[fixed].tolist(), strict=True)),
            dict(zip(np.flatnonzero(fixed).tolist(), whole[fixed].tolist(), strict=True)),
        )
        if any(value > change.upper.get(j, INFINITY) for j, value in decisions.lower.items()):
            return none
        both = change.and_also(decisions)
        limit = min(_ATTAIN_S, max(1.0, stop.left_s()))
        own = self._own_stop(limit)
        for _ in range(_MOST_ROUNDS):
            attempt = self._run(both, self.integer, True, own).solve(
                self.gap_frac * 0.1, start=x, abs_gap=abs_gap * 0.1
            )
            if attempt.x is None:
                return none
            polished = self._polish(change, attempt.x, own)
            if polished.x is not None and self.outages.add_violated(polished.x) is None:
                return polished
            if polished.x is None and self.outages.add_violated(attempt.x) is None:
                return none
        return none

    def _polish(self, change: Change, x: FloatArray, stop: Stop) -> Attempt:
        """Whole numbers rounded and fixed, the rest solved to full accuracy and checked in numpy."""
        at = np.flatnonzero(self.integer).tolist()
        values = np.round(x)[self.integer].tolist()
        fixed = change.and_also(Change(dict(zip(at, values, strict=True)), dict(zip(at, values, strict=True))))
        run = self._run(fixed, np.zeros_like(self.integer), True, stop)
        run.highs.setOptionValue("primal_feasibility_tolerance", 1e-9)
        attempt = run.solve(time_limit_s=_ATTAIN_S, after_stop=True)
        if attempt.x is not None:
            attempt.x = np.where(self.integer, np.round(x), attempt.x)
            if run.problem.violation(attempt.x) > FEASIBILITY:
                return Attempt(None, np.inf, -np.inf, False)
        return attempt
