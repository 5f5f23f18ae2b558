"""The planner's formulation and search against a big-M version of the same model.

    python benchmarks/formulation.py [--quick] [--check] [--hull-alone] [--whole-placements]
                                     [--cases NAME ...] [--limits free 0.15 ...]

- ``planner``: ``planner.search.Search``, end to end: coefficients, model, lazy outage rows,
  containers continuous for the bound, whole containers, whole placements.
- ``big-M``: price tiers and tax credits written on money. One discount variable per award
  and tier, at most the discount expression, and at most M x tier; one credit variable per
  construction phase and state, at most the credit expression, and at most M x state; the
  credit that a discount takes away is a variable relaxed by M (1 - tier); both content
  ratios are relaxed by M x (state without the credit). Every M is the tightest that follows
  from the bounds of the containers in its own row. One HiGHS run.
- ``hull alone`` (``--hull-alone``): the planner's own model in one HiGHS run, to tell what
  the formulation does from what the search does.

The same in all: container bounds, whole containers, binaries, every other row of the model
(taken from ``planner.model.build`` itself, so that later rows come along), gap, seed, one thread.

The other two are given three advantages: the outage rows that our search ended with,
at no cost (writing all rows is some 100,000 dense ones); no check afterwards of the rows that
were not given; and placements in fractions (an easier problem: ours places whole containers;
``--whole-placements`` takes this one back). Their optimum can therefore lie a little below ours.

Time: wall time from tables in memory to the gap, without imports and reading; on a shared machine
the limit is then too short for all. A run that does not reach the gap counts as the limit.

Not compared: other solvers, other ways to write big-M (indicators, SOS), tightening of the
M by solving for bounds first. The ratio of planner to big-M mixes formulation with search;
``--hull-alone`` splits the two. ``--check`` proves on small questions (``tests/small.py``), with
every outage row and no gap, that all three have the same optimum.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from typing import Any

import numpy as np
import pyomo.environ as pyo
from bigm import BigM
from common import GRACE_S, ROOT, Measured, header, measure, number, progress, ratio, say_busy, table

from planner.inputs import load_case
from planner.model.build import assemble
from planner.model.coefficients import Coefficients
from planner.model.reliability import RowKey, all_rows
from planner.problem import Problem, Tier
from planner.search import Search
from planner.solve import Compiled, Infeasible, NoPlan, Run, Stop

#: The share of the requirement that may be cells made in China; without a limit the plan has some 0.2.
LIMITS = ("free", "0.15", "0.1", "0.05")
GAP_FRAC = 0.001
SEED = 1
SAME_FRAC = 1e-6


# -- measured work ------------------------------------------------------------------------


Ready = tuple[Problem, float, list[RowKey], bool]


def prepare(name: str, overrides: tuple[str, ...], limit_s: float, rows: list[RowKey], whole: bool) -> Ready:
    """Read the case before the clock starts."""
    return load_case(name, overrides), limit_s, rows, whole


def run_planner(ready: Ready) -> dict[str, Any]:
    """The planner's search, end to end."""
    problem, limit_s, *_ = ready
    stop = Stop(limit_s)
    try:
        found = Search(Coefficients(problem), stop, GAP_FRAC, SEED).run()
    except Infeasible:
        return {"closed": True, "infeasible": True}
    except NoPlan:
        return {"closed": False, "gap": None}
    return {
        "closed": found.gap_frac <= GAP_FRAC, "gap": found.gap_frac, "cost": found.cost_musd, "bound": found.bound_musd,
        "rows": list(found.rows), "size": (found.solver_rows, found.solver_columns),
    }  # fmt: skip


def _one_run(arrays: Compiled, limit: Stop, gap_frac: float) -> dict[str, Any]:
    run = Run(arrays, limit, SEED)
    run.load(arrays.integer)
    found = run.solve(gap_frac)
    if found.infeasible:
        return {"closed": True, "infeasible": True}
    gap = max(0.0, found.objective - found.bound) / max(abs(found.objective), 1e-9) if found.x is not None else None
    return {
        "closed": found.finished, "gap": gap, "bound": found.bound, "x": found.x,
        "cost": found.objective if found.x is not None else None, "size": (len(arrays.row_lower), len(arrays.cost)),
    }  # fmt: skip


def _with_placements(arrays: Compiled, model: pyo.ConcreteModel, whole: bool) -> Compiled:
    columns = [j for v in model.placed.values() if (j := arrays.index(v)) >= 0]
    arrays.integer[columns] = whole
    return arrays


