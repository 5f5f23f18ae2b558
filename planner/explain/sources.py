"""Sources for orders that are given: the cheapest ones with which they keep the limits that sources can keep."""

from __future__ import annotations

import numpy as np
import pyomo.environ as pyo

from planner.model import exposure, purchase, sourcing
from planner.model.coefficients import Coefficients
from planner.problem import FloatArray
from planner.solve import Compiled, Run, Stop

_SECONDS = 10.0


def sources_for(c: Coefficients, containers: np.ndarray) -> FloatArray:
    """MWh of every choice of the network for ordered containers; nothing where no choice keeps the limits.

    Parameters
    ----------
    c
        Coefficients of the ordered deliveries.
    containers
        Shape (O, P).

    Returns
    -------
    array
        In the order of ``Network.choices``; zeros stand for the makers' own sources, as do all where material
        assistance is traced, for then the credit would have to be chosen anew as well.
    """
    none = np.zeros(len(c.network.choices))
    if not len(none) or c.problem.case.sourcing.traced:
        return none
    m = pyo.ConcreteModel()
    purchase.declare(m, c)
    for (o, p), variable in zip(c.pairs, m.containers.values(), strict=True):
        variable.fix(int(containers[o, p]))
    sourcing.declare(m, c)
    for member in sourcing.FAMILIES:
        member.add(m, c)
    exposure.exposure_limit.add(m, c)
    cost = zip(c.network.cost_musd_per_mwh, c.network.choices, strict=True)
    m.cost = pyo.Objective(expr=sum(float(a) * m.sourced_mwh[x.key] for a, x in cost))
    compiled = Compiled.from_pyomo(m)
    run = Run(compiled, Stop(_SECONDS), c.problem.case.solver.seed)
    run.load(np.zeros_like(compiled.integer))
    x = run.solve().x
    if x is None:
        return none
    columns = [compiled.index(m.sourced_mwh[choice.key]) for choice in c.network.choices]
    return np.array([max(0.0, float(x[j])) if j >= 0 else 0.0 for j in columns])
