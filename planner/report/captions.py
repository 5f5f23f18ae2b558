"""What each figure says, in a sentence that names what to see."""

from __future__ import annotations

import re
from collections.abc import Iterable

from planner.dossier import Dossier
from planner.report.pack import Pack
from planner.report.wording import (
    BINDING,
    CONFIDENCE_WORDS,
    CONTINGENCY,
    COST,
    CREDIT,
    MEASURE,
    PUBLIC,
    capital,
    chemistry,
    number,
    percent,
    period,
    words,
)
from planner.results import Plan

#: Names of factories in the tables: maker, place.
_FACTORY = re.compile(r"[a-z0-9]+(-[a-z0-9]+)+")


def captions(pack: Pack) -> dict[str, str]:
    """Caption by figure."""
    plan = pack.plan
    dossier = plan.dossier
    assert dossier is not None  # read_pack refuses plans without
    return {
        "answer": _answer(plan, dossier),
        "confidence": _confidence(plan),
        "timeline": "Each bar runs from the month in which an order must be signed to the month in which it serves;"
        " its pale part is manufacture and shipping, its full part installation.",
        "load": _load(plan),
        "fleet": "Storage that stands in each period, as usable AC energy when new.",
        "cost": _cost(plan),
        "need": _need(plan),
        "outages": _outages(dossier),
        "margins": "Smallest margin in each period, as a share of what is required there."
        " A margin of zero means that the rule binds, not that it fails; a dash, that it is not asked there.",
        "site": _site(dossier),
        "content": _content(dossier),
        "tariffs": _tariffs(dossier),
        "exposure": _exposure(plan, dossier),
        "chain": _chain(plan),
        "countries": "Who holds each role for the storage bought, by usable energy.",
        "front": _front(pack),
    }


def _answer(plan: Plan, dossier: Dossier) -> str:
    head = dossier.headline
    firm = ""
    if head.firm_units:
        firm = f", and {number(head.firm_units)} firm {'unit' if head.firm_units == 1 else 'units'}"
        firm += f" ({number(head.firm_power_mw)} MW)"
    suppliers = "one supplier" if head.storage_suppliers == 1 else f"{number(head.storage_suppliers)} suppliers"
    buy = f"Buy {number(head.storage_containers)} storage containers ({number(head.storage_energy_mwh)} MWh,"
    buy += f" {number(head.storage_power_mw)} MW) from {suppliers}{firm}."
    first = f" Sign the first order by {head.first_order_month}." if head.first_order_month else ""
    if head.full_load_month:
        load = f" The full load of {number(head.full_load_mw)} MW is energised from {head.full_load_month}."
    else:
        load = f" The full load of {number(head.full_load_mw)} MW is not reached before the horizon."
    at_full = _standing_at_full_load(dossier)
    if 0.0 < at_full < 0.995 * head.storage_energy_mwh:
        load += f" By then {number(at_full)} MWh of storage stand; the rest comes later, for what fades or retires."
    return f"{buy}{first}{load} It costs {number(plan.cost_musd, 1)} million USD at present value, net of credits."


def _standing_at_full_load(dossier: Dossier) -> float:
    """Usable AC MWh of storage that stand in the first period of full load; 0 without one."""
    full = [p.period for p in dossier.periods if p.start_month == dossier.headline.full_load_month]
    return sum(f.energy_mwh for f in dossier.fleet if f.kind == "storage" and f.period in full)


def _confidence(plan: Plan) -> str:
    """How many data rows rest on what, the weakest first."""
    counts = plan.provenance.get("rows_by_confidence")
    there = {k: v for k, v in counts.items() if v} if isinstance(counts, dict) else {}
    parts = [f"{number(there[k])} {word}" for k, word in CONFIDENCE_WORDS.items() if k in there]
    return f"of {number(sum(there.values()))} data rows {', '.join(parts)}" if parts else ""


def _load(plan: Plan) -> str:
    late = [r for r in plan.critical_path if r.served_mw < r.target_mw - 1e-6 * max(1.0, r.target_mw)]
    if not late:
        return "Load that is wanted and load that is energised: all of it on time."
    held = sorted({words(r.binding, BINDING) for r in late})
    return (
        f"Load that is wanted and load that is energised. It is late in {', '.join(period(r.period) for r in late)};"
        + (f" what holds it back: {', '.join(held)}.")
    )


def _cost(plan: Plan) -> str:
    items = plan.cost_breakdown_musd
    largest = max(items, key=lambda k: items[k])
    text = "From equipment to the net cost, million USD at present value. The largest item is"
    text += f" {words(largest, COST).lower()}, {number(items[largest], 1)}."
    if items.get("tax_credit", 0.0) < 0:
        text += f" Tax credits give back {number(-items['tax_credit'], 1)}."
    return text


def lost_words(plan: Plan, lost: str) -> str:
    """What is lost, in words: an offer by its product, a chemistry by its name, a factory by maker and place."""
    assert plan.dossier is not None  # read_pack refuses plans without
    awards = plan.dossier.awards
    names = {a.offer: a.name for a in awards}
    if lost not in names and _FACTORY.fullmatch(lost):
        makers = {word.lower(): word for a in awards for word in a.supplier.split()}
        return " ".join(makers.get(part, capital(part)) for part in lost.split("-"))
    return names.get(lost, chemistry(lost))


