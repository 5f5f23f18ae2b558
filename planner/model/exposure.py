"""Limits on China exposure, for every measure."""

from __future__ import annotations

import numpy as np
import pyomo.environ as pyo

from planner.exposure import exposure_share, layer_shares, layers
from planner.model import sourcing
from planner.model.coefficients import Coefficients
from planner.model.row import family, linear
from planner.problem import FloatArray


def share_vectors(c: Coefficients, measure: str) -> dict[str, FloatArray]:
    """Exposure per container of each offer over ``required_mwh``, shape (O,).

    One vector for most measures; one per layer for the chokepoint, whose exposure is the largest.
    """
    problem = c.problem
    energy = np.array([o.energy_usable_ac_mwh if o.is_storage else 0.0 for o in problem.offers]) / c.required_mwh
    if not measure.startswith("chokepoint"):
        return {measure: energy * np.array([exposure_share(problem, o, measure) for o in problem.offers])}
    ownership = measure.endswith("_ownership")
    return {
        layer: energy * np.array([layer_shares(o, ownership).get(layer, 0.0) for o in problem.offers])
        for layer in layers(problem)
    }


def relief_vectors(c: Coefficients, measure: str) -> dict[str, FloatArray]:
    """What one MWh of each choice of the network takes off the same sums, shape (choices,)."""
    return {name: less / c.required_mwh for name, less in c.network.relief(measure).items()}


@family("exposure_limit")
def exposure_limit(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """Exposure stays within the case's limits, in total or for the fleet of each period.

    sum_{o,p} share[measure,o] usable_mwh[o] containers[o,p]
        - sum relief[measure,layer,part,n] sourced_mwh[g,p,q,layer,part,n] <= max_frac required_mwh

    In MWh, so that the solver's absolute tolerance is far below one container.
    """
    offers, periods = c.problem.offers, c.problem.periods
    m.exposure_limit = pyo.Constraint(pyo.Any)
    for measure, limit in c.problem.case.exposure_limits.items():
        fleets = c.alive.T if limit.per_period else np.ones((1, len(c.pairs)), dtype=bool)
        relief = relief_vectors(c, measure)
        for name, share in share_vectors(c, measure).items():
            for p, fleet in enumerate(fleets):
                terms = [
                    (share[o] * c.required_mwh, m.containers[offers[o].offer, periods[q].label])
                    for (o, q), counts in zip(c.pairs, fleet, strict=True)
                    if counts
                ]
                label = periods[p].label if limit.per_period else "total"
                if any(a for a, _ in terms):
                    less = _standing_relief(m, c, relief.get(name), p if limit.per_period else None)
                    m.exposure_limit[measure, name, label] = linear([*terms, *less]) <= limit.max_frac * c.required_mwh


def _standing_relief(
    m: pyo.ConcreteModel, c: Coefficients, relief: FloatArray | None, p: int | None
) -> list[tuple[float, object]]:
    """Negative terms in MWh of the choices for what stands in a period, or for all of it; a pool shares one life."""
    if relief is None:
        return []
    alive = {(o, q): c.alive[i] for i, (o, q) in enumerate(c.pairs)}
    stands = []
    for x in c.network.choices:
        one = next(alive[o, x.period] for o in c.network.pools[x.pool].offers if (o, x.period) in alive)
        stands.append(p is None or bool(one[p]))
    return sourcing.terms_of(m, c, -relief * c.required_mwh * np.array(stands, dtype=float))
