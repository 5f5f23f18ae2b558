"""Which storage to buy, from whom, when and where.

The table of contents for Python users::

    import planner

    problem = planner.load_case("tiny")
    plan = planner.plan(problem)

Names are looked up when they are first used, so that ``import planner`` loads no solver.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from planner.explain import Explanation, explain_plan
    from planner.frontier.portfolio import trace_frontier
    from planner.frontier.results import Frontier
    from planner.frontier.weighted import plan
    from planner.inputs import InputError, load_case
    from planner.model.build import build_model
    from planner.problem import Problem
    from planner.results import Plan
    from planner.solve import Infeasible, NoPlan
    from planner.study.engine import run_study

    __version__: str

__all__ = [
    "Explanation",
    "Frontier",
    "Infeasible",
    "InputError",
    "NoPlan",
    "Plan",
    "Problem",
    "__version__",
    "build_model",
    "explain_plan",
    "load_case",
    "plan",
    "run_study",
    "trace_frontier",
]

_HOME = {
    "Explanation": "planner.answers",
    "Frontier": "planner.frontier.results",
    "Infeasible": "planner.solve",
    "InputError": "planner.inputs",
    "NoPlan": "planner.solve",
    "Plan": "planner.results",
    "Problem": "planner.problem",
    "build_model": "planner.model.build",
    "explain_plan": "planner.explain.board",
    "load_case": "planner.inputs",
    "plan": "planner.frontier.weighted",
    "trace_frontier": "planner.frontier.portfolio",
    "run_study": "planner.study.engine",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for, once."""
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - only when asked

        found: Any = version("storage-portfolio-planner")
    elif name in _HOME:
        found = getattr(importlib.import_module(_HOME[name]), name)
    else:
        raise AttributeError(f"module 'planner' has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """Everything that may be asked for."""
    return sorted({*globals(), *__all__})
