"""What is held back for outages, what is used every day, and what the operating years cost at least."""

from __future__ import annotations

from collections.abc import Iterator

import pyomo.environ as pyo

from planner.finance import counted_usd, discount, stream, with_tax
from planner.model.coefficients import Coefficients
from planner.model.duties import duty_parts, running_parts, standing_parts
from planner.model.row import family, linear
from planner.units import KW_PER_MW, USD_PER_MUSD

#: No year costs or earns more than this, in million USD: keeps the first relaxation bounded.
_MOST_MUSD = 1e5
_SCALE = 1e-3


def declare(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """Variables of the operating years; none where ``operations`` is off."""
    operating = c.problem.case.operating
    if operating is None:
        return
    m.duties = pyo.Set(initialize=[duty for _, _, duty in duty_parts(c)], dimen=3)
    m.cycled = pyo.Var(m.duties, domain=pyo.NonNegativeReals)
    m.running_parts = pyo.Set(initialize=[part for *_, part in running_parts(c)], dimen=5)
    m.running = pyo.Var(m.running_parts, domain=pyo.NonNegativeReals)
    standing = [part for *_, part in standing_parts(c)]
    seasons, settings = range(len(operating.seasons)), range(len(operating.reserve_settings))
    m.standing_mw = pyo.Var(standing, domain=pyo.NonNegativeReals)
    m.held_mwh = pyo.Var([(*part, s) for part in standing for s in seasons], domain=pyo.NonNegativeReals)
    run = [(*part, s, j) for part in standing for s in seasons for j in settings]
    m.run_mw = pyo.Var(run, domain=pyo.NonNegativeReals)
    m.run_mwh = pyo.Var(run, domain=pyo.NonNegativeReals)
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


@family("")
def standing(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """Sums over the deliveries of an offer: its power, what runs at each setting, what is left for outages.

    standing_mw[o,p] = sum_{p' alive in p} P[o] containers[o,p']
    run_mw[o,p,s,j] = sum_{p'} P[o] running[o,p',p,s,j];  run_mwh[o,p,s,j] = sum_{p'} E[o,p',p,j] running[o,p',p,s,j]
    held_mwh[o,p,s] = sum_{p'} (E[o,p',p] containers[o,p'] + sum_j (E[o,p',p,j] - E[o,p',p]) cycled[o,p',j])
        - sum_j (1 - reserve_j) run_mwh[o,p,s,j]

    E[o,p',p] is the energy of a container that stands by, E[o,p',p,j] of one worn by its setting.
    """
    operating = c.problem.case.operating
    if operating is None:
        return
    m.standing = pyo.Constraint(pyo.Any)
    periods, settings = c.problem.periods, range(len(operating.reserve_settings))
    for o, p, mine, (offer, label) in standing_parts(c):
        at = [(i, periods[c.pairs[i][1]].label) for i in mine]
        power = [(_SCALE * c.power_mw[o], m.containers[offer, d]) for _, d in at]
        m.standing[offer, label, "power"] = linear([*power, (-_SCALE, m.standing_mw[offer, label])]) == 0
        energy = [(_SCALE * c.faded_mwh[i, p], m.containers[offer, d]) for i, d in at]
        for j in settings:
            energy += [(_SCALE * (c.duty_mwh[i, p, j] - c.faded_mwh[i, p]), m.cycled[offer, d, j]) for i, d in at]
        for s in range(len(operating.seasons)):
            held = [*energy, (-_SCALE, m.held_mwh[offer, label, s])]
            for j, swing in enumerate(c.swing_frac):
                runs = [(i, m.running[offer, d, label, s, j]) for i, d in at]
                mw = [*((_SCALE * c.power_mw[o], v) for _, v in runs), (-_SCALE, m.run_mw[offer, label, s, j])]
                mwh = [*((_SCALE * c.duty_mwh[i, p, j], v) for i, v in runs), (-_SCALE, m.run_mwh[offer, label, s, j])]
                m.standing[offer, label, s, j, "power"] = linear(mw) == 0
                m.standing[offer, label, s, j, "energy"] = linear(mwh) == 0
                held.append((-_SCALE * swing, m.run_mwh[offer, label, s, j]))
            m.standing[offer, label, s, "held"] = linear(held) == 0
