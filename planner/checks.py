"""Arithmetic before any solver: what certainly cannot work, in sentences.

Every statement here is certain: bounds leave out fade, retirement and whole containers,
so a case that passes may still be infeasible, but a case that fails is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from planner import yard
from planner.case import LOST_TOGETHER
from planner.exposure import least_share
from planner.faults import Fault, InputError
from planner.outages import requirement, safe_availability, start_delay, window_steps
from planner.periods import energisation_series, step_value
from planner.policy import domestic_content, flag_binds
from planner.problem import FloatArray, Offer, Period, Problem
from planner.supply import booked_mwh, can_serve, factory_limit_mwh, refusal
from planner.units import month_text

TOLERANCE = 1e-6


@dataclass(frozen=True)
class Impossible:
    """A rule that no plan can keep: its key in the case, and a sentence."""

    rule: str
    text: str


@dataclass(frozen=True)
class Checks:
    """What arithmetic alone says about a problem.

    Attributes
    ----------
    warnings
        Sentences about what will bind or cannot be used.
    impossible
        Rules that no plan can keep.
    """

    warnings: tuple[str, ...]
    impossible: tuple[Impossible, ...]


def check_problem(problem: Problem) -> Checks:
    """Look for what certainly cannot work, without a solver.

    Parameters
    ----------
    problem
        A problem as ``load_case`` returns it.

    Returns
    -------
    Checks
        Both lists empty when nothing was found.
    """
    bounds = _Bounds(problem)
    impossible = (
        *_floors(problem),
        *_deliveries(bounds),
        *_supply(bounds),
        *_losses(bounds),
        *_area(bounds),
        *_content(bounds),
        *_exposure(bounds),
    )
    return Checks(tuple(_warnings(bounds)), impossible)


class _Bounds:
    """Bounds on what can be delivered and on what is needed, from the tables alone."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.useful = tuple(o for o in problem.offers if can_serve(problem, o))
        self.refusals = {(o.offer, p.index): refusal(problem, o, p) for o in problem.offers for p in problem.periods}
        self.limits: dict[tuple[str, int], float] = {}
        self.per_booked = {o.offer: self.contributed_mwh(o) / booked_mwh(o) for o in problem.offers}

    def may_come(self, offer: Offer, period: Period) -> bool:
        return self.refusals[offer.offer, period.index] is None

    def ever_comes(self, offer: Offer) -> bool:
        return any(self.may_come(offer, p) for p in self.problem.periods)

    @cached_property
    def buyable(self) -> tuple[Offer, ...]:
        """Offers that can serve and can be delivered in some period."""
        return tuple(o for o in self.useful if self.ever_comes(o))

    @cached_property
    def window_mwh(self) -> FloatArray:
        """Energy of the whole window at the target of each period."""
        return requirement(self.problem, set()).mwh[:, -1]

    @cached_property
    def need_mwh(self) -> list[float]:
        """Energy of the whole window at the contracted load of each period."""
        return [self._at_floor(p, float(r)) for p, r in zip(self.problem.periods, self.window_mwh, strict=True)]

    @cached_property
    def storage_need_mwh(self) -> list[float]:
        """Energy that storage alone must give: what falls before any firm resource can start."""
        problem = self.problem
        mandate = [problem.case.reliability.storage_mandate_h * p.floor_mw for p in problem.periods]
        firm = [start_delay(problem, o).first_step for o in self.buyable if not o.is_storage]
        if not firm:
            early = self.need_mwh
        elif min(firm) == 0:
            early = [0.0 for _ in problem.periods]
        else:
            needed = requirement(problem, {min(firm)})
            only_early = int((needed.counts[:, 1] == 0).nonzero()[0][-1])
            rows = needed.mwh[:, only_early]
            early = [self._at_floor(p, float(r)) for p, r in zip(problem.periods, rows, strict=True)]
        return [max(pair) for pair in zip(early, mandate, strict=True)]

    def _at_floor(self, period: Period, mwh: float) -> float:
        return mwh * period.floor_mw / period.target_mw if period.target_mw > 0 else 0.0

    def contributed_mwh(self, offer: Offer) -> float:
        """Most that a new container can give over the whole window."""
        energy = offer.energy_usable_ac_mwh * self.problem.case.reliability.reserve_frac
        window = offer.power_mw * window_steps(self.problem) * self.problem.dt_h
        return safe_availability(self.problem, offer) * min(energy, window)

    def limit_mwh(self, factory: str, period: Period) -> float:
        key = (factory, period.index)
        if key not in self.limits:
            self.limits[key] = factory_limit_mwh(self.problem, factory, period)
        return self.limits[key]

    def obtainable_mwh(self, offers: Iterable[Offer]) -> list[float]:
        """Most that a fleet of these offers can give once everything up to each period has come."""
        chosen = list(offers)
        yearly = []
        for period in self.problem.periods:
            coming = [o for o in chosen if self.may_come(o, period)]
            yearly.append(min(self._by_stage(coming, period, stage) for stage in ("cell_factory", "assembly_plant")))
        return list(accumulate(yearly))

    def _by_stage(self, offers: list[Offer], period: Period, stage: str) -> float:
        best: dict[str, float] = {}
        for offer in offers:
            factory = getattr(offer, stage)
            per_mwh = self.per_booked[offer.offer]
            best[factory] = max(best.get(factory, 0.0), per_mwh)
        return sum(share * self.limit_mwh(factory, period) for factory, share in best.items())


