"""Policy studies: many cases, one machine or many, nothing solved twice, nothing lost."""

from __future__ import annotations

from planner.study.engine import run_study
from planner.study.spec import Study, read_study

__all__ = ["Study", "read_study", "run_study"]
