"""Supply, dates, bans, tiers, served load, retirements: the rules of a purchase."""

from __future__ import annotations

import math

import numpy as np

from planner.catalogue import BanRow
from planner.problem import Offer, Period, Problem
from planner.results import Plan
from planner.units import month_text, year_of
from planner.verify.fleet import NO_TIER, Fleet, full_load, order_month
from planner.verify.lookup import Book, latest
from planner.verify.sourced import open_to_proof
from planner.verify.tally import Tally, number


def ban_on(book: Book, offer: Offer, period: Period) -> str | None:
    """Name of a ban of the case's buyer that bars an order for a period, or None."""
    ordered = order_month(offer, period)
    for ban in book.problem.tables.bans:
        if ban.buyer != book.case.buyer:
            continue
        month = ordered if ban.clock == "order" else period.start
        if month >= ban.since and barred(book, offer, ban, month) and not open_to_proof(book, offer, ban):
            return ban.ban
    return None


def barred(book: Book, offer: Offer, ban: BanRow, month: int) -> bool:
    """Whether an offer is all that a ban names: flag, maker, licence, China content of layers."""
    tests = []
    if ban.flag:
        tests.append(book.flagged(offer, ban.flag, month))
    if ban.makers:
        makers = [m.strip() for m in ban.makers.split(";")]
        tests.append(offer.cell_maker in makers or offer.supplier in makers)
    if ban.licensor_country:
        tests.append(offer.licensor_country in [c.strip() for c in ban.licensor_country.split(";")])
    if ban.layers:
        weights = {n.strip(): book.layer_weights.get((offer.chemistry, n.strip()), 0.0) for n in ban.layers.split(";")}
        made = sum(w * offer.layers[n].production_frac for n, w in weights.items() if n in offer.layers)
        whole = sum(weights.values())
        tests.append(whole > 0 and made / whole > ban.china_frac)
    return all(tests)


def refusal(book: Book, offer: Offer, p: int) -> tuple[str, str] | None:
    """Check name and reason why an offer may not be bought for a period, or None.

    Parameters
    ----------
    book
        Table look-ups.
    offer, p
        The pair.
    """
    problem = book.problem
    period, decision = problem.periods[p], book.case.timeline.decision
    ordered = order_month(offer, period)
    if ordered < decision:
        return "dates", f"must be ordered by {month_text(ordered)}, before the decision {month_text(decision)}"
    if p <= full_load(problem) and offer.valid_until < ordered:
        return "dates", f"the quote ends {month_text(offer.valid_until)}, the order is due {month_text(ordered)}"
    if offer.host != "any" and offer.host not in book.case.site.hosts:
        return "host", f"the site has no {offer.host}"
    ban = ban_on(book, offer, period)
    return ("ban", f"banned by {ban}") if ban else None


def check_purchase(fleet: Fleet, plan: Plan, tally: Tally) -> None:
    """Admissible pairs, factory supply, minimum orders, tiers and the generator permit."""
    tally.hold("dates", "host", "ban", "supply", "min_order", "tier", "generators")
    problem, book = fleet.problem, fleet.book
    for o, p in fleet.bought:
        no = refusal(book, problem.offers[o], p)
        if no:
            tally.fail(no[0], f"{problem.offers[o].offer} for {problem.periods[p].label}: {no[1]}")
    _check_supply(fleet, tally)
    _check_committed(fleet, tally)
    for o in fleet.used:
        offer = problem.offers[o]
        total = offer.energy_nameplate_dc_mwh * int(fleet.counts[o].sum())
        text = f"{offer.offer}: {total:.6g} MWh nameplate bought, minimum order {offer.min_order_mwh:.6g}"
        tally.at_most("min_order", offer.min_order_mwh - total, 0.0, text, max(1.0, offer.min_order_mwh))
        _check_tier(offer, fleet.tier.get(o, ""), total, tally)
    limit = book.case.site.generator_mw_max
    for q, period in enumerate(problem.periods):
        power = sum(
            problem.offers[o].power_mw * int((fleet.counts[o] * fleet.alive[o, :, q]).sum())
            for o in fleet.used
            if problem.offers[o].kind == "generator"
        )
        tally.at_most("generators", power, limit, f"generators alive in {period.label} in MW")


