"""Tables of a study in parts: which changed, and what stands in those that are not whole yet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from planner.study.expand import Question
from planner.study.rows import rows_of, schemas
from planner.study.spec import Study
from planner.study.store import PART, TABLES, ResultSet

Ending = Callable[[int], dict[str, Any] | None]


class Parts:
    """Writes the parts that changed.

    What a part holds stays in memory until all its cases have an ending, so that each case is read
    and turned into rows once, however often its part is written.

    Parameters
    ----------
    study
        Its grid and draws are columns.
    results
        Takes the parts.
    """

    def __init__(self, study: Study, results: ResultSet) -> None:
        self._drawn = list(study.draws.parameters) if study.draws else []
        self.schemas = schemas([*study.grid, *self._drawn], self._drawn)
        self._results = results
        self._changed: set[int] = set()
        self._tables: dict[int, dict[int, dict[str, pa.Table]]] = {}

    def note(self, index: int) -> None:
        """Remember that a case ended."""
        self._changed.add(index // PART)

    def write(self, questions: Sequence[Question], ending: Ending) -> None:
        """Write every part in which a case ended since the last call.

        Parameters
        ----------
        questions
            All of the study.
        ending
            Record of a case by its index, None where it has none yet.
        """
        for part in sorted(self._changed):
            here = questions[part * PART : (part + 1) * PART]
            held = self._tables.setdefault(part, {})
            for q in here:
                if q.index not in held and (found := ending(q.index)) is not None:
                    rows = rows_of(q, found, self._drawn)
                    held[q.index] = {n: pa.Table.from_pylist(rows[n], schema=self.schemas[n]) for n in TABLES}
            ready = [held[q.index] for q in here if q.index in held]
            none = {n: [self.schemas[n].empty_table()] for n in TABLES}
            tables = {n: pa.concat_tables([*none[n], *(t[n] for t in ready)]).combine_chunks() for n in TABLES}
            self._results.write_part(part, tables)
            if len(ready) == len(here):
                del self._tables[part]
            self._changed.discard(part)
