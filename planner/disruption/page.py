"""The page of an answer: what is signed now, the choices side by side, and the chain before and after a cut-off."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup
from pydantic import ValidationError

from planner.disruption.answer import ChainRow, DisruptionAnswer, SignedOrderRow
from planner.disruption.worlds import CALM
from planner.faults import Fault, InputError
from planner.report.page import asset, environment
from planner.report.sankey import ORDER, Picture, sankey
from planner.report.wording import number
from planner.sourcing import CHINA
from planner.writing import write_texts

ANSWER, PAGE = "disruption.json", "report.html"


@dataclass(frozen=True)
class Share:
    """What is made in China of a layer, as shares of MWh; None where nothing is delivered then."""

    layer: str
    before: float | None
    after: float | None
    calm: float | None


@dataclass(frozen=True)
class Chain:
    """One future as it is drawn."""

    name: str
    known: str
    picture: Picture | None
    caption: str
    shares: tuple[Share, ...]


@dataclass(frozen=True)
class Future:
    """One line of the costs by choice."""

    name: str
    probability: float
    known: str
    costs: tuple[float | None, ...]


@dataclass(frozen=True)
class SignedNow:
    """An order of the best choice, and how many of its containers are signed whatever is planned for."""

    row: SignedOrderRow
    sure: int


def page_html(answer: DisruptionAnswer) -> str:
    """The whole page as text."""
    sure = {(s.offer, s.period): s.containers for s in answer.signed_in_every_future}
    now = [
        SignedNow(s, min(s.containers, sure.get((s.offer, s.period), 0)))
        for s in answer.signed
        if s.choice == answer.best and s.now
    ]
    best = [o for o in answer.outcomes if o.choice == answer.best]
    return environment().get_template("disruption.html.j2").render(
        answer=answer, lead=lead(answer), now=now, best=best, futures=_futures(answer), chains=_chains(answer),
        style=Markup(asset("page.css")),
    )  # fmt: skip


def write_page(answer: DisruptionAnswer, folder: Path) -> Path:
    """Write the page as ``report.html``, whole or not at all.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    write_texts({PAGE: page_html(answer)}, folder)
    return folder / PAGE


def read_answer(folder: Path) -> DisruptionAnswer:
    """The answer that ``planner disruption`` left in a folder.

    Raises
    ------
    InputError
        If it cannot be read, or was written by another version.
    """
    try:
        return DisruptionAnswer.model_validate_json((folder / ANSWER).read_text(encoding="utf-8"))
    except (OSError, ValidationError, json.JSONDecodeError, UnicodeDecodeError) as error:
        found = f"no readable answer ({type(error).__name__})"
        raise InputError([Fault(str(folder / ANSWER), "", found, "what planner disruption wrote")]) from None


def lead(answer: DisruptionAnswer) -> tuple[str, ...]:
    """The answer in sentences."""
    aim = "the cost of the worst future" if answer.aim == "worst" else "the expected cost"
    if answer.aim == "expected" and answer.cvar_weight > 0:
        aim = f"the expected cost plus {answer.cvar_weight:g} times the mean of the worst {answer.tail_frac:.0%}"
    said = [
        f"With the orders of '{answer.best}', {aim} is {number(answer.aim_musd, 2)} million USD."
        + (
            " The time was too short for a bound: how much could be saved is not known."
            if answer.bound_musd is None or answer.gap_frac is None
            else f" No orders have less than {number(answer.bound_musd, 2)}:"
            f" at most {answer.gap_frac:.2%} could be saved."
        )
    ]
    if answer.hedging_musd is None:
        said.append("Planning as if nothing happened breaks in some future, or was not solved there in time.")
    else:
        sure, most = answer.hedging_least_musd or 0.0, answer.hedging_most_musd
        proved = (
            f" At least {number(sure, 2)} is proved." if sure > 0 else " It may be nothing: that is within the gaps."
        )
        said.append(
            f"Against planning as if nothing happened, these orders save {number(answer.hedging_musd, 2)} million USD"
            + ("." if most is None else f"; no orders save more than {number(most, 2)}.")
            + proved
        )
    said.append(f"Knowing the future before signing would be worth {number(answer.knowing_musd, 2)} million USD.")
    return tuple(said)


def _futures(answer: DisruptionAnswer) -> list[Future]:
    cost = {(o.choice, o.future): o.cost_musd for o in answer.outcomes}
    return [
        Future(o.future, o.probability_frac, o.known, tuple(cost.get((c.choice, o.future)) for c in answer.choices))
        for o in answer.outcomes
        if o.choice == answer.best
    ]


def _chains(answer: DisruptionAnswer) -> list[Chain]:
    calm = [r for r in answer.chain if r.future == CALM]
    found = []
    for o in (o for o in answer.outcomes if o.choice == answer.best):
        rows = [r for r in answer.chain if r.future == o.future]
        lone = o.future == CALM
        caption = f"Where each layer comes from in the future {o.future}: countries, layers, delivery periods."
        shares = () if lone else _shares(rows, calm)
        found.append(Chain(o.future, "" if lone else o.known, sankey(rows), caption, shares))
    return found


def _shares(rows: Sequence[ChainRow], calm: Sequence[ChainRow]) -> tuple[Share, ...]:
    late = {r.period for r in rows if r.after}
    seen = {r.layer for r in rows} | {r.layer for r in calm}
    return tuple(
        Share(
            layer.replace("_", " "),
            _made_in_china([r for r in rows if r.layer == layer and not r.after]),
            _made_in_china([r for r in rows if r.layer == layer and r.after]),
            _made_in_china([r for r in calm if r.layer == layer and r.period in late]),
        )
        for layer in [*(n for n in ORDER if n in seen), *sorted(seen - set(ORDER))]
    )


def _made_in_china(rows: Sequence[ChainRow]) -> float | None:
    total = sum(r.energy_mwh for r in rows)
    return None if total <= 0 else sum(r.energy_mwh for r in rows if r.country == CHINA) / total
