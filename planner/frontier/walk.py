"""Whole-container plans along a traced front: made where one more brings most, until enough is certain."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from planner.frontier.campus import Campus, Held
from planner.frontier.curve import NOTHING, Curve, Fact, hidden_area, slice_curve
from planner.frontier.front import Front
from planner.frontier.reading import undominated, weight_choice
from planner.frontier.wholeplans import Made, Makers, Wanted, whole_steps
from planner.problem import FloatArray
from planner.results import Plan
from planner.search import Solution
from planner.solve import Stop

#: Uncovered share that whole containers may add to that of the relaxed front.
WHOLE_SHARE = 0.005
#: Plans made by each worker before the next ones are chosen.
_SEVERAL = 4
_HALVINGS = 8
#: Normalised cost above every plan.
_OUT_OF_REACH = 1e6
#: Places between the two ends at which a further plan is considered, and the least share it must take away.
_GRID, _LEAST_GAIN = 2001, 1e-7
#: How far past a jump a plan is made, as a share of the range: at the jump itself whole containers seldom fit.
_PAST_JUMP = 0.005
#: Neighbours on either side over which the cost of rounding is averaged.
_NEAR = 3
_WEIGHTS = np.full(2 * _NEAR + 1, 1 / (2 * _NEAR + 1))
#: How far below a corner the next one is looked for, normalised: far less than a container.
_BELOW = 1e-6


class Walk:
    """Whole plans where one more brings most."""

    def __init__(
        self, campus: Campus, front: Front, held: Held, solution: Solution, cheap: Plan, workers: int, audit: bool,
        stop: Stop,
    ) -> None:  # fmt: skip
        self.campus, self.front, self.stop, self.workers = campus, front, stop, workers
        self.plans: list[Plan] = [cheap]
        #: Exposures at which a fractional solution was made whole, and at which the best whole plan was searched for.
        self.tried: set[float] = set()
        self.searched: set[float] = set()
        #: Where a fractional solution was made whole, and what that cost on top, both normalised.
        self.rounding: list[tuple[float, float]] = []
        #: No whole-container plan has so little exposure.
        self.impossible_frac = -np.inf
        #: (exposure limit, proved cost of any whole-container plan within it)
        self.bounds: list[tuple[float, float]] = []
        rows = tuple(dict.fromkeys([*solution.rows, *campus.two.separation.outages.rows]))  # type: ignore[union-attr]
        terms = (campus.problem, campus.measure, held, rows, stop.left_s(), audit)
        self.makers = Makers(terms, workers)

    def walk(self, thetas: Sequence[float], most: int) -> bool:
        """Ends, weights and corners of jumps first, then wherever a plan promises most; False if plans do not fit.

        Where whole containers cost so much more than fractions that no plan promises anything, the middle of what
        hides most is tried: few containers are searched exactly there, which brings a bound too.
        """
        try:
            first = [p.exposure for p in (self.front.points[0], self.front.points[-1])]
            first += [weighted_exposure(self.front, theta) for theta in thetas]
            past = _PAST_JUMP * self.front.archive.frame.x_length
            first += [j.exposure + past for j in sorted(self.front.jumps, key=lambda j: j.cost_at - j.cost_below)[:6]]
            if not self._make(first):
                return False
            self._secure_end()
            while len(self.plans) < most and not self.stop.now:
                if self.uncovered_frac() <= self.front.uncovered_frac + WHOLE_SHARE:
                    break
                count = self.workers * _SEVERAL
                wanted, exactly = self._promising(count), False
                if not wanted and self._few():
                    wanted, exactly = self._hiding(count), True
                if not wanted:
                    break
                if not self._make(wanted, exactly):
                    return False
            return True
        finally:
            self.makers.close()

    def weighted(self, theta: float) -> Plan:
        """The best plan at one weight of security, among those made at its point, at the ends and on the way."""
        measure = self.campus.measure
        try:
            self._make([self.front.points[0].exposure, weighted_exposure(self.front, theta)])
            self._secure_end()
        finally:
            self.makers.close()
        plans = undominated(self.plans, measure)
        return plans[weight_choice([(p.exposure_frac[measure], p.cost_musd) for p in plans], theta)]

    def _make(self, exposures: Sequence[float], exactly: bool = False) -> bool:
        """Plans at some exposures; False if one of them does not fit the yards at its cost."""
        tried = self.searched if exactly else self.tried
        fresh = [e for e in dict.fromkeys(round(e, 9) for e in exposures) if e not in tried]
        tried.update(fresh)
        made: list[Made] = []
        for some in [fresh] if self.workers > 1 else [[e] for e in fresh]:
            wanted = [self._wanted(e, exactly) for e in some]
            wanted = [one for one in wanted if not self._settled(one)]
            made += self._kept(wanted, self.makers.make(wanted, self.stop))
        return self.campus.with_site or all(one.fits for one in made)

    def _wanted(self, exposure: float, exactly: bool) -> Wanted:
        """The plan to be made at an exposure; what is proved under a wider limit holds for it too."""
        at = min(max(exposure, self.front.points[0].exposure), self.front.points[-1].exposure)
        proved = [self.front.lower(at), self.plans[0].bound_musd, *(cost for e, cost in self.bounds if e >= at)]
        return Wanted(at, self.front.solution(at), self.front.upper(at), max(proved), exactly)

    def _settled(self, wanted: Wanted) -> bool:
        """Whether a plan in hand is within the gap that is asked of the best there can be."""
        gap, measure = self.campus.problem.case.solver.gap_frac, self.campus.measure
        costs = [p.cost_musd for p in self.plans if p.exposure_frac[measure] <= wanted.exposure_frac]
        return bool(costs) and min(costs) - wanted.bound_musd <= gap * abs(min(costs))

    def _kept(self, wanted: Sequence[Wanted], made: list[Made]) -> list[Made]:
        """Plans remembered, with what they prove and what whole containers cost in them."""
        for limit, one in zip(wanted, made, strict=True):
            if one.plan is not None:
                self.plans.append(one.plan)
                if not limit.exactly:
                    over = (one.plan.cost_musd - limit.attained_musd) / self.front.archive.frame.c_length
                    self.rounding.append((self._place(limit.exposure_frac), over))
                self.bounds.append((limit.exposure_frac, one.plan.bound_musd))
            elif one.impossible:
                self.impossible_frac = max(self.impossible_frac, limit.exposure_frac)
        return made

    def _secure_end(self) -> None:
        """Halve the way to the least exposure of whole containers, where the front's own end takes fractions."""
        measure = self.campus.measure
        for _ in range(_HALVINGS):
            least = min(p.exposure_frac[measure] for p in self.plans)
            proved = max(self.impossible_frac, self.front.points[0].exposure)
            if least - proved <= 1e-4 * max(1.0, least) or self.stop.now:
                return
            self._make([(least + proved) / 2])
            if least == min(p.exposure_frac[measure] for p in self.plans) and self.impossible_frac < proved:
                return

    def corners(self) -> list[tuple[float, float]]:
        """Undominated (exposure, cost) of the plans, normalised like the front."""
        frame = self.front.archive.frame
        measure = self.campus.measure
        return whole_steps([frame.inside((p.exposure_frac[measure], p.cost_musd)) for p in self.plans])

    def _step(self) -> tuple[Curve, Curve, float]:
        lower = self.front.archive.lower()
        lo, hi = lower.pieces[0].left, lower.pieces[-1].right
        # What is proved about whole containers without any limit holds under every limit.
        bound = self.front.archive.frame.inside((0.0, self.plans[0].bound_musd))[1]
        lower = lower.merged(Fact(0.0, 1.0, np.inf, np.inf, bound).curve(-2, lo, hi), -1)
        if self.impossible_frac > -np.inf:
            e = self._place(self.impossible_frac)
            lower = lower.merged(Fact(0.0, 1.0, e, _OUT_OF_REACH, np.inf).curve(-2, lo, hi), -1)
        for limit, cost in self.bounds:
            e, c = self.front.archive.frame.inside((limit, cost))
            lower = lower.merged(Fact(0.0, 1.0, e, np.inf, c).curve(-2, lo, hi), -1)
        curve = Curve.nothing(lo, hi, np.inf)
        corners = self.corners()
        for number, corner in enumerate(corners):
            if corner[0] < hi:
                curve = curve.merged(slice_curve([corner], number, lo, hi), 1)
        return curve, lower, corners[0][1]

    def uncovered_frac(self) -> float:
        """Share of the rectangle between the whole-container ends that may hide a better plan."""
        curve, lower, top = self._step()
        corners = self.corners()
        ends = [self.front.archive.frame.inside((p.exposure, p.cost)) for p in self.front.points]
        wide = max(corners[-1][0], ends[-1][0]) - min(corners[0][0], ends[0][0])
        top = max(top, ends[0][1])
        high = top - min(corners[-1][1], ends[-1][1])
        if len(ends) == 1 and len(corners) == 1:
            return 0.0
        area = float(hidden_area(curve, lower, top).sum())
        return min(1.0, area / (wide * high)) if wide * high > 0 else 1.0

    def _place(self, exposure_frac: float) -> float:
        """An exposure on the scale of the front."""
        return self.front.archive.frame.inside((exposure_frac, 0.0))[0]

    def _few(self) -> bool:
        """Whether whole containers cost more on top of fractions than the gap of a search for the best of them."""
        over = float(np.median([r for _, r in self.rounding] or [0.0])) * self.front.archive.frame.c_length
        return over > self.campus.problem.case.solver.gap_frac * abs(self.plans[0].cost_musd)

    def _expected_rounding(self, grid: FloatArray) -> FloatArray:
        """What whole containers are expected to cost on top: the mean of the nearest ones made so far."""
        if not self.rounding:
            return np.zeros_like(grid)
        at, over = np.array(sorted(self.rounding)).T
        mean = np.convolve(np.pad(over, _NEAR, mode="reflect" if len(over) > _NEAR else "edge"), _WEIGHTS, mode="valid")
        return np.interp(grid, at, mean)

    def _hiding(self, count: int) -> list[float]:
        """Exposures that may settle the steps that hide most: the middle, then just below the right end."""
        curve, lower, top = self._step()
        areas = hidden_area(curve, lower, top)
        frame = self.front.archive.frame
        searched = [self._place(e) for e in self.searched]
        found = []
        for i in np.argsort(-areas)[:count]:
            step = curve.pieces[i]
            if step.tag == NOTHING or areas[i] <= _LEAST_GAIN:
                continue
            halved = any(step.left <= e < step.right for e in searched)
            e = step.right - _BELOW if halved else (step.left + step.right) / 2
            found.append(frame.outside((e, 0.0))[0])
        return [e for e in found if round(e, 9) not in self.searched]

    def _promising(self, count: int) -> list[float]:
        """Exposures at which one more plan would take most from what is hidden, one after the other.

        A plan at an exposure is expected to cost what the fractional solution there costs, and what whole
        containers cost on top nearby; it lowers every step to its right that is dearer.
        """
        corners = np.array(self.corners())
        frame, upper = self.front.archive.frame, self.front.archive.upper()
        grid, each = np.linspace(corners[0, 0], corners[-1, 0], _GRID, retstep=True)
        # A whole plan may have a rounding less exposure than anything that was traced.
        cost = np.array([min(upper.at(e), _OUT_OF_REACH) for e in grid]) + self._expected_rounding(grid)
        step = corners[np.searchsorted(corners[:, 0], grid, side="right") - 1, 1]
        open_ = np.ones(_GRID, dtype=bool)
        for tried in self.tried:
            open_ &= np.abs(grid - self._place(tried)) > each
        chosen: list[float] = []
        while len(chosen) < count:
            gain = np.where(open_, _taken(step, cost) * each, 0.0)
            best = int(gain.argmax())
            if gain[best] <= _LEAST_GAIN:
                break
            chosen.append(frame.outside((grid[best], 0.0))[0])
            step[best:] = np.minimum(step[best:], cost[best])
            open_[best] = False
        return chosen


def _taken(step: FloatArray, cost: FloatArray) -> FloatArray:
    """Area under a falling step function that one plan at each place of the grid would take away, in cells.

    Parameters
    ----------
    step
        Least cost of the plans so far, falling.
    cost
        Expected cost of a plan at each place.
    """
    here = np.arange(len(step))
    until = np.maximum(np.searchsorted(-step, -cost, side="left"), here)
    below = np.concatenate([[0.0], np.cumsum(step)])
    return np.asarray(below[until] - below[here] - (until - here) * cost)


def weighted_exposure(front: Front, theta: float) -> float:
    """Exposure of the point that a weight of security picks; the ends for 0 and 1."""
    points = front.points
    if theta <= 0.0:
        return points[-1].exposure
    if theta >= 1.0:
        return points[0].exposure
    frame = front.archive.frame
    scores = [(1 - theta) * c + theta * e for e, c in (frame.inside((p.exposure, p.cost)) for p in points)]
    return points[int(np.argmin(scores))].exposure
