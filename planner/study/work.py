"""What a worker does: find the address of a case, solve it, hand back a record.

A worker takes and gives plain values only, writes nothing and keeps nothing but the tables and
requirement curves that it has read, so that it may die at any moment.
"""

from __future__ import annotations

import gc
import gzip
import hashlib
import json
import time
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from planner.faults import InputError
from planner.inputs import load_case
from planner.study.expand import Question
from planner.units import SECONDS_PER_HOUR

if TYPE_CHECKING:
    from planner.model.coefficients import Coefficients
    from planner.model.reliability import RowKey
    from planner.search import Search, Solution

#: Kind and name of what is lost, period, counts of the vector (or the delay of a bridge in ms), whether a bridge.
PortableRow = tuple[str, str, str, tuple[int, ...], bool]


@dataclass(frozen=True)
class Start:
    """What a solved case hands to its neighbours: the outage rows it needed and the choices of its plan."""

    rows: tuple[PortableRow, ...] = ()
    choices: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of_record(cls, record: dict[str, Any]) -> Start:
        """From a stored record."""
        rows = tuple(
            (kind, lost, period, tuple(counts), bridge) for kind, lost, period, counts, bridge in record["rows"]
        )
        return cls(rows, record["choices"])


@dataclass(frozen=True)
class Address:
    """Where the answer of a case belongs, or why it cannot be read."""

    index: int
    address: str
    input_sha256: str
    fault: str = ""


@dataclass(frozen=True)
class Answer:
    """A record as it is stored, and what the client needs at once."""

    address: str
    status: str
    record: bytes
    solve_s: float


def addresses(questions: list[Question]) -> list[Address]:
    """Read some cases and return their addresses: the digest of all that can change the answer, and the version."""
    found = []
    for q in questions:
        try:
            problem = load_case(q.case, q.overrides, scenario=q.overlays)
        except InputError as error:
            found.append(Address(q.index, "", "", str(error)))
            continue
        text = f"{problem.input_sha256} {version('storage-portfolio-planner')}"
        found.append(Address(q.index, hashlib.sha256(text.encode()).hexdigest()[:40], problem.input_sha256))
    return found


def solve(question: Question, address: str, neighbour: Start) -> Answer:
    """Solve one case; infeasible and unfinished ones are answers too.

    Parameters
    ----------
    question
        What to solve.
    address
        From ``addresses``.
    neighbour
        What to start from.
    """
    from planner.pipeline import plan  # noqa: PLC0415 - finding addresses needs no solver
    from planner.solve import Infeasible, NoPlan  # noqa: PLC0415

    began = time.perf_counter()
    problem = load_case(question.case, question.overrides, scenario=question.overlays)
    start = Start()

    def keep(search: Search, solution: Solution) -> None:
        nonlocal start
        start = Start(_portable(search.c, solution.rows), search.choices(solution.x))

    record: dict[str, Any] = {"address": address, "input_sha256": problem.input_sha256, "plan": None, "reason": ""}
    try:
        found = plan(problem, known_rows=lambda c: _at_home(c, neighbour.rows), neighbour=neighbour.choices, found=keep)
        record |= {"status": found.status, "plan": found.model_dump(mode="json")}
    except Infeasible:
        record |= {"status": "infeasible", "reason": "no plan keeps every rule"}
    except NoPlan as stop:
        record |= {"status": "no_plan", "reason": str(stop)}
    record |= {"rows": start.rows, "choices": start.choices}
    seconds = time.perf_counter() - began
    record["solve_s"] = seconds
    _tidy()
    return Answer(address, record["status"], pack(record), seconds)


def _tidy() -> None:
    """Give back at once what a solve left in circles; left to Python's full collections it grows by megabytes first.

    What a process has loaded for its first case is set aside, so that the others need not search it.
    """
    gc.collect()
    if not gc.get_freeze_count():
        gc.freeze()


def pack(record: dict[str, Any]) -> bytes:
    """Write a record as the store holds it: JSON, compressed, the same bytes for the same content."""
    return gzip.compress(json.dumps(record, allow_nan=False).encode(), compresslevel=5, mtime=0)


def unpack(content: bytes) -> dict[str, Any]:
    """Read a stored record."""
    found: dict[str, Any] = json.loads(gzip.decompress(content))
    return found


def _portable(c: Coefficients, rows: tuple[RowKey, ...]) -> tuple[PortableRow, ...]:
    """Rows by name: a neighbour may number contingencies, periods and counts otherwise."""
    found = []
    for key in rows:
        lost, period = c.contingencies[key.contingency], c.problem.periods[key.period].label
        counts = tuple(int(n) for n in c.requirement.counts[key.count]) if not key.bridge else ()
        if key.bridge:
            counts = (_delay_ms(c.bridge_delays_h[key.count]),)
        found.append((lost.kind, lost.lost, period, counts, key.bridge))
    return tuple(sorted(found))


def _at_home(c: Coefficients, known: tuple[PortableRow, ...]) -> tuple[RowKey, ...]:
    """The neighbour's rows that this case has too; any of them is a valid row."""
    from planner.model.reliability import RowKey  # noqa: PLC0415

    lost = {(q.kind, q.lost): i for i, q in enumerate(c.contingencies)}
    period = {p.label: i for i, p in enumerate(c.problem.periods)}
    wanted = {counts for *_, counts, bridge in known if not bridge}
    place: dict[tuple[int, ...], int] = {}
    if wanted:
        for i, row in enumerate(c.requirement.counts.tolist()):
            if (counts := tuple(row)) in wanted:
                place[counts] = i
    delays: dict[tuple[int, ...], int] = {(_delay_ms(d),): i for i, d in enumerate(c.bridge_delays_h)}
    found = []
    for kind, name, label, counts, bridge in known:
        q, p, d = lost.get((kind, name)), period.get(label), (delays if bridge else place).get(counts)
        if q is None or p is None or d is None or not c.holds[q, p]:
            continue
        need = c.requirement.peak_mw[p] if bridge else c.requirement.mwh[p, d]
        if need > 0 and not (bridge and c.contingencies[q].by_level):
            found.append(RowKey(q, p, d, bridge=bridge))
    return tuple(found)


def _delay_ms(delay_h: float) -> int:
    return round(delay_h * SECONDS_PER_HOUR * 1000)
