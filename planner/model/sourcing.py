"""Where the layers before the cell come from: goods of named nodes in place of Chinese ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyomo.environ as pyo

from planner.model.coefficients import Coefficients
from planner.model.row import family, linear
from planner.policy import names_of
from planner.sourcing import LITHIUM, ORE, POWDER, Choice, china_made_frac

Term = tuple[float, object]
#: Rows in thousands of tonnes and of MWh stay near 1.
_SCALE = 1e3


def declare(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """One variable per choice, in usable MWh; none where the network is off."""
    m.choices = pyo.Set(initialize=[x.key for x in c.network.choices], dimen=7)
    m.sourced_mwh = pyo.Var(m.choices, domain=pyo.NonNegativeReals)


def terms_of(m: pyo.ConcreteModel, c: Coefficients, factors: Iterable[float]) -> list[Term]:
    """Variables with factors in the order of the choices, zeros left out."""
    return [(a, m.sourced_mwh[x.key]) for a, x in zip(factors, c.network.choices, strict=True) if a]


def _grouped(c: Coefficients) -> Iterator[tuple[Choice, list[Choice]]]:
    """Choices that replace the same thing, with one of them as their name."""
    groups: dict[tuple[object, ...], list[Choice]] = {}
    for x in c.network.choices:
        groups.setdefault((x.pool, x.period, x.state, x.layer, x.part), []).append(x)
    for members in groups.values():
        yield members[0], members


def _bought(
    m: pyo.ConcreteModel, c: Coefficients, k: int, p: int, state: str, per_container: dict[int, float]
) -> list[Term]:
    """Containers of a pool in a period (in one credit state, if one is named), each times a factor of its offer."""
    offers, label = c.problem.offers, c.problem.periods[p].label
    terms: list[Term] = []
    for o in c.network.pools[k].offers:
        name = offers[o].offer
        if (name, label) not in m.deliveries:
            continue
        if not state:
            terms.append((per_container[o], m.containers[name, label]))
        elif state in c.states(o, p):
            tiers = [offers[o].tiers[t].tier for t in c.reachable_tiers(o)]
            terms += [(per_container[o], m.in_state[name, label, t, state]) for t in tiers]
    return terms


@family("")
def replaced_share(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """No more is replaced than counts as Chinese in what is bought.

    sum_n sourced_mwh[g,p,q,layer,part,n] <= sum_{o in g} share[o,layer,part] usable_mwh[o] containers[o,p]

    With traced material assistance the containers are those in credit state q.
    """
    m.replaced_share = pyo.Constraint(pyo.Any)
    for one, members in _grouped(c):
        per = {o: -a for o, a in c.network.replaceable(one)}
        bought = _bought(m, c, one.pool, one.period, one.state, per)
        key = (*one.key[:5],)
        m.replaced_share[key] = linear([*((1.0, m.sourced_mwh[x.key]) for x in members), *bought]) <= 0


@family("supply")
def node_output(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """A mine, refinery or plant gives at most what this buyer can expect of it.

    sum_{g,q,layer,part} amount_per_mwh[g,n] sourced_mwh[g,p,q,layer,part,n] <= limit[n,p]
    """
    m.node_output = pyo.Constraint(pyo.Any)
    rows: dict[tuple[str, int], list[Term]] = {}
    for a, x in zip(c.network.amount_per_mwh, c.network.choices, strict=True):
        rows.setdefault((x.node, x.period), []).append((a / _SCALE, m.sourced_mwh[x.key]))
    for (node, p), terms in rows.items():
        m.node_output[node, c.problem.periods[p].label] = linear(terms) <= c.network.limit[node, p] / _SCALE


@family("")
def ore_is_refined(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """Ore counts only as far as its refinery's lithium is bought too.

    sum_{n feeding r, parts} sourced_mwh[g,p,q,mining,part,n,r] <= sum_parts sourced_mwh[g,p,q,refining,part,r]
    """
    m.ore_is_refined = pyo.Constraint(pyo.Any)
    rows: dict[tuple[int, int, str, str], list[Term]] = {}
    ores = {(x.pool, x.period, x.state, x.via) for x in c.network.choices if x.layer == ORE}
    for x in c.network.choices:
        refinery = x.via if x.layer == ORE else x.node
        key = (x.pool, x.period, x.state, refinery)
        if x.layer in (ORE, LITHIUM) and key in ores:
            rows.setdefault(key, []).append((1.0 if x.layer == ORE else -1.0, m.sourced_mwh[x.key]))
    for (k, p, q, refinery), terms in rows.items():
        m.ore_is_refined[k, c.problem.periods[p].label, q, refinery] = linear(terms) <= 0


@family("")
def lithium_is_used(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """Lithium of a named refinery counts only where the cathode is made outside China too.

    sum_r sourced_mwh[g,p,q,refining,part,r] - sum_n sourced_mwh[g,p,q,cathode,part made or hosted,n]
        <= sum_{o in g} (1 - china_share[o,cathode]) usable_mwh[o] containers[o,p]
    """
    offers = c.problem.offers
    m.lithium_is_used = pyo.Constraint(pyo.Any)
    rows: dict[tuple[int, int, str], list[Term]] = {}
    lithium = {(x.pool, x.period, x.state) for x in c.network.choices if x.layer == LITHIUM}
    for less, x in zip(c.network.made_less, c.network.choices, strict=True):
        key = (x.pool, x.period, x.state)
        if key in lithium and x.layer in (LITHIUM, POWDER):
            rows.setdefault(key, []).append((1.0 if x.layer == LITHIUM else -less, m.sourced_mwh[x.key]))
    for (k, p, q), terms in rows.items():
        per = {
            o: -(1.0 - china_made_frac(offers[o], POWDER)) * offers[o].energy_usable_ac_mwh
            for o in c.network.pools[k].offers
        }
        m.lithium_is_used[k, c.problem.periods[p].label, q] = linear([*terms, *_bought(m, c, k, p, q, per)]) <= 0


@family("")
def proven_content(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """What a ban allows only against proof is proved: its named layers hold little that is made in China.

    sum_{layers} weight[layer] (share[o,layer] usable_mwh[o] containers[o,p] - sum sourced_mwh[o,p,layer])
        <= proof_frac[ban] sum_{layers} weight[layer] usable_mwh[o] containers[o,p]
    """
    offers = c.problem.offers
    weights: dict[tuple[str, str], float] = {
        (r.chemistry, r.layer): r.weight_frac for r in c.problem.tables.layer_weights
    }
    m.proven_content = pyo.Constraint(pyo.Any)
    for ban, k, p in c.network.proofs():
        pool = c.network.pools[k]
        weight = {n: weights.get((pool.chemistry, n), 0.0) for n in names_of(ban.proof_layers)}
        whole = sum(weight.values())
        per = {}
        for o in pool.offers:
            made = sum(w * offers[o].layers[n].production_frac for n, w in weight.items() if n in offers[o].layers)
            per[o] = (made / whole - ban.proof_frac) * offers[o].energy_usable_ac_mwh
        cleaned = [
            (-weight[x.layer] / whole * less, m.sourced_mwh[x.key])
            for less, x in zip(c.network.made_less, c.network.choices, strict=True)
            if x.pool == k and x.period == p and x.layer in weight
        ]
        m.proven_content[ban.ban, k, c.problem.periods[p].label] = (
            linear([*cleaned, *_bought(m, c, k, p, "", per)]) <= 0
        )


#: Every constraint family of the sourcing network, in the order of the formulation page.
FAMILIES = (replaced_share, node_output, ore_is_refined, lithium_is_used, proven_content)
