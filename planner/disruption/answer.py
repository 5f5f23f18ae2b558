"""The answer to a case with uncertain futures: what to sign now, and what hedging is worth."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from planner.disruption.hedge import FirstStage, Hedger, Outcome
from planner.disruption.joint import Fixed
from planner.disruption.measures import cvar, expected, reigns
from planner.disruption.worlds import CALM, OrderKey, Prospect
from planner.problem import Problem
from planner.results import Record
from planner.solve import Infeasible, NoPlan, Stop
from planner.units import month_text

HEDGED, WORST = "hedged", "worst future first"


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
    """One choice of orders over all futures; empty where some future cannot be met with it."""

    choice: str
    expected_musd: float | None
    cvar_musd: float | None
    worst_musd: float | None
    worst_regret_musd: float | None
    aim_musd: float | None


class ReignRow(Record):
    """The choice with the least expected cost from one probability of any disruption to another."""

    choice: str
    from_frac: float
    to_frac: float


class DisruptionAnswer(Record):
    """``disruption.json``. Money in million USD of present value.

    ``bound_musd`` is proved for the aim: no first stage has less. ``knowing_musd`` is the expected value of perfect
    information, ``hedging_musd`` what the best orders found save in the aim against planning as if nothing happened,
    ``hedging_most_musd`` what any orders could save (both empty where that plan breaks in some future).
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
    bound_musd: float
    gap_frac: float
    expected_musd: float
    cvar_musd: float
    knowing_musd: float
    hedging_musd: float | None
    hedging_most_musd: float | None
    reserved: dict[str, int]
    choices: tuple[ChoiceRow, ...]
    outcomes: tuple[OutcomeRow, ...]
    signed: tuple[SignedOrderRow, ...]
    reigns: tuple[ReignRow, ...]
    signed_in_every_future: tuple[SignedOrderRow, ...]
    findings: tuple[str, ...]
    timing_s: dict[str, float]


@dataclass
class _Found:
    """A first stage and what it costs in every world, in the order of the worlds."""

    fixed: Fixed
    outcomes: tuple[Outcome, ...]

    @property
    def costs(self) -> list[float]:
        return [o.cost_musd for o in self.outcomes]


