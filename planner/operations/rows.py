"""Cuts of the operating years as rows of the compiled problem, added when a solution violates them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import pyomo.environ as pyo
from numpy.typing import NDArray
from scipy.sparse import csr_array

from planner.model.coefficients import Coefficients
from planner.model.duties import duty_parts, running_parts, standing_parts
from planner.operations.campus import Campus, Fleet
from planner.operations.cuts import SHORTFALL_USD_PER_MWH, Learner
from planner.operations.year import FloatArray
from planner.solve import INFINITY, Compiled
from planner.units import HOURS_PER_YEAR, USD_PER_MUSD

#: As ``CutRows.violated_frac`` in a search: years are settled in the end.
_VIOLATED = 1e-5
#: Unserved energy over that of the load that the search lets pass.
_MISSING_FRAC = 1e-5
#: Million USD a year by which a cut is slack, per unit of the largest year, when it is forgotten.
_FAR = 0.1
#: Cuts of one period that are added at a time.
_MOST_ROWS = 4


@dataclass
class OperatingColumns:
    """Where the variables of the operating years stand; -1 where there is none."""

    cycled: NDArray[np.int64]
    running: NDArray[np.int64]
    standing_mw: NDArray[np.int64]
    held_mwh: NDArray[np.int64]
    run_mw: NDArray[np.int64]
    run_mwh: NDArray[np.int64]
    operating: NDArray[np.int64]
    added: NDArray[np.int64]

    @classmethod
    def of(cls, m: pyo.ConcreteModel, c: Coefficients, compiled: Compiled) -> OperatingColumns:
        """Look every variable up once."""
        operating = c.problem.case.operating
        assert operating is not None
        settings = len(operating.reserve_settings)
        cycled = np.full((len(c.pairs), settings), -1, dtype=np.int64)
        for i, j, duty in duty_parts(c):
            cycled[i, j] = compiled.index(m.cycled[duty])
        shape = (len(c.pairs), len(c.problem.periods), len(operating.seasons), settings)
        running = np.full(shape, -1, dtype=np.int64)
        for i, p, s, j, runs in running_parts(c):
            running[i, p, s, j] = compiled.index(m.running[runs])
        offers = len(c.problem.offers)
        standing = np.full((offers, shape[1]), -1, dtype=np.int64)
        held = np.full((offers, *shape[1:3]), -1, dtype=np.int64)
        run_mw, run_mwh = (np.full((offers, *shape[1:]), -1, dtype=np.int64) for _ in range(2))
        for o, p, _, part in standing_parts(c):
            standing[o, p] = compiled.index(m.standing_mw[part])
            for s in range(shape[2]):
                held[o, p, s] = compiled.index(m.held_mwh[*part, s])
                for j in range(settings):
                    run_mw[o, p, s, j] = compiled.index(m.run_mw[*part, s, j])
                    run_mwh[o, p, s, j] = compiled.index(m.run_mwh[*part, s, j])
        return cls(
            cycled, running, standing, held, run_mw, run_mwh,
            np.array([compiled.index(m.operating_musd[p.label]) for p in c.problem.periods], dtype=np.int64),
            np.array([compiled.index(m.added_mw[name]) for name in operating.renewables], dtype=np.int64),
        )  # fmt: skip

    def settled(self) -> NDArray[np.int64]:
        """What a schedule depends on beside containers and served load."""
        return np.concatenate([self.cycled.ravel(), self.running.ravel(), self.added])


class CutRows:
    """The cuts of one compiled problem: those it has, and those that a solution lacks.

    Parameters
    ----------
    c, columns, containers, served
        The problem, and where its variables stand.
    """

    def __init__(
        self, c: Coefficients, columns: OperatingColumns, containers: NDArray[np.int64], served: NDArray[np.int64]
    ) -> None:
        self.c, self.columns, self.containers, self.served = c, columns, containers, served
        self.campus = Campus(c)
        self.learner = Learner(self.campus)
        self.known: list[tuple[int, int]] = []  # in the order of their rows
        #: Million USD a year by which a cut must be violated to be added, per unit of the largest year.
        self.violated_frac = _VIOLATED
        #: What all years together may hide before a cut is added, in million USD.
        self.tolerance_musd = 0.0
        #: Unserved energy over that of the load that is let pass: the last digits are mended in the plan alone.
        self.missing_frac = _MISSING_FRAC

    def fleet(self, x: FloatArray) -> Fleet:
        """What a solution puts on the site."""
        values = np.append(x, 0.0)  # column -1 stands for variables that are in no row
        count = np.maximum(values[self.containers], 0.0)
        return Fleet(
            count,
            np.clip(values[self.columns.cycled], 0.0, count[:, None]),
            np.maximum(values[self.columns.running], 0.0),
            np.maximum(values[self.served], 0.0),
            np.maximum(values[self.columns.added], 0.0),
        )

    def operating_musd(self, x: FloatArray) -> FloatArray:
        """What a solution counts for each year, shape (P,)."""
        return np.asarray(x[self.columns.operating])

    def hidden_musd(self, x: FloatArray) -> FloatArray:
        """How much more each period's year costs, by what is known, than the solution counts, shape (P,)."""
        bounds, priced = self._bounds(self.fleet(x))
        return np.asarray(bounds[priced].max(axis=0) - self.operating_musd(x))

    def _bounds(self, fleet: Fleet) -> tuple[FloatArray, NDArray[np.bool_]]:
        return self.learner.bounds_musd(fleet), np.array([cut.price_counts for cut in self.learner.cuts()])

    def violated(self, x: FloatArray) -> tuple[csr_array, FloatArray, FloatArray, list[str]] | None:
        """The cuts that ``x`` violates most, as rows; None if there are none."""
        keys = self._worst(x)
        if not keys:
            return None
        self.known += keys
        data, at, lower = zip(*(self._row(k, p) for k, p in keys), strict=True)
        starts = np.concatenate([[0], np.cumsum([len(part) for part in at])])
        matrix = csr_array((np.concatenate(data), np.concatenate(at), starts), shape=(len(keys), len(x)))
        matrix.sum_duplicates()
        names = [
            f"operating[{self.c.problem.periods[p].label},{_digest(*row)}]"
            for (_, p), *row in zip(keys, data, at, lower, strict=True)
        ]
        return matrix, np.array(lower), np.full(len(keys), INFINITY), names

    def _worst(self, x: FloatArray) -> list[tuple[int, int]]:
        """Cut and period that ``x`` violates most."""
        bounds, priced = self._bounds(self.fleet(x))
        short = bounds - np.where(priced[:, None], self.operating_musd(x)[None, :], 0.0)
        weight = self.campus.weight_musd * USD_PER_MUSD
        hidden = float(weight @ np.maximum(0.0, short[priced].max(axis=0)))
        if hidden <= self.tolerance_musd:
            short[priced] = 0.0
        accuracy = self.violated_frac * (1.0 + np.abs(self.operating_musd(x)).max())
        least = np.where(priced[:, None], accuracy, self._missing(x[self.served]))
        known = set(self.known)
        return [
            (int(k), p)
            for p in range(short.shape[1])
            for k in np.argsort(-short[:, p])[:_MOST_ROWS]
            if short[k, p] > least[k, p] and (int(k), p) not in known
        ]

    def drop_slack(self, compiled: Compiled, x: FloatArray) -> None:
        """Forget cuts that say far less about ``x`` than it counts; they come back if a solution violates them."""
        slack = compiled.matrix @ x - compiled.row_lower
        ours = np.array([name.startswith("operating[") for name in compiled.row_names], dtype=bool)
        kept = ~ours | (slack <= _FAR * (1.0 + np.abs(self.operating_musd(x)).max()))
        compiled.keep_rows(kept)
        self.known = [key for key, keep in zip(self.known, kept[ours], strict=True) if keep]

    def raised_musd(self, x: FloatArray) -> float:
        """Count what is known of its years in a solution, in place; by how much its present value rises."""
        more = np.maximum(0.0, self.hidden_musd(x))
        x[self.columns.operating] += more
        return float(self.campus.weight_musd @ more) * USD_PER_MUSD

    def impossible(self, x: FloatArray) -> bool:
        """Whether it is known that a year of a solution has no schedule."""
        return bool(self.missing(self.fleet(x)).any())

    def missing(self, fleet: Fleet) -> NDArray[np.bool_]:
        """For which periods it is known that they have no schedule, shape (P,)."""
        bounds, priced = self._bounds(fleet)
        return np.asarray((bounds[~priced] > self._missing(fleet.served_mw)).any(axis=0))

    def _missing(self, served_mw: FloatArray) -> FloatArray:
        """Shortfall of each period that counts as accuracy, in the unit of cuts that say that no schedule exists."""
        served = np.maximum(1.0, served_mw)
        return np.asarray(self.missing_frac * HOURS_PER_YEAR * served * SHORTFALL_USD_PER_MWH / USD_PER_MUSD)

    def _row(self, k: int, p: int) -> tuple[FloatArray, NDArray[np.int64], float]:
        """Operating - served + worth of what runs, of what rests, of generators and panels >= -gate."""
        c, cut, campus = self.c, self.learner.cuts()[k], self.campus
        o, columns, up = c.pair_offer, self.columns, campus.up_frac
        runs = np.isin(o, campus.generators) * c.alive[:, p] * up[o] * c.power_mw[o] * cut.generator[o]
        # What rests in a season is what stands less what runs; its energy is what is left less what running ones keep.
        rest_mw, rest_mwh = up[:, None] * cut.rest_mw, up[:, None] * cut.rest_mwh
        run_mw = up[:, None, None] * cut.run_mw - rest_mw[:, :, None]
        run_mwh = up[:, None, None] * cut.run_mwh - rest_mwh[:, :, None] * (1.0 - c.swing_frac)
        added = cut.renewable[1:] * campus.addable(p)
        values = [
            runs, rest_mw.sum(axis=1), rest_mwh.ravel(), run_mw.ravel(), run_mwh.ravel(), np.array([-cut.served]),
            added,
        ]  # fmt: skip
        where = [
            self.containers, columns.standing_mw[:, p], columns.held_mwh[:, p].ravel(), columns.run_mw[:, p].ravel(),
            columns.run_mwh[:, p].ravel(), self.served[p : p + 1], columns.added,
        ]  # fmt: skip
        if cut.price_counts:
            values.append(np.ones(1))
            where.append(self.columns.operating[p : p + 1])
        data, at = np.concatenate(values), np.concatenate(where).astype(np.int64)
        kept = (data != 0.0) & (at >= 0)
        constant = -float(np.dot(campus.gate(p), cut.gate) + campus.given_mw(p) @ cut.renewable)
        return data[kept], at[kept], constant


def _digest(data: FloatArray, at: NDArray[np.int64], lower: float) -> str:
    """What tells rows apart in every process: where a year stands in a pool does not."""
    return hashlib.sha256(data.tobytes() + at.tobytes() + np.float64(lower).tobytes()).hexdigest()[:16]
