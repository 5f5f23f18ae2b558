"""What the model and the verifier both start from: frozen, no file left to read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from planner.case import Case
from planner.catalogue import (
    BanRow,
    Chemistry,
    ComponentWeightRow,
    Confidence,
    CostRow,
    CreditRow,
    DepreciationRow,
    Evidence,
    ExchangeRow,
    FactoryOutputRow,
    FactoryRow,
    FadeRow,
    FireRuleRow,
    Host,
    Kind,
    LayerWeightRow,
    LithiumRow,
    MaterialRow,
    Maturity,
    OfferSourcingRow,
    ProductionCreditRow,
    Row,
    SourceNodeRow,
    SourceOutputRow,
    Status,
    SupplierRow,
    TariffRow,
)  # fmt: skip
from planner.units import MONTHS_PER_YEAR

FloatArray = NDArray[np.float64]


class Tier(BaseModel):
    """Discount on the whole award from a nameplate volume on."""

    model_config = ConfigDict(frozen=True)
    tier: str
    from_mwh: float
    discount_frac: float


class Flag(BaseModel):
    """State of one entity flag: yes, no or disputed, and since when (month index or None)."""

    model_config = ConfigDict(frozen=True)
    status: Status
    since: int | None
    reason: str


class Component(BaseModel):
    """Origin of one listed component."""

    model_config = ConfigDict(frozen=True)
    present: bool
    us_made: bool
    prohibited: Status


class LayerShare(BaseModel):
    """China share of one supply-chain layer."""

    model_config = ConfigDict(frozen=True)
    production_frac: float
    ownership_frac: float


class Offer(BaseModel):
    """One supplier's product from one factory, gathered from the tables.

    Field units are those of ``planner.catalogue.OFFER_FIELDS``; ``price`` maps a year to
    USD per kWh on ``energy_basis`` or USD per kW, as ``price_unit`` says.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    offer: str
    supplier: str
    product: str
    chemistry: Chemistry
    kind: Kind
    cell_maker: str
    cell_factory: str
    assembly_plant: str
    cell_country: str
    origin: str
    software_country: str
    fade_curve: str
    evidence: Evidence
    maturity: Maturity
    host: Host
    price_layer: str
    incoterm: str
    includes: frozenset[str]
    energy_basis: str
    price_date: int
    valid_until: int
    duty_origin: str
    duty_class: str
    energy_nameplate_dc_mwh: float
    energy_usable_ac_mwh: float
    power_mw: float
    round_trip_eff_frac: float
    self_discharge_frac_per_day: float
    auxiliary_kw_per_mwh: float
    availability_frac: float
    response_s: float
    length_m: float
    width_m: float
    height_m: float
    mass_t: float
    design_life_yr: float
    min_order_mwh: float
    lead_time_months: int
    shipping_months: int
    qualification_months: int
    commissioning_months: int
    delivery_risk_frac: float
    dutiable_value_frac: float
    lithium_kg_per_kwh: float
    lithium_pass_through_frac: float
    om_usd_per_kwh_yr: float
    om_usd_per_kw_yr: float
    om_frac_per_yr: float
    fuel_usd_per_mwh: float
    permitted_h: float
    licensor_country: str = ""
    pay_order_frac: float = 0.0
    pay_delivery_frac: float = 0.0
    pay_acceptance_frac: float = 0.0
    expected_delay_months: float = 0.0
    delay_damages_frac_per_month: float = 0.0
    delay_damages_cap_frac: float = 0.0
    warranty_years: float = 0.0
    warranty_soh_frac: float = 0.0
    service_usd_per_kwh_yr: float = 0.0
    service_years: float = 0.0
    cancellation_fee_frac: float = 0.0
    grant_usd_per_kwh: float = 0.0
    price: dict[int, float]
    price_unit: str
    tiers: tuple[Tier, ...]
    flags: dict[str, Flag]
    components: dict[str, Component]
    layers: dict[str, LayerShare]
    confidence: Confidence

    @property
    def is_storage(self) -> bool:
        """Whether the offer stores energy (generators and contracts do not)."""
        return self.kind == "storage"

    @property
    def order_lead_months(self) -> int:
        """Months from order to commissioning."""
        return self.lead_time_months + self.shipping_months + self.qualification_months + self.commissioning_months


