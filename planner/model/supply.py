"""What factories and the site let in: output, generators, energised load."""

from __future__ import annotations

import pyomo.environ as pyo

from planner import supply
from planner.model.coefficients import Coefficients
from planner.model.row import family, linear


def declare(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """Served load per period, in MW."""
    periods = {p.label: p for p in c.problem.periods}
    m.periods = pyo.Set(initialize=list(periods), ordered=True)
    m.served_mw = pyo.Var(m.periods, bounds=lambda _, label: (0, periods[label].target_mw))


@family("supply")
def factory_output(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """Cell factories and assembly plants deliver at most what this buyer can obtain.

    sum_{o from f} nameplate_mwh[o] / (1 - delivery_risk[o]) containers[o,p] <= obtainable_mwh[f,p]
    """
    problem = c.problem
    m.factory_output = pyo.Constraint(pyo.Any)
    by_factory: dict[tuple[str, int], list[tuple[int, int]]] = {}
    for o, p in c.pairs:
        for f in dict.fromkeys((problem.offers[o].cell_factory, problem.offers[o].assembly_plant)):
            by_factory.setdefault((f, p), []).append((o, p))
    for (f, p), pairs in by_factory.items():
        label = problem.periods[p].label
        booked = [
            (supply.booked_mwh(problem.offers[o]), m.containers[problem.offers[o].offer, label]) for o, _ in pairs
        ]
        m.factory_output[f, label] = linear(booked) <= c.factory_limit(f, p)


@family("generator_permit")
def generator_permit(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """Generators on site stay within the air permit.

    sum_{o generator, p' alive in p} power_mw[o] containers[o,p'] <= generator_mw_max
    """
    problem = c.problem
    m.generator_permit = pyo.Constraint(pyo.Any)
    for p, period in enumerate(problem.periods):
        terms = [
            (problem.offers[o].power_mw, m.containers[problem.offers[o].offer, problem.periods[q].label])
            for i, (o, q) in enumerate(c.pairs)
            if problem.offers[o].kind == "generator" and c.alive[i, p]
        ]
        if terms:
            m.generator_permit[period.label] = linear(terms) <= problem.case.site.generator_mw_max


@family("contracted_load")
def contracted_load(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """Contracted load is energised.

    served_mw[p] >= floor_mw[p]
    """
    floors = {p.label: p.floor_mw for p in c.problem.periods if p.floor_mw > 0}
    m.contracted_load = pyo.Constraint(list(floors), rule=lambda m, label: m.served_mw[label] >= floors[label])


@family("energisation")
def energisable(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """Grid, transformers and permits cap the load that may be switched on.

    served_mw[p] <= energisable_mw[p] energised[p]    (energised[p] = 1 where load is always on)
    """
    caps = {p.label: p.energisable_mw for p in c.problem.periods if p.energisable_mw < p.target_mw}

    def rule(m: pyo.ConcreteModel, label: str) -> object:
        return m.served_mw[label] <= caps[label] * (m.energised[label] if label in m.may_idle else 1.0)

    m.energisable = pyo.Constraint(list(caps), rule=rule)


@family("")
def load_stays_on(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """Load once energised stays energised.

    served_mw[p] >= served_mw[p-1]
    """
    labels = [p.label for p in c.problem.periods]
    before = dict(zip(labels[1:], labels, strict=False))
    m.load_stays_on = pyo.Constraint(
        labels[1:], rule=lambda m, label: m.served_mw[label] - m.served_mw[before[label]] >= 0
    )
