"""The question in words, its delivery periods, and the answer in one line."""

from __future__ import annotations

from planner.dossier import Award, Fact, Headline, Span
from planner.problem import FloatArray, Problem
from planner.units import month_text

_LOSSES = {
    "supplier": "any one supplier",
    "cell_maker": "any one cell maker",
    "cell_factory": "any one cell factory",
    "country": "any one country of cells",
    "chemistry": "any one chemistry",
    "software": "everything with prohibited control software",
    "fire_group": "the largest fire group",
}
#: What the buyer does with the credit.
_CREDITS = {
    "own": "used against the buyer's own tax",
    "transfer": "sold to another taxpayer",
    "elective_pay": "paid out by the Treasury (elective pay)",
    "none": "none",
}
#: Rule profiles of ``fire_rules.csv``.
_CODES = {
    "common": "what all codes and insurers share",
    "ifc2018": "IFC 2018",
    "ifc2024_nfpa855_2023": "IFC 2024 with NFPA 855 of 2023",
    "nfpa855_2026": "NFPA 855 of 2026",
    "fm_5_33": "FM Global data sheet 5-33",
    "san_diego_2024": "San Diego County, 2024",
}


def spans(problem: Problem) -> tuple[Span, ...]:
    """Every delivery period with its months and loads in MW."""
    return tuple(
        Span(
            period=p.label,
            start_month=month_text(p.start),
            end_month=month_text(p.end),
            target_mw=p.target_mw,
            floor_mw=p.floor_mw,
            energisable_mw=p.energisable_mw,
        )
        for p in problem.periods
    )


def headline(
    problem: Problem, served_mw: FloatArray, bought: tuple[Award, ...], possible_saving_musd: float
) -> Headline:
    """The answer in one line.

    Parameters
    ----------
    served_mw
        Load energised by period, shape (P,).
    bought, possible_saving_musd
        Awards, and cost less bound.
    """
    stored = [a for a in bought if a.kind == "storage"]
    firm = [a for a in bought if a.kind != "storage"]
    final = problem.final_target_mw
    full = [p for p, mw in zip(problem.periods, served_mw, strict=True) if mw >= final * (1 - 1e-6)]
    return Headline(
        storage_containers=sum(a.containers for a in stored),
        storage_energy_mwh=sum(a.energy_usable_mwh for a in stored),
        storage_power_mw=sum(a.power_mw for a in stored),
        storage_suppliers=len({a.supplier for a in stored}),
        firm_units=sum(a.containers for a in firm),
        firm_power_mw=sum(a.power_mw for a in firm),
        first_order_month=min((a.first_order_month for a in bought), default=None),
        full_load_mw=final,
        full_load_month=month_text(full[0].start) if full else None,
        possible_saving_musd=possible_saving_musd,
    )


def facts(problem: Problem) -> tuple[Fact, ...]:
    """What was asked, one line each."""
    case = problem.case
    rules = case.reliability
    losses = [
        f"{_LOSSES.get(kind, kind.replace('_', ' '))}, with {share:.0%} of the need still met"
        for kind, share in rules.contingencies.model_dump().items()
        if share is not None
    ]
    limits = [
        f"{name.replace('_', ' ')} at most {limit.max_frac:g}{' in every period' if limit.per_period else ''}"
        for name, limit in case.exposure_limits.items()
    ]
    ramp = ", ".join(f"{mw:,g} MW from {month_text(m)}" for m, mw in sorted(case.load.target_mw.items()))
    service = ", then ".join(f"{s.share_frac:.0%} of the load to hour {s.until_h:g}" for s in rules.service)
    found = [
        ("Buyer", f"{case.buyer}, {case.site.region}"),
        ("Load", ramp),
        ("Outages", f"{service}; the length is {'known' if rules.length_known else 'unknown'} when one starts"),
        ("Losses to survive", "; ".join(losses) if losses else "none"),
        ("Storage mandate", f"{rules.storage_mandate_h:g} h" if rules.storage_mandate_h > 0 else "none"),
        ("On-site PV", f"{case.pv.mw:g} MW" if case.pv.mw > 0 else "none"),
        ("Exposure limits", "; ".join(limits) if limits else "none"),
        ("Domestic floor", f"{case.policy.domestic_floor_frac:.0%}" if case.policy.domestic_floor_frac > 0 else "none"),
        ("Tax credit", _CREDITS[case.policy.monetisation]),
        ("Disputed entities", "allowed" if case.policy.disputed == "allow" else "refused"),
        (
            "Fire rules",
            _CODES.get(case.fire.profile, case.fire.profile.replace("_", " "))
            + (", strict" if case.fire.strict else ""),
        ),
        ("Discount rate", f"{case.finance.discount_rate_frac:.1%} real, from {month_text(case.timeline.decision)}"),
        ("Horizon", f"to {month_text(problem.horizon)}"),
    ]
    return tuple(Fact(label=label, text=text) for label, text in found)
