"""What ``planner disruption`` does: read, solve, write, show."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from planner.checks import refuse_operations
from planner.crew import Crew
from planner.disruption.answer import (
    ChainRow,
    ChoiceRow,
    DisruptionAnswer,
    OutcomeRow,
    ReignRow,
    SignedOrderRow,
    answered,
)
from planner.disruption.deciding import FRONT_POINT, Deciding
from planner.disruption.page import ANSWER, write_page
from planner.disruption.show import gap_words, print_answer
from planner.disruption.worlds import OrderKey
from planner.endings import DEFECT, OK, STOPPED_WITH_PLAN
from planner.faults import Fault, InputError, limit_faults, limit_overrides
from planner.inputs import load_worlds
from planner.model.coefficients import Coefficients
from planner.problem import Problem
from planner.terminal import LiveLine, console_on, say
from planner.writing import Table, json_text, make_folder, out_fault, table_of_records, write_tables


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
    workers: int
    scheduler: str | None
    apart: bool
    as_json: bool
    quiet: bool

    def carry_out(self, out: TextIO) -> int:
        """Solve, write and show."""
        calm, futures, candidates = self._read()
        folder = self.out if self.out is not None else Path("out") / f"{calm.case.case}-disruption"
        make_folder(folder)
        with (
            LiveLine(self.quiet) as line,
            nullcontext() if self.workers == 1 and not self.scheduler else Crew(self.workers, self.scheduler) as crew,
        ):
            apart = True if self.apart else None
            answer = answered(Deciding(calm, futures, None, None, line.note, candidates, crew, apart))
        code = {"gap_limit": OK, "unverified": DEFECT}.get(answer.status, STOPPED_WITH_PLAN)
        try:
            write_answer(answer, folder)
            write_page(answer, folder)
        except OSError as error:
            say(f"The answer could not be written to {folder}: {error.strerror or error}.")
            code = DEFECT
        if self.as_json:
            out.write(json_text(answer))
        elif not self.quiet:
            print_answer(answer, console_on(out))
        if code == STOPPED_WITH_PLAN:
            say(f"The gap asked was not met; the orders are kept, {gap_words(answer)}.")
        return code

    def _read(self) -> tuple[Problem, dict[str, Problem], dict[str, dict[OrderKey, int]]]:
        faults = [f for f in [out_fault(self.out) if self.out is not None else None] if f is not None]
        faults += limit_faults(self.gap_frac, self.time_limit_s)
        if not 1 <= self.workers <= 1024:
            faults.append(Fault("--workers", "", f"{self.workers}", "a whole number from 1 to 1024"))
        limits = [] if faults else limit_overrides(self.gap_frac, self.time_limit_s)
        candidates = {} if self.front is None else front_orders(self.front, faults)
        try:
            calm, futures = load_worlds(self.case, [*self.overrides, *limits], scenario=self.scenarios)
        except InputError as error:
            raise InputError([*faults, *error.faults]) from None
        refuse_operations(calm, "uncertain futures")
        faults += foreign_orders(calm, candidates, self.front)
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
        for point in _spread(front["points"]):
            plan = json.loads((folder / point["plan"]).read_text(encoding="utf-8"))
            name = f"{FRONT_POINT}{front['measure']} {point['exposure_frac']:.4f}"
            found[name] = {(o["offer"], o["period"]): int(o["containers"]) for o in plan["orders"]}
        return found
    except (OSError, ValueError, KeyError, TypeError) as error:
        found_words = f"no readable front ({type(error).__name__})"
        faults.append(Fault("--front", str(folder), found_words, "a folder that planner frontier wrote"))
        return {}


def foreign_orders(
    calm: Problem, candidates: Mapping[str, Mapping[OrderKey, int]], front: Path | None
) -> list[Fault]:  # fmt: skip
    """A fault for orders that the case cannot take: the front belongs to another case, or to other scenarios."""
    if not candidates:
        return []
    c = Coefficients(calm)
    known = {(calm.offers[o].offer, calm.periods[p].label) for o, p in c.pairs}
    foreign = sorted({key for orders in candidates.values() for key in orders} - known)
    if not foreign:
        return []
    offer, period = foreign[0]
    more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
    allowed = "a front of the same case, traced with the same scenarios but for those about what may come"
    return [Fault("--front", f"{front}", f"{offer} for {period}{more}, which this case cannot order", allowed)]


def _spread(points: Sequence[Any]) -> list[Any]:
    """The points from coarse to fine, so that a search that is stopped has looked everywhere along the front."""
    bits = max(1, (len(points) - 1).bit_length())
    order = sorted(range(len(points)), key=lambda i: int(f"{i:0{bits}b}"[::-1], 2))
    return [points[i] for i in ([len(points) - 1, *(i for i in order if i != len(points) - 1)] if points else [])]


def tables_of(answer: DisruptionAnswer) -> Mapping[str, Table]:
    """Tables by file name without suffix."""
    return {
        "disruption_choices": table_of_records(ChoiceRow, answer.choices),
        "disruption_chain": table_of_records(ChainRow, answer.chain),
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
