"""The command line: every command, its options, and how it ends.

Exit codes: 0 solved to the gap asked and verified; 1 a defect in the planner, or a plan that
failed verification (kept); 2 bad input; 3 infeasible; 4 stopped with a plan; 5 stopped without.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated, TextIO

import typer

from planner.endings import BAD_INPUT, INFEASIBLE, OK, STOPPED, STOPPED_WITH_PLAN, defect, pipe_closed, reply
from planner.faults import Fault
from planner.terminal import console_on, plain, prepare_streams, say

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Which storage to buy for an AI campus, from whom, when and where: least cost under every rule.",
    epilog="Exit codes: 0 solved and verified, 1 defect or failed verification, 2 bad input, 3 infeasible,"
    " 4 stopped with a plan, 5 stopped without one. PLANNER_DEBUG=1 shows where a defect lies.",
)

CaseArgument = Annotated[
    str, typer.Argument(metavar="CASE", help="A case file, the name of a shipped case, or - for standard input.")
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY.PATH=VALUE", help="Change a key of the case; repeatable.")
]
ScenarioOption = Annotated[
    list[str] | None,
    typer.Option("--scenario", metavar="NAME", help="A future laid over the case: file or shipped name; repeatable."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Result as JSON on standard output, all else on error.")]
QuietOption = Annotated[bool, typer.Option("--quiet", help="No progress and no summary; faults are still shown.")]


def main() -> None:
    """Entry of the ``planner`` command: every ending is a message and an exit code."""
    prepare_streams()
    try:
        code = app(standalone_mode=False)
    except typer.Abort:
        code = STOPPED
    except Exception as error:
        code = _usage_fault(error)
    # Typer turns an interrupt before the command starts into 130
    sys.exit(STOPPED if code == 130 else code or OK)


def _usage_fault(error: Exception) -> int:
    """Say what is wrong with the command line; anything else is a defect."""
    words = getattr(error, "format_message", None)
    if words is None:
        return defect(error)
    say(f"{words()}\n'planner --help' and 'planner plan --help' list commands and options.")
    return BAD_INPUT


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"planner {version('storage-portfolio-planner')}")
        raise typer.Exit(OK)


@app.callback()
def _common(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


@app.command()
def check(
    case: CaseArgument,
    set_: SetOption = None,
    scenario: ScenarioOption = None,
    json_: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Show every fault of a case at once.

    A case without faults is then checked by arithmetic: what will bind, and what no plan can keep.
    """
    raise typer.Exit(_run(lambda out: _check(case, set_ or [], scenario or [], json_, quiet, out), json_))


