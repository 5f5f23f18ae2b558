"""What is bought: whole containers, price tiers, minimum orders, suppliers."""

from __future__ import annotations

import pyomo.environ as pyo

from planner.model.coefficients import Coefficients
from planner.model.row import family, linear


def declare(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """Variables of the purchase block, with readable indices."""
    offers, periods = c.problem.offers, c.problem.periods
    m.deliveries = pyo.Set(initialize=[(offers[o].offer, periods[p].label) for o, p in c.pairs], dimen=2)
    bound = {(offers[o].offer, periods[p].label): int(n) for (o, p), n in zip(c.pairs, c.largest_delivery, strict=True)}
    m.containers = pyo.Var(m.deliveries, domain=pyo.NonNegativeIntegers, bounds=lambda _, o, p: (0, bound[o, p]))
    m.award_tiers = pyo.Set(
        initialize=[(offers[o].offer, offers[o].tiers[t].tier) for o in c.offers_used for t in c.reachable_tiers(o)],
        dimen=2,
    )
    m.tier = pyo.Var(m.award_tiers, domain=pyo.Binary)
    parts = [
        (offers[o].offer, periods[p].label, offers[o].tiers[t].tier, q)
        for o, p in c.pairs
        for t in c.reachable_tiers(o)
        for q in c.states(o, p)
    ]
    m.award_parts = pyo.Set(initialize=parts, dimen=4)
    m.in_state = pyo.Var(m.award_parts, domain=pyo.NonNegativeReals)
    m.suppliers = pyo.Set(initialize=sorted({offers[o].supplier for o in c.offers_used}))
    m.award = pyo.Var(m.suppliers, bounds=(0, 1))
    m.used = pyo.Expression(
        [offers[o].offer for o in c.offers_used],
        rule=lambda m, name: sum(m.tier[name, t] for n, t in m.award_tiers if n == name),
    )


def _tiers_of(c: Coefficients, o: int) -> list[str]:
    return [c.problem.offers[o].tiers[t].tier for t in c.reachable_tiers(o)]


@family("")
def split_by_state(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """Containers are split by price tier and credit state.

    sum_{t,q} in_state[o,p,t,q] = containers[o,p]
    """
    offers, periods = c.problem.offers, c.problem.periods

    def rule(m: pyo.ConcreteModel, name: str, label: str) -> object:
        o, p = index[name, label]
        parts = [(1.0, m.in_state[name, label, t, q]) for t in _tiers_of(c, o) for q in c.states(o, p)]
        return linear([*parts, (-1.0, m.containers[name, label])]) == 0

    index = {(offers[o].offer, periods[p].label): (o, p) for o, p in c.pairs}
    m.split_by_state = pyo.Constraint(m.deliveries, rule=rule)


@family("committed")
def committed(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """What is signed is taken; nothing else can be ordered for the same dates.

    containers[o,p] >= committed[o,p]
    """
    offers, periods = c.problem.offers, c.problem.periods
    m.committed = pyo.Constraint(pyo.Any)
    for i, pair in enumerate(c.pairs):
        if c.committed.get(pair, 0) > 0:
            name, label = offers[pair[0]].offer, periods[pair[1]].label
            # the largest delivery may be less: the yard has shrunk, or the permit
            least = min(c.committed[pair], int(c.largest_delivery[i]))
            m.committed[name, label] = linear([(1.0, m.containers[name, label])]) >= least


@family("")
def one_tier(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """An offer is bought in at most one price tier.

    used[o] = sum_t tier[o,t] <= 1
    """
    names = [c.problem.offers[o].offer for o in c.offers_used]
    m.one_tier = pyo.Constraint(names, rule=lambda m, name: m.used[name] <= 1)


@family("")
def only_in_tier(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """Containers are priced only in the tier that the award is in.

    sum_q in_state[o,p,t,q] <= max_containers[o,p] tier[o,t]
    """
    offers, periods = c.problem.offers, c.problem.periods
    m.only_in_tier = pyo.Constraint(pyo.Any)
    for (o, p), most in zip(c.pairs, c.largest_delivery, strict=True):
        name, label = offers[o].offer, periods[p].label
        for t in _tiers_of(c, o):
            parts = [(1.0, m.in_state[name, label, t, q]) for q in c.states(o, p)]
            m.only_in_tier[name, label, t] = linear([*parts, (-float(most), m.tier[name, t])]) <= 0


@family("")
def award_volume(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """The award reaches the volume of its tier, and the minimum order.

    sum_{p,q} nameplate_mwh[o] in_state[o,p,t,q] >= max(from_mwh[o,t], min_order_mwh[o]) tier[o,t]
    """
    offers, periods = c.problem.offers, c.problem.periods
    m.award_volume = pyo.Constraint(pyo.Any)
    for o in c.offers_used:
        offer = offers[o]
        for t in c.reachable_tiers(o):
            least = max(offer.tiers[t].from_mwh, offer.min_order_mwh, offer.energy_nameplate_dc_mwh)
            parts = [
                (
                    offer.energy_nameplate_dc_mwh / least,
                    m.in_state[offer.offer, periods[p].label, offer.tiers[t].tier, q],
                )
                for o2, p in c.pairs
                if o2 == o
                for q in c.states(o, p)
            ]
            m.award_volume[offer.offer, offer.tiers[t].tier] = (
                linear([*parts, (-1.0, m.tier[offer.offer, offer.tiers[t].tier])]) >= 0
            )


@family("")
def qualified_supplier(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """An offer is bought only from a qualified supplier.

    used[o] <= award[s(o)]
    """
    supplier = {c.problem.offers[o].offer: c.problem.offers[o].supplier for o in c.offers_used}
    m.qualified_supplier = pyo.Constraint(list(supplier), rule=lambda m, name: m.used[name] <= m.award[supplier[name]])
