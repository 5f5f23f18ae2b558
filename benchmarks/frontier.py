"""The front of three ways on the same Pyomo models: certified boxes, pyaugmecon, and an epsilon grid.

    python -m benchmarks.frontier [--sizes 12 18] [--grid 40] [--augmecon]
    python -m benchmarks.frontier --campus hyperscaler-1gw-texas [--measure cell] [--grid 20 40]
    python -m benchmarks.frontier --campus hyperscaler-1gw-texas [--measure cell] --workers 2 [--tolerance 0.002]
    python -m benchmarks.frontier --plans [--campus utility-200mw --scenario hourly] [--set solver.gap_frac=0.01]

Models are covering problems with whole and continuous columns, drawn from a fixed seed. Error is the
largest distance (share of the range) by which a way's front lies above the exact front, which the
certified boxes give at tolerance 0; the grid builds a fresh model for every point, as one would by hand.
pyaugmecon needs whole objectives, so it is run on models without continuous columns only, where it is
installed (``pip install pyaugmecon``; it asks for an older numpy than the rest).

With ``--campus`` the model is that of a shipped case, containers in fractions, outage rows lazy for both ways. The
grid gets a fresh model, the same solver settings and the same gap at every point; what it proves is the area between
the cost at a point and the bound at the next. The boxes are one trace in one process, read off when they are as far.

With ``--workers`` one trace by that many workers is set against one by a single worker, and against as many single ones
at the same time: what these lose against one alone is what the machine cannot give, however the work is shared.

With ``--plans`` a whole front, every point a plan that is replayed like any other, is set against the cheapest plan
alone, in processor seconds; without ``--campus`` on the campus with operating years of ``tests/operations``. Each runs
in a process of its own, in which a small plan is made first, so that what is loaded once counts for neither.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyomo.environ as pyo

import planner
from planner.frontier import Front, trace
from planner.frontier.bench import Frame
from planner.frontier.campus import prepared, unlimited
from planner.frontier.engine import Engine
from planner.frontier.pieces import Standing
from planner.frontier.portfolio import cheapest, columns_for
from planner.frontier.tasks import Task, Worker
from planner.inputs import load_case
from planner.problem import Problem
from planner.solve import Stop
from tests.operations.test_front import LATE
from tests.report import mission

Points = list[tuple[float, float]]


def covering(size: int, continuous: int, seed: int) -> tuple[pyo.ConcreteModel, Any, Any]:
    """Cover three demands with whole numbers of ``size`` things and some continuous ones."""
    draw = np.random.default_rng(seed)
    m = pyo.ConcreteModel()
    m.z = pyo.Var(range(size), domain=pyo.Integers, bounds=(0, 3))
    m.y = pyo.Var(range(continuous), bounds=(0, 4))
    columns = [*m.z.values(), *m.y.values()]
    whole = draw.integers(2, 30, (2, len(columns)))
    rows = draw.integers(0, 12, (3, len(columns)))
    m.rows = pyo.Constraint(
        range(3),
        rule=lambda m, r: sum(int(a) * v for a, v in zip(rows[r], columns, strict=True)) >= int(rows[r].sum()),
    )
    cost, exposure = (sum(int(a) * v for a, v in zip(row, columns, strict=True)) for row in whole)
    return m, cost, exposure


def epsilon_grid(size: int, continuous: int, seed: int, points: int) -> tuple[Points, int]:
    """Ends, then least cost at evenly spread exposure limits, each from a fresh model."""

    def solve(aim: str, limit: float | None = None) -> tuple[float, float]:
        m, cost, exposure = covering(size, continuous, seed)
        if limit is not None:
            m.limit = pyo.Constraint(expr=exposure <= limit)
        m.aim = pyo.Objective(expr=cost if aim == "cost" else exposure)
        solver = pyo.SolverFactory("appsi_highs")
        solver.options["mip_rel_gap"] = 0.0
        solver.solve(m)
        return float(pyo.value(exposure)), float(pyo.value(cost))

    least = solve("exposure")[0]
    cheap = solve("cost")
    grid = [solve("cost", least + (cheap[0] - least) * k / points + 1e-6) for k in range(points)]
    return [*grid, cheap], points + 2


def augmecon(size: int, seed: int, points: int, folder: Path) -> tuple[Points, int]:
    """The same model by pyaugmecon's AUGMECON-R."""
    from pyaugmecon import PyAugmecon  # noqa: PLC0415 - only where it is installed

    # It passes what Gurobi needs, which HiGHS in Pyomo does not know.
    class AnyHighs(type(pyo.SolverFactory("appsi_highs"))):  # type: ignore[misc]
        def __init__(self, solver_io: object = None, manage_env: object = None, **more: object) -> None:
            super().__init__(**more)

    pyo.SolverFactory.register("any_highs")(AnyHighs)

    m, cost, exposure = covering(size, 0, seed)
    m.obj_list = pyo.ObjectiveList()
    m.obj_list.add(expr=-cost, sense=pyo.maximize)
    m.obj_list.add(expr=-exposure, sense=pyo.maximize)
    for objective in m.obj_list.values():
        objective.deactivate()
    options = {
        "name": "covering", "grid_points": points, "solver_name": "any_highs", "output_excel": False,
        "logging_folder": "logs", "cpu_count": 1,
    }  # fmt: skip
    # It drops options that are true and keeps those that are 0: so its own for Gurobi go, and the gap stays.
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
        solver = PyAugmecon(m, options, {"MIPGap": 1, "NonConvex": 1, "mip_rel_gap": 0.0})
        solver.solve()
    found = [(-float(e), -float(c)) for c, e in solver.get_pareto_solutions()]
    return sorted(found), int(solver.model.models_solved.value())


