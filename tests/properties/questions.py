"""Small planning questions that the whole planner can answer, on top of ``tests.small``.

``tests.small`` needs no solver and leaves out what only the model reads: a first price tier
from 0 MWh, and a row of every fire rule, cost and fade curve. ``question`` adds these.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from planner.catalogue import DepreciationRow, FactoryOutputRow, FadeRow, FireRuleRow, LithiumRow, ProductionCreditRow
from planner.problem import Period, Problem, Tier
from planner.units import parse_month
from tests.small import OFFERS, small_problem, small_tables

STAMP: dict[str, Any] = {"source": "test", "date": "2026-11", "confidence": "medium", "unit": "-"}
BASE_TIER = Tier(tier="base", from_mwh=0.0, discount_frac=0.0)
#: Nothing is lost but what a test asks for.
CALM = dict.fromkeys(("supplier", "cell_maker", "cell_factory", "country", "chemistry", "software", "fire_group"))


def fire_row(rule: str, value: float, chemistry: str = "*", **fields: str) -> FireRuleRow:
    """One fire rule of ``common``, unless told otherwise."""
    keys = {
        "profile": "common",
        "zone_type": "*",
        "evidence": "*",
        "barrier": "*",
        "edition": "e",
        "section": "1",
        "tag": "A",
    }
    return FireRuleRow(rule=rule, chemistry=chemistry, value=value, **{**keys, **fields}, **STAMP)  # type: ignore[arg-type]


def output_row(
    factory: str, gwh: float, year: int = 2029, committed: float = 0.3, obtainable: float = 0.4
) -> FactoryOutputRow:
    """Output of a factory in one year."""
    return FactoryOutputRow(
        factory=factory, year=year, capacity_gwh=gwh, committed_frac=committed, obtainable_frac=obtainable, **STAMP
    )


def fade_rows(curve: str, duty: str, *points: tuple[float, float, float]) -> tuple[FadeRow, ...]:
    """Rows (temperature, age, state of health) of a fade curve."""
    return tuple(
        FadeRow(curve=curve, duty=duty, temperature_c=t, age_yr=a, soh_frac=s, **STAMP)  # type: ignore[arg-type]
        for t, a, s in points
    )


def full_tables() -> dict[str, tuple[Any, ...]]:
    """``small_tables`` with every row that the planner looks up."""
    tables = small_tables()
    tables["fire_rules"] = (
        *tables["fire_rules"], fire_row("fire_water_lpm", 310.0), fire_row("fire_area_cap_mwh", 9700.0),
    )  # fmt: skip
    tables["fade"] = (
        *tables["fade"],
        *fade_rows("none", "float", (25.0, 0.0, 1.0)), *fade_rows("none", "daily", (25.0, 0.0, 1.0)),
        *fade_rows("lfp", "daily", (20.0, 0.0, 1.0), (20.0, 6.0, 0.71), (35.0, 0.0, 1.0), (35.0, 5.0, 0.61)),
        *fade_rows("zinc", "daily", (25.0, 0.0, 1.0), (25.0, 8.0, 0.83)),
    )  # fmt: skip
    tables["lithium"] = (
        *tables["lithium"],
        *(LithiumRow(path="dear", year=y, usd_per_kg=v, **STAMP) for y, v in ((2026, 13.0), (2031, 47.0))),
    )
    tables["depreciation"] = tuple(
        DepreciationRow(schedule="macrs5", year=y, deducted_frac=v, **STAMP)
        for y, v in ((1, 0.37), (2, 0.41), (4, 0.22))
    )
    tables["production_credits"] = tuple(
        ProductionCreditRow(component=c, since=s, usd_per_kwh=v, **STAMP)
        for c, s, v in (("cell", "2025-01", 31.0), ("cell", "2030-01", 23.0), ("pack", "2025-01", 7.0))
    )
    return tables


#: Offers as ``tests.small`` has them, with a first tier and a factory that has output rows.
SOLVABLE: dict[str, dict[str, Any]] = {
    "Alpha": {"tiers": (BASE_TIER, Tier(tier="bulk", from_mwh=100.0, discount_frac=0.03))},
    "Beta": {"tiers": (BASE_TIER,)},
    "Gen": {"tiers": (BASE_TIER,), "cell_factory": "G-plant"},
}


def question(**overrides: Any) -> Problem:
    """A small question with ``overrides`` as of ``small_problem``; offer changes and tables are merged."""
    changes: Mapping[str, Mapping[str, Any]] = overrides.pop("offer_changes", {})
    merged = {name: {**SOLVABLE.get(name, {}), **changes.get(name, {})} for name in OFFERS}
    tables = {**full_tables(), **overrides.pop("tables", {})}
    return small_problem(offer_changes=merged, tables=tables, **overrides)


def wave(steps: int = 96, seed: int = 5, per_day: float = 48.0) -> np.ndarray:
    """An odd load curve per unit of its peak."""
    t = np.arange(steps)
    noise = np.random.default_rng(seed).uniform(0.0, 0.13, steps)
    load = 0.71 + 0.17 * np.sin(t * 2 * np.pi / per_day) + noise
    return load / load.max()


def ramp(*rows: tuple[str, str, float, float, float]) -> tuple[Period, ...]:
    """Periods from (start, end, target, floor, energisable), labelled by their first month."""
    return tuple(
        Period(i, a, parse_month(a), parse_month(b), target, floor, energisable)
        for i, (a, b, target, floor, energisable) in enumerate(rows)
    )


#: The cheap question of most tests: two dozen containers, hourly steps of 45 minutes, nothing lost.
LEAN: dict[str, Any] = {
    "load_pu": wave(), "pv_cf": np.maximum(0.0, np.sin(np.arange(96) * 2 * np.pi / 48 - 1.3)) * 0.81, "dt_h": 0.75,
    "periods": ramp(("2029-01", "2030-01", 7.3, 4.1, 31.0), ("2030-01", "2034-01", 13.9, 4.1, 31.0)),
    "load__target_mw": {"2029-01": 7.3, "2030-01": 13.9}, "load__floor_mw": {"2029-01": 4.1},
    "site__energisation__grid": {"2028-01": 31.0}, "site__energisation__transformers": {"2028-01": 37.0},
    "site__energisation__permits": {"2028-01": 41.0},
    "reliability__service": [{"until_h": 1.5, "share_frac": 1.0}, {"until_h": 3.75, "share_frac": 0.43}],
    "reliability__contingencies": CALM, "reliability__storage_mandate_h": 0.0, "policy__domestic_floor_frac": 0.0,
    "exposure_limits": {}, "firm__min_outage_h": 1.7, "load__delay_usd_per_mw_yr": 1.3e7,
    "policy__phases": [{"phase": "first", "construction_start": "2028-06", "deliveries_until": "2032-01"}],
}  # fmt: skip


def lean(**overrides: Any) -> Problem:
    """``question`` on the ``LEAN`` figures: solved in a fraction of a second."""
    changes = {name: {"min_order_mwh": 0.0, **SOLVABLE[name]} for name in OFFERS}
    for name, fields in overrides.pop("offer_changes", {}).items():
        changes[name] = {**changes[name], **fields}
    return question(offer_changes=changes, **{**LEAN, **overrides})