class Answering:
    """Solves everything that the answer needs.

    Parameters
    ----------
    calm, futures
        From ``planner.inputs.load_worlds``.
    gap_frac, time_limit_s
        Of every search; those of the case if None.
    note
        Told every step.
    candidates
        Further first stages to compare, by name: the orders of plans made elsewhere, such as the points of a front.
    """

    def __init__(
        self, calm: Problem, futures: Mapping[str, Problem], gap_frac: float | None = None,
        time_limit_s: float | None = None, note: Callable[[str], None] = lambda text: None,
        candidates: Mapping[str, Mapping[OrderKey, int]] | None = None,
    ) -> None:  # fmt: skip
        solver = calm.case.solver
        limit = solver.time_limit_s if time_limit_s is None else time_limit_s
        self.gap_frac = solver.gap_frac if gap_frac is None else gap_frac
        self.prospect, self.note = Prospect(calm, futures), note
        self.candidates = {} if candidates is None else candidates
        self.began = time.perf_counter()
        note("building the worlds")
        self.hedger = Hedger(self.prospect, self.gap_frac, lambda: Stop(limit), solver.seed)
        self.probability = [w.probability for w in self.prospect.worlds]

    def answer(self) -> DisruptionAnswer:
        """Solve, compare, and gather.

        Raises
        ------
        Infeasible
            If no orders at all can be signed that every future allows.
        NoPlan
            If stopped before.
        """
        knowing = self._knowing()
        tried: dict[str, _Found] = {}
        self.note("orders that hold in every future")
        best = self.hedger.joint()
        if best.fixed is not None:
            tried[HEDGED] = self._tried(HEDGED, best.fixed)
        for world in self.prospect.worlds:
            name = f"as if {world.name}"
            tried[name] = self._tried(name, knowing[world.name].fixed)
        tried |= self._worst()
        for name, given in self.candidates.items():
            tried[name] = self._tried(name, Fixed(self._signable(given)))
        return self._gathered(best, knowing, tried)

    # -- solving ---------------------------------------------------------------------------------

    def _knowing(self) -> dict[str, Outcome]:
        found = {}
        for world in self.prospect.worlds:
            self.note(f"as if {world.name} were certain")
            found[world.name] = self.hedger.alone(world, None)
            if found[world.name].plan is None:
                raise Infeasible
        return found

    def _worst(self) -> dict[str, _Found]:
        """The robust choice, unless that is the aim anyway."""
        if self.prospect.rule.aim == "worst" or len(self.prospect.worlds) == 1:
            return {}
        self.note("orders for the worst future")
        seen = copy.copy(self.prospect)
        seen.rule = self.prospect.rule.model_copy(update={"aim": "worst"})
        try:
            fixed = self.hedger.joint(seen).fixed
            return {} if fixed is None else {WORST: self._tried(WORST, fixed)}
        except (Infeasible, NoPlan):
            return {}

    def _tried(self, name: str, fixed: Fixed) -> _Found:
        found = []
        for world in self.prospect.worlds:
            self.note(f"{name}: {world.name}")
            found.append(self.hedger.alone(world, fixed))
        return _Found(fixed, tuple(found))

    def _signable(self, orders: Mapping[OrderKey, int]) -> dict[OrderKey, int]:
        return {k: n for k, n in orders.items() if k in self.prospect.pair and n > 0}

    # -- gathering -------------------------------------------------------------------------------

    def _aim(self, costs: Sequence[float]) -> float:
        rule = self.prospect.rule
        if rule.aim == "worst":
            return max(costs)
        if not np.isfinite(max(costs)):
            return np.inf
        tail = cvar(costs, self.probability, rule.tail_frac) if rule.cvar_weight else 0.0
        return expected(costs, self.probability) + rule.cvar_weight * tail

    def _gathered(
        self, joint: FirstStage, knowing: Mapping[str, Outcome], tried: Mapping[str, _Found]
    ) -> DisruptionAnswer:
        rule, case = self.prospect.rule, self.prospect.base.case
        aims = {name: self._aim(found.costs) for name, found in tried.items()}
        best = min(aims, key=lambda n: (aims[n], n != HEDGED))
        if not np.isfinite(aims[best]):
            raise Infeasible
        known = [min(knowing[w.name].cost_musd, *(f.outcomes[i].cost_musd for f in tried.values()))
                 for i, w in enumerate(self.prospect.worlds)]  # fmt: skip
        aim, costs = aims[best], tried[best].costs
        # who knows the world does no worse in any of them, so the aim of these bounds is a bound as well
        bound = min(max(joint.bound_musd, self._aim([knowing[w.name].bound_musd for w in self.prospect.worlds])), aim)
        calm = aims.get(f"as if {CALM}", np.inf)
        unverified = [
            f"{n} in {o.world}" for n, f in tried.items() for o in f.outcomes if o.plan is not None and not _passed(o)
        ]
        gap = (aim - bound) / max(abs(aim), 1e-9)
        # whole containers and yards are decided world by world, after the orders: what that costs is in the gap
        status = "unverified" if unverified else "gap_limit" if gap <= 2 * self.gap_frac else "time_limit"
        findings = [f"failed verification: {u}" for u in unverified]
        if rule.aim != "worst" and len(costs) > 1 and WORST not in tried:
            findings.append("no orders for the worst future were found in the time given")
        outcomes = [row for name, found in tried.items() for row in self._outcome_rows(name, found, known)]
        signed = [row for name, found in tried.items() for row in self._signed_rows(name, found.fixed)]
        return DisruptionAnswer(
            schema_version="1.0", case=case.case, title=case.title, input_sha256=self.prospect.base.input_sha256,
            status=status, aim=rule.aim, cvar_weight=rule.cvar_weight, tail_frac=rule.tail_frac, best=best,
            aim_musd=aim, bound_musd=bound, gap_frac=gap, expected_musd=expected(costs, self.probability),
            cvar_musd=cvar(costs, self.probability, rule.tail_frac),
            knowing_musd=max(0.0, expected(costs, self.probability) - expected(known, self.probability)),
            hedging_musd=calm - aim if np.isfinite(calm) else None,
            hedging_most_musd=calm - bound if np.isfinite(calm) else None, reserved=dict(tried[best].fixed.reserved),
            choices=tuple(self._choice_row(n, f, known, aims[n]) for n, f in tried.items()),
            outcomes=tuple(outcomes), signed=tuple(signed), reigns=self._reigns(tried),
            signed_in_every_future=self._common(tried), findings=tuple(findings),
            timing_s={"total": time.perf_counter() - self.began},
        )  # fmt: skip

    def _choice_row(self, name: str, found: _Found, known: Sequence[float], aim: float) -> ChoiceRow:
        costs = found.costs
        if not np.isfinite(max(costs)):
            return ChoiceRow(choice=name, expected_musd=None, cvar_musd=None, worst_musd=None, worst_regret_musd=None,
                             aim_musd=None)  # fmt: skip
        tail = cvar(costs, self.probability, self.prospect.rule.tail_frac)
        return ChoiceRow(
            choice=name, expected_musd=expected(costs, self.probability), cvar_musd=tail, worst_musd=max(costs),
            worst_regret_musd=max(c - k for c, k in zip(costs, known, strict=True)), aim_musd=aim,
        )  # fmt: skip

    def _outcome_rows(self, name: str, found: _Found, known: Sequence[float]) -> list[OutcomeRow]:
        rows = []
        for world, o, least in zip(self.prospect.worlds, found.outcomes, known, strict=True):
            there = o.plan is not None
            parts = {f"{part}_musd": o.parts_musd.get(part) for part in
                     ("plan", "option_fees", "lost", "cancelled", "premium", "short")}  # fmt: skip
            rows.append(OutcomeRow(
                choice=name, future=world.name, probability_frac=world.probability, known=month_text(world.known),
                cost_musd=o.cost_musd if there else None, bound_musd=o.bound_musd if there else None,
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

    def _common(self, tried: Mapping[str, _Found]) -> tuple[SignedOrderRow, ...]:
        """What is signed before anything is known whatever future is planned for: the least count over all of them."""
        sure = [f.fixed.orders for n, f in tried.items() if n.startswith("as if ")]
        first = min((w.known for w in self.prospect.worlds), default=0)
        keys = [k for k, month in self.prospect.signed_month.items() if month < first]
        least = {k: min((o.get(k, 0) for o in sure), default=0) for k in keys}
        return tuple(self._signed_rows("every future", Fixed({k: n for k, n in least.items() if n > 0})))

    def _reigns(self, tried: Mapping[str, _Found]) -> tuple[ReignRow, ...]:
        """Best choice by the probability that anything happens, the futures in their relative weights."""
        worlds = self.prospect.worlds
        if worlds[0].name != CALM or len(worlds) == 1:
            return ()
        total = sum(self.probability[1:])
        weight = [p / total for p in self.probability[1:]]
        calm = {n: f.costs[0] for n, f in tried.items()}
        disrupted = {n: expected(f.costs[1:], weight) for n, f in tried.items()}
        return tuple(
            ReignRow(choice=r.choice, from_frac=r.from_frac, to_frac=r.to_frac) for r in reigns(calm, disrupted)
        )


def _passed(outcome: Outcome) -> bool:
    plan = outcome.plan
    return plan is not None and plan.verification is not None and plan.verification.passed
