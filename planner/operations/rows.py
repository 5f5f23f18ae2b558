"""Cuts of the operating years as rows of the compiled problem, added when a solution violates them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import pyomo.environ as pyo
from numpy.typing import NDArray
from scipy.sparse import csr_array

from planner.model.coefficients import Coefficients
from planner.model.operations import held_parts, standing_parts
from planner.operations.campus import Campus, Fleet
from planner.operations.cuts import SHORTFALL_USD_PER_MWH, Learner
from planner.operations.year import FloatArray
from planner.solve import INFINITY, Compiled
from planner.units import HOURS_PER_YEAR, USD_PER_MUSD

Rows = tuple[csr_array, FloatArray, FloatArray]
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

    power: NDArray[np.int64]
    energy: NDArray[np.int64]
    daily: NDArray[np.int64]
    held: NDArray[np.int64]
    brought: NDArray[np.int64]
    cycled: NDArray[np.int64]
    operating: NDArray[np.int64]
    added: NDArray[np.int64]

    @classmethod
    def of(cls, m: pyo.ConcreteModel, c: Coefficients, compiled: Compiled) -> OperatingColumns:
        """Look every variable up once."""
        operating = c.problem.case.operating
        assert operating is not None
        offers, periods = c.problem.offers, c.problem.periods
        power, energy, daily = (np.full((len(offers), len(periods)), -1, dtype=np.int64) for _ in range(3))
        for o, p, offer, label in standing_parts(c):
            power[o, p] = compiled.index(m.standing_mw[offer, label])
            energy[o, p] = compiled.index(m.standing_mwh[offer, label])
            daily[o, p] = compiled.index(m.daily_mwh[offer, label])
        held = np.full((len(offers), len(periods), len(operating.seasons)), -1, dtype=np.int64)
        brought = np.full((*held.shape, len(c.edges)), -1, dtype=np.int64)
        for o, p, offer, label, s in held_parts(c):
            held[o, p, s] = compiled.index(m.held_mwh[offer, label, s])
            for k in range(len(c.edges)):
                brought[o, p, s, k] = compiled.index(m.brought_mwh[offer, label, s, k])
        cycled = [
            compiled.index(m.cycled[offers[o].offer, periods[p].label]) if offers[o].is_storage else -1
            for o, p in c.pairs
        ]
        return cls(
            power, energy, daily, held, brought, np.array(cycled, dtype=np.int64),
            np.array([compiled.index(m.operating_musd[p.label]) for p in periods], dtype=np.int64),
            np.array([compiled.index(m.added_mw[name]) for name in operating.renewables], dtype=np.int64),
        )  # fmt: skip

    def settled(self) -> NDArray[np.int64]:
        """What a schedule depends on beside containers and served load."""
        return np.concatenate([self.held.ravel(), self.cycled, self.added])


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
        self.known: list[tuple[int, int, bytes]] = []  # in the order of their rows
        #: Whether each offer has its own way of use in a row, not each kind of store: says more, in far more rows.
        self.by_offer = False
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
            np.clip(values[self.columns.cycled], 0.0, count),
            np.maximum(values[self.columns.held], 0.0),
            np.maximum(values[self.served], 0.0),
            np.maximum(values[self.columns.added], 0.0),
        )

    def evenly_used(self, x: FloatArray) -> Rows:
        """Rows that let all containers of an offer have the same share in daily use, for the counts of ``x``.

        A year adds up what the deliveries of an offer can do; deliveries used alike can do it together, while one
        that ages by daily use cannot lend its cycles to one that does not.
        """
        values = np.append(x, 0.0)
        count = np.round(values[self.containers])
        at: list[int] = []
        data: list[float] = []
        for o in self.campus.stores:
            mine = np.flatnonzero((self.c.pair_offer == o) & (count > 0.5) & (self.columns.cycled >= 0))
            for i in mine[1:]:
                at += [self.columns.cycled[mine[0]], self.columns.cycled[i]]
                data += [1.0 / count[mine[0]], -1.0 / count[i]]
        rows = len(at) // 2
        matrix = csr_array((np.array(data), np.array(at, dtype=np.int64), np.arange(rows + 1) * 2), (rows, len(x)))
        return matrix, np.zeros(rows), np.zeros(rows)

    def operating_musd(self, x: FloatArray) -> FloatArray:
        """What a solution counts for each year, shape (P,)."""
        return np.asarray(x[self.columns.operating])

    def hidden_musd(self, x: FloatArray) -> FloatArray:
        """How much more each period's year costs, by what is known, than the solution counts, shape (P,)."""
        bounds, _, priced = self._bounds(self.fleet(x), not self.by_offer)
        return np.asarray(bounds[priced].max(axis=0) - self.operating_musd(x))

    def _bounds(self, fleet: Fleet, by_kind: bool = False) -> tuple[FloatArray, NDArray[np.int64], NDArray[np.bool_]]:
        bounds, ways = self.learner.bounds_musd(fleet, by_kind)
        return bounds, ways, np.array([cut.price_counts for cut in self.learner.cuts()])

    def violated(self, x: FloatArray) -> tuple[csr_array, FloatArray, FloatArray, list[str]] | None:
        """The cuts that ``x`` violates most, as rows; None if there are none."""
        fleet = self.fleet(x)
        keys = self._worst(x, fleet, by_kind=True)
        if not keys and self.by_offer:
            keys = self._worst(x, fleet, by_kind=False)
        if not keys:
            return None
        self.known += [(k, p, way.tobytes()) for k, p, way in keys]
        data, at, lower = zip(*(self._row(k, p, way) for k, p, way in keys), strict=True)
        starts = np.concatenate([[0], np.cumsum([len(part) for part in at])])
        matrix = csr_array((np.concatenate(data), np.concatenate(at), starts), shape=(len(keys), len(x)))
        matrix.sum_duplicates()
        names = [
            f"operating[{self.c.problem.periods[p].label},{_digest(*row)}]"
            for (_, p, _), *row in zip(keys, data, at, lower, strict=True)
        ]
        return matrix, np.array(lower), np.full(len(keys), INFINITY), names

    def _worst(self, x: FloatArray, fleet: Fleet, by_kind: bool) -> list[tuple[int, int, NDArray[np.int64]]]:
        """Cut, period and ways of use that ``x`` violates most."""
        bounds, ways, priced = self._bounds(fleet, by_kind)
        short = bounds - np.where(priced[:, None], self.operating_musd(x)[None, :], 0.0)
        weight = self.campus.weight_musd * USD_PER_MUSD
        hidden = float(weight @ np.maximum(0.0, short[priced].max(axis=0)))
        if hidden <= self.tolerance_musd:
            short[priced] = 0.0
        accuracy = self.violated_frac * (1.0 + np.abs(self.operating_musd(x)).max())
        least = np.where(priced[:, None], accuracy, self._missing(x))
        known = set(self.known)
        return [
            (int(k), p, ways[k, :, p])
            for p in range(short.shape[1])
            for k in np.argsort(-short[:, p])[:_MOST_ROWS]
            if short[k, p] > least[k, p] and (int(k), p, ways[k, :, p].tobytes()) not in known
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
        bounds, _, priced = self._bounds(self.fleet(x))
        return bool((bounds[~priced] > self._missing(x)).any()) if (~priced).any() else False

    def _missing(self, x: FloatArray) -> FloatArray:
        """Shortfall of each period that counts as accuracy, in the unit of cuts that say that no schedule exists."""
        served = np.maximum(1.0, x[self.served])
        return np.asarray(self.missing_frac * HOURS_PER_YEAR * served * SHORTFALL_USD_PER_MWH / USD_PER_MUSD)

    def _row(self, k: int, p: int, way: NDArray[np.int64]) -> tuple[FloatArray, NDArray[np.int64], float]:
        """Operating - served + store, generator and panel worths - held >= -gate."""
        c, cut, campus = self.c, self.learner.cuts()[k], self.campus
        every, up = np.arange(len(c.problem.offers)), campus.up_frac
        budget = up * campus.operations.cycles_per_yr * cut.wear[every, way]
        held = -up[:, None] * cut.held[every, way]
        o = c.pair_offer
        runs = np.isin(o, campus.generators) * c.alive[:, p] * up[o] * c.power_mw[o] * cut.generator[o]
        added = cut.renewable[1:] * campus.addable(p)
        columns = self.columns
        values = [
            up * cut.power[every, way], up * cut.energy[every, way], budget, held.ravel(), runs,
            np.array([-cut.served]), added,
        ]  # fmt: skip
        where = [
            columns.power[:, p], columns.energy[:, p], columns.daily[:, p], columns.held[:, p, :].ravel(),
            self.containers, self.served[p : p + 1], columns.added,
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
