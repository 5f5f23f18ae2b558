"""What a plan sources: goods in place of Chinese ones, and every layer of the storage bought by where it comes from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from planner.catalogue import MaterialRow
from planner.decode import Decision
from planner.exposure import layers
from planner.model.coefficients import Coefficients
from planner.problem import FloatArray, Problem
from planner.results import LayerSource, Plan, Replacement
from planner.sourcing import CHINA, part_frac

#: Choices below this many MWh are rounding.
_ROUNDING_MWH = 1e-6
ELSEWHERE = "elsewhere"


def replacements(c: Coefficients, d: Decision) -> tuple[Replacement, ...]:
    """Every choice of the network that a plan takes."""
    network, problem = c.network, c.problem
    material: dict[tuple[str, str], MaterialRow] = {(r.chemistry, r.layer): r for r in problem.tables.materials}
    rows = []
    for i in np.flatnonzero(d.sourced_mwh > _ROUNDING_MWH):
        x = network.choices[i]
        node, pool = network.nodes[x.node], network.pools[x.pool]
        made_of = material[pool.chemistry, x.layer]
        mwh = float(d.sourced_mwh[i])
        bought = [problem.offers[o].offer for o in pool.offers if d.containers[o, x.period] > 0]
        rows.append(
            Replacement(
                period=problem.periods[x.period].label, layer=x.layer, node=x.node, via=x.via, country=node.country,
                owner_country=node.owner_country, offers="; ".join(bought), part=x.part, state=x.state, energy_mwh=mwh,
                material=made_of.material, amount=mwh * float(network.amount_per_mwh[i]),
                unit="1000 m2" if made_of.unit.startswith("m2") else "t",
                cost_musd=mwh * float(network.cost_musd_per_mwh[i]),
            )
        )  # fmt: skip
    return tuple(rows)


def layers_by_source(c: Coefficients, d: Decision) -> tuple[LayerSource, ...]:
    """MWh of every layer by source, for plans with the network; what is as quoted by place and owner."""
    problem = c.problem
    if problem.case.sourcing.mode == "none":
        return ()
    bought = ((int(o), int(p), float(d.containers[o, p])) for o, p in zip(*np.nonzero(d.containers), strict=True))
    return _summed(problem, (*_quoted(problem, bought), *_replaced(c, d)))


def quoted_layers(problem: Problem, plan: Plan) -> tuple[LayerSource, ...]:
    """MWh of every layer of what a plan buys as the offers' rows say, for plans without the network."""
    offers = {o.offer: i for i, o in enumerate(problem.offers)}
    periods = {p.label: p.index for p in problem.periods}
    bought = ((offers[o.offer], periods[o.period], float(o.containers)) for o in plan.orders)
    return _summed(problem, _quoted(problem, bought))


#: Period index, layer, source, country, owner's country.
_Place = tuple[int, str, str, str, str]


def _summed(problem: Problem, parts: Iterable[tuple[_Place, float]]) -> tuple[LayerSource, ...]:
    sums: dict[_Place, float] = {}
    for key, mwh in parts:
        sums[key] = sums.get(key, 0.0) + mwh
    return tuple(
        LayerSource(
            period=problem.periods[p].label, layer=layer, source=source, country=country, owner_country=owner,
            energy_mwh=mwh,
        )
        for (p, layer, source, country, owner), mwh in sorted(sums.items())
        if mwh > _ROUNDING_MWH
    )  # fmt: skip


_QUOTED = {"made": (CHINA, CHINA), "owned": (ELSEWHERE, CHINA), "hosted": (CHINA, ELSEWHERE)}


def _quoted(problem: Problem, bought: Iterable[tuple[int, int, float]]) -> Iterator[tuple[_Place, float]]:
    """Layers of (offer index, period index, containers) by the shares of the tables."""
    for o, p, containers in bought:
        offer = problem.offers[o]
        if not offer.is_storage:
            continue
        mwh = containers * offer.energy_usable_ac_mwh
        for layer in layers(problem):
            if layer not in offer.layers:
                continue
            rest = 1.0
            for part, (country, owner) in _QUOTED.items():
                share = part_frac(offer, layer, part)
                rest -= share
                yield (p, layer, "as quoted", country, owner), mwh * share
            home = offer.cell_country if layer == "cell" else ELSEWHERE
            yield (p, layer, "as quoted", home, home), mwh * rest


def _replaced(c: Coefficients, d: Decision) -> Iterator[tuple[_Place, float]]:
    for i in np.flatnonzero(d.sourced_mwh > _ROUNDING_MWH):
        x = c.network.choices[i]
        node, mwh = c.network.nodes[x.node], float(d.sourced_mwh[i])
        yield (x.period, x.layer, "as quoted", *_QUOTED[x.part]), -mwh
        yield (x.period, x.layer, x.node, node.country, node.owner_country), mwh


def relief_by_offer(c: Coefficients, d: Decision, layer: str, less: FloatArray) -> FloatArray:
    """Usable MWh by which chosen sources lighten a layer of each offer, shape (O,).

    A pool's choices are shared among its offers by what each of them has to replace.
    """
    found = np.zeros(len(c.problem.offers))
    for i in np.flatnonzero(d.sourced_mwh > _ROUNDING_MWH):
        x = c.network.choices[i]
        if x.layer != layer:
            continue
        held = {o: a * float(d.containers[o, x.period]) for o, a in c.network.replaceable(x)}
        whole = sum(held.values())
        for o, mwh in held.items():
            if whole > 0:
                found[o] += float(less[i] * d.sourced_mwh[i]) * mwh / whole
    return found
