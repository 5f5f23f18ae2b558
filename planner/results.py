"""The plan that a reviewer signs, as data; field names are those of ``plan.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from planner.dossier import Dossier

SCHEMA_VERSION = "1.2"
PlanStatus = Literal["optimal", "gap_limit", "time_limit", "interrupted", "unverified"]
CreditState = Literal["none", "base", "bonus", "pools"]


class Record(BaseModel):
    """A frozen record of the result; unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Order(Record):
    """Whole containers of one offer for one delivery period."""

    offer: str
    supplier: str
    chemistry: str
    origin: str
    year: int
    period: str
    order_by: str
    tier: str
    containers: int
    energy_mwh: float
    power_mw: float


class Placement(Record):
    """Whole containers of one delivery standing in one zone."""

    offer: str
    year: int
    period: str
    zone: str
    containers: int


class ZoneChoice(Record):
    """The barrier and setback option chosen for a zone."""

    zone: str
    barrier: bool
    setback_m: float
    usable_m2: float


class Retirement(Record):
    """Containers that leave at design life, before the horizon ends."""

    offer: str
    delivered: str
    year: int
    containers: int


class Margin(Record):
    """The tightest reliability row of a contingency."""

    contingency: str
    lost: str
    period: str
    hours: float
    margin_mwh: float
    required_mwh: float
    delivered_mwh: float


class ZoneUse(Record):
    """What a zone holds and what its fire rules allow, at its fullest."""

    zone: str
    area_used_m2: float
    area_allowed_m2: float
    energy_used_mwh: float
    energy_allowed_mwh: float | None
    hazard_used_mwh: float
    hazard_allowed_mwh: float | None
    fire_water_used_lpm: float
    fire_water_allowed_lpm: float
    binding: str


class WaterfallStep(Record):
    """One step from load x hours up to what is bought."""

    step: str
    energy_mwh: float
    total_mwh: float
    why: str


class Finding(Record):
    """Something implausible that is no error."""

    topic: str
    text: str


class Verification(Record):
    """What the independent replay found.

    ``residuals`` maps a check to its largest relative violation (0 when it holds);
    a plan passes when every residual is at most ``tolerance``.
    """

    passed: bool
    tolerance: float
    residuals: dict[str, float]
    errors: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    replayed_windows: int = 0
    monte_carlo: dict[str, float] = Field(default_factory=dict)


class Step(Record):
    """One step before an energisation date: ready from when, and how many months it could slip."""

    step: str
    ready: str
    slack_months: int
    offer: str = ""


class PoolShare(Record):
    """Containers of one delivery in one credit state, where each pool meets the tests by itself."""

    phase: str
    offer: str
    period: str
    state: str
    containers: float


class Replacement(Record):
    """Goods of a node in place of Chinese ones, in a delivery period.

    ``offers`` are those that share them, ``part`` what is replaced (made in China by its firms, owned by them
    elsewhere, or hosted there), ``via`` the refinery of an ore; ``amount`` is in ``unit``.
    """

    period: str
    layer: str
    node: str
    via: str
    country: str
    owner_country: str
    offers: str
    part: str
    state: str
    energy_mwh: float
    material: str
    amount: float
    unit: str
    cost_musd: float


class LayerSource(Record):
    """Usable MWh of storage whose layer comes from one source: a node, or as the offers' rows say."""

    period: str
    layer: str
    source: str
    country: str
    owner_country: str
    energy_mwh: float


class EntityFlag(Record):
    """A flag of an offer that was bought: its status, since when, why, and how this plan reads it."""

    offer: str
    flag: str
    status: str
    since: str
    reason: str
    binds: bool


class RulePrice(Record):
    """What one rule or one doubt costs: the plan with it, and the cheapest plan without it or read the other way."""

    kind: str
    rule: str
    with_musd: float
    without_musd: float | None
    price_musd: float | None
    uncertain_musd: float
    note: str = ""


class Critical(Record):
    """What sets the load energised in a period."""

    period: str
    served_mw: float
    target_mw: float
    binding: str
    slack_mw: dict[str, float]
    steps: tuple[Step, ...] = ()


class HeldEnergy(Record):
    """Energy of an offer that is held back for outages in a period and season, in MWh of all its containers."""

    offer: str
    period: str
    season: int
    energy_mwh: float


class DailyUse(Record):
    """Containers of a delivery, in fractions, meant for daily use at a reserve setting; the others only stand by."""

    offer: str
    period: str
    reserve_frac: float
    containers: float


