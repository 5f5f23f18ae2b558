"""What each step away from exposure costs: the certified front of two linear objectives.

``trace`` works on any Pyomo model; ``planner.trace_frontier`` is the same for a planning question.
"""

from __future__ import annotations

from planner.frontier.front import Front, Jump, Point, Segment
from planner.frontier.pyomo_models import trace

__all__ = ["Front", "Jump", "Point", "Segment", "trace"]