def _check_committed(fleet: Fleet, tally: Tally) -> None:
    """What is signed comes as far as its factories deliver; nothing else is ordered for the same dates."""
    problem, book = fleet.problem, fleet.book
    committed = book.case.committed
    if committed.until is None:
        return
    tally.hold("committed")
    at = {
        (offer.offer, period.start): (o, p)
        for o, offer in enumerate(problem.offers)
        for p, period in enumerate(problem.periods)
    }
    signed = {at[s.offer, s.delivery]: s.containers for s in committed.orders if (s.offer, s.delivery) in at}
    early = {(o, p) for o, p in at.values() if order_month(problem.offers[o], problem.periods[p]) < committed.until}
    coming = {
        pair: n
        for pair, n in signed.items()
        if pair in early and refusal(book, problem.offers[pair[0]], pair[1]) is None
    }
    for o, p in early:
        offer, period = problem.offers[o], problem.periods[p]
        count = int(fleet.counts[o, p])
        text = f"{offer.offer} for {period.label}: containers signed already"
        tally.at_most("committed", float(count), float(signed.get((o, p), 0)), text)
        if (o, p) not in coming:
            continue
        share = 1.0
        for factory in {offer.cell_factory, offer.assembly_plant}:
            limit = book.factory_limit_mwh(factory, year_of(period.start), period.years)
            asked = sum(
                n * problem.offers[i].energy_nameplate_dc_mwh / (1.0 - problem.offers[i].delivery_risk_frac)
                for (i, q), n in coming.items()
                if q == p and factory in (problem.offers[i].cell_factory, problem.offers[i].assembly_plant)
            )
            share = min(share, limit / asked) if limit is not None and asked > 0 else share
        due = math.floor(signed[o, p] * share + 1e-6)
        if count < due:
            tally.note("committed", f"{offer.offer} for {period.label}: {count} of {due} signed containers are taken")


def _check_supply(fleet: Fleet, tally: Tally) -> None:
    """Nameplate drawn from every factory and period against what this buyer can obtain."""
    problem, book = fleet.problem, fleet.book
    drawn: dict[tuple[str, int], float] = {}
    for o, p in fleet.bought:
        offer = problem.offers[o]
        sure = 1.0 - offer.delivery_risk_frac
        mwh = offer.energy_nameplate_dc_mwh * int(fleet.counts[o, p]) / sure if sure > 0 else math.inf
        for factory in {offer.cell_factory, offer.assembly_plant}:
            drawn[factory, p] = drawn.get((factory, p), 0.0) + mwh
    for (factory, p), mwh in sorted(drawn.items()):
        period = problem.periods[p]
        limit = book.factory_limit_mwh(factory, year_of(period.start), period.years)
        if limit is None:
            if factory in book.factories:
                tally.note("supply", f"{factory}: no output rows; taken as unlimited")
        else:
            text = f"factory {factory} in {period.label}, MWh nameplate with delivery risk"
            tally.at_most("supply", min(mwh, 1e12), limit, text)


def _check_tier(offer: Offer, tier: str, total_mwh: float, tally: Tally) -> None:
    """The claimed tier must exist and be reached."""
    if tier in NO_TIER:
        return
    found = [t for t in offer.tiers if t.tier == tier]
    if not found:
        tally.fail("tier", f"{offer.offer}: unknown tier {tier!r}")
        return
    need = found[0].from_mwh
    text = f"{offer.offer}: tier {tier} starts at {need:.6g} MWh, {total_mwh:.6g} bought"
    tally.at_most("tier", need - total_mwh, 0.0, text, max(1.0, need))


def energisable_mw(problem: Problem, month: int) -> float:
    """Load that grid, transformers, permits and fire approval let be switched on at a month."""
    return min(latest(list(s.items()), month) or 0.0 for s in dated_causes(problem).values())


def dated_causes(problem: Problem) -> dict[str, dict[int, float]]:
    """Megawatts by date of every cause that the case dates."""
    causes = problem.case.site.energisation
    series = {n: getattr(causes, n) for n in ("grid", "transformers", "permits", "fire_approval")}
    if problem.case.operating is not None:  # the grid limits every hour of the year instead
        del series["grid"]
    return {n: s for n, s in series.items() if s is not None}