def _floors(problem: Problem) -> Iterator[Impossible]:
    for p in problem.periods:
        for name, rule, limit in (
            ("target", "load.floor_mw", p.target_mw),
            ("energisable load", "site.energisation", p.energisable_mw),
        ):
            if p.floor_mw > limit + TOLERANCE:
                text = f"in {p.label} the contracted load of {p.floor_mw:g} MW is above the {name} of {limit:g} MW"
                yield Impossible(rule, text)


def _first_contracted(problem: Problem) -> Period | None:
    return next((p for p in problem.periods if p.floor_mw > 0), None)


def _deliveries(bounds: _Bounds) -> Iterator[Impossible]:
    problem = bounds.problem
    first = _first_contracted(problem)
    if first is None:
        return
    if not bounds.buyable:
        yield Impossible("offers", "no offer can be delivered in any period: " + _why_not(bounds))
    elif bounds.need_mwh[first.index] > 0:
        ready = [o for o in bounds.buyable if any(bounds.may_come(o, p) for p in problem.periods[: first.index + 1])]
        if not ready:
            text = f"nothing can be delivered by {first.label}, when {first.floor_mw:g} MW are contracted"
            yield Impossible("timeline", text)
        elif all(start_delay(problem, o).first_step > 0 for o in ready):
            yield Impossible("firm.min_outage_h", f"nothing that can come by {first.label} starts with the outage")


def _why_not(bounds: _Bounds) -> str:
    last = bounds.problem.periods[-1].index
    reasons = {r.text for o in bounds.problem.offers if (r := bounds.refusals[o.offer, last]) is not None}
    return "; ".join(sorted(reasons)[:3]) or "none of them starts within the longest outage"


def _supply(bounds: _Bounds) -> Iterator[Impossible]:
    """First period in which all that can have come is less than what is contracted."""
    storage = [o for o in bounds.buyable if o.is_storage]
    for rule, offers, needs, who in (
        ("supply", list(bounds.buyable), bounds.need_mwh, "everything"),
        ("supply", storage, bounds.storage_need_mwh, "all storage"),
    ):
        for period, need, most in zip(bounds.problem.periods, needs, bounds.obtainable_mwh(offers), strict=True):
            if most < need - TOLERANCE:
                text = f"{who} obtainable by {period.label} gives {most:,.0f} MWh; {need:,.0f} MWh are needed"
                yield Impossible(rule, text)
                break


def _losses(bounds: _Bounds) -> Iterator[Impossible]:
    """Losses that leave too little even if everything else that exists is bought."""
    problem = bounds.problem
    shares = problem.case.reliability.contingencies
    groups: list[tuple[str, str, list[Offer]]] = []
    for rule, attribute in LOST_TOGETHER.items():
        for name in sorted({getattr(o, attribute) for o in bounds.buyable if o.is_storage}):
            kept = [o for o in bounds.buyable if not o.is_storage or getattr(o, attribute) != name]
            groups.append((rule, name, kept))
    kept = [o for o in bounds.buyable if not o.is_storage or not flag_binds(problem, o, "software_control")]
    groups.append(("software", "prohibited software", kept))
    everything = bounds.obtainable_mwh(list(bounds.buyable))
    short: dict[tuple[str, str], list[str]] = {}
    for rule, name, survivors in groups:
        share = getattr(shares, rule)
        if share is None:
            continue
        obtainable = bounds.obtainable_mwh(survivors)
        for period, need, most in zip(problem.periods, bounds.need_mwh, obtainable, strict=True):
            if most < share * need - TOLERANCE:
                if everything[period.index] >= share * need - TOLERANCE:  # else too little comes with nothing lost
                    text = f"at most {most:,.0f} MWh can be had by {period.label}; {share * need:,.0f} MWh must survive"
                    short.setdefault((rule, text), []).append(name)
                break
    for (rule, text), names in short.items():
        yield Impossible(f"reliability.contingencies.{rule}", f"without {' or '.join(names)} {text}")


