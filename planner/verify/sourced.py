"""The sourcing network from the plan alone: who may take what, balances, capacities, premiums, relief of exposure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from planner.catalogue import BanRow, Chemistry, MaterialRow, SourceNodeRow
from planner.problem import Offer, Problem
from planner.results import Plan, Replacement
from planner.units import year_of
from planner.verify.fleet import Fleet
from planner.verify.flow import Flow
from planner.verify.lookup import Book, along
from planner.verify.tally import Tally, number

#: Layers that the cells of an offer are made of, for traced material assistance.
CELL_LAYERS = ("mining", "refining", "cathode", "anode", "electrolyte", "separator", "cell")
PARTS = {"made": (1.0, 1.0), "owned": (0.0, 1.0), "hosted": (1.0, 0.0)}
CHINA = "China"
QUOTED = "as quoted"
ELSEWHERE = "elsewhere"


@dataclass(frozen=True)
class Taken:
    """A replacement whose names the tables know, with indices, MWh, and by how much less of it counts as Chinese."""

    row: Replacement
    p: int
    offers: tuple[int, ...]
    node: SourceNodeRow
    material: MaterialRow
    chemistry: Chemistry
    mwh: float
    made_less: float
    owned_less: float


def listed(text: str) -> list[str]:
    """Names between semicolons."""
    return [part.strip() for part in text.split(";") if part.strip()]


def share_of(offer: Offer, layer: str, part: str) -> float:
    """Share of a layer that is made in China by its firms, owned by them elsewhere, or hosted there for others."""
    made, owned = offer.layers[layer].production_frac, offer.layers[layer].ownership_frac
    return {"made": min(made, owned), "owned": max(0.0, owned - made), "hosted": max(0.0, made - owned)}[part]


def accepts(problem: Problem, offer: Offer, node: SourceNodeRow) -> bool:
    """Whether the maker of an offer's cells takes goods of a node."""
    if offer.chemistry not in listed(node.chemistries):
        return False
    for row in problem.tables.offer_sourcing:
        if (row.offer, row.layer) == (offer.offer, node.layer):
            return row.nodes.strip() == "*" or node.node in listed(row.nodes)
    return False


def read_taken(fleet: Fleet, plan: Plan, tally: Tally) -> list[Taken]:
    """Replacements of a plan; what the tables do not know becomes an error and is left out."""
    tally.hold("sourcing")
    problem = fleet.problem
    if problem.case.sourcing.mode != "free":
        if plan.sourcing:
            tally.fail("sourcing", "goods are replaced although the case does not choose their sources")
        return []
    nodes = {n.node: n for n in problem.tables.source_nodes}
    periods = {q.label: i for i, q in enumerate(problem.periods)}
    index = {o.offer: i for i, o in enumerate(problem.offers)}
    found = []
    for row in plan.sourcing:
        name = f"{row.node} for {row.offers} in {row.period}"
        node, p = nodes.get(row.node), periods.get(row.period)
        offers = tuple(index[n] for n in listed(row.offers) if n in index)
        if node is None or p is None or row.part not in PARTS or len(offers) != len(listed(row.offers)) or not offers:
            tally.fail("sourcing", f"{name}: unknown node, period, part or offer")
            continue
        one = _read_one(fleet, row, node, p, offers, tally)
        if one is not None:
            found.append(one)
    _check_apart(found, tally)
    return found


def _read_one(
    fleet: Fleet, row: Replacement, node: SourceNodeRow, p: int, offers: tuple[int, ...], tally: Tally
) -> Taken | None:
    """One replacement against the tables."""
    problem = fleet.problem
    name = f"{row.node} for {row.offers} in {row.period}"
    chosen = [problem.offers[o] for o in offers]
    chemistry = chosen[0].chemistry
    material = next((m for m in problem.tables.materials if (m.chemistry, m.layer) == (chemistry, node.layer)), None)
    mwh = number(row.energy_mwh)
    alike = len({(o.chemistry, ratio_of(o), change_usd(problem, o, node.layer)) for o in chosen}) == 1
    if material is None or not alike or not mwh >= 0 or row.layer != node.layer:
        tally.fail("sourcing", f"{name}: no material, offers that differ, a wrong layer, or no amount")
        return None
    for o, offer in zip(offers, chosen, strict=True):
        if not accepts(problem, offer, node) or row.layer not in offer.layers or fleet.counts[o, p] <= 0:
            tally.fail("sourcing", f"{name}: {offer.offer} is not bought then or does not accept it")
            return None
    for what, said, mine in (
        ("country", row.country, node.country), ("owner country", row.owner_country, node.owner_country),
        ("material", row.material, material.material),
        ("unit", row.unit, "1000 m2" if material.unit == "m2/kWh" else "t"),
    ):  # fmt: skip
        if said != mine:
            tally.fail("sourcing", f"{name}: {what} is {said!r}, should be {mine!r}")
    made, owned = PARTS[row.part]
    less = (made - (node.country == CHINA), owned - (node.owner_country == CHINA))
    one = Taken(row, p, offers, node, material, chemistry, mwh, *less)
    tally.same("sourcing", row.amount, amount_of(problem, one), f"{name}: amount")
    return one


