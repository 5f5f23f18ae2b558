"""Orders line by line, with the build-up of their cost; awards; duties."""

from __future__ import annotations

from planner import finance, policy, supply, yard
from planner.decode import Decision
from planner.dossier import Award, OrderLine, OtherCost, TariffPaid
from planner.model.coefficients import Coefficients
from planner.problem import Offer, Period, Problem
from planner.units import KW_PER_MW, KWH_PER_MWH, USD_PER_MUSD, month_text, year_of


def order_lines(c: Coefficients, d: Decision) -> tuple[OrderLine, ...]:
    """One line per offer and delivery period, in the order in which they are signed."""
    lines = [
        _line(c, d, o, p) for o in range(len(c.problem.offers)) for p in range(len(c.problem.periods))
        if d.containers[o, p] > 0
    ]  # fmt: skip
    return tuple(sorted(lines, key=lambda r: (r.order_month, r.offer, r.start_month)))


def _line(c: Coefficients, d: Decision, o: int, p: int) -> OrderLine:
    problem, offer, period, n = c.problem, c.problem.offers[o], c.problem.periods[p], int(d.containers[o, p])
    tier = offer.tiers[d.tier[o]]
    cost = finance.container_cost(problem, offer, period, tier.discount_frac)
    basis, amount = _basis(offer)
    list_price = finance.price_usd(problem, offer, year_of(period.start))
    equipment = list_price * (1.0 - tier.discount_frac)
    factor = finance.discount(problem, period.start)
    at_site = {name: cost.items_usd[name] / factor for name in ("freight", "power_conversion", "balance_of_plant")}
    spares = 0.0 if "spares" in offer.includes else _layer(problem, offer, "spares_frac")
    leaves = min(finance.retirement_month(offer, period.start), problem.horizon)
    by_equipment = offer.om_frac_per_yr * finance.stream(problem, period.start, leaves)
    credit = _credit_factor(c, d, offer, period)
    rate = 0.0
    if "duty" not in offer.includes:
        rate = finance.duty_rate(problem, offer, period.start - offer.commissioning_months)
    return OrderLine(
        offer=offer.offer,
        supplier=offer.supplier,
        chemistry=offer.chemistry,
        kind=offer.kind,
        origin=offer.origin,
        period=period.label,
        order_month=month_text(supply.order_month(offer, period)),
        arrival_month=month_text(period.start - offer.commissioning_months),
        start_month=month_text(period.start),
        retirement_month=month_text(leaves),
        containers=n,
        basis=basis,
        basis_amount=amount,
        price_usd_per_basis=list_price / amount,
        discount_frac=tier.discount_frac,
        duty_rate_frac=rate,
        dutiable_value_frac=offer.dutiable_value_frac,
        freight_usd=at_site["freight"],
        power_conversion_usd=at_site["power_conversion"],
        balance_of_plant_usd=at_site["balance_of_plant"],
        installation_fixed_usd=cost.items_usd["installation"] / factor - spares * equipment,
        spares_frac=spares,
        epc_frac=0.0 if offer.price_layer == "all_in" else _layer(problem, offer, "epc_frac"),
        payment_factor_frac=cost.items_usd["equipment"] / equipment,
        delivery_factor_frac=factor,
        fuel_usd=cost.items_usd["fuel"],
        land_usd=cost.items_usd["land"],
        operation_fixed_usd=cost.items_usd["operation"] - by_equipment * equipment,
        operation_equipment_yr=by_equipment,
        insurance_capex_yr=cost.items_usd["insurance"] / cost.capex_usd,
        standby_energy_usd=cost.items_usd["standby_energy"],
        end_of_life_usd=cost.items_usd["end_of_life"],
        residual_factor_frac=-cost.items_usd["residual_value"] / equipment,
        credit_factor_frac=credit,
        cost_musd=n * (sum(cost.items_usd.values()) - credit * cost.capex_usd) / USD_PER_MUSD,
    )


def _layer(problem: Problem, offer: Offer, cost: str) -> float:
    return yard.cost_row(problem, cost, offer.chemistry, offer.origin)


def _basis(offer: Offer) -> tuple[str, float]:
    """What the price refers to, in words, and how much of it one container has."""
    if offer.price_unit == "USD/kW":
        return "kW", offer.power_mw * KW_PER_MW
    if offer.energy_basis == "dc_nameplate":
        return "kWh DC nameplate", offer.energy_nameplate_dc_mwh * KWH_PER_MWH
    return "kWh usable AC", offer.energy_usable_ac_mwh * KWH_PER_MWH


def _credit_factor(c: Coefficients, d: Decision, offer: Offer, period: Period) -> float:
    h = c.phase[period.index]
    if h is None or not offer.is_storage:
        return 0.0
    rate = policy.credit_rate(c.problem, c.problem.case.policy.phases[h], d.states[h])
    return rate * finance.discount(c.problem, period.start + finance.CREDIT_LAG_MONTHS)


