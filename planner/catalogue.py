"""The tables of ``data/``: typed rows, each with unit, source, date and confidence.

One class per table; the class is the schema. Rows are frozen and refuse unknown or
missing columns. Reading reports every fault of every table at once.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from planner.units import Month

Confidence = Literal["high", "medium", "low", "assumption", "memory"]
#: Lowest first: a plan is as good as the weakest row that entered it.
CONFIDENCE_ORDER: tuple[Confidence, ...] = ("assumption", "memory", "low", "medium", "high")
Status = Literal["yes", "no", "disputed"]
Chemistry = Literal[
    "lfp", "nmc", "nca", "sodium_ion", "zinc", "iron_flow", "vanadium_flow", "iron_air",
    "second_life", "thermal", "hydrogen", "caes", "gravity", "none",
]  # fmt: skip
#: Entity flags of an offer; the cut-offs are set by the futures of a case, not by the tables.
FlagName = Literal[
    "pfe_tax", "ndaa154", "usc4865", "list1260h", "fcc", "software_control", "service_provider",
    "cut_off_ordered", "cut_off_delivered", "cut_off_layer_ordered", "cut_off_layer_delivered",
]  # fmt: skip
Kind = Literal["storage", "generator", "firm_contract"]
Evidence = Literal["none", "unit_test", "lsft"]
Maturity = Literal["proven", "early", "pilot"]
Host = Literal["any", "salt_cavern", "process_heat", "elevation"]

Frac = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
Pos = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
NonNeg = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=1, max_length=400)]
Name = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-+ ]*$")]


def _blank_is_none(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


OptFlag = Annotated[FlagName | None, BeforeValidator(_blank_is_none)]
OptMonth = Annotated[Month | None, BeforeValidator(_blank_is_none)]
OptText = Annotated[str, Field(max_length=2000)]


class Row(BaseModel):
    """What every table row carries besides its own columns."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)
    table: ClassVar[str]
    key: ClassVar[tuple[str, ...]]

    unit: Text
    source: Text
    date: Text
    confidence: Confidence
    note: OptText = ""


class OfferRow(Row):
    """One product from one factory of origin: what it is and who stands behind it."""

    table: ClassVar[str] = "offers"
    key: ClassVar[tuple[str, ...]] = ("offer",)
    offer: Name
    supplier: Name
    product: Text
    chemistry: Chemistry
    kind: Kind
    cell_maker: Name
    cell_factory: Name
    assembly_plant: Name
    cell_country: Name
    origin: Name
    software_country: Name
    fade_curve: Name
    evidence: Evidence
    maturity: Maturity
    host: Host
    price_layer: Literal["dc_block", "ac_system", "all_in"]
    incoterm: Literal["EXW", "FOB", "CIF", "DAP", "DDP"]
    includes: OptText = ""
    currency: Literal["USD"]
    fx_date: Month
    energy_basis: Literal["dc_nameplate", "usable_ac"]
    price_date: Month
    valid_until: Month
    document: Text
    revision: Text
    duty_origin: Name
    duty_class: Name
    licensor_country: OptText = ""


