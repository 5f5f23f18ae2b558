"""What is held back for outages, what is used every day, and what the operating years cost at least."""

from __future__ import annotations

from collections.abc import Iterator

import pyomo.environ as pyo

from planner.finance import counted_usd, discount, stream, with_tax
from planner.model.coefficients import Coefficients
from planner.model.duties import duty_parts, running_parts
from planner.model.row import family, linear
from planner.units import KW_PER_MW, USD_PER_MUSD

#: No year costs or earns more than this, in million USD: keeps the first relaxation bounded.
_MOST_MUSD = 1e5


def declare(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """Variables of the operating years; none where ``operations`` is off."""
    operating = c.problem.case.operating
    if operating is None:
        return

    m.duties = pyo.Set(initialize=[duty for _, _, duty in duty_parts(c)], dimen=3)
    m.cycled = pyo.Var(m.duties, domain=pyo.NonNegativeReals)
    m.running_parts = pyo.Set(initialize=[part for *_, part in running_parts(c)], dimen=5)
    m.running = pyo.Var(m.running_parts, domain=pyo.NonNegativeReals)
    m.operating_musd = pyo.Var(m.periods, bounds=(-_MOST_MUSD, _MOST_MUSD))
    most = {name: r.mw_max for name, r in operating.renewables.items()}
    m.added_mw = pyo.Var(list(most), bounds=lambda _, name: (0, most[name]))


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
def cycled_within(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """Only containers that are there can be meant for daily use, each with one reserve setting for good.

    sum_j cycled[o,p,j] <= containers[o,p]
    """
    operating = c.problem.case.operating
    if operating is None:
        return
    settings = range(len(operating.reserve_settings))
    offers, periods = c.problem.offers, c.problem.periods
    stored = [(offers[o].offer, periods[p].label) for o, p in c.pairs if offers[o].is_storage]
    m.cycled_within = pyo.Constraint(
        stored,
        rule=lambda m, o, p: linear([(1.0, m.containers[o, p]), *((-1.0, m.cycled[o, p, j]) for j in settings)]) >= 0,
    )


@family("")
def running_within(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """In every season containers in daily use run at their setting, or rest and keep all of their energy.

    running[o,p',p,s,j] <= cycled[o,p',j]
    """
    if c.problem.case.operating is None:
        return
    m.running_within = pyo.Constraint(
        m.running_parts,
        rule=lambda m, o, d, p, s, j: linear([(1.0, m.cycled[o, d, j]), (-1.0, m.running[o, d, p, s, j])]) >= 0,
    )
