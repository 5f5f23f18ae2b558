"""Every outage of every period under every contingency: closed form, claims and replay."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.case import CONTINGENCIES
from planner.problem import Problem
from planner.results import Margin, Plan
from planner.verify.fleet import Fleet
from planner.verify.outage import Curve, FloatArray, Units, Windows, fleet_units, start_of
from planner.verify.rules import refusal
from planner.verify.tally import Tally, number

FIELDS = {
    "supplier": "supplier",
    "cell_maker": "cell_maker",
    "cell_factory": "cell_factory",
    "country": "cell_country",
    "chemistry": "chemistry",
}
#: A smaller relative margin than this is reported.
THIN = 1e-3


@dataclass(frozen=True)
class Loss:
    """One contingency: what is lost, and the share of the requirement that must survive."""

    kind: str
    lost: str
    phi: float
    offers: frozenset[int]
    group: tuple[int, float] | None = None

    @property
    def words(self) -> str:
        """What is lost, for sentences."""
        if self.kind == "none":
            return "nothing lost"
        what = "all with prohibited software" if self.kind == "software" else self.lost
        return f"loss of a fire group of {what}" if self.kind == "fire_group" else f"loss of {what}"


@dataclass
class Row:
    """The closed form of a period under a contingency, and how to replay it."""

    q: int
    loss: Loss
    curve: Curve
    units: Units
    keep: NDArray[np.bool_]
    scale: float
    margin: FloatArray
    need: FloatArray
    season: int = 0


def losses(fleet: Fleet) -> list[Loss]:
    """Every contingency of the case that takes something the plan bought."""
    case, offers = fleet.problem.case, fleet.problem.offers
    storage = [o for o in fleet.used if offers[o].is_storage]
    out = [Loss("none", "", 1.0, frozenset())]
    for kind in CONTINGENCIES:
        phi = getattr(case.reliability.contingencies, kind)
        if phi is None:
            continue
        if kind == "software":
            out.append(
                Loss(
                    kind,
                    "software",
                    phi,
                    frozenset(o for o in storage if fleet.book.flagged(offers[o], "software_control")),
                )
            )
        elif kind == "fire_group":
            for o in storage:
                size = fleet.book.fire("group_containers", offers[o].chemistry, evidence=offers[o].evidence)
                out.append(Loss(kind, offers[o].offer, phi, frozenset(), (o, size)))
        else:
            for name in sorted({getattr(offers[o], FIELDS[kind]) for o in storage}):
                hit = frozenset(o for o in storage if getattr(offers[o], FIELDS[kind]) == name)
                out.append(Loss(kind, name, phi, hit))
    return out


class Outages:
    """Curves, rows and margins of one plan.

    Parameters
    ----------
    fleet
        What was bought.
    served
        MW by period label.
    """

    def __init__(self, fleet: Fleet, served: dict[str, float]) -> None:
        self.fleet, self.served = fleet, served
        self.problem: Problem = fleet.problem
        self.losses = losses(fleet)
        offers = fleet.problem.offers
        self.classes = {start_of(fleet.book.delay_h(offers[o]), fleet.problem.dt_h)[0] for o in fleet.used}
        self._curves: dict[tuple[float, int | None], Curve] = {}
        self.units = [fleet_units(fleet, q) for q in range(len(fleet.problem.periods))]
        operating = fleet.problem.case.operating
        self.seasons: list[int | None] = [None] if operating is None else list(range(len(operating.seasons)))

    def curve(self, target: float, season: int | None = None) -> tuple[Curve, float]:
        """Requirement curve and the factor to its target: without PV one curve serves every target."""
        base = target if self.problem.case.pv.mw > 0 else self.problem.final_target_mw
        key = (base, season)
        if key not in self._curves:
            self._curves[key] = Curve(Windows(self.problem, base, season), self.classes)
        return self._curves[key], target / base if base > 0 else 0.0

    def required_mwh(self) -> float:
        """R(all steps) at the largest target."""
        windows = self.curve(self.problem.final_target_mw)[0].windows
        best = 0.0
        for profile in range(len(windows.profiles)):
            for begin in range(0, windows.starts, 4096):
                starts = np.arange(begin, min(begin + 4096, windows.starts))
                best = max(best, float(windows.load_mwh(starts, profile).sum(axis=1).max()))
        return best

    def scale(self, q: int) -> float:
        """Served over target; 0 where nothing is to be served."""
        period = self.problem.periods[q]
        return self.served[period.label] / period.target_mw if period.target_mw > 0 else 0.0

    def losses_in(self, q: int) -> list[Loss]:
        """Contingencies that hold in a period: before ``contingencies_from`` only none and fire_group."""
        since = self.problem.case.reliability.contingencies_from
        if since is None or self.problem.periods[q].start >= since:
            return self.losses
        return [loss for loss in self.losses if loss.kind in ("none", "fire_group")]

    def rows(self, q: int) -> Iterator[Row]:
        """Closed form of a period, contingency by contingency."""
        if self.problem.periods[q].target_mw <= 0 or self.scale(q) <= 0:
            return
        for season in self.seasons:
            units = self.units[q] if season is None else fleet_units(self.fleet, q, season)
            yield from self._season_rows(q, season, units)

    def _season_rows(self, q: int, season: int | None, units: Units) -> Iterator[Row]:
        curve, factor = self.curve(self.problem.periods[q].target_mw, season)
        each = curve.capacity(units.power, units.energy, units.first, units.delta)
        for loss in self.losses_in(q):
            keep = ~np.isin(units.offer, list(loss.offers))
            have = keep @ each if len(units.offer) else np.zeros(len(curve.kappa))
            if loss.group is not None:
                have = have - self.group_mwh(loss.group, curve)
            scale = loss.phi * factor * self.scale(q)
            need = scale * curve.need_mwh
            yield Row(q, loss, curve, units, keep, scale, have - need, need, season or 0)

    def group_mwh(self, group: tuple[int, float], curve: Curve) -> FloatArray:
        """What a burning fire group takes away: new containers, without availability."""
        o, size = group
        offer, book = self.problem.offers[o], self.fleet.book
        first, delta = start_of(book.delay_h(offer), self.problem.dt_h)
        energy = offer.energy_usable_ac_mwh * book.case.reliability.reserve_frac
        one = curve.capacity(np.array([offer.power_mw]), np.array([energy]), np.array([first]), np.array([delta]))
        return np.asarray(size * one[0])


def check_outages(outages: Outages, plan: Plan, tally: Tally) -> list[Row]:
    """Closed-form rows of every period and contingency, and the claimed margins.

    Returns
    -------
    list of Row
        All rows, for the replay.
    """
    tally.hold("reliability", "margins", "required", "ride_through")
    problem = outages.problem
    all_rows: list[Row] = []
    least: dict[str, float] = {}
    tightest = (np.inf, "")
    for q, period in enumerate(problem.periods):
        for row in outages.rows(q):
            all_rows.append(row)
            # The first count vector is all zero and says nothing.
            margin, need = row.margin[1:], row.need[1:]
            least[row.loss.kind] = min(least.get(row.loss.kind, np.inf), float(margin.min()))
            ratio = np.where(need > 0, margin / np.maximum(need, 1e-12), np.inf)
            worst = int(np.argmin(ratio)) + 1
            at = f"{period.label}, {row.loss.words}"
            if ratio[worst - 1] < 0:
                tally.fail("reliability", _shortage(row, worst, at, tally), -float(ratio[worst - 1]))
            elif (margin < -1e-9).any():
                tally.fail("reliability", f"{at}: less than nothing survives")
            if ratio[worst - 1] < tightest[0]:
                tightest = (float(ratio[worst - 1]), at)
    if 0 <= tightest[0] < THIN:
        spare = f"{tightest[0]:.2%} more than is required" if tightest[0] >= 1e-4 else "just what is required"
        tally.note("margin", f"{tightest[1]}: the fleet delivers {spare} in the tightest outage")
    _check_margins(plan, least, max(1.0, outages.required_mwh()), tally)
    tally.same("required", plan.required_mwh, outages.required_mwh(), "required_mwh")
    return all_rows


def _shortage(row: Row, worst: int, at: str, tally: Tally) -> str:
    """Say which count vector is short by how much, and in which window."""
    steps = "+".join(str(k) for k in row.curve.kappa[worst])
    start = ""
    if tally.first_few("reliability"):
        window = int(np.argmax(row.curve.of_windows(np.array([worst]))[0]))
        start = f" (window from step {window % row.curve.windows.starts})"
    have = row.need[worst] + row.margin[worst]
    return f"{at}: {have:.6g} MWh in the {steps} largest steps{start}, {row.need[worst]:.6g} needed"


def _check_margins(plan: Plan, least: dict[str, float], size: float, tally: Tally) -> None:
    """The smallest claimed margin of each kind against the recomputed one."""
    claimed: dict[str, list[Margin]] = {}
    for row in plan.reliability:
        claimed.setdefault(row.contingency, []).append(row)
        gap = number(row.delivered_mwh) - number(row.required_mwh)
        tally.same(
            "margins", row.margin_mwh, gap, f"margin of {row.contingency} {row.lost}: delivered less required", size
        )
    for kind in sorted(set(claimed) - set(least)):
        tally.note("margins", f"a margin is claimed for {kind}, which takes nothing here")
    for kind, mine in least.items():
        if kind not in claimed:
            tally.fail("margins", f"no margin is stated for contingency {kind}")
            continue
        smallest = min(number(r.margin_mwh) for r in claimed[kind])
        tally.same("margins", smallest, mine, f"smallest margin of {kind} in MWh", size)


def check_ride_through(outages: Outages, tally: Tally) -> None:
    """The first seconds: units quicker than each start delay below one step."""
    tally.hold("ride_through")
    problem, book = outages.problem, outages.fleet.book
    dt = problem.dt_h
    may = [o for o in problem.offers if any(refusal(book, o, p) is None for p in range(len(problem.periods)))]
    delays = sorted({d for d in (book.delay_h(o) for o in may) if 1e-12 < d < dt})
    for q, period in enumerate(problem.periods):
        if not delays or outages.scale(q) <= 0:
            continue
        units = outages.units[q]
        peak = Windows(problem, period.target_mw).peak_mw
        own = np.array([book.delay_h(problem.offers[o]) for o in units.offer])
        for loss in outages.losses_in(q):
            keep = ~np.isin(units.offer, list(loss.offers))
            for delay in delays:
                have = float((keep * np.minimum(units.power * np.maximum(0.0, delay - own), units.energy)).sum())
                if loss.group is not None:
                    offer = problem.offers[loss.group[0]]
                    energy = offer.energy_usable_ac_mwh * book.case.reliability.reserve_frac
                    have -= loss.group[1] * min(offer.power_mw * max(0.0, delay - book.delay_h(offer)), energy)
                need = loss.phi * delay * peak * outages.scale(q)
                text = f"{period.label}, {loss.kind} {loss.lost}: "
                text += f"{have:.6g} MWh within {delay * 3600:.4g} s, needed {need:.6g}"
                tally.at_most("ride_through", need - have, 0.0, text, max(need, 1e-9))
