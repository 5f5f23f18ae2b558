"""``trace_frontier(problem)``: the cost / China-exposure front of a planning question."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from planner.faults import Fault, InputError
from planner.frontier.archive import Archive
from planner.frontier.campus import Campus, Held, columns_of, prepared, unlimited, values_by_name
from planner.frontier.engine import Engine
from planner.frontier.front import Front, front_of
from planner.frontier.pieces import Standing, standing
from planner.frontier.reading import gathered
from planner.frontier.results import Frontier
from planner.frontier.start import keep_start, read_start, take_up_start
from planner.frontier.walk import Walk
from planner.frontier.years import COARSE, learn_along
from planner.model.coefficients import Coefficients
from planner.pipeline import judged
from planner.problem import FloatArray, Problem
from planner.results import Plan
from planner.search import Search, Solution
from planner.solve import NoPlan, Stop

#: Share of the time that tracing may use.
_TRACE_SHARE = 0.7
#: Share of the time that the cheapest plan may use where it has operating years: its gap may stay open to the end.
_CHEAPEST_SHARE = 0.5
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
    most_points: int = 300,
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
        Processes, each with one solver thread; one alone with operating years, which are learned in this process.
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
    InputError
        More than one worker with operating years.
    planner.solve.Infeasible
        No plan keeps the rules.
    planner.solve.NoPlan
        Stopped before both ends were found.
    """
    if workers > 1 and problem.case.operating is not None:
        found = f"{workers}, for a case with operating years"
        raise InputError([Fault("--workers", "", found, "1: years are operated on every processor anyway")])
    began = time.perf_counter()
    stop = Stop(problem.case.solver.time_limit_s if time_limit_s is None else time_limit_s)
    note("the cheapest plan")
    with stop.catching_interrupt():
        own = stop if problem.case.operating is None else Stop(_CHEAPEST_SHARE * stop.left_s())
        cheap, search, solution = _start(unlimited(problem, measure), own, audit, state, resume)
        stop.interrupted |= own.interrupted
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


def _start(
    problem: Problem, stop: Stop, audit: bool, state: Path | None, resume: bool
) -> tuple[Plan, Search, Solution]:
    """The cheapest plan: kept ones are taken up, new ones are kept."""
    kept = read_start(state.parent, problem) if state is not None and resume else None
    taken = None if kept is None else take_up_start(kept, problem, stop, audit)
    if taken is not None:
        return taken
    plan, search, solution = cheapest(problem, stop, audit)
    if kept is not None:  # the state of the front is known by the rows that it began with
        solution = replace(solution, rows=kept.rows)
    if state is not None:
        keep_start(state.parent, problem, search, solution)
    return plan, search, solution


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
    out = np.zeros(len(campus.two.compiled.cost))
    found = columns_of(campus.search, values_by_name(search, x))
    out[: len(found)] = found
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
        campus.two, tolerance, own, workers, campus.problem.case.solver.seed, audit, state, resume, given,
        ties=False, progress=progress,
    )  # fmt: skip
    if campus.search.settlement is not None:
        engine.tolerance = max(tolerance, COARSE)
    archive = engine.run()
    if campus.search.settlement is not None:
        note("learning the operating years along the front")
        learn_along(campus, archive, tolerance, own)
        archive = _finer(replace(engine, tolerance=tolerance, resume=False, earlier=archive), archive)
    stop.interrupted |= own.interrupted
    return front_of(archive, tolerance, own.now, {})


def _finer(engine: Engine, coarse: Archive) -> Archive:
    """What an engine adds to a coarse front; the coarse one where it is stopped before it has as much."""
    if engine.stop.now:
        return coarse
    try:
        finer = engine.run()
    except NoPlan:
        return coarse
    stopped = engine.stop.now and _uncovered_frac(finer) > _uncovered_frac(coarse)
    return coarse if stopped else finer


def _uncovered_frac(archive: Archive) -> float:
    now = standing(archive.upper(), archive.lower())
    return 1.0 if now is None else now.uncovered_frac
