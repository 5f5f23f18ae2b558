"""What one more tonne at each source node is worth to a plan, and what holds back its least exposure.

Orders stay as the plan has them and only the sources move, so each figure is a floor: with orders free as well,
a further tonne can only be worth more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from planner.frontier.campus import Held, exposure_vectors
from planner.model.coefficients import Coefficients
from planner.problem import FloatArray, Problem
from planner.results import Plan, Record
from planner.search import Search
from planner.solve import Attempt, Run, Stop
from planner.units import USD_PER_MUSD

_ROW = "node_output["
_SECONDS = 60.0
_TONNES_PER_ROW = 1e3
#: Shares of the exposure below this are rounding.
_ROUNDING_FRAC = 1e-9


class NodeWorth(Record):
    """One node in one period: what the plan takes, what there is, and what one more unit is worth.

    ``worth_usd_per_unit`` at the plan's exposure; ``exposure_per_unit`` is what a unit takes off the least exposure
    that the plan's orders can have. ``unit`` is t or 1000 m2.
    """

    node: str
    layer: str
    country: str
    period: str
    taken: float
    limit: float
    unit: str
    worth_usd_per_unit: float
    exposure_per_unit: float


class LayerLeft(Record):
    """China's part of one layer that is left at the least exposure of a plan's orders, in one period.

    ``without_choice_mwh`` belongs to offers whose makers choose nothing there; the rest is short of sources.
    """

    layer: str
    period: str
    left_mwh: float
    without_choice_mwh: float


@dataclass
class Desk:
    """The sourcing of one plan as a small linear program."""

    problem: Problem
    measure: str
    plan: Plan

    def __post_init__(self) -> None:
        self.c = Coefficients(self.problem)
        self.search = Search(self.c, Stop(_SECONDS), 0.0, 1, held=self._held())
        self.search.prepare()
        compiled, m = self.search.compiled, self.search.model
        choices = [compiled.index(m.sourced_mwh[x.key]) for x in self.c.network.choices]
        self.columns = np.array(choices, dtype=int)
        self._fix_states()
        vectors = exposure_vectors(self.search, self.measure)
        size = len(compiled.row_names)
        none = np.full(len(vectors), -np.inf)
        compiled.add_rows(csr_array(np.array(vectors)), none, -none, [f"measure[{i}]" for i in range(len(vectors))])
        self.caps = range(size, size + len(vectors))

    def _held(self) -> Held:
        bought = {(o.offer, o.period): o.containers for o in self.plan.orders}
        keys = [(self.problem.offers[o].offer, self.problem.periods[p].label) for o, p in self.c.pairs]
        return {key: bought.get(key, 0) for key in keys}

    def _fix_states(self) -> None:
        """Credit states and tiers as in the plan; what follows from them is free."""
        compiled, m = self.search.compiled, self.search.model
        taken = {o.offer: o.tier for o in self.plan.orders}
        for (name, tier), variable in m.tier.items():
            j = compiled.index(variable)
            compiled.lower[j] = compiled.upper[j] = float(taken.get(name) == tier)
        for (phase, state), variable in m.state.items():
            j = compiled.index(variable)
            compiled.lower[j] = compiled.upper[j] = float(self.plan.credit_state[phase] == state)

    def solved(self, cost: FloatArray, cap_frac: float) -> tuple[Attempt, FloatArray]:
        """Least cost with the exposure capped, and the dual of every row."""
        compiled = self.search.compiled
        for i in self.caps:
            compiled.row_upper[i] = cap_frac
        kept, compiled.cost = compiled.cost, cost
        try:
            run = Run(compiled, Stop(_SECONDS), 1)
            run.load(np.zeros_like(compiled.integer))
            attempt = run.solve()
        finally:
            compiled.cost = kept
        return attempt, np.array(run.highs.getSolution().row_dual)

    def least(self) -> tuple[Attempt, FloatArray]:
        """Least exposure of the plan's orders; for a chokepoint of the layer that is the largest in the plan."""
        vectors = exposure_vectors(self.search, self.measure)
        bought = np.zeros(len(self.search.compiled.cost))
        for (name, label), count in self._held().items():
            j = self.search.compiled.index(self.search.model.containers[name, label])
            if j >= 0:
                bought[j] = count
        largest = max(vectors, key=lambda v: float(v @ bought))
        return self.solved(largest, np.inf)


