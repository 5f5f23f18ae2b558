"""From solved cases to rows of the result tables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from planner.case import MEASURES
from planner.study.expand import Question

_TEXT, _NUMBER, _WHOLE, _TRUTH = pa.string(), pa.float64(), pa.int64(), pa.bool_()


def schemas(keys: Iterable[str], drawn: Iterable[str]) -> dict[str, pa.Schema]:
    """Columns of every table of a study.

    Parameters
    ----------
    keys, drawn
        Key paths of the grid and of the draws: a column ``set.<key path>`` each, text or number.
    """
    numbers = set(drawn)
    values = [(f"set.{k}", _NUMBER if k in numbers else _TEXT) for k in keys]
    cases = [
        ("case_index", _WHOLE), ("name", _TEXT), ("case", _TEXT), ("scenario", _TEXT), ("candidate", _TEXT),
        ("point", _WHOLE), ("draw", _WHOLE), ("measure", _TEXT), ("limit_frac", _NUMBER), *values,
        ("status", _TEXT), ("reason", _TEXT), ("verified", _TRUTH), ("cost_musd", _NUMBER), ("bound_musd", _NUMBER),
        ("gap_frac", _NUMBER), ("required_mwh", _NUMBER), ("energy_mwh", _NUMBER), ("served_last_mw", _NUMBER),
        *((f"exposure_{m}_frac", _NUMBER) for m in MEASURES),
        ("public_duties_musd", _NUMBER), ("public_credits_musd", _NUMBER), ("public_net_musd", _NUMBER),
        ("late_load_musd", _NUMBER), ("credit_states", _TEXT), ("input_sha256", _TEXT), ("address", _TEXT),
    ]  # fmt: skip
    key = [("case_index", _WHOLE), ("name", _TEXT)]
    return {
        "cases": pa.schema(cases),
        "orders": pa.schema(
            [*key, ("offer", _TEXT), ("supplier", _TEXT), ("chemistry", _TEXT), ("origin", _TEXT), ("period", _TEXT),
             ("year", _WHOLE), ("order_by", _TEXT), ("tier", _TEXT), ("containers", _WHOLE), ("energy_mwh", _NUMBER),
             ("power_mw", _NUMBER)]
        ),
        "vintages": pa.schema(
            [*key, ("offer", _TEXT), ("supplier", _TEXT), ("chemistry", _TEXT), ("origin", _TEXT), ("delivered", _TEXT),
             ("leaves_year", _WHOLE), ("containers", _WHOLE), ("energy_mwh", _NUMBER), ("power_mw", _NUMBER)]
        ),
        "contingencies": pa.schema(
            [*key, ("contingency", _TEXT), ("lost", _TEXT), ("period", _TEXT), ("hours", _NUMBER),
             ("margin_mwh", _NUMBER), ("required_mwh", _NUMBER), ("delivered_mwh", _NUMBER)]
        ),
    }  # fmt: skip


def rows_of(question: Question, ending: dict[str, Any], drawn: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    """Rows of one case in every table.

    Parameters
    ----------
    question
        The case.
    ending
        Its record (``status``, ``reason``, ``plan``, ...).
    drawn
        Key paths whose values are numbers.
    """
    plan = ending.get("plan") or {}
    key = {"case_index": question.index, "name": question.name}
    numbers = set(drawn)
    case = key | {
        "case": question.name.split("/")[0], "scenario": question.scenario, "candidate": question.candidate,
        "point": question.point, "draw": question.draw, "measure": question.measure, "limit_frac": question.limit_frac,
        **{f"set.{k}": v if k in numbers else str(v) for k, v in question.values.items()},
        "status": ending["status"], "reason": ending.get("reason", ""), "input_sha256": ending.get("input_sha256", ""),
        "address": ending.get("address", ""),
    }  # fmt: skip
    if plan:
        public, cost = plan["public_musd"], plan["cost_breakdown_musd"]
        case |= {name: plan[name] for name in ("cost_musd", "bound_musd", "gap_frac", "required_mwh")}
        case |= {f"exposure_{m}_frac": plan["exposure_frac"].get(m) for m in MEASURES}
        case |= {
            "verified": bool(plan["verification"] and plan["verification"]["passed"]),
            "energy_mwh": sum(o["energy_mwh"] for o in plan["orders"]),
            "served_last_mw": list(plan["served_mw"].values())[-1],
            "public_duties_musd": public.get("duties"),
            "public_credits_musd": public.get("tax_credits"),
            "public_net_musd": public.get("net"),
            "late_load_musd": cost.get("delay"),
            "credit_states": " ".join(f"{k}:{v}" for k, v in plan["credit_state"].items()),
        }
    leaves = {(r["offer"], r["delivered"]): r["year"] for r in plan.get("retirements", ())}
    orders = list(plan.get("orders", ()))
    same = ("offer", "supplier", "chemistry", "origin", "containers", "energy_mwh", "power_mw")
    return {
        "cases": [case],
        "orders": [key | o for o in orders],
        "vintages": [
            key
            | {k: o[k] for k in same}
            | {"delivered": o["period"], "leaves_year": leaves.get((o["offer"], o["period"]))}
            for o in orders
        ],
        "contingencies": [key | m for m in plan.get("reliability", ())],
    }
