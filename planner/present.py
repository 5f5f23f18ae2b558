"""Present value: one dollar at a month, or one dollar a year over months."""

from __future__ import annotations

from planner.problem import Problem
from planner.units import MONTHS_PER_YEAR


def discount(problem: Problem, month: float) -> float:
    """Value at the decision of one dollar at the start of ``month``."""
    years = (month - problem.case.timeline.decision) / MONTHS_PER_YEAR
    return float((1.0 + problem.case.finance.discount_rate_frac) ** -years)


def stream(problem: Problem, start: int, end: int) -> float:
    """Value at the decision of one dollar a year over months [start, end)."""
    months = end - start
    if months <= 0:
        return 0.0
    ratio = (1.0 + problem.case.finance.discount_rate_frac) ** (-1.0 / MONTHS_PER_YEAR)
    terms = months if ratio == 1.0 else (1.0 - ratio**months) / (1.0 - ratio)
    return float(discount(problem, start + 0.5) * terms / MONTHS_PER_YEAR)
