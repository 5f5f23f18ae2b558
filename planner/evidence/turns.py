"""What would change the answer: the doubts of a plan, ranked by the money that rests on them."""

from __future__ import annotations

from planner.account import critical_path
from planner.decode import Decision
from planner.dossier import Award, OrderLine, OtherCost, PhaseContent, TariffPaid, Turn
from planner.model.coefficients import Coefficients
from planner.units import parse_month

#: Orders due within so many months of the decision leave no time to bargain.
SOON_MONTHS = 3
WEAK = ("assumption", "memory")
#: Lists of barred entities as their flags name them.
_LISTS = {
    "pfe_tax": "prohibited foreign entity of the tax code",
    "ndaa154": "NDAA section 154",
    "usc4865": "10 USC 4865",
    "list1260h": "list of section 1260H",
    "fcc": "FCC covered list",
}
#: Below a thousand dollars nothing is worth a board's attention.
NEGLIGIBLE_MUSD = 1e-3


def turns(
    c: Coefficients,
    d: Decision,
    awards: tuple[Award, ...],
    lines: tuple[OrderLine, ...],
    others: tuple[OtherCost, ...],
    tariffs: tuple[TariffPaid, ...],
    phases: tuple[PhaseContent, ...],
) -> tuple[Turn, ...]:
    """Doubts with the money of this plan that rests on them, the largest first.

    The money is what stands in the plan, not the outcome of a new search:
    ``planner explain`` prices a change by solving again.
    """
    found = [
        *_credit(phases),
        *_weak(awards),
        *_disputed(c, awards),
        *_late(c, d, others),
        *_duty(tariffs),
        *_soon(c, awards, lines),
    ]
    worth = [t for t in found if t.at_stake_musd >= NEGLIGIBLE_MUSD]
    return tuple(sorted(worth, key=lambda t: (-t.at_stake_musd, t.topic)))


def _credit(phases: tuple[PhaseContent, ...]) -> list[Turn]:
    found = []
    for phase in phases:
        if phase.credit_musd <= 0 or phase.domestic_frac is None or phase.macr_frac is None:
            continue
        tests = []
        if phase.macr_threshold_frac is not None:
            tests.append(f"material assistance of {phase.macr_frac:.1%} (needed {phase.macr_threshold_frac:.1%})")
        if phase.state == "bonus":
            tests.append(f"domestic content of {phase.domestic_frac:.1%} (needed {phase.domestic_threshold_frac:.1%})")
        rests = " and ".join(tests) if tests else "its start of construction"
        bonus = " with its domestic-content bonus" if phase.state == "bonus" else ""
        text = f"Construction phase {phase.phase} earns the credit{bonus} on {rests}. A supplier that loses"
        text += " its standing there loses the credit of the whole phase, not only its own."
        found.append(Turn(topic="Tax credit", at_stake_musd=phase.credit_musd, text=text))
    return found


def _weak(awards: tuple[Award, ...]) -> list[Turn]:
    weak = [a for a in awards if a.confidence in WEAK]
    share = sum(a.storage_share_frac for a in weak)
    named = [*dict.fromkeys(a.name for a in weak)]  # two offers may be of one product
    names = ", ".join(named[:4]) + (f" and {len(named) - 4} more" if len(named) > 4 else "")
    text = f"Some figures of {names} rest on assumption or memory; these offers carry {share:.0%} of the storage"
    text += " energy. A firm quote replaces them."
    return [Turn(topic="Weak data", at_stake_musd=sum(a.cost_musd for a in weak), text=text)] if weak else []


def _disputed(c: Coefficients, awards: tuple[Award, ...]) -> list[Turn]:
    offers = {q.offer: q for q in c.problem.offers}
    doubtful = {
        a.offer: sorted(n for n, flag in offers[a.offer].flags.items() if flag.status == "disputed") for a in awards
    }
    told = (f"{a.name} ({', '.join(map(_list_name, doubtful[a.offer]))})" for a in awards if doubtful[a.offer])
    parts = [*dict.fromkeys(told)]
    if not parts or c.problem.case.policy.disputed == "refuse":
        return []
    stake = sum(a.cost_musd for a in awards if doubtful[a.offer])
    text = f"Sources differ on the entity status of {'; '.join(parts[:4])}. The case allows disputed suppliers;"
    text += " under a stricter reading, which refuses them, they count as prohibited."
    return [Turn(topic="Disputed suppliers", at_stake_musd=stake, text=text)]


def _list_name(flag: str) -> str:
    return _LISTS.get(flag, flag.replace("_", " "))


def _late(c: Coefficients, d: Decision, others: tuple[OtherCost, ...]) -> list[Turn]:
    stake = sum(o.cost_musd for o in others if o.item == "delay")
    short = [r for r in critical_path(c, d) if r.served_mw < r.target_mw - 1e-6 * max(1.0, r.target_mw)]
    if not short:
        return []
    parts = [f"{r.target_mw - r.served_mw:,.0f} MW in {r.period} ({r.binding})" for r in short[:4]]
    rest = len(short) - 4
    more = f" and {rest} more {'period' if rest == 1 else 'periods'}" if rest > 0 else ""
    text = f"Load that comes late: {', '.join(parts)}{more}. What holds it back is named in brackets; energising"
    text += " earlier is worth this much at the case's price of delay."
    return [Turn(topic="Late load", at_stake_musd=stake, text=text)]


def _duty(tariffs: tuple[TariffPaid, ...]) -> list[Turn]:
    paid = [t for t in tariffs if t.duty_musd > 0]
    parts = [
        f"{t.duty_origin} {t.lowest_rate_frac:.1%}"
        + (f" to {t.highest_rate_frac:.1%}" if t.highest_rate_frac > t.lowest_rate_frac else "")
        for t in paid[:3]
    ]
    text = f"Duties at today's rates ({', '.join(parts)}), held to the last delivery. Rates change by proclamation."
    return [Turn(topic="Tariffs", at_stake_musd=sum(t.duty_musd for t in paid), text=text)] if paid else []


def _soon(c: Coefficients, awards: tuple[Award, ...], lines: tuple[OrderLine, ...]) -> list[Turn]:
    decision = c.problem.case.timeline.decision
    urgent = [q for q in lines if parse_month(q.order_month) - decision <= SOON_MONTHS]
    if not urgent:
        return []
    bought = {a.offer: a.name for a in awards}
    names = ", ".join(dict.fromkeys(bought[q.offer] for q in urgent))
    text = f"Orders due within {SOON_MONTHS} months of the decision: {names}, the first by"
    text += f" {min(q.order_month for q in urgent)}. A missed month moves the delivery by a whole period."
    return [Turn(topic="Early orders", at_stake_musd=sum(q.cost_musd for q in urgent), text=text)]
