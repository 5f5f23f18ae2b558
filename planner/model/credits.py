"""Tax credits by construction phase, with both cliffs, in hull form."""

from __future__ import annotations

import pyomo.environ as pyo

from planner import policy
from planner.model import sourcing
from planner.model.coefficients import Coefficients
from planner.model.row import family, linear
from planner.problem import FloatArray


def declare(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """One state per construction phase that has deliveries; pools need none."""
    names = [] if _pooled(c) else [c.problem.case.policy.phases[h].phase for h in _phases(c)]
    m.phase_states = pyo.Set(initialize=[(h, q) for h in names for q in policy.STATES], dimen=2)
    m.state = pyo.Var(m.phase_states, domain=pyo.Binary)


def _pooled(c: Coefficients) -> bool:
    """Whether each pool of containers meets the ratios by itself, so that a phase has no one state."""
    return c.problem.case.credits.unit == "pools"


def _phases(c: Coefficients) -> list[int]:
    return sorted({h for o, p in c.pairs if c.problem.offers[o].is_storage and (h := c.phase[p]) is not None})


def _parts(m: pyo.ConcreteModel, c: Coefficients, h: int, state: str) -> list[tuple[int, object]]:
    """(pair's offer index, variable) of the storage delivered in a phase in one state."""
    offers, periods = c.problem.offers, c.problem.periods
    return [
        (o, m.in_state[offers[o].offer, periods[p].label, offers[o].tiers[t].tier, state])
        for o, p in c.pairs
        if c.phase[p] == h and offers[o].is_storage
        if state in c.states(o, p)
        for t in c.reachable_tiers(o)
    ]


@family("")
def one_state(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """Every construction phase has one credit state.

    sum_q state[h,q] = 1
    """
    names = sorted({h for h, _ in m.phase_states})
    m.one_state = pyo.Constraint(names, rule=lambda m, h: sum(m.state[h, q] for q in policy.STATES) == 1)


@family("")
def only_in_state(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """Containers carry the state of their phase.

    sum_t in_state[o,p,t,q] <= max_containers[o,p] state[h(p),q]
    """
    offers, periods = c.problem.offers, c.problem.periods
    m.only_in_state = pyo.Constraint(pyo.Any)
    for (o, p), most in zip(c.pairs, c.largest_delivery, strict=True):
        h = c.phase[p]
        if h is None or not offers[o].is_storage or _pooled(c):
            continue
        phase = c.problem.case.policy.phases[h].phase
        for q in c.states(o, p):
            parts = [
                (1.0, m.in_state[offers[o].offer, periods[p].label, offers[o].tiers[t].tier, q])
                for t in c.reachable_tiers(o)
            ]
            key = (offers[o].offer, periods[p].label, q)
            m.only_in_state[key] = linear([*parts, (-float(most), m.state[phase, q])]) <= 0


def _ratio(m: pyo.ConcreteModel, c: Coefficients, h: int, state: str, excess: FloatArray) -> object:
    return linear((excess[o] * c.nameplate_mwh[o], v) for o, v in _parts(m, c, h, state)) >= 0


def _traced(m: pyo.ConcreteModel, c: Coefficients, h: int, state: str) -> list[tuple[float, object]]:
    """What chosen sources add to the material assistance of a phase in one state, in nameplate MWh."""
    network = c.network
    inside = [x.state == state and c.phase[x.period] == h for x in network.choices]
    return sourcing.terms_of(m, c, network.assistance_mwh * inside)


@family("")
def material_assistance(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """A credit needs the material-assistance ratio (26 USC 7701(a)(52)), weighted by nameplate MWh.

    sum_{o,p in h,t} (macr[o] - macr_threshold[h]) nameplate_mwh[o] in_state[o,p,t,q]
        + sum assistance[g,layer,n] sourced_mwh[g,p,q,layer,part,n] >= 0   for q in base, bonus

    The second sum only where the materials of the cells are traced.
    """
    m.material_assistance = pyo.Constraint(pyo.Any)
    for h in _phases(c):
        phase = c.problem.case.policy.phases[h]
        threshold = policy.macr_threshold(c.problem, phase)
        if threshold is None:
            continue
        for q in ("base", "bonus"):
            bought = [((c.macr[o] - threshold) * c.nameplate_mwh[o], v) for o, v in _parts(m, c, h, q)]
            m.material_assistance[phase.phase, q] = linear([*bought, *_traced(m, c, h, q)]) >= 0


@family("")
def domestic_bonus(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """The bonus needs domestic content (IRS Notice 2025-08); elective pay needs it for any credit.

    sum_{o,p in h,t} (domestic[o] - domestic_threshold[h]) nameplate_mwh[o] in_state[o,p,t,q] >= 0   for q = bonus
    """
    m.domestic_bonus = pyo.Constraint(pyo.Any)
    elective = c.problem.case.policy.monetisation == "elective_pay"
    for h in _phases(c):
        phase = c.problem.case.policy.phases[h]
        needed = elective and policy.elective_kept(c.problem, phase) == 0
        for q in ("base", "bonus") if needed else ("bonus",):
            excess = c.domestic - policy.domestic_threshold(c.problem, phase)
            m.domestic_bonus[phase.phase, q] = _ratio(m, c, h, q, excess)


@family("domestic_floor")
def domestic_floor(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """Domestic content of all storage bought stays above the buyer's floor.

    sum_{o,p} (domestic[o] - floor) nameplate_mwh[o] containers[o,p] >= 0
    """
    floor = c.problem.case.policy.domestic_floor_frac
    offers, periods = c.problem.offers, c.problem.periods
    if floor > 0:
        terms = [
            ((c.domestic[o] - floor) * c.nameplate_mwh[o], m.containers[offers[o].offer, periods[p].label])
            for o, p in c.pairs
            if offers[o].is_storage
        ]
        m.domestic_floor = pyo.Constraint(expr=linear(terms) >= 0)