def worst_error(points: Points, exact: Front) -> float:
    """Largest excess of a step function of points over the exact front, in shares of its two ranges."""
    secure, cheap = exact.points[0], exact.points[-1]
    wide, high = cheap.exposure - secure.exposure, secure.cost - cheap.cost
    worst = 0.0
    for p in exact.points:
        # Horizontal or vertical, whichever is smaller: how far the true point must move to be attained.
        shifts = [max((e - p.exposure) / wide, (c - p.cost) / high, 0.0) for e, c in points]
        worst = max(worst, min(shifts))
    return worst


def timed(work: Callable[[], tuple[Points, int]]) -> tuple[Points, int, float]:
    """Result and CPU seconds of this process and those that it started."""
    began = sum(os.times()[:4])
    points, solves = work()
    return points, solves, sum(os.times()[:4]) - began


Row = tuple[str, int, float, float, float | None]


def by_boxes(size: int, continuous: int, seed: int, tolerance: float, exact: Front) -> Row:
    """Certified boxes; a mixed front is made of segments, so it is asked at the corners of the exact one too."""
    began = time.process_time()
    front = trace(*covering(size, continuous, seed), tolerance=tolerance)
    spent = time.process_time() - began
    points = [(p.exposure, p.cost) for p in front.points]
    points += [(p.exposure, front.upper(p.exposure)) for p in exact.points if np.isfinite(front.upper(p.exposure))]
    return f"boxes, tolerance {tolerance:g}", front.solves, spent, worst_error(points, exact), front.uncovered_frac


def by_grid(size: int, continuous: int, seed: int, count: int, exact: Front) -> Row:
    """Epsilon grid."""
    points, solves, spent = timed(lambda: epsilon_grid(size, continuous, seed, count))
    return f"epsilon grid of {count}, fresh models", solves, spent, worst_error(points, exact), None


def by_augmecon(size: int, seed: int, count: int, exact: Front) -> Row:
    """pyaugmecon."""
    with tempfile.TemporaryDirectory() as folder:
        points, solves, spent = timed(lambda: augmecon(size, seed, count, Path(folder)))
    return f"pyaugmecon, grid of {count}", solves, spent, worst_error(points, exact), None