def run_big_m(ready: Ready) -> dict[str, Any]:
    """Big-M model with the given outage rows, one HiGHS run."""
    problem, limit_s, rows, whole = ready
    stop = Stop(limit_s)
    big = BigM(Coefficients(problem), rows)
    arrays = big.compiled()
    return _one_run(_with_placements(arrays, big.model, whole), stop, GAP_FRAC)


def run_hull(ready: Ready) -> dict[str, Any]:
    """The planner's model with the given outage rows, one HiGHS run."""
    problem, limit_s, rows, whole = ready
    stop = Stop(limit_s)
    model = assemble(Coefficients(problem), rows)
    return _one_run(_with_placements(Compiled.from_pyomo(model), model, whole), stop, GAP_FRAC)


def compare(name: str, limit: str, limit_s: float, hull_alone: bool, whole: bool) -> list[tuple[str, Measured]]:
    """Planner, then the others with its rows."""
    rows: list[RowKey] = []
    overrides = () if limit == "free" else (f"exposure_limits.cell.max_frac={limit}",)
    ways = [("planner", run_planner), ("big-M", run_big_m), *([("hull alone", run_hull)] if hull_alone else [])]
    runs = []
    for way, work in ways:
        progress(f"{name} {limit}: {way}")
        run = measure(prepare, work, (name, overrides, limit_s, rows, whole), limit_s + GRACE_S)
        runs.append((way, run))
        progress("  {} s, gap {}".format(*describe(run, limit_s)))
        rows = run.out.get("rows", rows)
        if not rows:
            progress(f"no plan from the planner, so no rows for the others: {run.error or run.out}")
            break
    return runs


def counted(run: Measured, limit_s: float) -> float:
    """Seconds, or the limit for a run that did not close its gap."""
    return run.seconds if run.ok and run.out["closed"] else limit_s


def describe(run: Measured, limit_s: float) -> tuple[str, str]:
    """(seconds, gap) in words."""
    if not run.ok and run.status != "limit":
        return run.status, run.error[:40]
    if run.out.get("infeasible"):
        return number(run.seconds), "infeasible"
    if run.ok and run.out["closed"]:
        return number(run.seconds), f"{run.out['gap']:.2%}"
    gap = run.out.get("gap")
    return f"> {number(limit_s)}", f"{gap:.2%}" if gap is not None else "no plan"


def report(names: list[str], limits: list[str], limit_s: float, hull_alone: bool, whole: bool) -> None:
    """Measure every case and print table and median."""
    lines, ratios, seen = [], [], []
    for name in names:
        for limit in limits:
            runs = compare(name, limit, limit_s, hull_alone, whole)
            ours = runs[0][1]
            seen += [r for _, r in runs]
            for way, run in runs:
                seconds, gap = describe(run, limit_s)
                times = counted(run, limit_s) / counted(ours, limit_s)
                valid = ours.ok and run.status in ("ok", "limit")
                if way == "big-M" and valid:
                    ratios.append(times)
                size = run.out.get("size", ("-", "-"))
                at_least = not (run.ok and run.out["closed"])
                cost = run.out.get("cost")
                lines.append(
                    [name, limit, way, *size, seconds, gap, number(cost, 7), number(run.peak_mb),
                     "1" if way == "planner" else ratio(times, 1.0, at_least) if valid else "-"]
                )  # fmt: skip
    table(
        ("case", "cells from China", "way", "rows", "columns", "seconds", "gap", "cost MUSD", "peak MB", "time ratio"),
        lines,
    )
    if ratios:
        median = statistics.median(ratios)
        print(f"median time ratio of big-M to planner: {median:.3g}x over {len(ratios)} cases;", end=" ")
        print(f"a run that did not reach the {GAP_FRAC:.1%} gap counts {limit_s:g} s")
    say_busy(seen)


# -- same optimum on small questions --------------------------------------------------------