#: Fields of ``offer_values.csv``: name -> (unit, type, default or ``...`` when required).
OFFER_FIELDS: dict[str, tuple[str, Any, Any]] = {
    "energy_nameplate_dc_mwh": ("MWh", Pos, ...),
    "energy_usable_ac_mwh": ("MWh", Pos, ...),
    "power_mw": ("MW", Pos, ...),
    "round_trip_eff_frac": ("frac", Annotated[float, Field(gt=0, le=1)], ...),
    "self_discharge_frac_per_day": ("frac/day", Annotated[float, Field(ge=0, le=0.2)], 0.0),
    "auxiliary_kw_per_mwh": ("kW/MWh", NonNeg, 0.0),
    "availability_frac": ("frac", Annotated[float, Field(gt=0.3, le=1)], ...),
    "response_s": ("s", NonNeg, ...),
    "length_m": ("m", Pos, ...),
    "width_m": ("m", Pos, ...),
    "height_m": ("m", Pos, ...),
    "mass_t": ("t", Pos, ...),
    "design_life_yr": ("yr", Annotated[float, Field(gt=0, le=80)], ...),
    "min_order_mwh": ("MWh", NonNeg, 0.0),
    "lead_time_months": ("months", Annotated[int, Field(ge=0, le=120)], ...),
    "shipping_months": ("months", Annotated[int, Field(ge=0, le=24)], 0),
    "qualification_months": ("months", Annotated[int, Field(ge=0, le=60)], 0),
    "commissioning_months": ("months", Annotated[int, Field(ge=0, le=36)], ...),
    "delivery_risk_frac": ("frac", Annotated[float, Field(ge=0, le=0.95)], 0.0),
    "dutiable_value_frac": ("frac", Frac, ...),
    "lithium_kg_per_kwh": ("kg LCE/kWh", NonNeg, 0.0),
    "lithium_pass_through_frac": ("frac", Frac, 0.0),
    "om_usd_per_kwh_yr": ("USD/kWh/yr", NonNeg, 0.0),
    "om_usd_per_kw_yr": ("USD/kW/yr", NonNeg, 0.0),
    "om_frac_per_yr": ("frac/yr", Annotated[float, Field(ge=0, le=0.2)], 0.0),
    "fuel_usd_per_mwh": ("USD/MWh", NonNeg, 0.0),
    "permitted_h": ("h", NonNeg, 0.0),
    "pay_order_frac": ("frac", Frac, 0.0),
    "pay_delivery_frac": ("frac", Frac, 0.0),
    "pay_acceptance_frac": ("frac", Frac, 0.0),
    "expected_delay_months": ("months", Annotated[float, Field(ge=0, le=60)], 0.0),
    "delay_damages_frac_per_month": ("frac/month", Frac, 0.0),
    "delay_damages_cap_frac": ("frac", Frac, 0.0),
    "warranty_years": ("yr", Annotated[float, Field(ge=0, le=40)], 0.0),
    "warranty_soh_frac": ("frac", Frac, 0.0),
    "service_usd_per_kwh_yr": ("USD/kWh/yr", NonNeg, 0.0),
    "service_years": ("yr", Annotated[float, Field(ge=0, le=40)], 0.0),
    "cancellation_fee_frac": ("frac", Frac, 0.0),
    "grant_usd_per_kwh": ("USD/kWh", NonNeg, 0.0),
}


class OfferValueRow(Row):
    """One measured, quoted or assumed figure of an offer."""

    table: ClassVar[str] = "offer_values"
    key: ClassVar[tuple[str, ...]] = ("offer", "field")
    offer: Name
    field: Name
    value: Finite


class OfferPriceRow(Row):
    """Price of one year of delivery, per kWh on the offer's energy basis or per kW."""

    table: ClassVar[str] = "offer_prices"
    key: ClassVar[tuple[str, ...]] = ("offer", "year")
    offer: Name
    year: Annotated[int, Field(ge=2020, le=2100)]
    value: Annotated[float, Field(gt=0, le=20000)]
    unit: Literal["USD/kWh", "USD/kW"]


class OfferTierRow(Row):
    """Discount on the whole award once it reaches a volume (nameplate MWh)."""

    table: ClassVar[str] = "offer_tiers"
    key: ClassVar[tuple[str, ...]] = ("offer", "tier")
    offer: Name
    tier: Name
    from_mwh: NonNeg
    discount_frac: Annotated[float, Field(ge=0, lt=0.9)]


class OfferFlagRow(Row):
    """One dated entity flag of an offer, with its reason."""

    table: ClassVar[str] = "offer_flags"
    key: ClassVar[tuple[str, ...]] = ("offer", "flag")
    offer: Name
    flag: FlagName
    status: Status
    since: OptMonth = None
    reason: Text


class OfferComponentRow(Row):
    """Origin of one listed component of IRS Notice 2025-08 in one offer."""

    table: ClassVar[str] = "offer_components"
    key: ClassVar[tuple[str, ...]] = ("offer", "component")
    offer: Name
    component: Name
    present: Literal["yes", "no"]
    us_made: Literal["yes", "no"]
    prohibited: Status


class OfferLayerRow(Row):
    """China share of one supply-chain layer of one offer, by place and by owner."""

    table: ClassVar[str] = "offer_layers"
    key: ClassVar[tuple[str, ...]] = ("offer", "layer")
    offer: Name
    layer: Name
    production_frac: Frac
    ownership_frac: Frac


class SupplierRow(Row):
    """The firm that signs: where it sits, who owns it, what qualifying it takes."""

    table: ClassVar[str] = "suppliers"
    key: ClassVar[tuple[str, ...]] = ("supplier",)
    supplier: Name
    hq_country: Name
    owner_country: Name
    qualification_usd: NonNeg


class FactoryRow(Row):
    """A cell factory or an assembly plant."""

    table: ClassVar[str] = "factories"
    key: ClassVar[tuple[str, ...]] = ("factory",)
    factory: Name
    stage: Literal["cell", "assembly"]
    owner: Name
    owner_country: Name
    country: Name


class FactoryOutputRow(Row):
    """Output of a factory in one year: ramp, what is promised to others, our reach."""

    table: ClassVar[str] = "factory_output"
    key: ClassVar[tuple[str, ...]] = ("factory", "year")
    factory: Name
    year: Annotated[int, Field(ge=2020, le=2100)]
    capacity_gwh: NonNeg
    committed_frac: Frac
    obtainable_frac: Frac