def _check_apart(found: Sequence[Taken], tally: Tally) -> None:
    """Offers share their sources in one group per period, so that nothing is counted twice."""
    groups: dict[tuple[int, int], set[tuple[int, ...]]] = defaultdict(set)
    for one in found:
        for o in one.offers:
            groups[one.p, o].add(one.offers)
    if any(len(sets) > 1 for sets in groups.values()):
        tally.fail("sourcing", "an offer shares its sources with two different groups in one period")


def ratio_of(offer: Offer) -> float:
    """Nameplate MWh per usable MWh, to three figures."""
    return round(offer.energy_nameplate_dc_mwh / offer.energy_usable_ac_mwh, 3)


def change_usd(problem: Problem, offer: Offer, layer: str) -> float:
    """USD per usable kWh that a change of source costs."""
    rows = [r for r in problem.tables.offer_sourcing if (r.offer, r.layer) == (offer.offer, layer)]
    return rows[0].change_usd_per_kwh if rows else 0.0


def amount_of(problem: Problem, one: Taken) -> float:
    """Tonnes or 1,000 m2 of a replacement."""
    return one.mwh * ratio_of(problem.offers[one.offers[0]]) * one.material.amount_per_kwh


def node_limit(book: Book, node: SourceNodeRow, p: int) -> float:
    """Tonnes or 1,000 m2 that this buyer can expect of a node for a period."""
    problem = book.problem
    period = problem.periods[p]
    rows = [r for r in problem.tables.source_output if r.node == node.node]
    if not rows:
        return 0.0
    months = range(period.start - node.ahead_months, period.end - node.ahead_months)
    running = sum(month >= node.start for month in months) / len(months)
    year = year_of(months[0])
    free = 1.0 - along({r.year: r.committed_frac for r in rows}, year)
    reach = along({r.year: r.obtainable_frac for r in rows}, year)
    capacity = along({r.year: r.capacity for r in rows}, year) * 1000.0
    there = (1.0 - node.delay_risk_frac) * running * min(len(months) / 12.0, 1.0)
    return capacity * free * reach * there * book.case.supply.scale_frac


def flows_of(problem: Problem, taken: Iterable[Taken]) -> list[Flow]:
    """Premiums and costs of change as cash flows at delivery."""
    found = []
    for one in taken:
        premium = one.node.premium_usd_per_unit * amount_of(problem, one) * 1000.0
        change = change_usd(problem, problem.offers[one.offers[0]], one.node.layer) * one.mwh * 1000.0
        found.append(Flow("sourcing", premium + change, problem.periods[one.p].start, None, one.row.node))
    return found


def check_sourcing(fleet: Fleet, plan: Plan, taken: Sequence[Taken], tally: Tally) -> None:
    """Shares, capacities, the chain from ore to cathode, money of each row, proofs, and the table of sources."""
    problem, book = fleet.problem, fleet.book
    tally.hold("sourcing_shares", "sourcing_output", "sourcing_chain", "sourcing_proof", "sourced_layers")
    _check_shares(fleet, plan, taken, tally)
    used: dict[tuple[str, int], float] = defaultdict(float)
    for one in taken:
        used[one.node.node, one.p] += amount_of(problem, one)
    nodes = {n.node: n for n in problem.tables.source_nodes}
    for (name, p), amount in used.items():
        limit = node_limit(book, nodes[name], p)
        tally.at_most("sourcing_output", amount, limit, f"{name} in {problem.periods[p].label}", max(1.0, limit))
    _check_chain(fleet, plan, taken, tally)
    for one, flow in zip(taken, flows_of(problem, taken), strict=True):
        usd = flow.present_usd(problem.case.timeline.decision, problem.case.finance.discount_rate_frac)
        tally.same("sourcing", one.row.cost_musd, usd / 1e6, f"{one.row.node}: cost_musd", max(abs(usd) / 1e6, 1e-3))
    _check_proofs(fleet, taken, tally)
    _check_layers(fleet, plan, taken, tally)


