"""``trace_frontier(problem)``: the cost / China-exposure front of a planning question."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyomo.environ as pyo

from planner.checks import refuse_operations
from planner.frontier.campus import Campus, Held, prepared, unlimited
from planner.frontier.curve import NOTHING, Curve, Fact, hidden_area, slice_curve
from planner.frontier.engine import Engine
from planner.frontier.front import Front, front_of
from planner.frontier.pieces import Standing
from planner.frontier.reading import gathered, undominated, weight_choice
from planner.frontier.results import Frontier
from planner.frontier.wholeplans import Makers, Wanted, whole_steps
from planner.model.coefficients import Coefficients
from planner.pipeline import judged
from planner.problem import FloatArray, Problem
from planner.results import Plan
from planner.search import Search, Solution
from planner.solve import Stop

#: Uncovered share that whole containers may add to that of the relaxed front.
WHOLE_SHARE = 0.005
_SEVERAL = 4
_TRACE_SHARE = 0.7
_HALVINGS = 8
#: Normalised cost above every plan.
_OUT_OF_REACH = 1e6
DEFAULT_THETAS = tuple(round(0.1 * k, 1) for k in range(11))


@dataclass
class Traced:
    """A front with the plans behind its points, in the order of the points."""

    frontier: Frontier
    plans: tuple[Plan, ...]
    problem: Problem
    front: Front = field(repr=False)


def trace_frontier(
    problem: Problem,
    *,
    measure: str = "cell",
    tolerance: float = 0.01,
    workers: int = 1,
    thetas: Sequence[float] = DEFAULT_THETAS,
    free_firm: bool = False,
    most_points: int = 150,
    time_limit_s: float | None = None,
    state: Path | None = None,
    resume: bool = False,
    audit: bool = False,
    scenario: str = "",
    note: Callable[[str], None] = lambda text: None,
) -> Traced:
    """Least cost at every exposure, certified, with whole-container plans along it.

    Parameters
    ----------
    problem
        From ``planner.load_case``; a limit on the whole plan's exposure by ``measure`` is left out.
    measure
        One of ``planner.case.MEASURES``.
    tolerance
        Share of the rectangle between the two ends that may stay uncovered.
    workers
        Processes, each with one solver thread.
    thetas
        Weights of security, 0 to 1, whose plans are reported too.
    free_firm
        Let generators and firm contracts change along the front; else they stay as in the cheapest plan.
    most_points
        Whole-container plans at most.
    time_limit_s
        Seconds after which to stop with what is known; the case's limit if None.
    state, resume
        File that is written after every finished piece, and whether to go on from it.
    audit
        Solve and replay twice as carefully.
    scenario
        Name to report.
    note
        Called with the name of every step.

    Returns
    -------
    Traced
        ``frontier`` as data, and the plan of every point.

    Raises
    ------
    planner.solve.Infeasible
        No plan keeps the rules.
    planner.solve.NoPlan
        Stopped before both ends were found.
    """
    refuse_operations(problem, "a front")
    began = time.perf_counter()
    stop = Stop(problem.case.solver.time_limit_s if time_limit_s is None else time_limit_s)
    note("the cheapest plan")
    with stop.catching_interrupt():
        cheap, search, solution = cheapest(unlimited(problem, measure), stop, audit)
        held = {} if free_firm else firm_level(search, cheap)
        timing = {"cheapest_plan": time.perf_counter() - began}
        with_site = False
        while True:
            at = time.perf_counter()
            note("tracing the front")
            campus = prepared(problem, measure, held, with_site=with_site, known_rows=solution.rows, stop=stop)
            given = columns_for(campus, search, solution.x)
            front = _traced(campus, tolerance, stop, workers, audit, state, resume, given, note)
            timing["front"] = timing.get("front", 0.0) + time.perf_counter() - at
            at = time.perf_counter()
            note("whole-container plans along the front")
            walk = Walk(campus, front, held, solution, cheap, workers, audit, stop)
            fits = walk.walk(thetas, most_points)
            timing["whole_plans"] = timing.get("whole_plans", 0.0) + time.perf_counter() - at
            if fits or with_site or stop.now:
                break
            note("the yards bind")
            with_site, resume = True, False
    timing["total"] = time.perf_counter() - began
    frontier, plans = gathered(
        campus,
        front,
        walk.plans,
        cheap.bound_musd,
        thetas,
        walk.uncovered_frac(),
        tolerance,
        free_firm,
        scenario,
        stop,
        timing,
    )
    return Traced(frontier, plans, campus.problem, front)


def cheapest(problem: Problem, stop: Stop, audit: bool) -> tuple[Plan, Search, Solution]:
    """The cheapest plan of a problem, with the search that found it."""
    began = time.perf_counter()
    gap = problem.case.solver.gap_frac
    search = Search(Coefficients(problem), stop, gap, problem.case.solver.seed)
    solution = search.run()
    return judged(search, solution, gap, audit=audit, began=began), search, solution


def firm_level(search: Search, plan: Plan) -> Held:
    """Containers of generators and firm contracts in a plan, for every delivery that could be."""
    offers, periods = search.c.problem.offers, search.c.problem.periods
    bought = {(o.offer, o.period): o.containers for o in plan.orders}
    keys = [(offers[o].offer, periods[p].label) for o, p in search.c.pairs if not offers[o].is_storage]
    return {key: bought.get(key, 0) for key in keys}


def columns_for(campus: Campus, search: Search, x: FloatArray) -> FloatArray:
    """A solution of one search in the columns of another, by name."""
    known = {v.name: x[j] for v in search.model.component_data_objects(pyo.Var) if (j := search.compiled.index(v)) >= 0}
    target = campus.search
    out = np.zeros(len(campus.two.compiled.cost))
    for v in target.model.component_data_objects(pyo.Var):
        j = target.compiled.index(v)
        if j >= 0:
            out[j] = known.get(v.name, 0.0)
    return out


def _traced(
    campus: Campus, tolerance: float, stop: Stop, workers: int, audit: bool, state: Path | None, resume: bool,
    given: FloatArray, note: Callable[[str], None],
) -> Front:  # fmt: skip
    """Run the engine."""

    def progress(now: Standing | None, solves: int) -> None:
        if now is not None:
            note(f"tracing the front: {now.uncovered_frac:.2%} uncovered after {solves} solves")

    # Tracing may use most of the time, but the plans along the front need some too.
    own = Stop(stop.left_s() * _TRACE_SHARE)
    engine = Engine(
        campus.two, tolerance, own, workers, campus.problem.case.solver.seed, audit, state, resume, given, False,
        progress=progress,
    )  # fmt: skip
    archive = engine.run()
    stop.interrupted |= own.interrupted
    return front_of(archive, tolerance, own.now, {})


class Walk:
    """Whole plans where they are missing most."""

    def __init__(
        self, campus: Campus, front: Front, held: Held, solution: Solution, cheap: Plan, workers: int, audit: bool,
        stop: Stop,
    ) -> None:  # fmt: skip
        self.campus, self.front, self.stop, self.workers = campus, front, stop, workers
        self.plans: list[Plan] = [cheap]
        self.tried: set[float] = set()
        #: No whole-container plan has so little exposure.
        self.impossible_frac = -np.inf
        #: (exposure limit, proved cost of any whole-container plan within it)
        self.bounds: list[tuple[float, float]] = []
        rows = tuple(dict.fromkeys([*solution.rows, *campus.two.separation.outages.rows]))  # type: ignore[union-attr]
        terms = (campus.problem, campus.measure, held, rows, stop.left_s(), audit)
        self.makers = Makers(terms, workers)

    def walk(self, thetas: Sequence[float], most: int) -> bool:
        """Ends, knee, corners of jumps and weights first, then wherever most is hidden; False if plans do not fit."""
        try:
            first = [p.exposure for p in (self.front.points[0], self.front.points[-1])]
            first += [weighted_exposure(self.front, theta) for theta in thetas]
            first += [j.exposure for j in sorted(self.front.jumps, key=lambda j: j.cost_at - j.cost_below)[:6]]
            if not self._make(first):
                return False
            self._secure_end()
            while len(self.plans) < most and not self.stop.now:
                if self.uncovered_frac() <= self.front.uncovered_frac + WHOLE_SHARE:
                    break
                wanted = self._worst(self.workers * _SEVERAL)
                if not wanted:
                    break
                if not self._make(wanted):
                    return False
            return True
        finally:
            self.makers.close()

    def weighted(self, theta: float) -> Plan:
        """The best plan at one weight of security, among those made at its point, at the ends and on the way."""
        measure = self.campus.measure
        try:
            self._make([self.front.points[0].exposure, weighted_exposure(self.front, theta)])
            self._secure_end()
        finally:
            self.makers.close()
        plans = undominated(self.plans, measure)
        return plans[weight_choice([(p.exposure_frac[measure], p.cost_musd) for p in plans], theta)]

    def _make(self, exposures: Sequence[float]) -> bool:
        """Plans at some exposures; False if one of them does not fit the yards at its cost."""
        fresh = [e for e in dict.fromkeys(round(e, 9) for e in exposures) if e not in self.tried]
        self.tried.update(fresh)
        wanted = []
        for e in fresh:
            at = min(max(e, self.front.points[0].exposure), self.front.points[-1].exposure)
            wanted.append(Wanted(at, self.front.solution(at), max(self.front.lower(at), self.plans[0].bound_musd)))
        made = self.makers.make(wanted, self.stop)
        for limit, one in zip(wanted, made, strict=True):
            if one.plan is not None:
                self.plans.append(one.plan)
                self.bounds.append((limit.exposure_frac, one.plan.bound_musd))
            elif one.impossible:
                self.impossible_frac = max(self.impossible_frac, limit.exposure_frac)
        return all(one.fits for one in made)

    def _secure_end(self) -> None:
        """Halve the way to the least exposure of whole containers, where the front's own end takes fractions."""
        measure = self.campus.measure
        for _ in range(_HALVINGS):
            least = min(p.exposure_frac[measure] for p in self.plans)
            proved = max(self.impossible_frac, self.front.points[0].exposure)
            if least - proved <= 1e-4 * max(1.0, least) or self.stop.now:
                return
            self._make([(least + proved) / 2])
            if least == min(p.exposure_frac[measure] for p in self.plans) and self.impossible_frac < proved:
                return

    def corners(self) -> list[tuple[float, float]]:
        """Undominated (exposure, cost) of the plans, normalised like the front."""
        frame = self.front.archive.frame
        measure = self.campus.measure
        return whole_steps([frame.inside((p.exposure_frac[measure], p.cost_musd)) for p in self.plans])

    def _step(self) -> tuple[Curve, Curve, float]:
        lower = self.front.archive.lower()
        lo, hi = lower.pieces[0].left, lower.pieces[-1].right
        # What is proved about whole containers without any limit holds under every limit.
        bound = self.front.archive.frame.inside((0.0, self.plans[0].bound_musd))[1]
        lower = lower.merged(Fact(0.0, 1.0, np.inf, np.inf, bound).curve(-2, lo, hi), -1)
        if self.impossible_frac > -np.inf:
            e = self.front.archive.frame.inside((self.impossible_frac, 0.0))[0]
            lower = lower.merged(Fact(0.0, 1.0, e, _OUT_OF_REACH, np.inf).curve(-2, lo, hi), -1)
        for limit, cost in self.bounds:
            e, c = self.front.archive.frame.inside((limit, cost))
            lower = lower.merged(Fact(0.0, 1.0, e, np.inf, c).curve(-2, lo, hi), -1)
        curve = Curve.nothing(lo, hi, np.inf)
        corners = self.corners()
        for number, corner in enumerate(corners):
            if corner[0] < hi:
                curve = curve.merged(slice_curve([corner], number, lo, hi), 1)
        return curve, lower, corners[0][1]

    def uncovered_frac(self) -> float:
        """Share of the rectangle between the whole-container ends that may hide a better plan."""
        curve, lower, top = self._step()
        corners = self.corners()
        ends = [self.front.archive.frame.inside((p.exposure, p.cost)) for p in self.front.points]
        wide = max(corners[-1][0], ends[-1][0]) - min(corners[0][0], ends[0][0])
        top = max(top, ends[0][1])
        high = top - min(corners[-1][1], ends[-1][1])
        if len(ends) == 1 and len(corners) == 1:
            return 0.0
        area = float(hidden_area(curve, lower, top).sum())
        return min(1.0, area / (wide * high)) if wide * high > 0 else 1.0

    def _worst(self, count: int) -> list[float]:
        """Exposures in the middle of the stretches that hide most."""
        curve, lower, top = self._step()
        areas = hidden_area(curve, lower, top)
        frame = self.front.archive.frame
        middles = []
        for i in np.argsort(-areas)[:count]:
            piece = curve.pieces[i]
            if piece.tag != NOTHING and areas[i] > 1e-6:
                middles.append(frame.outside(((piece.left + piece.right) / 2, 0.0))[0])
        return middles


def weighted_exposure(front: Front, theta: float) -> float:
    """Exposure of the point that a weight of security picks; the ends for 0 and 1."""
    points = front.points
    if theta <= 0.0:
        return points[-1].exposure
    if theta >= 1.0:
        return points[0].exposure
    frame = front.archive.frame
    scores = [(1 - theta) * c + theta * e for e, c in (frame.inside((p.exposure, p.cost)) for p in points)]
    return points[int(np.argmin(scores))].exposure