@dataclass(frozen=True)
class Period:
    """A delivery period, months [start, end); powers in MW."""

    index: int
    label: str
    start: int
    end: int
    target_mw: float
    floor_mw: float
    energisable_mw: float

    @property
    def years(self) -> float:
        """Length in years."""
        return (self.end - self.start) / MONTHS_PER_YEAR


@dataclass(frozen=True)
class Tables:
    """The rows of ``data/`` (with the case's own rows merged in) that are not part of an offer."""

    suppliers: tuple[SupplierRow, ...]
    factories: tuple[FactoryRow, ...]
    factory_output: tuple[FactoryOutputRow, ...]
    component_weights: tuple[ComponentWeightRow, ...]
    layer_weights: tuple[LayerWeightRow, ...]
    tariffs: tuple[TariffRow, ...]
    credits: tuple[CreditRow, ...]
    bans: tuple[BanRow, ...]
    fire_rules: tuple[FireRuleRow, ...]
    costs: tuple[CostRow, ...]
    fade: tuple[FadeRow, ...]
    lithium: tuple[LithiumRow, ...]
    production_credits: tuple[ProductionCreditRow, ...] = ()
    depreciation: tuple[DepreciationRow, ...] = ()
    exchange: tuple[ExchangeRow, ...] = ()
    materials: tuple[MaterialRow, ...] = ()
    source_nodes: tuple[SourceNodeRow, ...] = ()
    source_output: tuple[SourceOutputRow, ...] = ()
    offer_sourcing: tuple[OfferSourcingRow, ...] = ()

    @cached_property
    def fire_rules_by_rule(self) -> dict[tuple[str, str], tuple[FireRuleRow, ...]]:
        """Fire rules by profile and rule, in table order."""
        found: dict[tuple[str, str], tuple[FireRuleRow, ...]] = {}
        for row in self.fire_rules:
            found[row.profile, row.rule] = (*found.get((row.profile, row.rule), ()), row)
        return found

    @cached_property
    def cost_values(self) -> dict[tuple[str, str, str], float]:
        """Value of the first row of each cost, chemistry and origin."""
        return {(row.cost, row.chemistry, row.origin): row.value for row in reversed(self.costs)}


@dataclass(frozen=True)
class Problem:
    """One planning question with all its figures.

    Attributes
    ----------
    case
        The validated case.
    offers
        Every offer the case selects, in a fixed order.
    periods
        Delivery periods up to the horizon.
    tables
        Policy, cost, fire, fade and supply rows.
    load_pu
        Facility load per unit of peak, shape (T,), steps of ``dt_h`` hours.
    pv_cf
        On-site PV output per unit of capacity, shape (T,).
    price_usd_per_mwh
        Energy price series, any length.
    rows
        Every table row that was read, for provenance.
    renewable_cf
        Output per unit of capacity of each entry of ``operations.renewables``, hourly, any length.
    asked
        Case and overrides as ``load_case`` got them, so that a plan can name its question; no part of the question.
    """

    case: Case
    offers: tuple[Offer, ...]
    periods: tuple[Period, ...]
    tables: Tables
    load_pu: FloatArray
    pv_cf: FloatArray
    price_usd_per_mwh: FloatArray
    dt_h: float
    input_sha256: str
    rows: Mapping[str, tuple[Row, ...]] = field(repr=False)
    notes: tuple[str, ...] = ()
    asked: Mapping[str, object] = field(default_factory=dict)
    renewable_cf: Mapping[str, FloatArray] = field(default_factory=dict)

    @property
    def horizon(self) -> int:
        """Month index at which the plan ends."""
        return self.periods[-1].end

    @property
    def final_target_mw(self) -> float:
        """Load at full ramp."""
        return max(p.target_mw for p in self.periods)
