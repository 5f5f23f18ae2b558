"""How the plan's time and memory grow with the size of the question.

    python benchmarks/scaling.py [--quick] [--case NAME] [--limit SECONDS] [--only offers zones ...]

One size is doubled twice while all else stays at the base case:

- offers: every storage offer again under another supplier (own contingencies, own fire
  group), prices off by up to 5 %, factories shared with the original. Generators and
  contracts stay.
- years: delivery years in yearly periods, BASE_YEARS, then twice and four times as many; the
  later rounds and the horizon follow from the case.
- zones: every zone cut across its length into two and four; fire areas are shared out.
- load years: years of hourly load behind the requirement curve.
- contingencies: kinds that must be survived, 1, 3 and 7, with the shares of ``SHARES``.

Measured: ``planner.plan`` from a problem in memory to the verified plan, in a process of its
own; reading the case does not count. Rows and columns are those of the last mixed-integer
problem, the outage rows in it written apart. Ratios are to the first line of each block.

Not measured: that more offers or zones make a *harder* or an easier question of the same
size: integer programs of one size can differ by a factor of ten, and one instance per size is
no average. A run at its time limit says with which gap it ended.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from common import GRACE_S, Measured, header, measure, number, progress, ratio, say_busy, table

from planner.inputs import load_case
from planner.model.coefficients import Coefficients
from planner.pipeline import plan
from planner.problem import Offer, Problem
from planner.solve import Infeasible, NoPlan

SEED = 1
BASE_YEARS = 4
SHARES = {
    "fire_group": 1.0, "supplier": 0.5, "country": 0.4, "chemistry": 0.2,
    "cell_maker": 0.5, "cell_factory": 0.5, "software": 0.4,
}  # fmt: skip
#: Load years of the base case.
BASE = ("load.shape.years=2",)


def with_offers(problem: Problem, times: int) -> Problem:
    """Every storage offer ``times`` times over, by as many suppliers."""
    random = np.random.default_rng(SEED)
    offers, suppliers = list(problem.offers), list(problem.tables.suppliers)
    rows = {s.supplier: s for s in suppliers}
    for copy in range(2, times + 1):
        for offer in problem.offers:
            if offer.is_storage:
                name = f"{offer.supplier} {copy}"
                offers.append(_renamed(offer, name, copy, float(random.uniform(0.95, 1.05))))
                if all(s.supplier != name for s in suppliers):
                    suppliers.append(rows[offer.supplier].model_copy(update={"supplier": name}))
    return replace(problem, offers=tuple(offers), tables=replace(problem.tables, suppliers=tuple(suppliers)))


def _renamed(offer: Offer, supplier: str, copy: int, factor: float) -> Offer:
    price = {year: usd * factor for year, usd in offer.price.items()}
    return offer.model_copy(update={"offer": f"{offer.offer}-{copy}", "supplier": supplier, "price": price})


def with_zones(problem: Problem, times: int) -> Problem:
    """Every zone cut into ``times`` parts of equal length."""
    zones = []
    for zone in problem.case.site.zones:
        for part in range(times):
            changes: dict[str, Any] = {
                "zone": f"{zone.zone}-{part + 1}",
                "length_m": zone.length_m / times,
                "fire_areas": max(1, (zone.fire_areas + part) // times),
            }
            if zone.hazard_budget_mwh is not None:
                changes["hazard_budget_mwh"] = zone.hazard_budget_mwh / times
            zones.append(zone.model_copy(update=changes))
    site = problem.case.site.model_copy(update={"zones": tuple(zones)})
    return replace(problem, case=problem.case.model_copy(update={"site": site}))


def contingencies(kinds: int) -> tuple[str, ...]:
    """Overrides that leave the first ``kinds`` contingencies on."""
    return tuple(
        f"reliability.contingencies.{kind}={share if n < kinds else 'null'}"
        for n, (kind, share) in enumerate(SHARES.items())
    )


def unchanged(problem: Problem, _: int) -> Problem:
    """The problem as the overrides made it."""
    return problem


#: name: (sizes, overrides of a size, change of the loaded problem)
SERIES: dict[str, tuple[tuple[int, ...], Callable[[int], tuple[str, ...]], Callable[[Problem, int], Problem]]] = {
    "offers": ((1, 2, 4), lambda _: (), with_offers),
    "years": (
        (BASE_YEARS, 2 * BASE_YEARS, 4 * BASE_YEARS),
        lambda n: (f"timeline.periods=[{{months: 12, count: {n}}}]",),
        unchanged,
    ),
    "zones": ((1, 2, 4), lambda _: (), with_zones),
    "load years": ((2, 4, 8), lambda n: (f"load.shape.years={n}",), unchanged),
    "contingencies": ((1, 3, 7), contingencies, unchanged),
}


def prepare(
    case: str, series: str, size: int, limit_s: float, gap_frac: float
) -> tuple[Problem, dict[str, Any], float, float]:
    """Read the case, change one size, and count."""
    _, overrides, change = SERIES[series]
    problem = change(load_case(case, (*BASE, *overrides(size))), size)
    sizes = {
        "offers": len(problem.offers), "periods": len(problem.periods), "zones": len(problem.case.site.zones),
        "steps": len(problem.load_pu), "losses": len(Coefficients(problem).contingencies),
    }  # fmt: skip
    return problem, sizes, limit_s, gap_frac


def run_plan(ready: tuple[Problem, dict[str, Any], float, float]) -> dict[str, Any]:
    """The plan, and the size of the question."""
    problem, sizes, limit_s, gap_frac = ready
    try:
        found = plan(problem, gap_frac=gap_frac, time_limit_s=limit_s)
    except NoPlan:
        return sizes | {"status": "no plan in time"}
    except Infeasible:
        return sizes | {"status": "infeasible"}
    return sizes | {
        "status": found.status, "gap": found.gap_frac, "cost": found.cost_musd, "timing_s": dict(found.timing_s),
        **{k: found.provenance[k] for k in ("solver_rows", "solver_columns", "outage_rows")},
    }  # fmt: skip


def run_series(case: str, series: str, limit_s: float, gap_frac: float) -> list[tuple[int, Measured]]:
    """One block: every size of a series."""
    runs = []
    for size in SERIES[series][0]:
        progress(f"{series} {size}")
        args = (case, series, size, limit_s, gap_frac)
        runs.append((size, measure(prepare, run_plan, args, limit_s * 1.2 + GRACE_S)))
    return runs


COUNTED = ("offers", "periods", "zones", "steps", "losses", "solver_rows", "solver_columns", "outage_rows")


def report(series: str, runs: list[tuple[int, Measured]]) -> None:
    """Print one block."""
    lines, first = [], runs[0][1]
    for size, run in runs:
        out = run.out
        steps = out.get("timing_s", {})
        solved = run.ok and "gap" in out
        stopped = out.get("status") in ("time_limit", "no plan in time") or run.status == "limit"
        both = run.status in ("ok", "limit") and first.ok and first.out.get("status") in ("optimal", "gap_limit")
        lines.append(
            [
                size, *(out.get(k, "-") for k in COUNTED), number(run.seconds), number(steps.get("verification")),
                number(run.peak_mb), out.get("status", run.error[:50] or run.status),
                f"{out['gap']:.2%}" if solved else "-",
                ratio(run.seconds, first.seconds, stopped) if both else "-",
                ratio(run.peak_mb, first.peak_mb, stopped) if both else "-",
            ]
        )  # fmt: skip
    heads = (
        "size", "offers", "periods", "zones", "load steps", "losses", "rows", "columns", "outage rows",
        "seconds", "of it verifying", "peak MB", "status", "gap", "time ratio", "memory ratio",
    )  # fmt: skip
    print(f"{series}:")
    table(heads, lines)


def main() -> int:
    parser = argparse.ArgumentParser(description="Growth of time and memory")
    parser.add_argument("--quick", action="store_true", help="limit 30 s, gap 2 %%")
    parser.add_argument("--case", default="utility-200mw")
    parser.add_argument("--limit", type=float, help="seconds per run (300, quick 30)")
    parser.add_argument("--gap", type=float, help="gap asked for (0.5 %%, quick 2 %%)")
    parser.add_argument("--only", nargs="+", choices=list(SERIES), default=list(SERIES))
    asked = parser.parse_args()
    limit_s = asked.limit or (30.0 if asked.quick else 300.0)
    gap = asked.gap or (0.02 if asked.quick else 0.005)
    header(f"Growth of {asked.case}: gap {gap:.1%}, limit {limit_s:g} s per run", SEED)
    seen = []
    for series in asked.only:
        runs = run_series(asked.case, series, limit_s, gap)
        report(series, runs)
        seen += [r for _, r in runs]
    say_busy(seen)
    return 0


if __name__ == "__main__":
    sys.exit(main())
