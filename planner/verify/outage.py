"""Windows, requirement curves and fleet capacity: the closed form of an outage."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.problem import Problem
from planner.seasons import YEAR_H, season_of_steps
from planner.verify.fleet import Fleet, duties

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
#: Windows x steps held at once.
CHUNK = 400_000


@dataclass(frozen=True)
class Units:
    """The deliveries alive in a period, with availability and fade applied.

    Attributes
    ----------
    offer
        Offer index of each delivery; the youngest delivery of an offer comes last.
    containers
        How many they are.
    power, energy
        MW and MWh that count, of the whole delivery.
    unit_power, unit_energy
        Of one container that is up.
    availability, mean_availability
        Share that counts by the case's basis, and the mean for random draws.
    first, delta
        First step served, and hours missed in it.
    """

    offer: IntArray
    containers: FloatArray
    power: FloatArray
    energy: FloatArray
    unit_power: FloatArray
    unit_energy: FloatArray
    availability: FloatArray
    mean_availability: FloatArray
    first: IntArray
    delta: FloatArray


def season_starts(problem: Problem, season: int | None) -> IntArray:
    """Steps of the load in which an outage of a season may start; all of them where the load is no whole year."""
    steps = len(problem.load_pu)
    operating, per_hour = problem.case.operating, round(1.0 / problem.dt_h)
    if season is None or operating is None or steps % (YEAR_H * per_hour):
        return np.arange(steps)
    return np.flatnonzero(season_of_steps(operating.seasons, steps // per_hour, per_hour) == season)


def start_of(delay_h: float, dt_h: float) -> tuple[int, float]:
    """First step served and hours missed in it, for a start delay."""
    first = math.floor(delay_h / dt_h + 1e-9)
    return first, max(0.0, delay_h - first * dt_h)


@dataclass(frozen=True)
class Part:
    """Containers of a delivery that are alike: all of it, or with operations those that run at a setting."""

    offer: int
    delivery: int
    setting: int | None
    containers: float
    energy: float
    kept: float


def parts_of(fleet: Fleet, o: int, p: int, q: int, season: int) -> list[Part]:
    """Parts of a delivery in a period and season: those that stand by, and for each setting those that rest and run."""
    usable = fleet.problem.offers[o].energy_usable_ac_mwh
    usable *= fleet.book.case.reliability.reserve_frac if fleet.problem.offers[o].is_storage else 1.0
    duty = list(duties(fleet, o, p, q))
    if not duty:
        return [Part(o, p, None, float(fleet.counts[o, p]), usable * float(fleet.soh[o, p, q]), 1.0)]
    runs = fleet.running.get((o, p, q), np.zeros((season + 1, len(duty))))[season]
    found = [Part(o, p, None, float(fleet.counts[o, p]) - sum(n for n, *_ in duty), usable * duty[0][1], 1.0)]
    for meant, _, soh, kept, j in duty:
        found.append(Part(o, p, None, meant - float(runs[j]), usable * soh, 1.0))
        found.append(Part(o, p, j, float(runs[j]), usable * soh, kept))
    return [part for part in found if part.containers > 0.0]


def fleet_units(fleet: Fleet, q: int, season: int = 0) -> Units:
    """What stands in period ``q``; with operations only the energy that a season keeps for outages counts."""
    book, offers = fleet.book, fleet.problem.offers
    parts = fleet_parts(fleet, q, season)
    index = np.array([u.offer for u in parts], dtype=np.int64)
    count = np.array([u.containers for u in parts], dtype=float)
    share = np.array([book.availability(offers[u.offer]) for u in parts], dtype=float)
    power = np.array([offers[u.offer].power_mw for u in parts], dtype=float)
    energy = np.array([u.energy * u.kept for u in parts], dtype=float)
    starts = [start_of(book.delay_h(offers[u.offer]), fleet.problem.dt_h) for u in parts]
    return Units(
        offer=index,
        containers=count,
        power=count * share * power,
        energy=count * share * energy,
        unit_power=power,
        unit_energy=energy,
        availability=share,
        mean_availability=np.array([offers[u.offer].availability_frac for u in parts], dtype=float),
        first=np.array([f for f, _ in starts], dtype=np.int64),
        delta=np.array([d for _, d in starts], dtype=float),
    )


def fleet_parts(fleet: Fleet, q: int, season: int) -> list[Part]:
    """Parts of every delivery that stands in a period, in the order of ``fleet_units``."""
    return [u for o, p in fleet.bought if fleet.alive[o, p, q] for u in parts_of(fleet, o, p, q, season)]


class Windows:
    """The outage windows of a case at a target load.

    Parameters
    ----------
    problem
        The planning question.
    target_mw
        Load at which the net load is taken.
    season
        Only outages that start in this season of ``operations``; None for all.

    Attributes
    ----------
    net_mw
        Facility load less on-site PV, one value per step of the load years.
    profiles
        Shares by step: one row, or one per service entry when the length is known.
    steps
        Steps of the longest window.
    """

    def __init__(self, problem: Problem, target_mw: float, season: int | None = None) -> None:
        case = problem.case
        self.dt_h = problem.dt_h
        net = np.asarray(problem.load_pu, dtype=float) * target_mw
        if case.pv.mw > 0:
            net = np.maximum(0.0, net - case.pv.mw * case.pv.derate_frac * np.asarray(problem.pv_cf, dtype=float))
        self.net_mw = net
        self.begin = season_starts(problem, season)
        ends = [math.ceil(s.until_h / problem.dt_h - 1e-9) for s in case.reliability.service]
        self.steps = max(ends)
        share = [s.share_frac for s in case.reliability.service]
        step = np.arange(self.steps)
        if case.reliability.length_known:
            self.profiles = np.array([np.where(step < end, s, 0.0) for end, s in zip(ends, share, strict=True)])
        else:
            entry = np.searchsorted(ends, step, side="right")
            self.profiles = np.array([[share[i] for i in entry]])

    @property
    def starts(self) -> int:
        """Number of start steps."""
        return len(self.begin)

    @property
    def peak_mw(self) -> float:
        """Largest load of a first step."""
        return float(self.net_mw.max() * self.profiles[:, 0].max())

    def load_mwh(self, starts: IntArray, profile: int) -> FloatArray:
        """Energy to be served by step, shape (windows, steps); windows wrap round at the end."""
        steps = (self.begin[np.asarray(starts)][:, None] + np.arange(self.steps)[None, :]) % len(self.net_mw)
        return np.asarray(self.net_mw[steps] * self.profiles[profile][None, :] * self.dt_h)


class Curve:
    """Requirement of every count vector kappa over all windows.

    Parameters
    ----------
    windows
        The outages.
    classes
        First steps of the units that may serve; 0 is always one.
    """

    def __init__(self, windows: Windows, classes: set[int]) -> None:
        self.windows = windows
        inner = sorted({0} | {c for c in classes if 0 < c < windows.steps})
        self.classes = inner
        self.bounds = [*inner, windows.steps]
        self.lengths = [b - a for a, b in itertools.pairwise(self.bounds)]
        ranges = [np.arange(n + 1) for n in self.lengths]
        self.kappa = np.stack([g.ravel() for g in np.meshgrid(*ranges, indexing="ij")], axis=1)
        #: Steps that a unit of each class may serve of a count vector, shape (kappas, classes).
        self.steps_of_class = self.kappa[:, ::-1].cumsum(axis=1)[:, ::-1]
        self.need_mwh = self._largest()

    def _chunks(self) -> Iterator[tuple[IntArray, int, list[FloatArray]]]:
        """Starts, profile and the running sums of the largest steps by segment."""
        size = max(1, CHUNK // self.windows.steps)
        for profile in range(len(self.windows.profiles)):
            for begin in range(0, self.windows.starts, size):
                starts = np.arange(begin, min(begin + size, self.windows.starts))
                yield starts, profile, self.sums(self.windows.load_mwh(starts, profile))

    def sums(self, load: FloatArray) -> list[FloatArray]:
        """Sum of the k largest steps of each segment for k = 0, 1, ..., one array per segment."""
        out = []
        for a, b in itertools.pairwise(self.bounds):
            top = np.zeros((len(load), b - a + 1))
            np.cumsum(-np.sort(-load[:, a:b], axis=1), axis=1, out=top[:, 1:])
            out.append(top)
        return out

    def _largest(self) -> FloatArray:
        """R(kappa) = max over windows, in MWh at the target load."""
        shape = [n + 1 for n in self.lengths]
        wide = int(np.argmax(self.lengths))
        others = [i for i in range(len(shape)) if i != wide]
        best = np.zeros([shape[i] for i in others] + [shape[wide]])
        for _, _, sums in self._chunks():
            for counts in itertools.product(*(range(shape[i]) for i in others)):
                base = sum((sums[i][:, k] for i, k in zip(others, counts, strict=True)), np.zeros(len(sums[0])))
                np.maximum(best[counts], (sums[wide] + base[:, None]).max(axis=0), out=best[counts])
        return np.ascontiguousarray(np.moveaxis(best, -1, wide)).ravel()

    def of_windows(self, rows: IntArray) -> FloatArray:
        """Requirement of chosen count vectors window by window, shape (rows, profiles * starts)."""
        out = np.zeros((len(rows), len(self.windows.profiles) * self.windows.starts))
        chosen = self.kappa[rows]
        for starts, profile, sums in self._chunks():
            at = profile * self.windows.starts + starts
            for i, counts in enumerate(chosen):
                out[i, at] = sum(top[:, k] for top, k in zip(sums, counts, strict=True))
        return out

    def all_rows(self, load: FloatArray) -> FloatArray:
        """Requirement of every count vector for given windows, shape (windows, kappas)."""
        sums = self.sums(load)
        return np.asarray(sum(top[:, self.kappa[:, s]] for s, top in enumerate(sums)))

    def capacity(self, power: FloatArray, energy: FloatArray, first: IntArray, delta: FloatArray) -> FloatArray:
        """Contribution of each unit to every count vector, shape (units, kappas)."""
        column = {c: i for i, c in enumerate(self.classes)}
        out = np.zeros((len(power), len(self.kappa)))
        for u in range(len(power)):
            if int(first[u]) in column:
                hours = self.steps_of_class[:, column[int(first[u])]] * self.windows.dt_h - delta[u]
                out[u] = np.minimum(power[u] * np.maximum(0.0, hours), energy[u])
        return out
