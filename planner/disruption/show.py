"""The answer on one screen."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from planner.disruption.answer import ALL, FRONT, ChoiceRow, DisruptionAnswer
from planner.summary import number, print_table
from planner.terminal import plain


def print_answer(answer: DisruptionAnswer, console: Console) -> None:
    """Print what to sign now, what it costs in each future, and what knowing and hedging are worth."""
    aim = "cost of the worst future" if answer.aim == "worst" else "expected cost"
    if answer.aim == "expected" and answer.cvar_weight > 0:
        aim += f" + {answer.cvar_weight:g} x mean of the worst {answer.tail_frac:.0%}"
    console.print(Text(plain(f"{answer.case}: {answer.title}"), style="bold"))
    console.print(Text(
        f"{aim}: {number(answer.aim_musd, 2)} million USD, {gap_words(answer)}; best choice: {plain(answer.best)}"
    ))  # fmt: skip
    hedging = "planning for calm breaks or is open in some future" if answer.hedging_musd is None else (
        f"{number(answer.hedging_musd, 2)} million USD"
        + f", at least {number(answer.hedging_least_musd or 0.0, 2)}, at most {number(answer.hedging_most_musd, 2)}"
    )  # fmt: skip
    console.print(
        Text(f"Worth of knowing the future: {number(answer.knowing_musd, 2)} million USD; of hedging: {hedging}")
    )
    print_table(
        console, "Choices, million USD",
        ["choice", ">expected", ">tail", ">worst", ">worst regret"],
        [[_named(c), *(number(v, 2) for v in (c.expected_musd, c.cvar_musd, c.worst_musd, c.worst_regret_musd))]
         for c in answer.choices],
        "'as if' signs what is best when that future is taken for certain; - breaks in some future.",
    )  # fmt: skip
    print_table(
        console, f"Futures with the orders of: {answer.best}",
        ["future", ">probability", ">known", ">million USD", ">regret", ">lost", ">cancelled", ">short MW"],
        [[o.future, f"{o.probability_frac:.3f}", o.known, number(o.cost_musd, 2), number(o.regret_musd, 2),
          number(o.lost_containers), number(o.cancelled_containers), number(o.short_mw, 1)]
         for o in answer.outcomes if o.choice == answer.best],
    )  # fmt: skip
    print_table(
        console, "Signed before anything is known",
        ["offer", "delivery", "signed by", ">containers", ">MWh"],
        [[s.offer, s.period, s.signed, number(s.containers), number(s.energy_mwh)]
         for s in answer.signed if s.choice == answer.best and s.now],
        "Signed whatever future is planned for: "
        + ("; ".join(f"{s.containers} {s.offer} for {s.period}" for s in answer.signed_in_every_future) or "nothing")
        + "." + ("" if not answer.reserved else " Reserved: "
                 + ", ".join(f"{n} {name}" for name, n in answer.reserved.items()) + "."),
    )  # fmt: skip
    for among, words in ((ALL, "all choices"), (FRONT, "the points of the front")):
        rows = [r for r in answer.reigns if r.among == among]
        if rows:
            print_table(
                console, f"Least expected cost by the probability that anything happens, among {words}",
                ["choice", ">from", ">to"], [[r.choice, f"{r.from_frac:.4f}", f"{r.to_frac:.4f}"] for r in rows],
                "Futures keep their relative weights.",
            )  # fmt: skip
    if answer.never_best:
        many = len(answer.never_best)
        console.print(Text(f"{many} points of the front cost more than another at every probability of a disruption."))
    for finding in answer.findings:
        console.print(Text(plain(finding)))


def gap_words(answer: DisruptionAnswer) -> str:
    """Bound and gap."""
    if answer.bound_musd is None or answer.gap_frac is None:
        return "nothing proved in the time given"
    return f"bound {number(answer.bound_musd, 2)} (gap {answer.gap_frac:.2%})"


def _named(choice: ChoiceRow) -> str:
    return choice.choice + (f" (also {choice.also})" if choice.also else "")
