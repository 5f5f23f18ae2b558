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
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from planner.problem import Problem
    from planner.results import Plan
    from planner.verify.outage import Windows

FloatArray = NDArray[np.float64]

#: Relative accuracy of the level search in one step.
LEVEL_ACCURACY = 1e-12
ROUNDS = 80
#: Units whose remaining hours differ by less than this are one unit.
EQUAL_HOURS = 1e-12
#: Steps between two looks for such units.
MERGE_EVERY = 3


def weighed(part: FloatArray | NDArray[np.bool_], power: FloatArray) -> FloatArray:
    """Power-weighted sum over units, for one fleet or for one fleet per row."""
    if power.ndim == 1:
        return np.asarray(part @ power)
    return np.asarray(np.einsum("wu,wu->w", part, power))


def serve(
    power: FloatArray, hours: FloatArray, reach: FloatArray, need: FloatArray, guess: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Serve one step by running units down to a common level of remaining hours.

    Parameters
    ----------
    power
        MW by unit, shape (U,), or by row and unit, shape (W, U).
    hours
        Remaining hours, shape (W, U).
    reach
        Hours that a unit can serve in this step, shape (U,).
    need
        Load of the step in MWh, shape (W,).
    guess
        Level at which the search begins, shape (W,); it changes the time, not the answer.

    Returns
    -------
    level : ndarray
        Level per row, 0 where nothing is enough, shape (W,).
    part : ndarray
        Hours served by each unit, shape (W, U).

    Notes
    -----
    ``sum P clip(h - l, 0, u)`` falls piecewise linearly in l, so Newton steps inside a
    bracket end exactly once the right piece is found.
    """
    accuracy = LEVEL_ACCURACY * np.maximum(need, 1e-9)
    low, high = np.zeros(len(need)), np.full(len(need), hours.max(initial=0.0))
    at = np.clip(guess, low, high)
    tried_all = False
    part = np.empty_like(hours)
    for _ in range(ROUNDS):
        np.subtract(hours, at[:, None], out=part)
        np.minimum(part, reach, out=part)
        np.maximum(part, 0.0, out=part)
        over = weighed(part, power) - need
        todo = np.abs(over) > accuracy
        # At level 0 a row that is still short has given all it can.
        todo &= (at > 0.0) | (over > 0.0)
        if not todo.any():
            break
        if not tried_all and (over < 0).any():
            # A level above the right one: make sure once that level 0 is enough at all.
            tried_all = True
            hopeless = weighed(np.minimum(hours, reach), power) <= need + accuracy
            high[hopeless] = at[hopeless] = 0.0
            if hopeless.any():
                continue
        slope = weighed((part > 0.0) & (part < reach), power)
        low, high = np.where(over > 0, at, low), np.where(over < 0, at, high)
        step = at + over / np.maximum(slope, 1e-300)
        inside = (step > low) & (step < high)
        at = np.where(todo, np.where(inside, step, 0.5 * (low + high)), at)
    return at, part


def merged(power: FloatArray, hours: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Join units that have run down to the same remaining hours in every row.

    Equal hours stay equal under the policy, so the joined unit serves what its parts would.
    """
    order = np.argsort(-hours[0], kind="stable")
    hours, power = hours[:, order], power[..., order]
    apart = np.abs(np.diff(hours, axis=1)).max(axis=0) > EQUAL_HOURS
    heads = np.concatenate([[0], np.flatnonzero(apart) + 1])
    return np.add.reduceat(power, heads, axis=-1), np.ascontiguousarray(hours[:, heads])


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
    load = np.atleast_2d(np.asarray(load_mwh, dtype=float))
    power = np.maximum(np.asarray(power_mw, dtype=float), 0.0)
    energy = np.asarray(energy_mwh, dtype=float)
    units = power.shape[-1]
    start = np.zeros(units, dtype=np.int64) if first is None else np.asarray(first, dtype=np.int64)
    missed = np.zeros(units) if delta_h is None else np.asarray(delta_h, dtype=float)
    able = (power > 0) & (energy > 0)
    ratio = np.where(able, energy / np.where(able, power, 1.0), 0.0)
    # In the order of their start, the longest first: those that serve are then a leading block.
    order = np.lexsort((-ratio if ratio.ndim == 1 else -ratio.max(axis=0, initial=0.0), start))
    hours = np.ascontiguousarray(np.broadcast_to(ratio, (len(load), units))[:, order])
    power, start, missed = power[..., order], start[order], missed[order]
    unserved = np.zeros_like(load)
    guess = np.zeros(len(load))
    for j in range(load.shape[1]):
        on = int(np.searchsorted(start, j, side="right"))
        reach = np.where(start[:on] == j, dt_h - missed[:on], dt_h)
        tops = hours[:, :on].max(axis=0)
        likely = np.flatnonzero(tops > guess.min() - dt_h)
        busy = int(likely[-1]) + 1 if len(likely) else 0
        found, served = serve(power[..., :busy], hours[:, :busy], reach[:busy], load[:, j], guess)
        if busy < on and tops[busy:].max() > found.min():
            # A unit left aside would have had to serve after all.
            busy = on
            found, served = serve(power[..., :on], hours[:, :on], reach, load[:, j], guess)
        guess = found
        unserved[:, j] = load[:, j] - weighed(served, power[..., :busy])
        hours[:, :busy] -= served
        if on == units and j % MERGE_EVERY == MERGE_EVERY - 1 and hours.shape[1] > 1:
            power, hours = merged(power, hours)
            units, start, missed = hours.shape[1], start[: hours.shape[1]], missed[: hours.shape[1]]
    # Below the accuracy of the level search nothing is short.
    unserved[unserved <= 10 * LEVEL_ACCURACY * np.maximum(load, 1e-9)] = 0.0
    return unserved


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
        up = draw.binomial(units.containers[None, :], units.mean_availability[None, :], (len(chunk), len(units.power)))
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
