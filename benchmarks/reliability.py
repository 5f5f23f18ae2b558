"""Outage rows against dispatch: the same sizing problem, written three ways.

    python benchmarks/reliability.py [--quick] [--sizes 24,96,...] [--limit SECONDS]

The problem: choose MW and MWh of six storage technologies (a cost per MW and one per MWh,
``TECHNOLOGIES``) at least cost, so that n outages of 24 h are ridden through, one starting
in every hour of the first n hours of a load series of the planner (it wraps round, as in
the planner), each with the service profile 1.0 to hour 4, 0.4 to hour 12, 0.15 to hour 24.

- ``planner``: ``planner.outages.requirement``, then one row per count of hours:
  sum_i min(MW_i k, MWh_i) >= R(k), the smaller one written as a variable ``part[i,k]``. (In
  the planner's own model a container's MW and MWh are given and ``part`` is a number: the
  problem here is the harder one.)
- ``pyomo``: one dispatch variable per window, hour and technology. It takes the quickest
  way to HiGHS we know, the planner's own (``planner.solve.Compiled``), with expressions
  built without intermediates.
- ``pypsa``: a Store and a Link per technology, windows as the scenarios of a stochastic
  network, so that capacities are shared by PyPSA itself. Stores run from 0 down to minus
  their capacity: so every window begins full although the capacity is unknown. Windows as
  investment periods and as buses with tied capacities are the alternatives; investment
  periods give the same model and took three times as long to build.

All three are linear programs for HiGHS with one thread and its own choice of algorithm
(simplex here; interior point was slower on the dispatch models when tried).

Time: everything from the load series to the optimum (windows, model, solver), without
imports and files; the limit is wall time, the ratios are of CPU time, so that a shared
machine does not spoil them. Memory: peak of the process, imports included (the size of the process
when the clock starts is given too). Compared: one load year, nothing lost, no start delay,
no loss in dispatch, no fade. Not compared: contingencies and periods, which would multiply
the dispatch models and add rows to ours; commitment, or recharging within an outage, which
the outage rows cannot express at all and dispatch can. A dispatch model also tells who
serves when; the rows do not.
"""

from __future__ import annotations

import argparse
import logging
import sys
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pyomo.environ as pyo
from common import Measured, header, measure, number, progress, ratio, say_busy, spent, table

from planner.inputs import load_case
from planner.model.row import linear
from planner.outages import requirement
from planner.problem import FloatArray, Problem
from planner.solve import Compiled, Run, Stop

#: name: (million USD per MW, million USD per MWh); round figures, for this comparison only.
TECHNOLOGIES = {
    "lithium-1": (0.080, 0.210),
    "lithium-2": (0.120, 0.160),
    "sodium": (0.190, 0.120),
    "flow": (0.420, 0.085),
    "thermal": (0.900, 0.025),
    "iron-air": (1.500, 0.009),
}
SERVICE = "[{until_h: 4, share_frac: 1.0}, {until_h: 12, share_frac: 0.4}, {until_h: 24, share_frac: 0.15}]"
HOURS = 24
SIZES = (24, 96, 384, 1536, 6144, 8760)
QUICK_SIZES = (24, 96, 384, 1536, 8760)
SEED = 1
SAME_FRAC = 1e-6


def prepare(windows: int, limit_s: float) -> tuple[Problem, float]:
    """The planning question whose load series has one hour per window."""
    problem = load_case("utility-200mw", [f"reliability.service={SERVICE}", "pv.mw=0", "load.shape.step_minutes=60"])
    if len(problem.load_pu) < windows:
        raise ValueError(f"the load series has only {len(problem.load_pu)} hours")
    return replace(problem, load_pu=problem.load_pu[:windows].copy(), pv_cf=problem.pv_cf[:windows].copy()), limit_s


def prepare_pypsa(windows: int, limit_s: float) -> tuple[Problem, float]:
    """The same, with PyPSA imported before the clock starts."""
    import pypsa  # noqa: F401, PLC0415

    return prepare(windows, limit_s)


def window_loads(problem: Problem) -> FloatArray:
    """MW to be served in every window and hour, shape (windows, hours)."""
    load = problem.load_pu * problem.final_target_mw
    share = np.concatenate([np.full(4, 1.0), np.full(8, 0.4), np.full(12, 0.15)])
    at = (np.arange(len(load))[:, None] + np.arange(HOURS)) % len(load)
    return load[at] * share


