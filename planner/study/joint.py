"""A study's futures as one overlay of uncertain futures, so that ``planner disruption`` solves them as one model."""

from __future__ import annotations

import json
from typing import Any

from planner.faults import Fault, InputError
from planner.reading import read_yaml
from planner.shipped import scenario_path
from planner.study.spec import Study
from planner.units import month_text

#: Sections of ``futures`` that an uncertain future may change; the campus itself is certain there.
_SECTIONS = ("offers", "factories", "duties", "cutoffs", "lithium", "costs", "nodes")


def joint_overlay(study: Study) -> str:
    """Overlay with every future of the regret table that can be one of several, as YAML that says how it is used.

    A future gets its weight as probability; what a scenario without overlays has is left for the calm future. A
    future that changes the campus, rules or the case's own tables cannot be uncertain in one model: it is left out
    and named.

    Parameters
    ----------
    study
        With a section ``regret``.

    Raises
    ------
    InputError
        If an overlay cannot be read.
    """
    rule = study.regret
    assert rule is not None
    names = rule.scenarios or tuple(study.scenarios)
    found: dict[str, dict[str, Any]] = {}
    left_out = []
    for name in names:
        changes = _changes(study.scenarios[name])
        if changes is None:
            left_out.append(name)
        elif changes:
            found[name] = changes
    kept = [n for n in names if n not in left_out]
    weight = {n: rule.weights.get(n, 0.0) if rule.weights else 1.0 for n in kept}
    total = sum(weight.values()) or 1.0
    until = month_text(rule.until)
    source = f"a future of the study {study.study}, known from the month until which its regret table keeps orders"
    futures = {
        n: {"probability_frac": weight[n] / total, "known": until, "source": source, "confidence": "assumption", **c}
        for n, c in found.items()
    }
    lines = [
        f"# Futures of the study {study.study}, of which one comes and is known from {until}. The orders that hold in",
        "# all of them, solved as one model and compared with those of every single future, are found by",
        "#   planner disruption CASE --scenario joint.yaml      (--set disruption.aim=worst for the worst future)",
    ]
    if left_out:
        lines.append(f"# Left out, for they change the campus, rules or tables of the case: {', '.join(left_out)}")
    # JSON is YAML
    return "\n".join(lines) + "\n" + json.dumps({"disruption": {"futures": futures}}, indent=1) + "\n"


def _changes(overlays: tuple[str, ...]) -> dict[str, Any] | None:
    """Sections of ``futures`` that overlays change, merged; None where they change anything else."""
    merged: dict[str, Any] = {}
    for overlay in overlays:
        faults: list[Fault] = []
        text = read_yaml(scenario_path(overlay), overlay, faults)
        if text is None or faults:
            raise InputError(faults)
        futures = text.top.get("futures", {})
        if set(text.top) - {"futures"} or set(futures) - set(_SECTIONS):
            return None
        for section, changes in futures.items():
            merged[section] = merged.get(section, {}) | changes
    return merged
