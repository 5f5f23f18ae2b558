"""One planning question, frozen: the schema of a case file.

Every key has its default in ``data/defaults.csv``, with source and confidence; the
classes here only say what is allowed. Unknown keys are refused.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from planner.catalogue import Chemistry, FlagName, Frac, Host, Name, NonNeg, Pos
from planner.changes import Committed, Disruption, Futures
from planner.operatingterms import Operations
from planner.terms import Contract, Credits, Governance, MaturityAdder, Part, Share
from planner.units import Month, month_text

MAX_SERVICE_H = 336.0
MAX_PERIODS = 120
SERIES_MW = Annotated[dict[Month, NonNeg], Field(min_length=1, max_length=400)]
Mw = Annotated[float, Field(gt=0.0, le=100_000.0, allow_inf_nan=False)]
MEASURES = (
    "cell", "value", "control", "chokepoint",
    "cell_ownership", "value_ownership", "chokepoint_ownership",
)  # fmt: skip
Measure = Literal[
    "cell", "value", "control", "chokepoint",
    "cell_ownership", "value_ownership", "chokepoint_ownership",
]  # fmt: skip
CONTINGENCIES = ("supplier", "cell_maker", "cell_factory", "country", "chemistry", "software", "fire_group")
#: Contingency kind -> the field of an offer that names what is lost together.
LOST_TOGETHER = {
    "supplier": "supplier",
    "cell_maker": "cell_maker",
    "cell_factory": "cell_factory",
    "country": "cell_country",
    "chemistry": "chemistry",
}


class PeriodBlock(Part):
    """``count`` delivery periods of ``months`` months each."""

    months: Annotated[int, Field(ge=1, le=120)]
    count: Annotated[int, Field(ge=1, le=MAX_PERIODS)]


class Timeline(Part):
    """When we decide, when deliveries may come, how far the plan looks."""

    decision: Month
    first: Month
    periods: Annotated[tuple[PeriodBlock, ...], Field(min_length=1, max_length=20)]
    horizon_years: Annotated[int, Field(ge=1, le=40)]
    later_months: Annotated[int, Field(ge=1, le=480)]

    @model_validator(mode="after")
    def _order(self) -> Timeline:
        if self.first < self.decision:
            raise ValueError(
                f"first: {month_text(self.first)} lies before decision {month_text(self.decision)};"
                " the first delivery period must not start before the decision"
            )
        return self


class LoadShape(Part):
    """Facility load per unit of peak: synthesised from a measured trace, or a file."""

    utilisation: Literal["google_2019", "azure_v2", "alibaba_2018"] | None
    climate: Literal["el_paso_tx", "greensboro_nc", "atlanta_ga", "tucson_az"] | None
    idle_frac: Frac
    cooling_frac_per_c: Annotated[float, Field(ge=0, le=0.05)]
    cooling_from_c: Annotated[float, Field(ge=-30, le=50)]
    years: Annotated[int, Field(ge=1, le=10)]
    hotter_c_per_year: Annotated[float, Field(ge=-5, le=5)]
    file: str | None
    column: str | None
    step_minutes: Literal[5, 10, 15, 20, 30, 60]


class Load(Part):
    """The campus ramp, what is contracted, and what a late megawatt costs."""

    target_mw: SERIES_MW
    floor_mw: Annotated[dict[Month, NonNeg], Field(max_length=400)]
    final_floor_frac: Frac
    delay_usd_per_mw_yr: Annotated[float, Field(ge=0, le=1e8)]
    shape: LoadShape

    @field_validator("target_mw")
    @classmethod
    def _rising(cls, series: dict[int, float]) -> dict[int, float]:
        values = [series[m] for m in sorted(series)]
        if any(b < a for a, b in pairwise(values)):
            raise ValueError("the targets must not fall from one date to the next")
        if values[-1] <= 0:
            raise ValueError("the last target must be above 0 MW")
        return dict(sorted(series.items()))

    @field_validator("floor_mw")
    @classmethod
    def _sorted(cls, series: dict[int, float]) -> dict[int, float]:
        return dict(sorted(series.items()))


class Prices(Part):
    """Hourly energy prices, which price standby losses."""

    hub: Literal["north", "west", "houston", "south"] | None
    years: Annotated[tuple[Literal[2021, 2022], ...], Field(min_length=1, max_length=2)]
    file: str | None
    column: str | None


class Photovoltaics(Part):
    """On-site PV that keeps running in an outage."""

    mw: Annotated[float, Field(ge=0, le=100_000)]
    derate_frac: Frac
    climate: Literal["el_paso_tx", "greensboro_nc", "atlanta_ga", "tucson_az"]


class ServiceStep(Part):
    """Share of the load to be served until an hour of the outage."""

    until_h: Annotated[float, Field(gt=0, le=MAX_SERVICE_H)]
    share_frac: Share


class Availability(Part):
    """How much of a fleet counts: its mean, or a safe quantile."""

    basis: Literal["mean", "quantile"]
    probability_frac: Annotated[float, Field(gt=0.5, lt=1.0)]
    fleet: Annotated[int, Field(ge=1, le=100_000)]


class RideThrough(Part):
    """What bridges the first seconds before slow units run."""

    ups_s: Annotated[float, Field(ge=0, le=3600)]


class Contingencies(Part):
    """Surviving share of the requirement after each loss; null switches one off."""

    supplier: Share | None
    cell_maker: Share | None
    cell_factory: Share | None
    country: Share | None
    chemistry: Share | None
    software: Share | None
    fire_group: Share | None


class Reliability(Part):
    """Which outages the campus must ride through, and what may fail on the way."""

    service: Annotated[tuple[ServiceStep, ...], Field(min_length=1, max_length=20)]
    length_known: bool
    reserve_frac: Share
    duty: Literal["float", "daily"]
    warranty: Literal["expected", "guaranteed"]
    availability: Availability
    ride_through: RideThrough
    contingencies: Contingencies
    contingencies_from: Month | None
    storage_mandate_h: Annotated[float, Field(ge=0, le=MAX_SERVICE_H)]

    @field_validator("service")
    @classmethod
    def _falling(cls, steps: tuple[ServiceStep, ...]) -> tuple[ServiceStep, ...]:
        if any(b.until_h <= a.until_h for a, b in pairwise(steps)):
            raise ValueError("until_h must rise from step to step")
        return steps


#: What may hold back load: keys of ``site.energisation``.
ENERGISATION_CAUSES = ("grid", "transformers", "permits", "fire_approval")


class Energisation(Part):
    """What lets load be switched on: megawatts from each date on, per cause."""

    grid: SERIES_MW
    transformers: SERIES_MW
    permits: SERIES_MW
    fire_approval: SERIES_MW | None


class Zone(Part):
    """A rectangle of the site; the data hall stands across its far long side."""

    zone: Name
    zone_type: Literal["outdoor_remote", "outdoor_near", "dedicated_building"]
    length_m: Pos
    width_m: Pos
    distance_to_hall_m: NonNeg
    distance_to_line_m: NonNeg
    fire_areas: Annotated[int, Field(ge=1, le=1000)]
    hazard_budget_mwh: NonNeg | None = None
    fire_water_lpm: NonNeg
    allowed_chemistries: tuple[Chemistry, ...] | None = None
    available_from: Month | None = None


class Site(Part):
    """The campus: climate, what can be hosted, what may be energised, where things stand."""

    region: Annotated[str, Field(min_length=1, max_length=80)]
    hosts: tuple[Host, ...]
    cell_temperature_c: Annotated[float, Field(ge=-20, le=50)]
    energisation: Energisation
    generator_mw_max: Annotated[float, Field(ge=0, le=100_000)]
    zones: Annotated[tuple[Zone, ...], Field(min_length=1, max_length=40)]

    @field_validator("zones")
    @classmethod
    def _unique(cls, zones: tuple[Zone, ...]) -> tuple[Zone, ...]:
        names = [z.zone for z in zones]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise ValueError(f"zone names must be unique; twice: {', '.join(twice)}")
        return zones


class Firm(Part):
    """When generators and firm contracts may serve."""

    min_outage_h: Annotated[float, Field(ge=0, le=MAX_SERVICE_H)]


class Fire(Part):
    """Fire code or insurer profile."""

    profile: Literal["common", "ifc2018", "ifc2024_nfpa855_2023", "nfpa855_2026", "fm_5_33", "san_diego_2024"]
    strict: bool


#: How a status in dispute is read: as no, or as yes.
Reading = Literal["allow", "refuse"]


class Phase(Part):
    """A construction phase: its start of construction, and the deliveries that belong to it."""

    phase: Name
    construction_start: Month
    deliveries_until: Month
    continuity_until: Month | None = None


class Policy(Part):
    """Tax credit, foreign-entity and content rules as this buyer reads them."""

    prevailing_wage: bool
    energy_community: bool
    monetisation: Literal["own", "transfer", "elective_pay", "none"]
    transfer_discount_frac: Frac
    disputed: Reading
    disputed_flags: dict[FlagName, Reading]
    domestic_floor_frac: Frac
    component_table: Name
    phases: Annotated[tuple[Phase, ...], Field(max_length=20)]

    @field_validator("phases")
    @classmethod
    def _ordered(cls, phases: tuple[Phase, ...]) -> tuple[Phase, ...]:
        ends = [h.deliveries_until for h in phases]
        if ends != sorted(set(ends)):
            raise ValueError("deliveries_until must rise from phase to phase")
        names = [h.phase for h in phases]
        if len(set(names)) != len(names):
            raise ValueError("phase names must be unique")
        return phases


class Payment(Part):
    """A milestone of the equipment price."""

    at: Literal["order", "delivery", "acceptance"]
    share_frac: Frac


class Finance(Part):
    """Discounting, payments, end value, taxes."""

    discount_rate_frac: Annotated[float, Field(ge=0, le=0.5)]
    residual_frac: Frac
    maturity_adder_frac_per_yr: MaturityAdder
    adder_years: Annotated[int, Field(ge=0, le=40)]
    tax_rate_frac: Annotated[float, Field(ge=0, le=0.6)]
    depreciation: Name
    lithium_path: Name
    payments: Annotated[tuple[Payment, ...], Field(min_length=1, max_length=3)]

    @field_validator("payments")
    @classmethod
    def _whole(cls, payments: tuple[Payment, ...]) -> tuple[Payment, ...]:
        total = sum(p.share_frac for p in payments)
        if abs(total - 1.0) > 1e-9:
            raise ValueError(f"the shares must add up to 1, not {total:g}")
        if len({p.at for p in payments}) != len(payments):
            raise ValueError("each milestone may stand once")
        return payments


class ExposureLimit(Part):
    """Largest allowed exposure, for the whole plan or for the fleet of each period."""

    max_frac: NonNeg
    per_period: bool = False


class OfferChoice(Part):
    """Which offers may be bought, and the buyer's own quotes."""

    use: tuple[Name, ...] | None
    exclude: tuple[Name, ...]
    mode: Literal["add", "replace"]
    own: Annotated[tuple[dict[str, Any], ...], Field(max_length=2000)]
    file: str | None


