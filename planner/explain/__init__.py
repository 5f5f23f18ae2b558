"""Why a plan is as it is: prices of decisions and rules, ranges, alternatives, baselines."""

from __future__ import annotations

from planner.answers import Explanation
from planner.explain.board import Asked, explain_plan

__all__ = ["Asked", "Explanation", "explain_plan"]
