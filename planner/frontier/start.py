"""The cheapest plan of a front, kept beside its state: going on takes it up instead of searching for it again.

Searching again would cost time, and could end at another plan of the same gap, from which another front starts.
"""

from __future__ import annotations

import json
import time
from dataclasses import astuple, dataclass
from importlib.metadata import version
from pathlib import Path

from planner.frontier.campus import columns_of, values_by_name
from planner.model.coefficients import Coefficients
from planner.model.reliability import RowKey
from planner.operations.schedule import YearPlan, years_musd
from planner.pipeline import judged
from planner.problem import Problem
from planner.results import Plan
from planner.search import Search, Solution
from planner.solve import Stop
from planner.writing import write_texts

#: Name of the file.
START = "cheapest.json"


def keep_start(folder: Path, problem: Problem, search: Search, solution: Solution) -> None:
    """Write what is needed to take the cheapest plan up again."""
    kept = {
        "asked": _asked(problem),
        "cost_musd": solution.cost_musd,
        "bound_musd": solution.bound_musd,
        "rows": [astuple(row) for row in solution.rows],
        "x": values_by_name(search, solution.x),
        "relaxed_x": values_by_name(search, solution.relaxed_x),
        "solver_rows": solution.solver_rows,
        "solver_columns": solution.solver_columns,
    }
    write_texts({START: json.dumps(kept)}, folder)


@dataclass(frozen=True)
class Kept:
    """The cheapest plan as a file holds it: rows it was found with, columns by name, cost, bound, size of the model."""

    rows: tuple[RowKey, ...]
    x: dict[str, float]
    relaxed_x: dict[str, float]
    cost_musd: float
    bound_musd: float
    size: tuple[int, int]


def read_start(folder: Path, problem: Problem) -> Kept | None:
    """What was kept; None if there is nothing for this question."""
    try:
        kept = json.loads((folder / START).read_text("utf-8"))
        if kept.get("asked") != _asked(problem):
            return None
        return Kept(
            tuple(RowKey(*row) for row in kept["rows"]), kept["x"], kept["relaxed_x"],
            float(kept["cost_musd"]), float(kept["bound_musd"]),
            (int(kept["solver_rows"]), int(kept["solver_columns"])),
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError):
        return None


def take_up_start(kept: Kept, problem: Problem, stop: Stop, audit: bool) -> tuple[Plan, Search, Solution] | None:
    """The kept plan, scheduled and judged anew; None if its load is not served."""
    began = time.perf_counter()
    gap = problem.case.solver.gap_frac
    search = Search(Coefficients(problem), stop, gap, problem.case.solver.seed)
    search.prepare(kept.rows)
    columns, relaxed = columns_of(search, kept.x), columns_of(search, kept.relaxed_x)
    cost, years = kept.cost_musd, tuple[YearPlan, ...]()
    if search.settlement is not None:  # schedules, and what years teach, are not kept
        years = search.settlement.schedule(columns)
        if any(year.misses_load for year in years):
            return None
        search.settlement.settle(columns)
        cost = float(search.compiled.cost @ columns) + search.compiled.offset
        cost += years_musd(search.settlement.cuts.campus, list(years)) - search.settlement.counted_musd(columns)
    solution = Solution(columns, cost, min(kept.bound_musd, cost), relaxed, {}, kept.rows, False, *kept.size, years)
    return judged(search, solution, gap, audit=audit, began=began), search, solution


def _asked(problem: Problem) -> list[str]:
    return [version("storage-portfolio-planner"), problem.input_sha256, repr(problem.case.solver)]
