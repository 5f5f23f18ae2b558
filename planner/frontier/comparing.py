"""Several fronts in one table: hypervolume, and the exposure that the same money buys."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from planner.frontier.results import Frontier


def comparison(fronts: Sequence[Frontier]) -> list[dict[str, object]]:
    """One row per front.

    Parameters
    ----------
    fronts
        Of the same measure.

    Returns
    -------
    list of dict
        ``hypervolume_frac`` is the share of a common box (the worst cost and exposure of all fronts, the best
        of all) that a front dominates; ``additive_epsilon_frac`` how far it must shift, in shares of that
        box, to cover the union of all. ``exposure_at_equal_cost_frac`` is its least exposure at the cost of the
        dearest cheap end, None if it has no plan at that cost.
    """
    import moocore  # noqa: PLC0415 - only where fronts are compared

    sets = [np.array([(p.exposure_frac, p.cost_musd) for p in f.points]) for f in fronts]
    every = np.vstack(sets)
    low, high = every.min(axis=0), every.max(axis=0)
    wide = np.where(high > low, high - low, 1.0)
    scaled = [(part - low) / wide for part in sets]
    union = moocore.filter_dominated(np.vstack(scaled))
    equal_cost = max(f.points[-1].cost_musd for f in fronts)
    rows: list[dict[str, object]] = []
    for front, part, points in zip(fronts, scaled, sets, strict=True):
        affordable = points[points[:, 1] <= equal_cost + 1e-9]
        rows.append(
            {
                "front": front.scenario or front.case,
                "measure": front.measure,
                "cheap_end_musd": front.points[-1].cost_musd,
                "cheap_end_exposure_frac": front.points[-1].exposure_frac,
                "secure_end_musd": front.points[0].cost_musd,
                "secure_end_exposure_frac": front.points[0].exposure_frac,
                "hypervolume_frac": float(moocore.hypervolume(part, ref=[1.0, 1.0])),
                "additive_epsilon_frac": float(moocore.epsilon_additive(part, ref=union)),
                "equal_cost_musd": equal_cost,
                "exposure_at_equal_cost_frac": float(affordable[:, 0].min()) if len(affordable) else None,
                "uncovered_frac": front.uncovered_frac,
                "uncovered_whole_frac": front.uncovered_whole_frac,
            }
        )
    return rows
