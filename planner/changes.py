"""What futures may change and what is signed: the sections ``futures``, ``committed`` and ``disruption`` of a case.

Every change has a name, so that overlays add to each other, and says where its numbers come
from. ``planner.futures`` applies them to the tables, before the model or the verifier see any.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from planner.catalogue import Chemistry, Confidence, Frac, Maturity, Name, OptText, Text
from planner.units import Month

Year = Annotated[int, Field(ge=2020, le=2100)]
#: A factor on a figure of the tables; 1 changes nothing.
Scale = Annotated[float, Field(ge=0.0, le=100.0, allow_inf_nan=False)]
PosScale = Annotated[float, Field(gt=0.0, le=100.0, allow_inf_nan=False)]
Names = Annotated[tuple[Name, ...], Field(min_length=1, max_length=200)]


class Change(BaseModel):
    """One change of the future, with the source of its numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    source: Text
    confidence: Confidence
    note: OptText = ""


class OfferChoiceKeys(Change):
    """Which offers a change means: those that fit every key given; all of them if none is."""

    offers: Names | None = None
    suppliers: Names | None = None
    chemistries: Annotated[tuple[Chemistry, ...], Field(min_length=1)] | None = None
    maturities: Annotated[tuple[Maturity, ...], Field(min_length=1)] | None = None
    origins: Names | None = None
    cell_countries: Names | None = None


class OfferChange(OfferChoiceKeys):
    """Prices, waiting times, risk, content and grants of offers.

    ``price_scale_frac`` acts on years of delivery from ``from_year`` on; ``china_scale_frac`` on
    the China share of a supply-chain layer, by place and by owner. ``grant_add_usd_per_kwh`` is public
    money for the buyer, per usable AC kWh at delivery.
    """

    from_year: Year | None = None
    price_scale_frac: PosScale = 1.0
    lithium_scale_frac: Scale = 1.0
    lead_add_months: Annotated[int, Field(ge=-60, le=120)] = 0
    risk_add_frac: Annotated[float, Field(ge=-0.95, le=0.95)] = 0.0
    china_scale_frac: dict[Name, Frac] = {}
    grant_add_usd_per_kwh: Annotated[float, Field(ge=0.0, le=1000.0)] = 0.0
    withdrawn: bool = False


class FactoryChange(Change):
    """Output of factories: those that fit every key given; all of them if none is.

    A ramp that is ``delay_months`` late reaches in a year what the tables give that much earlier.
    """

    factories: Names | None = None
    countries: Names | None = None
    owner_countries: Names | None = None
    chemistries: Annotated[tuple[Chemistry, ...], Field(min_length=1)] | None = None
    from_year: Year | None = None
    delay_months: Annotated[int, Field(ge=-120, le=240)] = 0
    output_scale_frac: Scale = 1.0
    obtainable_scale_frac: Scale = 1.0


class NodeChange(Change):
    """Mines, refineries and plants of the sourcing network: those that fit every key given; all if none is.

    ``start_add_months`` moves start and ramp (negative: earlier); ``premium_add_usd_per_unit`` is per kg or m2,
    negative for a credit per unit made.
    """

    nodes: Names | None = None
    layers: Names | None = None
    countries: Names | None = None
    owner_countries: Names | None = None
    start_add_months: Annotated[int, Field(ge=-120, le=240)] = 0
    output_scale_frac: Scale = 1.0
    obtainable_scale_frac: Scale = 1.0
    risk_scale_frac: Annotated[float, Field(ge=0.0, le=10.0)] = 1.0
    premium_add_usd_per_unit: Annotated[float, Field(ge=-1000.0, le=1000.0)] = 0.0


class DutyChange(Change):
    """Points of duty added by origin and class, from a month until another."""

    origins: Names | None = None
    classes: Names | None = None
    since: Month
    until: Month | None = None
    add_frac: Annotated[float, Field(ge=-5.0, le=5.0)]

    @model_validator(mode="after")
    def _order(self) -> DutyChange:
        if self.until is not None and self.until <= self.since:
            raise ValueError("until must be later than since")
        return self


class CutOff(Change):
    """Goods of a country that stop coming from a month on.

    ``goods`` is ``cell`` or ``system`` (by the offer's country of cells or of origin), or a
    supply-chain layer: then offers whose China share of it exceeds ``above_frac`` stop. ``clock`` says
    what still comes: what is ``ordered`` or ``shipped`` before the month, or only what is ``delivered``.
    """

    countries: Names
    goods: Name
    above_frac: Frac = 0.5
    since: Month
    clock: Annotated[str, Field(pattern=r"^(ordered|shipped|delivered)$")]

    @model_validator(mode="after")
    def _layers_are_of_china(self) -> CutOff:
        if self.goods not in ("cell", "system") and self.countries != ("China",):
            raise ValueError("a layer is only known for countries: [China]; other countries take goods cell or system")
        return self


class LithiumChange(Change):
    """The lithium price path that the case follows, times a factor from a year on."""

    from_year: Year
    price_scale_frac: PosScale


class CostChange(Change):
    """Cost layers that are the same for every supplier, times a factor."""

    costs: Names
    chemistries: Annotated[tuple[Chemistry, ...], Field(min_length=1)] | None = None
    value_scale_frac: Scale