def _area(bounds: _Bounds) -> Iterator[Impossible]:
    problem = bounds.problem
    last = problem.periods[-1]
    usable = sum(max(o.usable_m2 for o in yard.zone_options(problem, z)) for z in problem.case.site.zones)
    standing = [o for o in bounds.buyable if any(yard.may_stand(problem, o, z) for z in problem.case.site.zones)]
    if not standing:
        if bounds.buyable and bounds.need_mwh[last.index] > 0:
            yield Impossible("site.zones", "no offer that can come may stand in any zone")
        return
    per_mwh = min(yard.occupied_m2(problem, o) / bounds.contributed_mwh(o) for o in standing)
    need = bounds.need_mwh[last.index] * per_mwh
    if need > usable * (1 + TOLERANCE):
        text = f"the zones have {usable:,.0f} m2; the contracted load needs at least {need:,.0f} m2"
        yield Impossible("site.zones", text)


def _content(bounds: _Bounds) -> Iterator[Impossible]:
    floor = bounds.problem.case.policy.domestic_floor_frac
    storage = [o for o in bounds.buyable if o.is_storage]
    if not storage or max(bounds.storage_need_mwh) <= 0:
        return
    best = max(domestic_content(bounds.problem, o) for o in storage)
    if best < floor - TOLERANCE:
        text = f"the most domestic offer that can come has {best:.3f}; the floor is {floor:g}"
        yield Impossible("policy.domestic_floor_frac", text)


def _exposure(bounds: _Bounds) -> Iterator[Impossible]:
    """Limits below the least that any offer has, for what storage must give at least."""
    problem = bounds.problem
    required = float(bounds.window_mwh.max())
    storage = [o for o in bounds.buyable if o.is_storage]
    least_mwh = max(bounds.storage_need_mwh)
    if not storage or required <= 0:
        return
    for measure, limit in problem.case.exposure_limits.items():
        if measure.startswith("chokepoint"):
            continue
        least = min(least_share(problem, o, measure) for o in storage) * least_mwh / required
        if least > limit.max_frac + TOLERANCE:
            text = f"every plan has at least {least:.3f}; the limit is {limit.max_frac:g}"
            yield Impossible(f"exposure_limits.{measure}", text)


def _warnings(bounds: _Bounds) -> Iterator[str]:
    problem = bounds.problem
    for p in problem.periods:
        if p.energisable_mw < p.target_mw - TOLERANCE:
            each = {n: step_value(series, p.start) for n, series in energisation_series(problem.case).items()}
            named = ", ".join(n for n, mw in each.items() if mw <= p.energisable_mw)
            limit = f"{p.energisable_mw:g} of {p.target_mw:g} MW"
            yield f"In {p.label} {named} let {limit} be energised, whatever is bought."
    arrival = next((p for p in problem.periods if any(bounds.may_come(o, p) for o in bounds.buyable)), None)
    waiting = [p for p in problem.periods if arrival is not None and p.index < arrival.index and p.target_mw > 0]
    if arrival is not None and waiting:
        date = month_text(arrival.start)
        yield f"Nothing can be delivered before {date}: the load of {len(waiting)} earlier period(s) is delayed."
    yield from _useless(bounds)
    for zone in problem.case.site.zones:
        if not any(yard.may_stand(problem, o, zone) for o in problem.offers):
            yield f"Zone {zone.zone} admits no offer."


def _useless(bounds: _Bounds) -> Iterator[str]:
    """Offers that no plan can use, gathered by reason."""
    last = bounds.problem.periods[-1].index
    by_reason: dict[str, list[str]] = {}
    for offer in bounds.problem.offers:
        reason = bounds.refusals[offer.offer, last]
        if offer not in bounds.useful:
            by_reason.setdefault("starts after the longest outage ends, or never", []).append(offer.offer)
        elif not bounds.ever_comes(offer) and reason is not None:
            by_reason.setdefault(f"{reason.rule.replace('_', ' ')}: {reason.text}", []).append(offer.offer)
    for reason_text, names in by_reason.items():
        yield f"Not to be had in any period ({reason_text}): {', '.join(names)}."


def refuse_operations(problem: Problem, what: str) -> None:
    """Refuse a question that is not asked of operating years yet.

    Raises
    ------
    InputError
        If the problem has ``operations``.
    """
    if problem.case.operating is not None:
        raise InputError(
            [Fault(problem.case.case, "operations.enabled", f"true, for {what}", "false: plans and fronts alone")]
        )
