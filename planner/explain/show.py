"""An explanation on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from planner.answers import Explanation, OfferAnswer, Range, RulePrice
from planner.summary import number, print_table
from planner.terminal import plain

_KIND = {
    "fractions": "containers bought in fractions, yes-or-no decisions whole",
    "whole": "whole containers",
}


def print_explanation(found: Explanation, console: Console, offers: tuple[str, ...] = ()) -> None:
    """Print an explanation.

    Parameters
    ----------
    found
        From ``planner.explain_plan``.
    console
        From ``planner.terminal.console_on``.
    offers
        Offers that were asked for by name; their bridge is shown alone.
    """
    console.print(Text(f"{plain(found.case)}: why this plan", style="bold"))
    console.print(Text(f"Numbers are from the problem in {found.problem}: {_KIND[found.problem]}."))
    if found.best_lower_musd is not None:
        best = f"between {number(found.best_lower_musd, 2)} and {number(found.best_upper_musd, 2)} million USD"
        console.print(Text(f"Its optimum lies {best}; differences within the gaps are called ties."))
    _bridges(found, console, offers)
    chosen = [a for a in found.offers if not offers or a.offer in offers]
    _offers(chosen, console)
    _rules(found, console)
    _ranges(found, console)
    _alternatives(found, console)
    _baselines(found, console)
    if found.unfinished:
        console.print()
        count = len(found.unfinished)
        console.print(Text(f"Not answered in the time given ({count}); run the command again to go on: "))
        shown = ", ".join(map(plain, found.unfinished[:8])) + (", ..." if count > 8 else "")
        console.print(Text(shown))


def _bridges(found: Explanation, console: Console, offers: tuple[str, ...]) -> None:
    chosen = [b for b in found.bridges if not offers or b.offer in offers]
    rows = [
        (
            b.offer + (" *" if b.bought else ""),
            b.period,
            f"{number(b.quoted_price, 2)} {b.price_unit}",
            number(b.quoted_usd_per_kwh + b.lithium_usd_per_kwh + b.tier_discount_usd_per_kwh, 1),
            number(b.duty_usd_per_kwh, 1),
            number(b.freight_usd_per_kwh, 1),
            number(
                b.power_conversion_usd_per_kwh + b.balance_of_plant_usd_per_kwh + b.installation_usd_per_kwh
                + b.epc_usd_per_kwh, 1,
            ),
            number(b.at_site_usd_per_kwh, 1),
            number(b.net_usd_per_kwh, 1),
        )
        for b in sorted(chosen, key=lambda b: b.at_site_usd_per_kwh)
    ]  # fmt: skip
    note = "USD per usable AC kWh, undiscounted; net is present value after upkeep, end of life and credits. * bought."
    headings = ("offer", "period", "quote", ">goods", ">duty", ">freight", ">works", ">at site", ">net")
    print_table(console, "Comparable prices", headings, rows, note)


def _offers(chosen: list[OfferAnswer], console: Console) -> None:
    rows = []
    for answer in chosen:
        if answer.verdict != "cannot be bought":
            texts = [answer.text, *(f"{t.figure.replace('_', ' ')}: {t.text}" for t in answer.thresholds)]
            rows.append((answer.offer, answer.verdict, "; ".join(texts)))
    print_table(console, "Why these offers, why not those", ("offer", "verdict", "what would change it"), rows)
    never = [
        (a.offer, "; ".join([a.text, *(t.text for t in a.thresholds)]))
        for a in chosen
        if a.verdict == "cannot be bought"
    ]
    print_table(console, "Cannot be bought in this case", ("offer", "because"), never)


def _span(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return "-"
    return number(high, 2) if abs(high - low) < 5e-3 else f"{number(low, 2)} to {number(high, 2)}"


def _rules(found: Explanation, console: Console) -> None:
    def row(price: RulePrice) -> tuple[str, ...]:
        what = "dropped" if price.change == "dropped" else price.text.partition(": ")[0]
        return (price.rule, what, price.verdict, _span(price.saved_lower_musd, price.saved_upper_musd))

    ranked = sorted(found.rules, key=lambda r: -(r.saved_lower_musd or 0.0))
    note = "Saved when the rule gives way and everything is decided anew."
    print_table(
        console, "What the rules cost", ("rule", "change", "verdict", ">saves, million USD"), map(row, ranked), note
    )


def _ranges(found: Explanation, console: Console) -> None:
    def row(r: Range) -> tuple[str, ...]:
        least, most = _mwh(r.least_lower_mwh, r.least_upper_mwh), _mwh(r.most_lower_mwh, r.most_upper_mwh)
        return (f"{r.group} {r.name}", f"{r.within_frac:.0%}", number(r.planned_mwh), least, most, r.verdict)

    shown = [r for r in found.ranges if r.verdict != "in none"]
    none = sorted({f"{r.group} {r.name}" for r in found.ranges if r.verdict == "in none" and r.within_frac >= 0.02})
    note = f"In no plan within 2 %: {', '.join(none)}." if none else ""
    headings = ("group", "within", ">planned MWh", ">least", ">most", "verdict")
    print_table(console, "Over all plans near the optimum", headings, map(row, shown), note)


def _mwh(low: float, high: float) -> str:
    return number(high) if abs(high - low) < 0.5 else f"{number(low)} to {number(high)}"


def _alternatives(found: Explanation, console: Console) -> None:
    rows = [
        (str(a.number), number(a.cost_musd, 2), f"{a.extra_frac:+.2%}", "yes" if a.verified else "NO", a.text)
        for a in found.alternatives
    ]
    headings = ("", ">million USD", ">more", "verified", "how it differs")
    print_table(console, "Clearly different plans", headings, rows, found.alternatives_text)


def _baselines(found: Explanation, console: Console) -> None:
    rows, broken = [], []
    for b in found.baselines:
        name = b.baseline.replace("_", " ")
        cost = "-" if b.cost_musd is None else number(b.cost_musd, 2)
        extra = "-" if b.extra_cost_musd is None else number(b.extra_cost_musd, 2)
        kept = "yes" if b.keeps_every_rule else "NO"
        served = f"{number(b.served_at_full_load_mw)} / {number(b.nothing_lost_mw)}"
        rows.append((name, cost, extra, number(b.energy_mwh), served, kept, f"{b.words}; {b.status}"))
        broken += [(name, text) for text in b.breaks]
    note = (
        "MW: load carried at full target through every outage and loss asked for / with nothing lost."
        " What is not carried is delayed at its price, which is in the cost."
    )
    headings = ("plan", ">million USD", ">more", ">MWh", ">MW", "lawful", "what it is")
    print_table(console, "Beside the plans a reviewer asks about", headings, rows, note)
    print_table(console, "What they break", ("plan", "rule"), broken)
