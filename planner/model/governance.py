"""How far the buyer may lean on one name: largest share of the storage bought, by supplier, country and so on."""

from __future__ import annotations

from collections.abc import Iterator

import pyomo.environ as pyo

from planner.model.coefficients import Coefficients
from planner.model.row import family, linear

#: Key of ``governance.max_share`` -> the field of an offer that names the group.
GROUPED_BY = {
    "supplier": "supplier", "country": "cell_country", "chemistry": "chemistry", "cell_factory": "cell_factory",
}  # fmt: skip


def limited_groups(c: Coefficients) -> Iterator[tuple[str, str, float, frozenset[int]]]:
    """Kind, name, largest share and offer indices of every group with a limit below 1."""
    limits = c.problem.case.governance.max_share
    stored = [o for o in c.offers_used if c.problem.offers[o].is_storage]
    for kind, attribute in GROUPED_BY.items():
        most = getattr(limits, kind)
        if most is None or most >= 1.0:
            continue
        for name in sorted({str(getattr(c.problem.offers[o], attribute)) for o in stored}):
            yield kind, name, most, frozenset(o for o in stored if getattr(c.problem.offers[o], attribute) == name)
    for maturity, most in limits.maturity.items():
        of_it = frozenset(o for o in stored if c.problem.offers[o].maturity == maturity)
        if of_it and most < 1.0:
            yield "maturity", maturity, most, of_it


@family("max_share")
def largest_share(m: pyo.ConcreteModel, c: Coefficients) -> None:
    """No supplier, country of cells, chemistry, cell factory or maturity holds more than its share.

    sum_{o in group,p} usable_mwh[o] containers[o,p] <= max_share[group] sum_{o storage,p} usable_mwh[o] containers[o,p]

    Shares are of the usable energy of all storage ordered over the plan, whenever it is delivered.
    """
    offers, periods = c.problem.offers, c.problem.periods
    m.largest_share = pyo.Constraint(pyo.Any)
    for kind, name, most, group in limited_groups(c):
        terms = [
            (
                offers[o].energy_usable_ac_mwh * ((1.0 if o in group else 0.0) - most),
                m.containers[offers[o].offer, periods[p].label],
            )
            for o, p in c.pairs
            if offers[o].is_storage
        ]
        m.largest_share[kind, name] = linear(terms) <= 0
