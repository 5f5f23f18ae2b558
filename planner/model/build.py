"""The whole model: the blocks meet here, and only here."""

from __future__ import annotations

import gc
from collections.abc import Iterable
from typing import Literal

import pyomo.environ as pyo

from planner.finance import counted_usd, discount, stream, with_tax
from planner.model import (
    credits,
    exposure,
    governance,
    operations,
    purchase,
    reliability,
    site,
    sourcing,
    suppliers,
    supply,
)
from planner.model.coefficients import Coefficients
from planner.model.reliability import RowKey
from planner.model.row import RULES, RowFamily, linear
from planner.problem import Problem
from planner.units import USD_PER_MUSD

#: Every constraint family, in the order of the formulation page.
FAMILIES: tuple[RowFamily, ...] = (
    purchase.split_by_state,
    purchase.committed,
    purchase.one_tier,
    purchase.only_in_tier,
    purchase.award_volume,
    purchase.qualified_supplier,
    supply.factory_output,
    supply.generator_permit,
    supply.contracted_load,
    supply.energisable,
    supply.load_stays_on,
    credits.one_state,
    credits.only_in_state,
    credits.material_assistance,
    credits.domestic_bonus,
    credits.domestic_floor,
    reliability.load_on,
    reliability.on_for_good,
    reliability.lost_while_on,
    reliability.largest_group,
    reliability.outage,
    reliability.storage_mandate,
    operations.cycled_within,
    operations.running_within,
    operations.standing,
    *site.FAMILIES,
    exposure.exposure_limit,
    governance.largest_share,
    suppliers.enough_suppliers,
    suppliers.counted_supplier,
    *sourcing.FAMILIES,
)


def build_model(problem: Problem, rows: Literal["all", "seed"] = "all") -> pyo.ConcreteModel:
    """Pyomo model of a planning question, for those who want to add a constraint of their own.

    Parameters
    ----------
    problem
        From ``planner.load_case``.
    rows
        ``all`` writes every outage row, so that any solver gives a right plan; ``seed`` writes
        only a few and is right only with lazy separation, as ``planner.plan`` does it.

    Returns
    -------
    pyomo.environ.ConcreteModel
        Minimise ``cost_musd``. Containers, tiers, states, options and presences are integer;
        placements are continuous.

    Notes
    -----
    At full scale ``all`` means some 100,000 dense rows and several gigabytes: use
    ``planner.plan`` for plans, and this for experiments on smaller cases.
    """
    coefficients = Coefficients(problem)
    chosen = reliability.all_rows(coefficients) if rows == "all" else reliability.seed_rows(coefficients)
    return assemble(coefficients, chosen)


def assemble(
    c: Coefficients, outage_rows: Iterable[RowKey], rules: frozenset[str] = frozenset(RULES)
) -> pyo.ConcreteModel:
    """Model of prepared coefficients with the given outage rows, and only the given business rules."""
    collecting = gc.isenabled()
    gc.disable()  # a model is one big live graph: scanning it while it grows doubles the time
    try:
        m = pyo.ConcreteModel(name=c.problem.case.case)
        m.outage_rows = list(dict.fromkeys(outage_rows))
        for block in (purchase, supply, credits, suppliers, reliability, operations, site, sourcing):
            block.declare(m, c)
        for member in FAMILIES:
            if not member.rule or member.rule in rules:
                member.add(m, c)
        m.cost_musd = pyo.Objective(expr=cost_musd(m, c), sense=pyo.minimize)
    finally:
        if collecting:
            gc.enable()
    return m


def cost_musd(m: pyo.ConcreteModel, c: Coefficients) -> object:
    """Net present cost in million USD.

    sum_{o,p,t,q} unit_cost[o,p,t,q] in_state[o,p,t,q] + sum_s qualification[s] award[s]
        + sum_{z,j} barrier[z,j] zone_option[z,j] + sum_p delay[p] (target_mw[p] - served_mw[p])
        + sum_p years[p] operating_musd[p] + sum_r renewable[r] added_mw[r]    (with operations)
        + sum_{g,p,q,layer,part,n} premium[g,p,layer,n] sourced_mwh[g,p,q,layer,part,n]
    """
    problem = c.problem
    offers, periods = problem.offers, problem.periods
    terms: list[tuple[float, object]] = [
        (cost, m.in_state[offers[o].offer, periods[p].label, offers[o].tiers[t].tier, q])
        for (o, p, t, q), cost in c.unit_cost_musd.items()
    ]
    fees = {s.supplier: s.qualification_usd / USD_PER_MUSD for s in problem.tables.suppliers}
    terms += [(fees[s], m.award[s]) for s in m.suppliers]
    first = discount(problem, periods[0].start)
    for zone, options in zip(problem.case.site.zones, c.zone_options, strict=True):
        terms += [(j.cost_usd * first / USD_PER_MUSD, m.zone_option[zone.zone, j.label]) for j in options]
    terms += sourcing.terms_of(m, c, c.network.cost_musd_per_mwh)
    constant = 0.0
    for period in periods:
        late_usd = problem.case.load.delay_usd_per_mw_yr * stream(problem, period.start, period.end)
        per_mw = counted_usd(problem, with_tax(problem, {"delay": late_usd})) / USD_PER_MUSD
        terms.append((-per_mw, m.served_mw[period.label]))
        constant += per_mw * period.target_mw
    terms += operations.cost_terms(m, c)
    return linear(terms, constant)