def _in_state(fleet: Fleet, plan: Plan, o: int, p: int, state: str) -> float:
    """Containers of a delivery, or those in one credit state."""
    if not state:
        return float(fleet.counts[o, p])
    from planner.verify.content import phase_of  # noqa: PLC0415 - the two use each other

    phase = phase_of(fleet.problem, p)
    return fleet.by_state(plan, o, p, phase.phase if phase else None).get(state, 0.0)


def _check_shares(fleet: Fleet, plan: Plan, taken: Sequence[Taken], tally: Tally) -> None:
    """No more is replaced than counts as Chinese."""
    sums: dict[tuple[tuple[int, ...], int, str, str, str], float] = defaultdict(float)
    for one in taken:
        sums[one.offers, one.p, one.row.state, one.node.layer, one.row.part] += one.mwh
    for (offers, p, state, layer, part), mwh in sums.items():
        there = 0.0
        for o in offers:
            offer = fleet.problem.offers[o]
            share = share_of(offer, layer, part)
            there += share * offer.energy_usable_ac_mwh * _in_state(fleet, plan, o, p, state)
        text = f"{layer} replaced ({part}) in {fleet.problem.periods[p].label}"
        tally.at_most("sourcing_shares", mwh, there, text, max(1.0, there))


def _check_chain(fleet: Fleet, plan: Plan, taken: Sequence[Taken], tally: Tally) -> None:
    """Ore goes to a refinery whose lithium is bought, lithium to a cathode plant outside China."""
    ore: dict[tuple[tuple[int, ...], int, str, str], float] = defaultdict(float)
    lithium: dict[tuple[tuple[int, ...], int, str, str], float] = defaultdict(float)
    powder: dict[tuple[tuple[int, ...], int, str], float] = defaultdict(float)
    for one in taken:
        group = (one.offers, one.p, one.row.state)
        if one.node.layer == "mining":
            if one.row.via not in listed(one.node.feeds):
                tally.fail("sourcing_chain", f"{one.node.node} does not feed {one.row.via!r}")
            ore[(*group, one.row.via)] += one.mwh
        elif one.node.layer == "refining":
            lithium[(*group, one.node.node)] += one.mwh
        elif one.node.layer == "cathode":
            powder[group] += one.mwh * one.made_less
    for key, mwh in ore.items():
        have = lithium.get(key, 0.0)
        tally.at_most("sourcing_chain", mwh, have, f"ore for {key[3]}", max(1.0, have))
    whole: dict[tuple[tuple[int, ...], int, str], float] = defaultdict(float)
    for (offers, p, state, _), mwh in lithium.items():
        whole[offers, p, state] += mwh
    for (offers, p, state), mwh in whole.items():
        have = powder[offers, p, state]
        for o in offers:
            offer = fleet.problem.offers[o]
            free = 1.0 - (offer.layers["cathode"].production_frac if "cathode" in offer.layers else 0.0)
            have += free * offer.energy_usable_ac_mwh * _in_state(fleet, plan, o, p, state)
        tally.at_most("sourcing_chain", mwh, have, "lithium without a cathode plant outside China", max(1.0, have))


def open_to_proof(book: Book, offer: Offer, ban: BanRow) -> bool:
    """Whether a ban rests on a doubt about this offer that its sources can settle."""
    problem = book.problem
    flag = offer.flags.get(ban.flag or "")
    if not ban.proof_layers or flag is None or problem.case.sourcing.mode != "free" or "cell" not in offer.layers:
        return False
    if not str(ban.flag).startswith("cut_off_layer"):
        clean = offer.licensor_country != CHINA and offer.layers["cell"].ownership_frac == 0
        if flag.status != "disputed" or not clean:
            return False
    return any(
        n.layer in offer.layers
        and max(offer.layers[n.layer].production_frac, offer.layers[n.layer].ownership_frac) > 0
        and accepts(problem, offer, n)
        for n in problem.tables.source_nodes
    )


