"""Load -> outage windows -> requirement curve.

A fleet rides through a window if and only if, for every number of steps k, it can deliver
the k largest loads of the window (max-flow min-cut; Evans, Tindemans, Angeli 2019,
doi:10.1109/TPWRS.2019.2909764). The largest such sum over all start steps is one curve,
so every window of every load year costs one row per k. Units that start late serve only
the later segments of a window; then the curve has one count per segment.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from planner.problem import FloatArray, Offer, Problem
from planner.seasons import YEAR_H, season_of_steps
from planner.units import SECONDS_PER_HOUR

IntArray = NDArray[np.int64]
_CHUNK = 16_384
_CURVES: dict[bytes, FloatArray] = {}
_MOST_CURVES = 256


@dataclass(frozen=True)
class StartDelay:
    """When a unit may serve: its first whole step, and the rest of the delay in hours."""

    first_step: int
    rest_h: float


@dataclass(frozen=True)
class Requirement:
    """Energy that must be deliverable, for every choice of steps per segment.

    Attributes
    ----------
    starts
        First step of each segment, shape (S,).
    counts
        Steps taken from each segment, shape (M, S); the all-zero row is left out.
    mwh
        Requirement by period, shape (P, M), at the period's target load.
    peak_mw
        Largest load that the first step of an outage may bring, shape (P,), at target.
    """

    starts: tuple[int, ...]
    counts: IntArray
    mwh: FloatArray
    peak_mw: FloatArray

    def steps_open_to(self, first_step: int) -> IntArray:
        """Steps of each count vector that a unit starting at ``first_step`` may serve, shape (M,)."""
        open_segments = [s for s, start in enumerate(self.starts) if start >= first_step]
        return np.asarray(self.counts[:, open_segments].sum(axis=1))


def start_delay(problem: Problem, offer: Offer) -> StartDelay:
    """Split an offer's start delay into whole steps and a rest (conventions, section 2)."""
    case = problem.case
    delay_h = max(0.0, offer.response_s - case.reliability.ride_through.ups_s) / SECONDS_PER_HOUR
    if not offer.is_storage:
        delay_h = max(delay_h, case.firm.min_outage_h)
    whole = int(np.floor(delay_h / problem.dt_h + 1e-9))
    return StartDelay(whole, max(0.0, delay_h - whole * problem.dt_h))


def safe_availability(problem: Problem, offer: Offer) -> float:
    """Share of a fleet that counts: its mean, or the quantile that the case asks for."""
    rule = problem.case.reliability.availability
    if rule.basis == "mean":
        return offer.availability_frac
    working = np.arange(rule.fleet + 1)
    at_least = binom.sf(working - 1, rule.fleet, offer.availability_frac)
    return float(working[at_least >= rule.probability_frac].max()) / rule.fleet


def service_steps(problem: Problem) -> list[FloatArray]:
    """Service profiles, one array of shares per outage class (a single one if the length is unknown)."""
    reliability = problem.case.reliability
    ends = [round(s.until_h / problem.dt_h) for s in reliability.service]
    shares = [s.share_frac for s in reliability.service]
    if reliability.length_known:
        return [np.full(end, share) for end, share in zip(ends, shares, strict=True)]
    lengths = np.diff([0, *ends])
    return [np.repeat(shares, lengths)]


def window_steps(problem: Problem) -> int:
    """Length of the longest window in steps."""
    return max(len(s) for s in service_steps(problem))