class LoadChange(Change):
    """The campus: later, smaller, or with longer outages to bridge in full.

    ``full_service_h`` lengthens the first step of the service profile to at least so many hours.
    """

    delay_months: Annotated[int, Field(ge=0, le=120)] = 0
    target_scale_frac: PosScale = 1.0
    full_service_h: Annotated[float, Field(ge=0, le=336)] = 0.0


class Futures(BaseModel):
    """What is different from the tables in this future; empty sections change nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    offers: dict[Name, OfferChange]
    factories: dict[Name, FactoryChange]
    duties: dict[Name, DutyChange]
    cutoffs: dict[Name, CutOff]
    lithium: dict[Name, LithiumChange]
    costs: dict[Name, CostChange]
    load: dict[Name, LoadChange]
    nodes: dict[Name, NodeChange]


class SignedOrder(BaseModel):
    """Whole containers of an offer signed for the delivery period that starts in a month."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    offer: Name
    delivery: Month
    containers: Annotated[int, Field(ge=1, le=1_000_000)]


class Committed(BaseModel):
    """Orders that are signed already.

    Orders that must be signed before ``until`` are those listed and no others; later ones are free.
    Signed orders are taken as far as their factories still deliver to this buyer; what a cut-off
    stops is lost. ``until: null`` switches the section off.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    until: Month | None
    orders: Annotated[tuple[SignedOrder, ...], Field(max_length=2000)]


class UncertainFuture(BaseModel):
    """A future that may come, with its probability and the month in which it becomes known.

    Orders signed before ``known`` stand; later ones can answer it. Its changes are those of the section ``futures``,
    but for the load. ``premium_frac`` makes new orders of storage dearer once it is known; ``back_frac`` of the
    unsecured money paid in advance for goods that do not come is given back.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    probability_frac: Frac
    known: Month
    premium_frac: Annotated[float, Field(ge=0.0, le=5.0)] = 0.0
    back_frac: Frac = 0.0
    offers: dict[Name, OfferChange] = {}
    factories: dict[Name, FactoryChange] = {}
    duties: dict[Name, DutyChange] = {}
    cutoffs: dict[Name, CutOff] = {}
    lithium: dict[Name, LithiumChange] = {}
    costs: dict[Name, CostChange] = {}
    nodes: dict[Name, NodeChange] = {}
    source: Text
    confidence: Confidence
    note: OptText = ""

    @property
    def changes(self) -> dict[str, dict[str, Change]]:
        """Its changes by section of ``futures``."""
        names = ("offers", "factories", "duties", "cutoffs", "lithium", "costs", "nodes")
        return {name: dict(getattr(self, name)) for name in names if getattr(self, name)}


class CapacityOption(Change):
    """The right to buy up to ``containers`` of an offer sooner than others and at a fixed factor on its price.

    The fee is paid at the decision for every container reserved; each may be called until ``expires``, and comes
    ``lead_months`` after the call plus shipping and commissioning. It is part of what the factory gives this buyer.
    """

    offer: Name
    containers: Annotated[int, Field(ge=1, le=1_000_000)]
    fee_usd_per_kwh: Annotated[float, Field(ge=0.0, le=10_000.0)]
    strike_frac: PosScale
    expires: Month
    lead_months: Annotated[int, Field(ge=0, le=120)]


class CancellationStep(BaseModel):
    """From so many months after signing on, cancelling a container costs this share of its price."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    after_months: Annotated[int, Field(ge=0, le=240)]
    fee_frac: Annotated[float, Field(ge=0.0, le=2.0)]


class Disruption(BaseModel):
    """Futures of which one may come, and what can be done before and after; no future switches the section off.

    What the probabilities leave over is the calm future: nothing but what the rest of the case says.
    ``secured_frac`` of a payment in advance is under a bond and comes back in any case.
    ``short_usd_per_mw_yr`` is what contracted load costs that is not served in time, beside the delay; null lets no
    future break a contract. ``aim: expected`` minimises expected cost plus ``cvar_weight`` times the mean cost of the
    worst ``tail_frac``; ``worst`` the cost of the worst future.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    futures: Annotated[dict[Name, UncertainFuture], Field(max_length=60)]
    options: Annotated[dict[Name, CapacityOption], Field(max_length=40)]
    cancellation: Annotated[tuple[CancellationStep, ...], Field(max_length=20)]
    secured_frac: Frac
    short_usd_per_mw_yr: Annotated[float, Field(ge=0.0, le=1e9)] | None
    aim: Literal["expected", "worst"]
    cvar_weight: Annotated[float, Field(ge=0.0, le=1000.0)]
    tail_frac: Annotated[float, Field(gt=0.0, le=1.0)]

    @model_validator(mode="after")
    def _consistent(self) -> Disruption:
        total = sum(f.probability_frac for f in self.futures.values())
        if total > 1.0 + 1e-9:
            raise ValueError(f"futures: the probabilities add up to {total:g}; they must not exceed 1")
        months = [s.after_months for s in self.cancellation]
        if months != sorted(set(months)):
            raise ValueError("cancellation: after_months must rise from step to step")
        if "calm" in self.futures:
            raise ValueError("futures: calm is the name of what the probabilities leave over; take another name")
        return self