def offer_names(plans: Iterable[Plan]) -> dict[str, str]:
    """Supplier and product of every offer that some plan buys."""
    return {a.offer: a.name for plan in plans if plan.dossier is not None for a in plan.dossier.awards}


def public_words(plan: Plan) -> str:
    """What the state takes in and pays out, in a sentence or two."""
    paid_in = ("duties", "recapture", "taxes")
    told = {
        k: f"{words(k, PUBLIC)} {number(v, 1)}" for k, v in plan.public_musd.items() if k != "net" and abs(v) >= 0.05
    }
    takes = [text for k, text in told.items() if k in paid_in]
    pays = [text for k, text in told.items() if k not in paid_in]
    text = f"Public money, million USD at present value: the state takes in {', '.join(takes) or 'nothing'} and pays"
    text += f" {', '.join(pays) or 'nothing'}"
    net = plan.public_musd.get("net", 0.0)
    if abs(net) >= 0.05:
        text += f"; on balance it {'gains' if net > 0 else 'pays'} {number(abs(net), 1)}"
    return f"{text}."


def _need(plan: Plan) -> str:
    steps = plan.requirement_waterfall_mwh
    if not steps:
        return "From load times hours to what is bought."
    text = f"Why the fleet is as large as it is: from {number(steps[0].total_mwh)} MWh of load times hours to"
    return text + f" {number(steps[-1].total_mwh)} MWh of DC nameplate in the first period of full load."


def _outages(dossier: Dossier) -> str:
    if not dossier.outage_curves:
        return "No outage has to be served."
    tight = min(dossier.outage_curves, key=lambda q: q.margin_mwh)
    text = "Energy that must be there for an outage (the largest loads of so many hours) against what the"
    text += " fleet delivers after each loss, in its tightest period. "
    text += f"The tightest of all: {words(tight.contingency, CONTINGENCY).lower()} in {period(tight.period)}, with"
    text += f" {number(tight.margin_mwh, 1)} MWh to spare at {number(tight.tightest_h, 1)} h."
    if any(q.contingency == "fire_group" for q in dossier.outage_curves):
        text += " The largest fire group that the plan ever owns must be bearable in every period."
    return text


def _site(dossier: Dossier) -> str:
    missing = sum(z.unplaced for z in dossier.site)
    text = "Each zone to scale when it is fullest; the data hall lies beyond the upper edge. Areas are those of"
    text += " the fire rules: gaps and aisles between containers, and pale ground for balance of plant."
    if missing:
        text += f" {number(missing)} of the containers could not be drawn: their area fits, but not in such rows."
    else:
        text += " Every container is drawn; a surveyed layout will differ."
    return text


def _content(dossier: Dossier) -> str:
    if not dossier.phases:
        return "The case has no construction phases: no credit, and no test of content."
    parts = []
    for phase in dossier.phases:
        if phase.domestic_frac is None:
            parts.append(f"phase {phase.phase}: nothing delivered")
        else:
            parts.append(f"phase {phase.phase}: {words(phase.state, CREDIT)}")
    text = "Content of each construction phase (bars) against its thresholds (upright marks); both are weighted by"
    return text + f" nameplate energy. {capital('; '.join(parts))}."


def _tariffs(dossier: Dossier) -> str:
    paid = sum(1 for t in dossier.tariffs if t.duty_musd > 0)
    if not paid:
        return "No duty is paid."
    first = dossier.tariffs[0]
    return f"Duties by origin of the dutiable part, million USD at present value. {first.duty_origin} pays most."


def _exposure(plan: Plan, dossier: Dossier) -> str:
    del dossier
    value = plan.exposure_frac.get("value")
    text = "China's part of each layer, by origin of the goods, per unit of the required energy"
    text += " (a fleet larger than the requirement can exceed 1)."
    return text if value is None else f"{text} Over all layers by value: {number(value, 3)}."


def _chain(plan: Plan) -> str:
    if not plan.sourced_layers:
        return ""
    taken = sum(r.cost_musd for r in plan.sourcing)
    text = "Every layer of the storage bought, from the country of its source to the delivery period, in usable MWh:"
    text += " each layer is as thick as the storage itself. Elsewhere is what the makers buy outside China already."
    if not plan.sourcing:
        return f"{text} Nothing is replaced: the makers' own sources stand."
    nodes = len({r.node for r in plan.sourcing})
    return f"{text} Goods of {number(nodes)} named sources replace Chinese ones, for {number(taken, 1)} million USD."


def _front(pack: Pack) -> str:
    if pack.front is None:
        return ""
    front = pack.front
    cheap, safe = front.points[0], front.points[-1]
    text = f"Least cost at each exposure to China, which counts {words(front.measure, MEASURE)}, per unit of the energy"
    text += " that must be there at full load"
    if front.measure == "cell":
        text += f" ({number(cheap.exposure_frac, 2)}: {number(100 * cheap.exposure_frac)} MWh for each 100 MWh needed)"
    text += f": {number(cheap.cost_musd, 1)} million USD at {number(cheap.exposure_frac, 2)}"
    if len(front.points) == 1:
        return f"{text}, and no plan has less."
    text += f", {number(safe.cost_musd, 1)} at {number(safe.exposure_frac, 2)}."
    if front.uncovered_whole_frac is not None:
        text += " A better plan could hide in at most"
        text += f" {percent(front.uncovered_whole_frac)} of the area between these two ends."
    return text