def check_served(fleet: Fleet, plan: Plan, tally: Tally) -> dict[str, float]:
    """Served load within floor, target and energisable, never falling.

    Returns
    -------
    dict
        Served MW by period label, 0 where the plan gives no number.
    """
    tally.hold("served")
    served: dict[str, float] = {}
    before = 0.0
    labels = {p.label for p in fleet.problem.periods}
    for key in sorted(set(plan.served_mw) - labels):
        tally.fail("served", f"served_mw names an unknown period {key!r}")
    for period in fleet.problem.periods:
        value = number(plan.served_mw.get(period.label))
        if not math.isfinite(value):
            tally.fail("served", f"the load energised in {period.label} is missing or no number")
            value = 0.0
        size = max(1.0, period.target_mw)
        top = min(period.target_mw, energisable_mw(fleet.problem, period.start))
        tally.at_most(
            "served", value, top, f"load energised in {period.label}, MW, above what is wanted or the site allows", size
        )
        if value < period.floor_mw:
            below = f"load energised in {period.label} is {value:.6g} MW, below the {period.floor_mw:.6g} MW contracted"
            tally.fail("served", below, (period.floor_mw - value) / size)
        tally.at_most(
            "served",
            before - value,
            0.0,
            f"load energised falls from {before:.6g} to {value:.6g} MW in {period.label}",
            size,
        )
        before = max(before, value)
        served[period.label] = value
    return served


def check_retirements(fleet: Fleet, plan: Plan, tally: Tally) -> None:
    """Deliveries that reach design life before the horizon, against the list of the plan."""
    tally.hold("retirements")
    problem = fleet.problem
    due: dict[tuple[str, str, int], int] = {}
    for o, p in fleet.bought:
        leaves = int(fleet.retire[o, p])
        if leaves < problem.horizon:
            key = (problem.offers[o].offer, problem.periods[p].label, year_of(leaves))
            due[key] = due.get(key, 0) + int(fleet.counts[o, p])
    said: dict[tuple[str, str, int], float] = {}
    for row in plan.retirements:
        key = (row.offer, row.delivered, row.year)
        said[key] = said.get(key, 0.0) + number(row.containers)
    for key in sorted(set(due) | set(said), key=str):
        if due.get(key, 0) != said.get(key, 0):
            name = f"{key[0]} of {key[1]} in {key[2]}"
            tally.fail(
                "retirements", f"{name}: {due.get(key, 0)} containers retire, the plan says {said.get(key, 0):g}"
            )


def check_mandate(fleet: Fleet, served: dict[str, float], tally: Tally) -> None:
    """Usable storage energy against the mandated hours of served load."""
    tally.hold("storage_mandate")
    hours = fleet.problem.case.reliability.storage_mandate_h
    for q, period in enumerate(fleet.problem.periods):
        have = sum(
            problem_offer.energy_usable_ac_mwh
            * float((fleet.counts[o] * fleet.alive[o, :, q] * fleet.soh[o, :, q]).sum())
            for o, problem_offer in enumerate(fleet.problem.offers)
            if problem_offer.is_storage
        )
        need = hours * served[period.label]
        text = f"storage in {period.label}: {have:.6g} MWh, mandated {need:.6g}"
        tally.at_most("storage_mandate", need - have, 0.0, text, max(1.0, need))


def note_oddities(fleet: Fleet, plan: Plan, served: dict[str, float], tally: Tally) -> None:
    """Report what is allowed but implausible."""
    problem = fleet.problem
    mwh = {
        o: problem.offers[o].energy_usable_ac_mwh * int(fleet.counts[o].sum())
        for o in fleet.used
        if problem.offers[o].is_storage
    }
    total = sum(mwh.values())
    for supplier in sorted({problem.offers[o].supplier for o in mwh}):
        part = sum(v for o, v in mwh.items() if problem.offers[o].supplier == supplier)
        if part > 0.8 * total:
            tally.note("concentration", f"{supplier} holds {part / total:.0%} of the storage energy")
    for o, part in mwh.items():
        if problem.offers[o].confidence in ("assumption", "memory") and part > 0.25 * total:
            name = problem.offers[o]
            tally.note(
                "confidence",
                f"{name.supplier} {name.product} ({name.offer}) rests on {name.confidence} and carries"
                f" {part / total:.0%} of the storage energy",
            )
    asked = problem.case.solver.gap_frac
    if number(plan.gap_frac) > asked + 1e-9:
        tally.note("gap", f"{plan.gap_frac:.4%} lies above the {asked:.4%} asked")
    last = problem.periods[-1]
    if served.get(last.label, 0.0) < last.target_mw * (1 - 1e-9):
        tally.note("delay", f"{last.target_mw - served[last.label]:.6g} MW are still not served in the last period")
    standing = np.array([int((fleet.counts * fleet.alive[:, :, q]).sum()) for q in range(len(problem.periods))])
    if fleet.used and standing[-1] == 0:
        tally.note("fleet", "no container stands in the last period")
