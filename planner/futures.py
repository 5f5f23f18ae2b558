"""A future laid over the tables: what is dearer, later, dutied, cut off.

The tables are changed before offers are joined, so that the model and the verifier read the same
changed rows and provenance shows each with the name and source of the change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar, cast

import numpy as np

from planner.case import Case, Load, PeriodBlock, ServiceStep
from planner.catalogue import (
    CONFIDENCE_ORDER,
    BanRow,
    CostRow,
    FactoryOutputRow,
    FactoryRow,
    LithiumRow,
    OfferFlagRow,
    OfferPriceRow,
    OfferRow,
    OfferValueRow,
    Row,
    SourceNodeRow,
    SourceOutputRow,
    TariffRow,
)
from planner.changes import Change, CutOff, DutyChange, FactoryChange, LoadChange, NodeChange, OfferChange
from planner.faults import known_name, shown
from planner.offerbook import OfferRows
from planner.tablefiles import RowSets, row_key
from planner.units import MONTHS_PER_YEAR

Refuse = Callable[[str, str, str], None]
_CHOICES = ("offers", "suppliers", "chemistries", "maturities", "origins", "cell_countries")
_HEAD_FIELD = dict(zip(_CHOICES, ("offer", "supplier", "chemistry", "maturity", "origin", "cell_country"), strict=True))


def changed_case(case: Case) -> Case:
    """Return the case with the campus of its future: later, smaller, with longer outages.

    Parameters
    ----------
    case
        As written; without ``futures.load`` it comes back as it is.
    """
    for change in case.futures.load.values():
        case = _campus(case, change)
    return case


def _campus(case: Case, change: LoadChange) -> Case:
    """Shift and scale the ramp; delivery periods are added so that they still reach full load."""
    delay, scale = change.delay_months, change.target_scale_frac
    load: Load = case.load.model_copy(
        update={
            "target_mw": {m + delay: scale * mw for m, mw in case.load.target_mw.items()},
            "floor_mw": {m + delay: scale * mw for m, mw in case.load.floor_mw.items()},
        }
    )
    more = -(-delay // MONTHS_PER_YEAR)
    blocks = case.timeline.periods + ((PeriodBlock(months=12, count=more),) if more else ())
    service = case.reliability.service
    if service[0].until_h < change.full_service_h:
        first = ServiceStep(until_h=change.full_service_h, share_frac=service[0].share_frac)
        service = (first, *(s for s in service[1:] if s.until_h > first.until_h))
    return case.model_copy(
        update={
            "load": load,
            "timeline": case.timeline.model_copy(update={"periods": blocks}),
            "reliability": case.reliability.model_copy(update={"service": service}),
        }
    )


class Future:
    """Applies the ``futures`` of a case to its tables.

    Parameters
    ----------
    case
        The validated case.
    tables
        Rows by table, changed in place.
    refuse
        Takes key, what was found and what is allowed, for a name that does not exist.
    """

    def __init__(self, case: Case, tables: RowSets, refuse: Refuse) -> None:
        self.case, self.futures, self.tables, self.refuse = case, case.futures, tables, refuse

    def change_tables(self) -> None:
        """Change duties, lithium prices and cost layers."""
        for name, duty in self.futures.duties.items():
            self._duties(name, duty)
        for name, lithium in self.futures.lithium.items():
            path = self.case.finance.lithium_path
            rows = [r for r in self.tables["lithium"].values() if cast(LithiumRow, r).path == path]
            for row, year, price in list(_yearly(rows, "usd_per_kg", lithium.from_year)):
                scale = lithium.price_scale_frac if year >= lithium.from_year else 1.0
                self._put("lithium", _marked(row, lithium, f"lithium.{name}", year=year, usd_per_kg=price * scale))
        for name, cost in self.futures.costs.items():
            self._known(
                f"costs.{name}.costs", cost.costs, {cast(CostRow, r).cost for r in self.tables["costs"].values()}
            )
            for row in [cast(CostRow, r) for r in self.tables["costs"].values()]:
                fits = cost.chemistries is None or row.chemistry in cost.chemistries
                if row.cost in cost.costs and fits:
                    value = row.value * cost.value_scale_frac
                    self._put("costs", _marked(row, cost, f"costs.{name}", value=value))
        for name, change in self.futures.nodes.items():
            self._nodes(name, change)

    def change_offers(self, book: Mapping[str, OfferRows]) -> frozenset[str]:
        """Change offers and factories; return the offers that no longer exist."""
        withdrawn: set[str] = set()
        heads = [rows.head for rows in book.values() if rows.head is not None]
        for name, change in self.futures.offers.items():
            for part in _CHOICES:
                known = {getattr(h, _HEAD_FIELD[part]) for h in heads}
                self._known(f"offers.{name}.{part}", getattr(change, part) or (), known)
            chosen = [rows for rows in book.values() if rows.head is not None and _means(change, rows.head)]
            for rows in chosen:
                _change_offer(rows, change, f"offers.{name}")
            withdrawn |= {cast(OfferRow, r.head).offer for r in chosen} if change.withdrawn else set()
        for name, factory in self.futures.factories.items():
            self._factories(name, factory, heads)
        for name, cut in self.futures.cutoffs.items():
            self._cut_off(name, cut, book)
        return frozenset(withdrawn)

    def _put(self, table: str, row: Row) -> None:
        self.tables[table][row_key(row)] = row

    def _known(self, key: str, names: Iterable[str], known: Iterable[str]) -> None:
        there = sorted(set(known))
        for name in names:
            if name not in there:
                self.refuse(f"futures.{key}", shown(name), known_name(name, there))

    def _duties(self, name: str, change: DutyChange) -> None:
        """Add points to every step of the duty within the dates, and steps at both dates."""
        rows = [cast(TariffRow, r) for r in self.tables["tariffs"].values()]
        self._known(f"duties.{name}.origins", change.origins or (), {r.duty_origin for r in rows})
        self._known(f"duties.{name}.classes", change.classes or (), {r.duty_class for r in rows})
        steps: dict[tuple[str, str], list[TariffRow]] = {}
        for row in rows:
            if change.origins is not None and row.duty_origin not in change.origins:
                continue
            if row.duty_class in change.classes if change.classes is not None else row.duty_class != "none":
                steps.setdefault((row.duty_origin, row.duty_class), []).append(row)
        for series in steps.values():
            for edge in (change.since, change.until):
                before = [r for r in series if edge is not None and r.since <= edge]
                if edge is not None and before and max(r.since for r in before) != edge:
                    last = max(before, key=lambda r: r.since)
                    series.append(_marked(last, change, f"duties.{name}", since=edge))
            for row in series:
                within = change.since <= row.since and (change.until is None or row.since < change.until)
                rate = max(0.0, row.rate_frac + change.add_frac) if within else row.rate_frac
                self._put("tariffs", _marked(row, change, f"duties.{name}", rate_frac=rate) if within else row)

    def _nodes(self, name: str, change: NodeChange) -> None:
        """Mines, refineries and plants: earlier or later, larger, surer, with a credit per unit."""
        nodes = [cast(SourceNodeRow, r) for r in self.tables["source_nodes"].values()]
        fields = {"nodes": "node", "layers": "layer", "countries": "country", "owner_countries": "owner_country"}
        for key, field in fields.items():
            known = {str(getattr(n, field)) for n in nodes}
            self._known(f"nodes.{name}.{key}", getattr(change, key) or (), known)
        for node in nodes:
            wanted = ((getattr(change, key), getattr(node, field)) for key, field in fields.items())
            if all(names is None or value in names for names, value in wanted):
                self._one_node(node, change, f"nodes.{name}")

    def _one_node(self, node: SourceNodeRow, change: NodeChange, where: str) -> None:
        rows = [cast(SourceOutputRow, r) for r in self.tables["source_output"].values()]
        series = sorted((r for r in rows if r.node == node.node), key=lambda r: r.year)
        moved = _marked(
            node, change, where, start=node.start + change.start_add_months,
            premium_usd_per_unit=node.premium_usd_per_unit + change.premium_add_usd_per_unit,
            delay_risk_frac=min(0.95, node.delay_risk_frac * change.risk_scale_frac),
        )  # fmt: skip
        self._put("source_nodes", moved)
        if not series:
            return
        years = [r.year for r in series]
        shift = change.start_add_months / MONTHS_PER_YEAR
        late, early = max(0, int(np.ceil(shift))), min(0, int(np.floor(shift)))
        for year in range(years[0] + early, years[-1] + late + 1):
            columns = {
                c: float(np.interp(year - by, years, [getattr(r, c) for r in series]))
                for c, by in (("capacity", shift), ("committed_frac", 0.0), ("obtainable_frac", 0.0))
            }
            columns["capacity"] *= change.output_scale_frac
            columns["obtainable_frac"] = min(1.0, columns["obtainable_frac"] * change.obtainable_scale_frac)
            base = next((r for r in reversed(series) if r.year <= year), series[0])
            self._put("source_output", _marked(base, change, where, year=year, **columns))

    def _factories(self, name: str, change: FactoryChange, heads: Iterable[OfferRow]) -> None:
        rows = [cast(FactoryRow, r) for r in self.tables["factories"].values()]
        self._known(f"factories.{name}.factories", change.factories or (), {r.factory for r in rows})
        self._known(f"factories.{name}.countries", change.countries or (), {r.country for r in rows})
        self._known(f"factories.{name}.owner_countries", change.owner_countries or (), {r.owner_country for r in rows})
        makes: dict[str, set[str]] = {}
        for head in heads:
            makes.setdefault(head.cell_factory, set()).add(head.chemistry)
            makes.setdefault(head.assembly_plant, set()).add(head.chemistry)
        for row in rows:
            only = change.chemistries is None or bool(makes.get(row.factory, set()) & set(change.chemistries))
            named = change.factories is None or row.factory in change.factories
            there = change.countries is None or row.country in change.countries
            owned = change.owner_countries is None or row.owner_country in change.owner_countries
            if only and named and there and owned:
                self._one_factory(row.factory, change, f"factories.{name}")

    def _one_factory(self, factory: str, change: FactoryChange, where: str) -> None:
        rows = [cast(FactoryOutputRow, r) for r in self.tables["factory_output"].values()]
        series = sorted((r for r in rows if r.factory == factory), key=lambda r: r.year)
        if not series:
            return
        years = [r.year for r in series]
        first = years[0] if change.from_year is None else max(years[0], change.from_year)
        # a late ramp needs a row in every year it moves through: the model reads between rows in a line
        late = max(0, -(-change.delay_months // MONTHS_PER_YEAR))
        for year in range(min(years[0], first), max(years[-1] + late, first) + 1):
            shift = change.delay_months / MONTHS_PER_YEAR if year >= first else 0.0
            touched = year >= first
            columns = {
                c: float(np.interp(year - shift, years, [getattr(r, c) for r in series]))
                for c in ("capacity_gwh", "committed_frac", "obtainable_frac")
            }
            if touched:
                columns["capacity_gwh"] *= change.output_scale_frac
                columns["obtainable_frac"] = min(1.0, columns["obtainable_frac"] * change.obtainable_scale_frac)
            base = next((r for r in reversed(series) if r.year <= year), series[0])
            self._put("factory_output", _marked(base, change, where, year=year, **columns))

    def _cut_off(self, name: str, cut: CutOff, book: Mapping[str, OfferRows]) -> None:
        """Flag the offers that stop, and ban the flag for this buyer from the month on."""
        heads = [rows.head for rows in book.values() if rows.head is not None]
        fields = {"cell": "cell_country", "system": "origin"}
        if cut.goods in fields:
            self._known(f"cutoffs.{name}.countries", cut.countries, {getattr(h, fields[cut.goods]) for h in heads})
        else:
            layers = {layer for rows in book.values() for layer in rows.layers}
            self._known(f"cutoffs.{name}.goods", (cut.goods,), layers | set(fields))
        clock = "order" if cut.clock == "ordered" else "delivery"
        # where sources are chosen, an offer still comes if nothing of the layer is made in China any more
        proven = self.case.sourcing.mode == "free" and cut.goods not in fields
        flag, words = (f"layer-{clock}", cut.goods) if proven else (clock, "")
        for rows in book.values():
            if rows.head is not None and _stops(cut, rows):
                way = {"shipped": ("shipping_months", "commissioning_months"), "delivered": ("commissioning_months",)}
                months = [rows.values[m].value for m in way.get(cut.clock, ()) if m in rows.values]
                _flag(rows, cut, cut.since + int(sum(months)), name, flag)
        # one ban per clock, in force from the earliest cut; the date of each offer stands in its flag
        bans = cast("Iterable[BanRow]", self.tables["bans"].values())
        same = [b for b in bans if b.ban == f"cut-off-{flag}" and b.buyer == self.case.buyer]
        layers_cut = dict.fromkeys([*(n for b in same for n in b.proof_layers.split(";")), words])
        since = min([cut.since, *(b.since for b in same)])
        ban = BanRow(
            ban=f"cut-off-{flag}", buyer=self.case.buyer, flag=_FLAGS[flag], since=since, clock=clock,
            proof_layers=";".join(layers_cut), unit="month", date="future",
            source=f"future {name}: {cut.source}"[:400], confidence=cut.confidence, note=cut.note,
        )  # fmt: skip
        self._put("bans", ban)


_FLAGS: dict[str, Any] = {
    "order": "cut_off_ordered",
    "delivery": "cut_off_delivered",
    "layer-order": "cut_off_layer_ordered",
    "layer-delivery": "cut_off_layer_delivered",
}


def _flag(rows: OfferRows, cut: CutOff, since: int, name: str, which: str) -> None:
    """Date the flag of an offer; of two cut-offs the earlier counts."""
    flag = _FLAGS[which]
    old = rows.flags.get(flag)
    if old is not None and old.since is not None and old.since <= since:
        return
    head = cast(OfferRow, rows.head)
    rows.flags[flag] = OfferFlagRow(
        offer=head.offer, flag=flag, status="yes", since=since, reason=f"future {name}", unit="-", date="future",
        source=f"future {name}: {cut.source}"[:400], confidence=cut.confidence, note=cut.note,
    )  # fmt: skip


def _stops(cut: CutOff, rows: OfferRows) -> bool:
    head = cast(OfferRow, rows.head)
    if cut.goods == "cell":
        return head.cell_country in cut.countries
    if cut.goods == "system":
        return head.origin in cut.countries
    layer = rows.layers.get(cut.goods)
    return layer is not None and layer.production_frac > cut.above_frac


def _means(change: OfferChange, head: OfferRow) -> bool:
    wanted = ((getattr(change, part), getattr(head, _HEAD_FIELD[part])) for part in _CHOICES)
    return all(names is None or value in names for names, value in wanted)


def _change_offer(rows: OfferRows, change: OfferChange, where: str) -> None:
    """Change one offer's rows in place."""
    if change.price_scale_frac != 1.0 and rows.prices:
        first = min(rows.prices) if change.from_year is None else change.from_year
        for row, year, price in list(_yearly(rows.prices.values(), "value", first)):
            value = price * (change.price_scale_frac if year >= first else 1.0)
            rows.prices[year] = _marked(cast(OfferPriceRow, row), change, where, year=year, value=value)
    lithium = rows.values.get("lithium_kg_per_kwh")
    if lithium is not None and change.lithium_scale_frac != 1.0:
        value = lithium.value * change.lithium_scale_frac
        rows.values["lithium_kg_per_kwh"] = _marked(lithium, change, where, value=value)
    for field, add, most in (
        ("lead_time_months", float(change.lead_add_months), 120.0),
        ("delivery_risk_frac", change.risk_add_frac, 0.95),
        ("grant_usd_per_kwh", change.grant_add_usd_per_kwh, 1000.0),
    ):
        if add:
            old = rows.values.get(field) or _new_value(rows, field)
            rows.values[field] = _marked(old, change, where, value=min(most, max(0.0, old.value + add)))
    for layer, scale in change.china_scale_frac.items():
        share = rows.layers.get(layer)
        if share is not None:
            shares = {c: getattr(share, c) * scale for c in ("production_frac", "ownership_frac")}
            rows.layers[layer] = _marked(share, change, where, **shares)


