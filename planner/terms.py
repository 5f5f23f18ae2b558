"""Sections of a case on contracts, credits and governance."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from planner.catalogue import Frac, Maturity, NonNeg

Share = Annotated[float, Field(gt=0.0, le=1.0, allow_inf_nan=False)]


class Part(BaseModel):
    """A section of a case: frozen, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class Recapture(Part):
    """A stated scenario: the credit is taken back in a year of service, with a probability."""

    probability_frac: Frac
    year: Annotated[int, Field(ge=0, le=10)]
    rule: Literal["five_year", "ten_year"]


class Credits(Part):
    """What the tax-credit tests are applied to, and what may happen to the credit later."""

    unit: Literal["phase", "pools"]
    recapture: Recapture


class Contract(Part):
    """What holds where an offer's contract says nothing."""

    warranty_years: Annotated[float, Field(gt=0, le=40)]
    warranty_soh_frac: Share
    cancellation_probability_frac: Frac


class MaxShare(Part):
    """Largest share of the usable storage energy bought; null or no entry sets no limit."""

    supplier: Share | None
    country: Share | None
    chemistry: Share | None
    cell_factory: Share | None
    maturity: dict[Maturity, Frac]


class Governance(Part):
    """How far the buyer may lean on one name."""

    max_share: MaxShare
    min_suppliers: Annotated[int, Field(ge=0, le=20)]
    min_supplier_mwh: NonNeg


class MaturityAdder(Part):
    """Dearer money for unproven products: share of capex per year, by maturity."""

    proven: Annotated[float, Field(ge=0, le=0.2)]
    early: Annotated[float, Field(ge=0, le=0.2)]
    pilot: Annotated[float, Field(ge=0, le=0.2)]
