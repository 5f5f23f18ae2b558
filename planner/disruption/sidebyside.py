"""Problems side by side in one set of arrays, with the columns and rows that join them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from scipy.sparse import block_diag, coo_array, csr_array, hstack, vstack

from planner.lazy import OutageRows, Rows, keep_tight
from planner.model.reliability import RowKey
from planner.problem import FloatArray
from planner.solve import INFINITY, Compiled

_PER_ROUND = 60


class SideBySide:
    """Compiled problems in one matrix; columns and rows are added, then ``built`` gives the arrays.

    Parameters
    ----------
    parts
        The problems; part ``i`` keeps its order from column ``first[i]`` and row ``first_row[i]`` on.
    """

    def __init__(self, parts: Sequence[Compiled]) -> None:
        self.parts = parts
        widths, heights = [len(p.cost) for p in parts], [len(p.row_lower) for p in parts]
        self.first = [int(n) for n in np.cumsum([0, *widths])[:-1]]
        self.first_row = [int(n) for n in np.cumsum([0, *heights])[:-1]]
        self.width, self.height = sum(widths), sum(heights)
        self.lower = np.concatenate([p.lower for p in parts])
        self.upper = np.concatenate([p.upper for p in parts])
        self.integer = [bool(i) for p in parts for i in p.integer]
        #: Objective of each part over all columns, and its constant.
        self.cost: list[dict[int, float]] = [
            {first + int(j): float(p.cost[j]) for j in np.flatnonzero(p.cost)}
            for first, p in zip(self.first, parts, strict=True)
        ]
        self.constant = [p.offset for p in parts]
        #: Part that each column belongs to; -1 for what several of them share.
        self.part_of: list[int] = [i for i, width in enumerate(widths) for _ in range(width)]
        self._more_lower: list[float] = []
        self._more_upper: list[float] = []
        self._entries: list[tuple[int, int, float]] = []
        self._rows: list[tuple[dict[int, float], float, float, str]] = []

    def column(self, upper: float, whole: bool = False, lower: float = 0.0, part: int = -1) -> int:
        """Add a column and return its index."""
        self.part_of.append(part)
        self._more_lower.append(lower)
        self._more_upper.append(upper)
        self.integer.append(whole)
        return self.width + len(self._more_lower) - 1

    def upper_of(self, column: int) -> float:
        """Upper bound of an added column."""
        return self._more_upper[column - self.width]

    def put(self, part: int, row: int, column: int, value: float) -> None:
        """Add a column to a row of a part."""
        self._entries.append((self.first_row[part] + row, column, value))

    def row(self, terms: Mapping[int, float], lower: float, upper: float, name: str) -> None:
        """Add a row."""
        self._rows.append((dict(terms), lower, upper, name))

    def charge(self, part: int, column: int, cost: float) -> None:
        """Add to the objective of a part."""
        if cost:
            self.cost[part][column] = self.cost[part].get(column, 0.0) + cost

    def built(self, objective: Mapping[int, float], constant: float) -> Compiled:
        """Everything as one problem that minimises ``objective``."""
        more = len(self._more_lower)
        width = self.width + more
        matrix = csr_array(block_diag([p.matrix for p in self.parts], format="csr"))
        if self._entries:
            rows, columns, values = zip(*self._entries, strict=True)
            block = coo_array((values, (rows, np.array(columns) - self.width)), shape=(self.height, more))
        else:
            block = coo_array((self.height, more))
        matrix = csr_array(hstack([matrix, block], format="csr"))
        lower = np.concatenate([self.lower, self._more_lower])
        upper = np.concatenate([self.upper, self._more_upper])
        cost = np.zeros(width)
        cost[list(objective)] = list(objective.values())
        row_lower = np.concatenate([p.row_lower for p in self.parts])
        row_upper = np.concatenate([p.row_upper for p in self.parts])
        names = [name for p in self.parts for name in p.row_names]
        whole_columns = np.array(self.integer, dtype=bool)
        whole = Compiled(matrix, row_lower, row_upper, cost, constant, lower, upper, whole_columns, {}, names)
        if self._rows:
            at = [(i, j, a) for i, (terms, *_) in enumerate(self._rows) for j, a in terms.items()]
            i, j, a = zip(*at, strict=True)
            added = csr_array(coo_array((a, (i, j)), shape=(len(self._rows), width)))
            sides = [np.array([row[k] for row in self._rows], dtype=float) for k in (1, 2)]
            whole.add_rows(added, sides[0], sides[1], [row[3] for row in self._rows])
        return whole


def at_least(value: float) -> tuple[float, float]:
    """Sides of a row with a lower side only."""
    return value, INFINITY


class JoinedOutages:
    """The outage rows of several problems in one: those it has, and those a solution lacks.

    Does for the joined problem what ``planner.lazy.OutageRows`` does for one.
    """

    def __init__(self, compiled: Compiled, parts: Sequence[OutageRows]) -> None:
        self.compiled, self.parts = compiled, parts
        #: (part, key) in the order of the compiled rows.
        self.rows: list[tuple[int, RowKey]] = [(i, key) for i, part in enumerate(parts) for key in part.rows]
        self.seconds = 0.0

    def add(self, found: Iterable[tuple[int, RowKey]]) -> list[Rows]:
        """Append rows to the problem and return them, part by part."""
        added: list[Rows] = []
        found = list(found)
        for i, part in enumerate(self.parts):
            known = set(part.rows)
            keys = [key for j, key in found if j == i and key not in known]
            if keys:
                added.append(part.add(keys))
                self.rows += [(i, key) for key in keys]
        return added

    def add_violated(self, x: FloatArray) -> Rows | None:
        """Append the violated outage rows of ``x`` and return them; None if there are none."""
        found = [(i, key) for i, part in enumerate(self.parts) for key in part.missing(x)[:_PER_ROUND]]
        added = self.add(found)
        if not added:
            return None
        matrix = csr_array(vstack([m for m, _, _ in added], format="csr"))
        return matrix, np.concatenate([low for _, low, _ in added]), np.concatenate([high for _, _, high in added])

    def drop_slack(self, x: FloatArray) -> None:
        """Forget outage rows that are far from tight; they come back if a solution violates them."""
        kept = keep_tight(self.compiled, x)
        self.rows = [row for row, keep in zip(self.rows, kept, strict=True) if keep]
        for i, part in enumerate(self.parts):
            part.rows = [key for j, key in self.rows if j == i]
