"""The supply chain before the cell as a network: who accepts what, from which node, how much, at what premium.

What an offer's table row counts as Chinese in a layer can be replaced by goods of a named node. A *choice* is
one such replacement for a pool of offers in a delivery period; its size is in usable MWh of storage. The rest of
a layer stays as quoted, so a plan without any choice is the plan of the tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from planner.catalogue import BanRow, SourceNodeRow
from planner.policy import (
    accepted_nodes,
    bans_proven_by,
    credit_phase,
    effective_control,
    macr_threshold,
    names_of,
    traced_weight,
)
from planner.present import discount
from planner.problem import FloatArray, Offer, Period, Problem
from planner.units import KWH_PER_MWH, USD_PER_MUSD, year_of

CHINA = "China"
#: What is replaced: made in China by its firms, made elsewhere by Chinese firms, or made in China by others.
PARTS = ("made", "owned", "hosted")
#: (counts as made in China, counts as owned in China) of each part.
_COUNTS = {"made": (1.0, 1.0), "owned": (0.0, 1.0), "hosted": (1.0, 0.0)}
#: Tonnes (1,000 m2) that a kt (million m2) of capacity is.
_PER_CAPACITY = 1000.0
#: Shares of a layer below this are not worth a choice.
_NOTHING = 1e-9
#: Ore is bought for one refinery at a time.
ORE, LITHIUM, POWDER = "mining", "refining", "cathode"


def part_frac(offer: Offer, layer: str, part: str) -> float:
    """Share of an offer's layer that a part of ``PARTS`` makes up."""
    share = offer.layers[layer]
    both = min(share.production_frac, share.ownership_frac)
    return {"made": both, "owned": share.ownership_frac - both, "hosted": share.production_frac - both}[part]


def china_made_frac(offer: Offer, layer: str) -> float:
    """Share of a layer that is made in China; 0 for a layer that the offer does not have."""
    share = offer.layers.get(layer)
    return 0.0 if share is None else share.production_frac


@dataclass(frozen=True)
class Pool:
    """Storage offers that the network cannot tell apart.

    ``accepted`` maps a layer to node names, ``change`` to USD per usable kWh; ``nameplate_per_mwh`` is nameplate MWh
    per usable MWh, to three figures.
    """

    offers: tuple[int, ...]
    chemistry: str
    accepted: Mapping[str, tuple[str, ...]]
    change: Mapping[str, float]
    nameplate_per_mwh: float


@dataclass(frozen=True)
class Choice:
    """Goods of a node in place of Chinese ones, for a pool in a period.

    ``state`` is a credit state where material assistance is traced, else empty; ``via`` the refinery of an ore.
    """

    pool: int
    period: int
    state: str
    layer: str
    part: str
    node: str
    via: str = ""

    @property
    def key(self) -> tuple[str, str, str, str, str, str, str]:
        """Index of the variable, without a comma in it."""
        return (f"pool{self.pool}", str(self.period), self.state, self.layer, self.part, self.node, self.via)


def nodes_by_name(problem: Problem) -> dict[str, SourceNodeRow]:
    """Every source node."""
    return {row.node: row for row in problem.tables.source_nodes}


def node_limit(problem: Problem, node: SourceNodeRow, period: Period) -> float:
    """What this buyer can expect of a node for one period, in tonnes or 1,000 m2.

    Capacity of the year in which goods must leave, less what is promised to others, times the share this buyer can
    obtain and the probability that the node is there; only from its start on.
    """
    rows = sorted((r for r in problem.tables.source_output if r.node == node.node), key=lambda r: r.year)
    leaves, last = period.start - node.ahead_months, period.end - node.ahead_months
    if not rows or last <= node.start:
        return 0.0
    running = (last - max(leaves, node.start)) / (last - leaves)
    years = [r.year for r in rows]

    def at(values: list[float]) -> float:
        return float(np.interp(year_of(leaves), years, values))

    free = (1.0 - at([r.committed_frac for r in rows])) * at([r.obtainable_frac for r in rows])
    yearly = at([r.capacity for r in rows]) * _PER_CAPACITY * free * (1.0 - node.delay_risk_frac)
    return yearly * running * min(period.years, 1.0) * problem.case.supply.scale_frac


