"""Rules that bind parts of a case to each other and to the tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import get_args

from planner.case import Case
from planner.casefile import RawCase
from planner.catalogue import CostRow
from planner.faults import Fault, known_name, shown
from planner.problem import Offer, Tables
from planner.units import month_text, parse_month

#: Cost rows that only some incoterms need; nothing is added where there is none.
OPTIONAL_COSTS = {"export_haul_usd_per_t", "inland_freight_frac"}
FIRST_MONTH, LAST_MONTH = parse_month("1990-01"), parse_month("2150-12")


def cross_faults(case: Case, raw: RawCase, tables: Tables, offers: Sequence[Offer]) -> Iterator[Fault]:
    """Faults between valid parts, one by one.

    Parameters
    ----------
    case, raw
        The case, and where its keys were set.
    tables
        Rows that are not part of an offer.
    offers
        Offers that the case selects.
    """
    yield from _steps(case, raw)
    yield from _months(case, raw)
    yield from _views(case, raw)
    yield from _names(case, raw, tables)
    yield from _uncertain(case, raw, offers)
    yield from _costs(tables, offers)
    yield from _duties(case, tables, offers)
    yield from _fire(case, tables, offers)
    if case.sourcing.mode != "none":
        yield from _sources(tables, offers)


def _steps(case: Case, raw: RawCase) -> Iterator[Fault]:
    step = case.load.shape.step_minutes
    for i, service in enumerate(case.reliability.service):
        steps = service.until_h * 60 / step
        if abs(steps - round(steps)) > 1e-9 or round(steps) < 1:
            path = ("reliability", "service", str(i), "until_h")
            yield raw.fault(path, f"{service.until_h:g} h", f"a whole number of steps of {step} minutes")
    prices, shape = case.prices, case.load.shape
    if len(set(prices.years)) != len(prices.years):
        yield raw.fault(("prices", "years"), shown(prices.years), "each year once")
    if shape.file is None and shape.column is not None:
        yield raw.fault(("load", "shape", "column"), shown(shape.column), "a column only together with a file")
    if prices.file is None and prices.column is not None:
        yield raw.fault(("prices", "column"), shown(prices.column), "a column only together with a file")


def _months(case: Case, raw: RawCase) -> Iterator[Fault]:
    """Months written as bare numbers can lie anywhere."""
    months: dict[tuple[str, ...], int] = {
        ("timeline", "decision"): case.timeline.decision,
        ("timeline", "first"): case.timeline.first,
    }
    for i, phase in enumerate(case.policy.phases):
        months["policy", "phases", str(i), "construction_start"] = phase.construction_start
        months["policy", "phases", str(i), "deliveries_until"] = phase.deliveries_until
    for path, month in months.items():
        if not FIRST_MONTH <= month <= LAST_MONTH:
            yield raw.fault(path, shown(month), f"a month from {month_text(FIRST_MONTH)} to {month_text(LAST_MONTH)}")
    for i, phase in enumerate(case.policy.phases):
        if phase.deliveries_until <= phase.construction_start:
            until = ("policy", "phases", str(i), "deliveries_until")
            yield raw.fault(until, month_text(phase.deliveries_until), "a month after construction_start")


def _views(case: Case, raw: RawCase) -> Iterator[Fault]:
    """Readings that cannot be had together."""
    if case.objective == "resource" and case.credits.unit == "pools":
        allowed = "phase together with objective resource, which does not weigh credits"
        yield raw.fault(("credits", "unit"), "pools", allowed)


def _names(case: Case, raw: RawCase, tables: Tables) -> Iterator[Fault]:
    versions = sorted({r.version for r in tables.component_weights})
    if case.policy.component_table not in versions:
        name = case.policy.component_table
        yield raw.fault(("policy", "component_table"), shown(name), known_name(name, versions))
    schedules = sorted({r.schedule for r in tables.depreciation})
    if case.finance.depreciation not in schedules:
        name = case.finance.depreciation
        yield raw.fault(("finance", "depreciation"), shown(name), known_name(name, schedules))
    paths = sorted({r.path for r in tables.lithium})
    if case.finance.lithium_path not in paths:
        name = case.finance.lithium_path
        yield raw.fault(("finance", "lithium_path"), shown(name), known_name(name, paths))


def _uncertain(case: Case, raw: RawCase, offers: Sequence[Offer]) -> Iterator[Fault]:
    """Futures become known after the decision; options are on offers that the case selects."""
    decision, uncertain = case.timeline.decision, case.disruption
    for name, future in uncertain.futures.items():
        if future.known <= decision:
            allowed = f"a month after the decision, {month_text(decision)}"
            yield raw.fault(("disruption", "futures", name, "known"), month_text(future.known), allowed)
    known = sorted(o.offer for o in offers)
    for name, option in uncertain.options.items():
        where = ("disruption", "options", name)
        if option.offer not in known:
            yield raw.fault((*where, "offer"), shown(option.offer), known_name(option.offer, known))
        if name in known:
            yield raw.fault(where, f"the name of the offer {shown(name)}", "a name of its own")
        if option.expires <= decision:
            allowed = f"a month after the decision, {month_text(decision)}"
            yield raw.fault((*where, "expires"), month_text(option.expires), allowed)


def _names_of(row: type[CostRow], field: str) -> tuple[str, ...]:
    return tuple(str(word) for word in get_args(row.model_fields[field].annotation))


def _costs(tables: Tables, offers: Sequence[Offer]) -> Iterator[Fault]:
    known = {(r.cost, r.chemistry, r.origin) for r in tables.costs}
    if ("barrier_usd_per_m", "*", "*") not in known:
        yield Fault("data/costs.csv", "barrier_usd_per_m", "no row for * and *", "a row for every chemistry and origin")
    for cost in sorted(set(_names_of(CostRow, "cost")) - OPTIONAL_COSTS):
        without = [
            o for o in offers if not any((cost, c, g) in known for c in ("*", o.chemistry) for g in ("*", o.origin))
        ]
        if without:
            pair = f"{without[0].chemistry} from {without[0].origin}"
            yield Fault(
                "data/costs.csv", cost, f"no row for {pair}", "a row for every chemistry and origin (* fits all)"
            )


def _duties(case: Case, tables: Tables, offers: Sequence[Offer]) -> Iterator[Fault]:
    """Refuse a duty that starts after the decision: it would be taken as zero before."""
    first: dict[tuple[str, str], int] = {}
    for row in tables.tariffs:
        pair = (row.duty_origin, row.duty_class)
        first[pair] = min(row.since, first.get(pair, row.since))
    decision = case.timeline.decision
    for pair in sorted({(o.duty_origin, o.duty_class) for o in offers}):
        since = first.get(pair, decision)
        if since > decision:
            allowed = f"a row from {month_text(decision)} or earlier"
            yield Fault("data/tariffs.csv", " ".join(pair), f"a first rate from {month_text(since)}", allowed)


def _fire(case: Case, tables: Tables, offers: Sequence[Offer]) -> Iterator[Fault]:
    """Every lookup that the site and the fire groups can make must find a row."""
    rows = [r for r in tables.fire_rules if r.profile in (case.fire.profile, "common")]
    known = {(r.rule, r.chemistry, r.evidence, r.zone_type, r.barrier) for r in rows}
    for rule, *wanted in _fire_lookups(case, offers):
        if not any((rule, *place) in known for place in product(*({"*", word} for word in wanted))):
            chemistry, evidence, zone, barrier = wanted
            found = f"no row for {chemistry}, evidence {evidence}, zone {zone}, barrier {barrier}"
            yield Fault("data/fire_rules.csv", rule, found, f"a row in {case.fire.profile} or common")


def _fire_lookups(case: Case, offers: Sequence[Offer]) -> Iterator[tuple[str, str, str, str, str]]:
    """Rule, chemistry, evidence, zone type and barrier of each lookup."""
    zones = sorted({z.zone_type for z in case.site.zones})
    for barrier in ("no", "yes"):
        yield "setback_line_m", "*", "*", "*", barrier
        for chemistry in sorted({o.chemistry for o in offers}):
            yield "setback_hall_m", chemistry, "*", "*", barrier
    for chemistry, evidence, storage in sorted({(o.chemistry, o.evidence, o.is_storage) for o in offers}):
        rules = ["hazard_class", "footprint_multiplier", "bop_multiplier"]
        rules += ["group_containers", "fire_water_lpm"] if storage else []
        for rule in rules:
            yield rule, chemistry, evidence, "*", "*"
        for zone in zones if storage else []:
            yield "fire_area_cap_mwh", chemistry, evidence, zone, "*"


def _sources(tables: Tables, offers: Sequence[Offer]) -> Iterator[Fault]:
    """Names of the sourcing network, and what its sums need: materials, layer weights, output."""
    nodes = {n.node: n for n in tables.source_nodes}
    refineries = {n.node for n in tables.source_nodes if n.layer == "refining"}
    layers = {r.layer for r in tables.layer_weights}
    for node in tables.source_nodes:
        if node.layer not in layers:
            yield Fault(
                "data/source_nodes.csv", f"{node.node} layer", shown(node.layer), known_name(node.layer, layers)
            )
        for name in _listed(node.feeds):
            if name not in refineries:
                yield Fault("data/source_nodes.csv", f"{node.node} feeds", shown(name), known_name(name, refineries))
    for unknown in sorted({r.node for r in tables.source_output} - set(nodes)):
        yield Fault("data/source_output.csv", "node", shown(unknown), known_name(unknown, nodes))
    for silent in sorted(set(nodes) - {r.node for r in tables.source_output}):
        yield Fault("data/source_output.csv", "node", f"no row of {silent}", "a row for one year or more")
    chemistry = {o.offer: o.chemistry for o in offers}
    weighed: set[tuple[str, str]] = {(r.chemistry, r.layer) for r in tables.layer_weights}
    made_of: set[tuple[str, str]] = {(r.chemistry, r.layer) for r in tables.materials}
    for row in tables.offer_sourcing:
        key = f"{row.offer} {row.layer}"
        for name in () if row.nodes.strip() == "*" else _listed(row.nodes):
            if name not in nodes or nodes[name].layer != row.layer:
                there = [n for n, node in nodes.items() if node.layer == row.layer]
                yield Fault("data/offer_sourcing.csv", key, shown(name), known_name(name, there))
        pair = (chemistry.get(row.offer, ""), row.layer)
        if row.offer in chemistry and not {pair} <= weighed & made_of:
            found = f"no material or no layer weight of {pair[0]}"
            yield Fault("data/offer_sourcing.csv", key, found, "a row in materials.csv and in layer_weights.csv")


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(";") if part.strip()]