@app.command()
def plan(
    case: CaseArgument,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Default: out/<case>.")] = None,
    set_: SetOption = None,
    gap: Annotated[float | None, typer.Option("--gap", help="Stop at this gap, as a fraction.")] = None,
    time_limit: Annotated[float | None, typer.Option("--time-limit", help="Stop after this many seconds.")] = None,
    audit: Annotated[bool, typer.Option("--audit", help="Replay every outage, not only the tightest.")] = False,
    prices: Annotated[
        bool, typer.Option("--prices", help="Solve again for the price of each doubt; rules: planner explain.")
    ] = False,
    scenario: ScenarioOption = None,
    json_: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Find the cheapest portfolio of a case.

    It is replayed independently, shown, and written as plan.json, tables (CSV, Parquet), a page and a workbook.
    """

    def job(stream: TextIO) -> int:
        from planner.plancommand import PlanWish

        wish = PlanWish(case, set_ or [], out, gap, time_limit, audit, json_, quiet, prices, scenario or [])
        return wish.carry_out(stream)

    raise typer.Exit(_run(job, json_))


@app.command()
def explain(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that 'planner plan' wrote.")],
    offer: Annotated[list[str] | None, typer.Option("--offer", help="Explain this offer; repeatable.")] = None,
    rule: Annotated[list[str] | None, typer.Option("--rule", help="Price this rule; repeatable.")] = None,
    ranges: Annotated[bool, typer.Option("--ranges", help="What all plans within 1 and 2 % share.")] = False,
    alternatives: Annotated[bool, typer.Option("--alternatives", help="Different plans of nearly the cost.")] = False,
    baselines: Annotated[bool, typer.Option("--baselines", help="All-China, all-allied, and the like.")] = False,
    compare: Annotated[
        list[Path] | None, typer.Option("--compare", help="Your own orders: plan.json or CSV; repeatable.")
    ] = None,
    case: Annotated[str | None, typer.Option("--case", help="The case, if the plan does not name it.")] = None,
    set_: SetOption = None,
    containers: Annotated[
        str | None, typer.Option("--containers", help="Solve in 'fractions' or in 'whole' ones; default by size.")
    ] = None,
    gap: Annotated[float | None, typer.Option("--gap", help="Gap of every question, as a fraction.")] = None,
    time_limit: Annotated[float, typer.Option("--time-limit", help="Seconds for everything.")] = 600.0,
    afresh: Annotated[bool, typer.Option("--afresh", help="Forget the answers of earlier runs.")] = False,
    json_: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Say why a plan is as it is, and what would change it: everything, or what the options name.

    Answers are kept in DIR (explain.json and tables), and the next run goes on from them.
    """

    def work(out: TextIO) -> int:
        from planner.explain.command import Request, carry_out
        from planner.faults import Fault, InputError
        from planner.solve import Infeasible

        if containers not in (None, "fractions", "whole"):
            raise InputError([Fault("--containers", "", plain(containers), "fractions or whole")])
        request = Request(
            folder, tuple(offer or ()), tuple(rule or ()), ranges, alternatives, baselines, tuple(compare or ()), case,
            tuple(set_ or ()), containers, gap, time_limit, afresh, json_, quiet,  # type: ignore[arg-type]
        )  # fmt: skip
        try:
            return OK if carry_out(request, out) else STOPPED_WITH_PLAN
        except Infeasible:
            say("Infeasible: the question of this plan has no plan with containers in fractions.")
            return reply(out, json_, INFEASIBLE, {"status": "infeasible"})

    raise typer.Exit(_run(work, json_))


@app.command()
def frontier(
    case: CaseArgument,
    measure: Annotated[str, typer.Option("--measure", help="Exposure measure, such as cell or value.")] = "cell",
    tolerance: Annotated[
        float, typer.Option("--tolerance", help="Share of the area between the ends that may stay uncovered.")
    ] = 0.01,
    workers: Annotated[int, typer.Option("--workers", help="Processes, each with one solver thread.")] = 1,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Default: out/<case>-frontier.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from what --out holds of an earlier run.")] = False,
    theta: Annotated[
        str | None, typer.Option("--theta", metavar="0,0.5,1", help="Weights of security to report.")
    ] = None,
    free_firm: Annotated[
        bool, typer.Option("--free-firm", help="Let generators and firm contracts change along the front.")
    ] = False,
    scenario: Annotated[
        list[str] | None, typer.Option("--scenario", help="YAML laid over the case; repeat to compare fronts.")
    ] = None,
    points: Annotated[int, typer.Option("--points", help="Whole-container plans at most.")] = 300,
    set_: SetOption = None,
    gap: Annotated[float | None, typer.Option("--gap", help="Gap of the cheapest plan, as a fraction.")] = None,
    time_limit: Annotated[float | None, typer.Option("--time-limit", help="Stop after this many seconds.")] = None,
    audit: Annotated[bool, typer.Option("--audit", help="Solve every piece twice, replay every outage.")] = False,
    json_: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Trace what each step away from China costs, with a certificate.

    Written as frontier.json, frontier.csv, a plan per point, and pictures. Every finished piece is kept.
    """

    def work(stream: TextIO) -> int:
        from planner.frontier.command import FrontierWish
        from planner.solve import Infeasible, NoPlan

        wish = FrontierWish(
            case, set_ or [], measure, tolerance, workers, out, resume, theta, free_firm, scenario or [], points, gap,
            time_limit, audit, json_, quiet,
        )  # fmt: skip
        try:
            return wish.carry_out(stream)
        except Infeasible:
            say(f"Infeasible: no plan keeps every rule. 'planner plan {case}' names the rules that clash.")
            return reply(stream, json_, INFEASIBLE, {"case": case, "status": "infeasible"})
        except NoPlan as stop:
            say(f"No front: {stop}. A longer --time-limit may help.")
            return reply(stream, json_, STOPPED, {"status": "no_plan", "reason": str(stop)})

    raise typer.Exit(_run(work, json_))


@app.command()
def disruption(
    case: CaseArgument,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Default: out/<case>-disruption.")] = None,
    set_: SetOption = None,
    front: Annotated[
        Path | None, typer.Option("--front", metavar="DIR", help="Compare the points of a front that was traced.")
    ] = None,
    gap: Annotated[float | None, typer.Option("--gap", help="Gap of the answer, as a fraction.")] = None,
    time_limit: Annotated[float | None, typer.Option("--time-limit", help="Seconds for everything.")] = None,
    workers: Annotated[int, typer.Option("--workers", help="Processes that solve single futures.")] = 1,
    scheduler: Annotated[
        str | None,
        typer.Option("--scheduler", metavar="ADDRESS", help="Dask scheduler whose workers solve them instead."),
    ] = None,
    apart: Annotated[
        bool, typer.Option("--apart", help="Future by future, no model of all of them; always so beyond 15 futures.")
    ] = False,
    scenario: ScenarioOption = None,
    json_: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Say what to sign before it is known which future comes (case section disruption).

    Written as disruption.json and tables (CSV, Parquet): orders, costs in every future, worth of knowing and hedging.
    """

    def work(stream: TextIO) -> int:
        from planner.disruption.command import DisruptionWish
        from planner.solve import Infeasible, NoPlan

        wish = DisruptionWish(
            case, set_ or [], scenario or [], out, front, gap, time_limit, workers, scheduler, apart, json_, quiet
        )
        try:
            return wish.carry_out(stream)
        except Infeasible:
            say(
                "Infeasible: no orders keep every rule in every future. Name a price for contracted load that is late"
                f" (disruption.short_usd_per_mw_yr), or see 'planner plan {case}' with one future at a time."
            )
            return reply(stream, json_, INFEASIBLE, {"case": case, "status": "infeasible"})
        except NoPlan as stop:
            say(f"No answer: {stop}. A longer --time-limit may help.")
            return reply(stream, json_, STOPPED, {"status": "no_plan", "reason": str(stop)})

    raise typer.Exit(_run(work, json_))


@app.command()
def report(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder that planner plan, frontier or disruption wrote.")
    ],
    study_: Annotated[
        Path | None, typer.Option("--study", metavar="DIR", help="Add what planner study-report found about this case.")
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Write report.html and report.xlsx of a result folder again."""

    def write(out: TextIO) -> int:
        from planner.disruption.page import ANSWER, read_answer, write_page
        from planner.report import left_aside_words, write_report

        aside: list[Fault] = []
        try:
            if (folder / ANSWER).is_file():
                written: tuple[Path, ...] = (write_page(read_answer(folder), folder),)
            else:
                written = write_report(folder, study_, left_aside=aside)
        except OSError as error:
            say(f"The report could not be written to {folder}: {error.strerror or error}.")
            return BAD_INPUT
        say(left_aside_words(aside))
        if not quiet:
            say(f"Written: {', '.join(str(path) for path in written)}.")
        return BAD_INPUT if aside else OK

    raise typer.Exit(_run(write, False))


@app.command()
def quotes(
    file: Annotated[str | None, typer.Argument(metavar="FILE", help="CSV or XLSX with one quote per row.")] = None,
    template: Annotated[bool, typer.Option("--template", help="Print a file to fill in, as CSV.")] = False,
    case: Annotated[str | None, typer.Option("--case", help="Case whose site and tables hold.")] = None,
    delivery: Annotated[str | None, typer.Option("--delivery", metavar="YYYY-MM", help="Month of delivery.")] = None,
    as_of: Annotated[str | None, typer.Option("--as-of", metavar="YYYY-MM", help="Quotes must hold then.")] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Write bridge.csv and bridge.svg.")] = None,
    json_: JsonOption = False,
) -> None:
    """Make quotes comparable: duty-paid, at site, installed, USD per usable AC kWh.

    Every fault of the file is named with its row and column.
    """

    def job(stream: TextIO) -> int:
        from planner.quotescommand import QuotesWish

        return QuotesWish(file, template, case, delivery, as_of, out, json_).carry_out(stream)

    raise typer.Exit(_run(job, json_))


@app.command()
def study(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="A study file, or the name of a shipped study.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the result set.")],
    workers: Annotated[int, typer.Option("--workers", help="Local processes, one thread each.")] = 1,
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", metavar="ADDRESS", help="Use the workers of a running Dask scheduler.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an earlier run stopped.")] = False,
    shared: Annotated[
        Path | None, typer.Option("--shared", metavar="DIR", help="Folder of solved cases shared by studies.")
    ] = None,
    json_: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Solve many cases: base cases x scenarios x grid x random draws x exposure limits.

    Results are Parquet tables; a case solved before is not solved again.
    """

    def job(stream: TextIO) -> int:
        from planner.study.command import study as carry_out

        return carry_out(study, out, workers, scheduler, resume, shared, quiet, json_, stream)

    raise typer.Exit(_run(job, json_))


@app.command("study-report")
def study_report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that planner study wrote.")],
    quiet: QuietOption = False,
) -> None:
    """Write the page of a study: futures, fronts, shares, unknowns, regret."""

    def job(stream: TextIO) -> int:
        from planner.study.command import report

        return report(folder, quiet, stream)

    raise typer.Exit(_run(job, False))


@app.command()
def schema(
    plan_: Annotated[bool, typer.Option("--plan", help="Of plan.json instead of a case file.")] = False,
) -> None:
    """Print the JSON schema of a case file, or of plan.json."""

    def write(out: TextIO) -> int:
        from planner.inputs import case_schema
        from planner.results import plan_schema

        print(json.dumps(plan_schema() if plan_ else case_schema(), indent=1, ensure_ascii=False), file=out)
        return OK

    raise typer.Exit(_run(write, True))


def _run(job: Callable[[TextIO], int], as_json: bool) -> int:
    """Run a command; ``job`` gets the stream for its result.

    Whatever else prints to standard output goes to standard error, so that the result stays clean.
    """
    from planner.faults import InputError

    out = sys.stdout
    try:
        with redirect_stdout(sys.stderr):
            code = job(out)
        out.flush()
        return code
    except InputError as error:
        count = len(error.faults)
        say(f"{error}\n{count} fault{'s' if count > 1 else ''} in the input; nothing was solved.")
        faults = [vars(f) for f in error.faults]
        return reply(out, as_json, BAD_INPUT, {"status": "bad_input", "faults": faults})
    except KeyboardInterrupt:
        say("Stopped by the user; there is no plan.")
        return reply(out, as_json, STOPPED, {"status": "no_plan"})
    except BrokenPipeError:
        return pipe_closed()
    except Exception as error:
        return reply(out, as_json, defect(error), {"status": "defect", "error": type(error).__name__})


def _check(case: str, overrides: list[str], scenarios: list[str], as_json: bool, quiet: bool, out: TextIO) -> int:
    from planner.checks import check_problem
    from planner.inputs import load_case

    problem = load_case(case, overrides, scenario=scenarios)
    checks = check_problem(problem)
    name = problem.case.case
    if as_json:
        status = "impossible" if checks.impossible else "ok"
        impossible = [vars(i) for i in checks.impossible]
        answer = {"case": name, "status": status, "warnings": checks.warnings, "impossible": impossible}
        print(json.dumps(answer, indent=1, ensure_ascii=False), file=out)
    elif not quiet or checks.impossible:
        from planner.summary import print_checks

        rows = sum(len(part) for part in problem.rows.values())
        size = f"offers {len(problem.offers)}, periods {len(problem.periods)}, data rows {rows:,}"
        print_checks(name, checks, size, console_on(out))
    return INFEASIBLE if checks.impossible else OK
