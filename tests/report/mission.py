"""A small question with something to answer everywhere: exposure, offers left out, a rule that binds, a front."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

import planner
from planner.explain import Explanation, explain_plan
from planner.explain.files import write_explanation
from planner.frontier.files import write_frontier
from planner.shipped import cases_dir
from planner.writing import write_plan

REGRET = {
    "study": "futures-of-a-campus", "until": "2027-09",
    "cases": [{
        "case": "mission", "futures": ["as-today", "cut-off", "late"], "left_out": ["nobody-survives"],
        "least_worst": "cut-off", "least_expected": "as-today",
        "candidates": [
            {"plan_of": "as-today", "worst_musd": 3.25, "expected_musd": 0.75},
            {"plan_of": "cut-off", "worst_musd": 1.5, "expected_musd": 1.25},
            {"plan_of": "late", "worst_musd": None, "expected_musd": None},
        ],
    }],
}  # fmt: skip


def case() -> dict[str, Any]:
    """Six offers of four suppliers and three origins; losing a supplier must leave half."""
    raw = yaml.safe_load((cases_dir() / "tiny.yaml").read_text("utf-8"))
    block = raw["offers"]["own"][0] | {"price": {2028: 85}}
    china = {
        "like": "catl-tener-cn", "energy_nameplate_dc_mwh": 5, "energy_usable_ac_mwh": 5, "power_mw": 2.5,
        "dutiable_value_frac": 0.5, "incoterm": "FOB",
        "includes": "conversion transformer commissioning spares service",
    }  # fmt: skip
    malaysia = {"like": "eve-giant-my", "energy_nameplate_dc_mwh": 7, "energy_usable_ac_mwh": 7, "power_mw": 3.5}
    own = [
        block,
        {**raw["offers"]["own"][1], "price": {2028: 85}},
        block | china | {"offer": "block-c", "price": {2028: 43}},
        block | malaysia | {"offer": "block-d", "price": {2028: 50}},
        block | {"offer": "block-e", "like": "catl-tener-cn", "price": {2028: 60}, "lead_time_months": 30},
        block | {"offer": "block-f", "like": "samsung-sbb20-in", "price": {2028: 66}},
    ]
    steps = ("grid", "transformers", "permits")
    return {
        "extends": str(cases_dir() / "tiny.yaml"), "case": "mission", "title": "A campus with questions",
        "load": {"target_mw": {"2028-01": 40}},
        "site": raw["site"] | {"energisation": {step: {"2028-01": 40} for step in steps}},
        "reliability": raw["reliability"] | {"contingencies": {"supplier": 0.5, "fire_group": None}},
        "offers": {"mode": "replace", "own": own},
    }  # fmt: skip


def write_mission(folder: Path) -> Explanation:
    """Plan, explain and trace the question into a folder, as the commands leave it but for the report."""
    path = folder / "mission.yaml"
    path.write_text(json.dumps(case(), default=str), encoding="utf-8")
    problem = planner.load_case(str(path))
    write_frontier(planner.trace_frontier(problem, measure="value"), folder)
    plan = planner.plan(problem)
    write_plan(plan, problem, folder)
    found = explain_plan(problem, plan)
    write_explanation(found, folder)
    return found