def campus_rows(case: str, measure: str, grids: Sequence[int], tolerance: float = 0.01) -> list[Row]:
    """Both ways on the model of a shipped case; "worst error" is what is certified, for both."""
    problem = load_case(case, [])
    stop = Stop(1e6)
    _, search, solution = cheapest(unlimited(problem, measure), stop, False)
    held: dict[tuple[str, str], int] = {}
    marks: list[tuple[float, float, int]] = []
    campus = prepared(problem, measure, held, known_rows=solution.rows)
    began = time.process_time()

    def look(now: Standing | None, solves: int) -> None:
        if now is not None:
            marks.append((now.uncovered_frac, time.process_time() - began, solves))

    given = columns_for(campus, search, solution.x)
    engine = Engine(campus.two, tolerance, stop, given=given, ties=False, progress=look)
    frame = engine.run().frame
    rows: list[Row] = []
    for count in grids:
        share, solves, spent = campus_grid(problem, measure, frame, count, tolerance)
        rows.append((f"epsilon grid of {count}, fresh models", solves, spent, share, share))
        reached = next((m for m in marks if m[0] <= share), marks[-1])
        rows.append((f"boxes, to {share:.2%}", reached[2], reached[1], reached[0], reached[0]))
    rows.append((f"boxes, to {tolerance:.2%}", marks[-1][2], marks[-1][1], marks[-1][0], marks[-1][0]))
    return rows


def alone(case: str, measure: str, tolerance: float, workers: int, ready: Any = None) -> tuple[float, int]:
    """Seconds and solves of one trace; with ``ready``, a barrier, it starts when the others do."""
    problem = load_case(case, [])
    stop = Stop(1e6)
    _, search, solution = cheapest(unlimited(problem, measure), stop, False)
    campus = prepared(problem, measure, {}, known_rows=solution.rows)
    given = columns_for(campus, search, solution.x)
    if ready is not None:
        ready.wait()
    began = time.monotonic()
    archive = Engine(campus.two, tolerance, stop, workers, given=given, ties=False).run()
    return time.monotonic() - began, archive.solves


def worker_rows(case: str, measure: str, tolerance: float, workers: int) -> list[tuple[str, int, float]]:
    """One worker, several, and as many single ones at once: solves, and seconds of the slowest."""
    one = alone(case, measure, tolerance, 1)
    several = alone(case, measure, tolerance, workers)
    context = get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(workers, context) as pool:
        ready = manager.Barrier(workers)
        copies = [pool.submit(alone, case, measure, tolerance, 1, ready) for _ in range(workers)]
        at_once = max(copy.result() for copy in copies)
    return [
        ("one worker", one[1], one[0]),
        (f"{workers} workers", several[1], several[0]),
        (f"one worker, {workers} times at once", at_once[1], at_once[0]),
    ]


def campus_grid(problem: Problem, measure: str, frame: Frame, count: int, tolerance: float) -> tuple[float, int, float]:
    """Least cost at evenly spread limits: certified uncovered share, solves and CPU seconds.

    The two ends and the scale are given to it.
    """
    began = time.process_time()
    attained, bounds, solves = [1.0], [], 0
    for k in range(1, count + 1):
        campus = prepared(problem, measure, {})
        worker = Worker(campus.two, Stop(1e6), 0, False)
        worker.adopt(frame, [])
        task = Task(("grid", float(k)), (0.0, 1.0), x_max=k / count, gap=tolerance / 2, grain=np.inf)
        done = worker.carry_out(task)
        solves += done.solves
        corners = [frame.inside((v.exposure, v.cost)) for part in done.slices for v in part.vertices]
        attained.append(min([attained[-1], *(c for e, c in corners if e <= k / count + 1e-9)]))
        bounds.append(max(f.bound for f in done.facts))
    share = sum(max(0.0, a - max(b, 0.0)) for a, b in zip(attained, bounds, strict=False)) / count
    return share, solves, time.process_time() - began


