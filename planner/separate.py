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
        """
        c = self.c
        worst: dict[tuple[int, int], Violated] = {}
        load = served_mw / self.target
        counts = c.requirement.counts.shape[0]
        for at in range(0, counts, _CHUNK):
            chunk = np.arange(at, min(counts, at + _CHUNK))
            margin = self._margins(chunk, containers, load, used, level, 1.0 - energised)
            self._keep(worst, margin, at, False, tolerance)
        for d, delay in enumerate(c.bridge_delays_h):
            self._keep(worst, self._bridge_margins(delay, containers, load, used, 1.0 - energised), d, True, tolerance)
        return sorted(self._without_doubles(worst), key=lambda v: -v.amount)

    def _without_doubles(self, worst: dict[tuple[int, int], Violated]) -> list[Violated]:
        """Leave a fire row of one offer out where the tighter row by levels is violated too."""
        contingencies = self.c.contingencies
        by_level = {p for (q, p) in worst if contingencies[q].by_level}
        return [v for (q, p), v in worst.items() if contingencies[q].fire_offer is None or p not in by_level]

    def _keep(
        self, worst: dict[tuple[int, int], Violated], margin: FloatArray, at: int, bridge: bool, tolerance: float
    ) -> None:
        """Note the worst entry of ``margin`` (contingency, period, count) where it beats what is known."""
        lowest = margin.argmin(axis=2)
        values = np.take_along_axis(margin, lowest[..., None], axis=2)[..., 0]
        for q, p in zip(*np.nonzero(values < -tolerance), strict=True):
            found = Violated(RowKey(int(q), int(p), at + int(lowest[q, p]), bridge), -float(values[q, p]))
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
        c = self.c
        active = np.flatnonzero(containers > 1e-9)
        o = c.pair_offer[active]
        reach = c.power_mw[o][:, None] * c.open_hours[o][:, counts]
        energy = c.faded_mwh[active]
        weights = c.availability[o][:, None, None] * np.minimum(reach[:, None, :], energy[:, :, None])
        fleet = self._by_offer(weights, containers, active)
        delivered = fleet.sum(axis=0) - np.tensordot(self.lost, fleet, axes=1)
        for q, contingency in enumerate(c.contingencies):
            f = contingency.fire_offer
            if f is not None and used[f] > 0:
                delivered[q] -= (used[f] - idle)[:, None] * c.fire_loss_mwh[f, counts]
            if contingency.by_level:
                delivered[q] -= level @ c.level_loss_mwh[counts].T
        return self._relative(delivered, c.requirement.mwh[:, counts], load)

    def _bridge_margins(
        self, delay_h: float, containers: FloatArray, load: FloatArray, used: FloatArray, idle: FloatArray
    ) -> FloatArray:
        c = self.c
        active = np.flatnonzero(containers > 1e-9)
        periods = range(len(load))
        weights = np.stack([c.bridged_mwh(p, delay_h)[active] for p in periods], axis=1)[:, :, None]
        fleet = self._by_offer(weights, containers, active)
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
