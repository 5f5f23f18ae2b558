"""The rows of one offer, gathered from seven tables, checked and joined into an ``Offer``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from planner.casekeys import words_of
from planner.catalogue import (
    CONFIDENCE_ORDER,
    OFFER_FIELDS,
    ComponentWeightRow,
    Confidence,
    FactoryRow,
    FadeRow,
    LayerWeightRow,
    OfferComponentRow,
    OfferFlagRow,
    OfferLayerRow,
    OfferPriceRow,
    OfferRow,
    OfferTierRow,
    OfferValueRow,
    Row,
    TariffRow,
)  # fmt: skip
from planner.faults import Fault, known_name, shown
from planner.problem import Component, Flag, LayerShare, Offer, Tier
from planner.tablefiles import RowSets

FLAGS = ("pfe_tax", "ndaa154", "usc4865", "list1260h", "fcc", "software_control")
INCLUDABLE = ("duty", "freight", "conversion", "transformer", "commissioning", "spares", "service")
USABLE_TOLERANCE = 1.001
_HEAD_ONLY = {"product", "currency", "fx_date", "document", "revision", *Row.model_fields}

#: One figure per field of ``OFFER_FIELDS``, checked by its type; unknown fields are refused.
Figures: type[BaseModel] = create_model(
    "Figures",
    __config__=ConfigDict(extra="forbid"),
    **cast(Any, {name: (kind, default) for name, (_, kind, default) in OFFER_FIELDS.items()}),
)


@dataclass
class OfferRows:
    """Every row of one offer, and where a reader finds them.

    Attributes
    ----------
    file, at
        File and key prefix named in faults.
    own
        Whether the offer is the buyer's own.
    line
        Line or sheet row of a quote that stands in a file.
    """

    file: str
    at: str
    own: bool = False
    line: int | None = None
    head: OfferRow | None = None
    values: dict[str, OfferValueRow] = field(default_factory=dict)
    prices: dict[int, OfferPriceRow] = field(default_factory=dict)
    tiers: dict[str, OfferTierRow] = field(default_factory=dict)
    flags: dict[str, OfferFlagRow] = field(default_factory=dict)
    components: dict[str, OfferComponentRow] = field(default_factory=dict)
    layers: dict[str, OfferLayerRow] = field(default_factory=dict)

    def parts(self) -> dict[str, dict[Any, Any]]:
        """Return the groups of rows by table name, without the head."""
        return {
            "offer_values": self.values,
            "offer_prices": self.prices,
            "offer_tiers": self.tiers,
            "offer_flags": self.flags,
            "offer_components": self.components,
            "offer_layers": self.layers,
        }

    def by_table(self) -> Iterator[tuple[str, Iterable[Row]]]:
        """Rows by table name, the head first."""
        if self.head is not None:
            yield "offers", (self.head,)
        for name, rows in self.parts().items():
            yield name, rows.values()

    def fault(self, key: str, found: str, allowed: str) -> Fault:
        """Return a fault of this offer."""
        return Fault(self.file, f"{self.at}.{key}" if key else self.at, found, allowed, self.line)


def gather(tables: RowSets, shown_folder: str) -> dict[str, OfferRows]:
    """Rows by offer; an offer without a head row keeps ``head = None``."""
    book: dict[str, OfferRows] = {}

    def rows_of(offer: str, table: str) -> OfferRows:
        if offer not in book:
            book[offer] = OfferRows(f"{shown_folder}/{table}.csv", offer)
        return book[offer]

    for row in tables["offers"].values():
        head = cast(OfferRow, row)
        rows_of(head.offer, "offers").head = head
    for table in ("offer_values", "offer_prices", "offer_tiers", "offer_flags", "offer_components", "offer_layers"):
        for key, row in tables[table].items():
            rows_of(key[0], table).parts()[table][key[1]] = row
    return book


@dataclass(frozen=True)
class Known:
    """Names that an offer may refer to."""

    suppliers: frozenset[str]
    factories: Mapping[str, str]
    with_output: frozenset[str]
    curves: frozenset[str]
    duties: frozenset[tuple[str, str]]
    components: frozenset[str]
    layers: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, tables: RowSets, component_table: str, duty: str) -> Known:
        """Names in the tables, for one component table and one duty of the fade curves."""
        factories = cast("Iterable[FactoryRow]", tables["factories"].values())
        fade = cast("Iterable[FadeRow]", tables["fade"].values())
        tariffs = cast("Iterable[TariffRow]", tables["tariffs"].values())
        weights = cast("Iterable[ComponentWeightRow]", tables["component_weights"].values())
        layers: dict[str, set[str]] = {}
        for row in cast("Iterable[LayerWeightRow]", tables["layer_weights"].values()):
            layers.setdefault(row.chemistry, set()).add(row.layer)
        return cls(
            suppliers=frozenset(key[0] for key in tables["suppliers"]),
            factories={f.factory: f.stage for f in factories},
            with_output=frozenset(key[0] for key in tables["factory_output"]),
            curves=frozenset(f.curve for f in fade if f.duty == duty),
            duties=frozenset((t.duty_origin, t.duty_class) for t in tariffs),
            components=frozenset(w.component for w in weights if w.version == component_table),
            layers={k: frozenset(v) for k, v in layers.items()},
        )


def _figures(rows: OfferRows, faults: list[Fault]) -> dict[str, Any] | None:
    given = {name: row.value for name, row in rows.values.items()}
    for name, row in rows.values.items():
        unit = OFFER_FIELDS[name][0] if name in OFFER_FIELDS else None
        if unit is not None and row.unit != unit:
            faults.append(rows.fault(name, f"the unit {shown(row.unit)}", f"the unit {unit}"))
    try:
        return Figures.model_validate(given).model_dump()
    except ValidationError as error:
        for problem in error.errors(include_url=False):
            name = str(problem["loc"][0])
            found, allowed = words_of(dict(problem))
            if problem["type"] == "extra_forbidden":
                found, allowed = f"the unknown field {shown(name)}", known_name(name, OFFER_FIELDS)
            elif problem["type"] == "missing":
                allowed = f"a figure in {OFFER_FIELDS[name][0]}"
            faults.append(rows.fault(name, found, allowed))
    return None


def _reference_faults(rows: OfferRows, head: OfferRow, known: Known) -> Iterator[Fault]:
    if head.supplier not in known.suppliers:
        yield rows.fault("supplier", shown(head.supplier), known_name(head.supplier, known.suppliers))
    for column, stage in (("cell_factory", "cell"), ("assembly_plant", "assembly")):
        name = getattr(head, column)
        if known.factories.get(name) != stage:
            fitting = [f for f, s in known.factories.items() if s == stage]
            yield rows.fault(column, shown(name), f"a factory of stage {stage}: {known_name(name, fitting)}")
        elif name not in known.with_output:
            yield rows.fault(column, shown(name), "a factory with rows in factory_output.csv")
    if head.fade_curve not in known.curves:
        yield rows.fault("fade_curve", shown(head.fade_curve), known_name(head.fade_curve, known.curves))
    if (head.duty_origin, head.duty_class) not in known.duties:
        pair = f"{head.duty_origin} {head.duty_class}"
        words = [" ".join(d) for d in known.duties]
        yield rows.fault("duty_origin", f"no tariff for {pair}", known_name(pair, words))
    for word in sorted(includes_of(head) - set(INCLUDABLE)):
        yield rows.fault("includes", shown(word), known_name(word, INCLUDABLE))


def includes_of(head: OfferRow) -> frozenset[str]:
    """Words of the ``includes`` column (separated by blanks, commas or semicolons)."""
    return frozenset(head.includes.replace(",", " ").replace(";", " ").split())


def _part_faults(rows: OfferRows, head: OfferRow, known: Known) -> Iterator[Fault]:
    for name in rows.components:
        if known.components and name not in known.components:
            yield rows.fault("components", shown(name), known_name(name, known.components))
    layers = known.layers.get(head.chemistry, frozenset())
    for name in rows.layers:
        if name not in layers and head.kind == "storage":
            yield rows.fault("layers", shown(name), known_name(name, layers))
    if head.kind != "storage":
        return
    for what, missing in (
        ("flags", set(FLAGS) - set(rows.flags)),
        ("components", known.components - set(rows.components)),
        ("layers", layers - set(rows.layers)),
    ):
        if missing:
            yield rows.fault(what, f"no {', '.join(sorted(missing))}", "every one of them, since it stores energy")
    if not layers:
        yield rows.fault("chemistry", shown(head.chemistry), "a chemistry with rows in layer_weights.csv")


def _price_faults(rows: OfferRows) -> Iterator[Fault]:
    if not rows.prices:
        yield rows.fault("price", "nothing", "a price for one year or more")
    units = {row.unit for row in rows.prices.values()}
    if len(units) > 1:
        yield rows.fault("price", "USD/kWh and USD/kW", "one unit for all years")
    tiers = sorted(rows.tiers.values(), key=lambda t: t.from_mwh)
    if tiers and tiers[0].from_mwh != 0:
        yield rows.fault("tiers", f"a first tier from {tiers[0].from_mwh:g} MWh", "a first tier from 0 MWh")
    for low, high in pairwise(tiers):
        if high.from_mwh <= low.from_mwh or high.discount_frac < low.discount_frac:
            found = (
                f"{high.discount_frac:g} from {high.from_mwh:g} MWh after {low.discount_frac:g} from {low.from_mwh:g}"
            )
            yield rows.fault("tiers", found, "tiers that rise in volume and discount")


def _tiers(rows: OfferRows) -> tuple[Tier, ...]:
    tiers = sorted(rows.tiers.values(), key=lambda t: t.from_mwh)
    found = tuple(Tier(tier=t.tier, from_mwh=t.from_mwh, discount_frac=t.discount_frac) for t in tiers)
    return found or (Tier(tier="base", from_mwh=0.0, discount_frac=0.0),)


def weakest(rows: Iterable[Row]) -> Confidence:
    """Lowest confidence among rows."""
    return min((r.confidence for r in rows), key=CONFIDENCE_ORDER.index)


def join(rows: OfferRows, known: Known, faults: list[Fault]) -> Offer | None:
    """One offer from its rows, or None and a fault for each thing that is wrong."""
    head = rows.head
    if head is None:
        faults.append(rows.fault("", "rows of an offer that is not in offers.csv", "rows of known offers"))
        return None
    before = len(faults)
    figures = _figures(rows, faults)
    faults.extend(_reference_faults(rows, head, known))
    faults.extend(_part_faults(rows, head, known))
    faults.extend(_price_faults(rows))
    if figures is None or len(faults) > before:
        return None
    usable, nameplate = figures["energy_usable_ac_mwh"], figures["energy_nameplate_dc_mwh"]
    if usable > nameplate * USABLE_TOLERANCE:
        faults.append(rows.fault("energy_usable_ac_mwh", f"{usable:g} MWh", f"at most the nameplate {nameplate:g} MWh"))
        return None
    columns = {name: getattr(head, name) for name in OfferRow.model_fields if name not in _HEAD_ONLY}
    columns["includes"] = includes_of(head)
    return Offer(
        product=head.product,
        **columns,
        **figures,
        price={year: rows.prices[year].value for year in sorted(rows.prices)},
        price_unit=next(iter(rows.prices.values())).unit,
        tiers=_tiers(rows),
        flags={n: Flag(status=f.status, since=f.since, reason=f.reason) for n, f in rows.flags.items()},
        components={
            n: Component(present=c.present == "yes", us_made=c.us_made == "yes", prohibited=c.prohibited)
            for n, c in rows.components.items()
        },
        layers={
            n: LayerShare(production_frac=s.production_frac, ownership_frac=s.ownership_frac)
            for n, s in rows.layers.items()
        },
        confidence=weakest(row for _, part in rows.by_table() for row in part),
    )