def equipment_usd(line: OrderLine) -> float:
    """Undiscounted price of one container of a line after the tier discount."""
    return line.basis_amount * line.price_usd_per_basis * (1.0 - line.discount_frac)


def awards(c: Coefficients, d: Decision, lines: tuple[OrderLine, ...]) -> tuple[Award, ...]:
    """Everything bought of each offer; the most costly first."""
    problem = c.problem
    owners = {s.supplier: s.owner_country for s in problem.tables.suppliers}
    bought = d.containers.sum(axis=1)
    total = sum(float(bought[o]) * q.energy_usable_ac_mwh for o, q in enumerate(problem.offers) if q.is_storage)
    found = []
    for o in sorted(d.tier):
        offer, n = problem.offers[o], int(bought[o])
        mine = [line for line in lines if line.offer == offer.offer]
        energy = n * offer.energy_usable_ac_mwh
        found.append(
            Award(
                offer=offer.offer,
                supplier=offer.supplier,
                product=offer.product,
                chemistry=offer.chemistry,
                kind=offer.kind,
                origin=offer.origin,
                cell_country=offer.cell_country,
                cell_maker=offer.cell_maker,
                assembly_plant=offer.assembly_plant,
                software_country=offer.software_country,
                owner_country=owners.get(offer.supplier, "unknown"),
                maturity=offer.maturity,
                fire_evidence=offer.evidence,
                confidence=offer.confidence,
                containers=n,
                energy_usable_mwh=energy,
                energy_nameplate_mwh=n * offer.energy_nameplate_dc_mwh,
                power_mw=n * offer.power_mw,
                first_order_month=min(line.order_month for line in mine),
                first_delivery_month=min(line.start_month for line in mine),
                last_delivery_month=max(line.start_month for line in mine),
                storage_share_frac=energy / total if offer.is_storage and total > 0 else 0.0,
                equipment_musd=sum(q.containers * equipment_usd(q) * q.payment_factor_frac for q in mine)
                / USD_PER_MUSD,
                cost_musd=sum(line.cost_musd for line in mine),
            )
        )
    return tuple(sorted(found, key=lambda a: (-a.cost_musd, a.offer)))


def other_costs(c: Coefficients, d: Decision) -> tuple[OtherCost, ...]:
    """Costs of suppliers, zones and late load; none of them is left out when it is 0 but those of zones."""
    problem = c.problem
    bought = {problem.offers[o].supplier for o in d.tier}
    rows = [
        OtherCost(item="qualification", what=s.supplier, cost_musd=s.qualification_usd / USD_PER_MUSD)
        for s in problem.tables.suppliers
        if s.supplier in bought
    ]
    first = finance.discount(problem, problem.periods[0].start)
    rows += [
        OtherCost(item="fire_barriers", what=zone.zone, cost_musd=option.cost_usd * first / USD_PER_MUSD)
        for zone, option in zip(problem.case.site.zones, d.options, strict=True)
        if option.cost_usd > 0
    ]
    for period, served in zip(problem.periods, d.served_mw, strict=True):
        late_mw = period.target_mw - float(served)
        if abs(late_mw) > 0:
            years = finance.stream(problem, period.start, period.end)
            usd = problem.case.load.delay_usd_per_mw_yr * late_mw * years
            rows.append(OtherCost(item="delay", what=period.label, cost_musd=usd / USD_PER_MUSD))
    return tuple(rows)


def tariffs_paid(c: Coefficients, d: Decision) -> tuple[TariffPaid, ...]:
    """Duties by origin of the goods, the largest first; origins that pay none are listed too."""
    problem = c.problem
    by_origin: dict[str, list[tuple[int, float, float, float]]] = {}
    for o in sorted(d.tier):
        offer = problem.offers[o]
        for p, period in enumerate(problem.periods):
            n = int(d.containers[o, p])
            if n == 0:
                continue
            discount = offer.tiers[d.tier[o]].discount_frac
            equipment = finance.price_usd(problem, offer, year_of(period.start)) * (1.0 - discount)
            rate = 0.0
            if "duty" not in offer.includes:
                rate = finance.duty_rate(problem, offer, period.start - offer.commissioning_months)
            value = n * offer.dutiable_value_frac * equipment * finance.discount(problem, period.start)
            by_origin.setdefault(offer.duty_origin, []).append((n, value, rate, rate * value))
    rows = [
        TariffPaid(
            duty_origin=origin,
            containers=sum(n for n, *_ in parts),
            dutiable_musd=sum(value for _, value, *_ in parts) / USD_PER_MUSD,
            lowest_rate_frac=min(rate for *_, rate, _ in parts),
            highest_rate_frac=max(rate for *_, rate, _ in parts),
            duty_musd=sum(duty for *_, duty in parts) / USD_PER_MUSD,
        )
        for origin, parts in by_origin.items()
    ]
    return tuple(sorted(rows, key=lambda r: (-r.duty_musd, r.duty_origin)))