class Supply(Part):
    """Scale of what this buyer can obtain."""

    scale_frac: Annotated[float, Field(ge=0, le=100)]


class Sourcing(Part):
    """The supply chain before the cell as a network: off, kept as the tables say, or chosen with the portfolio.

    ``material_assistance``: ``component`` asks who made the cells, ``traced`` follows their materials to the mine.
    """

    mode: Literal["none", "table", "free"]
    material_assistance: Literal["component", "traced"]

    @property
    def traced(self) -> bool:
        """Whether material assistance looks behind the maker of the cells."""
        return self.mode != "none" and self.material_assistance == "traced"


class Security(Part):
    """How much exposure to China is worth avoiding, and what a cut-off of its exports would cost."""

    theta: Frac
    measure: Measure
    replacement_usd_per_kwh: Annotated[float, Field(ge=0, le=100_000)]
    wait_months: Annotated[float, Field(ge=0, le=240)]


class Solver(Part):
    """How exact, how long."""

    gap_frac: Annotated[float, Field(ge=0, lt=1)]
    time_limit_s: Annotated[float, Field(gt=0, le=1e6)]
    seed: Annotated[int, Field(ge=0, le=2_147_483_647)]


class Case(Part):
    """A whole planning question."""

    case: Name
    title: Annotated[str, Field(min_length=1, max_length=200)]
    buyer: Literal["hyperscaler", "utility", "defence"]
    timeline: Timeline
    load: Load
    prices: Prices
    pv: Photovoltaics
    reliability: Reliability
    site: Site
    firm: Firm
    fire: Fire
    policy: Policy
    credits: Credits
    contract: Contract
    governance: Governance
    objective: Literal["buyer", "resource"]
    finance: Finance
    exposure_limits: dict[Measure, ExposureLimit]
    offers: OfferChoice
    supply: Supply
    sourcing: Sourcing
    security: Security
    futures: Futures
    committed: Committed
    operations: Operations | None = None
    disruption: Disruption
    solver: Solver
    tables: dict[Name, str]

    @property
    def operating(self) -> Operations | None:
        """The section ``operations`` where it is switched on."""
        return self.operations if self.operations is not None and self.operations.enabled else None
