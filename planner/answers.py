"""What ``planner explain`` and ``planner study`` answer, as data; field names are those of ``explain.json`` and
``regret.json``.

Costs are in million USD of present value. A pair ``..._lower`` / ``..._upper`` brackets the exact value: it
lies between the two, proved by a plan on one side and by a dual bound on the other.
"""

from __future__ import annotations

from typing import Literal

from planner.dossier import full_name
from planner.results import Plan, Record

SCHEMA_VERSION = "1.0"
#: Which problem a number is from: containers bought in fractions, or whole ones.
ProblemKind = Literal["fractions", "whole"]


class Bridge(Record):
    """From a quote to a comparable price: USD per usable AC kWh, step by step, for one offer and period.

    The steps from ``quoted`` to ``epc`` are undiscounted and add up to ``at_site_usd_per_kwh``, duty paid;
    those from ``payment_dates`` to ``tax_credit`` turn it into present value, ``net_usd_per_kwh``.
    """

    offer: str
    supplier: str
    chemistry: str
    origin: str
    period: str
    order_by: str
    bought: bool
    quoted_price: float
    price_unit: str
    energy_basis: str
    price_layer: str
    incoterm: str
    includes: str
    tier: str
    quoted_usd_per_kwh: float
    lithium_usd_per_kwh: float
    tier_discount_usd_per_kwh: float
    duty_usd_per_kwh: float
    freight_usd_per_kwh: float
    power_conversion_usd_per_kwh: float
    balance_of_plant_usd_per_kwh: float
    installation_usd_per_kwh: float
    epc_usd_per_kwh: float
    at_site_usd_per_kwh: float
    payment_dates_usd_per_kwh: float
    fuel_and_land_usd_per_kwh: float
    operation_usd_per_kwh: float
    insurance_usd_per_kwh: float
    standby_energy_usd_per_kwh: float
    end_of_life_usd_per_kwh: float
    residual_value_usd_per_kwh: float
    tax_credit_usd_per_kwh: float
    net_usd_per_kwh: float
    at_site_usd_per_kw: float
    confidence: str
    product: str = ""

    @property
    def name(self) -> str:
        """Supplier and product, for sentences; the name of the offer where the product is not stated."""
        return full_name(self.supplier, self.product) if self.product else self.offer


class Threshold(Record):
    """Where an offer enters or leaves the plan when one figure of it moves and nothing else does.

    On the ``enters`` side the offer is in the cheapest plan, on the ``stays_out`` side it is not, both proved;
    between the two it is a tie within the gaps. None: no value of the figure that was tried has that effect.
    ``period`` is the delivery that a price or a duty is stated for; those of all years move by the same share.
    """

    figure: Literal["price", "duty", "lead_time", "allocation"]
    unit: str
    now: float
    enters_at: float | None
    stays_out_at: float | None
    change_enters_frac: float | None
    change_stays_out_frac: float | None
    text: str
    period: str = ""


class OfferAnswer(Record):
    """Why an offer is, or is not, in the plan.

    ``extra_cost`` is what the plan costs more with the decision turned round: for an offer that is bought,
    the cost of losing it; for one that is not, the cost of buying its minimum order. ``settled`` tells whether
    that cost is known to the gap or to a tenth of itself, ``priced`` whether price and duty were looked for to the
    same end (a first bracket of the price may stand before), ``thorough`` whether lead time and allocation were too.
    """

    offer: str
    supplier: str
    chemistry: str
    origin: str
    bought: bool
    containers: int
    energy_mwh: float
    verdict: Literal["bought", "needed", "stays out", "tie", "cannot be bought", "does not fit", "open"]
    problem: ProblemKind
    with_lower_musd: float | None
    with_upper_musd: float | None
    without_lower_musd: float | None
    without_upper_musd: float | None
    extra_cost_lower_musd: float | None
    extra_cost_upper_musd: float | None
    thresholds: tuple[Threshold, ...]
    settled: bool = True
    priced: bool = True
    thorough: bool
    text: str
    product: str = ""

    @property
    def name(self) -> str:
        """Supplier and product, for sentences; the name of the offer where the product is not stated."""
        return full_name(self.supplier, self.product) if self.product else self.offer


