"""The planner's own model as two objectives: cost and one measure of China exposure.

Containers are continuous, outage rows are lazy, and the rows of the site are left out until a plan
turns out not to fit. Only this module knows how the search builds its problem.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyomo.environ as pyo
from scipy.sparse import csr_array, hstack, vstack

from planner.case import ExposureLimit
from planner.frontier.bench import Rows, TwoObjectives
from planner.lazy import OutageRows, without_site
from planner.model.coefficients import Coefficients
from planner.model.exposure import relief_vectors, share_vectors
from planner.model.reliability import RowKey
from planner.problem import FloatArray, Problem
from planner.search import Search
from planner.solve import Compiled, Stop

Held = Mapping[tuple[str, str], int]


#: How far a solution of the engine may violate a cut of the operating years, and miss load, before a row is added, per
#: unit of the largest year and of the load: a bound and a solution further apart would contradict each other.
_CUT_VIOLATED, _CUT_MISSING = 1e-8, 1e-9


class LazyOutages:
    """Outage rows and known cuts of the operating years for the engine, from ``planner.lazy``."""

    def __init__(self, outages: OutageRows, compiled: Compiled) -> None:
        # The engine keeps its own rows: the separation works on a copy of the arrays and of the names.
        own = replace(compiled, row_names=list(compiled.row_names))
        self.outages = OutageRows(outages.c, outages.columns, own, list(outages.rows))
        if self.outages.cuts is not None:
            self.outages.cuts.violated_frac, self.outages.cuts.missing_frac = _CUT_VIOLATED, _CUT_MISSING

    def violated(self, x: FloatArray) -> Rows | None:
        """Rows that ``x`` violates."""
        added = self.outages.add_violated(x)
        if added is None:
            return None
        return (*added, self.outages.compiled.row_names[-len(added[1]) :])


@dataclass
class Campus:
    """One problem prepared for the front of one measure.

    Attributes
    ----------
    problem
        Without a limit on the whole plan's exposure by this measure.
    search
        Prepared; its columns are those of the engine, but for the chokepoint's extra one.
    two
        For the engine.
    with_site
        Whether it has the rows of the site.
    """

    problem: Problem
    measure: str
    search: Search
    two: TwoObjectives
    with_site: bool = False

    def columns(self, x: FloatArray) -> FloatArray:
        """Columns of the search in a solution of the engine."""
        return x[: len(self.search.compiled.cost)]


def unlimited(problem: Problem, measure: str) -> Problem:
    """The problem without its limit on the whole plan's exposure by a measure."""
    limits = {m: limit for m, limit in problem.case.exposure_limits.items() if m != measure or limit.per_period}
    return replace(problem, case=problem.case.model_copy(update={"exposure_limits": limits}))


def limited(problem: Problem, measure: str, max_frac: float) -> Problem:
    """The problem with a limit on the whole plan's exposure by a measure."""
    limits = dict(problem.case.exposure_limits) | {measure: ExposureLimit(max_frac=max(0.0, max_frac))}
    return replace(problem, case=problem.case.model_copy(update={"exposure_limits": limits}))


def prepared(
    problem: Problem,
    measure: str,
    held: Held,
    *,
    with_site: bool = False,
    known_rows: tuple[RowKey, ...] = (),
    stop: Stop | None = None,
) -> Campus:
    """Build and compile the model, and make two objectives of it.

    Parameters
    ----------
    problem
        From ``planner.load_case``.
    measure
        One of ``planner.case.MEASURES``.
    held
        Containers of firm resources that are given.
    with_site
        Keep the rows of the site, and their binaries whole.
    known_rows
        Outage rows to start with.
    stop
        For later searches on the same model.
    """
    free = unlimited(problem, measure)
    c = Coefficients(free)
    search = Search(c, stop or Stop(1e9), problem.case.solver.gap_frac, problem.case.solver.seed, held=held)
    search.prepare(known_rows)
    compiled = replace(search.compiled) if with_site else without_site(search.compiled)
    integer = search.binary() if with_site else search.purchase_binary()
    cost, offset = search.compiled.cost, search.compiled.offset
    vectors = exposure_vectors(search, measure)
    if len(vectors) == 1:
        exposure = vectors[0]
    else:
        compiled, exposure = _largest_of(compiled, vectors)
        integer, cost = np.append(integer, False), np.append(cost, 0.0)
    two = TwoObjectives(compiled, cost, exposure, offset, 0.0, integer, LazyOutages(search.outages, compiled))
    return Campus(free, measure, search, two, with_site)


def values_by_name(search: Search, x: FloatArray) -> dict[str, float]:
    """A solution as values by variable name, without zeros: it outlives the search and its order of columns."""
    return {name: float(x[j]) for name, j in _names(search) if x[j] != 0.0}


def columns_of(search: Search, values: Mapping[str, float]) -> FloatArray:
    """Values by variable name in the columns of a search; what it does not name is zero."""
    out = np.zeros(len(search.compiled.cost))
    for name, j in _names(search):
        out[j] = values.get(name, 0.0)
    return out


def _names(search: Search) -> list[tuple[str, int]]:
    """Name and column of every variable that stands in a row."""
    pairs = [(v.name, search.compiled.index(v)) for v in search.model.component_data_objects(pyo.Var)]
    return [(name, j) for name, j in pairs if j >= 0]


def exposure_vectors(search: Search, measure: str) -> list[FloatArray]:
    """Exposure per unit of each column; one vector per layer for the chokepoint."""
    found = []
    at = search.columns.containers
    relief = relief_vectors(search.c, measure)
    choices = np.array([search.compiled.index(search.model.sourced_mwh[x.key]) for x in search.c.network.choices], int)
    for name, share in share_vectors(search.c, measure).items():
        vector = np.zeros(len(search.compiled.cost))
        values = share[search.c.pair_offer]
        vector[at[at >= 0]] = values[at >= 0]
        if name in relief and choices.size:
            vector[choices] = -relief[name]
        if vector.any() or not measure.startswith("chokepoint"):
            found.append(vector)
    return found or [np.zeros(len(search.compiled.cost))]


def _largest_of(compiled: Compiled, vectors: list[FloatArray]) -> tuple[Compiled, FloatArray]:
    """A column that is at least every vector's sum."""
    empty = csr_array((len(compiled.row_lower), 1))
    layers = csr_array(np.hstack([-np.array(vectors), np.ones((len(vectors), 1))]))
    matrix = csr_array(vstack([hstack([compiled.matrix, empty]), layers], format="csr"))
    none = np.zeros(len(vectors))
    wider = replace(
        compiled,
        matrix=matrix,
        row_lower=np.concatenate([compiled.row_lower, none]),
        row_upper=np.concatenate([compiled.row_upper, none + np.inf]),
        cost=np.append(compiled.cost, 0.0),
        lower=np.append(compiled.lower, 0.0),
        upper=np.append(compiled.upper, np.inf),
        integer=np.append(compiled.integer, False),
        row_names=[*compiled.row_names, *(f"layer[{i}]" for i in range(len(vectors)))],
    )
    return wider, np.append(np.zeros(len(compiled.cost)), 1.0)
