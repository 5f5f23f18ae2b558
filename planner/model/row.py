"""How a constraint is declared: one function, one formula, one business rule."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pyomo.environ as pyo
from pyomo.core.expr.numeric_expr import LinearExpression

from planner.model.coefficients import Coefficients

Builder = Callable[[pyo.ConcreteModel, Coefficients], None]


@dataclass(frozen=True)
class RowFamily:
    """A constraint family: the function that adds it, and the rule a buyer knows it by."""

    name: str
    rule: str
    add: Builder
    formula: str


#: Rules that a buyer can ease, with the words used in messages. ``""`` marks logic that cannot give.
RULES = {
    "reliability": "ride through the outages asked for",
    "contracted_load": "energise the contracted load in time",
    "supply": "what factories can deliver to this buyer",
    "committed": "orders signed already",
    "site_area": "the area of the yards",
    "fire": "fire rules of the zones",
    "generator_permit": "the generator air permit",
    "domestic_floor": "the domestic-content floor",
    "exposure_limit": "the China-exposure limits",
    "max_share": "the largest share of one name (governance.max_share)",
    "min_suppliers": "the least number of suppliers",
    "storage_mandate": "the storage mandate in hours",
    "energisation": "grid, transformers and permits",
}


def family(rule: str) -> Callable[[Builder], RowFamily]:
    """Declare a function as a constraint family; its docstring holds the formula."""

    def wrap(function: Builder) -> RowFamily:
        return RowFamily(function.__name__, rule, function, (function.__doc__ or "").strip())

    return wrap


def linear(terms: Iterable[tuple[float, object]], constant: float = 0.0) -> LinearExpression:
    """Sum of coefficient x variable, built without intermediate expressions."""
    kept = [(float(a), v) for a, v in terms if a != 0.0]
    return LinearExpression(constant=constant, linear_coefs=[a for a, _ in kept], linear_vars=[v for _, v in kept])