class RulePrice(Record):
    """What is saved when one rule is dropped or eased and everything is decided anew.

    ``settled`` tells whether it was searched for to the gap: a first bracket may stand before.
    """

    rule: str
    words: str
    change: Literal["dropped", "eased"]
    amount: float
    unit: str
    now: float | None
    problem: ProblemKind
    saved_lower_musd: float | None
    saved_upper_musd: float | None
    verdict: Literal["binds", "costs nothing", "tie", "open"]
    text: str
    settled: bool = True


class Range(Record):
    """How much of a group every plan near the optimum buys, usable AC MWh of storage over the horizon.

    The smallest amount lies between ``least_lower`` and ``least_upper``, the largest between ``most_lower``
    and ``most_upper``; the inner figures belong to plans that were found.
    ``settled`` tells whether both are known as closely as was asked.
    """

    group: Literal["supplier", "country", "chemistry"]
    name: str
    within_frac: float
    problem: ProblemKind
    planned_mwh: float
    least_lower_mwh: float
    least_upper_mwh: float
    most_lower_mwh: float
    most_upper_mwh: float
    settled: bool = True
    verdict: Literal["in every plan", "in none", "a choice", "open"]


class AlternativeOrder(Record):
    """Containers of an offer for a period in an alternative plan."""

    offer: str
    period: str
    containers: int
    energy_mwh: float


class Alternative(Record):
    """A plan of whole containers near the optimum that is clearly different; replayed by the verifier."""

    number: int
    cost_musd: float
    extra_cost_musd: float
    extra_frac: float
    moved_frac: float
    verified: bool
    text: str
    orders: tuple[AlternativeOrder, ...]


class Baseline(Record):
    """A plan that a reviewer would ask about, costed and judged like the optimum.

    ``served_at_full_load_mw`` is the load carried through every outage that the case asks to survive, in
    ``full_load_period``, the first in which the plan itself energises its largest load; ``nothing_lost_mw`` the
    same if no supplier, country or fire group is ever lost.
    """

    baseline: str
    words: str
    status: str
    keeps_every_rule: bool
    cost_musd: float | None
    extra_cost_musd: float | None
    energy_mwh: float
    power_mw: float
    delay_musd: float
    full_load_period: str = ""
    served_at_full_load_mw: float
    nothing_lost_mw: float | None
    exposure_cell_frac: float | None
    exposure_value_frac: float | None
    domestic_content_frac: float | None
    breaks: tuple[str, ...]
    orders: tuple[AlternativeOrder, ...]


class Candidate(Record):
    """What one plan costs too much, at worst and on average over the futures; None where it does not survive them."""

    plan_of: str
    worst_musd: float | None
    expected_musd: float | None


class CaseRegret(Record):
    """The plans tried for one base case; ``left_out`` names futures that nobody survives."""

    case: str
    futures: tuple[str, ...]
    candidates: tuple[Candidate, ...]
    least_worst: str | None
    least_expected: str | None
    left_out: tuple[str, ...]


class Regret(Record):
    """Everything that ``regret.json`` holds: orders that must be signed before ``until`` are fixed, later ones not."""

    schema_version: str = SCHEMA_VERSION
    study: str
    until: str
    cases: tuple[CaseRegret, ...]


class Explanation(Record):
    """Everything that ``explain.json`` holds."""

    schema_version: str = SCHEMA_VERSION
    case: str
    input_sha256: str
    plan_cost_musd: float
    plan_bound_musd: float
    problem: ProblemKind
    gap_frac: float
    best_lower_musd: float | None = None
    best_upper_musd: float | None = None
    bridges: tuple[Bridge, ...] = ()
    offers: tuple[OfferAnswer, ...] = ()
    rules: tuple[RulePrice, ...] = ()
    ranges: tuple[Range, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    alternatives_text: str = ""
    baselines: tuple[Baseline, ...] = ()
    unfinished: tuple[str, ...] = ()
    solve_s: float = 0.0

    def is_of(self, plan: Plan) -> bool:
        """Whether these are answers about this plan, and not about an earlier one in the same folder."""
        same = (self.case, self.input_sha256, self.plan_cost_musd)
        return same == (plan.case, plan.input_sha256, plan.cost_musd)
