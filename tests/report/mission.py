"""A small question with something to answer everywhere: exposure, offers left out, a rule that binds, a front."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

import planner
from planner.explain import Explanation, explain_plan
from planner.explain.files import write_explanation
from planner.frontier.reading import BREAK_EVEN_WORDS, hull_of, jump_words, knee_of
from planner.results import Plan
from planner.shipped import cases_dir
from planner.writing import json_text, write_plan

#: Most exposure by value of each plan of the front, from the least to any.
LIMITS = (0.25, 0.4, None)
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
    plans = []
    for limit in LIMITS:
        rule = [] if limit is None else [f"exposure_limits.value.max_frac={limit}"]
        problem = planner.load_case(str(path), rule)
        plans.append(planner.plan(problem))
    write_plan(plans[-1], problem, folder)
    found = explain_plan(problem, plans[-1])
    write_explanation(found, folder)
    (folder / "frontier.json").write_text(json.dumps(front(plans)), encoding="utf-8")
    for i, plan in enumerate(plans):
        (folder / f"point-{i}.json").write_text(json_text(plan), encoding="utf-8")
    return found


def front(plans: list[Plan]) -> dict[str, Any]:
    """A front of these plans, from the least exposure to the most, with prices that differ from point to point."""
    corners = [(p.exposure_frac["value"], p.cost_musd) for p in plans]
    knee, cheap = knee_of(corners), plans[-1]
    assert knee is not None
    points = [
        {
            "cost_musd": p.cost_musd, "bound_musd": p.bound_musd, "exposure_frac": e,
            "supported": i in hull_of(corners), "plan": f"point-{i}.json",
            "role": {0: "secure end", knee: "knee", len(plans) - 1: "cheap end"}.get(i, ""),
            "price_left_musd": None if i == 0 else 0.017 * i,
            "price_right_musd": None if p is cheap else 0.031 + 0.002 * i,
            "cutoff_break_even_frac_per_yr": 0.0 if p is cheap else 0.0123 + 0.01 * i,
            "public_net_musd": p.public_musd["net"],
            "public_usd_per_mwh": None if p is cheap else 1e6 * (cheap.public_musd["net"] - p.public_musd["net"])
            / ((corners[-1][0] - e) * p.required_mwh),
        }
        for i, (p, (e, _)) in enumerate(zip(plans, corners, strict=True))
    ]  # fmt: skip
    jumps = [
        {
            "exposure_frac": e,
            "cost_below_musd": corners[i][1],
            "cost_at_musd": c,
            "words": jump_words(plans, corners, e),
        }
        for i, (e, c) in enumerate(corners[1:])
    ]
    return {
        "case": "mission", "input_sha256": cheap.input_sha256, "measure": "value", "required_mwh": cheap.required_mwh,
        "tolerance": 0.01, "uncovered_frac": 0.004, "uncovered_whole_frac": 0.02, "points": points, "jumps": jumps,
        "band": [{"exposure_frac": e, "attained_musd": c, "bound_musd": c - 0.011} for e, c in corners],
        "weights": [{"theta": 0.0, "point": 2}, {"theta": 0.5, "point": 1}, {"theta": 1.0, "point": 0}],
        "unreached_saving_frac": 0.07, "knee_words": "At the knee much of the exposure is gone for little.",
        "least_exposure_words": "The least exposure found is kept by the suppliers on offer.",
        "break_even_words": BREAK_EVEN_WORDS,
    }  # fmt: skip