def planned(case: str, scenario: str, settings: Sequence[str], measure: str, points: int) -> tuple[float, str]:
    """Processor seconds of a front of so many points, or of the cheapest plan for none, and what came of it."""
    planner.plan(load_case("tiny", ["operations.enabled=true", "operations.price_years=[2021]"]))
    with tempfile.TemporaryDirectory() as folder:
        if not case:
            case, settings = f"{folder}/campus.yaml", [*LATE, *settings]
            Path(case).write_text(json.dumps(mission.case(), default=str), encoding="utf-8")
        problem = load_case(case, settings, scenario=scenario or None)
    began = time.process_time()
    if not points:
        plan = planner.plan(problem)
        return time.process_time() - began, f"gap {plan.gap_frac:.3%}, {plan.status}"
    front = planner.trace_frontier(problem, measure=measure, most_points=points).frontier
    spent = time.process_time() - began
    worst = max(p.gap_frac for p in front.points)
    shares = f"{front.uncovered_frac:.2%} and of whole plans {front.uncovered_whole_frac:.2%} uncovered"
    return spent, f"{len(front.points)} points, largest gap {worst:.3%}, {shares}, {front.status}"


def plan_rows(*case: Any, points: int) -> Iterator[tuple[str, float, str]]:
    """The cheapest plan, then the front."""
    for way, count in (("cheapest plan alone", 0), (f"front, {points} plans", points)):
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            yield way, *pool.submit(planned, *case, count).result()


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--sizes", type=int, nargs="+", default=[12, 18])
    parser.add_argument("--grid", type=int, nargs="+", default=[10, 40, 120])
    parser.add_argument("--augmecon", action="store_true")
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--campus", default="", help="name of a shipped case")
    parser.add_argument("--measure", default="cell")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--plans", action="store_true", help="whole plans against the cheapest one")
    parser.add_argument("--points", type=int, default=20)
    parser.add_argument("--scenario", default="")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--tolerance", type=float, default=0.01)
    asked = parser.parse_args(arguments)
    if asked.plans:
        case = (asked.campus, asked.scenario, asked.set, asked.measure)
        print("| way | CPU s | times the cheapest plan | outcome |\n|---|---|---|---|")
        first = 0.0
        for way, spent, outcome in plan_rows(*case, points=asked.points):
            first = first or spent
            print(f"| {way} | {spent:.1f} | {spent / first:.2f} | {outcome} |", flush=True)
        return
    if asked.campus and asked.workers > 1:
        raced = worker_rows(asked.campus, asked.measure, asked.tolerance, asked.workers)
        print("| way | solves | seconds | as fast as one worker |\n|---|---|---|---|")
        for number, (way, solves, seconds) in enumerate(raced):
            work = asked.workers if number == 2 else 1
            print(f"| {way} | {solves} | {seconds:.1f} | {work * raced[0][2] / seconds:.2f} |", flush=True)
        return
    print("| model | way | solves | CPU s | worst error | certified uncovered |\n|---|---|---|---|---|---|")
    if asked.campus:
        for way, solves, spent, _, uncovered in campus_rows(asked.campus, asked.measure, asked.grid):
            print(f"| {asked.campus} | {way} | {solves} | {spent:.1f} | as certified | {uncovered:.2%} |", flush=True)
        return
    for size in asked.sizes:
        for continuous in (0, 4):
            exact = trace(*covering(size, continuous, asked.seed), tolerance=0.0)
            rows = [by_boxes(size, continuous, asked.seed, t, exact) for t in (0.01, 0.001, 0.0)]
            rows += [by_grid(size, continuous, asked.seed, n, exact) for n in asked.grid]
            if asked.augmecon and continuous == 0:
                rows += [by_augmecon(size, asked.seed, n, exact) for n in asked.grid]
            for way, solves, spent, error, uncovered in rows:
                share = "none" if uncovered is None else f"{uncovered:.4%}"
                name = f"{size} whole, {continuous} continuous"
                print(f"| {name} | {way} | {solves} | {spent:.2f} | {error:.4%} | {share} |", flush=True)


if __name__ == "__main__":
    main()
