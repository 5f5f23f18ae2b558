"""Collects what the checks find: residuals by name, errors and findings in sentences."""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable
from typing import Any

from planner.results import Finding

TOLERANCE = 1e-6
#: Residual of a fault that has no size of its own (a wrong name, an unknown zone, not a number).
WHOLE = 1.0
#: A check keeps this many sentences; the residual still counts all of them.
SENTENCES = 12


def number(value: Any) -> float:
    """Turn anything into a float; what is no number becomes nan."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    return float(value)


class Tally:
    """Residuals, errors and findings of one verification.

    Attributes
    ----------
    residuals
        Largest relative violation of every check that ran, 0 when it holds.
    errors
        One sentence per broken rule.
    findings
        Implausible but allowed.
    """

    def __init__(self) -> None:
        self.residuals: dict[str, float] = {}
        self.errors: list[str] = []
        self.findings: list[Finding] = []
        self._said: dict[str, int] = {}

    def hold(self, *checks: str) -> None:
        """Name checks that ran, so that a clean one shows as 0."""
        for check in checks:
            self.residuals.setdefault(check, 0.0)

    def fail(self, check: str, sentence: str, size: float = WHOLE) -> None:
        """Record a violation of relative ``size``; within tolerance it is a residual only."""
        self.hold(check)
        if not math.isfinite(size):
            size = WHOLE
        self.residuals[check] = max(self.residuals[check], size)
        if size > TOLERANCE:
            said = self._said.get(check, 0)
            self._said[check] = said + 1
            if said < SENTENCES:
                self.errors.append(f"{check}: {sentence}")
            elif said == SENTENCES:
                self.errors.append(f"{check}: and more of the same kind")

    def first_few(self, check: str) -> bool:
        """Whether a sentence of this check would still be kept."""
        return self._said.get(check, 0) < SENTENCES

    def at_most(self, check: str, value: float, limit: float, sentence: str, scale: float | None = None) -> None:
        """Record by how much ``value`` exceeds ``limit``, relative to ``scale`` (default the limit, at least 1)."""
        self.hold(check)
        if math.isnan(value) or math.isnan(limit):
            self.fail(check, f"{sentence} (not a number)")
        elif value > limit:
            base = max(1.0, abs(limit)) if scale is None else scale
            self.fail(check, f"{sentence}: {value:.6g} against at most {limit:.6g}", (value - limit) / base)

    def same(self, check: str, claimed: Any, mine: float, sentence: str, scale: float | None = None) -> None:
        """Record by how much a claimed figure differs from the recomputed one."""
        self.hold(check)
        got = number(claimed)
        if not math.isfinite(got):
            self.fail(check, f"{sentence}: the plan says {claimed!r}, which is no number")
            return
        base = max(abs(mine), 1e-9) if scale is None else max(scale, 1e-9)
        self.fail(check, f"{sentence}: the plan says {got:.9g}, recomputed {mine:.9g}", abs(got - mine) / base)

    def note(self, topic: str, text: str) -> None:
        """Record a finding."""
        self.findings.append(Finding(topic=topic, text=text))

    def guard(self, check: str, run: Callable[..., Any], *args: Any) -> Any:
        """Run a check; what it raises becomes an error, for a nonsensical plan must not stop the others."""
        try:
            return run(*args)
        except Exception as trouble:
            frames = traceback.extract_tb(trouble.__traceback__)
            last = frames[-1] if frames else None
            at = f" at {last.filename.rsplit('/', 1)[-1]}:{last.lineno}" if last else ""
            self.fail(check, f"the check could not be completed ({type(trouble).__name__}: {trouble}{at})")
            return None
