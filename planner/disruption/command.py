"""What ``planner disruption`` does: read, solve, write, show."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from planner.checks import refuse_operations
from planner.disruption.answer import Answering, DisruptionAnswer, OutcomeRow, ReignRow, SignedOrderRow
from planner.disruption.show import print_answer
from planner.disruption.worlds import OrderKey
from planner.endings import DEFECT, OK, STOPPED_WITH_PLAN
from planner.faults import Fault, InputError
from planner.inputs import load_worlds
from planner.problem import Problem
from planner.terminal import LiveLine, console_on, say
from planner.writing import Table, json_text, make_folder, out_fault, table_of_records, write_tables

ANSWER = "disruption.json"


@dataclass(frozen=True)
class DisruptionWish:
    """Options of ``planner disruption``."""

    case: str
    overrides: Sequence[str]
    scenarios: Sequence[str]
    out: Path | None
    front: Path | None
    gap_frac: float | None
    time_limit_s: float | None
    as_json: bool
    quiet: bool

    def carry_out(self, out: TextIO) -> int:
        """Solve, write and show."""
        calm, futures, candidates = self._read()
        folder = self.out if self.out is not None else Path("out") / f"{calm.case.case}-disruption"
        make_folder(folder)
        with LiveLine(self.quiet) as line:
            answering = Answering(calm, futures, self.gap_frac, self.time_limit_s, line.note, candidates)
            answer = answering.answer()
        code = {"gap_limit": OK, "unverified": DEFECT}.get(answer.status, STOPPED_WITH_PLAN)
        try:
            write_answer(answer, folder)
        except OSError as error:
            say(f"The answer could not be written to {folder}: {error.strerror or error}.")
            code = DEFECT
        if self.as_json:
            out.write(json_text(answer))
        elif not self.quiet:
            print_answer(answer, console_on(out))
        if code == STOPPED_WITH_PLAN:
            say(f"The gap asked was not met; the orders are kept, their gap is {answer.gap_frac:.2%}.")
        return code

    def _read(self) -> tuple[Problem, dict[str, Problem], dict[str, dict[OrderKey, int]]]:
        faults = [f for f in [out_fault(self.out) if self.out is not None else None] if f is not None]
        if self.gap_frac is not None and not 0.0 < self.gap_frac < 1.0:
            faults.append(Fault("--gap", "", f"{self.gap_frac:g}", "a number above 0 and below 1"))
        if self.time_limit_s is not None and not 0.0 < self.time_limit_s <= 1e6:
            faults.append(Fault("--time-limit", "", f"{self.time_limit_s:g}", "a number above 0 and at most 1000000"))
        candidates = {} if self.front is None else front_orders(self.front, faults)
        try:
            calm, futures = load_worlds(self.case, self.overrides, scenario=self.scenarios)
        except InputError as error:
            raise InputError([*faults, *error.faults]) from None
        refuse_operations(calm, "uncertain futures")
        if not any(f.probability_frac > 0 for f in calm.case.disruption.futures.values()):
            allowed = "at least one future with a probability, or --scenario cut-off-any-year"
            faults.append(Fault(self.case, "disruption.futures", "no future that may come", allowed))
        if faults:
            raise InputError(faults)
        return calm, futures, candidates


def front_orders(folder: Path, faults: list[Fault]) -> dict[str, dict[OrderKey, int]]:
    """Orders of every point of a front that ``planner frontier`` wrote, by the name of the point."""
    try:
        front = json.loads((folder / "frontier.json").read_text(encoding="utf-8"))
        found: dict[str, dict[OrderKey, int]] = {}
        for point in front["points"]:
            plan = json.loads((folder / point["plan"]).read_text(encoding="utf-8"))
            name = f"front at {front['measure']} {point['exposure_frac']:.4f}"
            found[name] = {(o["offer"], o["period"]): int(o["containers"]) for o in plan["orders"]}
        return found
    except (OSError, ValueError, KeyError, TypeError) as error:
        found_words = f"no readable front ({type(error).__name__})"
        faults.append(Fault("--front", str(folder), found_words, "a folder that planner frontier wrote"))
        return {}


def tables_of(answer: DisruptionAnswer) -> Mapping[str, Table]:
    """Tables by file name without suffix."""
    return {
        "disruption_futures": table_of_records(OutcomeRow, answer.outcomes),
        "disruption_signed": table_of_records(SignedOrderRow, answer.signed),
        "disruption_best_from": table_of_records(ReignRow, answer.reigns),
    }


def write_answer(answer: DisruptionAnswer, folder: Path) -> None:
    """Write tables and ``disruption.json``, the last one last.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    write_tables(tables_of(answer), folder, {ANSWER: json_text(answer).encode()})
