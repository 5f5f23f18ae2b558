"""The questions that a board asks, each with its answer in a sentence or two, and where on the page more stands."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from planner.report.captions import captions, lost_words
from planner.report.frontview import FrontView
from planner.report.pack import Pack
from planner.report.why import Why
from planner.report.wording import CONTINGENCY, number, period, span, with_bans, words
from planner.results import Plan


@dataclass(frozen=True)
class Answer:
    """One question: its answer, the section that says more, and the command that would answer it where none does.

    Attributes
    ----------
    key
        Names the question in the page.
    question, text
        Both as sentences.
    section, section_name
        Where more stands; empty where nothing does.
    command
        Empty where the question is answered.
    """

    key: str
    question: str
    text: str
    section: str = ""
    section_name: str = ""
    command: str = ""


def answers(pack: Pack, why: Why | None, view: FrontView | None) -> tuple[Answer, ...]:
    """Every question, in the order in which a board asks.

    Parameters
    ----------
    pack
        The result folder.
    why, view
        Its explanation and its front, read for the page; None where there is none.
    """
    return (
        Answer("portfolio", "What is the cheapest portfolio that meets the rules?", captions(pack)["answer"], "answer",
               "The answer"),
        Answer("arrival", "When does each block arrive, and where does it stand?", _arrival(pack.plan), "time", "Time"),
        Answer("proof", "What proves that it rides through?", _proof(pack.plan), "proof", "Proof"),
        *_of_the_front(pack, view),
        _why_not(pack, why),
        _clash(pack, why),
        _regret(pack),
        _quotes(pack, why),
    )  # fmt: skip


def command(pack: Pack, name: str, *rest: str) -> str:
    """A command about the question that the plan answers; DIR is the folder of the page."""
    asked = pack.plan.provenance.get("question")
    asked = asked if isinstance(asked, dict) else {}
    parts = ["planner", name, str(asked.get("case") or pack.plan.case)]
    for option, values in (("--set", asked.get("overrides")), ("--scenario", asked.get("scenarios"))):
        for value in values or ():
            parts += [option, str(value)]
    return shlex.join([*parts, *rest])


def explain_command(pack: Pack) -> str:
    """What adds an explanation to the page; a front alone is planned first."""
    first = "" if pack.has_own_plan else command(pack, "plan", "--out") + " DIR && "
    return f"{first}planner explain DIR"


def _arrival(plan: Plan) -> str:
    dossier = plan.dossier
    assert dossier is not None  # read_pack refuses plans without
    lines = sorted(dossier.order_lines, key=lambda q: (q.start_month, q.offer))
    if not lines:
        return "Nothing is bought."
    first, last = lines[0], lines[-1]
    name = {a.offer: a.name for a in dossier.awards}
    text = f"The first block, {number(first.containers)} \u00d7 {name[first.offer]}, serves from {first.start_month}"
    if len(lines) > 1:
        text += f"; the last of {number(len(lines))} orders, {number(last.containers)} \u00d7 {name[last.offer]},"
        text += f" from {last.start_month}"
    text += "."
    zones = [f"{z.zone} ({_units(z.containers)})" for z in dossier.site if z.containers]
    where = "zone" if len(zones) == 1 else "zones"
    return text + (f" Units stand in the {where} {_listed(zones)}, each drawn to scale." if zones else "")


def _units(count: int) -> str:
    return "1 unit" if count == 1 else f"{number(count)} units"


def _proof(plan: Plan) -> str:
    verdict = plan.verification
    if verdict is None:
        return "Nothing: the plan was not verified."
    text = f"An independent replay that cannot see the model stepped through {number(verdict.replayed_windows)} outages"
    text += f" and recomputed {number(len(verdict.residuals))} checks: {'passed' if verdict.passed else 'FAILED'}."
    if plan.reliability:
        tight = min(plan.reliability, key=lambda m: m.margin_mwh)
        loss = words(tight.contingency, CONTINGENCY)
        loss = loss[0].lower() + loss[1:] + (f" ({lost_words(plan, tight.lost)})" if tight.lost else "")
        text += f" The tightest outage comes in {period(tight.period)}, with {loss}:"
        text += f" {number(tight.margin_mwh, 1)} MWh to spare of {number(tight.required_mwh, 1)} required in"
        text += f" {number(tight.hours, 1)} h."
        if abs(tight.margin_mwh) < 0.05:
            text += " Nothing to spare means that the plan buys no more than this rule asks, not that it fails."
    return text


_FRONT_QUESTIONS = (
    ("exposure", "What does it cost to cut exposure to China by half, to nothing, and where is the knee?"),
    ("cutoff", "At what yearly probability of an export cut-off does that premium pay?"),
    ("public", "What does the public pay per MWh of exposure removed, and where would it move the front most?"),
)


def _of_the_front(pack: Pack, view: FrontView | None) -> tuple[Answer, ...]:
    if view is None or pack.front is None:
        asked = command(pack, "frontier", "--measure", "cell", "--out") + " DIR"
        return tuple(Answer(k, q, "Not asked yet; tracing the front answers it.", "", "", asked)
                     for k, q in _FRONT_QUESTIONS)  # fmt: skip
    said = view.sentences
    texts = {
        "exposure": " ".join(t for t in (said["half"], said["zero"], said["knee"]) if t),
        "cutoff": said["cutoff"],
        "public": said["public"],
    }
    return tuple(Answer(k, q, texts[k], "explorer", "Efficiency or security") for k, q in _FRONT_QUESTIONS)


def _why_not(pack: Pack, why: Why | None) -> Answer:
    question = "Why was a supplier not chosen, and at what price or date would it be?"
    if why is None or not why.offers:
        text = pack.without_explanation if why is None else "No offer has been asked about yet."
        return Answer("why_not", question, text, "", "", explain_command(pack))
    left_out = [row for row in why.offers if not row.answer.bought]
    if not left_out:
        text = (
            f"Each of the {number(len(why.offers))} offers asked about so far is bought; what losing one costs stands"
        )
        text += " beside it."
        if why.explanation.unfinished:
            text += f" Still open: {number(len(why.explanation.unfinished))} questions, other offers among them."
            return Answer("why_not", question, text, "why", "Why this, why not that", explain_command(pack))
        return Answer("why_not", question, text, "why", "Why this, why not that")
    text = f"{number(len(left_out))} of {number(len(why.offers))} offers asked about are not bought. Each has its"
    text += " reason, the cost of buying it all the same, and the price, duty, lead time or allocation that would bring"
    text += " it in."
    if why.explanation.unfinished:
        text += f" Still open: {number(len(why.explanation.unfinished))} questions."
    if why.nearest:
        text += f" The nearest is {why.nearest.topic.removeprefix('The price of ')}: a price change of"
        text += f" {why.nearest.stake}: {why.nearest.text}"
    return Answer("why_not", question, text, "why", "Why this, why not that")


def _clash(pack: Pack, why: Why | None) -> Answer:
    question = "Which rules clash, and which is cheapest to relax?"
    verdict = pack.plan.verification
    text = "None clash: this plan keeps every rule." if verdict and verdict.passed else "This plan is not verified."
    text += " A case without a plan names the smallest sets of rules that clash and the cheapest ways out."
    if why is None or not why.rules:
        return Answer(
            "clash", question, text + " What each rule costs is not asked yet.", "", "", explain_command(pack)
        )
    dearest = why.rules[0].dropped or why.rules[0].eased
    assert dearest is not None
    if dearest.verdict == "binds":
        what = "dropping" if dearest.change == "dropped" else "easing"
        saved = span(dearest.saved_lower_musd, dearest.saved_upper_musd)
        text += f" The rule that pays most to give way here: {with_bans(dearest.words)}; {what} it saves {saved}"
        text += " million USD."
    else:
        text += f" No rule of the {number(len(why.rules))} priced is proved to cost anything."
    return Answer("clash", question, text, "why-rules-title", "What each rule costs")


def _regret(pack: Pack) -> Answer:
    question = "Which choice is regretted least over all futures?"
    if pack.regret is None:
        text = "One plan cannot say: a study plans the case in every future and tries each plan in all the others."
        return Answer("regret", question, text, "", "",
                      "planner study STUDY --out STUDYDIR && planner study-report STUDYDIR && "
                      "planner report DIR --study STUDYDIR")  # fmt: skip
    study, found = pack.regret
    if found.least_worst is None:
        text = f"Of {number(len(found.candidates))} plans tried in {number(len(found.futures))} futures none survives"
        return Answer("regret", question, f"{text} them all (study {study.study}).", "regret", "Regret")
    by_name = {c.plan_of: c for c in found.candidates}
    worst, mean = by_name[found.least_worst], by_name.get(found.least_expected or "")
    text = (
        f"The plan made for the future \u201c{worst.plan_of}\u201d: at worst {number(worst.worst_musd, 1)} million USD"
    )
    text += f" above the best plan for the future that comes, over {number(len(found.futures))} futures"
    if mean is not None and mean.plan_of != worst.plan_of:
        text += f"; on average the one made for \u201c{mean.plan_of}\u201d, {number(mean.expected_musd, 1)}"
    return Answer("regret", question, f"{text} (study {study.study}).", "regret", "Regret")


def _quotes(pack: Pack, why: Why | None) -> Answer:
    question = "Are the quotes comparable: what is each, duty-paid and at site, per usable AC kWh?"
    stored = [] if why is None else [p.bridge for p in why.prices if p.bridge.chemistry != "none"]
    if not stored:
        return Answer("quotes", question, pack.without_explanation or "No quote has been asked about yet.", "", "",
                      explain_command(pack))  # fmt: skip
    bought = [b for b in stored if b.bought]
    cheap = min(stored, key=lambda b: b.at_site_usd_per_kwh)
    text = f"{number(len(stored))} storage quotes stand on one footing, from {number(cheap.at_site_usd_per_kwh, 1)}"
    text += f" ({cheap.name}) to {number(max(b.at_site_usd_per_kwh for b in stored), 1)} USD per usable AC kWh."
    if bought:
        each = [f"{b.name} {number(b.at_site_usd_per_kwh, 1)}" for b in bought]
        text += f" Bought: {_listed(each)}."
    return Answer("quotes", question, text, "why-prices-title", "Are the quotes comparable")


def _listed(parts: list[str]) -> str:
    shown = parts[:6] + ([f"{number(len(parts) - 6)} more"] if len(parts) > 6 else [])
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
