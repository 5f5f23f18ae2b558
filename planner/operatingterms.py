"""Section ``operations`` of a case: what the fleet may do in the hours without an outage."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from planner.catalogue import Frac, Name, NonNeg, Pos
from planner.terms import Part
from planner.units import Month

#: Megawatts from each date on; none before the first.
SteppedMw = Annotated[dict[Month, NonNeg], Field(max_length=400)]
Usd = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]


class OperatingGrid(Part):
    """What may pass the gate, and what it costs there beside the hourly price."""

    import_mw: SteppedMw | None
    flexible_mw: SteppedMw
    flexible_off_h: Annotated[float, Field(ge=0, le=8760)]
    export_mw: SteppedMw
    import_adder_usd_per_mwh: Usd
    export_fee_usd_per_mwh: Usd
    demand_usd_per_mw_month: Usd


class Curtailable(Part):
    """Share of the load that may be shed in any hour, at a price."""

    share_frac: Frac
    usd_per_mwh: Usd


class Carbon(Part):
    """A price on emissions, and what the grid and the generators emit."""

    usd_per_t: Usd
    grid_t_per_mwh: Annotated[float, Field(ge=0, le=3)]
    generator_t_per_mwh: Annotated[float, Field(ge=0, le=3)]


class Renewable(Part):
    """PV or wind on site: given megawatts, and megawatts that may be added at a cost."""

    kind: Literal["pv", "wind"]
    since: Month
    mw: NonNeg = 0.0
    mw_max: NonNeg = 0.0
    capex_usd_per_kw: NonNeg = 0.0
    om_usd_per_kw_yr: NonNeg = 0.0
    file: str | None = None
    column: str | None = None


class Operations(Part):
    """One operating year per delivery period, hour by hour."""

    enabled: bool
    price_years: tuple[Literal[2021, 2022], ...] | None
    grid: OperatingGrid
    curtailable: Curtailable
    carbon: Carbon
    generators: bool
    renewables: dict[Name, Renewable]
    seasons: Annotated[tuple[tuple[Annotated[int, Field(ge=1, le=12)], ...], ...], Field(min_length=1, max_length=12)]
    cycles_per_yr: Pos
    reserve_settings: Annotated[tuple[Annotated[float, Field(ge=0, lt=1)], ...], Field(min_length=1, max_length=8)]

    @field_validator("reserve_settings")
    @classmethod
    def _rising(cls, settings: tuple[float, ...]) -> tuple[float, ...]:
        if list(settings) != sorted(set(settings)):
            raise ValueError("shares must rise from each to the next")
        return settings

    @field_validator("seasons")
    @classmethod
    def _every_month(cls, seasons: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, ...], ...]:
        months = sorted(m for season in seasons for m in season)
        if months != list(range(1, 13)):
            raise ValueError("every month from 1 to 12 must stand in one season, once")
        return seasons
