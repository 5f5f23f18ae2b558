"""The solver runs that a search is made of: relaxation, rough plan, bound problem, whole containers and placements."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import cpu_count, parent_process
from typing import TypeVar

import numpy as np
import pyomo.environ as pyo
from numpy.typing import NDArray

from planner.lazy import Prepared, solved_with_every_row, without_site
from planner.model.coefficients import Coefficients
from planner.model.reliability import RowKey, seed_rows
from planner.model.row import RULES
from planner.operations.settle import Settlement
from planner.problem import FloatArray
from planner.search.narrow import Narrowing, dive
from planner.solve import (
    BOUND_SLACK_MUSD,
    Attempt,
    Infeasible,
    NoPlan,
    Progress,
    Run,
    Stop,
)  # fmt: skip

T = TypeVar("T")
#: Gap of the first quick plan.
ROUGH_GAP = 0.015
#: Dives for the first quick plan before branch and bound looks for it.
_DIVES = 3
#: Share of the time left that the first quick plan may take where operating years are still to be learned.
_ROUGH_TIME_SHARE = 0.4
#: Share of the time left, less what settling its plan takes, of a bound problem with operating years.
_BOUND_TIME_SHARE = 0.9
#: Share of the asked gap that the bound problem may leave open.
_BOUND_GAP_SHARE = 0.1
#: Containers that cost more than this share of the asked gap are whole in the bound problem.
_COARSE_GAP_SHARE = 1.0
#: Share of the asked gap that rows found afterwards may cost before the bound problem is solved again.
_REPAIR_GAP_SHARE = 0.5
#: Share of the asked gap that the operating years may still hide at the end of the relaxation.
_LEARNING_GAP_SHARE = 0.3
#: Share of the objective that years of the relaxation may hide: more is learned with binaries fixed, nearer to a plan.
_RELAXED_FRAC = 0.02
#: The same once it is narrowed, as a share of the asked gap: the plans of the bound problem teach more.
_NARROWED_GAP_SHARE = 0.8
#: Shares of the time limit after which operating years are no longer learned from: relaxed, and with binaries fixed.
_RELAXING_TIME_SHARE, _REFINING_TIME_SHARE = 0.4, 0.7
#: Share of the objective that they may hide before anything was learned from a solution.
_FIRST_FRAC = 0.01
#: Times as much as what is enough that years may hide for another round to be spared: what they taught is added.
_NEARLY = 2.5
#: Share of what the last round found that cuts already known may hide until the next one.
_ROUND_SHARE = 0.1
#: Share of the asked gap that schedules may cost beyond what is counted.
_SCHEDULE_GAP_SHARE = 0.25
#: Share of the asked gap within which a relaxation hides as little as the one before.
_KNOWN_SHARE = 0.5
#: Share of the asked gap that cuts already known may hide while rows are added.
_KNOWN_GAP_SHARE = 0.1


def _without_bound(report: Progress, step: str, best_musd: float, bound_musd: float) -> None:
    """Report a solution, but not a bound that holds only for a part of the question."""
    del bound_musd
    report(step, best_musd, -np.inf)


@dataclass
class Parts:
    """One question, prepared, and every solver run on it."""

    c: Coefficients
    stop: Stop
    gap_frac: float
    seed: int
    progress: Progress | None = None
    note: Callable[[str], None] = lambda text: None
    timing_s: dict[str, float] = field(default_factory=dict)
    rules: frozenset[str] = frozenset(RULES)
    site_open: bool = False
    #: Whether some decisions are fixed just now: bounds then hold for a part of the question only.
    narrowed: bool = False
    #: (offer, period label) -> containers that are bought whatever they cost.
    held: Mapping[tuple[str, str], int] = field(default_factory=dict)
    #: ``choices`` of a neighbour's plan, to start from; none for no neighbour.
    neighbour: Mapping[str, float] = field(default_factory=dict)
    best: Attempt | None = field(default=None, init=False)
    #: The best plan whose operating years were operated and counted.
    settled: Attempt | None = field(default=None, init=False)
    bound: float = field(default=-np.inf, init=False)
    #: Sides of binaries closed by what a plan costs; none before any was.
    narrowing: Narrowing | None = field(default=None, init=False)
    _known_musd: float = field(default=np.inf, init=False)
    _nearly_known: bool = field(default=False, init=False)
    _relaxed: tuple[Run, Attempt] | None = field(default=None, init=False)

    def prepare(self, known_rows: tuple[RowKey, ...] = ()) -> None:
        """Build and compile the model with a few outage rows."""
        began = time.perf_counter()
        with_outages = "reliability" in self.rules
        rows = list(dict.fromkeys([*seed_rows(self.c), *known_rows])) if with_outages else []
        made = Prepared.of(self.c, rows, self.rules)
        self.model, self.compiled, self.columns, self.outages = made.model, made.compiled, made.columns, made.outages
        self._hold()
        cuts = self.outages.cuts
        self.settlement = None if cuts is None else Settlement(cuts, self.stop, self.gap_frac)
        self.timing_s["build"] = time.perf_counter() - began

    def _hold(self) -> None:
        """Fix what is held."""
        for key, count in self.held.items():
            j = self.compiled.index(self.model.containers[key])
            self.compiled.lower[j] = self.compiled.upper[j] = count

    def binary(self) -> NDArray[np.bool_]:
        """The whole-number columns that are not container counts."""
        return self._without(self.columns.containers)

    def purchase_binary(self) -> NDArray[np.bool_]:
        """The binaries of the purchase; those of the site follow from what is bought."""
        return self.binary() & self._without(self.columns.site)

    def choices(self, x: FloatArray) -> dict[str, float]:
        """Binaries of the purchase that are not zero, by name of the variable: what a neighbour starts from."""
        wanted = self.purchase_binary() & (np.round(x) != 0.0)
        return {name: float(np.round(x[j])) for name, j in self._named() if wanted[j]}

    def _named(self) -> Iterator[tuple[str, int]]:
        """Name and column of every variable that stands in a row."""
        for variable in self.model.component_data_objects(pyo.Var):
            j = self.compiled.index(variable)
            if j >= 0:
                yield variable.name, j

    def _without(self, columns: NDArray[np.int64]) -> NDArray[np.bool_]:
        kept = self.compiled.integer.copy()
        kept[columns[columns >= 0]] = False
        return kept

    def _relax(self, first: bool = True) -> Attempt:
        """LP relaxation, outage rows added until none is violated; with operating years, narrowed as far as it goes."""
        self._nearly_known = False
        learning = (_RELAXING_TIME_SHARE, _RELAXED_FRAC if first else _NARROWED_GAP_SHARE * self.gap_frac)
        run = self._new_run(np.zeros_like(self.compiled.integer))
        while True:
            attempt = run.solve()
            if attempt.infeasible:
                raise Infeasible
            if attempt.x is None:
                raise NoPlan(self.stop.interrupted)
            self._tolerate(attempt.objective)
            if self.progress:
                self.progress("outage rows", float("nan"), attempt.bound)
            added = self.outages.add_violated(attempt.x)
            if added is None and self._closer(run, attempt):
                continue
            if added is None and self._unlike_known(attempt):
                if self._learned(attempt, *learning):
                    added = self.outages.add_violated(attempt.x)
                else:
                    self._known_musd = attempt.objective
            if added is None:
                # Rows of a neighbour or of a plan are slack here, and bind again once binaries are whole.
                if first and not self.neighbour:
                    self.outages.drop_slack(attempt.x)
                if first and self.settlement is not None:
                    self._relaxed = run, attempt
                return attempt
            run.add_rows(*added)

    def _unlike_known(self, attempt: Attempt) -> bool:
        """Whether a relaxation is far from the last one whose years hid little."""
        return abs(attempt.objective - self._known_musd) > _KNOWN_SHARE * self.gap_frac * abs(attempt.objective)

    def _closer(self, run: Run, attempt: Attempt) -> bool:
        """Whether sides of binaries could be closed, so that the relaxation is nearer to a plan."""
        if self.settlement is None or self.best is None:
            return False
        self.narrowing = self.narrowing or Narrowing(self.compiled)
        return self.narrowing.close(run, attempt, self.purchase_binary(), self.best.objective)

    def _proved(self, attempt: Attempt) -> None:
        """Count a dual bound of the narrowed problem."""
        closed = np.inf if self.narrowing is None else self.narrowing.closed_musd
        self.bound = max(self.bound, min(attempt.bound, closed))

    def _tolerate(self, objective: float) -> None:
        """Let cuts already known hide a little."""
        if self.settlement is not None:
            share = _KNOWN_GAP_SHARE * self.gap_frac if self.settlement.rounds else _FIRST_FRAC
            hiding = share * max(1.0, abs(objective))
            self.settlement.cuts.tolerance_musd = max(hiding, self._round_musd)

    def _learned(self, attempt: Attempt, time_share: float, least_frac: float) -> bool:
        """Whether the operating years of a solution cost enough more than is known to go on."""
        if self.settlement is None or attempt.x is None or self.stop.now or self._nearly_known:
            self._nearly_known = False
            return False
        enough = max(_LEARNING_GAP_SHARE * self.gap_frac, least_frac) * abs(attempt.objective)
        hidden = self.settlement.learn(attempt.x, enough, time_share)
        self._round_musd = _ROUND_SHARE * hidden  # while much is hidden, the last digits of what is known do not matter
        self._tolerate(attempt.objective)
        self._nearly_known = enough < hidden <= _NEARLY * enough
        return hidden > enough

    def _rough(self, bound: float, gap: float = ROUGH_GAP) -> Attempt:
        """Binaries whole, containers in fractions, to a rough gap; every outage row holds in the end.

        Fractional binaries hide outage rows. With the binaries of a rough solution fixed, the rows
        that are missing are found by cheap linear programs. With operating years, whose programs are large, a dive
        brings these binaries sooner than a branch and bound.
        """
        for _ in range(_DIVES if self.settlement is not None else 0):
            refined = self._dived()
            if refined is not None:
                refined.bound = bound
                return refined
        while True:
            limit = None if self.settlement is None else _ROUGH_TIME_SHARE * self.stop.left_s()
            attempt = self._new_run(self.binary(), processors=self._processors()).solve(gap, limit)
            if attempt.infeasible:
                raise Infeasible
            bound = attempt.bound = max(attempt.bound, bound)
            if attempt.x is None or self.stop.now or self.outages.add_violated(attempt.x) is None:
                return attempt
            refined = self._refine(attempt.x)
            near = attempt.objective + 2 * gap * abs(attempt.objective)
            # What operating years were found to cost is found for the next best binaries too: once is enough.
            if refined is not None and (self.settlement is not None or refined.objective <= near):
                refined.bound = bound
                return refined

    def _dived(self) -> Attempt | None:
        """Best containers for the binaries that a dive ends at; None if there are none."""
        relaxed, self._relaxed = self._relaxed, None
        if relaxed is None:  # the last dive taught rows that rule its binaries out
            run = self._new_run(np.zeros_like(self.compiled.integer))
            relaxed = run, run.solve()
        found = dive(*relaxed, self.binary(), self.outages.add_violated)
        return None if found is None or found.x is None else self._refine(found.x)

    def _coarse(self, bound: float) -> NDArray[np.bool_]:
        """Containers so dear that half of one matters for the gap: generators, large long-duration blocks."""
        each = np.array(
            [min(self.c.unit_cost_musd[o, p, t, "none"] for t in self.c.reachable_tiers(o)) for o, p in self.c.pairs]
        )
        coarse = np.zeros_like(self.compiled.integer)
        columns = self.columns.containers[each > _COARSE_GAP_SHARE * self.gap_frac * abs(bound)]
        coarse[columns[columns >= 0]] = True
        return coarse

    def _bound_problem(self, coarse: NDArray[np.bool_], start: FloatArray | None) -> Attempt:
        """Binaries and coarse containers whole, to a fine gap, until the outage rows it lacked cost little.

        Its bound holds even where rows are missing. A start with fractions of coarse containers would be
        completed by the solver in a problem of its own, whose bounds are no bounds here: better none.
        """
        bound = -np.inf
        whole = self.binary() | coarse
        while True:
            run = self._new_run(whole, processors=self._processors())
            run.seldom_guess(at_first=start is None)
            run.enough = lambda best, bound: bound >= self._enough()
            limit = None
            if self.settlement is not None:
                limit = _BOUND_TIME_SHARE * max(0.0, self.stop.left_s() - self.settlement.settling_s)
            attempt = run.solve(self.gap_frac * _BOUND_GAP_SHARE, limit, start)
            if attempt.infeasible:
                raise Infeasible
            bound = attempt.bound = max(bound, attempt.bound)
            if attempt.x is None or self.stop.now or bound + BOUND_SLACK_MUSD >= self._enough():
                return attempt
            if self.outages.add_violated(attempt.x) is None:
                return attempt
            refined = self._refine(attempt.x, coarse)
            if refined is not None:
                start = refined.x
                near = attempt.objective + _REPAIR_GAP_SHARE * self.gap_frac * abs(attempt.objective)
                if self.settlement is not None or refined.objective <= near:
                    refined.bound = bound
                    return refined

    @contextmanager
    def _fixed(self, columns: NDArray[np.bool_], x: FloatArray) -> Iterator[None]:
        """Fix whole-number columns at their rounded values for a while."""
        lower, upper = self.compiled.lower, self.compiled.upper
        whole, before = np.round(x), self.narrowed
        self.compiled.lower, self.compiled.upper = np.where(columns, whole, lower), np.where(columns, whole, upper)
        self.narrowed = True
        try:
            yield
        finally:
            self.compiled.lower, self.compiled.upper, self.narrowed = lower, upper, before

    def _refine(self, x: FloatArray, coarse: NDArray[np.bool_] | None = None) -> Attempt | None:
        """Best containers for the binaries of ``x``, with every outage row; None if there are none.

        All containers may be fractional but for the ``coarse`` ones.
        """
        whole = np.zeros_like(self.compiled.integer) if coarse is None else coarse
        self._nearly_known = False
        with self._fixed(self.purchase_binary(), x):
            run = self._new_run(whole)
            while True:
                attempt = solved_with_every_row(run, self.outages, self.gap_frac * 0.1)
                # The next solve of the whole problem takes far longer than to learn here what its years cost.
                if attempt.x is None or not self._learned(attempt, _REFINING_TIME_SHARE, 0.0):
                    return attempt if attempt.x is not None else None
                added = self.outages.add_violated(attempt.x)
                if added is None:
                    return attempt
                run.add_rows(*added)

    def _enough(self) -> float:
        """Dual bound that closes the gap of a plan that is hard to better: a neighbour's, or one whose years are known.

        Other searches go on for a better plan.
        """
        if self.best is None or not (self.neighbour or self.best is self.settled):
            return np.inf
        return self.best.objective - self._share() * self.gap_frac * abs(self.best.objective)

    def _closed(self, share: float | None = None) -> bool:
        """Whether the gap is closed, or a share of it; before schedules are made they are left theirs."""
        if self.best is None:
            return False
        cost, share = self.best.objective, self._share() if share is None else share
        return cost - self.bound <= share * self.gap_frac * abs(cost) + 3 * BOUND_SLACK_MUSD

    def _share(self) -> float:
        return 1.0 if self.settlement is None else 1.0 - _SCHEDULE_GAP_SHARE

    def _all_whole(self) -> NDArray[np.bool_]:
        whole = self.compiled.integer.copy()
        whole[self.columns.placed[self.columns.placed >= 0]] = True
        return whole

    def _processors(self) -> int:
        """Processors of a long branch and bound: all but for short searches, and where processes share them."""
        return 1 if self.settlement is None or parent_process() is not None else cpu_count()

    def _new_run(self, integer: NDArray[np.bool_], site: bool = False, processors: int = 1) -> Run:
        """A solver with the problem loaded; ``site`` keeps the rows of the site in any case."""
        problem = self.compiled
        if self.site_open and not site:
            problem = without_site(problem)
        report = self.progress if integer.any() else None
        if report is not None and self.narrowed:
            report = partial(_without_bound, report)
        run = Run(problem, self.stop, self.seed, report, processors=processors)
        run.load(integer)
        return run

    def _timed(self, step: str, work: Callable[[], T]) -> T:
        began = time.perf_counter()
        self.note(step.replace("_", " "))
        try:
            return work()
        finally:
            self.timing_s[step] = self.timing_s.get(step, 0.0) + time.perf_counter() - began
