"""The answer to a case with uncertain futures: what to sign now, and what hedging is worth."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import numpy as np

from planner.disruption.deciding import FRONT_POINT, HEDGED, WORST, Deciding
from planner.disruption.found import Decided, Found, aim_of
from planner.disruption.hedge import Outcome
from planner.disruption.joint import Fixed
from planner.disruption.measures import cvar, expected, reigns
from planner.disruption.worlds import CALM
from planner.results import LayerSource, Record
from planner.sourced import quoted_layers
from planner.units import month_text

ALL, FRONT = "all", "front"
#: Above the gap asked by this much is not above it.
_ROUNDING = 1e-9


class SignedOrderRow(Record):
    """One order of the choice: signed before all is known."""

    choice: str
    offer: str
    period: str
    signed: str
    containers: int
    energy_mwh: float
    now: bool


class OutcomeRow(Record):
    """One choice in one future, solved separately with its orders fixed; empty costs where nothing fits."""

    choice: str
    future: str
    probability_frac: float
    known: str
    cost_musd: float | None
    bound_musd: float | None
    regret_musd: float | None
    plan_musd: float | None
    option_fees_musd: float | None
    lost_musd: float | None
    cancelled_musd: float | None
    premium_musd: float | None
    short_musd: float | None
    lost_containers: int
    cancelled_containers: int
    short_mw: float
    verified: bool


class ChoiceRow(Record):
    """One choice of orders over all futures; empty where some future cannot be met with it.

    ``best_from_frac`` is the probability of any disruption from which it costs least, a point of a front among the
    points, any other among all; empty where it never does. ``also`` names choices that sign the same.
    """

    choice: str
    also: str
    expected_musd: float | None
    cvar_musd: float | None
    worst_musd: float | None
    worst_regret_musd: float | None
    aim_musd: float | None
    best_from_frac: float | None


class ChainRow(LayerSource):
    """Usable MWh of a layer by source, with the best choice, in one future.

    ``after``: delivered in a period that starts when the future is known, or later.
    """

    future: str
    after: bool


class ReignRow(Record):
    """The choice with the least expected cost from one probability of any disruption to another.

    ``among`` all choices, or the points of the ``front`` alone.
    """

    among: str
    choice: str
    from_frac: float
    to_frac: float


class DisruptionAnswer(Record):
    """``disruption.json``. Money in million USD of present value.

    ``bound_musd`` is proved for the aim: no first stage has less (empty, and the gap with it, where the time was too
    short for a bound of every future). ``knowing_musd`` is the expected value of perfect
    information, ``hedging_musd`` what the best orders found save in the aim against planning as if nothing happened
    (empty where that breaks in some future, or was not solved there in time), ``hedging_least_musd`` what they save at
    least, by the bounds of the calm orders in each future, and ``hedging_most_musd`` what any orders could save.
    ``rounds`` of tolls were needed.
    ``never_best`` names points of a front that another one beats at every probability of a disruption.
    """

    schema_version: str
    case: str
    title: str
    input_sha256: str
    status: str
    aim: str
    cvar_weight: float
    tail_frac: float
    best: str
    aim_musd: float
    bound_musd: float | None
    gap_frac: float | None
    expected_musd: float
    cvar_musd: float
    knowing_musd: float
    hedging_musd: float | None
    hedging_least_musd: float | None
    hedging_most_musd: float | None
    reserved: dict[str, int]
    choices: tuple[ChoiceRow, ...]
    outcomes: tuple[OutcomeRow, ...]
    signed: tuple[SignedOrderRow, ...]
    reigns: tuple[ReignRow, ...]
    signed_in_every_future: tuple[SignedOrderRow, ...]
    chain: tuple[ChainRow, ...]
    rounds: int
    never_best: tuple[str, ...]
    findings: tuple[str, ...]
    timing_s: dict[str, float]


def answered(deciding: Deciding) -> DisruptionAnswer:
    """Decide and gather.

    Raises
    ------
    Infeasible
        If no orders at all can be signed that every future allows.
    NoPlan
        If stopped before any orders were tried in every future.
    """
    return Gathering(deciding, deciding.decide()).answer()


class Gathering:
    """Turns what was found into the answer.

    Parameters
    ----------
    deciding, done
        What was asked, and what was found.
    """

    def __init__(self, deciding: Deciding, done: Decided) -> None:
        self.deciding, self.done, self.prospect = deciding, done, deciding.prospect
        self.probability = [w.probability for w in self.prospect.worlds]
        self.aims = {name: aim_of(self.prospect, f.costs) for name, f in done.tried.items()}
        #: Choices that are shown, with the names of those that sign the same; points of a front stand for themselves.
        self.shown: dict[str, list[str]] = {}
        for name, found in done.tried.items():
            alike = (n for n in self.shown if done.tried[n] is found and _among(n) == _among(name) == ALL)
            first = next(alike, name)
            self.shown.setdefault(first, []).extend([] if first == name else [name])

    def answer(self) -> DisruptionAnswer:
        """The answer."""
        prospect, done, aims = self.prospect, self.done, self.aims
        rule, case, tried = prospect.rule, prospect.base.case, done.tried
        best = min(self.shown, key=lambda n: (aims[n], n != HEDGED))
        known = [min(done.knowing[w.name].cost_musd, *(f.outcomes[i].cost_musd for f in tried.values()))
                 for i, w in enumerate(prospect.worlds)]  # fmt: skip
        aim, costs = aims[best], tried[best].costs
        bound, calm = min(done.bound_musd, aim), aims.get(f"as if {CALM}", np.inf)
        unverified = [
            f"{n} in {o.world}" for n, f in tried.items() for o in f.outcomes if o.plan is not None and not _passed(o)
        ]
        gap = (aim - bound) / max(abs(aim), 1e-9)
        status = "gap_limit" if gap <= self.deciding.gap_frac + _ROUNDING else "time_limit"
        if unverified:
            status = "unverified"
        elif done.interrupted:
            status = "interrupted"
        reigns = self._reigns(tried)
        return DisruptionAnswer(
            schema_version="1.1", case=case.case, title=case.title, input_sha256=prospect.base.input_sha256,
            status=status, aim=rule.aim, cvar_weight=rule.cvar_weight, tail_frac=rule.tail_frac, best=best,
            aim_musd=aim, bound_musd=_proved(bound), gap_frac=_proved(gap),
            expected_musd=expected(costs, self.probability),
            cvar_musd=cvar(costs, self.probability, rule.tail_frac),
            knowing_musd=max(0.0, expected(costs, self.probability) - expected(known, self.probability)),
            hedging_musd=calm - aim if np.isfinite(calm) else None,
            hedging_least_musd=self._surely_saved(aim),
            hedging_most_musd=_proved(calm - bound) if np.isfinite(calm) else None,
            reserved=dict(tried[best].fixed.reserved or {}),
            choices=tuple(self._choice_row(n, tried[n], known, reigns) for n in self.shown),
            outcomes=tuple(row for n in self.shown for row in self._outcome_rows(n, tried[n], known)),
            signed=tuple(row for n in self.shown for row in self._signed_rows(n, tried[n].fixed)),
            reigns=reigns, signed_in_every_future=self._common(), chain=self._chain(best),
            findings=tuple(self._findings(unverified)), rounds=done.rounds,
            never_best=tuple(done.never_best),
            timing_s={"total": time.monotonic() - self.deciding.began},
        )  # fmt: skip

    def _surely_saved(self, aim: float) -> float | None:
        """What an aim saves at least against the calm orders, whose bounds hold in every future."""
        calm = self.done.tried.get(f"as if {CALM}")
        if calm is None:
            return None
        least = aim_of(self.prospect, [o.bound_musd for o in calm.outcomes])
        return max(0.0, least - aim) if np.isfinite(least) else None

    def _findings(self, unverified: Sequence[str]) -> list[str]:
        done = self.done
        findings = [f"failed verification: {u}" for u in unverified]
        findings += [f"a worker failed at {trouble}" for trouble in done.troubles]
        for name, found in done.tried.items():
            broken = [o.world for o in found.outcomes if o.plan is None and o.impossible]
            late = [o.world for o in found.outcomes if o.plan is None and not o.impossible]
            findings += [f"{name} breaks in {', '.join(broken)}"] if broken else []
            findings += [f"{name}: no plan was found in time for {', '.join(late)}"] if late else []
        if done.given_up:
            findings.append(f"left out, as no better or for want of time: {', '.join(done.given_up)}")
        lone = self.prospect.rule.aim == "worst" or len(self.prospect.worlds) == 1
        if not lone and WORST not in done.tried:
            findings.append("orders for the worst future were not searched, or none were found in the time given")
        return findings

    def _chain(self, best: str) -> tuple[ChainRow, ...]:
        """Every layer of what comes by where it was made, in every future, with the best choice."""
        rows = []
        for world, outcome in zip(self.prospect.worlds, self.done.tried[best].outcomes, strict=True):
            if outcome.plan is not None:
                made = outcome.plan.sourced_layers or quoted_layers(world.problem, outcome.plan)
                late = {p.label for p in world.problem.periods if p.start >= world.known}
                rows += [ChainRow(future=world.name, after=r.period in late, **r.model_dump()) for r in made]
        return tuple(rows)

    def _choice_row(self, name: str, found: Found, known: Sequence[float], reigns: Sequence[ReignRow]) -> ChoiceRow:
        costs, mine = found.costs, [r for r in reigns if r.choice == name and r.among == _among(name)]
        from_frac, also = mine[0].from_frac if mine else None, "; ".join(self.shown[name])
        if not np.isfinite(max(costs)):
            return ChoiceRow(choice=name, also=also, expected_musd=None, cvar_musd=None, worst_musd=None,
                             worst_regret_musd=None, aim_musd=None, best_from_frac=from_frac)  # fmt: skip
        tail = cvar(costs, self.probability, self.prospect.rule.tail_frac)
        return ChoiceRow(
            choice=name, also=also, expected_musd=expected(costs, self.probability), cvar_musd=tail,
            worst_musd=max(costs),
            worst_regret_musd=max(c - k for c, k in zip(costs, known, strict=True)), aim_musd=self.aims[name],
            best_from_frac=from_frac,
        )  # fmt: skip

    def _outcome_rows(self, name: str, found: Found, known: Sequence[float]) -> list[OutcomeRow]:
        rows = []
        for world, o, least in zip(self.prospect.worlds, found.outcomes, known, strict=True):
            there = o.plan is not None
            parts = {f"{part}_musd": o.parts_musd.get(part) for part in
                     ("plan", "option_fees", "lost", "cancelled", "premium", "short")}  # fmt: skip
            rows.append(OutcomeRow(
                choice=name, future=world.name, probability_frac=world.probability, known=month_text(world.known),
                cost_musd=o.cost_musd if there else None, bound_musd=_proved(o.bound_musd) if there else None,
                regret_musd=o.cost_musd - least if there else None, lost_containers=sum(o.lost.values()),
                cancelled_containers=sum(o.cancelled.values()), short_mw=max(o.short_mw.values(), default=0.0),
                verified=_passed(o), **parts,
            ))  # fmt: skip
        return rows

    def _signed_rows(self, name: str, fixed: Fixed) -> list[SignedOrderRow]:
        prospect = self.prospect
        first = min((w.known for w in prospect.worlds), default=0)
        rows = []
        for key, count in sorted(fixed.orders.items(), key=lambda kn: (prospect.signed_month[kn[0]], kn[0])):
            offer, month = prospect.base.offers[prospect.pair[key][0]], prospect.signed_month[key]
            rows.append(SignedOrderRow(
                choice=name, offer=key[0], period=key[1], signed=month_text(month), containers=count,
                energy_mwh=count * offer.energy_usable_ac_mwh, now=month < first,
            ))  # fmt: skip
        return rows

    def _common(self) -> tuple[SignedOrderRow, ...]:
        """What is signed before anything is known whatever future is planned for: the least count over all of them."""
        sure = [o.fixed.orders for o in self.done.knowing.values() if o.plan is not None]
        first = min((w.known for w in self.prospect.worlds), default=0)
        keys = [k for k, month in self.prospect.signed_month.items() if month < first]
        least = {k: min((o.get(k, 0) for o in sure), default=0) for k in keys}
        return tuple(self._signed_rows("every future", Fixed({k: n for k, n in least.items() if n > 0})))

    def _reigns(self, tried: Mapping[str, Found]) -> tuple[ReignRow, ...]:
        """Best choice by the probability that anything happens, among all of them and among the points of a front."""
        worlds = self.prospect.worlds
        if worlds[0].name != CALM or len(worlds) == 1:
            return ()
        total = sum(self.probability[1:])
        weight = [p / total for p in self.probability[1:]]
        late = {n for n, f in tried.items() if any(o.plan is None and not o.impossible for o in f.outcomes)}
        rows = []
        for among in (ALL, FRONT):
            names = [n for n in self.shown if n not in late and (among == ALL or _among(n) == FRONT)]
            calm = {n: tried[n].costs[0] for n in names}
            disrupted = {n: expected(tried[n].costs[1:], weight) for n in names}
            rows += [
                ReignRow(choice=r.choice, from_frac=r.from_frac, to_frac=r.to_frac, among=among)
                for r in reigns(calm, disrupted)
            ]
        return tuple(rows)


def _proved(value: float) -> float | None:
    """The value; None where nothing is proved."""
    return value if np.isfinite(value) else None


def _among(name: str) -> str:
    return FRONT if name.startswith(FRONT_POINT) else ALL


def _passed(outcome: Outcome) -> bool:
    plan = outcome.plan
    return plan is not None and plan.verification is not None and plan.verification.passed
