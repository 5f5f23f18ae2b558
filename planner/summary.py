"""A plan on one screen or two: what to buy, what it costs, why, and what proves it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from planner.bridge import STEPS, Bridge
from planner.checks import Checks
from planner.infeasible import Diagnosis, WayOut
from planner.results import Critical, Order, Plan
from planner.terminal import plain

_STATUS = {
    "optimal": "optimal: no cheaper plan exists",
    "gap_limit": "solved to the gap asked",
    "time_limit": "stopped at the time limit; the gap asked is not met",
    "interrupted": "stopped by the user; the gap asked is not met",
    "unverified": "UNVERIFIED: the replay found faults; do not use",
}
_NEGLIGIBLE_MUSD = 5e-4
_MOST_FINDINGS = 20


def number(value: float | None, digits: int = 0) -> str:
    """Write a number with thousands separators; ``-`` for None, and never ``-0``."""
    if value is None:
        return "-"
    if not math.isfinite(value):
        return "unknown"
    text = f"{value:,.{digits}f}"
    return text.removeprefix("-") if not text.strip("-0.,") else text


def print_summary(plan: Plan, console: Console) -> None:
    """Print a plan.

    Parameters
    ----------
    plan
        From ``planner.plan``.
    console
        From ``planner.terminal.console_on``: it must not interpret markup.
    """
    _headline(plan, console)
    for title, headings, rows, note in (
        _orders(plan),
        _cost(plan),
        _waterfall(plan),
        _reliability(plan),
        _served(plan),
        _credits(plan),
        _exposure(plan),
        _zones(plan),
        _rule_prices(plan),
    ):
        print_table(console, title, headings, rows, note)
    _trust(plan, console)


def print_checks(name: str, checks: Checks, size: str, console: Console) -> None:
    """Print what arithmetic alone says about a case without faults."""
    console.print(Text(f"{plain(name)}: no fault in the input ({size})."))
    for warning in checks.warnings:
        _bullet(console, warning)
    if not checks.impossible:
        return
    console.print(Text("No plan can keep these rules:", style="bold"))
    for found in checks.impossible:
        _bullet(console, f"{found.rule}: {found.text}")


def print_clash(found: Diagnosis | None, checks: Checks, console: Console) -> None:
    """Print which business rules clash, and the ways out; ``found`` is None when that is not known."""
    for said in checks.impossible:
        _bullet(console, f"{said.rule}: {said.text}")
    if found is None:
        return
    if not found.sets:
        text = "Every rule can be kept with containers in fractions; only whole containers do not fit."
        console.print(Text(text + " Smaller containers, a lower minimum order or a little room in any rule will do."))
        return
    for number_of_set, rules in enumerate(found.sets):
        title = "These rules cannot hold together" if not number_of_set else "Neither can these"
        note = "" if found.finished else "Time ran out: the set may be larger than it need be."
        rows = [(c.words, c.rule, c.must_give) for c in rules]
        print_table(console, title, ("rule", "name", "enough alone"), rows, note)
    ways = [(w.text, _cost_span(w)) for w in found.ways_out]
    note = "Each line makes a plan possible while every other rule stays. Cost is that of the plan then, present value."
    print_table(console, "Ways out, cheapest first", ("change", ">million USD"), ways, note)


def _cost_span(way: WayOut) -> str:
    if way.cost_lower_musd is None or way.cost_upper_musd is None:
        return "-"
    return f"{number(way.cost_lower_musd, 1)} to {number(way.cost_upper_musd, 1)}"


def print_bridges(title: str, bridges: Sequence[Bridge], console: Console) -> None:
    """Print quotes side by side, cheapest first."""
    names = list(STEPS)
    rows = [
        (
            b.offer,
            b.basis.partition(",")[0],
            number(b.quoted, 1),
            *(number(b.steps_usd_per_kwh[n], 1) for n in names[:5]),
            number(sum(b.steps_usd_per_kwh[n] for n in names[5:]), 1),
            number(b.comparable_usd_per_kwh, 2),
        )
        for b in bridges
    ]
    short = ("quoted", "basis", "lithium", "duty", "freight", "power", "site", "installed")
    headings = ("quote", "quoted as", *(f">{n}" for n in short))
    note = "Quoted in dollars of its own basis, then what each step adds; installed: USD per usable AC kWh, duty-paid,"
    note += " at site. Tiers, minimum orders and every step: bridge.csv (--out)."
    print_table(console, title, headings, rows, note)


def print_table(
    console: Console, title: str, headings: Sequence[str], rows: Iterable[Sequence[str]], note: str = ""
) -> None:
    """Print a table; headings that begin with ``>`` are columns of numbers. Nothing is cut, only folded."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for heading in headings:
        right = heading.startswith(">")
        table.add_column(
            Text(heading.removeprefix(">")), justify="right" if right else "left", overflow="fold", no_wrap=right
        )
    count = 0
    for row in rows:
        table.add_row(*(Text(plain(cell)) for cell in row))
        count += 1
    if not count:
        return
    console.print()
    console.print(Text(title, style="bold"))
    console.print(table)
    if note:
        console.print(Text(plain(note, 1000)))