def node_worths(problem: Problem, measure: str, plan: Plan) -> tuple[NodeWorth, ...]:
    """Worth of one more unit at every node and period, to one plan.

    Parameters
    ----------
    problem
        The planning question of the plan, with the sourcing network free.
    measure
        One of ``planner.case.MEASURES``.
    plan
        From ``planner.plan`` or a front.

    Returns
    -------
    tuple of NodeWorth
        Only nodes that are worth something, dearest first.
    """
    desk = Desk(problem, measure, plan)
    network = desk.c.network
    priced, dual = desk.solved(desk.search.compiled.cost, plan.exposure_frac[measure] + _ROUNDING_FRAC)
    least, relief = desk.least()
    if priced.x is None or least.x is None:
        return ()
    found = []
    taken = priced.x[desk.columns] * network.amount_per_mwh
    for i, node, label in _node_rows(desk):
        worth = -float(dual[i]) * USD_PER_MUSD / _TONNES_PER_ROW
        drop = -float(relief[i]) / _TONNES_PER_ROW
        if worth < 1e-6 and drop < 1e-12:
            continue
        p = next(k for k, period in enumerate(problem.periods) if period.label == label)
        mine = [x.node == node and x.period == p for x in network.choices]
        row = network.nodes[node]
        found.append(
            NodeWorth(
                node=node, layer=row.layer, country=row.country, period=label, taken=float(taken[mine].sum()),
                limit=network.limit[node, p], unit="1000 m2" if row.layer == "separator" else "t",
                worth_usd_per_unit=max(0.0, worth), exposure_per_unit=max(0.0, drop),
            )
        )  # fmt: skip
    return tuple(sorted(found, key=lambda r: (-r.worth_usd_per_unit, -r.exposure_per_unit, r.node, r.period)))


def _node_rows(desk: Desk) -> Iterator[tuple[int, str, str]]:
    """(row, node, period label) of every capacity row."""
    rows = desk.search.model.node_output
    keys = {data.name: key for key, data in rows.items()}
    for i, name in enumerate(desk.search.compiled.row_names):
        if name in keys:
            yield i, *keys[name]


def layers_left(problem: Problem, measure: str, plan: Plan) -> tuple[LayerLeft, ...]:
    """What of each layer stays Chinese at the least exposure of a plan's orders, by period.

    Parameters
    ----------
    problem, measure, plan
        As for ``node_worths``.
    """
    desk = Desk(problem, measure, plan)
    least, _ = desk.least()
    if least.x is None:
        return ()
    ownership = measure.endswith("_ownership")
    less = desk.c.network.owned_less if ownership else desk.c.network.made_less
    left: dict[tuple[str, int], float] = {}
    stuck: dict[tuple[str, int], float] = {}
    pooled = {o for pool in desk.c.network.pools for o in pool.offers}
    for (o, p), n in _bought(desk).items():
        offer = problem.offers[o]
        chosen = next((pool.accepted for pool in desk.c.network.pools if o in pool.offers), {}) if o in pooled else {}
        for layer, share in offer.layers.items():
            mwh = n * offer.energy_usable_ac_mwh * (share.ownership_frac if ownership else share.production_frac)
            left[layer, p] = left.get((layer, p), 0.0) + mwh
            if layer not in chosen:
                stuck[layer, p] = stuck.get((layer, p), 0.0) + mwh
    for x, a, mwh in zip(desk.c.network.choices, less, least.x[desk.columns], strict=True):
        if (x.layer, x.period) in left:
            left[x.layer, x.period] -= a * mwh
    return tuple(
        LayerLeft(
            layer=layer, period=problem.periods[p].label, left_mwh=max(0.0, mwh),
            without_choice_mwh=stuck.get((layer, p), 0.0),
        )
        for (layer, p), mwh in sorted(left.items())
        if mwh > 1e-6
    )  # fmt: skip


def _bought(desk: Desk) -> dict[tuple[int, int], int]:
    offers = {o.offer: i for i, o in enumerate(desk.problem.offers)}
    periods = {p.label: i for i, p in enumerate(desk.problem.periods)}
    return {
        (offers[o.offer], periods[o.period]): o.containers
        for o in desk.plan.orders
        if desk.problem.offers[offers[o.offer]].is_storage
    }
