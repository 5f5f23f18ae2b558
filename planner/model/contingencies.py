"""What may be lost together, and how much of the requirement must survive it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from planner import policy
from planner.case import LOST_TOGETHER
from planner.problem import Problem


@dataclass(frozen=True)
class Contingency:
    """What is lost together, and the share of the requirement that must survive.

    ``fire_offer`` is the offer index of a fire-group contingency, else None. The contingency
    ``largest fire group`` (``by_level``) says the same of the largest group in use, by levels.
    """

    kind: str
    lost: str
    surviving_frac: float
    offers: frozenset[int]
    fire_offer: int | None = None
    by_level: bool = False

    @property
    def name(self) -> str:
        """Name for rows and tables."""
        return f"{self.kind}:{self.lost}" if self.lost else self.kind


def _stored(problem: Problem, offers_used: Sequence[int]) -> list[int]:
    return [o for o in offers_used if problem.offers[o].is_storage]


def losses_to_survive(problem: Problem, offers_used: Sequence[int]) -> list[Contingency]:
    """Every loss that the case asks to survive, but for fire groups.

    Parameters
    ----------
    problem
        Its ``reliability.contingencies`` give the surviving shares; null switches a kind off.
    offers_used
        Indices of the offers that may be bought; only their storage is ever lost.
    """
    rules = problem.case.reliability.contingencies
    stored = _stored(problem, offers_used)
    found = []
    for kind, name in LOST_TOGETHER.items():
        share = getattr(rules, kind)
        if share is not None:
            for lost in sorted({str(getattr(problem.offers[o], name)) for o in stored}):
                fleet = frozenset(o for o in stored if getattr(problem.offers[o], name) == lost)
                found.append(Contingency(kind, lost, share, fleet))
    if rules.software is not None:
        fleet = frozenset(o for o in stored if policy.flag_binds(problem, problem.offers[o], "software_control"))
        found.append(Contingency("software", "prohibited software", rules.software, fleet))
    return found


def merged_contingencies(problem: Problem, offers_used: Sequence[int]) -> list[Contingency]:
    """What the outage rows are written for: nothing lost, the losses, and fire groups.

    Losses of the same offers are merged and the largest surviving share is kept.
    """
    by_fleet: dict[frozenset[int], Contingency] = {}
    for loss in losses_to_survive(problem, offers_used):
        known = by_fleet.get(loss.offers)
        if known is None or known.surviving_frac < loss.surviving_frac:
            by_fleet[loss.offers] = loss
    found = [Contingency("none", "", 1.0, frozenset()), *by_fleet.values()]
    share = problem.case.reliability.contingencies.fire_group
    if share is not None:
        found.append(Contingency("fire_group", "largest", share, frozenset(), by_level=True))
        found += [
            Contingency("fire_group", problem.offers[o].offer, share, frozenset(), o)
            for o in _stored(problem, offers_used)
        ]
    return found