def _bullet(console: Console, text: str) -> None:
    lines = Table.grid(padding=(0, 1))
    lines.add_row(Text("-"), Text(plain(text, 1000), overflow="fold"))
    console.print(lines)


def _headline(plan: Plan, console: Console) -> None:
    console.print(Text(f"{plain(plan.case)}: {plain(plan.title)}", style="bold"))
    facts = Table.grid(padding=(0, 2))
    verdict = plan.verification
    proof = "not replayed"
    if verdict is not None:
        proof = "yes" if verdict.passed else f"NO, {len(verdict.errors)} faults"
        proof += f": {len(verdict.residuals)} checks recomputed, {verdict.replayed_windows:,} outages replayed"
    for name, text in (
        ("Net present cost", f"{number(plan.cost_musd, 2)} million USD"),
        ("Proven bound", f"{number(plan.bound_musd, 2)} million USD, so at most {_gap(plan)} could be saved"),
        ("Status", f"{plan.status}: {_STATUS[plan.status].partition(': ')[2] or _STATUS[plan.status]}"),
        ("Verified", proof),
        ("Energy required", f"{number(plan.required_mwh)} MWh over the whole outage at full load"),
        ("Solved in", f"{number(plan.timing_s.get('total'), 1)} s"),
    ):
        facts.add_row(Text(name), Text(plain(text), overflow="fold"))
    console.print(facts)


def _gap(plan: Plan) -> str:
    return f"{plan.gap_frac:.2%}" if math.isfinite(plan.gap_frac) else "an unknown share"


_Part = tuple[str, Sequence[str], Iterable[Sequence[str]], str]


def _orders(plan: Plan) -> _Part:
    """Orders gathered by offer, largest energy first."""
    groups: dict[str, list[Order]] = {}
    for order in plan.orders:
        groups.setdefault(order.offer, []).append(order)
    ranked = sorted(groups.items(), key=lambda g: (-sum(o.energy_mwh for o in g[1]), g[0]))
    rows = [
        (
            name,
            f"{orders[0].supplier}, {orders[0].chemistry}, {orders[0].origin}",
            ", ".join(f"{o.period} ({o.containers:,})" for o in orders),
            number(sum(o.containers for o in orders)),
            number(sum(o.energy_mwh for o in orders)),
            number(sum(o.power_mw for o in orders)),
            min(o.order_by for o in orders),
        )
        for name, orders in ranked
    ]
    headings = ("offer", "supplier, chemistry, origin", "delivery (containers)", ">units", ">MWh", ">MW", ">order by")
    note = "MWh and MW are usable AC, new. 'order by' is the first order; orders.csv has a date for each."
    return "What to buy", headings, rows, note


def _cost(plan: Plan) -> _Part:
    rows = [
        (item.replace("_", " "), number(musd, 2), f"{musd / plan.cost_musd:.1%}" if plan.cost_musd else "-")
        for item, musd in plan.cost_breakdown_musd.items()
        if abs(musd) >= _NEGLIGIBLE_MUSD
    ]
    rows.append(("total", number(plan.cost_musd, 2), "100.0%"))
    public = ", ".join(f"{k.replace('_', ' ')} {number(v, 1)}" for k, v in plan.public_musd.items())
    return "Cost in million USD, present value", ("item", ">million USD", ">share"), rows, f"Public money: {public}."


def _waterfall(plan: Plan) -> _Part:
    steps = [s for s in plan.requirement_waterfall_mwh if abs(s.energy_mwh) >= 0.05]
    rows = [(s.step, number(s.energy_mwh), number(s.total_mwh), s.why) for s in steps]
    return "Why this much: from load x hours to what is bought", ("step", ">MWh", ">total", "why"), rows, ""


