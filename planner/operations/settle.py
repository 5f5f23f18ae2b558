"""Brings the operating years of a solution and what the search counts for them together."""

from __future__ import annotations

import numpy as np

from planner.operations.campus import Fleet
from planner.operations.operated import Operated
from planner.operations.rows import CutRows
from planner.operations.schedule import YearPlan, plan_year
from planner.operations.year import FloatArray
from planner.solve import Stop
from planner.units import USD_PER_MUSD

#: Accuracy of years that are only learned from.
_LEARNING = 5e-4
#: Years that differ by less than this in every MW or MWh per MW served teach the same.
_ALIKE = 0.04
#: Relaxed solutions that are learned from.
_MOST_ROUNDS = 12


class Settlement:
    """Learns from solutions, and schedules the last one.

    Parameters
    ----------
    cuts
        The cuts of the compiled problem.
    stop
        Time limit and interrupt of the search.
    """

    def __init__(self, cuts: CutRows, stop: Stop) -> None:
        self.cuts, self.stop, self.rounds = cuts, stop, 0

    @property
    def _weight(self) -> FloatArray:
        return np.asarray(self.cuts.campus.weight_musd * USD_PER_MUSD)

    def counted_musd(self, x: FloatArray) -> float:
        """Present value that a solution counts for its years."""
        return float(self._weight @ self.cuts.operating_musd(x))

    def learn(self, x: FloatArray) -> float:
        """Operate the years of a relaxed solution; how much they cost beyond what it counts, in million USD."""
        self.rounds += 1
        return 0.0 if self.rounds > _MOST_ROUNDS else self._operate(x)

    def settle(self, x: FloatArray) -> float:
        """Operate the years of a whole plan and count them in it, in place; by how much its cost rises."""
        self._operate(x)
        return self.cuts.raised_musd(x)

    def _operate(self, x: FloatArray) -> float:
        fleet = self.cuts.fleet(x)
        power = self.cuts.campus.totals(fleet).power_mw.sum(axis=0)
        done: list[FloatArray] = []
        for p in range(len(fleet.served_mw)):
            if self.stop.now:
                break
            if fleet.served_mw[p] <= 1e-6 and power[p] <= 1e-6:
                continue
            what = self._profile(p, fleet)
            if all(np.abs(what - other).max() > _ALIKE for other in done):
                done.append(what)
                self.cuts.learner.learn(p, fleet, _LEARNING)
        return float(self._weight @ np.maximum(0.0, self.cuts.hidden_musd(x)))

    def operated(self, x: FloatArray, years: tuple[YearPlan, ...]) -> Operated:
        """What a plan decides about its operating years."""
        return Operated(self.cuts.campus, self.cuts.fleet(x), years)

    def _profile(self, p: int, fleet: Fleet) -> FloatArray:
        """What a year is like per MW served: years alike teach the same."""
        campus = self.cuts.campus
        totals, size = campus.totals(fleet), max(float(fleet.served_mw[p]), 1e-6)
        sums = [part[:, p].sum() for part in (totals.power_mw, totals.energy_mwh, totals.budget_mwh / 300.0)]
        parts = [sums, totals.floor_mwh[:, p].sum(axis=0), campus.gate(p), totals.generator_mw[:, p]]
        return np.concatenate([np.atleast_1d(np.asarray(part, dtype=float)) for part in parts]) / size

    def schedule(self, x: FloatArray) -> list[YearPlan]:
        """Schedules of a whole plan."""
        campus, fleet = self.cuts.campus, self.cuts.fleet(x)
        return [plan_year(campus, p, fleet) for p in range(len(fleet.served_mw))]
