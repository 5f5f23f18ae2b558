"""Brings the operating years of a solution and what the search counts for them together."""

from __future__ import annotations

import time

import numpy as np

from planner.operations.campus import Fleet, Totals
from planner.operations.operated import Operated
from planner.operations.rows import CutRows
from planner.operations.schedule import MISSING_FRAC, Standing, YearPlan, guided, servable_mw
from planner.operations.together import together
from planner.operations.year import Dispatch, FloatArray
from planner.solve import Stop
from planner.units import USD_PER_MUSD

#: Accuracy of years that are only learned from: while much is hidden, and at the end.
_COARSE, _LEARNING = 3e-3, 5e-4
#: Years that differ by less than this in every MW, or in what is stored for four hours, per MW served teach the same;
#: in the first rounds, which are far off anyway, by more.
_ALIKE = 0.04
_FIRST_ALIKE = 0.3
_HOURS = 4.0
#: Solutions in fractions that are learned from.
_MOST_ROUNDS = 60
#: A round ends early once the years still to come are expected to hide less than this share of what was found.
_LITTLE = 0.3
#: Years that are learned before it is looked again what the rest may hide: fixed, so that answers do not depend on the
#: machine.
_TOGETHER = 4
#: For each year of a plan, settling it, and scheduling it, take about as long as this many years that are learned from;
#: most share of the limit that is kept for each.
_SETTLING_YEARS, _SCHEDULE_YEARS = 3.0, 3.0
_MOST_KEPT = 0.2
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
        self.cuts, self.stop, self.rounds, self._gap_frac = cuts, stop, 0, gap_frac
        self._accuracy = float(np.clip(_ACCURACY * gap_frac, _FINEST, _COARSEST))
        self._spent_s, self._years_timed = 0.0, 0
        #: Whether whole plans are expected to teach little, as where many were settled before.
        self.expects_little = False
        #: Years as operated for schedules, and which of them were learned from.
        self._guides: dict[str, Dispatch] = {}
        self._learned: set[str] = set()
        #: Periods that lack load in the last whole plan.
        self._short: set[int] = set()
        self._expected = np.full(len(cuts.served), np.inf)

    def afresh(self, stop: Stop) -> Settlement:
        """For another search of the same problem: it knows what was scheduled, and expects years to hide as much."""
        other = Settlement(self.cuts, stop, self._gap_frac)
        other._guides, other._learned, other._expected = self._guides, self._learned, self._expected
        other.expects_little = self.expects_little
        return other

    @property
    def _weight(self) -> FloatArray:
        return np.asarray(self.cuts.campus.weight_musd * USD_PER_MUSD)

    def counted_musd(self, x: FloatArray) -> float:
        """Present value that a solution counts for its years."""
        return float(self._weight @ self.cuts.operating_musd(x))

    def learn(self, x: FloatArray, enough_musd: float, time_share: float) -> float:
        """Operate the years of a solution in fractions; how much they cost beyond what it counts, in million USD.

        Not every year is operated while the others hide much: next time the solution is another one. Less than
        ``enough_musd`` is only said once all years are known, or after ``time_share`` of the time limit, so that a
        plan is found in any case.
        """
        self.rounds += 1
        if self.rounds == 1 and float(self._expected.sum()) <= enough_musd:  # as an earlier search left it
            return 0.0
        late = self.stop.left_s() + self.stop.kept_s < (1.0 - time_share) * self.stop.limit_s
        return 0.0 if late or self.rounds > _MOST_ROUNDS else self._operate(x, enough_musd)

    def settle(self, x: FloatArray, little_musd: float = 0.0) -> None:
        """Operate all years of a whole plan; less than ``little_musd`` that all together hide need not be learned."""
        each = little_musd / (len(self._weight) * np.maximum(self._weight, 1e-300))
        self._operate(x, np.inf, self.cuts.operating_musd(x) + each)

    @property
    def settling_s(self) -> float:
        """Seconds that settling a plan is expected to take."""
        return self._seconds(_SETTLING_YEARS)

    def _seconds(self, years: float) -> float:
        """Seconds that so many years take for each year of a plan."""
        needed = years * len(self.cuts.served) * self._spent_s / max(1, self._years_timed)
        return float(min(needed, _MOST_KEPT * self.stop.limit_s))

    def _operate(self, x: FloatArray, enough_musd: float, known_musd: FloatArray | None = None) -> float:
        fleet = self.cuts.fleet(x)
        totals = self.cuts.campus.totals(fleet)
        power = totals.run_mw.sum(axis=(0, 2, 3))
        done: list[FloatArray] = []
        alike = max(_ALIKE, _FIRST_ALIKE / 2.0**self.rounds) if np.isfinite(enough_musd) else _ALIKE
        hidden = 0.0
        order = [int(p) for p in np.argsort(-self._expected, kind="stable")]
        while order and not self.stop.now:
            if hidden > enough_musd and float(self._expected[order].sum()) < _LITTLE * hidden:
                break
            batch: list[int] = []
            seen: list[int] = []
            while order and len(batch) < _TOGETHER:
                p = order.pop(0)
                seen.append(p)
                if fleet.served_mw[p] <= 1e-6 and power[p] <= 1e-6:
                    continue
                what = self._profile(p, totals, float(fleet.served_mw[p]))
                if all(np.abs(what - other).max() > alike for other in done):
                    done.append(what)
                    batch.append(p)
            self._learn(batch, fleet, known_musd)
            each = self._weight * np.maximum(0.0, self.cuts.hidden_musd(x))
            self._expected[seen], hidden = each[seen], float(each.sum())
        return hidden

    def _learn(self, periods: list[int], fleet: Fleet, known_musd: FloatArray | None) -> None:
        """Learn some years, coarsely or with what a plan counts for each, and keep time enough for the schedules."""
        if not periods:
            return
        began = time.monotonic()
        if known_musd is None:
            self.cuts.learner.learn(periods, fleet, _COARSE)
        else:
            self._learn_exactly(periods, fleet, known_musd)
        self._spent_s += time.monotonic() - began
        self._years_timed += len(periods)
        self.stop.kept_s = self._seconds(_SCHEDULE_YEARS)

    def _learn_exactly(self, periods: list[int], fleet: Fleet, known_musd: FloatArray) -> None:
        """Learn some years of a whole plan; one that lacked load and still does need not be priced yet."""
        learner, cuts = self.cuts.learner, self.cuts
        before = [p for p in periods if p in self._short]
        learner.learn_missing(before, fleet, _LEARNING, MISSING_FRAC)
        known = cuts.missing(fleet)
        served = [p for p in periods if p not in before or not known[p]]
        learner.learn(self._learn_from_guides(served, fleet, known_musd), fleet, _LEARNING)
        self._short = set(np.flatnonzero(cuts.missing(fleet)).tolist())

    def _learn_from_guides(self, periods: list[int], fleet: Fleet, known_musd: FloatArray) -> list[int]:
        """Learn the years whose schedules take hardly more, as far as they miss load or cost more; what is left.

        If the plan stays, these are its schedules. Where little is expected, every year is scheduled first.
        """
        campus = self.cuts.campus
        years, rest = [], []
        for p in periods:
            standing = Standing.of(campus, p, fleet)
            kinds = standing.kinds(campus)
            if kinds is None and not self.expects_little:
                rest.append(p)
            elif standing.key not in self._learned:
                years.append((p, standing, kinds))
        self._guide([standing for _, standing, _ in years])
        told = []
        for p, standing, kinds in years:
            guide = self._guides[standing.key]
            plan = guided(standing, p, guide)
            if not plan.misses_load and plan.total_usd / USD_PER_MUSD <= known_musd[p]:
                continue
            self._learned.add(standing.key)
            if kinds is None:
                rest.append(p)
            else:
                told.append((p, *standing.by_kind(kinds, guide)))
        self.cuts.learner.learn_from(told, fleet, _LEARNING, MISSING_FRAC)
        return rest

    def _guide(self, standing: list[Standing]) -> None:
        """Operate what was not operated before, as accurately as a schedule needs it."""
        new = {one.key: one for one in standing if one.key not in self._guides}
        made = together(lambda one: one.operate(one.site, self._accuracy), new.values())
        self._guides.update(zip(new, made, strict=True))

    def operated(self, x: FloatArray, years: tuple[YearPlan, ...]) -> Operated:
        """What a plan decides about its operating years."""
        return Operated(self.cuts.campus, self.cuts.fleet(x), years)

    def _profile(self, p: int, totals: Totals, served_mw: float) -> FloatArray:
        """What a year is like per MW served: years alike teach the same."""
        campus = self.cuts.campus
        kinds: dict[tuple[int, int], FloatArray] = {}
        for o in campus.stores:
            runs = np.concatenate([totals.run_mw[o, p].ravel(), totals.run_mwh[o, p].ravel() / _HOURS])
            kinds[campus.kind(o)] = kinds.get(campus.kind(o), 0.0) + runs
        parts = [*(kinds[key] for key in sorted(kinds)), np.array(campus.gate(p)), totals.generator_mw[:, p]]
        return np.concatenate(parts) / max(served_mw, 1e-6)

    def schedule(self, x: FloatArray) -> tuple[YearPlan, ...]:
        """Schedules of a whole plan; load may be missing in them."""
        standing = self._standing(x)
        self._guide(standing)
        return tuple(guided(one, p, self._guides[one.key]) for p, one in enumerate(standing))

    def _standing(self, x: FloatArray) -> list[Standing]:
        """What stands on the site in every period."""
        campus, fleet = self.cuts.campus, self.cuts.fleet(x)
        return [Standing.of(campus, p, fleet) for p in range(len(fleet.served_mw))]

    def short(self, x: FloatArray, years: tuple[YearPlan, ...]) -> list[int]:
        """Periods whose schedule misses load; why is learned."""
        found, standing, fleet = [y.period for y in years if y.misses_load], self._standing(x), self.cuts.fleet(x)
        once = list({standing[p].key: p for p in found}.values())
        rest = self._learn_from_guides(once, fleet, self.cuts.operating_musd(x))
        self.cuts.learner.learn(rest, fleet, _LEARNING)
        return found

    def servable_mw(self, x: FloatArray, periods: list[int]) -> dict[int, float]:
        """Load of some periods that the schedules of a whole plan can carry."""
        standing = self._standing(x)
        once = {standing[p].key: standing[p] for p in periods}
        found = dict(zip(once, together(servable_mw, once.values()), strict=True))
        return {p: found[standing[p].key] for p in periods}

    def safe_mw(self, p: int) -> float:
        """Load that the gate alone can serve in every hour of a period, whatever the stores do."""
        return self.cuts.campus.grid_only_mw(p)
