"""The rows of "Why this, why not that": what ``explain.json`` holds, in words, and in the order of reading."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import groupby, zip_longest

from planner.answers import Alternative, Bridge, Explanation, OfferAnswer, Range, RulePrice, Threshold
from planner.dossier import Turn
from planner.report.wording import (
    CHECK,
    capital,
    change,
    chemistry,
    number,
    percent,
    period,
    periods,
    span,
    with_bans,
    with_names,
    words,
)

#: What moves for an offer to enter or leave, in the order of the columns.
FIGURES = ("price", "duty", "lead_time", "allocation")
_VERDICTS = ("needed", "bought", "tie", "stays out", "open", "does not fit", "cannot be bought")
#: Steps of a price at site, in the order in which bars are stacked; the quote carries its clause and discount.
PRICE_STEPS = (
    ("goods", "Goods as quoted"), ("duty", "Duty"), ("freight", "Freight"), ("power_conversion", "Power conversion"),
    ("balance_of_plant", "Balance of plant"), ("installation", "Installation"), ("epc", "Engineering (EPC)"),
)  # fmt: skip
#: Beginnings of the questions that an explanation may leave open, in words.
_UNFINISHED = (
    ("offer ", "costs of turning an offer round, to be narrowed"), ("price of ", "prices and duties, to be narrowed"),
    ("lead time ", "lead times and allocations"), ("rule ", "prices of rules"),
    ("range of ", "ranges, to be narrowed"), ("baseline ", "plans to compare with"),
    ("alternatives", "clearly different plans"), ("compare ", "plans of the user"),
)  # fmt: skip
#: So many bars are read at a glance; the table has every quote.
MOST_BARS = 30
_TURNS_MORE = 6
#: A figure that must grow by more than this share tells that it could not be narrowed, and no more.
_FAR_FRAC = 2.0


@dataclass(frozen=True)
class Cell:
    """One figure of a table: its lines, smaller ones below them, and what it is sorted by."""

    lines: tuple[str, ...]
    below: tuple[str, ...] = ()
    sort: float | None = None


@dataclass(frozen=True)
class OfferRow:
    """Why an offer is, or is not, in the plan."""

    answer: OfferAnswer
    extra: Cell
    figures: tuple[Cell, ...]
    words: str


@dataclass(frozen=True)
class RuleRow:
    """What a rule costs: all of it, and one unit of it, which may not have been asked yet."""

    rule: str
    words: str
    dropped: RulePrice | None
    eased: RulePrice | None
    eased_words: str
    waiting: bool = False


@dataclass(frozen=True)
class Turning:
    """Something that would change the answer: what it is, how far off or how dear, and why."""

    topic: str
    stake: str
    text: str


@dataclass(frozen=True)
class PriceRow:
    """One quote on its way to a price at site, USD per usable AC kWh."""

    bridge: Bridge
    steps: dict[str, float]


@dataclass(frozen=True)
class Why:
    """Everything that the section shows."""

    explanation: Explanation
    offers: tuple[OfferRow, ...]
    rules: tuple[RuleRow, ...]
    ranges: tuple[Range, ...]
    in_none: tuple[str, ...]
    prices: tuple[PriceRow, ...]
    turns: tuple[Turning, ...]
    nearest: Turning | None
    unfinished: tuple[str, ...]

    @property
    def names(self) -> dict[str, str]:
        """Supplier and product of every offer."""
        return {b.offer: b.name for b in self.explanation.bridges}

    def broken(self, text: str) -> str:
        """What a plan breaks: the check in words, and products where offers are named."""
        check, _, rest = text.partition(": ")
        return f"{capital(words(check, CHECK))}: {with_bans(periods(with_names(rest, self.names)))}"

    def bought(self, plan: Alternative) -> list[str]:
        """What an alternative buys over all periods, the most energy first."""
        containers: dict[str, int] = {}
        energy: dict[str, float] = {}
        for order in plan.orders:
            containers[order.offer] = containers.get(order.offer, 0) + order.containers
            energy[order.offer] = energy.get(order.offer, 0.0) + order.energy_mwh
        ranked = sorted(containers, key=lambda offer: -energy[offer])
        return [f"{number(containers[offer])} \u00d7 {self.names.get(offer, offer)}" for offer in ranked]

    @property
    def widest_frac(self) -> float | None:
        """How far above the optimum the plans of the widest ranges may cost."""
        return max((r.within_frac for r in self.explanation.ranges), default=None)

    @property
    def drawn_ranges(self) -> tuple[Range, ...]:
        """The widest ranges of what some plan buys."""
        return tuple(r for r in self.ranges if r.within_frac == self.widest_frac)

    @property
    def drawn_prices(self) -> tuple[PriceRow, ...]:
        """Storage quotes as bars: what is bought, and the cheapest others."""
        stored = [p for p in self.prices if p.bridge.chemistry != "none"]
        kept = sorted(stored, key=lambda p: not p.bridge.bought)[:MOST_BARS]
        return tuple(p for p in stored if p in kept)


def why_of(found: Explanation) -> Why:
    """Sort what was found into the tables of the page.

    Parameters
    ----------
    found
        The answers about the plan that is shown.
    """
    offers = sorted(map(_offer_row, found.offers), key=_offer_order)
    widest = max((r.within_frac for r in found.ranges), default=0.0)
    none = [
        f"{'suppliers' if kind == 'supplier' else 'countries of cells' if kind == 'country' else 'chemistries'}:"
        f" {', '.join(chemistry(r.name) if kind == 'chemistry' else r.name for r in group)}"
        for kind, group in groupby(
            sorted((r for r in found.ranges if r.verdict == "in none" and r.within_frac == widest), key=_group), _group
        )
    ]
    # Firm units last: their kWh are fuel or a contract.
    bridges = sorted(found.bridges, key=lambda b: (b.chemistry == "none", b.at_site_usd_per_kwh))
    prices = [PriceRow(b, _price_steps(b)) for b in bridges]
    return Why(
        explanation=found, offers=tuple(offers), rules=_rule_rows(found.rules, found.unfinished),
        ranges=tuple(r for r in found.ranges if r.verdict != "in none"), in_none=tuple(none), prices=tuple(prices),
        turns=tuple(_turnings(found)), unfinished=tuple(_unfinished(found.unfinished)),
        nearest=next(iter(_near_prices(o for o in found.offers if not o.bought)), None),
    )  # fmt: skip


def differs(text: str) -> str:
    """How an alternative differs, without the share that has a column of its own."""
    return capital(text.partition("; ")[2]) or "The same offers, in other amounts"


def _unfinished(questions: Iterable[str]) -> list[str]:
    """What more time would add, by kind of question."""
    counts: dict[str, int] = {}
    for text in questions:
        words = next((words for start, words in _UNFINISHED if text.startswith(start)), "other questions")
        counts[words] = counts.get(words, 0) + 1
    return [f"{words}: {number(count)}" for words, count in counts.items()]


def _group(r: Range) -> str:
    return r.group


def _offer_order(row: OfferRow) -> tuple[int, float]:
    """Bought ones first, the dearest to lose before; then those that are nearest to being bought."""
    extra = row.answer.extra_cost_lower_musd or 0.0
    return (_VERDICTS.index(row.answer.verdict), -extra if row.answer.bought else extra)


def _offer_row(answer: OfferAnswer) -> OfferRow:
    low, high = answer.extra_cost_lower_musd, answer.extra_cost_upper_musd
    # Where no figure brings it in, the sentence says more than the cell.
    told = [answer.text, *(f"{t.figure.replace('_', ' ')}: {t.text}" for t in answer.thresholds if t.enters_at is None)]
    figures = tuple(_figure(answer, figure) for figure in FIGURES)
    return OfferRow(answer, Cell((span(low, high),), sort=low), figures, with_bans(periods("; ".join(told))))


def _figure(answer: OfferAnswer, figure: str) -> Cell:
    found = next((t for t in answer.thresholds if t.figure == figure), None)
    if found is not None:
        return threshold_cell(found)
    later = not answer.priced
    if figure in ("lead_time", "allocation"):
        later = not answer.thorough and answer.verdict not in ("bought", "needed")
    return Cell(("open" if later else "\u2013",))


def threshold_cell(t: Threshold) -> Cell:
    """Where an offer surely is in the cheapest plan and where it surely is not, and what the figure is now.

    More allocation brings an offer in; of everything else, less does.
    """
    up, down = ("from", "up to") if t.figure == "allocation" else ("up to", "from")

    def said(value: float) -> str:
        if t.figure == "duty":
            return percent(value, 2)
        return number(value, 2 if t.figure == "price" else 0)

    if t.enters_at is not None and t.stays_out_at is not None and said(t.enters_at) == said(t.stays_out_at):
        parts, changes = [f"turns at {said(t.enters_at)}"], [change(t.change_enters_frac or 0.0)]
    else:
        parts = [] if t.enters_at is None else [f"in {up} {said(t.enters_at)}"]
        far = (t.change_stays_out_frac or 0.0) > _FAR_FRAC
        never = t.stays_out_at is not None and t.figure in ("price", "duty") and t.stays_out_at <= 0.0
        parts += [] if t.stays_out_at is None or far or never else [f"out {down} {said(t.stays_out_at)}"]
        parts += ["out even at 0"] if never else []
        parts += [f"out only beyond {_FAR_FRAC + 1:g} \u00d7"] if far else []
        moved = (("in", t.change_enters_frac), ("out", None if far or never else t.change_stays_out_frac))
        changes = [f"{what} {change(value)}" for what, value in moved if value is not None]
    unit = "" if t.figure == "duty" else f" {t.unit}"
    below = [f"now {said(t.now)}{unit}", *([f"for {period(t.period)}"] if t.period else [])]
    if t.figure in ("price", "duty"):
        below += changes
    return Cell(tuple(parts) or ("none found",), tuple(below), t.change_enters_frac)


def _rule_rows(prices: Iterable[RulePrice], waiting: Collection[str]) -> tuple[RuleRow, ...]:
    """One row per rule, the dearest first."""
    made = []
    for rule, group in groupby(sorted(prices, key=lambda r: r.rule), key=lambda r: r.rule):
        kinds = {price.change: price for price in group}
        dropped, eased = kinds.get("dropped"), kinds.get("eased")
        words = with_bans(next(iter(kinds.values())).words)
        made.append(
            RuleRow(
                rule,
                words,
                dropped,
                eased,
                eased.text.partition(": ")[0] if eased else "",
                f"rule {rule}, eased" in waiting,
            )
        )

    def saved(row: RuleRow) -> tuple[float, float]:
        price = row.dropped or row.eased
        assert price is not None
        return (-(price.saved_lower_musd or 0.0), -(price.saved_upper_musd or 0.0))

    return tuple(sorted(made, key=saved))


def _price_steps(b: Bridge) -> dict[str, float]:
    goods = b.quoted_usd_per_kwh + b.lithium_usd_per_kwh + b.tier_discount_usd_per_kwh
    return {name: goods if name == "goods" else getattr(b, f"{name}_usd_per_kwh") for name, _ in PRICE_STEPS}


def _turnings(found: Explanation) -> list[Turning]:
    """The nearest price, the dearest rule and the dearest loss first, then the next of each."""
    kinds = (_near_prices(found.offers), _binding_rules(found.rules), _losses(found.offers))
    ranked = [t for three in zip_longest(*kinds) for t in three if t is not None]
    return ranked[: 3 + _TURNS_MORE]


def _near_prices(offers: Iterable[OfferAnswer]) -> list[Turning]:
    """Price changes that surely bring an offer in or push it out, the smallest first."""
    near = []
    for answer in offers:
        out, verb = answer.bought, "drops it" if answer.bought else "brings it in"
        for t in answer.thresholds:
            moved = t.change_stays_out_frac if out else t.change_enters_frac
            # A plan in whole containers may decide otherwise than the fractions that were priced: no turning then.
            if t.figure == "price" and moved is not None and (moved >= 0 if out else moved <= 0):
                told = f"{_price_words(t)} (offer {answer.offer})."
                near.append((abs(moved), Turning(f"The price of {answer.name}", f"{change(moved)} {verb}", told)))
    return [told for _, told in sorted(near, key=lambda pair: pair[0])]


def _price_words(t: Threshold) -> str:
    """Where a price brings an offer in and where it keeps it out; between the two it is a tie."""
    parts = [f"{number(t.now, 2)} {t.unit} now" + (f" for delivery in {period(t.period)}" if t.period else "")]
    ends = [None if at is None else number(at, 2) for at in (t.enters_at, t.stays_out_at)]
    if ends[0] is not None and ends[0] == ends[1]:
        return f"{parts[0]}, in the cheapest plan below {ends[0]}, out of it above"
    parts += [] if ends[0] is None else [f"surely in the cheapest plan up to {ends[0]}"]
    far = (t.change_stays_out_frac or 0.0) > _FAR_FRAC
    parts += [] if ends[1] is None or far else [f"surely out of it from {ends[1]}"]
    return ", ".join(parts)


def _binding_rules(rules: Iterable[RulePrice]) -> list[Turning]:
    """Rules that bind, the dearest first."""
    bind = sorted(
        (r for r in rules if r.change == "dropped" and r.verdict == "binds"), key=lambda r: -(r.saved_lower_musd or 0.0)
    )
    return [
        Turning(
            f"The rule: {with_bans(r.words)}", f"{span(r.saved_lower_musd, r.saved_upper_musd)} million USD",
            f"Without it, and with everything decided anew, the plan {r.text}.",
        )
        for r in bind
    ]  # fmt: skip


def _losses(offers: Iterable[OfferAnswer]) -> list[Turning]:
    """Offers whose loss has a price, or leaves no plan: these first."""
    lost = [a for a in offers if a.verdict in ("bought", "needed")]
    lost.sort(key=lambda a: (a.verdict != "needed", -(a.extra_cost_lower_musd or 0.0)))
    return [
        Turning(
            f"The loss of {a.name}",
            "leaves no plan" if a.verdict == "needed"
            else f"{span(a.extra_cost_lower_musd, a.extra_cost_upper_musd)} million USD",
            f"{capital(a.text)} (offer {a.offer}).",
        )
        for a in lost
    ]  # fmt: skip


def doubts(turns: Iterable[Turn]) -> tuple[Turning, ...]:
    """Money of the plan that rests on a doubt, in the same form."""
    return tuple(Turning(t.topic, f"{number(t.at_stake_musd, 1)} million USD rest on it", t.text) for t in turns)
