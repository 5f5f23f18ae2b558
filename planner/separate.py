"""Which outage rows does a fleet violate? Exact, over every row, in a few milliseconds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.model.coefficients import Coefficients
from planner.model.reliability import RowKey
from planner.problem import FloatArray

_CHUNK = 512


@dataclass(frozen=True)
class Violated:
    """A row and by how much it is violated, per unit of its requirement at target load."""

    key: RowKey
    amount: float


@dataclass(frozen=True)
class Duty:
    """Containers in daily use, shape (pairs, J), and those that run in each period and season, (pairs, P, S, J)."""

    cycled: FloatArray
    running: FloatArray


class Separator:
    """Finds violated outage rows.

    Parameters
    ----------
    c
        Coefficients; their pairs give the order of ``containers``.
    """

    def __init__(self, c: Coefficients) -> None:
        self.c = c
        offers = len(c.problem.offers)
        self.lost = np.zeros((len(c.contingencies), offers))
        for q, contingency in enumerate(c.contingencies):
            self.lost[q, list(contingency.offers)] = 1.0
        self.share = np.array([q.surviving_frac for q in c.contingencies])
        self.target = np.array([max(p.target_mw, 1e-9) for p in c.problem.periods])

    def violated(
        self,
        containers: FloatArray,
        served_mw: FloatArray,
        used: FloatArray,
        level: FloatArray,
        energised: FloatArray,
        tolerance: float,
        duty: Duty | None = None,
    ) -> list[Violated]:
        """The worst violated row of every contingency and period.

        Parameters
        ----------
        containers
            Per pair, shape (pairs,).
        served_mw
            Shape (P,).
        used
            Whether each offer is used (0..1), shape (O,).
        level
            Whether a fire group of each level can be lost in each period (0..1), shape (P, levels).
        energised
            Whether any load is on (0..1; 1 where it must be), shape (P,).
        tolerance
            Smallest violation that counts, per unit of the requirement.
        duty
            What runs in operating years, if there are any; each season has its worst rows then.
        """
        if duty is not None:
            state = (containers, served_mw, used, level, energised, tolerance)
            found = [v for s in range(duty.running.shape[2]) for v in self._in_season(*state, duty, s)]
            return sorted(found, key=lambda v: -v.amount)
        c = self.c
        worst: dict[tuple[int, int], Violated] = {}
        load = served_mw / self.target
        counts = c.requirement.counts.shape[0]
        for at in range(0, counts, _CHUNK):
            chunk = np.arange(at, min(counts, at + _CHUNK))
            margin = self._margins(chunk, containers, load, used, level, 1.0 - energised)
            self._keep(worst, margin, at, False, tolerance)
        for d, delay in enumerate(c.bridge_delays_h):
            fleet = self._bridging(delay, containers, len(load))
            self._keep(worst, self._bridge_margins(fleet, delay, load, used, 1.0 - energised), d, True, tolerance)
        return sorted(self._without_doubles(worst), key=lambda v: -v.amount)

    def _in_season(
        self, containers: FloatArray, served_mw: FloatArray, used: FloatArray, level: FloatArray,
        energised: FloatArray, tolerance: float, duty: Duty, season: int,
    ) -> list[Violated]:  # fmt: skip
        """Worst rows of one season: containers that run give what they keep."""
        c, worst = self.c, dict[tuple[int, int], Violated]()
        load, idle = served_mw / self.target, 1.0 - energised
        requirement = c.requirement_in(season)
        for at in range(0, requirement.counts.shape[0], _CHUNK):
            chunk = np.arange(at, min(requirement.counts.shape[0], at + _CHUNK))
            fleet = self._by_power(chunk, containers)
            reach = c.power_mw[c.pair_offer, None] * c.open_hours[c.pair_offer][:, chunk]
            self._take_off(fleet, reach, duty, season)
            margin = self._fleet_margins(fleet, chunk, load, used, level, idle, requirement.mwh)
            self._keep(worst, margin, at, False, tolerance, season)
        for d, delay in enumerate(c.bridge_delays_h):
            fleet = self._bridging(delay, containers, len(load))
            self._take_off(fleet, c.bridged_reach_mwh(delay)[:, None], duty, season)
            margin = self._bridge_margins(fleet, delay, load, used, idle)
            self._keep(worst, margin, d, True, tolerance, season)
        return self._without_doubles(worst)

    def _take_off(self, fleet: FloatArray, reach: FloatArray, duty: Duty, season: int) -> None:
        """Take off what daily use takes from every offer, in place; ``fleet`` (O, P, M), ``reach`` (pairs, M)."""
        c = self.c
        active = np.flatnonzero(duty.cycled.max(axis=1, initial=0.0) > 1e-9)
        for p in range(fleet.shape[1]):
            worn, left = c.duty_delivered_mwh(p, reach[active], active)
            less = np.einsum("ij,imj->im", duty.cycled[active], worn)
            less += np.einsum("ij,imj->im", duty.running[active, p, season], left)
            np.add.at(fleet[:, p], c.pair_offer[active], less)

    def _by_power(self, counts: NDArray[np.int64], containers: FloatArray) -> FloatArray:
        """What every offer brings out against count vectors, shape (O, P, M)."""
        c = self.c
        active = np.flatnonzero(containers > 1e-9)
        o = c.pair_offer[active]
        reach = c.power_mw[o][:, None] * c.open_hours[o][:, counts]
        up = c.availability[o][:, None, None]
        weights = up * np.minimum(reach[:, None, :], c.faded_mwh[active][:, :, None])
        return self._by_offer(weights, containers, active)

    def _without_doubles(self, worst: dict[tuple[int, int], Violated]) -> list[Violated]:
        """Leave a fire row of one offer out where the tighter row by levels is violated too."""
        contingencies = self.c.contingencies
        by_level = {p for (q, p) in worst if contingencies[q].by_level}
        return [v for (q, p), v in worst.items() if contingencies[q].fire_offer is None or p not in by_level]

    def _keep(
        self, worst: dict[tuple[int, int], Violated], margin: FloatArray, at: int, bridge: bool, tolerance: float,
        season: int = 0,
    ) -> None:  # fmt: skip
        """Note the worst entry of ``margin`` (contingency, period, count) where it beats what is known."""
        lowest = margin.argmin(axis=2)
        values = np.take_along_axis(margin, lowest[..., None], axis=2)[..., 0]
        for q, p in zip(*np.nonzero(values < -tolerance), strict=True):
            found = Violated(RowKey(int(q), int(p), at + int(lowest[q, p]), bridge, season), -float(values[q, p]))
            known = worst.get((int(q), int(p)))
            if known is None or known.amount < found.amount:
                worst[int(q), int(p)] = found

    def _by_offer(self, weights: FloatArray, containers: FloatArray, active: NDArray[np.int64]) -> FloatArray:
        """Sum of weight x containers per offer; weights (active, P, M) -> (O, P, M)."""
        totals = np.zeros((len(self.c.problem.offers), *weights.shape[1:]))
        np.add.at(totals, self.c.pair_offer[active], weights * containers[active][:, None, None])
        return totals

    def _margins(
        self,
        counts: NDArray[np.int64],
        containers: FloatArray,
        load: FloatArray,
        used: FloatArray,
        level: FloatArray,
        idle: FloatArray,
    ) -> FloatArray:
        """(delivered - need) / requirement, shape (contingency, P, M); +inf where nothing is required."""
        fleet = self._by_power(counts, containers)
        return self._fleet_margins(fleet, counts, load, used, level, idle, self.c.requirement.mwh)

    def _fleet_margins(
        self,
        fleet: FloatArray,
        counts: NDArray[np.int64],
        load: FloatArray,
        used: FloatArray,
        level: FloatArray,
        idle: FloatArray,
        required_mwh: FloatArray,
    ) -> FloatArray:
        """The same for what every offer delivers, shape (O, P, M)."""
        c = self.c
        delivered = fleet.sum(axis=0) - np.tensordot(self.lost, fleet, axes=1)
        for q, contingency in enumerate(c.contingencies):
            f = contingency.fire_offer
            if f is not None and used[f] > 0:
                delivered[q] -= (used[f] - idle)[:, None] * c.fire_loss_mwh[f, counts]
            if contingency.by_level:
                delivered[q] -= level @ c.level_loss_mwh[counts].T
        return self._relative(delivered, required_mwh[:, counts], load)

    def _bridging(self, delay_h: float, containers: FloatArray, periods: int) -> FloatArray:
        """What every offer brings out before a start delay, shape (O, P, 1)."""
        active = np.flatnonzero(containers > 1e-9)
        weights = np.stack([self.c.bridged_mwh(p, delay_h)[active] for p in range(periods)], axis=1)[:, :, None]
        return self._by_offer(weights, containers, active)

    def _bridge_margins(
        self, fleet: FloatArray, delay_h: float, load: FloatArray, used: FloatArray, idle: FloatArray
    ) -> FloatArray:
        c = self.c
        delivered = fleet.sum(axis=0) - np.tensordot(self.lost, fleet, axes=1)
        for q, contingency in enumerate(c.contingencies):
            if contingency.fire_offer is not None:
                loss = c.bridge_loss_mwh(contingency.fire_offer, delay_h)
                delivered[q] -= (used[contingency.fire_offer] - idle)[:, None] * loss
        margin = self._relative(delivered, (c.requirement.peak_mw * delay_h)[:, None], load)
        margin[[q for q, contingency in enumerate(c.contingencies) if contingency.by_level]] = np.inf
        return margin

    def _relative(self, delivered: FloatArray, need: FloatArray, load: FloatArray) -> FloatArray:
        need = need * np.ones_like(delivered[0])
        safe = np.where(need > 0, need, 1.0)
        margin = delivered / (self.share[:, None, None] * safe) - load[None, :, None]
        return np.where((need > 0) & self.c.holds[:, :, None], margin, np.inf)
