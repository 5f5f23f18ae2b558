"""What stands behind a plan: dates, money, outages, origins and the ground, as a ``Dossier``."""

from __future__ import annotations

from planner.decode import Decision
from planner.dossier import Dossier
from planner.evidence.ground import zone_drawings
from planner.evidence.money import awards, order_lines, other_costs, tariffs_paid
from planner.evidence.origin import country_shares, layer_exposure, phase_contents, vintages
from planner.evidence.question import facts, headline, spans
from planner.evidence.turns import turns
from planner.evidence.uptime import fleet_by_period, outage_curves, period_margins
from planner.model.coefficients import Coefficients

__all__ = ["dossier"]


def dossier(c: Coefficients, d: Decision, possible_saving_musd: float) -> Dossier:
    """Everything that the page and the workbook show of a decision, besides the plan's own fields.

    Parameters
    ----------
    c
        Coefficients of the problem.
    d
        What was decided.
    possible_saving_musd
        Cost less the proven bound.
    """
    lines = order_lines(c, d)
    bought = awards(c, d, lines)
    others = other_costs(c, d)
    paid = tariffs_paid(c, d)
    phases = phase_contents(c, d)
    return Dossier(
        headline=headline(c.problem, d.served_mw, bought, possible_saving_musd),
        question=facts(c.problem),
        periods=spans(c.problem),
        awards=bought,
        order_lines=lines,
        other_costs=others,
        tariffs=paid,
        outage_curves=outage_curves(c, d),
        period_margins=period_margins(c, d),
        fleet=fleet_by_period(c, d),
        layer_exposure=layer_exposure(c, d),
        country_shares=country_shares(c, d),
        vintages=vintages(c, d),
        phases=phases,
        site=zone_drawings(c, d),
        turns=turns(c, d, bought, lines, others, paid, phases),
    )
