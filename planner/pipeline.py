"""``plan(problem)``: search, decode, replay, judge."""

from __future__ import annotations

import hashlib
import platform
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from importlib.metadata import version

import numpy as np

from planner import account, decode, sourced
from planner.catalogue import CONFIDENCE_ORDER, Row
from planner.decode import Decision
from planner.evidence import dossier
from planner.model.coefficients import Coefficients
from planner.model.reliability import RowKey
from planner.problem import Problem
from planner.results import Plan, PlanStatus
from planner.search import Search, Solution
from planner.solve import Progress, Stop, solver_version
from planner.taxes import in_view, public_musd
from planner.verify import verify
from planner.waterfall import requirement_waterfall

#: Plans within this of the bound are called optimal: the solver's own tolerance, in million USD.
PROVED_OPTIMAL_MUSD = 3e-6


def plan(
    problem: Problem,
    *,
    gap_frac: float | None = None,
    time_limit_s: float | None = None,
    audit: bool = False,
    progress: Progress | None = None,
    note: Callable[[str], None] = lambda text: None,
    known_rows: tuple[RowKey, ...] | Callable[[Coefficients], tuple[RowKey, ...]] = (),
    neighbour: Mapping[str, float] | None = None,
    found: Callable[[Search, Solution], None] = lambda search, solution: None,
) -> Plan:
    """Cheapest whole-container portfolio of a problem, replayed and judged.

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
    known_rows
        Outage rows of an earlier search on the same case, to start from; or what finds them from the coefficients.
    neighbour
        ``Search.choices`` of a plan of a case much like this one, to start from.
    found
        Called with the search and its solution, for what a neighbour starts from.

    Raises
    ------
    planner.solve.Infeasible
        No plan satisfies the rules; ``planner.infeasible.explain`` says which clash.
    planner.solve.NoPlan
        Stopped before any plan was found.
    """
    began = time.perf_counter()
    gap = problem.case.solver.gap_frac if gap_frac is None else gap_frac
    limit = problem.case.solver.time_limit_s if time_limit_s is None else time_limit_s
    stop = Stop(limit)
    note("reading rules")
    c = Coefficients(problem)
    search = Search(c, stop, gap, problem.case.solver.seed, progress, note, neighbour=neighbour or {})
    solution = search.run(known_rows(c) if callable(known_rows) else known_rows)
    found(search, solution)
    note("verifying")
    return judged(search, solution, gap, audit=audit, began=began)


def judged(search: Search, solution: Solution, gap_frac: float, *, audit: bool = False, began: float) -> Plan:
    """Decode a solution, replay it and judge it.

    Parameters
    ----------
    search
        That found the solution.
    solution
        Its best plan.
    gap_frac
        Gap that was asked for.
    audit
        Replay every outage window, not only the tightest.
    began
        ``time.perf_counter()`` when the work began.
    """
    found = _gather(search.c, search, solution, gap_frac)
    at = time.perf_counter()
    with search.stop.catching_interrupt():  # Ctrl-C now must not lose the plan
        verdict = verify(search.c.problem, found, audit=audit)
    timing = found.timing_s | {"verification": time.perf_counter() - at, "total": time.perf_counter() - began}
    status = found.status if verdict.passed else "unverified"
    judged_plan = found.model_copy(update={"verification": verdict, "timing_s": timing, "status": status})
    return judged_plan.with_schedules(found.schedules)


def _status(solution: Solution, gap: float) -> PlanStatus:
    if solution.cost_musd - solution.bound_musd <= PROVED_OPTIMAL_MUSD:
        return "optimal"
    if solution.gap_frac <= gap:
        return "gap_limit"
    return "interrupted" if solution.interrupted else "time_limit"


def stated(c: Coefficients, d: Decision, bound_musd: float) -> Plan:
    """Every figure that follows from a decision alone: not yet verified, without waterfall and provenance.

    Parameters
    ----------
    c, d
        The problem's coefficients and what is decided.
    bound_musd
        Below which no plan lies; taken as the cost where it is above.
    """
    problem = c.problem
    items = account.all_items_musd(c, d)
    breakdown = in_view(items, problem.case.objective)
    cost = sum(breakdown.values())
    bound = min(bound_musd, cost)
    return Plan(
        case=problem.case.case,
        title=problem.case.title,
        input_sha256=problem.input_sha256,
        status="gap_limit",
        cost_musd=cost,
        bound_musd=bound,
        gap_frac=(cost - bound) / max(abs(cost), 1e-9),
        orders=decode.orders(c, d),
        placements=decode.placements(c, d),
        zone_options=decode.zone_choices(c, d),
        retirements=decode.retirements(c, d),
        cost_breakdown_musd=breakdown,
        public_musd=public_musd(items),
        views_musd=account.views_musd(items),
        credit_pools=decode.credit_pools(c, d),
        entities=account.entities(c, d),
        exposure_frac=account.exposure_frac(c, d),
        domestic_content_frac=account.content_frac(c, d, c.domestic),
        macr_frac=account.macr_frac(c, d),
        sourcing=sourced.replacements(c, d),
        sourced_layers=sourced.layers_by_source(c, d),
        credit_state={h.phase: d.states[i] for i, h in enumerate(problem.case.policy.phases)},
        served_mw={p.label: float(mw) for p, mw in zip(problem.periods, d.served_mw, strict=True)},
        critical_path=account.critical_path(c, d),
        reliability=account.margins(c, d),
        fire=account.zone_use(c, d),
        requirement_waterfall_mwh=(),
        required_mwh=c.required_mwh,
        assumptions=(),
        verification=None,
        timing_s={},
        provenance={},
        operations=None if d.operated is None else d.operated.record(c),
    ).with_schedules({} if d.operated is None else d.operated.schedules(c))