def _new_value(rows: OfferRows, field: str) -> OfferValueRow:
    """A figure that the offer left to its default of zero."""
    unit = next((u for end, u in (("_months", "months"), ("_usd_per_kwh", "USD/kWh")) if field.endswith(end)), "frac")
    head = cast(OfferRow, rows.head)
    return OfferValueRow(
        offer=head.offer, field=field, value=0.0, unit=unit, source="default of zero", date=head.date,
        confidence="assumption",
    )  # fmt: skip


def _yearly(rows: Iterable[Row], column: str, first: int) -> Iterator[tuple[Row, int, float]]:
    """Row, year and value of a series in every year, so that a step at ``first`` stays a step."""
    series = sorted(rows, key=_year)
    years = [_year(r) for r in series]
    for year in range(years[0], max(years[-1], first) + 1) if years else ():
        base = next(r for r in reversed(series) if _year(r) <= year)
        yield base, year, float(np.interp(year, years, [getattr(r, column) for r in series]))


def _year(row: Row) -> int:
    return int(cast(Any, row).year)


R = TypeVar("R", bound=Row)


def _marked(row: R, change: Change, where: str, **values: Any) -> R:
    """Return a changed row that says which future changed it, and is no surer than the change."""
    weaker = min(row.confidence, change.confidence, key=CONFIDENCE_ORDER.index)
    note = f"Changed by futures.{where} ({change.source}). {row.note}"[:2000]
    return row.model_copy(update={"confidence": weaker, "note": note, **values})