def requirement(problem: Problem, first_steps: set[int], season: int | None = None) -> Requirement:
    """Requirement of every period over all start steps of all load years.

    Parameters
    ----------
    problem
        Load, PV, service profile and targets.
    first_steps
        First steps of the units that may be bought (``StartDelay.first_step``).
    season
        Only outages that start in this season of ``operations.seasons``; None for all.

    Returns
    -------
    Requirement
        With one segment the rows are the plain curve k = 1..K.
    """
    steps = window_steps(problem)
    starts = tuple(sorted({0} | {s for s in first_steps if 0 < s < steps}))
    bounds = [*starts, steps]
    sizes = np.diff(bounds)
    counts = np.array(list(product(*(range(n + 1) for n in sizes))), dtype=np.int64)[1:]
    by_net: dict[float, tuple[FloatArray, float]] = {}
    rows, peaks = [], []
    starting = None if season is None else starts_in(problem, season)
    pv_mw = problem.case.pv.mw * problem.case.pv.derate_frac
    for period in problem.periods:
        # Without PV the requirement scales with the target, so one curve serves all periods.
        target = period.target_mw if pv_mw > 0 else 1.0
        if target not in by_net:
            net = np.maximum(0.0, problem.load_pu * target - pv_mw * problem.pv_cf)
            first_share = max(s[0] for s in service_steps(problem))
            by_net[target] = (_known_curve(problem, net, bounds, starting), float(net.max()) * first_share)
        curve, peak = by_net[target]
        scale = 1.0 if pv_mw > 0 else period.target_mw
        rows.append(curve * scale)
        peaks.append(peak * scale)
    return Requirement(starts, counts, np.array(rows), np.array(peaks))


def starts_in(problem: Problem, season: int) -> NDArray[np.bool_] | None:
    """Steps in which an outage of a season may start, shape (T,); None for all (a load of less than a year)."""
    operating = problem.case.operating
    per_hour = round(1.0 / problem.dt_h)
    if operating is None or len(problem.load_pu) % (YEAR_H * per_hour):
        return None
    of_step = season_of_steps(operating.seasons, len(problem.load_pu) // per_hour, per_hour)
    return np.asarray(of_step == season)


def _known_curve(
    problem: Problem, net_mw: FloatArray, bounds: list[int], starting: NDArray[np.bool_] | None
) -> FloatArray:
    """Return the curve of a net load, computed once per process: neighbouring cases share it."""
    shares = [s.tobytes() for s in service_steps(problem)]
    digest = hashlib.sha256(net_mw.tobytes())
    chosen = b"" if starting is None else starting.tobytes()
    for part in (repr((bounds, problem.dt_h)).encode(), chosen, *shares):
        digest.update(part + b";")
    key = digest.digest()
    if key not in _CURVES:
        if len(_CURVES) >= _MOST_CURVES:
            _CURVES.clear()
        curve = _curve(problem, net_mw, bounds, starting)
        curve.setflags(write=False)
        _CURVES[key] = curve
    return _CURVES[key]


def _curve(
    problem: Problem, net_mw: FloatArray, bounds: list[int], starting: NDArray[np.bool_] | None = None
) -> FloatArray:
    """Largest window sum for every count vector, shape (M,)."""
    shape = tuple(np.diff(bounds) + 1)
    best = np.zeros(shape)
    steps = bounds[-1]
    wrapped = np.concatenate([net_mw, np.resize(net_mw, steps)])
    windows = np.lib.stride_tricks.sliding_window_view(wrapped, steps)[: len(net_mw)]
    if starting is not None:
        windows = windows[starting]
    for shares in service_steps(problem):
        weight = np.zeros(steps)
        weight[: len(shares)] = shares
        for at in range(0, len(windows), _CHUNK):
            block = windows[at : at + _CHUNK] * weight
            sums = [_largest_sums(block[:, a:b]) for a, b in pairwise(bounds)]
            for head in product(*(range(n) for n in shape[:-1])):
                total = sums[-1]
                if head:
                    early = sum(sums[s][:, k] for s, k in enumerate(head))
                    total = total + np.asarray(early)[:, None]
                np.maximum(best[head], total.max(axis=0), out=best[head])
    return best.ravel()[1:] * problem.dt_h


def _largest_sums(block: FloatArray) -> FloatArray:
    """Sum of the k largest entries of each row for k = 0..n, shape (rows, n + 1)."""
    ordered = -np.sort(-block, axis=1)
    return np.concatenate([np.zeros((len(block), 1)), np.cumsum(ordered, axis=1)], axis=1)