def _gather(c: Coefficients, search: Search, solution: Solution, gap: float) -> Plan:
    """Everything but the verdict."""
    problem = c.problem
    d = decode.decode(c, search.model, search.compiled, solution.x)
    if search.settlement is not None:
        d = replace(d, operated=search.settlement.operated(solution.x, solution.years))
    plan = stated(c, d, solution.bound_musd)
    relaxed = np.append(solution.relaxed_x, 0.0)[search.columns.containers]
    return plan.model_copy(
        update={
            "status": _status(solution, gap),
            "requirement_waterfall_mwh": requirement_waterfall(c, d, relaxed),
            "assumptions": _assumptions(problem),
            "timing_s": solution.timing_s,
            "provenance": _provenance(problem, solution, {problem.offers[o].offer for o in d.tier}),
            "dossier": dossier(c, d, plan.cost_musd - plan.bound_musd),
        }
    ).with_schedules(plan.schedules)


def _assumptions(problem: Problem) -> tuple[str, ...]:
    """What every reader must know before using the figures."""
    reliability = problem.case.reliability
    known = "known when it starts" if reliability.length_known else "unknown when it starts"
    return (
        f"The length of an outage is {known}.",
        "A contingency strikes when the outage starts; power is constant over the window; dispatch is divisible.",
        _before_outages(problem),
        "On-site PV serves load directly; charging from it during an outage is not counted.",
        *_credit_reading(problem),
        *_sourcing_reading(problem),
        *problem.notes,
    )


def _before_outages(problem: Problem) -> str:
    """What the fleet holds when an outage starts."""
    full = problem.case.reliability.reserve_frac
    if problem.case.operating is None:
        return f"Before each outage the fleet holds {full:.0%} of its usable energy; it is not recharged."
    return (
        f"The fleet is operated between what is held back for outages and {full:.0%} of its usable energy; an outage"
        " finds at least what is held back, and the fleet is not recharged while it lasts."
    )


def _sourcing_reading(problem: Problem) -> tuple[str, ...]:
    """How sources before the cell were chosen, and what their premiums leave out."""
    if problem.case.sourcing.mode != "free":
        return ()
    how = (
        "followed to the mine, by value"
        if problem.case.sourcing.traced
        else "not followed: the maker of the cells counts"
    )
    return (
        "Sources before the cell are chosen where the maker accepts it; what is not chosen stays as the tables say.",
        "What a node gives is weighted with the probability that it is there; premiums are paid at delivery and earn no"
        " tax credit.",
        f"For material assistance the materials of the cells are {how}.",
    )


def _rows_sha256(rows: Iterable[Row]) -> str:
    """Digest of the rows of one table that entered."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(row.model_dump_json().encode("utf-8", "backslashreplace"))
    return digest.hexdigest()


def _credit_reading(problem: Problem) -> tuple[str, ...]:
    """How the tax-credit tests were applied, and what is assumed about the credit later."""
    case = problem.case
    if case.policy.monetisation == "none" or not case.policy.phases:
        return ()
    texts = {
        "phase": "The content tests hold for each construction phase as a whole.",
        "pools": "The content tests hold for each pool of containers by itself (a legal reading to be confirmed); a"
        " pool may take a fraction of a container.",
    }
    scenario = case.credits.recapture
    taken = (
        f"Stated scenario: the credit is recaptured in year {scenario.year}, probability {scenario.probability_frac:g}."
    )
    return (texts[case.credits.unit], *((taken,) if scenario.probability_frac > 0 else ()))


def _provenance(problem: Problem, solution: Solution, bought: set[str]) -> dict[str, object]:
    """Versions, sizes, and the confidence of the rows behind the plan."""
    rows = [row for table in problem.rows.values() for row in table if not hasattr(row, "offer") or row.offer in bought]
    counts = {level: sum(r.confidence == level for r in rows) for level in CONFIDENCE_ORDER}
    return {
        "planner": version("storage-portfolio-planner"),
        "solver": "HiGHS",
        "solver_version": solver_version(),
        "python": platform.python_version(),
        "data_rows_used": len(rows),
        "rows_by_confidence": counts,
        "lowest_confidence": next((level for level in CONFIDENCE_ORDER if counts[level]), None),
        "solver_rows": solution.solver_rows,
        "solver_columns": solution.solver_columns,
        "outage_rows": len(solution.rows),
        "table_sha256": {name: _rows_sha256(table) for name, table in sorted(problem.rows.items()) if table},
        "buyer": problem.case.buyer,
        "disputed": problem.case.policy.disputed,
        "question": dict(problem.asked),
    }
