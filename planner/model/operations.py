"""What is held back for outages, what is used every day, and what the operating years cost at least."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyomo.environ as pyo

from planner.finance import counted_usd, discount, stream, with_tax
from planner.model.coefficients import Coefficients
from planner.model.row import family, linear
from planner.units import KW_PER_MW, USD_PER_MUSD

_SCALE = 1e-3
#: No year costs or earns more than this, in million USD: keeps the first relaxation bounded.
_MOST_MUSD = 1e5


def declare(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """Variables of the operating years; none where ``operations`` is off."""
    operating = c.problem.case.operating
    if operating is None:
        return
    offers, periods = c.problem.offers, c.problem.periods
    m.held_parts = pyo.Set(initialize=[(o, p, s) for _, _, o, p, s in held_parts(c)], dimen=3)
    m.held_mwh = pyo.Var(m.held_parts, domain=pyo.NonNegativeReals)
    m.brought_parts = pyo.Set(
        initialize=[(o, p, s, k) for _, _, o, p, s in held_parts(c) for k in range(len(c.edges))], dimen=4
    )
    m.brought_mwh = pyo.Var(m.brought_parts, domain=pyo.NonNegativeReals)
    m.standing_parts = pyo.Set(initialize=[(offer, label) for _, _, offer, label in standing_parts(c)], dimen=2)
    m.standing_mw = pyo.Var(m.standing_parts, domain=pyo.NonNegativeReals)
    m.standing_mwh = pyo.Var(m.standing_parts, domain=pyo.NonNegativeReals)
    m.daily_mwh = pyo.Var(m.standing_parts, domain=pyo.NonNegativeReals)
    stored = [(offers[o].offer, periods[p].label) for o, p in c.pairs if offers[o].is_storage]
    m.stored_deliveries = pyo.Set(initialize=stored, dimen=2)
    m.cycled = pyo.Var(m.stored_deliveries, domain=pyo.NonNegativeReals)
    m.operating_musd = pyo.Var(m.periods, bounds=(-_MOST_MUSD, _MOST_MUSD))
    most = {name: r.mw_max for name, r in operating.renewables.items()}
    m.added_mw = pyo.Var(list(most), bounds=lambda _, name: (0, most[name]))


def standing_parts(c: Coefficients) -> Iterator[tuple[int, int, str, str]]:
    """(offer index, period index, offer, period) wherever storage may stand."""
    offers, periods = c.problem.offers, c.problem.periods
    for o in c.offers_used:
        if not offers[o].is_storage:
            continue
        stands = c.alive[c.pair_offer == o].any(axis=0)
        for p, period in enumerate(periods):
            if stands[p]:
                yield o, p, offers[o].offer, period.label


def held_parts(c: Coefficients) -> Iterator[tuple[int, int, str, str, int]]:
    """``standing_parts`` with each season of the reserve."""
    operating = c.problem.case.operating
    assert operating is not None
    for part in standing_parts(c):
        for s in range(len(operating.seasons)):
            yield (*part, s)


def cost_terms(m: pyo.ConcreteModel, c: Coefficients) -> Iterator[tuple[float, object]]:
    """Operating years and added renewables in the objective."""
    problem = c.problem
    operating = problem.case.operating
    if operating is None:
        return
    for period in problem.periods:
        years = stream(problem, period.start, period.end)
        yield counted_usd(problem, with_tax(problem, {"energy": years})), m.operating_musd[period.label]
    for name, r in operating.renewables.items():
        upkeep = r.om_usd_per_kw_yr * stream(problem, max(r.since, problem.case.timeline.decision), problem.horizon)
        usd = KW_PER_MW * (r.capex_usd_per_kw * discount(problem, r.since) + upkeep)
        yield counted_usd(problem, with_tax(problem, {"renewables": usd})) / USD_PER_MUSD, m.added_mw[name]


@family("")
def standing(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """What stands of an offer: its power, its energy worn as it is, and the energy of its containers in daily use.

    standing_mw[o,p] = sum_{p' alive in p} P[o] containers[o,p']
    standing_mwh[o,p] = sum_{p' alive in p} E[o] soh[o,p'->p] (containers - cycled)[o,p'] + worn[o,p'->p] cycled[o,p']
    daily_mwh[o,p] = sum_{p' alive in p} worn[o,p'->p] cycled[o,p']
    """
    if c.problem.case.operating is None:
        return
    periods = c.problem.periods
    m.standing = pyo.Constraint(pyo.Any)
    for o, p, offer, label in standing_parts(c):
        power = [(-_SCALE, m.standing_mw[offer, label])]
        energy = [(-_SCALE, m.standing_mwh[offer, label])]
        daily = [(-_SCALE, m.daily_mwh[offer, label])]
        for i in _standing(c, o, p):
            delivery = (offer, periods[c.pairs[i][1]].label)
            power.append((_SCALE * c.power_mw[o], m.containers[delivery]))
            energy.append((_SCALE * c.faded_mwh[i, p], m.containers[delivery]))
            energy.append((_SCALE * (c.worn_mwh[i, p] - c.faded_mwh[i, p]), m.cycled[delivery]))
            daily.append((_SCALE * c.worn_mwh[i, p], m.cycled[delivery]))
        for name, terms in (("power", power), ("energy", energy), ("daily", daily)):
            m.standing[offer, label, name] = linear(terms) == 0


@family("")
def held_within(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """No more is held back for outages than the fleet of an offer can hold, worn as it is.

    held_mwh[o,p,s] <= standing_mwh[o,p]
    """
    if c.problem.case.operating is None:
        return
    m.held_within = pyo.Constraint(
        m.held_parts,
        rule=lambda m, o, p, s: linear([(_SCALE, m.standing_mwh[o, p]), (-_SCALE, m.held_mwh[o, p, s])]) >= 0,
    )


def _standing(c: Coefficients, o: int, p: int) -> list[int]:
    """Pairs of an offer that stand in a period."""
    return [int(i) for i in np.flatnonzero((c.pair_offer == o) & c.alive[:, p])]


@family("")
def brought_held(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """At the edges of the service profile an outage brings out no more than is held back.

    brought_mwh[o,p,s,k] <= held_mwh[o,p,s]
    """
    if c.problem.case.operating is None:
        return
    m.brought_held = pyo.Constraint(
        m.brought_parts,
        rule=lambda m, o, p, s, k: linear([(_SCALE, m.held_mwh[o, p, s]), (-_SCALE, m.brought_mwh[o, p, s, k])]) >= 0,
    )


@family("")
def brought_by_power(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """At the edges of the service profile an outage brings out no more than power and energy allow.

    brought_mwh[o,p,s,k] <= sum_{p' alive in p} min(P[o] h, E[o] soh[o,p'->p]) (containers - cycled)[o,p'] + worn ones

    Outage rows elsewhere take for each offer the smaller of the two, whichever a solution makes it.
    """
    if c.problem.case.operating is None:
        return
    periods = c.problem.periods
    m.brought_by_power = pyo.Constraint(pyo.Any)
    by_count = {
        (p, k): (c.delivered_mwh(p, k), c.delivered_mwh(p, k, worn=True)) for p in range(len(periods)) for k in c.edges
    }
    for o, p, offer, label, s in held_parts(c):
        up = c.availability[o]
        for e, k in enumerate(c.edges):
            fresh, worn = by_count[p, k]
            terms = [(-_SCALE, m.brought_mwh[offer, label, s, e])]
            for i in _standing(c, o, p):
                delivery = (offer, periods[c.pairs[i][1]].label)
                terms.append((_SCALE * fresh[i] / up, m.containers[delivery]))
                terms.append((_SCALE * (worn[i] - fresh[i]) / up, m.cycled[delivery]))
            m.brought_by_power[offer, label, s, e] = linear(terms) >= 0


@family("")
def cycled_within(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """Only containers that are there can be used every day.

    cycled[o,p] <= containers[o,p]
    """
    if c.problem.case.operating is None:
        return
    m.cycled_within = pyo.Constraint(
        m.stored_deliveries, rule=lambda m, o, p: linear([(1.0, m.containers[o, p]), (-1.0, m.cycled[o, p])]) >= 0
    )
