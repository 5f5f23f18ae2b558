"""How many suppliers the storage comes from."""

from __future__ import annotations

import pyomo.environ as pyo

from planner.model.coefficients import Coefficients
from planner.model.row import family, linear


def declare(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """Whether a supplier of storage counts as one; no variables where no number is asked for."""
    offers = c.problem.offers
    asked = c.problem.case.governance.min_suppliers > 0
    names = sorted({offers[o].supplier for o in c.offers_used if offers[o].is_storage}) if asked else []
    m.counted_suppliers = pyo.Set(initialize=names)
    m.counted = pyo.Var(m.counted_suppliers, domain=pyo.Binary)
    if asked and not names:
        m.nobody = pyo.Var(bounds=(0, 0))


@family("min_suppliers")
def enough_suppliers(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """Storage comes from at least so many suppliers.

    sum_s counted[s] >= min_suppliers
    """
    least = c.problem.case.governance.min_suppliers
    m.enough_suppliers = pyo.Constraint(pyo.Any)
    if least > 0:
        terms = [(1.0, m.counted[s]) for s in m.counted_suppliers]
        m.enough_suppliers["all"] = linear(terms or [(1.0, m.nobody)]) >= least


@family("min_suppliers")
def counted_supplier(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """A supplier counts from one container on, or from a volume where the case asks for one.

    sum_{o of s,p} usable_mwh[o] containers[o,p] >= max(min_supplier_mwh, smallest usable_mwh of s) counted[s]
    """
    offers, periods = c.problem.offers, c.problem.periods
    volume = c.problem.case.governance.min_supplier_mwh
    m.counted_supplier = pyo.Constraint(pyo.Any)
    for s in m.counted_suppliers:
        mine = [(o, p) for o, p in c.pairs if offers[o].supplier == s and offers[o].is_storage]
        least = max(volume, min(offers[o].energy_usable_ac_mwh for o, _ in mine))
        terms = [
            (offers[o].energy_usable_ac_mwh / least, m.containers[offers[o].offer, periods[p].label]) for o, p in mine
        ]
        m.counted_supplier[s] = linear([*terms, (-1.0, m.counted[s])]) >= 0
