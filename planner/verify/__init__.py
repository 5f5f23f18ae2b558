"""Independent check of a plan: it sees the question and the answer, never the model."""

from __future__ import annotations

from planner.problem import Problem
from planner.results import Plan, Verification
from planner.simulate import monte_carlo as draw_failures
from planner.verify.content import check_credits, check_exposure
from planner.verify.fleet import Fleet, build_fleet
from planner.verify.governance import check_critical_path, check_shares
from planner.verify.ledger import check_cost
from planner.verify.lookup import Book
from planner.verify.operations import check_operations
from planner.verify.reliability import Outages, check_outages, check_ride_through
from planner.verify.rules import check_mandate, check_purchase, check_retirements, check_served, note_oddities
from planner.verify.sourced import check_sourcing, read_taken
from planner.verify.tally import TOLERANCE, Tally
from planner.verify.windows import check_replay
from planner.verify.zones import check_strict, check_zones

__all__ = ["verify"]


def verify(
    problem: Problem, plan: Plan, *, audit: bool = False, seed: int = 1, monte_carlo: bool = True
) -> Verification:
    """Recompute a plan from the tables and replay its outages.

    Parameters
    ----------
    problem
        The planning question.
    plan
        The claimed answer; it may be nonsense.
    audit
        Replay every start step, not only the tightest and some random ones.
    seed
        Of the random windows and failures.
    monte_carlo
        Whether to draw container failures as well.

    Returns
    -------
    Verification
        Residuals, errors in sentences, findings, and the loss of load under random failures.
    """
    tally = Tally()
    book = Book(problem)
    _check_head(problem, plan, tally)
    fleet = tally.guard("orders_known", build_fleet, problem, plan, book, tally)
    replayed = 0
    drawn: dict[str, float] = {}
    if fleet is not None:
        replayed = _check_all(fleet, plan, tally, audit, seed)
        if monte_carlo:
            drawn = tally.guard("monte_carlo", lambda: draw_failures(problem, plan, seed=seed)) or {}
    passed = not tally.errors and all(v <= TOLERANCE for v in tally.residuals.values())
    return Verification(
        passed=passed,
        tolerance=TOLERANCE,
        residuals=dict(sorted(tally.residuals.items())),
        errors=tuple(tally.errors),
        findings=tuple(dict.fromkeys(tally.findings)),
        replayed_windows=replayed,
        monte_carlo=drawn,
    )


def _check_head(problem: Problem, plan: Plan, tally: Tally) -> None:
    """The plan must answer this very question."""
    tally.hold("input")
    if plan.input_sha256 != problem.input_sha256:
        tally.fail("input", f"the plan answers input {plan.input_sha256!r}, not {problem.input_sha256!r}")
    if plan.case != problem.case.case:
        tally.fail("input", f"the plan is of case {plan.case!r}, not {problem.case.case!r}")


def _check_all(fleet: Fleet, plan: Plan, tally: Tally, audit: bool, seed: int) -> int:
    """Run every check on its own, so that one fault hides no other."""
    taken = tally.guard("sourcing", read_taken, fleet, plan, tally) or []
    tally.guard("sourcing", check_sourcing, fleet, plan, taken, tally)
    blank = {p.label: 0.0 for p in fleet.problem.periods}
    served = tally.guard("served", check_served, fleet, plan, tally) or blank
    tally.guard("supply", check_purchase, fleet, plan, tally)
    tally.guard("retirements", check_retirements, fleet, plan, tally)
    tally.guard("storage_mandate", check_mandate, fleet, served, tally)
    tally.guard("content", check_credits, fleet, plan, tally, taken)
    tally.guard("max_share", check_shares, fleet, tally)
    tally.guard("critical_path", check_critical_path, fleet, plan, tally)
    tally.guard("zone_option", check_zones, fleet, plan, tally)
    tally.guard("fire_strict", check_strict, fleet.problem, fleet, plan, tally)
    tally.guard("balance", check_operations, fleet, plan, served, tally)
    tally.guard("cost", check_cost, fleet, plan, tally, taken)
    outages = tally.guard("reliability", Outages, fleet, served)
    replayed = 0
    if outages is not None:
        required = tally.guard("required", outages.required_mwh) or 0.0
        tally.guard("exposure", check_exposure, fleet, plan, required, tally, taken)
        rows = tally.guard("reliability", check_outages, outages, plan, tally)
        tally.guard("ride_through", check_ride_through, outages, tally)
        if rows is not None:
            replayed = tally.guard("replay", check_replay, outages, rows, tally, audit, seed) or 0
    tally.guard("findings", note_oddities, fleet, plan, served, tally)
    return replayed
