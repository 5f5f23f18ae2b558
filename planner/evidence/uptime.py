"""What the fleet delivers in an outage against what is required, and what stands in every period."""

from __future__ import annotations

import numpy as np

from planner.account import delivered_mwh
from planner.decode import Decision
from planner.dossier import OutageCurve, PeriodMargin, Standing
from planner.model.coefficients import Coefficients
from planner.model.contingencies import Contingency
from planner.problem import FloatArray

#: Decimals of MWh kept in curves: a kilowatt-hour.
DECIMALS = 3


class _Outages:
    """Requirement and delivery of every contingency and period of a decision."""

    def __init__(self, c: Coefficients, d: Decision) -> None:
        self.c = c
        self.pairs = np.array([d.containers[o, p] for o, p in c.pairs], dtype=float)
        self.load = d.served_mw / np.array([max(p.target_mw, 1e-9) for p in c.problem.periods])
        self.hours = c.requirement.counts.sum(axis=1) * c.problem.dt_h
        used = d.containers.sum(axis=1) > 0
        fires = [q for q in c.contingencies if q.fire_offer is not None and used[q.fire_offer]]
        self.contingencies = (c.contingencies[0], *c.losses, *fires)

    def row(self, contingency: Contingency, p: int) -> tuple[FloatArray, FloatArray] | None:
        """Required and delivered MWh by count vector; None where the contingency does not hold."""
        c = self.c
        if not c.holds_in(contingency)[p] or self.load[p] <= 0:
            return None
        need = contingency.surviving_frac * c.requirement.mwh[p] * self.load[p]
        have = delivered_mwh(c, self.pairs, p, contingency.offers)
        if contingency.fire_offer is not None:
            have = have - c.fire_loss_mwh[contingency.fire_offer]
        return need, have


def outage_curves(c: Coefficients, d: Decision) -> tuple[OutageCurve, ...]:
    """The tightest period and loss of every contingency, hour by hour."""
    outages = _Outages(c, d)
    best: dict[str, tuple[float, Contingency, int, FloatArray, FloatArray]] = {}
    for contingency in outages.contingencies:
        for p in range(len(c.problem.periods)):
            row = outages.row(contingency, p)
            if row is None:
                continue
            slack = float(_slack(*row).min())
            known = best.get(contingency.kind)
            if np.isfinite(slack) and (known is None or slack < known[0]):
                best[contingency.kind] = (slack, contingency, p, *row)
    return tuple(_curve(c, outages.hours, *found) for found in best.values())


def _slack(need: FloatArray, have: FloatArray) -> FloatArray:
    return np.where(need > 0, have - need, np.inf)


def _curve(
    c: Coefficients, hours: FloatArray, slack: float, q: Contingency, p: int, need: FloatArray, have: FloatArray
) -> OutageCurve:
    """One point per number of hours: the count vector with the smallest margin."""
    margin = _slack(need, have)
    order = np.lexsort((margin, hours))
    heads = order[np.concatenate([[True], np.diff(hours[order]) > 1e-9])]
    return OutageCurve(
        contingency=q.kind,
        lost=q.lost,
        period=c.problem.periods[p].label,
        hours=tuple(float(h) for h in hours[heads]),
        required_mwh=tuple(round(float(v), DECIMALS) for v in need[heads]),
        delivered_mwh=tuple(round(float(v), DECIMALS) for v in have[heads]),
        tightest_h=float(hours[int(np.argmin(margin))]),
        margin_mwh=slack,
    )


def period_margins(c: Coefficients, d: Decision) -> tuple[PeriodMargin, ...]:
    """The tightest loss of every contingency in every period."""
    outages = _Outages(c, d)
    best: dict[tuple[str, int], PeriodMargin] = {}
    for q in outages.contingencies:
        for p, period in enumerate(c.problem.periods):
            row = outages.row(q, p)
            if row is None:
                continue
            slack = _slack(*row)
            k = int(np.argmin(slack))
            known = best.get((q.kind, p))
            if np.isfinite(slack[k]) and (known is None or slack[k] < known.margin_mwh):
                need = float(row[0][k])
                best[q.kind, p] = PeriodMargin(
                    contingency=q.kind,
                    period=period.label,
                    lost=q.lost,
                    hours=float(outages.hours[k]),
                    required_mwh=need,
                    margin_mwh=float(slack[k]),
                    margin_frac=float(slack[k]) / need,
                )
    return tuple(best.values())


def fleet_by_period(c: Coefficients, d: Decision) -> tuple[Standing, ...]:
    """Containers that stand in each period, by offer."""
    rows = []
    for p, period in enumerate(c.problem.periods):
        counts: dict[int, int] = {}
        for i, (o, q) in enumerate(c.pairs):
            if d.containers[o, q] > 0 and c.alive[i, p]:
                counts[o] = counts.get(o, 0) + int(d.containers[o, q])
        for o, n in sorted(counts.items()):
            offer = c.problem.offers[o]
            rows.append(
                Standing(
                    period=period.label,
                    offer=offer.offer,
                    chemistry=offer.chemistry,
                    kind=offer.kind,
                    origin=offer.origin,
                    containers=n,
                    energy_mwh=n * offer.energy_usable_ac_mwh,
                    power_mw=n * offer.power_mw,
                )
            )
    return tuple(rows)
