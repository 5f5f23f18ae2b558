"""What ``planner frontier`` does: read, trace, write, show; several scenarios one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from planner.case import MEASURES
from planner.endings import DEFECT, OK, STOPPED_WITH_PLAN
from planner.faults import Fault, InputError, known_name, limit_faults, limit_overrides
from planner.frontier.archive import StateFault
from planner.frontier.comparing import comparison
from planner.frontier.files import write_comparison, write_frontier
from planner.frontier.portfolio import DEFAULT_THETAS, Traced, trace_frontier
from planner.frontier.tables import print_comparison, print_frontier
from planner.inputs import load_case
from planner.problem import Problem
from planner.report import left_aside_words, write_report
from planner.terminal import LiveLine, console_on, say
from planner.writing import json_text, make_folder, out_fault

STATE = "state.npz"


@dataclass(frozen=True)
class FrontierWish:
    """Options of ``planner frontier``."""

    case: str
    overrides: Sequence[str]
    measure: str
    tolerance: float
    workers: int
    out: Path | None
    resume: bool
    theta: str | None
    free_firm: bool
    scenarios: Sequence[str]
    most_points: int
    gap_frac: float | None
    time_limit_s: float | None
    audit: bool
    as_json: bool
    quiet: bool

    def carry_out(self, out: TextIO) -> int:
        """Trace every front asked for; the worst ending gives the exit code."""
        thetas, problems = self._read()
        folder = self.out if self.out is not None else Path("out") / f"{problems[0][1].case.case}-frontier"
        make_folder(folder)
        found: list[Traced] = []
        codes = []
        for name, problem in problems:
            place = folder / Path(name).stem if len(problems) > 1 else folder
            make_folder(place)
            traced = self._traced(name, problem, thetas, place)
            found.append(traced)
            codes.append(self._deliver(traced, place, out))
        if len(found) > 1:
            rows = comparison([t.frontier for t in found])
            write_comparison(rows, found, folder)
            if not self.quiet and not self.as_json:
                print_comparison(rows, console_on(out))
        return max(codes, key=lambda code: (code == DEFECT, code))

    def _traced(self, name: str, problem: Problem, thetas: tuple[float, ...], place: Path) -> Traced:
        with LiveLine(self.quiet) as line:
            try:
                return trace_frontier(
                    problem, measure=self.measure, tolerance=self.tolerance, workers=self.workers, thetas=thetas,
                    free_firm=self.free_firm, most_points=self.most_points, state=place / STATE, resume=self.resume,
                    audit=self.audit, scenario=name, note=line.note,
                )  # fmt: skip
            except StateFault as fault:
                raise InputError(
                    [Fault("--resume", "", str(fault), "a run without --resume, or another --out")]
                ) from None

    def _deliver(self, traced: Traced, place: Path, out: TextIO) -> int:
        code = {"gap_limit": OK, "unverified": DEFECT}.get(traced.frontier.status, STOPPED_WITH_PLAN)
        aside: list[Fault] = []
        try:
            write_frontier(traced, place)
            write_report(place, left_aside=aside)
        except OSError as error:
            say(f"The front could not be written to {place}: {error.strerror or error}.")
            code = DEFECT
        except InputError as error:
            say(f"The front is written, its report is not:\n{error}")
        say(left_aside_words(aside))
        if self.as_json:
            out.write(json_text(traced.frontier))
        elif not self.quiet:
            print_frontier(traced.frontier, console_on(out))
        if code == STOPPED_WITH_PLAN:
            say(f"Stopped before the tolerance was met; go on with --resume --out {place}.")
        if code == DEFECT:
            say("A plan of the front failed verification and is marked so.")
        return code

    def _read(self) -> tuple[tuple[float, ...], list[tuple[str, Problem]]]:
        """Options and cases; faults of all of them come together."""
        faults = [f for f in [out_fault(self.out) if self.out is not None else None] if f is not None]
        if self.measure not in MEASURES:
            faults.append(Fault("--measure", "", self.measure, known_name(self.measure, MEASURES)))
        if not 0.0 < self.tolerance < 1.0:
            faults.append(Fault("--tolerance", "", f"{self.tolerance:g}", "a share above 0 and below 1"))
        if not 1 <= self.workers <= 256:
            faults.append(Fault("--workers", "", f"{self.workers}", "a whole number from 1 to 256"))
        if self.most_points < 2:
            faults.append(Fault("--points", "", f"{self.most_points}", "a whole number of at least 2"))
        thetas = self._thetas(faults)
        faults += limit_faults(self.gap_frac, self.time_limit_s)
        limits = [] if faults else limit_overrides(self.gap_frac, self.time_limit_s)
        overrides = [*self.overrides, *limits]
        problems = []
        for scenario in self.scenarios or [""]:
            try:
                problems.append((scenario, load_case(self.case, overrides, scenario=scenario or None)))
            except InputError as error:
                faults += [f for f in error.faults if f not in faults]
        names = [Path(s).stem for s in self.scenarios]
        if len(set(names)) < len(names):
            faults.append(Fault("--scenario", "", "the same name twice", "different scenarios"))
        if faults:
            raise InputError(faults)
        return thetas, problems

    def _thetas(self, faults: list[Fault]) -> tuple[float, ...]:
        if self.theta is None:
            return DEFAULT_THETAS
        try:
            found = tuple(float(part) for part in self.theta.split(","))
        except ValueError:
            found = (-1.0,)
        if not all(0.0 <= t <= 1.0 for t in found):
            faults.append(Fault("--theta", "", self.theta, "numbers from 0 to 1, separated by commas"))
        return found
