"""The dossier against other ways to the same figures, and the ground plan against geometry."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path

import pytest

import planner
from planner.dossier import Block
from planner.evidence.ground import LEAST_GAP_M, Parcel, Rectangle, lay_out
from planner.report.chain import ITEM_COLUMNS, shown_values
from planner.results import Plan
from planner.verify.content import exposure, ratios, shares
from planner.verify.fleet import build_fleet
from planner.verify.ledger import build_ledger, cost_by_item
from planner.verify.lookup import Book
from planner.verify.tally import Tally
from tests.report.folders import plan_of

#: Block corners are written to the millimetre.
MM = 2e-3


@pytest.fixture(scope="module")
def utility(front_folder: Path) -> tuple[planner.Problem, Plan]:
    plan = Plan.model_validate_json((front_folder / "plan.json").read_text(encoding="utf-8"))
    return planner.load_case("utility-200mw"), plan


def test_cost_chain_equals_the_verifiers_ledger(utility: tuple[planner.Problem, Plan]) -> None:
    problem, plan = utility
    fleet = build_fleet(problem, plan, Book(problem), Tally())
    ledger = cost_by_item(problem, build_ledger(fleet, plan))
    lines = [shown_values(line.model_dump()) for line in plan.dossier.order_lines]
    for item, column in ITEM_COLUMNS.items():
        mine = sum(float(v["containers"]) * float(v[column]) for v in lines) / 1e6
        assert mine == pytest.approx(ledger[item], abs=1e-8), item
    for line, values in zip(plan.dossier.order_lines, lines, strict=True):
        assert values["line_cost"] == pytest.approx(line.cost_musd, abs=1e-9)
    assert sum(q.cost_musd for q in plan.dossier.order_lines) + sum(
        o.cost_musd for o in plan.dossier.other_costs
    ) == pytest.approx(plan.cost_musd, abs=1e-8)
    assert sum(t.duty_musd for t in plan.dossier.tariffs) == pytest.approx(plan.cost_breakdown_musd["duty"])
    assert sum(h.credit_musd for h in plan.dossier.phases) == pytest.approx(-plan.cost_breakdown_musd["tax_credit"])
    assert plan.dossier.turns == tuple(sorted(plan.dossier.turns, key=lambda t: -t.at_stake_musd))


def test_origin_equals_the_verifier(utility: tuple[planner.Problem, Plan]) -> None:
    problem, plan = utility
    book = Book(problem)
    fleet = build_fleet(problem, plan, book, Tally())
    by_layer = {
        layer: sum(r.production_frac for r in rows)
        for layer, rows in itertools.groupby(plan.dossier.layer_exposure, key=lambda r: r.layer)
    }
    assert max(by_layer.values()) == pytest.approx(exposure(fleet, "chokepoint", plan.required_mwh))
    assert by_layer["cell"] == pytest.approx(exposure(fleet, "cell", plan.required_mwh))
    assert set(shares(book, problem.offers[fleet.used[0]], "chokepoint")) <= set(by_layer)
    for vintage in plan.dossier.vintages:
        p = next(i for i, q in enumerate(problem.periods) if q.label == vintage.period)
        assert (vintage.domestic_frac, vintage.macr_frac) == pytest.approx(ratios(fleet, [p]))
    for role in {r.role for r in plan.dossier.country_shares}:
        assert sum(r.share_frac for r in plan.dossier.country_shares if r.role == role) == pytest.approx(1.0)


def test_outage_curves_hold_the_reported_margins(utility: tuple[planner.Problem, Plan]) -> None:
    _, plan = utility
    margins = {m.contingency: m for m in plan.reliability}
    assert {q.contingency for q in plan.dossier.outage_curves} == set(margins)
    for curve in plan.dossier.outage_curves:
        known = margins[curve.contingency]
        assert (curve.period, curve.lost) == (known.period, known.lost)
        assert curve.margin_mwh == pytest.approx(known.margin_mwh)
        slack = [d - r for d, r in zip(curve.delivered_mwh, curve.required_mwh, strict=True)]
        at = slack.index(min(slack))
        assert curve.hours[at] == curve.tightest_h
        assert slack[at] == pytest.approx(known.margin_mwh, abs=2e-3)
    for kind, known in margins.items():
        rows = [m for m in plan.dossier.period_margins if m.contingency == kind]
        assert min(m.margin_mwh for m in rows) == pytest.approx(known.margin_mwh)


def boxes(block: Block) -> list[tuple[float, float, float, float]]:
    """Corners of every container of a block, by the rule of its docstring."""
    dx, dy = block.array_length_m / block.columns, block.array_width_m / block.rows
    found = []
    for n in range(block.containers):
        x = block.x_m + n % block.columns * dx + (dx - block.container_x_m) / 2
        y = block.y_m + n // block.columns * dy + (dy - block.container_y_m) / 2
        found.append((x, y, x + block.container_x_m, y + block.container_y_m))
    return found


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] - MM and b[0] < a[2] - MM and a[1] < b[3] - MM and b[1] < a[3] - MM


def test_containers_stand_apart_inside_the_usable_rectangle(front_folder: Path) -> None:
    for i in range(3):
        plan = json.loads((front_folder / f"point-{i}.json").read_text(encoding="utf-8"))
        used = {u["zone"]: u for u in plan["fire"]}
        for zone in plan["dossier"]["site"]:
            blocks = [Block(**b) for b in zone["blocks"]]
            assert sum(b.containers for b in blocks) == zone["containers"] - zone["unplaced"]
            assert zone["occupied_m2"] == pytest.approx(used[zone["zone"]]["area_used_m2"])
            line, top = zone["line_inset_m"], zone["width_m"] - zone["hall_inset_m"]
            assert (zone["length_m"] - 2 * line) * (top - line) == pytest.approx(zone["usable_m2"])
            every = [box for b in blocks for box in boxes(b)]
            for x0, y0, x1, y1 in every:
                assert line - MM <= x0 < x1 <= zone["length_m"] - line + MM
                assert line - MM <= y0 < y1 <= top + MM
            assert not [1 for a, b in itertools.combinations(every, 2) if overlap(a, b)]
            if not zone["unplaced"]:
                assert sum(b.length_m * b.width_m for b in blocks) >= zone["occupied_m2"] * (1 - 1e-4)


@pytest.mark.parametrize("seed", range(12))
def test_random_yards(seed: int) -> None:
    draw = random.Random(seed)
    room = Rectangle(1.3, 2.1, draw.uniform(60, 300), draw.uniform(40, 200))
    parcels = [
        Parcel(f"o{i}", "lfp", "China", "storage", draw.randint(1, 80), draw.uniform(6, 13), draw.uniform(1.7, 3.1),
               draw.uniform(1.8, 2.6), draw.uniform(1.2, 2.5), draw.choice((1, 4, 16)))
        for i in range(draw.randint(1, 6))
    ]  # fmt: skip
    while sum(p.area_m2 for p in parcels) > room.length * room.width:
        parcels.pop()
    blocks, unplaced = lay_out(parcels, room)
    assert lay_out(parcels, room) == (blocks, unplaced)
    assert sum(b.containers for b in blocks) + unplaced == sum(p.containers for p in parcels)
    areas = {p.offer: p.area_m2 / p.containers for p in parcels}
    for b in blocks:
        assert b.length_m * b.width_m >= b.containers * areas[b.offer] * (1 - 1e-3)
        assert min(b.gap_x_m, b.gap_y_m) >= LEAST_GAP_M - MM
        assert b.x_m + b.length_m <= room.x + room.length + MM
        assert b.y_m + b.width_m <= room.y + room.width + MM
    every = [box for b in blocks for box in boxes(b)]
    assert not [1 for a, b in itertools.combinations(every, 2) if overlap(a, b)]


def test_what_cannot_be_drawn_is_counted() -> None:
    narrow = Rectangle(0.0, 0.0, 100.0, 2.0)
    parcel = Parcel("o", "lfp", "China", "storage", 3, 6.0, 2.5, 1.5, 1.0, 1)
    assert lay_out([parcel], narrow) == ((), 3)
    assert lay_out([], narrow) == ((), 0)


def test_plan_names_what_would_change_it(front_folder: Path) -> None:
    turns = plan_of(front_folder)["dossier"]["turns"]
    assert len(turns) >= 3
    assert all(t["at_stake_musd"] > 0 and t["text"] for t in turns)


def test_turns_say_words_and_name_a_product_once(tiny_folder: Path) -> None:
    """Two offers of one product are one name in a sentence, and no key of a case stands in it."""
    turns = {t["topic"]: t["text"] for t in plan_of(tiny_folder)["dossier"]["turns"]}
    for topic in ("Disputed suppliers", "Weak data"):
        assert turns[topic].count("Fluence Gridstack Pro 5000 (AESC Smyrna cells)") == 1
    assert "under a stricter reading" in turns["Disputed suppliers"]
    assert not [text for text in turns.values() if "_" in text or "policy." in text]