class Network:
    """Pools, choices and their numbers for the admissible deliveries of a problem.

    Parameters
    ----------
    problem
        The planning question.
    pairs
        Admissible deliveries (offer index, period index).
    """

    def __init__(self, problem: Problem, pairs: Sequence[tuple[int, int]]) -> None:
        self.problem = problem
        self.nodes = nodes_by_name(problem)
        self.pools = _pools(problem, sorted({o for o, _ in pairs}))
        self.delivers = {(k, p) for k, pool in enumerate(self.pools) for o, p in pairs if o in pool.offers}
        self.limit = {
            (name, p): limit
            for name in sorted({n for pool in self.pools for names in pool.accepted.values() for n in names})
            for p in sorted({p for _, p in self.delivers})
            if (limit := node_limit(problem, self.nodes[name], problem.periods[p])) > 0
        }
        self.choices: tuple[Choice, ...] = tuple(
            choice for k, p in sorted(self.delivers) for state in self.states(p) for choice in self._of(k, p, state)
        )

    def states(self, p: int) -> tuple[str, ...]:
        """Credit states that choices of a period are split by; one blank where nothing depends on them."""
        h = credit_phase(self.problem, self.problem.periods[p])
        if not self.problem.case.sourcing.traced or h is None:
            return ("",)
        tested = macr_threshold(self.problem, self.problem.case.policy.phases[h]) is not None
        return ("none", "base", "bonus") if tested else ("",)

    def _of(self, k: int, p: int, state: str) -> Iterable[Choice]:
        pool = self.pools[k]
        for layer, names in pool.accepted.items():
            for part in PARTS:
                if all(part_frac(self.problem.offers[o], layer, part) <= _NOTHING for o in pool.offers):
                    continue
                for name in names:
                    node = self.nodes[name]
                    if (name, p) not in self.limit or not self._helps(part, node):
                        continue
                    for via in self._ways(pool, node, p):
                        yield Choice(k, p, state, layer, part, name, via)

    def _ways(self, pool: Pool, node: SourceNodeRow, p: int) -> Iterable[str]:
        """Refineries that an ore can go to; one blank for every other layer."""
        if node.layer != ORE:
            return ("",)
        taken = pool.accepted.get(LITHIUM, ())
        return [r for r in names_of(node.feeds) if r in taken and (r, p) in self.limit]

    @staticmethod
    def _helps(part: str, node: SourceNodeRow) -> bool:
        """Whether a node makes less of a part count as Chinese."""
        made, owned = _COUNTS[part]
        return made > float(node.country == CHINA) or owned > float(node.owner_country == CHINA)

    @cached_property
    def position(self) -> dict[Choice, int]:
        """Where a choice stands in ``choices``."""
        return {choice: i for i, choice in enumerate(self.choices)}

    @cached_property
    def amount_per_mwh(self) -> FloatArray:
        """Tonnes (1,000 m2) of the node's goods per usable MWh, shape (choices,)."""
        per_kwh: dict[tuple[str, str], float] = {
            (r.chemistry, r.layer): r.amount_per_kwh for r in self.problem.tables.materials
        }
        return np.array([per_kwh[self.pools[c.pool].chemistry, c.layer] * self._nameplate(c) for c in self.choices])

    def _nameplate(self, choice: Choice) -> float:
        return self.pools[choice.pool].nameplate_per_mwh

    @cached_property
    def cost_musd_per_mwh(self) -> FloatArray:
        """Premium and cost of the change, paid at delivery, present value per usable MWh; shape (choices,)."""
        found = []
        for c, amount in zip(self.choices, self.amount_per_mwh, strict=True):
            premium = self.nodes[c.node].premium_usd_per_unit * amount * KWH_PER_MWH
            change = self.pools[c.pool].change[c.layer] * KWH_PER_MWH
            month = self.problem.periods[c.period].start
            found.append((premium + change) * discount(self.problem, month) / USD_PER_MUSD)
        return np.array(found)

    @cached_property
    def made_less(self) -> FloatArray:
        """By how much a unit of each choice counts less as made in China, shape (choices,)."""
        return np.array([_COUNTS[c.part][0] - float(self.nodes[c.node].country == CHINA) for c in self.choices])

    @cached_property
    def owned_less(self) -> FloatArray:
        """The same for what Chinese firms own."""
        return np.array([_COUNTS[c.part][1] - float(self.nodes[c.node].owner_country == CHINA) for c in self.choices])

    def relief(self, measure: str) -> dict[str, FloatArray]:
        """Exposed usable MWh that a unit of each choice takes away; one vector, or one per layer for chokepoints."""
        less = self.owned_less if measure.endswith("_ownership") else self.made_less
        kind = measure.removesuffix("_ownership")
        if kind == "chokepoint":
            layers = sorted({c.layer for c in self.choices})
            return {layer: less * np.array([float(c.layer == layer) for c in self.choices]) for layer in layers}
        if kind != "value":
            return {measure: np.zeros(len(self.choices))}
        weights: dict[tuple[str, str], float] = {
            (r.chemistry, r.layer): r.weight_frac for r in self.problem.tables.layer_weights
        }
        return {measure: less * np.array([weights[self.pools[c.pool].chemistry, c.layer] for c in self.choices])}

    @cached_property
    def assistance_mwh(self) -> FloatArray:
        """Nameplate MWh that a unit of each choice adds to traced material assistance, shape (choices,)."""
        if not self.problem.case.sourcing.traced:
            return np.zeros(len(self.choices))
        weight = [
            traced_weight(self.problem, self.problem.offers[self.pools[c.pool].offers[0]], c.layer) * self._nameplate(c)
            for c in self.choices
        ]
        return np.asarray(self.owned_less * np.array(weight))

    def replaceable(self, choice: Choice) -> list[tuple[int, float]]:
        """(offer, usable MWh per container) that a choice of this kind can replace at most."""
        offers = self.problem.offers
        return [
            (o, part_frac(offers[o], choice.layer, choice.part) * offers[o].energy_usable_ac_mwh)
            for o in self.pools[choice.pool].offers
        ]

    def proofs(self) -> Iterable[tuple[BanRow, int, int]]:
        """(ban, pool, period) of what may be bought only because its sourcing proves it clean."""
        for k, p in sorted(self.delivers):
            for ban in bans_proven_by(
                self.problem, self.problem.offers[self.pools[k].offers[0]], self.problem.periods[p]
            ):
                yield ban, k, p


