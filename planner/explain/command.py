"""``planner explain``: read a folder, answer, keep, show."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from planner.answers import Explanation, ProblemKind
from planner.explain.board import Asked, explain_plan
from planner.explain.files import keep_json, read_known, read_orders, read_plan, read_question, write_explanation
from planner.explain.orders import Counts
from planner.explain.show import print_explanation
from planner.faults import Fault, InputError, known_name, limit_faults, shown
from planner.problem import Problem
from planner.report import left_aside_words, write_report
from planner.rulebook import rules_of
from planner.solve import Stop
from planner.terminal import LiveLine, console_on, say
from planner.writing import json_text, make_folder


@dataclass(frozen=True)
class Request:
    """What ``planner explain`` was asked to do; see its options."""

    folder: Path
    offers: tuple[str, ...]
    rules: tuple[str, ...]
    ranges: bool
    alternatives: bool
    baselines: bool
    compare: tuple[Path, ...]
    case: str | None
    overrides: tuple[str, ...]
    problem_kind: ProblemKind | None
    gap_frac: float | None
    budget_s: float
    afresh: bool
    as_json: bool
    quiet: bool


def carry_out(request: Request, out: TextIO) -> bool:
    """Answer a request; return whether everything was finished.

    Raises
    ------
    InputError
        With every fault of the options, the folder and the files.
    """
    faults = limit_faults(request.gap_frac, request.budget_s)
    plan = read_plan(request.folder, faults)
    if plan is None or faults:
        raise InputError(faults)
    problem = read_question(plan, request.folder, request.case, request.overrides)
    asked = _asked(request, problem)
    make_folder(request.folder)
    known = None if request.afresh else read_known(request.folder)
    stop = Stop(request.budget_s)
    with LiveLine(request.quiet) as line:
        found = explain_plan(
            problem, plan, asked, problem_kind=request.problem_kind, gap_frac=request.gap_frac, known=known,
            keep=lambda answers: keep_json(answers, request.folder), note=line.note, stop=stop,
        )  # fmt: skip
    write_explanation(found, request.folder)
    _show(found, request, out)
    if found.unfinished:
        say(f"{len(found.unfinished)} questions were not answered in time; the same command goes on from here.")
    if not request.quiet:
        say(f"Written to {request.folder}: explain.json, and tables explain_*.csv and .parquet.")
    _report(request)
    return not found.unfinished


def _report(request: Request) -> None:
    """Draw page and workbook anew with the answers; a folder that cannot be drawn does not cost the answers."""
    aside: list[Fault] = []
    try:
        written = write_report(request.folder, left_aside=aside)
    except InputError as error:
        say(f"report.html and report.xlsx were not written again:\n{error}")
        return
    say(left_aside_words(aside))
    if not request.quiet:
        say(f"Written: {', '.join(str(path) for path in written)}.")


def _asked(request: Request, problem: Problem) -> Asked:
    """Names checked against the question; everything if no chapter was named."""
    faults: list[Fault] = []
    offers = [o.offer for o in problem.offers]
    rules = [r.name for r in rules_of(problem)]
    checks: tuple[tuple[str, tuple[str, ...], list[str]], ...] = (
        ("--offer", request.offers, offers),
        ("--rule", request.rules, rules),
    )
    for option, names, known in checks:
        faults += [Fault(option, "", shown(n), known_name(n, known)) for n in names if n not in known]
    compare: dict[str, Counts] = {}
    for path in request.compare:
        try:
            compare[str(path)] = read_orders(path, problem)
        except InputError as error:
            faults += error.faults
    if faults:
        raise InputError(faults)
    asked = Asked(
        offers=request.offers, rules=request.rules, ranges=request.ranges, alternatives=request.alternatives,
        baselines=request.baselines, compare=compare,
    )  # fmt: skip
    return Asked.everything() if asked.nothing else asked


def _show(found: Explanation, request: Request, out: TextIO) -> None:
    if request.as_json:
        out.write(json_text(found))
    elif not request.quiet:
        print_explanation(found, console_on(out), request.offers)
    out.flush()
