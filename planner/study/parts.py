"""Tables of a study in parts: which changed, and what stands in those that are not whole yet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from planner.study.expand import Question
from planner.study.rows import rows_of, schemas
from planner.study.spec import Study
from planner.study.store import PART, TABLES, ResultSet

Ending = Callable[[int], dict[str, Any] | None]


class Parts:
    """Writes the parts that changed.

    The tables of a part stay in memory until all its cases have an ending, so that each case is read
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
        self._held: dict[int, set[int]] = {}
        self._tables: dict[int, dict[str, pa.Table]] = {}

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
            held = self._held.setdefault(part, set())
            fresh: dict[str, list[dict[str, Any]]] = {n: [] for n in TABLES}
            for q in here:
                if q.index not in held and (found := ending(q.index)) is not None:
                    held.add(q.index)
                    for name, rows in rows_of(q, found, self._drawn).items():
                        fresh[name] += rows
            self._tables[part] = {n: self._joined(part, n, fresh[n]) for n in TABLES}
            self._results.write_part(part, self._tables[part])
            if len(held) == len(here):
                del self._tables[part], self._held[part]
            self._changed.discard(part)

    def _joined(self, part: int, name: str, rows: list[dict[str, Any]]) -> pa.Table:
        """Return a table of a part with more rows, in the order of the cases."""
        fresh = pa.Table.from_pylist(rows, schema=self.schemas[name])
        table = pa.concat_tables([self._tables[part][name], fresh]) if part in self._tables else fresh
        order = np.argsort(table["case_index"].to_numpy(), kind="stable")
        return table.take(order).combine_chunks()