def _solved(m: pyo.ConcreteModel, limit_s: float) -> dict[str, Any]:
    compiled = Compiled.from_pyomo(m)
    run = Run(compiled, Stop(limit_s), SEED)
    run.load(np.zeros_like(compiled.integer))
    attempt = run.solve()
    if not attempt.finished:
        raise TimeoutError("HiGHS came to no end")
    return {"cost": attempt.objective, "rows": len(compiled.row_lower), "columns": len(compiled.cost)}


def _capacities(m: pyo.ConcreteModel) -> None:
    m.mw = pyo.Var(list(TECHNOLOGIES), domain=pyo.NonNegativeReals)
    m.mwh = pyo.Var(list(TECHNOLOGIES), domain=pyo.NonNegativeReals)
    terms = [(price, v[i]) for i, pair in TECHNOLOGIES.items() for price, v in zip(pair, (m.mw, m.mwh), strict=True)]
    m.cost = pyo.Objective(expr=linear(terms))


def planner_rows(ready: tuple[Problem, float]) -> dict[str, Any]:
    """The requirement curve, and one row per count of hours."""
    problem, limit_s = ready
    need = requirement(problem, {0})
    curve = need.mwh[int(np.argmax([p.target_mw for p in problem.periods]))]
    hours = need.counts.sum(axis=1) * problem.dt_h
    m = pyo.ConcreteModel()
    _capacities(m)
    counts = range(len(hours))
    m.part = pyo.Var(list(TECHNOLOGIES), counts, domain=pyo.NonNegativeReals)
    m.rows = pyo.ConstraintList()
    for k in counts:
        m.rows.add(linear((1.0, m.part[i, k]) for i in TECHNOLOGIES) >= float(curve[k]))
        for i in TECHNOLOGIES:
            m.rows.add(linear([(1.0, m.part[i, k]), (-float(hours[k]), m.mw[i])]) <= 0)
            m.rows.add(linear([(1.0, m.part[i, k]), (-1.0, m.mwh[i])]) <= 0)
    return _solved(m, limit_s)


def pyomo_dispatch(ready: tuple[Problem, float]) -> dict[str, Any]:
    """One dispatch variable per window, hour and technology."""
    problem, limit_s = ready
    load = window_loads(problem)
    windows, hours, names = range(len(load)), range(HOURS), list(TECHNOLOGIES)
    m = pyo.ConcreteModel()
    _capacities(m)
    m.sent = pyo.Var(windows, hours, names, domain=pyo.NonNegativeReals)
    sent, mw, mwh = dict(m.sent.items()), dict(m.mw.items()), dict(m.mwh.items())
    dt = problem.dt_h
    m.served = pyo.Constraint(
        windows, hours, rule=lambda _, w, j: linear((1.0, sent[w, j, i]) for i in names) >= float(load[w, j])
    )
    m.power = pyo.Constraint(
        windows, hours, names, rule=lambda _, w, j, i: linear([(1.0, sent[w, j, i]), (-1.0, mw[i])]) <= 0
    )
    m.energy = pyo.Constraint(
        windows, names, rule=lambda _, w, i: linear([*((dt, sent[w, j, i]) for j in hours), (-1.0, mwh[i])]) <= 0
    )
    return _solved(m, limit_s)


def pypsa_dispatch(ready: tuple[Problem, float]) -> dict[str, Any]:
    """Windows as the scenarios of a stochastic PyPSA network."""
    import pandas as pd  # noqa: PLC0415
    import pypsa  # noqa: PLC0415

    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    problem, limit_s = ready
    load = window_loads(problem)
    n = pypsa.Network()
    n.set_snapshots(range(HOURS))
    n.snapshot_weightings.loc[:, :] = problem.dt_h
    n.add("Bus", "hall")
    for name, (per_mw, per_mwh) in TECHNOLOGIES.items():
        n.add("Bus", name)
        levels = {"e_min_pu": -1.0, "e_max_pu": 0.0, "e_initial": 0.0}
        n.add("Store", name, bus=name, e_nom_extendable=True, capital_cost=per_mwh, **levels)
        n.add("Link", name, bus0=name, bus1="hall", p_nom_extendable=True, capital_cost=per_mw)
    n.add("Load", "hall", bus="hall", p_set=0.0)
    names = [f"w{w}" for w in range(len(load))]
    n.set_scenarios(dict.fromkeys(names, 1.0 / len(load)))
    columns = pd.MultiIndex.from_product([names, ["hall"]], names=["scenario", "name"])
    n.c.loads.dynamic["p_set"] = pd.DataFrame(load.T, index=n.snapshots, columns=columns)
    model = n.optimize.create_model(include_objective_constant=False)
    options = {"threads": 1, "parallel": "off", "random_seed": SEED, "output_flag": False, "time_limit": limit_s}
    status = n.optimize.solve_model(solver_name="highs", io_api="direct", **options)
    if status[1] != "optimal":
        raise TimeoutError(f"HiGHS ended with {status[1]}")
    return {"cost": float(model.objective.value), "rows": int(model.ncons), "columns": int(model.nvars)}