class RunningContainers(Record):
    """Containers of a delivery that run at their reserve setting in a period and season; what does not run is full."""

    offer: str
    delivery: str
    period: str
    season: int
    reserve_frac: float
    containers: float


class LotUse(Record):
    """Deliveries of one offer that run together in a period, or rest (reserve 1): what they can do, and their use."""

    lot: str
    offer: str
    deliveries: tuple[str, ...]
    reserve_frac: float
    power_mw: float
    energy_mwh: float
    floor_mwh: tuple[float, ...]
    discharged_mwh: float
    cycles: float
    soh_frac: float


class OperatingYear(Record):
    """One year of a period as scheduled: cost beside the load's own energy, in million USD a year, and its sources."""

    period: str
    import_mw: float
    flexible_mw: float
    export_mw: float
    served_mw: float
    grid_only_mw: float
    peak_import_mw: float
    cost_musd: float
    stack_musd: dict[str, float]
    lots: tuple[LotUse, ...]


class OperatedYears(Record):
    """Hourly operation of every period: what is held back, what is used every day, and the year that follows."""

    seasons: tuple[tuple[int, ...], ...]
    held: tuple[HeldEnergy, ...]
    daily_use: tuple[DailyUse, ...]
    running: tuple[RunningContainers, ...]
    added_mw: dict[str, float]
    years: tuple[OperatingYear, ...]
    value_musd: dict[str, float]
    earlier_months: float
    earlier_delay_musd: float


@dataclass(frozen=True, eq=False)
class YearSchedule:
    """Flows of one operating year per step, in MW; ``stored`` in MWh at the end of each step.

    One row per lot, generator or renewable (on-site PV of the case first) in the order of the names.
    """

    lots: tuple[str, ...]
    generators: tuple[str, ...]
    renewables: tuple[str, ...]
    imported: NDArray[np.float64]
    exported: NDArray[np.float64]
    renewable: NDArray[np.float64]
    generated: NDArray[np.float64]
    curtailed: NDArray[np.float64]
    unserved: NDArray[np.float64]
    charge: NDArray[np.float64]
    discharge: NDArray[np.float64]
    stored: NDArray[np.float64]
    load: NDArray[np.float64]
    price_usd_per_mwh: NDArray[np.float64]


class Plan(Record):
    """One solved and replayed planning question."""

    schema_version: str = SCHEMA_VERSION
    case: str
    title: str
    input_sha256: str
    status: PlanStatus
    cost_musd: float
    bound_musd: float
    gap_frac: float
    orders: tuple[Order, ...]
    placements: tuple[Placement, ...]
    zone_options: tuple[ZoneChoice, ...]
    retirements: tuple[Retirement, ...]
    cost_breakdown_musd: dict[str, float]
    public_musd: dict[str, float]
    exposure_frac: dict[str, float]
    domestic_content_frac: dict[str, float | None]
    macr_frac: dict[str, float | None]
    credit_state: dict[str, CreditState]
    served_mw: dict[str, float]
    critical_path: tuple[Critical, ...]
    reliability: tuple[Margin, ...]
    fire: tuple[ZoneUse, ...]
    requirement_waterfall_mwh: tuple[WaterfallStep, ...]
    required_mwh: float
    assumptions: tuple[str, ...]
    verification: Verification | None
    timing_s: dict[str, float]
    views_musd: dict[str, float] = Field(default_factory=dict)
    credit_pools: tuple[PoolShare, ...] = ()
    entities: tuple[EntityFlag, ...] = ()
    rule_prices: tuple[RulePrice, ...] = ()
    sourcing: tuple[Replacement, ...] = ()
    sourced_layers: tuple[LayerSource, ...] = ()
    provenance: dict[str, Any]
    dossier: Dossier | None = None
    operations: OperatedYears | None = None
    _schedules: Mapping[str, YearSchedule] = PrivateAttr(default_factory=dict)

    @property
    def schedules(self) -> Mapping[str, YearSchedule]:
        """Hourly schedule by period label, in memory only; ``write_plan`` files it."""
        return self._schedules

    def with_schedules(self, schedules: Mapping[str, YearSchedule]) -> Plan:
        """The same plan with its hourly schedules."""
        plan = self.model_copy()
        plan._schedules = dict(schedules)
        return plan


def plan_schema() -> dict[str, Any]:
    """JSON Schema of ``plan.json``; ``$id`` carries the version that ``schema_version`` must name."""
    schema = Plan.model_json_schema(mode="serialization")
    schema["properties"]["schema_version"] = {"const": SCHEMA_VERSION, "title": "Schema Version"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:storage-portfolio-planner:plan:{SCHEMA_VERSION}",
        **schema,
    }