def _pools(problem: Problem, used: Sequence[int]) -> tuple[Pool, ...]:
    """Offers whose makers choose, those together that no rule can tell apart."""
    alone = any(b.proof_layers and b.buyer == problem.case.buyer for b in problem.tables.bans)
    by_period = any(limit.per_period for limit in problem.case.exposure_limits.values())
    groups: dict[tuple[object, ...], list[int]] = {}
    figures: dict[tuple[object, ...], tuple[dict[str, tuple[str, ...]], dict[str, float], float]] = {}
    for o in used:
        offer = problem.offers[o]
        accepted = accepted_nodes(problem, offer)
        if not accepted:
            continue
        change = {r.layer: r.change_usd_per_kwh for r in problem.tables.offer_sourcing if r.offer == offer.offer}
        ratio = round(offer.energy_nameplate_dc_mwh / offer.energy_usable_ac_mwh, 3)
        key = (
            offer.chemistry,
            tuple(sorted(accepted.items())),
            tuple(sorted(change.items())),
            ratio,
            offer.design_life_yr if by_period else 0.0,
            effective_control(problem, offer),
            offer.offer if alone else "",
            _listed(offer) if problem.case.sourcing.traced else (),
        )
        groups.setdefault(key, []).append(o)
        figures[key] = (accepted, change, ratio)
    return tuple(
        Pool(tuple(members), problem.offers[members[0]].chemistry, *figures[key]) for key, members in groups.items()
    )


def _listed(offer: Offer) -> tuple[object, ...]:
    """What the traced test asks of an offer's own components."""
    return tuple((n, c.present, c.prohibited) for n, c in sorted(offer.components.items()))
