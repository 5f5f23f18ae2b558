"""A small sourcing network: seven nodes in four layers, and what to lay it over."""

from __future__ import annotations

from typing import Any

from planner.catalogue import LayerWeightRow, MaterialRow, OfferSourcingRow, SourceNodeRow, SourceOutputRow
from planner.problem import LayerShare, Problem
from tests.properties.questions import STAMP
from tests.properties.test_monotone import of_case, offers, tables

LAYERS = ("mining", "refining", "cathode", "anode", "cell")
WEIGHT = dict(zip(LAYERS, (0.07, 0.11, 0.29, 0.13, 0.23), strict=True))
AMOUNT = {"mining": 0.61, "refining": 0.61, "cathode": 2.3, "anode": 1.07}
#: (node, layer, country, owner's country, feeds)
NODES = (
    ("home-ore", "mining", "US", "US", "home-salt"), ("far-ore", "mining", "Chile", "China", "home-salt;far-salt"),
    ("home-salt", "refining", "US", "US", ""), ("far-salt", "refining", "Chile", "Chile", ""),
    ("ally-powder", "cathode", "Korea", "Korea", ""), ("owned-powder", "cathode", "Morocco", "China", ""),
    ("ally-graphite", "anode", "Japan", "Japan", ""),
)  # fmt: skip


def shares(**own: tuple[float, float]) -> dict[str, LayerShare]:
    return {n: LayerShare(production_frac=a, ownership_frac=b) for n, (a, b) in own.items()}


def network(
    premiums: list[float],
    sizes: list[float],
    start: str = "2026-01",
    risk: float = 0.07,
    accept: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Tables of a network with the nodes of ``NODES``, sizes in kt a year."""
    kept = accept if accept is not None else {"Alpha": "*", "Beta": "*"}
    rows = [
        SourceNodeRow(node=n, layer=layer, owner="x", country=c, owner_country=o, chemistries="lfp;zinc", feeds=feeds,
                      premium_usd_per_unit=usd, ahead_months=7, start=start, delay_risk_frac=risk, **STAMP)
        for (n, layer, c, o, feeds), usd in zip(NODES, premiums, strict=True)
    ]  # fmt: skip
    output = [
        SourceOutputRow(node=row.node, year=y, capacity=size * f, committed_frac=0.13, obtainable_frac=0.31, **STAMP)
        for row, size in zip(rows, sizes, strict=True)
        for y, f in ((2028, 0.7), (2031, 1.3))
    ]
    weights = [
        LayerWeightRow(chemistry=c, layer=n, weight_frac=w, **STAMP) for c in ("lfp", "zinc") for n, w in WEIGHT.items()
    ]
    material = [
        MaterialRow(chemistry=c, layer=n, material=n, amount_per_kwh=a, **{**STAMP, "unit": "kg/kWh"})
        for c in ("lfp", "zinc") for n, a in AMOUNT.items()
    ]  # fmt: skip
    takes = [
        OfferSourcingRow(offer=o, layer=n, nodes=names, change_usd_per_kwh=0.17, **STAMP)
        for o, names in kept.items() for n in AMOUNT
    ]  # fmt: skip
    return {
        "source_nodes": tuple(rows), "source_output": tuple(output), "layer_weights": tuple(weights),
        "materials": tuple(material), "offer_sourcing": tuple(takes),
    }  # fmt: skip


def sourced(
    problem: Problem, made: dict[str, dict[str, LayerShare]], tabled: dict[str, Any], mode: str = "free"
) -> Problem:
    """A problem with a network laid over it."""
    changed = tables(problem, **tabled)
    for name, layers in made.items():
        changed = offers(changed, name, layers=layers)
    return of_case(changed, "sourcing.mode", mode)
