"""What the page and the workbook show beyond the plan's own figures, as data.

Everything here is computed beside the plan and stored in ``plan.json`` under ``dossier``;
the report draws it and does no arithmetic of its own. Money is present value in million USD
unless a name says otherwise.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Exhibit(BaseModel):
    """A frozen record; unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Fact(Exhibit):
    """One line of the question that was asked: a label and its value in words."""

    label: str
    text: str


class Span(Exhibit):
    """A delivery period: months ``YYYY-MM`` from ``start`` to before ``end``."""

    period: str
    start_month: str
    end_month: str
    target_mw: float
    floor_mw: float
    energisable_mw: float


def full_name(supplier: str, product: str) -> str:
    """Supplier and product as one name: the supplier not twice, and not where it is only a reference."""
    return product if product.startswith(supplier) or supplier.startswith("Reference ") else f"{supplier} {product}"


class Award(Exhibit):
    """Everything bought of one offer."""

    offer: str
    supplier: str
    product: str
    chemistry: str
    kind: str
    origin: str
    cell_country: str
    cell_maker: str
    assembly_plant: str
    software_country: str
    owner_country: str
    maturity: str
    fire_evidence: str
    confidence: str
    containers: int
    energy_usable_mwh: float
    energy_nameplate_mwh: float
    power_mw: float
    first_order_month: str
    first_delivery_month: str
    last_delivery_month: str
    storage_share_frac: float
    equipment_musd: float
    cost_musd: float

    @property
    def name(self) -> str:
        """Supplier and product, for sentences."""
        return full_name(self.supplier, self.product)


class OrderLine(Exhibit):
    """One order with its dates and the build-up of its cost, in USD per container.

    The chain is that of the conventions, section 6. Undiscounted: ``equipment = basis x price x
    (1 - discount)``, ``duty = duty_rate x dutiable_value x equipment``, ``installation = fixed + spares x
    equipment``, ``epc = epc_frac x`` the sum before it, ``capex`` = all of them. Present value: equipment by
    ``payment_factor``, the other capital items by ``delivery_factor``; the rest as named.

    Attributes
    ----------
    price_usd_per_basis
        USD per kWh or kW, with the lithium clause.
    basis_amount
        kWh or kW of one container that the price refers to.
    payment_factor_frac, delivery_factor_frac
        Discount factors of the payment milestones and of the delivery month.
    operation_equipment_yr
        Years of discounted operation cost times ``om_frac_per_yr``: part of operation per USD of equipment.
    insurance_capex_yr
        Discounted premiums over the life per USD of capex.
    residual_factor_frac
        Discounted residual value per USD of equipment.
    credit_factor_frac
        Credit rate times the discount factor of its payment, per USD of capex.
    """

    offer: str
    supplier: str
    chemistry: str
    kind: str
    origin: str
    period: str
    order_month: str
    arrival_month: str
    start_month: str
    retirement_month: str
    containers: int
    basis: str
    basis_amount: float
    price_usd_per_basis: float
    discount_frac: float
    duty_rate_frac: float
    dutiable_value_frac: float
    freight_usd: float
    power_conversion_usd: float
    balance_of_plant_usd: float
    installation_fixed_usd: float
    spares_frac: float
    epc_frac: float
    payment_factor_frac: float
    delivery_factor_frac: float
    fuel_usd: float
    land_usd: float
    operation_fixed_usd: float
    operation_equipment_yr: float
    insurance_capex_yr: float
    standby_energy_usd: float
    end_of_life_usd: float
    residual_factor_frac: float
    credit_factor_frac: float
    cost_musd: float


class OtherCost(Exhibit):
    """A cost that belongs to no container: qualification, barriers, delayed load."""

    item: str
    what: str
    cost_musd: float


class TariffPaid(Exhibit):
    """Duties on goods of one origin."""

    duty_origin: str
    containers: int
    dutiable_musd: float
    lowest_rate_frac: float
    highest_rate_frac: float
    duty_musd: float


class OutageCurve(Exhibit):
    """Requirement and delivery of the tightest period of a contingency, by hours counted.

    For every number of hours the count vector with the smallest margin is shown.
    """

    contingency: str
    lost: str
    period: str
    hours: tuple[float, ...]
    required_mwh: tuple[float, ...]
    delivered_mwh: tuple[float, ...]
    tightest_h: float
    margin_mwh: float