class ComponentWeightRow(Row):
    """Assigned cost percentage of a listed component (a versioned IRS table)."""

    table: ClassVar[str] = "component_weights"
    key: ClassVar[tuple[str, ...]] = ("version", "component")
    version: Name
    product: Name
    component: Name
    is_production: Literal["yes", "no"]
    weight_frac: Frac


class LayerWeightRow(Row):
    """Share of system value that a supply-chain layer adds, by chemistry."""

    table: ClassVar[str] = "layer_weights"
    key: ClassVar[tuple[str, ...]] = ("chemistry", "layer")
    chemistry: Chemistry
    layer: Name
    weight_frac: Frac


class TariffRow(Row):
    """Total ad valorem duty from a month on, by origin and product class."""

    table: ClassVar[str] = "tariffs"
    key: ClassVar[tuple[str, ...]] = ("duty_origin", "duty_class", "since")
    duty_origin: Name
    duty_class: Name
    since: Month
    rate_frac: Annotated[float, Field(ge=0, le=5)]


class CreditRow(Row):
    """A rate, threshold or phase-out of the tax credit by start of construction."""

    table: ClassVar[str] = "credits"
    key: ClassVar[tuple[str, ...]] = ("parameter", "since")
    parameter: Literal[
        "base_pwa_frac", "base_no_pwa_frac", "bonus_pwa_frac", "bonus_no_pwa_frac",
        "energy_community_pwa_frac", "energy_community_no_pwa_frac",
        "domestic_threshold_frac", "macr_threshold_frac", "available_frac", "elective_kept_frac",
    ]  # fmt: skip
    since: Month
    value: Frac


class ProductionCreditRow(Row):
    """Credit that the public pays a US maker per kWh of a component sold from a month on (26 USC 45X)."""

    table: ClassVar[str] = "production_credits"
    key: ClassVar[tuple[str, ...]] = ("component", "since")
    component: Name
    since: Month
    usd_per_kwh: NonNeg


class DepreciationRow(Row):
    """Share of the basis that a schedule deducts in a year of service (year 1 is the first)."""

    table: ClassVar[str] = "depreciation"
    key: ClassVar[tuple[str, ...]] = ("schedule", "year")
    schedule: Name
    year: Annotated[int, Field(ge=1, le=60)]
    deducted_frac: Frac


class ExchangeRow(Row):
    """What one unit of a currency is worth from a month on."""

    table: ClassVar[str] = "exchange"
    key: ClassVar[tuple[str, ...]] = ("currency", "since")
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    since: Month
    usd_per_unit: Pos


class BanRow(Row):
    """A dated purchase ban: who may not buy what. Everything that the row names must hold at once.

    ``flag``: the entity flag binds. ``makers``: cell maker or supplier is one of these (``;``).
    ``layers``: the value-weighted China share of these layers (``;``) is above ``china_frac``.
    ``licensor_country``: the technology is licensed from there.

    With the sourcing network on, a ``flag`` that is only disputed counts as no where the buyer's own sourcing
    keeps the China share of ``proof_layers`` (``;``), by value, at ``proof_frac`` or below; a layer cut off is passed
    in the same way.
    """

    table: ClassVar[str] = "bans"
    key: ClassVar[tuple[str, ...]] = ("ban", "buyer")
    ban: Name
    buyer: Literal["hyperscaler", "utility", "defence"]
    flag: OptFlag = None
    since: Month
    clock: Literal["order", "delivery"]
    makers: OptText = ""
    layers: OptText = ""
    china_frac: Frac = 0.0
    licensor_country: OptText = ""
    proof_layers: OptText = ""
    proof_frac: Frac = 0.0

    @model_validator(mode="after")
    def _asks_something(self) -> BanRow:
        if self.flag is None and not (self.makers or self.layers or self.licensor_country):
            raise ValueError("a ban needs a flag, makers, layers or a licensor_country")
        return self


class FireRuleRow(Row):
    """One number of a fire code or an insurer, with edition, section and evidence tag."""

    table: ClassVar[str] = "fire_rules"
    key: ClassVar[tuple[str, ...]] = ("profile", "rule", "chemistry", "zone_type", "evidence", "barrier")
    profile: Name
    rule: Literal[
        "hazard_class", "setback_hall_m", "setback_line_m", "footprint_multiplier", "bop_multiplier",
        "group_containers", "fire_area_cap_mwh", "fire_water_lpm", "event_rate_per_gw_yr",
    ]  # fmt: skip
    chemistry: Annotated[str, Field(pattern=r"^(\*|[a-z_]+)$")]
    zone_type: Literal["*", "outdoor_remote", "outdoor_near", "dedicated_building"]
    evidence: Literal["*", "none", "unit_test", "lsft"]
    barrier: Literal["*", "yes", "no"]
    value: NonNeg
    edition: Text
    section: Text
    tag: Literal["P", "S", "M", "A", "C"]