def _reliability(plan: Plan) -> _Part:
    rows = [
        (
            m.contingency.replace("_", " "),
            m.lost or "nothing",
            m.period,
            f"{m.hours:g}",
            number(m.required_mwh, 1),
            number(m.delivered_mwh, 1),
            number(m.margin_mwh, 1),
        )
        for m in plan.reliability
    ]
    headings = ("loss of", "lost", "period", ">hours", ">required MWh", ">left MWh", ">margin MWh")
    return "Riding through: the tightest outage after each loss", headings, rows, ""


def _served(plan: Plan) -> _Part:
    rows = [(c.period, number(c.target_mw), number(c.served_mw), c.binding, _tightest(c)) for c in plan.critical_path]
    headings = ("period", ">target MW", ">served MW", "held back by", "least slack (months)")
    return "Load energised, and what holds it back", headings, rows, ""


def _tightest(row: Critical) -> str:
    """The steps with least slack, with their months."""
    if not row.steps:
        return "-"
    least = min(step.slack_months for step in row.steps)
    tight = [step for step in row.steps if step.slack_months == least]
    names = dict.fromkeys(f"order of {s.offer}" if s.offer else s.step.replace("_", " ") for s in tight)
    return f"{', '.join(names)} {least}"


def _rule_prices(plan: Plan) -> _Part:
    rows = [
        (
            p.rule,
            p.kind,
            number(p.without_musd, 2),
            number(p.price_musd, 2),
            number(p.uncertain_musd, 2),
            p.note,
        )
        for p in plan.rule_prices
    ]
    headings = ("doubt", "kind", ">other cost", ">price", ">give or take", "note")
    note = "Million USD. Price: cost of this plan less the cost with the doubt read the other way."
    return "What each doubt costs", headings, rows, note


def _credits(plan: Plan) -> _Part:
    rows = [
        (phase, plan.credit_state.get(phase, "-"), _ratio(content), _ratio(plan.macr_frac.get(phase)))
        for phase, content in plan.domestic_content_frac.items()
    ]
    headings = ("construction phase", "tax credit", ">domestic content", ">material assistance")
    return "Credits and content", headings, rows, ""


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _exposure(plan: Plan) -> _Part:
    rows = [(measure.replace("_", " "), f"{share:.3f}") for measure, share in plan.exposure_frac.items()]
    note = "Per unit of the required MWh, so a fleet larger than the requirement can exceed 1."
    return "China exposure", ("measure", ">exposure"), rows, note


def _zones(plan: Plan) -> _Part:
    options = {z.zone: z for z in plan.zone_options}
    rows = []
    for use in plan.fire:
        option = options.get(use.zone)
        wall = "-" if option is None else f"{'wall' if option.barrier else 'no wall'}, {option.setback_m:g} m"
        rows.append(
            (
                use.zone,
                wall,
                f"{number(use.area_used_m2)} of {number(use.area_allowed_m2)}",
                _of(use.energy_used_mwh, use.energy_allowed_mwh),
                _of(use.fire_water_used_lpm, use.fire_water_allowed_lpm),
                use.binding,
            )
        )
    headings = ("zone", "option", ">m2 used", ">MWh used", ">fire water lpm", "full in")
    return "Zones at their fullest", headings, rows, ""


def _of(used: float, allowed: float | None) -> str:
    return number(used) if allowed is None else f"{number(used)} of {number(allowed)}"


def _trust(plan: Plan, console: Console) -> None:
    """Print what the figures rest on: confidence, findings, errors, assumptions."""
    origin = plan.provenance
    console.print()
    console.print(Text("What this rests on", style="bold"))
    counts = origin.get("rows_by_confidence", {})
    shares = ", ".join(f"{plain(level)} {count}" for level, count in counts.items() if count)
    lowest, used = origin.get("lowest_confidence"), origin.get("data_rows_used")
    _bullet(console, f"Lowest confidence of a data row: {lowest}; {used} rows ({shares}).")
    verdict = plan.verification
    if verdict is not None:
        for error in verdict.errors:
            _bullet(console, f"FAULT: {error}")
        for finding in verdict.findings[:_MOST_FINDINGS]:
            _bullet(console, f"{finding.topic}: {finding.text}")
        if len(verdict.findings) > _MOST_FINDINGS:
            _bullet(console, f"{len(verdict.findings) - _MOST_FINDINGS} more findings in verification.csv")
    for assumption in plan.assumptions:
        _bullet(console, assumption)
