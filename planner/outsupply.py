"""Nothing fits because too little comes in time: the least that would have to be delivered more, and when."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array, lil_array

from planner import supply
from planner.model.coefficients import Coefficients
from planner.problem import Offer, Problem
from planner.rulebook import PLENTY, Variant, with_case
from planner.solve import Stop
from planner.units import month_text
from planner.workbench import Change, Workbench

#: Less than this is not told, in nameplate MWh.
_TELL_MWH = 0.05


@dataclass(frozen=True)
class Shortfall:
    """Nameplate MWh of a chemistry that would have to come more, for a delivery period."""

    chemistry: str
    country: str
    period: str
    date: str
    energy_mwh: float


def missing_deliveries(problem: Problem, stop: Stop) -> tuple[Shortfall, ...] | None:
    """Least energy beyond what factories and lead times allow that makes a plan possible (containers in fractions).

    Parameters
    ----------
    problem
        A problem without a plan.
    stop
        When to give up.

    Returns
    -------
    tuple of Shortfall or None
        By period and chemistry; None when more deliveries do not help, or time is up.
    """
    bench = _generous(problem, stop)
    own = Coefficients(problem)
    admitted = set(own.pairs)
    late = [i for i, (o, p) in enumerate(bench.c.pairs) if _late(problem, problem.offers[o], p)]
    extra = [
        i for i, pair in enumerate(bench.c.pairs) if i not in set(late) and (pair in admitted or _scarce(own, pair))
    ]
    _limit_factories(bench, own, late, extra)
    mwh = bench.c.nameplate_mwh[bench.c.pair_offer]
    first = len(bench.compiled.cost) - len(extra)
    cost = np.zeros(len(bench.compiled.cost))
    cost[bench.columns.containers[late]] = mwh[late]
    cost[first:] = mwh[extra]
    found = bench.solve(Change(cost=cost), gap_frac=1e-3)
    if found.x is None:
        return None
    total: dict[tuple[int, str, str], float] = {}
    amounts = [(i, found.x[bench.columns.containers[i]]) for i in late]
    amounts += [(i, found.x[first + k]) for k, i in enumerate(extra)]
    for i, containers in amounts:
        o, p = bench.c.pairs[i]
        key = (p, problem.offers[o].chemistry, problem.offers[o].cell_country)
        total[key] = total.get(key, 0.0) + float(containers) * float(mwh[i])
    return tuple(
        Shortfall(chemistry, country, problem.periods[p].label, month_text(problem.periods[p].start), energy)
        for (p, chemistry, country), energy in sorted(total.items())
        if energy > _TELL_MWH
    )


def _generous(problem: Problem, stop: Stop) -> Workbench:
    """The question with plenty from every factory and no lead times."""
    plenty = with_case(Variant(problem), "supply.scale_frac", max(1.0, problem.case.supply.scale_frac) * PLENTY)
    return Workbench(replace(plenty, waived=frozenset({"lead_time"})), stop, False, 1e-3)


def _scarce(own: Coefficients, pair: tuple[int, int]) -> bool:
    """Whether a delivery is kept out only because its factories have less than one container."""
    o, p = pair
    return supply.refusal(own.problem, own.problem.offers[o], own.problem.periods[p]) is None


def _late(problem: Problem, offer: Offer, p: int) -> bool:
    why = supply.refusal(problem, offer, problem.periods[p])
    return why is not None and why.rule == "lead_time"


def _limit_factories(bench: Workbench, own: Coefficients, late: list[int], extra: list[int]) -> None:
    """Hold factories to what they can deliver, with a column of extra containers for every delivery in ``extra``.

    Deliveries that come too early for their lead time are extra as a whole: they draw on no factory.
    """
    problem, compiled = own.problem, bench.compiled
    row = {name: i for i, name in enumerate(compiled.row_names)}
    by_factory = {}
    for p, period in enumerate(problem.periods):
        for f in {f for o in problem.offers for f in (o.cell_factory, o.assembly_plant)}:
            if (f, period.label) in bench.model.factory_output:
                line = row[bench.model.factory_output[f, period.label].name]
                compiled.row_upper[line] = own.factory_limit(f, p)
                by_factory[f, p] = line
    matrix = compiled.matrix.tolil()
    block = lil_array((len(compiled.row_lower), len(extra)))
    column = {i: k for k, i in enumerate(extra)}
    for i, (o, p) in enumerate(bench.c.pairs):
        offer = problem.offers[o]
        for f in {offer.cell_factory, offer.assembly_plant}:
            row_of_factory = by_factory.get((f, p))
            if row_of_factory is None:
                continue
            if i in column:
                block[row_of_factory, column[i]] = -supply.booked_mwh(offer)
            elif i in late:
                matrix[row_of_factory, bench.columns.containers[i]] = 0.0
    compiled.matrix = csr_array(matrix)
    bench.add_columns(csr_array(block), [bench.columns.containers[i] for i in extra])
