"""From prepared coefficients to a whole-container solution with its bound."""

from planner.search.steps import DoesNotFit, Search, Solution

__all__ = ["DoesNotFit", "Search", "Solution"]