class CostRow(Row):
    """A cost layer that is the same for every supplier."""

    table: ClassVar[str] = "costs"
    key: ClassVar[tuple[str, ...]] = ("cost", "chemistry", "origin")
    cost: Literal[
        "freight_usd_per_t", "power_conversion_usd_per_kw", "transformer_usd_per_kw",
        "balance_of_plant_usd_per_kwh", "balance_of_plant_usd_per_kw", "installation_usd_per_kwh",
        "commissioning_usd_per_kw", "spares_frac", "epc_frac", "land_usd_per_m2",
        "barrier_usd_per_m", "insurance_frac_per_yr", "end_of_life_usd_per_kwh",
        "export_haul_usd_per_t", "inland_freight_frac",
    ]  # fmt: skip
    chemistry: Annotated[str, Field(pattern=r"^(\*|[a-z_]+)$")]
    origin: Annotated[str, Field(pattern=r"^(\*|[A-Za-z_ ]+)$")]
    value: Finite


class FadeRow(Row):
    """State of health at an age, by duty and cell temperature."""

    table: ClassVar[str] = "fade"
    key: ClassVar[tuple[str, ...]] = ("curve", "duty", "temperature_c", "age_yr")
    curve: Name
    duty: Literal["float", "daily"]
    temperature_c: Finite
    age_yr: NonNeg
    soh_frac: Annotated[float, Field(gt=0, le=1)]


class LithiumRow(Row):
    """Lithium carbonate price path (real)."""

    table: ClassVar[str] = "lithium"
    key: ClassVar[tuple[str, ...]] = ("path", "year")
    path: Name
    year: Annotated[int, Field(ge=2020, le=2100)]
    usd_per_kg: Pos


class MaterialRow(Row):
    """What a nameplate kWh of a chemistry takes from one supply-chain layer, in kg or m2."""

    table: ClassVar[str] = "materials"
    key: ClassVar[tuple[str, ...]] = ("chemistry", "layer")
    chemistry: Chemistry
    layer: Name
    material: Text
    amount_per_kwh: Pos
    unit: Literal["kg LCE/kWh", "kg/kWh", "m2/kWh"]


class SourceNodeRow(Row):
    """A mine, refinery or plant that cells can be sourced from.

    ``premium_usd_per_unit`` is what a kg (or m2) costs above Chinese supply. Goods leave the node
    ``ahead_months`` before the container is commissioned, from ``start`` on; with probability
    ``delay_risk_frac`` they are not there. ``feeds`` names the refineries (``;``) that take a mine's ore.
    """

    table: ClassVar[str] = "source_nodes"
    key: ClassVar[tuple[str, ...]] = ("node",)
    node: Name
    layer: Name
    owner: Text
    country: Name
    owner_country: Name
    chemistries: Text
    feeds: OptText = ""
    premium_usd_per_unit: Finite
    ahead_months: Annotated[int, Field(ge=0, le=60)]
    start: Month
    delay_risk_frac: Annotated[float, Field(ge=0, le=0.95)]


class SourceOutputRow(Row):
    """Output of a source node in one year (kt or million m2), what is promised to others, our reach."""

    table: ClassVar[str] = "source_output"
    key: ClassVar[tuple[str, ...]] = ("node", "year")
    node: Name
    year: Annotated[int, Field(ge=2020, le=2100)]
    capacity: NonNeg
    committed_frac: Frac
    obtainable_frac: Frac


class OfferSourcingRow(Row):
    """What the maker of an offer's cells accepts in one layer: node names (``;``) or ``*``, and what a change costs."""

    table: ClassVar[str] = "offer_sourcing"
    key: ClassVar[tuple[str, ...]] = ("offer", "layer")
    offer: Name
    layer: Name
    nodes: Text
    change_usd_per_kwh: NonNeg


TABLES: tuple[type[Row], ...] = (
    OfferRow, OfferValueRow, OfferPriceRow, OfferTierRow, OfferFlagRow, OfferComponentRow,
    OfferLayerRow, SupplierRow, FactoryRow, FactoryOutputRow, ComponentWeightRow, LayerWeightRow,
    TariffRow, CreditRow, BanRow, FireRuleRow, CostRow, FadeRow, LithiumRow, ProductionCreditRow, DepreciationRow,
    ExchangeRow, MaterialRow, SourceNodeRow, SourceOutputRow, OfferSourcingRow,
)  # fmt: skip
