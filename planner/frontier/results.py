"""The front of a planning question, as data; field names are those of ``frontier.json``."""

from __future__ import annotations

from planner.results import SCHEMA_VERSION, Record


class FrontierPoint(Record):
    """One whole-container plan on the front.

    ``bound_musd`` holds for every plan with no more exposure; ``relaxed_cost_musd`` is the least cost
    found with containers in fractions. Prices are million USD per point of exposure (0.01) given up
    to the left and won to the right, None at the ends.
    """

    cost_musd: float
    bound_musd: float
    gap_frac: float
    relaxed_cost_musd: float
    exposure_frac: float
    supported: bool
    plan: str
    status: str
    role: str
    price_left_musd: float | None
    price_right_musd: float | None
    cutoff_break_even_frac_per_yr: float | None
    public_net_musd: float
    public_usd_per_mwh: float | None


class FrontierSegment(Record):
    """A straight stretch of the front of the relaxed problem; an open end is a limit, not a plan."""

    left_exposure_frac: float
    left_cost_musd: float
    left_closed: bool
    right_exposure_frac: float
    right_cost_musd: float
    right_closed: bool
    price_musd: float


class FrontierJump(Record):
    """A step of the front: what a little less exposure costs there, and what changes."""

    exposure_frac: float
    cost_below_musd: float
    cost_at_musd: float
    words: str


class BandStep(Record):
    """Certified band at one exposure: least cost attained, and proved lower bound."""

    exposure_frac: float
    attained_musd: float
    bound_musd: float


class WeightPoint(Record):
    """The plan that one weight of security picks; ``point`` counts from 0."""

    theta: float
    point: int


class WeightGap(Record):
    """A stretch of the front that no weight reaches."""

    from_exposure_frac: float
    to_exposure_frac: float
    cost_musd: float


class Frontier(Record):
    """Cost against China exposure for one case and one measure."""

    schema_version: str = SCHEMA_VERSION
    case: str
    title: str
    scenario: str
    input_sha256: str
    measure: str
    tolerance: float
    uncovered_frac: float
    uncovered_whole_frac: float
    status: str
    firm: str
    required_mwh: float
    points: tuple[FrontierPoint, ...]
    segments: tuple[FrontierSegment, ...]
    jumps: tuple[FrontierJump, ...]
    band: tuple[BandStep, ...]
    weights: tuple[WeightPoint, ...]
    unreached: tuple[WeightGap, ...]
    unreached_saving_frac: float
    knee: int | None
    knee_words: str
    least_exposure_words: str
    break_even_words: str
    findings: tuple[str, ...]
    solves: int
    timing_s: dict[str, float]
