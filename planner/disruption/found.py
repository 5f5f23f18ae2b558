"""First stages tried in every world, their aim, and what is left of them once idle reservations are taken off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from planner.disruption.hedge import Outcome
from planner.disruption.joint import Fixed
from planner.disruption.measures import cvar, expected
from planner.disruption.worlds import Prospect


@dataclass
class Found:
    """A first stage and what it costs in every world, in the order of the worlds."""

    fixed: Fixed
    outcomes: tuple[Outcome, ...]

    @property
    def costs(self) -> list[float]:
        """Cost in each world; infinite where nothing fits, or nothing was found in time."""
        return [o.cost_musd for o in self.outcomes]


@dataclass
class Decided:
    """Everything that was found.

    Attributes
    ----------
    knowing
        Each world as if it were certain.
    tried
        First stages by name.
    bound_musd
        No first stage has a better aim.
    given_up
        Candidates that were left when they could not win any more, or for which there was no time.
    never_best
        Points of a front that another one beats at every probability of a disruption.
    rounds
        Rounds of tolls.
    """

    knowing: dict[str, Outcome]
    tried: dict[str, Found]
    bound_musd: float
    given_up: list[str] = field(default_factory=list)
    never_best: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    interrupted: bool = False
    rounds: int = 0


def aim_of(prospect: Prospect, costs: Sequence[float]) -> float:
    """Expected cost with a weight on the tail, or the cost of the worst world."""
    rule, odds = prospect.rule, [w.probability for w in prospect.worlds]
    if rule.aim == "worst" or not np.isfinite(max(costs)):
        return max(costs)
    tail = cvar(costs, odds, rule.tail_frac) if rule.cvar_weight else 0.0
    return expected(costs, odds) + rule.cvar_weight * tail


def needed(prospect: Prospect, found: Found) -> Found:
    """The same plans with no more reserved than some world calls."""
    reserved = found.fixed.reserved or {}
    called = {n: max(o.called.get(n, 0) for o in found.outcomes) for n in reserved}
    idle = {n: count - called[n] for n, count in reserved.items() if count > called[n]}
    if not idle or any(o.plan is None for o in found.outcomes):
        return found
    fixed = replace(found.fixed, reserved={n: count for n, count in called.items() if count})
    fee = sum(prospect.fee_musd(n) * count for n, count in idle.items())
    return Found(fixed, tuple(_without_fee(o, fixed, fee) for o in found.outcomes))


def _without_fee(outcome: Outcome, fixed: Fixed, fee_musd: float) -> Outcome:
    """The same plan with less reserved; with fewer slots no plan costs less, so the bound falls by the fee alone."""
    parts = {**outcome.parts_musd, "option_fees": outcome.parts_musd["option_fees"] - fee_musd}
    return replace(
        outcome, cost_musd=outcome.cost_musd - fee_musd, bound_musd=outcome.bound_musd - fee_musd, parts_musd=parts,
        fixed=fixed,
    )  # fmt: skip
