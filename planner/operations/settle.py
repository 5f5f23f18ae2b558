"""Brings the operating years of a solution and what the search counts for them together."""

from __future__ import annotations

import time

import numpy as np

from planner.operations.campus import Fleet
from planner.operations.operated import Operated
from planner.operations.rows import CutRows
from planner.operations.schedule import MISSING_FRAC, YearPlan, plan_year
from planner.operations.year import FloatArray
from planner.solve import Stop
from planner.units import HOURS_PER_YEAR, USD_PER_MUSD

#: Accuracy of years that are only learned from.
_LEARNING = 5e-4
#: Years that differ by less than this in every MW, or in what is stored for four hours, per MW served teach the same;
#: in the first rounds, which are far off anyway, by more.
_ALIKE = 0.04
_FIRST_ALIKE = 0.3
_HOURS = 4.0
#: Relaxed solutions that are learned from.
_MOST_ROUNDS = 30
#: Share of the time limit after which a relaxation is no longer learned from, so that a plan is found in any case.
_LEARNING_TIME_SHARE = 0.4
#: A round ends early once the years still to come are expected to hide less than this share of what was found.
_LITTLE = 0.3
#: A schedule takes about as long as this many years that are only learned from; most share of the limit kept for them.
_SCHEDULE_YEARS = 3.0
_MOST_KEPT = 0.25
#: Accuracy of schedules per unit of the asked gap, and its limits.
_ACCURACY = 0.02
_FINEST, _COARSEST = 1e-6, 1e-4


class Settlement:
    """Learns from solutions, and schedules the last one.

    Parameters
    ----------
    cuts
        The cuts of the compiled problem.
    stop
        Time limit and interrupt of the search.
    gap_frac
        The gap asked for.
    """

    def __init__(self, cuts: CutRows, stop: Stop, gap_frac: float) -> None:
        self.cuts, self.stop, self.rounds = cuts, stop, 0
        self._accuracy = float(np.clip(_ACCURACY * gap_frac, _FINEST, _COARSEST))
        self._scheduled: dict[tuple[int, bytes], YearPlan] = {}
        self._expected = np.full(len(cuts.served), np.inf)

    @property
    def _weight(self) -> FloatArray:
        return np.asarray(self.cuts.campus.weight_musd * USD_PER_MUSD)

    def counted_musd(self, x: FloatArray) -> float:
        """Present value that a solution counts for its years."""
        return float(self._weight @ self.cuts.operating_musd(x))

    def learn(self, x: FloatArray, enough_musd: float) -> float:
        """Operate the years of a relaxed solution; how much they cost beyond what it counts, in million USD.

        Not every year is operated while the others hide much: next time the solution is another one. Less than
        ``enough_musd`` is only said once all years are known.
        """
        self.rounds += 1
        late = self.stop.left_s() < (1.0 - _LEARNING_TIME_SHARE) * self.stop.limit_s
        return 0.0 if late or self.rounds > _MOST_ROUNDS else self._operate(x, enough_musd)

    def settle(self, x: FloatArray) -> float:
        """Operate the years of a whole plan and count them in it, in place; by how much its cost rises."""
        self._operate(x, np.inf)
        return self.cuts.raised_musd(x)

    def _operate(self, x: FloatArray, enough_musd: float) -> float:
        fleet = self.cuts.fleet(x)
        power = self.cuts.campus.totals(fleet).power_mw.sum(axis=0)
        done: list[FloatArray] = []
        alike = max(_ALIKE, _FIRST_ALIKE / 2.0**self.rounds) if np.isfinite(enough_musd) else _ALIKE
        weight, hidden = self._weight, 0.0
        order = [int(p) for p in np.argsort(-self._expected, kind="stable")]
        for i, p in enumerate(order):
            to_come = float(self._expected[order[i:]].sum())
            if self.stop.now or (hidden > enough_musd and to_come < _LITTLE * hidden):
                break
            if fleet.served_mw[p] <= 1e-6 and power[p] <= 1e-6:
                self._expected[p] = 0.0
                continue
            what = self._profile(p, fleet)
            if all(np.abs(what - other).max() > alike for other in done):
                done.append(what)
                self._learn(p, fleet)
            each = weight * np.maximum(0.0, self.cuts.hidden_musd(x))
            self._expected[p], hidden = each[p], float(each.sum())
        return hidden

    def _learn(self, p: int, fleet: Fleet) -> None:
        """Learn one year, and keep time enough for the schedules."""
        began = time.monotonic()
        self.cuts.learner.learn(p, fleet, _LEARNING)
        needed = _SCHEDULE_YEARS * len(fleet.served_mw) * (time.monotonic() - began)
        self.stop.kept_s = min(max(self.stop.kept_s, needed), _MOST_KEPT * self.stop.limit_s)

    def operated(self, x: FloatArray, years: tuple[YearPlan, ...]) -> Operated:
        """What a plan decides about its operating years."""
        return Operated(self.cuts.campus, self.cuts.fleet(x), years)

    def _profile(self, p: int, fleet: Fleet) -> FloatArray:
        """What a year is like per MW served: years alike teach the same."""
        campus = self.cuts.campus
        totals, size = campus.totals(fleet), max(float(fleet.served_mw[p]), 1e-6)
        budget = totals.budget_mwh / campus.operations.cycles_per_yr
        sums = [part[:, p].sum() for part in (totals.power_mw, totals.energy_mwh / _HOURS, budget / _HOURS)]
        parts = [sums, totals.floor_mwh[:, p].sum(axis=0) / _HOURS, campus.gate(p), totals.generator_mw[:, p]]
        return np.concatenate([np.atleast_1d(np.asarray(part, dtype=float)) for part in parts]) / size

    def schedule(self, x: FloatArray) -> tuple[YearPlan, ...]:
        """Schedules of a whole plan; load may be missing in them."""
        campus, fleet = self.cuts.campus, self.cuts.fleet(x)
        years = []
        for p in range(len(fleet.served_mw)):
            own = (fleet.containers, fleet.cycled, fleet.held_mwh[:, p], fleet.served_mw[p : p + 1], fleet.renewable_mw)
            key = (p, b"".join(np.round(part, 9).tobytes() for part in own))
            if key not in self._scheduled:
                self._scheduled[key] = plan_year(campus, p, fleet, self._accuracy)
            years.append(self._scheduled[key])
        return tuple(years)

    def short(self, x: FloatArray, years: tuple[YearPlan, ...]) -> list[int]:
        """Periods whose schedule misses load; why is learned."""
        fleet, found = self.cuts.fleet(x), []
        for y in years:
            if y.cost_usd["unserved_mwh"] > MISSING_FRAC * HOURS_PER_YEAR * max(1.0, y.site.served_mw):
                found.append(y.period)
                self.cuts.learner.learn(y.period, fleet, _LEARNING)
        return found

    def safe_mw(self, p: int) -> float:
        """Load that the gate alone can serve in every hour of a period, whatever the stores do."""
        return self.cuts.campus.grid_only_mw(p)
