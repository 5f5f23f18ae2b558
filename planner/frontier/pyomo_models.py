"""The front of any Pyomo model with two linear objectives."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pyomo.environ as pyo
from pyomo.repn import generate_standard_repn
from scipy.sparse import csr_array

from planner.frontier.bench import Rows, TwoObjectives
from planner.frontier.engine import Engine, Progress
from planner.frontier.front import Front, front_of
from planner.problem import FloatArray
from planner.solve import Compiled, Stop

Separate = Callable[[pyo.ConcreteModel], Iterable[object]]


class ModelRows:
    """Lazy rows of a Pyomo model, from a callback that sees the model with values loaded.

    Parameters
    ----------
    model, order
        The model, and its variables in the order of the columns.
    separate
        Returns violated constraints as relational expressions.
    """

    def __init__(self, model: pyo.ConcreteModel, order: list[object], separate: Separate) -> None:
        self.model, self.order, self.separate = model, order, separate

    def violated(self, x: FloatArray) -> Rows | None:
        """Rows that ``x`` violates."""
        for variable, value in zip(self.order, x, strict=True):
            variable.set_value(float(value), skip_validation=True)  # type: ignore[attr-defined]
        found = [self._row(expression) for expression in self.separate(self.model)]
        if not found:
            return None
        matrix = csr_array(np.vstack([row[0] for row in found]))
        names = [f"lazy[{row[0].tobytes().hex()},{row[1]},{row[2]}]" for row in found]
        return matrix, np.array([row[1] for row in found]), np.array([row[2] for row in found]), names

    def _row(self, expression: object) -> tuple[FloatArray, float, float]:
        row = pyo.Constraint(expr=expression)
        row.construct()
        lower, body, upper = row.lower, row.body, row.upper
        vector, constant = linear_vector(
            body, {id(v): j for j, v in enumerate(self.order)}, len(self.order), "separate"
        )
        low = -np.inf if lower is None else pyo.value(lower) - constant
        high = np.inf if upper is None else pyo.value(upper) - constant
        return vector, float(low), float(high)


def linear_vector(expression: object, column: dict[int, int], size: int, what: str) -> tuple[FloatArray, float]:
    """Coefficients over the columns, and the constant.

    Raises
    ------
    ValueError
        If the expression is not linear or holds a variable that is in no column.
    """
    form = generate_standard_repn(expression, compute_values=True)
    if not form.is_linear():
        raise ValueError(f"`{what}` must be linear")
    vector = np.zeros(size)
    for a, v in zip(form.linear_coefs, form.linear_vars, strict=True):
        if id(v) not in column:
            raise ValueError(f"`{what}` holds {v.name}, which is no variable of the model")
        vector[column[id(v)]] += a
    return vector, float(form.constant)


def compiled_of(model: pyo.ConcreteModel, cost: object, exposure: object) -> tuple[TwoObjectives, list[object]]:
    """Arrays of a model with two objectives, and its variables in the order of the columns."""
    bodies = [_minimised(part, name) for part, name in ((cost, "cost"), (exposure, "exposure"))]
    active = list(model.component_data_objects(pyo.Objective, active=True))
    for objective in active:
        objective.deactivate()
    # Every variable must be a column, whether it stands in a row or not.
    variables = list(model.component_data_objects(pyo.Var))
    if not variables:
        raise ValueError("the model has no variable")
    model.add_component("_both_objectives", pyo.Objective(expr=sum(v for v in variables if not v.fixed)))
    try:
        compiled = Compiled.from_pyomo(model)
    finally:
        model.del_component("_both_objectives")
        for objective in active:
            objective.activate()
    by_id = {id(v): v for v in variables}
    order = [by_id[key] for key, _ in sorted(compiled.column.items(), key=lambda item: item[1])]
    size = len(order)
    vectors = [
        linear_vector(body, compiled.column, size, name)
        for body, name in zip(bodies, ("cost", "exposure"), strict=True)
    ]
    two = TwoObjectives(
        compiled, vectors[0][0], vectors[1][0], vectors[0][1], vectors[1][1], compiled.integer.astype(bool)
    )
    return two, order


def _minimised(part: object, name: str) -> object:
    """Expression of an objective; one that is maximised is refused."""
    if getattr(part, "ctype", None) is pyo.Objective:
        if part.sense == pyo.maximize:  # type: ignore[attr-defined]
            raise ValueError(f"`{name}` is maximised: pass its negative")
        return part.expr  # type: ignore[attr-defined]
    return part


def trace(
    model: pyo.ConcreteModel,
    cost: object,
    exposure: object,
    tolerance: float = 0.01,
    separate: Separate | None = None,
    *,
    workers: int = 1,
    time_limit_s: float = math.inf,
    state: str | os.PathLike[str] | None = None,
    resume: bool = False,
    audit: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> Front:
    """Least cost over exposure for a model with two linear objectives, with a certificate.

    Parameters
    ----------
    model
        Linear Pyomo model, with or without whole numbers; its own objective is left alone.
    cost, exposure
        Linear expressions or objectives of the model, both minimised, in any units.
    tolerance
        Share of the rectangle between the two ends that may stay uncovered; 0 settles every piece.
    separate
        Called with the model, a solution loaded into its variables, before that solution counts;
        returns the violated lazy rows as relational expressions, nothing if there are none.
        With more than one worker it must be a function at the top level of a module.
    workers
        Processes, each with one solver thread.
    time_limit_s
        Seconds after which to stop with what is known.
    state, resume
        File that is written after every finished piece, and whether to go on from it.
    audit
        Solve every piece twice, with another seed and without presolve the second time.
    seed
        Of the solver.
    progress
        Called with where the front stands and the solves so far.

    Returns
    -------
    Front
        In the units of ``cost`` and ``exposure``.

    Raises
    ------
    planner.solve.Infeasible
        If the model has no solution.
    planner.solve.NoPlan
        If stopped before both ends were found.
    ValueError
        If the model or an argument does not fit.
    """
    if not 0.0 <= tolerance < 1.0:
        raise ValueError(f"`tolerance` is {tolerance:g}: a share of at least 0 and below 1 is allowed")
    if workers < 1:
        raise ValueError(f"`workers` is {workers}: at least 1 is needed")
    two, order = compiled_of(model, cost, exposure)
    if separate is not None:
        two.separation = ModelRows(model, order, separate)
    stop = Stop(time_limit_s)
    path = None if state is None else Path(state)
    engine = Engine(two, tolerance, stop, workers, seed, audit, path, resume, progress=progress)
    archive = engine.run()
    names = {v.name: j for j, v in enumerate(order)}  # type: ignore[attr-defined]
    return front_of(archive, tolerance, stop.now, names)
