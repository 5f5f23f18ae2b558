"""One plan at one weight of security (``security.theta``)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from planner import pipeline
from planner.checks import refuse_operations
from planner.frontier.archive import Archive
from planner.frontier.campus import prepared, unlimited
from planner.frontier.engine import Engine
from planner.frontier.front import front_of
from planner.frontier.portfolio import cheapest, columns_for, firm_level
from planner.frontier.tasks import Task, Worker
from planner.frontier.walk import Walk
from planner.problem import FloatArray, Problem
from planner.results import Plan
from planner.solve import Progress, Stop

#: Gap of the weighted solve, in shares of the way between the two ends.
_WEIGHTED_GAP = 0.002
_ENDS_TOLERANCE = 0.01


def plan(
    problem: Problem,
    *,
    gap_frac: float | None = None,
    time_limit_s: float | None = None,
    audit: bool = False,
    progress: Progress | None = None,
    note: Callable[[str], None] = lambda text: None,
) -> Plan:
    """Best whole-container portfolio of a problem, replayed and judged.

    Least cost where the case's ``security.theta`` is 0; else the least of
    ``(1 - theta) (C - Cmin) / (Cmax - Cmin) + theta (X - Xmin) / (Xmax - Xmin)`` with exposure X by
    ``security.measure``, both ends lexicographic and firm resources as in the cheapest plan.

    Parameters
    ----------
    problem
        From ``planner.load_case``.
    gap_frac, time_limit_s
        Replace the case's ``solver`` keys.
    audit
        Replay every outage window, not only the tightest.
    progress
        Called with (step, incumbent, bound) in million USD while solving.
    note
        Called with the name of every step.

    Returns
    -------
    Plan
        With a weight of security, ``bound_musd`` holds for every plan with no more exposure.

    Raises
    ------
    planner.solve.Infeasible
        No plan satisfies the rules; ``planner.infeasible.explain`` says which clash.
    planner.solve.NoPlan
        Stopped before any plan was found.
    """
    if problem.case.security.theta <= 0.0:
        return pipeline.plan(
            problem, gap_frac=gap_frac, time_limit_s=time_limit_s, audit=audit, progress=progress, note=note
        )
    refuse_operations(problem, "a weight of security")
    solver = problem.case.solver
    changes = {"gap_frac": gap_frac, "time_limit_s": time_limit_s}
    kept = solver.model_copy(update={k: v for k, v in changes.items() if v is not None})
    return _weighted(replace(problem, case=problem.case.model_copy(update={"solver": kept})), audit, note)


def _weighted(problem: Problem, audit: bool, note: Callable[[str], None]) -> Plan:
    """Both ends, one weighted solve, then whole containers at its exposure."""
    case = problem.case
    measure, theta = case.security.measure, case.security.theta
    stop = Stop(case.solver.time_limit_s)
    note("the cheapest plan")
    with stop.catching_interrupt():
        cheap, search, solution = cheapest(unlimited(problem, measure), stop, audit)
        held = firm_level(search, cheap)
        campus = prepared(problem, measure, held, known_rows=solution.rows, stop=stop)
        note("the two ends")
        given = columns_for(campus, search, solution.x)
        engine = Engine(campus.two, _ENDS_TOLERANCE, stop, seed=case.solver.seed, given=given, ties=False)
        engine.most_solves = 0
        archive = engine.run()
        note(f"weight {theta:g} of security")
        if theta < 1.0 and not stop.now:
            worker = Worker(campus.two, stop, case.solver.seed, audit)
            worker.adopt(archive.frame, archive.rows)
            length = float(np.hypot(theta, 1 - theta))
            weight = (theta / length, (1 - theta) / length)
            start, value = _best_known(archive, weight)
            outcome = worker.carry_out(Task(("theta",), weight, value=value, gap=_WEIGHTED_GAP, start=start))
            for part in outcome.slices:
                archive.keep_slice(part)
            for fact in outcome.facts:
                archive.keep_fact(fact)
            archive.rows += outcome.rows
        front = front_of(archive, _ENDS_TOLERANCE, stop.now, {})
        note("whole containers")
        return Walk(campus, front, held, solution, cheap, 1, audit, stop).weighted(theta)


def _best_known(archive: Archive, weight: tuple[float, float]) -> tuple[FloatArray, float]:
    """The known solution that is best along a weight, and its value."""
    corners = [v for part in archive.slices for v in part.vertices]
    values = [weight[0] * e + weight[1] * c for e, c in map(archive.inside, corners)]
    best = int(np.argmin(values))
    return corners[best].x, values[best]