def variants() -> list[tuple[str, Problem]]:
    """Small questions in which tiers, states and ratios bite in different ways."""
    sys.path.insert(0, str(ROOT))
    from tests.properties.questions import BASE_TIER, question  # noqa: PLC0415
    from tests.small import OFFERS  # noqa: PLC0415

    random = np.random.default_rng(SEED)

    def between(low: float, high: float) -> float:
        return float(random.uniform(low, high))

    made = [
        ("as it is", question()),
        ("elective pay", question(policy__monetisation="elective_pay")),
        ("no credits", question(policy__monetisation="none")),
        ("disputed refused", question(policy__monetisation="own", policy__disputed="refuse")),
        *(
            (f"exposure {most}", question(exposure_limits__cell={"max_frac": most, "per_period": False}))
            for most in (0.3, 0.1)
        ),
    ]
    for i in range(10):
        tiers = {
            name: (
                BASE_TIER,
                Tier(tier="bulk", from_mwh=between(50, 250), discount_frac=between(0.02, 0.12)),
                Tier(tier="mega", from_mwh=between(250, 500), discount_frac=between(0.12, 0.3)),
            )
            for name in ("Alpha", "Beta")
        }
        parts = {
            offer: {
                name: part.model_copy(
                    update={"us_made": between(0, 1) < 0.5, "prohibited": "no" if between(0, 1) < 0.6 else "yes"}
                )
                for name, part in OFFERS[offer]["components"].items()
            }
            for offer in ("Alpha", "Beta")
        }
        changes = {
            "Alpha": {"tiers": tiers["Alpha"], "components": parts["Alpha"]},
            "Beta": {"tiers": tiers["Beta"], "components": parts["Beta"], "price": {2029: between(90, 230)}},
        }
        way = ("own", "transfer", "elective_pay")[i % 3]
        # Without the floor on domestic content the ratios are missed in some of them.
        policies = {"policy__monetisation": way, "policy__domestic_floor_frac": 0.0}
        made.append((f"random {i + 1}, {way}", question(offer_changes=changes, **policies)))
    return made


def chosen(m: pyo.ConcreteModel, arrays: Compiled, x: np.ndarray) -> tuple[str, str]:
    """Tiers and credit states of a solution, in words."""
    values = np.append(x, 0.0)
    tiers = [f"{o}:{t}" for (o, t), v in m.tier.items() if values[arrays.index(v)] > 0.5]
    states = [q for (_, q), v in m.state.items() if values[arrays.index(v)] > 0.5]
    return " ".join(tiers), " ".join(states)


def check() -> bool:
    """Print the optima of every small question; whether they agree."""
    lines, fine = [], True
    for name, problem in variants():
        c = Coefficients(problem)
        rows = all_rows(c)
        hull = assemble(c, rows)
        arrays = Compiled.from_pyomo(hull)
        first = _one_run(arrays, Stop(300.0), 0.0)
        second = _one_run(BigM(c, rows).compiled(), Stop(300.0), 0.0)
        if first.get("infeasible") or second.get("infeasible"):
            same = bool(first.get("infeasible") and second.get("infeasible"))
            lines.append([name, len(rows), *["infeasible"] * 2, "-", "-", "-", "same" if same else "DIFFERS"])
        else:
            found = Search(c, Stop(300.0), 1e-6, SEED).run().cost_musd
            off = abs(first["cost"] - second["cost"]) / abs(first["cost"])
            # The search also places whole containers, so it may be dearer.
            same = off <= SAME_FRAC and found >= first["cost"] * (1 - SAME_FRAC)
            costs = [f"{cost:.6f}" for cost in (first["cost"], second["cost"], found)]
            lines.append([name, len(rows), *costs, *chosen(hull, arrays, first["x"]), "same" if same else "DIFFERS"])
        fine = fine and same
    table(("question", "outage rows", "hull", "big-M", "search", "tiers", "credit states", "verdict"), lines)
    return fine


def main() -> int:
    parser = argparse.ArgumentParser(description="The planner against big-M on money")
    parser.add_argument("--quick", action="store_true", help="the 200 MW case and a limit of 60 s")
    parser.add_argument("--check", action="store_true", help="only prove the same optimum on small questions")
    parser.add_argument("--hull-alone", action="store_true", help="also the planner's model in one HiGHS run")
    parser.add_argument("--whole-placements", action="store_true", help="whole placements for the others too")
    parser.add_argument(
        "--limits", nargs="+", default=list(LIMITS), help="free, or the largest share of cells from China"
    )
    parser.add_argument("--limit", type=float, help="seconds per run (600, quick 60)")
    parser.add_argument("--cases", nargs="+")
    asked = parser.parse_args()
    limit_s = asked.limit or (60.0 if asked.quick else 600.0)
    header(f"Hull and search against big-M on money, gap {GAP_FRAC:.1%}, limit {limit_s:g} s", SEED)
    if asked.check:
        return 0 if check() else 1
    names = asked.cases or ["utility-200mw" if asked.quick else "hyperscaler-1gw-texas"]
    report(names, asked.limits, limit_s, asked.hull_alone, asked.whole_placements)
    return 0


if __name__ == "__main__":
    sys.exit(main())
