"""Chronological replay of outages without forecast, and a Monte Carlo of container failures.

The policy knows nothing of the future: in every step it serves the load so that the
remaining hours (energy / power) of all units that may serve are as equal as their power
allows. A unit runs down to the common level ``l``, at most by the hours it can serve in
the step:

    served_i = P_i * clip(h_i - l, 0, u_i)      sum_i served_i = load of the step

With the load served in full this policy keeps ``sum_i min(P_i * x, E_i)`` as large as
possible for every x at once, so it fails only where every dispatch fails, also with late
units: an early step can draw on the started units only, and what it leaves of them is best
for whatever follows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from planner.problem import Problem
    from planner.results import Plan
    from planner.verify.outage import Windows

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: Relative accuracy of the level search in one step.
LEVEL_ACCURACY = 1e-12
ROUNDS = 80


def compiled(function: Callable[..., FloatArray]) -> Callable[..., FloatArray]:
    """Compile a loop; the machine code is kept for the next process where a folder for it can be written."""
    try:
        return njit(cache=True, error_model="numpy")(function)  # type: ignore[no-any-return]
    except RuntimeError:  # nowhere to keep it
        return njit(error_model="numpy")(function)  # type: ignore[no-any-return]


@compiled
def serve_windows(
    load: FloatArray, power: FloatArray, hours: FloatArray, first: IntArray, missed: FloatArray, dt_h: float
) -> FloatArray:
    """Unserved MWh of every step, shape (W, J), by running units down to a common level of remaining hours.

    ``sum P clip(h - l, 0, u)`` falls piecewise linearly in the level l, so Newton steps inside a bracket end
    exactly once the right piece is found. Arguments as in ``replay``, with ``power`` and ``hours`` (W, U).
    """
    unserved = np.zeros(load.shape)
    units = power.shape[1]
    for w in range(load.shape[0]):
        left, reach = hours[w].copy(), np.zeros(units)
        level = before = 0.0
        for j in range(load.shape[1]):
            need = load[w, j]
            accuracy = LEVEL_ACCURACY * max(need, 1e-9)
            most = low = high = 0.0
            for u in range(units):
                if first[u] <= j:
                    reach[u] = max(dt_h - missed[u], 0.0) if first[u] == j else dt_h
                    most += power[w, u] * min(left[u], reach[u])
                    high = max(high, left[u])
            short = most <= need + accuracy
            # The level falls much as it did in the step before.
            level, before = 0.0 if short else min(max(2.0 * level - before, 0.0), high), level
            for _ in range(0 if short else ROUNDS):
                over, slope = -need, 0.0
                for u in range(units):
                    part = left[u] - level
                    over += power[w, u] * min(max(part, 0.0), reach[u])
                    slope += power[w, u] if 0.0 < part < reach[u] else 0.0
                if abs(over) <= accuracy:
                    break
                low, high = (level, high) if over > 0 else (low, level)
                step = level + over / max(slope, 1e-300)
                level = step if low < step < high else 0.5 * (low + high)
            for u in range(units):
                part = min(max(left[u] - level, 0.0), reach[u])
                left[u] -= part
                need -= power[w, u] * part
            # Below the accuracy of the level search nothing is short.
            unserved[w, j] = need if need > 10.0 * accuracy else 0.0
    return unserved


def replay(
    load_mwh: ArrayLike,
    power_mw: ArrayLike,
    energy_mwh: ArrayLike,
    dt_h: float,
    first: ArrayLike | None = None,
    delta_h: ArrayLike | None = None,
) -> FloatArray:
    """Serve windows step by step and return what stays unserved.

    Parameters
    ----------
    load_mwh
        Load of every step, shape (W, J), steps of ``dt_h`` hours.
    power_mw, energy_mwh, dt_h
        Power and energy at the start, shape (U,) or (W, U).
    first, delta_h
        First step that a unit may serve, and hours it misses in it, shape (U,); default 0.

    Returns
    -------
    ndarray
        Unserved MWh, shape (W, J).
    """
    load = np.ascontiguousarray(np.atleast_2d(np.asarray(load_mwh, dtype=float)))
    power = np.maximum(np.asarray(power_mw, dtype=float), 0.0)
    energy = np.asarray(energy_mwh, dtype=float)
    units = power.shape[-1]
    able = (power > 0) & (energy > 0)
    hours = np.where(able, energy / np.where(able, power, 1.0), 0.0)
    return serve_windows(
        load,
        np.ascontiguousarray(np.broadcast_to(power, (len(load), units))),
        np.ascontiguousarray(np.broadcast_to(hours, (len(load), units))),
        np.zeros(units, dtype=np.int64) if first is None else np.asarray(first, dtype=np.int64),
        np.zeros(units) if delta_h is None else np.asarray(delta_h, dtype=float),
        float(dt_h),
    )


def monte_carlo(
    problem: Problem,
    plan: Plan,
    *,
    samples: int = 10_000,
    seed: int = 1,
    outages_per_yr: float = 0.2,
    median_h: float = 1.5,
    sigma: float = 1.4,
) -> dict[str, float]:
    """Loss of load under random outages and container failures in the last full-load period.

    Assumptions, not measured: 0.2 outages a year, lognormal in length (median 1.5 h, sigma
    1.4), cut at the service window, starting at any step alike. Each container is up on its
    own with the offer's mean availability when the outage starts, and stays so; the fleet is
    charged to the reserve. Unserved is counted against the service profile.

    Parameters
    ----------
    problem, plan
        The question and its answer.
    samples, seed
        Outages drawn, and what makes them the same again.
    outages_per_yr, median_h, sigma
        Frequency and length of outages.

    Returns
    -------
    dict
        ``loss_of_load_h_per_yr`` and ``unserved_mwh_per_yr``, each with the ends of its 95 %
        confidence interval (normal approximation), ``shortfall_probability_frac`` (share of
        outages with any unserved load) and ``samples``.
    """
    # Imported here: the verifier itself imports the replay above.
    from planner.verify.fleet import build_fleet
    from planner.verify.lookup import Book
    from planner.verify.outage import Windows as Outage
    from planner.verify.outage import fleet_units
    from planner.verify.tally import Tally, number

    fleet = build_fleet(problem, plan, Book(problem), Tally())
    q = max(i for i, p in enumerate(problem.periods) if p.target_mw == problem.final_target_mw)
    units, target = fleet_units(fleet, q), problem.periods[q].target_mw
    windows = Outage(problem, target)
    served = number(plan.served_mw.get(problem.periods[q].label))
    scale = served / target if math.isfinite(served) and target > 0 else 0.0
    draw = np.random.default_rng(seed)
    length = np.minimum(draw.lognormal(math.log(median_h), sigma, samples), windows.steps * problem.dt_h)
    length.sort()  # alike lengths stand together, so that short outages are not stepped to the end
    starts = draw.integers(0, len(problem.load_pu), samples)
    hours, short_mwh = np.zeros(samples), np.zeros(samples)
    for chunk in np.array_split(np.arange(samples), max(1, samples // 500)):
        steps = math.ceil(float(length[chunk[-1]]) / problem.dt_h - 1e-12)
        cover = np.clip(length[chunk, None] / problem.dt_h - np.arange(steps)[None, :], 0.0, 1.0)
        up = draw.binomial(
            np.rint(units.containers).astype(np.int64)[None, :],
            units.mean_availability[None, :],
            (len(chunk), len(units.power)),
        )
        load = _window_load(windows, starts[chunk], length[chunk])[:, :steps] * scale * cover
        lost = replay(load, up * units.unit_power, up * units.unit_energy, problem.dt_h, units.first, units.delta)
        short_mwh[chunk] = lost.sum(axis=1)
        hours[chunk] = (cover * (lost > 0)).sum(axis=1) * problem.dt_h
    return _yearly(hours, short_mwh, outages_per_yr)


def _window_load(windows: Windows, starts: NDArray[np.int64], length_h: FloatArray) -> FloatArray:
    """Load by step of each outage; a known length picks the service entry that covers it."""
    if len(windows.profiles) == 1:
        return windows.load_mwh(starts, 0)
    ends = (windows.profiles > 0).sum(axis=1) * windows.dt_h
    entry = np.minimum(np.searchsorted(ends, length_h - 1e-9), len(ends) - 1)
    loads = np.stack([windows.load_mwh(starts, c) for c in range(len(ends))])
    return np.asarray(loads[entry, np.arange(len(starts))])


def _yearly(hours: FloatArray, short_mwh: FloatArray, outages_per_yr: float) -> dict[str, float]:
    """Means per year with their 95 % intervals, from one figure per outage."""
    samples = len(hours)
    out = {"samples": float(samples), "shortfall_probability_frac": float((short_mwh > 0).mean())}
    for name, values in (("loss_of_load_h", hours), ("unserved_mwh", short_mwh)):
        mean = float(values.mean()) * outages_per_yr
        half = 1.96 * float(values.std(ddof=1)) / math.sqrt(samples) * outages_per_yr if samples > 1 else 0.0
        out |= {f"{name}_per_yr": mean, f"{name}_low": max(0.0, mean - half), f"{name}_high": mean + half}
    return out
