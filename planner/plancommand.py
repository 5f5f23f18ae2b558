"""What ``planner plan`` does: read, solve, write, show."""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from planner.endings import DEFECT, INFEASIBLE, OK, STOPPED, STOPPED_WITH_PLAN, details, pipe_closed, reply
from planner.terminal import LiveLine, console_on, plain, say

if TYPE_CHECKING:
    from planner.checks import Checks
    from planner.faults import Fault
    from planner.infeasible import Diagnosis
    from planner.problem import Problem
    from planner.results import Plan

_CODES = {"optimal": OK, "gap_limit": OK, "unverified": DEFECT}
_EXPLAIN_LIMIT_S = 120.0


class PlanWish:
    """What ``planner plan`` was asked to do."""

    def __init__(
        self,
        case: str,
        overrides: list[str],
        out: Path | None,
        gap_frac: float | None,
        time_limit_s: float | None,
        audit: bool,
        as_json: bool,
        quiet: bool,
        prices: bool = False,
        scenarios: Sequence[str] = (),
    ) -> None:
        self.prices, self.scenarios = prices, tuple(scenarios)
        self.case, self.overrides, self.folder = case, overrides, out
        self.gap_frac, self.time_limit_s = gap_frac, time_limit_s
        self.audit, self.as_json, self.quiet = audit, as_json, quiet

    def carry_out(self, out: TextIO) -> int:
        """Read, solve, write, show."""
        from planner.writing import make_folder

        problem = self._problem()
        folder = self.folder if self.folder is not None else Path("out") / problem.case.case
        make_folder(folder)
        answer = self._solve(problem, folder, out)
        return answer if isinstance(answer, int) else self._deliver(answer, problem, folder, out)

    def _command(self) -> str:
        """The command line that gives this plan again."""
        words = ["planner", "plan", self.case, *(word for text in self.overrides for word in ("--set", text))]
        words += [word for name in self.scenarios for word in ("--scenario", name)]
        if self.gap_frac is not None:
            words += ["--gap", f"{self.gap_frac:g}"]
        if self.time_limit_s is not None:
            words += ["--time-limit", f"{self.time_limit_s:g}"]
        return shlex.join(words)

    def _problem(self) -> Problem:
        """Read the case; faults of the options and of the case come together."""
        from planner.faults import InputError, limit_faults, limit_overrides
        from planner.inputs import load_case
        from planner.writing import out_fault

        faults = [f for f in [out_fault(self.folder) if self.folder is not None else None] if f is not None]
        faults += limit_faults(self.gap_frac, self.time_limit_s)
        overrides = [*self.overrides, *limit_overrides(self.gap_frac, self.time_limit_s)]
        try:
            problem = load_case(self.case, self.overrides if faults else overrides, scenario=self.scenarios)
        except InputError as error:
            raise InputError([*faults, *error.faults]) from None
        if faults:
            raise InputError(faults)
        return problem

    def _solve(self, problem: Problem, folder: Path, out: TextIO) -> Plan | int:
        """Return the plan, or the exit code when there is none."""
        with LiveLine(self.quiet) as line:
            line.note("loading the solver")
            from planner.frontier.weighted import plan as solve
            from planner.solve import Infeasible, NoPlan

            try:
                found = solve(problem, audit=self.audit, progress=line.progress, note=line.note)
                if self.prices and found.status in ("optimal", "gap_limit"):
                    from planner.ruleprices import price_doubts

                    found = price_doubts(problem, found, note=line.note)
                return found
            except Infeasible:
                line.note("infeasible: looking for the rules that clash")
                return self._explain(problem, folder, out, line)
            except NoPlan as stop:
                line.close()
                say(f"No plan: {stop}. A longer --time-limit may help.")
                _set_aside(folder)
                return reply(out, self.as_json, STOPPED, {"status": "no_plan", "reason": str(stop)})

    def _explain(self, problem: Problem, folder: Path, out: TextIO, line: LiveLine) -> int:
        """Name the rules that clash; a failure in here must not hide that nothing fits."""
        from planner.checks import Checks, check_problem
        from planner.infeasible import diagnose
        from planner.summary import print_clash

        clash: Diagnosis | None = None
        checks, trouble = Checks((), ()), ""
        try:
            checks = check_problem(problem)
            clash = diagnose(problem, _EXPLAIN_LIMIT_S)
        except KeyboardInterrupt:
            trouble = "the search for the rules that clash was stopped"
        except Exception as error:
            trouble = f"the search for the rules that clash failed ({type(error).__name__}: {plain(str(error))})"
            details(error)
        line.close()
        say(f"Infeasible: no plan keeps every rule of {problem.case.case}{'; ' + trouble if trouble else ''}.")
        if clash is not None or checks.impossible:
            print_clash(clash, checks, console_on(sys.stderr))
        self._page_of_clash(problem, clash, checks, folder)
        answer = {
            "case": problem.case.case,
            "status": "infeasible",
            "impossible": [vars(i) for i in checks.impossible],
            "clash": None if clash is None else [vars(c) for rules in clash.sets[:1] for c in rules],
            "sets": None if clash is None else [[c.rule for c in rules] for rules in clash.sets],
            "ways_out": None if clash is None else [vars(w) for w in clash.ways_out],
        }
        return reply(out, self.as_json, INFEASIBLE, answer)

    def _page_of_clash(self, problem: Problem, clash: Diagnosis | None, checks: Checks, folder: Path) -> None:
        """Write the page of a case without a plan, where no plan of an earlier run is left."""
        from planner.report.clash import write_clash

        _set_aside(folder)
        try:
            page = write_clash(folder, problem, clash, checks, self._command())
        except OSError as error:
            say(f"The page could not be written to {folder}: {error.strerror or error}.")
        else:
            say(f"The same as a page: {page}")

    def _deliver(self, found: Plan, problem: Problem, folder: Path, out: TextIO) -> int:
        """Write the files, show the plan, and turn its status into an exit code."""
        from planner.report import left_aside_words, write_report
        from planner.summary import print_summary
        from planner.writing import json_text, write_plan

        found = found.model_copy(update={"provenance": found.provenance | {"command": self._command()}})
        code = _CODES.get(found.status, STOPPED_WITH_PLAN)
        aside: list[Fault] = []
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # a plan found is a plan kept
        try:
            write_plan(found, problem, folder)
            write_report(folder, left_aside=aside)
            kept = f"Written to {folder}: plan.json, report.html, report.xlsx, and tables as CSV and Parquet."
        except OSError as error:
            kept, code = f"The plan could not be written to {folder}: {error.strerror or error}.", DEFECT
        finally:
            signal.signal(signal.SIGINT, before)
        try:
            if self.as_json:
                out.write(json_text(found))
            elif not self.quiet:
                print_summary(found, console_on(out))
            out.flush()
        except BrokenPipeError:
            pipe_closed()
        if code == STOPPED_WITH_PLAN:
            say(f"Stopped before the gap asked was met: the plan is kept, its gap is {found.gap_frac:.2%}.")
        if found.status == "unverified" and found.verification is not None:
            say("The plan failed verification and is marked so:")
            say("\n".join(found.verification.errors[:20]) or "a residual exceeds its tolerance")
        say(left_aside_words(aside))
        if code or not self.quiet:
            say(kept)
        return code


def _set_aside(folder: Path) -> None:
    """Keep the plan of an earlier run apart: the folder would show it as the answer of this one."""
    from planner.writing import set_aside

    try:
        moved = set_aside(folder)
    except OSError as error:
        say(f"The plan of an earlier run could not be moved out of {folder}: {error.strerror or error}.")
    else:
        if moved is not None:
            say(f"The plan of an earlier run is now in {moved}.")