def _check_proofs(fleet: Fleet, taken: Sequence[Taken], tally: Tally) -> None:
    """Every delivery that a ban allows only against proof holds little that is made in China."""
    from planner.verify.rules import barred  # noqa: PLC0415 - the two use each other

    book, problem = fleet.book, fleet.problem
    for o, p in fleet.bought:
        offer, period = problem.offers[o], problem.periods[p]
        for ban in problem.tables.bans:
            month = period.start - offer.order_lead_months if ban.clock == "order" else period.start
            asked = ban.buyer == problem.case.buyer and month >= ban.since and open_to_proof(book, offer, ban)
            if not asked or not barred(book, offer, ban, month):
                continue
            weight = {n: book.layer_weights.get((offer.chemistry, n), 0.0) for n in listed(ban.proof_layers)}
            mwh = offer.energy_usable_ac_mwh * float(fleet.counts[o, p])
            made = sum(w * offer.layers[n].production_frac for n, w in weight.items() if n in offer.layers) * mwh
            mine = [one for one in taken if one.p == p and o in one.offers]
            if any(len(one.offers) > 1 for one in mine):
                tally.fail("sourcing_proof", f"{offer.offer} in {period.label} shares its sources with another offer")
            made -= sum(weight.get(one.node.layer, 0.0) * one.made_less * one.mwh for one in mine)
            text = f"{ban.ban}: content of {offer.offer} in {period.label}"
            tally.at_most("sourcing_proof", made / sum(weight.values()) / mwh, ban.proof_frac, text, 1.0)


def _check_layers(fleet: Fleet, plan: Plan, taken: Sequence[Taken], tally: Tally) -> None:
    """The plan's table of sources against orders and replacements."""
    problem = fleet.problem
    mine: dict[tuple[str, str, str, str, str], float] = defaultdict(float)
    kinds = {"made": (CHINA, CHINA), "owned": (ELSEWHERE, CHINA), "hosted": (CHINA, ELSEWHERE)}
    if problem.case.sourcing.mode != "none":
        for o, p in fleet.bought:
            offer, label = problem.offers[o], problem.periods[p].label
            mwh = offer.energy_usable_ac_mwh * float(fleet.counts[o, p])
            for layer in offer.layers if offer.is_storage else ():
                parts = {part: share_of(offer, layer, part) for part in PARTS}
                for part, share in parts.items():
                    mine[(label, layer, QUOTED, *kinds[part])] += share * mwh
                home = offer.cell_country if layer == "cell" else ELSEWHERE
                mine[label, layer, QUOTED, home, home] += (1.0 - sum(parts.values())) * mwh
        for one in taken:
            label = problem.periods[one.p].label
            mine[(label, one.node.layer, QUOTED, *kinds[one.row.part])] -= one.mwh
            mine[label, one.node.layer, one.node.node, one.node.country, one.node.owner_country] += one.mwh
    said: dict[tuple[str, str, str, str, str], float] = defaultdict(float)
    for row in plan.sourced_layers:
        said[row.period, row.layer, row.source, row.country, row.owner_country] += number(row.energy_mwh)
    for key in sorted(set(mine) | set(said)):
        size = max(1.0, abs(mine.get(key, 0.0)))
        tally.same("sourced_layers", said.get(key, 0.0), mine.get(key, 0.0), " ".join(key), size)


def relief_mwh(book: Book, taken: Iterable[Taken], measure: str) -> dict[str, float]:
    """Exposed usable MWh that replacements take away: by layer for the chokepoints, else under one blank."""
    kind, by_owner = measure.removesuffix("_ownership"), measure.endswith("_ownership")
    sums: dict[str, float] = defaultdict(float)
    for one in taken:
        less = (one.owned_less if by_owner else one.made_less) * one.mwh
        if kind == "chokepoint":
            sums[one.node.layer] += less
        elif kind == "value":
            sums[""] += less * book.layer_weights.get((one.chemistry, one.node.layer), 0.0)
    return dict(sums)


def traced_part(book: Book, offer: Offer, layer: str) -> float:
    """Weight of a layer in the ratio of an offer where the materials of its cells are traced."""
    cells = offer.components.get("cells")
    if not book.case.sourcing.traced or cells is None or not cells.present or layer not in CELL_LAYERS:
        return 0.0
    if book.reads_as_yes(cells.prohibited, "pfe_tax"):
        return 0.0
    total = sum(book.weights.get(n, 0.0) for n, c in offer.components.items() if c.present)
    split = [book.layer_weights.get((offer.chemistry, n), 0.0) for n in CELL_LAYERS]
    mine = book.layer_weights.get((offer.chemistry, layer), 0.0)
    return book.weights["cells"] / total * mine / sum(split) if total > 0 and sum(split) > 0 else 0.0


def assistance_mwh(book: Book, taken: Iterable[Taken], periods: Iterable[int]) -> float:
    """Nameplate MWh that replacements add to traced material assistance in some periods."""
    inside = set(periods)
    total = 0.0
    for one in taken:
        if one.p in inside:
            offer = book.problem.offers[one.offers[0]]
            total += one.owned_less * one.mwh * ratio_of(offer) * traced_part(book, offer, one.node.layer)
    return float(np.float64(total))
