"""The front in a few lines: its ends, the half and the knee, what each costs, and what lies between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from planner.report.captions import offer_names
from planner.report.pack import Front, Jump, Point
from planner.report.wording import musd, number, percent, with_names
from planner.results import Plan
from planner.units import USD_PER_MUSD

#: Less exposure than this is none.
_NONE = 1e-6


@dataclass(frozen=True)
class NamedPoint:
    """A point of the front that has a name, or several; the premium is over the cheap end, in million USD."""

    keys: str
    name: str
    at: int
    point: Point
    premium_musd: float

    @property
    def where(self) -> str:
        """Its name within a sentence."""
        key = self.keys.split()[-1]
        return "with half the exposure" if key == "half" else f"at the {key}" + ("" if key == "knee" else " end")


@dataclass(frozen=True)
class WeightRow:
    """The weights of security that pick one and the same plan."""

    lowest: float
    highest: float
    at: int
    point: Point


@dataclass(frozen=True)
class Stretch:
    """From one plan that a payment per MWh picks to the next: who pays for the exposure that goes.

    Money is million USD more than before the step; below zero that side gains. What the buyer pays per MWh is the
    payment at which the step is worth the buyer's while; duties lost and credits are parts of what the public pays.
    """

    before: Point
    after: Point
    removed_mwh: float
    buyer_musd: float
    public_musd: float | None
    duties_lost_musd: float | None
    credits_musd: float | None

    @property
    def buyer_usd_per_mwh(self) -> float:
        """What the buyer pays for each MWh of exposure that goes."""
        return self.buyer_musd * USD_PER_MUSD / self.removed_mwh

    @property
    def public_usd_per_mwh(self) -> float | None:
        """The same for the public."""
        return None if self.public_musd is None else self.public_musd * USD_PER_MUSD / self.removed_mwh


@dataclass(frozen=True)
class FrontView:
    """What a reader asks of a front.

    Attributes
    ----------
    named
        The cheap end, the first plan with half its exposure, the knee, and the secure end; a plan that is several of
        them has one row.
    sentences
        By what is asked: ``half``, ``zero``, ``knee``, ``cutoff``, ``public``.
    jumps
        From the most exposure to the least.
    weights
        In the order of the weights.
    stretches
        Between plans that some payment per MWh of exposure removed picks, from cheap to secure.
    next_jump
        For every point the jump that lies next on the way to less exposure, None where there is none.
    """

    named: tuple[NamedPoint, ...]
    sentences: dict[str, str]
    jumps: tuple[Jump, ...]
    weights: tuple[WeightRow, ...]
    stretches: tuple[Stretch, ...]
    next_jump: tuple[int | None, ...]


def front_view(front: Front, plans: Sequence[Plan | None]) -> FrontView:
    """Read a front whose points run from cheap to secure, with the plan of each."""
    front = _with_names(front, plans)
    points = front.points
    half = _first_below(front, points[0].exposure_frac / 2)
    knee = next((i for i, p in enumerate(points) if p.role == "knee"), None)
    places = (("cheap", "Cheap end", 0), ("half", "Half the exposure", half), ("knee", "Knee", knee),
              ("secure", "Secure end", len(points) - 1))  # fmt: skip
    named: dict[int, NamedPoint] = {}
    for key, name, i in places:
        if i is not None:
            keys, names = (f"{named[i].keys} {key}", f"{named[i].name}, {name.lower()}") if i in named else (key, name)
            named[i] = NamedPoint(keys, names, i, points[i], points[i].cost_musd - points[0].cost_musd)
    jumps = tuple(sorted(front.jumps, key=lambda j: -j.exposure_frac))
    stretches = tuple(_stretches(front, plans))
    ordered = tuple(sorted(named.values(), key=lambda n: n.at))
    said = _sentences(front, half) | {"cutoff": _cutoff(ordered), "public": _public(ordered, stretches)}
    return FrontView(
        named=ordered, sentences=said, jumps=jumps, weights=_weights(front), stretches=stretches,
        next_jump=tuple(_next(jumps, p.exposure_frac) for p in points),
    )  # fmt: skip


def _with_names(front: Front, plans: Sequence[Plan | None]) -> Front:
    """The front with offers called by supplier and product wherever its words name them."""
    names = offer_names([p for p in plans if p is not None])

    def said(text: str) -> str:
        return with_names(text, names)

    return front.model_copy(
        update={
            "jumps": tuple(j.model_copy(update={"words": said(j.words)}) for j in front.jumps),
            "knee_words": said(front.knee_words),
            "least_exposure_words": said(front.least_exposure_words),
        }
    )


def _first_below(front: Front, exposure_frac: float) -> int | None:
    return next((i for i, p in enumerate(front.points) if p.exposure_frac <= exposure_frac + _NONE), None)


def _sentences(front: Front, half: int | None) -> dict[str, str]:
    cheap, secure = front.points[0], front.points[-1]
    said = {"knee": front.knee_words}
    if cheap.exposure_frac <= _NONE:
        return said | {
            "half": "The cheapest plan has no exposure by this measure: there is nothing to cut.",
            "zero": "No exposure at all costs nothing more: the cheapest plan has none.",
        }
    if half is None:
        said["half"] = "No plan of this front has half the exposure of the cheapest."
    else:
        said["half"] = f"To cut exposure by half costs {_more(front, half, cheap.exposure_frac / 2)}."
    if secure.exposure_frac <= _NONE:
        said["zero"] = f"To have none at all costs {_more(front, len(front.points) - 1, secure.exposure_frac)}."
    else:
        said["zero"] = front.least_exposure_words or "No plan of this front is without exposure."
    return said


def _more(front: Front, at: int, exposure_frac: float) -> str:
    """What a point costs more than the cheap end, and what is proved that any such plan must cost more."""
    cheap, point = front.points[0], front.points[at]
    text = f"{musd(point.cost_musd - cheap.cost_musd)} million USD more than the cheapest plan"
    bound = proved_musd(front, exposure_frac)
    if bound is not None and bound > cheap.cost_musd:
        text += f"; no plan with so little exposure costs less than {musd(bound - cheap.cost_musd)} more"
    return text


def proved_musd(front: Front, exposure_frac: float) -> float | None:
    """Cost below which no plan with at most this exposure lies: the bound of the next step up holds for it too."""
    above = [b for b in front.band if b.exposure_frac >= exposure_frac - 1e-9]
    return min(above, key=lambda b: b.exposure_frac).bound_musd if above else None


def _stretches(front: Front, plans: Sequence[Plan | None]) -> list[Stretch]:
    """Steps between neighbouring plans on the hull of the front."""
    if front.required_mwh is None:
        return []
    hull = [i for i, p in enumerate(front.points) if p.supported]
    made = []
    for a, b in pairwise(hull):
        before, after = front.points[a], front.points[b]
        removed = (before.exposure_frac - after.exposure_frac) * front.required_mwh
        if removed <= _NONE:
            continue
        more = {key: _public_change(plans[a], plans[b], key) for key in ("net", "duties")}
        credits_ = [_public_change(plans[a], plans[b], key) for key in ("tax_credits", "production_credits", "grants")]
        made.append(
            Stretch(
                before, after, removed, after.cost_musd - before.cost_musd,
                public_musd=None if more["net"] is None else -more["net"],
                duties_lost_musd=None if more["duties"] is None else -more["duties"],
                credits_musd=sum(c for c in credits_ if c is not None) if credits_[0] is not None else None,
            )
        )  # fmt: skip
    return made


def _public_change(before: Plan | None, after: Plan | None, key: str) -> float | None:
    if before is None or after is None or key not in before.public_musd or key not in after.public_musd:
        return None
    return after.public_musd[key] - before.public_musd[key]


def _cutoff(named: Sequence[NamedPoint]) -> str:
    """From which yearly probability of a cut-off each premium pays."""
    dear = [n for n in named if n.premium_musd > 0]
    if not dear:
        return "There is no premium to pay: the cheapest plan is also the least exposed."
    paying, never = [], []
    for n in dear:
        pays = cutoff_words(n.point)
        told = f"{n.where} (premium of {musd(n.premium_musd)} million USD)"
        never.append(told) if pays == "never" else paying.append(f"from {pays} {told}")
    text = [f"The premium pays {', '.join(paying)}."] if paying else []
    text += [f"At no probability does {'it' if paying else 'the premium'} pay {', or '.join(never)}."] if never else []
    return " ".join(text)


def _public(named: Sequence[NamedPoint], stretches: Sequence[Stretch]) -> str:
    """What the public pays per MWh of exposure removed, and where a payment moves the front most."""
    parts = []
    for n in named:
        paid = n.point.public_usd_per_mwh
        if paid is not None:
            parts.append(f"{'pays' if paid > 0 else 'gains'} {number(abs(paid))} USD {n.where}")
    text = f"Per MWh of exposure removed the public {', '.join(parts)}." if parts else ""
    if not stretches:
        return text or "The public pays nothing: there is no exposure to remove."
    best = min(stretches, key=lambda s: s.buyer_usd_per_mwh)
    text += " Further public money moves the front most between an exposure of"
    text += f" {number(best.before.exposure_frac, 3)} and {number(best.after.exposure_frac, 3)}: there"
    text += f" {number(best.buyer_usd_per_mwh)} USD per MWh removed make up for what the buyer pays more"
    rest = [s.buyer_usd_per_mwh for s in stretches if s is not best]
    if rest:
        text += f", elsewhere {number(min(rest))}" + (f" to {number(max(rest))}" if max(rest) > min(rest) else "")
    return f"{text}.".strip()


def _weights(front: Front) -> tuple[WeightRow, ...]:
    """Neighbouring weights that pick the same plan, as one row."""
    rows: list[WeightRow] = []
    for weight in sorted(front.weights, key=lambda w: w.theta):
        if rows and rows[-1].at == weight.point:
            rows[-1] = WeightRow(rows[-1].lowest, weight.theta, weight.point, rows[-1].point)
        else:
            rows.append(WeightRow(weight.theta, weight.theta, weight.point, front.points[weight.point]))
    return tuple(rows)


def _next(jumps: tuple[Jump, ...], exposure_frac: float) -> int | None:
    return next((i for i, jump in enumerate(jumps) if jump.exposure_frac <= exposure_frac + _NONE), None)


def cutoff_words(point: Point) -> str:
    """Yearly probability of an export cut-off from which the premium of a point pays, in words."""
    if "cutoff_break_even_frac_per_yr" not in point.model_fields_set:
        return "\u2013"
    yearly = point.cutoff_break_even_frac_per_yr
    if yearly is None:
        return "never"
    return f"{percent(yearly, 2)} a year" if yearly > 0 else "no premium to pay"
