"""Cuts of the operating years as rows of the compiled problem, added when a solution violates them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyomo.environ as pyo
from numpy.typing import NDArray
from scipy.sparse import csr_array

from planner.model.coefficients import Coefficients
from planner.model.operations import held_parts
from planner.operations.campus import Campus, Fleet
from planner.operations.cuts import SHORTFALL_USD_PER_MWH, Learner
from planner.operations.year import FloatArray
from planner.solve import INFINITY, Compiled
from planner.units import HOURS_PER_YEAR, USD_PER_MUSD

Rows = tuple[csr_array, FloatArray, FloatArray]
#: Million USD a year by which a cut must be violated to be added, per unit of the largest year.
_VIOLATED = 1e-5
#: Unserved energy over that of the load that the search lets pass.
_MISSING_FRAC = 1e-5
#: Cuts of one period that are added at a time.
_MOST_ROWS = 4


@dataclass
class OperatingColumns:
    """Where the variables of the operating years stand; -1 where there is none."""

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
            held, brought, np.array(cycled, dtype=np.int64),
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
        self.known: set[tuple[int, int, bytes]] = set()
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

    def operating_musd(self, x: FloatArray) -> FloatArray:
        """What a solution counts for each year, shape (P,)."""
        return np.asarray(x[self.columns.operating])

    def hidden_musd(self, x: FloatArray) -> FloatArray:
        """How much more each period's year costs, by what is known, than the solution counts, shape (P,)."""
        bounds, _, priced = self._bounds(self.fleet(x))
        return np.asarray(bounds[priced].max(axis=0) - self.operating_musd(x))

    def _bounds(self, fleet: Fleet) -> tuple[FloatArray, NDArray[np.int64], NDArray[np.bool_]]:
        bounds, ways = self.learner.bounds_musd(fleet)
        return bounds, ways, np.array([cut.price_counts for cut in self.learner.cuts()])

    def violated(self, x: FloatArray) -> tuple[csr_array, FloatArray, FloatArray, list[str]] | None:
        """The cuts that ``x`` violates most, as rows; None if there are none."""
        bounds, ways, priced = self._bounds(self.fleet(x))
        short = bounds - np.where(priced[:, None], self.operating_musd(x)[None, :], 0.0)
        weight = self.campus.weight_musd * USD_PER_MUSD
        hidden = float(weight @ np.maximum(0.0, short[priced].max(axis=0)))
        if hidden <= self.tolerance_musd:
            short[priced] = 0.0
        least = np.where(priced[:, None], _VIOLATED * (1.0 + np.abs(self.operating_musd(x)).max()), self._missing(x))
        keys: list[tuple[int, int]] = []
        for p in range(short.shape[1]):
            for k in np.argsort(-short[:, p])[:_MOST_ROWS]:
                key = (int(k), p, ways[k, :, p].tobytes())
                if short[k, p] > least[k, p] and key not in self.known:
                    self.known.add(key)
                    keys.append((int(k), p))
        if not keys:
            return None
        data, at, lower = zip(*(self._row(k, p, ways[k, :, p]) for k, p in keys), strict=True)
        starts = np.concatenate([[0], np.cumsum([len(part) for part in at])])
        matrix = csr_array((np.concatenate(data), np.concatenate(at), starts), shape=(len(keys), len(x)))
        matrix.sum_duplicates()
        names = [f"operating[{self.c.problem.periods[p].label},{k}]" for k, p in keys]
        return matrix, np.array(lower), np.full(len(keys), INFINITY), names

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
        o, offers = c.pair_offer, c.problem.offers
        alive = c.alive[:, p]
        stored = np.array([offers[i].is_storage for i in o])
        runs = np.isin(o, campus.generators)
        up = campus.up_frac[o]
        every = np.arange(len(offers))
        by_power, by_energy, by_wear = cut.power[every, way], cut.energy[every, way], cut.wear[every, way]
        power = np.where(stored, by_power[o], 0.0) + np.where(runs, cut.generator[o], 0.0)
        fresh, worn = c.faded_mwh[:, p], c.worn_mwh[:, p]
        pair = up * alive * (c.power_mw[o] * power + stored * by_energy[o] * fresh)
        budget = campus.operations.cycles_per_yr * by_wear[o] * worn
        cycled = up * alive * stored * (by_energy[o] * (worn - fresh) + budget)
        held = -campus.up_frac[:, None] * cut.held[every, way]
        added = cut.renewable[1:] * campus.addable(p)
        values = [pair, cycled, held.ravel(), np.array([-cut.served]), added]
        where = [
            self.containers, self.columns.cycled, self.columns.held[:, p, :].ravel(), self.served[p : p + 1],
            self.columns.added,
        ]  # fmt: skip
        if cut.price_counts:
            values.append(np.ones(1))
            where.append(self.columns.operating[p : p + 1])
        data, at = np.concatenate(values), np.concatenate(where).astype(np.int64)
        kept = (data != 0.0) & (at >= 0)
        constant = -float(np.dot(campus.gate(p), cut.gate) + campus.given_mw(p) @ cut.renewable)
        return data[kept], at[kept], constant
