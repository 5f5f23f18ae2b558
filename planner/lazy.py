"""Outage rows added only when a solution violates them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyomo.environ as pyo
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

from planner.model import site
from planner.model.build import assemble
from planner.model.coefficients import Coefficients
from planner.model.reliability import DutyTerms, NumericRow, RowKey, numeric_row, row_name
from planner.operations.rows import CutRows, OperatingColumns
from planner.problem import FloatArray
from planner.separate import Duty, Separator
from planner.solve import Attempt, Compiled, Run

#: Rows violated by less than this share of the requirement count as satisfied.
ROW_TOLERANCE = 2e-8
_ROWS_PER_ROUND = 60
#: Share of the requirement within which a row is nearly violated.
_NEAR = 0.03
#: Outage rows with more slack than this share of their requirement are dropped after the relaxation.
_TIGHT = 1e-4

#: Row families of the site, left out until what is bought turns out not to fit.
_SITE_FAMILIES = frozenset(member.name for member in site.FAMILIES)

Rows = tuple[csr_array, FloatArray, FloatArray]


@dataclass
class Columns:
    """Where the variables of the model stand among the compiled columns."""

    containers: NDArray[np.int64]
    served: NDArray[np.int64]
    tiers: dict[int, list[int]]
    placed: NDArray[np.int64]
    lost_levels: NDArray[np.int64]
    energised: dict[int, int]
    site: NDArray[np.int64]
    operating: OperatingColumns | None = None

    def moved(self, by: int) -> Columns:
        """The same columns where the problem stands so many columns further right beside others."""

        def at(columns: NDArray[np.int64]) -> NDArray[np.int64]:
            return np.where(columns >= 0, columns + by, columns)

        return Columns(
            at(self.containers), at(self.served),
            {o: [j + by if j >= 0 else j for j in tiers] for o, tiers in self.tiers.items()},
            at(self.placed), at(self.lost_levels),
            {p: j + by if j >= 0 else j for p, j in self.energised.items()}, at(self.site),
        )  # fmt: skip

    @classmethod
    def of(cls, m: pyo.ConcreteModel, c: Coefficients, compiled: Compiled) -> Columns:
        """Look every variable up once."""
        offers, periods = c.problem.offers, c.problem.periods
        return cls(
            np.array([compiled.index(m.containers[offers[o].offer, periods[p].label]) for o, p in c.pairs], dtype=int),
            np.array([compiled.index(m.served_mw[p.label]) for p in periods], dtype=int),
            {
                o: [compiled.index(m.tier[offers[o].offer, offers[o].tiers[t].tier]) for t in c.reachable_tiers(o)]
                for o in c.offers_used
            },
            np.array([compiled.index(v) for v in m.placed.values()], dtype=int),
            np.array(
                [
                    [
                        compiled.index(m.lost_level[p.label, j] if p.label in m.may_idle else m.group_level[j])
                        for j in m.group_levels
                    ]
                    for p in periods
                ],
                dtype=int,
            ),
            {p: compiled.index(m.energised[q.label]) for p, q in enumerate(periods) if q.label in m.may_idle},
            np.array([compiled.index(v) for v in (*m.zone_option.values(), *m.present.values())], dtype=int),
            None if c.problem.case.operating is None else OperatingColumns.of(m, c, compiled),
        )


def without_site(problem: Compiled) -> Compiled:
    """The same columns without the rows of the site, which seldom bind."""
    names = [name.split("[")[0] for name in problem.row_names]
    return problem.with_rows(np.array([name not in _SITE_FAMILIES for name in names]))


@dataclass
class Prepared:
    """A model with a few outage rows, compiled, and what adds the rows that a solution lacks."""

    model: pyo.ConcreteModel
    compiled: Compiled
    columns: Columns
    outages: OutageRows

    @classmethod
    def of(cls, c: Coefficients, rows: list[RowKey], rules: frozenset[str]) -> Prepared:
        """Build and compile the model with the given outage rows and business rules."""
        model = assemble(c, rows, rules)
        compiled = Compiled.from_pyomo(model)
        # Pyomo sorts the rows by name: bring the keys into the compiled order.
        key = {model.outage[row_name(c, k)].name: k for k in rows}
        rows = [key[name] for name in compiled.row_names if name in key]
        columns = Columns.of(model, c, compiled)
        return cls(model, compiled, columns, OutageRows(c, columns, compiled, rows, "reliability" in rules))


def keep_tight(compiled: Compiled, x: FloatArray) -> NDArray[np.bool_]:
    """Drop the outage rows that are far from tight at ``x``; tell which of the outage rows were kept, in order."""
    slack = compiled.matrix @ x - compiled.row_lower
    outage = np.array([name.startswith("outage[") for name in compiled.row_names], dtype=bool)
    kept = ~outage | (slack <= _TIGHT)
    compiled.keep_rows(kept)
    return np.asarray(kept[outage])


class AddsRows(Protocol):
    """What knows the outage rows that a solution lacks: of one problem, or of several joined."""

    def add_violated(self, x: FloatArray) -> Rows | None:
        """Append the violated outage rows of ``x`` to the problem and return them; None if there are none."""


def solved_with_every_row(run: Run, outages: AddsRows, gap_frac: float) -> Attempt:
    """Solve what is loaded, and again with the outage rows that its solution violates, until none is left."""
    while True:
        attempt = run.solve(gap_frac)
        added = None if attempt.x is None else outages.add_violated(attempt.x)
        if added is None:
            return attempt
        run.add_rows(*added)


def _duty_terms(
    duty: DutyTerms | None, operating: OperatingColumns | None, key: RowKey
) -> list[tuple[FloatArray, NDArray[np.int64]]]:
    """Coefficients of containers in daily use and their columns."""
    if duty is None or operating is None:
        return []
    p, s = key.period, key.season
    return [
        (duty.standing_mw, operating.standing_mw[:, p]),
        (duty.held_mwh, operating.held_mwh[:, p, s]),
        (duty.run_mw, operating.run_mw[:, p, s]),
        (duty.run_mwh, operating.run_mwh[:, p, s]),
        (duty.cycled, operating.cycled),
        (duty.running, operating.running[:, p, s]),
    ]


class OutageRows:
    """The outage rows of one compiled problem: those it has, and those a solution lacks.

    Parameters
    ----------
    c, columns, compiled
        The problem, where its variables stand, and the arrays that new rows are appended to.
    rows
        Outage rows that the compiled problem already has, in its order.
    active
        False when the outage rules are left out altogether (to explain infeasibility).
    """

    def __init__(
        self, c: Coefficients, columns: Columns, compiled: Compiled, rows: list[RowKey], active: bool = True
    ) -> None:
        self.c, self.columns, self.compiled, self.rows, self.active = c, columns, compiled, rows, active
        self.separator = Separator(c)
        operating = columns.operating
        self.cuts = None if operating is None else CutRows(c, operating, columns.containers, columns.served)
        self.seconds = 0.0

    def add_violated(self, x: FloatArray) -> Rows | None:
        """Append the violated outage rows and operating cuts of ``x`` and return them; None if there are none."""
        outages = self._add_outages(x) if self.active else None
        cuts = None if self.cuts is None else self._add_cuts(self.cuts, x)
        if outages is None or cuts is None:
            return outages or cuts
        both = csr_array(vstack([outages[0], cuts[0]], format="csr"))
        return both, np.concatenate([outages[1], cuts[1]]), np.concatenate([outages[2], cuts[2]])

    def _add_cuts(self, cuts: CutRows, x: FloatArray) -> Rows | None:
        """Append known cuts of the operating years that ``x`` violates."""
        began = time.perf_counter()
        found = cuts.violated(x)
        self.seconds += time.perf_counter() - began
        if found is None:
            return None
        self.compiled.add_rows(*found)
        return found[:3]

    def _add_outages(self, x: FloatArray) -> Rows | None:
        began = time.perf_counter()
        fresh = self.missing(x)
        self.seconds += time.perf_counter() - began
        if not fresh:
            return None
        return self.add(fresh)

    def add(self, keys: list[RowKey]) -> Rows:
        """Append outage rows to the compiled problem and return them: matrix, lower and upper sides."""
        numeric = [numeric_row(self.c, key) for key in keys]
        matrix, lower = self._matrix(keys, numeric), np.array([-row.idle for row in numeric])
        upper = np.full(len(keys), np.inf)
        self.compiled.add_rows(matrix, lower, upper, [f"outage[{','.join(row_name(self.c, k))}]" for k in keys])
        self.rows += keys
        return matrix, lower, upper

    def drop_slack(self, x: FloatArray) -> None:
        """Forget outage rows that are far from tight; they come back if a solution violates them."""
        kept = keep_tight(self.compiled, x)
        self.rows = [key for key, keep in zip(self.rows, kept, strict=True) if keep]
        if self.cuts is not None:
            self.cuts.drop_slack(self.compiled, x)

    def add_near(self, x: FloatArray) -> None:
        """Append the outage rows that ``x`` nearly violates: plans near it with whole binaries may do so."""
        fresh = self.missing(x, -_NEAR, len(self.separator.target) * len(self.c.contingencies)) if self.active else []
        if fresh:
            self.add(fresh)

    def missing(self, x: FloatArray, tolerance: float = ROW_TOLERANCE, most: int = _ROWS_PER_ROUND) -> list[RowKey]:
        """The worst rows violated by more than a tolerance that the problem does not have."""
        values = np.append(x, 0.0)  # column -1 stands for variables that are in no row
        used = np.zeros(len(self.c.problem.offers))
        for o, tiers in self.columns.tiers.items():
            used[o] = min(1.0, float(values[tiers].sum()))
        energised = np.ones(len(self.c.problem.periods))
        for p, j in self.columns.energised.items():
            energised[p] = values[j]
        found = self.separator.violated(
            values[self.columns.containers],
            values[self.columns.served],
            used,
            values[self.columns.lost_levels],
            energised,
            tolerance,
            self._duty(values),
        )
        known = set(self.rows)
        return [v.key for v in found if v.key not in known][:most]

    def _duty(self, values: FloatArray) -> Duty | None:
        """What a solution runs in operating years."""
        operating = self.columns.operating
        if operating is None:
            return None
        return Duty(np.maximum(values[operating.cycled], 0.0), np.maximum(values[operating.running], 0.0))

    def _matrix(self, keys: list[RowKey], numeric: list[NumericRow]) -> csr_array:
        """The rows as a sparse matrix over the compiled columns."""
        data: list[FloatArray] = []
        columns: list[NDArray[np.int64]] = []
        starts = [0]

        def put(values: FloatArray | list[float], at: NDArray[np.int64] | list[int]) -> None:
            data.append(np.asarray(values, dtype=float))
            columns.append(np.asarray(at, dtype=np.int64))

        for key, row in zip(keys, numeric, strict=True):
            kept = np.flatnonzero((row.pair != 0.0) & (self.columns.containers >= 0))
            put(row.pair[kept], self.columns.containers[kept])
            put([-row.served], [self.columns.served[key.period]])
            if row.offer is not None and row.used:
                tiers = self.columns.tiers[row.offer]
                put([-row.used] * len(tiers), tiers)
            if row.level is not None:
                put(-row.level, self.columns.lost_levels[key.period])
            if row.idle:
                put([-row.idle], [self.columns.energised[key.period]])
            for less, where in _duty_terms(row.duty, self.columns.operating, key):
                kept = (less != 0.0) & (where >= 0)
                put(less[kept], where[kept])
            starts.append(sum(len(part) for part in data))
        shape = (len(keys), len(self.compiled.cost))
        return csr_array((np.concatenate(data), np.concatenate(columns), np.array(starts)), shape=shape)