class PeriodMargin(Exhibit):
    """Smallest margin of a contingency in a period, and per unit of what is required there."""

    contingency: str
    period: str
    lost: str
    hours: float
    required_mwh: float
    margin_mwh: float
    margin_frac: float


class Standing(Exhibit):
    """Containers of one offer that stand in a period; energy usable AC when new."""

    period: str
    offer: str
    chemistry: str
    kind: str
    origin: str
    containers: int
    energy_mwh: float
    power_mw: float


class LayerExposure(Exhibit):
    """China's part of one supply-chain layer in goods of one origin, per unit of the required energy."""

    layer: str
    origin: str
    production_frac: float
    ownership_frac: float


class CountryShare(Exhibit):
    """Share of the storage bought (usable AC MWh) for which a role is held in a country."""

    role: str
    country: str
    energy_mwh: float
    share_frac: float


class Vintage(Exhibit):
    """Content of what is delivered in one period, against the thresholds of its construction phase."""

    period: str
    phase: str | None
    nameplate_mwh: float
    domestic_frac: float | None
    domestic_threshold_frac: float | None
    macr_frac: float | None
    macr_threshold_frac: float | None


class PhaseContent(Exhibit):
    """A construction phase: its ratios are what the credit is decided on."""

    phase: str
    construction_start_month: str
    deliveries_until_month: str
    nameplate_mwh: float
    domestic_frac: float | None
    domestic_threshold_frac: float
    macr_frac: float | None
    macr_threshold_frac: float | None
    state: str
    rate_frac: float
    credit_musd: float


class Block(Exhibit):
    """Containers of one offer in a grid, in metres from the zone's lower left corner.

    The array fills the lower left of the block; the rest of it is room for balance of plant.
    Cells of the array are filled row by row; each container stands in the middle of its cell.
    ``fire_group`` consecutive containers may burn together. A ``plot`` is a unit whose size is
    the whole area that it takes: it is drawn as its cell, with its area but not its shape.
    """

    offer: str
    chemistry: str
    origin: str
    kind: str
    containers: int
    x_m: float
    y_m: float
    length_m: float
    width_m: float
    array_length_m: float
    array_width_m: float
    columns: int
    rows: int
    container_x_m: float
    container_y_m: float
    gap_x_m: float
    gap_y_m: float
    fire_group: int
    plot: bool


class ZoneDrawing(Exhibit):
    """One zone to scale. The lot line is at the bottom and the sides, the data hall beyond the top edge.

    ``unplaced`` counts containers that the simple layout could not draw although their area fits.
    """

    zone: str
    zone_type: str
    period: str
    length_m: float
    width_m: float
    distance_to_hall_m: float
    distance_to_line_m: float
    barrier: bool
    setback_m: float
    line_inset_m: float
    hall_inset_m: float
    usable_m2: float
    occupied_m2: float
    containers: int
    unplaced: int
    blocks: tuple[Block, ...]


class Turn(Exhibit):
    """Something that would change the answer: what it is, and the money of this plan that rests on it."""

    topic: str
    at_stake_musd: float
    text: str


class Headline(Exhibit):
    """The answer in one line.

    ``full_load_month`` is the start of the first period in which the whole final load is energised, None if
    there is none; ``possible_saving_musd`` is cost less bound.
    """

    storage_containers: int
    storage_energy_mwh: float
    storage_power_mw: float
    storage_suppliers: int
    firm_units: int
    firm_power_mw: float
    first_order_month: str | None
    full_load_mw: float
    full_load_month: str | None
    possible_saving_musd: float


class Dossier(Exhibit):
    """Everything that the report shows besides the plan's own fields."""

    headline: Headline
    question: tuple[Fact, ...]
    periods: tuple[Span, ...]
    awards: tuple[Award, ...]
    order_lines: tuple[OrderLine, ...]
    other_costs: tuple[OtherCost, ...]
    tariffs: tuple[TariffPaid, ...]
    outage_curves: tuple[OutageCurve, ...]
    period_margins: tuple[PeriodMargin, ...]
    fleet: tuple[Standing, ...]
    layer_exposure: tuple[LayerExposure, ...]
    country_shares: tuple[CountryShare, ...]
    vintages: tuple[Vintage, ...]
    phases: tuple[PhaseContent, ...]
    site: tuple[ZoneDrawing, ...]
    turns: tuple[Turn, ...]