WAYS = {
    "planner": (prepare, planner_rows),
    "pyomo": (prepare, pyomo_dispatch),
    "pypsa": (prepare_pypsa, pypsa_dispatch),
}


def run_all(sizes: list[int], limit_s: float, ways: list[str], memory_gb: float) -> dict[tuple[str, int], Measured]:
    """Every way at every size; a way ends at its first size that is not solved in time."""
    found: dict[tuple[str, int], Measured] = {}
    running = list(ways)
    for size in sizes:
        for way in list(running):
            run = measure(*WAYS[way], (size, limit_s), limit_s, memory_gb)
            found[way, size] = run
            progress(f"{size} windows, {way}: {run.status}, {run.seconds:.1f} s {run.error}")
            if not run.ok and way != "planner":
                running.remove(way)
    return found


def report(found: dict[tuple[str, int], Measured]) -> bool:
    """Print the table; whether every way came to the same optimum."""
    rows, same = [], True
    for (way, size), run in found.items():
        ours = found.get(("planner", size))
        gap = None
        if run.ok and ours is not None and ours.ok and way != "planner":
            gap = abs(run.out["cost"] - ours.out["cost"]) / abs(ours.out["cost"])
            same = same and gap <= SAME_FRAC
        stopped = run.status == "limit"
        basis = ours if ours is not None and ours.ok and (run.ok or stopped) else None
        rows.append(
            [
                size, way, run.out.get("rows", "-"), run.out.get("columns", "-"),
                spent(run), number(run.cpu_s), number(run.peak_mb), number(run.ready_mb),
                ratio(run.cpu_s, basis.cpu_s if basis else None, stopped) if way != "planner" else "1",
                ratio(run.peak_mb, basis.peak_mb if basis else None, stopped) if way != "planner" else "1",
                f"{run.out['cost']:.6f}" if run.ok else "-", f"{gap:.0e}" if gap is not None else "-",
            ]
        )  # fmt: skip
    heads = (
        "windows", "way", "rows", "columns", "seconds", "CPU s", "peak MB", "at start",
        "time ratio", "memory ratio", "cost MUSD", "off by",
    )  # fmt: skip
    table(heads, rows)
    print(
        "ratios: this way over the planner's rows with the same windows, time in CPU seconds; '>' where it was stopped"
    )
    print("same optimum to 1e-6:", "yes, wherever more than one way came to an end" if same else "NO")
    say_busy(found.values())
    return same


def main() -> int:
    parser = argparse.ArgumentParser(description="Outage rows against dispatch models")
    parser.add_argument("--quick", action="store_true", help="limit 60 s and fewer sizes")
    parser.add_argument("--limit", type=float, help="seconds per run (600, quick 60)")
    parser.add_argument("--sizes", help="numbers of windows, with commas")
    parser.add_argument("--ways", default=",".join(WAYS), help="planner,pyomo,pypsa")
    parser.add_argument("--memory-gb", type=float, default=12.0)
    asked = parser.parse_args()
    sizes = [int(n) for n in asked.sizes.split(",")] if asked.sizes else list(QUICK_SIZES if asked.quick else SIZES)
    limit_s = asked.limit or (60.0 if asked.quick else 600.0)
    header(f"Outage rows against dispatch, limit {limit_s:g} s per run", SEED, ("pypsa", "linopy"))
    return 0 if report(run_all(sizes, limit_s, asked.ways.split(","), asked.memory_gb)) else 1


if __name__ == "__main__":
    sys.exit(main())
