"""Money of one container by hand; each docstring is the derivation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from planner.catalogue import CostRow, LithiumRow, TariffRow
from planner.finance import ITEMS, container_cost, discount, price_usd, retirement_month, stream
from planner.problem import Problem
from planner.units import parse_month
from tests.properties.questions import STAMP, lean

M = parse_month


def cost_rows(**values: float) -> tuple[CostRow, ...]:
    """Cost rows for every chemistry and origin, nothing else."""
    from typing import get_args

    names = get_args(CostRow.model_fields["cost"].annotation)
    return tuple(CostRow(cost=n, chemistry="*", origin="*", value=values.get(n, 0.0), **STAMP) for n in names)


def plain(rate: float = 0.0, costs: dict[str, float] | None = None, **alpha: Any) -> Problem:
    """Alpha alone with no cost layers but those given."""
    quiet = {
        "om_usd_per_kwh_yr": 0.0, "om_usd_per_kw_yr": 0.0, "om_frac_per_yr": 0.0, "lithium_pass_through_frac": 0.0,
        "auxiliary_kw_per_mwh": 0.0, "self_discharge_frac_per_day": 0.0, "dutiable_value_frac": 0.0, **alpha,
    }  # fmt: skip
    return lean(
        offers=("Alpha",), offer_changes={"Alpha": quiet}, tables={"costs": cost_rows(**(costs or {}))},
        finance__discount_rate_frac=rate, finance__residual_frac=0.0,
        finance__payments=[{"at": "delivery", "share_frac": 1.0}],
    )  # fmt: skip


def items(problem: Problem, period: int = 0, tier: float = 0.0) -> dict[str, float]:
    return container_cost(problem, problem.offers[0], problem.periods[period], tier).items_usd


def test_landed_price_of_a_chinese_container() -> None:
    """Factory price 75 USD/kWh FOB for 5 MWh; duty 40.9 % on the full value; 43 t at 290 USD/t.

    75 x 1.409 = 105.675 USD/kWh, freight 43 x 290 / 5000 = 2.494 USD/kWh: landed 108.169 USD/kWh.
    """
    problem = plain(
        costs={"freight_usd_per_t": 290.0}, price={2029: 75.0}, energy_nameplate_dc_mwh=5.0, mass_t=43.0,
        dutiable_value_frac=1.0, duty_class="hand",
    )  # fmt: skip
    duty = TariffRow(duty_origin="CN", duty_class="hand", since="2026-07", rate_frac=0.409, **STAMP)
    problem = replace(problem, tables=replace(problem.tables, tariffs=(duty,)))
    got = items(problem)
    assert got["equipment"] == pytest.approx(375_000)
    assert got["duty"] == pytest.approx(153_375)
    assert sum(got.values()) / 5000 == pytest.approx(108.169)


def test_duty_is_that_of_the_import_month() -> None:
    """31 % until 2029-05, 47 % from 2029-06; commissioning takes 4 months.

    Delivered 2029-10: imported 2029-06, 47 %. Delivered 2029-09: imported 2029-05, 31 %. Value share 0.83.
    """
    problem = plain(dutiable_value_frac=0.83)
    for month, rate in (("2029-09", 0.31), ("2029-10", 0.47), ("2029-01", 0.31)):
        period = replace(problem.periods[0], start=M(month))
        got = container_cost(problem, problem.offers[0], period, 0.0).items_usd
        assert got["duty"] == pytest.approx(rate * 0.83 * got["equipment"])


def test_discounting() -> None:
    """r = 6.7 %: one dollar 18 months after the decision is worth 1.067^-1.5 = 0.90731.

    A dollar a year over three months from the decision: (1.067^(-0.5/12) + 1.067^(-1.5/12) + 1.067^(-2.5/12)) / 12.
    """
    problem = plain(rate=0.067)
    decision = problem.case.timeline.decision
    assert discount(problem, decision + 18) == pytest.approx(1.067**-1.5)
    months = sum(1.067 ** (-k / 12) for k in (0.5, 1.5, 2.5)) / 12
    assert stream(problem, decision, decision + 3) == pytest.approx(months, rel=1e-12)
    assert stream(problem, decision + 3, decision + 3) == 0.0
    assert stream(plain(), decision, decision + 17) == pytest.approx(17 / 12)


def test_payments_at_their_dates() -> None:
    """Order 18 months before delivery (9 + 2 + 3 + 4), 23 %; delivery 61 %; acceptance 6 months after, 16 %.

    Delivery 23 months after the decision (2027-02 to 2029-01), r = 6.7 %:
    0.23 x 1.067^(-5/12) + 0.61 x 1.067^(-23/12) + 0.16 x 1.067^(-29/12) of 5300 kWh x price(2029).
    Price 131 in 2028 and 113 in 2031: 131 - 18 / 3 = 125 USD/kWh; 662,500 USD.
    """
    problem = plain(rate=0.067)
    split = lean(
        offers=("Alpha",),
        offer_changes={"Alpha": {"lithium_pass_through_frac": 0.0}},
        finance__discount_rate_frac=0.067,
    )
    factor = 0.23 * 1.067 ** (-5 / 12) + 0.61 * 1.067 ** (-23 / 12) + 0.16 * 1.067 ** (-29 / 12)
    assert items(problem)["equipment"] == pytest.approx(662_500 * 1.067 ** (-23 / 12))
    assert items(split)["equipment"] == pytest.approx(662_500 * factor)


def test_lithium_clause() -> None:
    """0.6 kg/kWh, 40 % passed on, index 13 (2026, year of the price) to 19 USD/kg in 2031: 14.2 + ... in 2029.

    Index(2029) = 13 + 6 x 3 / 5 = 16.6; 0.4 x 0.6 x 3.6 = 0.864 USD per nameplate kWh, on 125: 125.864 x 5300.
    On a usable basis (4700 kWh) the price part shrinks, the clause does not: 125 x 4700 + 0.864 x 5300.
    A fall to 1 USD/kg with 6 kg/kWh would be -28.8 USD/kWh; one to -50 % of the price is the floor.
    """
    problem = plain(lithium_pass_through_frac=0.4)
    assert price_usd(problem, problem.offers[0], 2029) == pytest.approx(125.864 * 5300)
    usable = plain(lithium_pass_through_frac=0.4, energy_basis="usable_ac")
    assert price_usd(usable, usable.offers[0], 2029) == pytest.approx(125 * 4700 + 0.864 * 5300)
    fall = tuple(LithiumRow(path="mid", year=y, usd_per_kg=v, **STAMP) for y, v in ((2026, 13.0), (2029, 1.0)))
    for kg, usd in ((6.0, 125 - 28.8), (60.0, 62.5)):
        low = plain(lithium_pass_through_frac=0.4, lithium_kg_per_kwh=kg)
        low = replace(low, tables=replace(low.tables, lithium=fall))
        assert price_usd(low, low.offers[0], 2029) == pytest.approx(usd * 5300)


def test_tier_discount_falls_on_equipment_duty_and_spares() -> None:
    """7 % off 662,500 is 616,125; duty 0.31 x 0.83 and spares 1.3 % follow it, conversion (61 USD/kW) does not.

    EPC 7.1 % of 616,125 x (1 + 0.2573 + 0.013) + 1900 x 61 = 782,663.59 + 115,900 = 898,563.59.
    """
    problem = plain(
        costs={"spares_frac": 0.013, "power_conversion_usd_per_kw": 61.0, "epc_frac": 0.071}, dutiable_value_frac=0.83
    )
    got = items(problem, tier=0.07)
    assert got["equipment"] == pytest.approx(616_125)
    assert got["duty"] == pytest.approx(616_125 * 0.2573)
    assert got["installation"] == pytest.approx(616_125 * 0.013)
    assert got["power_conversion"] == pytest.approx(115_900)
    assert got["epc"] == pytest.approx(0.071 * 898_563.5875, rel=1e-9)


def test_power_price_and_what_is_included() -> None:
    """1090 USD/kW x 2300 kW = 2,507,000; freight, conversion and transformer included, all in: no plant, no EPC.

    What stays: commissioning 5 USD/kW, spares 1.3 %. Fuel 71 USD/MWh x 47 MWh = 3337, once.
    """
    problem = lean(offers=("Gen",), finance__discount_rate_frac=0.0)
    got = items(problem)
    assert got["equipment"] == pytest.approx(2_507_000)
    assert (
        got["freight"]
        == got["power_conversion"]
        == got["balance_of_plant"]
        == got["epc"]
        == got["standby_energy"]
        == 0.0
    )
    assert got["installation"] == pytest.approx(5 * 2300 + 0.013 * 2_507_000)
    assert got["fuel"] == pytest.approx(3337)


def test_standby_energy_of_a_year() -> None:
    """4.7 MWh: 1.7 kW/MWh gives 7.99 kW; 0.13 % a day of 4700 kWh is 0.25458 kW, over 0.87 it is 0.29262 kW.

    8.28262 kW x 8.76 = 72.5558 MWh a year at a mean of 43.7 USD/MWh = 3170.69 USD; five years to the horizon.
    """
    problem = plain(auxiliary_kw_per_mwh=1.7, self_discharge_frac_per_day=0.0013)
    problem = replace(problem, price_usd_per_mwh=np.array([31.1, 56.3]))
    yearly = (1.7 * 4.7 + 0.0013 * 4700 / 24 / 0.87) * 8.76 * 43.7
    assert yearly == pytest.approx(3170.69, abs=0.01)
    assert items(problem)["standby_energy"] == pytest.approx(5 * yearly)


def test_life_and_horizon() -> None:
    """Life 2.3 years = 27.6, so 27 months: leaves 2031-04, before the horizon 2034-01; upkeep 27 / 12 years.

    Life 18.5 years from 2029-01: 5 of 18.5 used at the horizon; residual 11 % x 662,500 x (1 - 5 / 18.5) = 53,178.0.
    """
    problem = plain(design_life_yr=2.3, om_usd_per_kwh_yr=1.9)
    assert retirement_month(problem.offers[0], M("2029-01")) == M("2031-04")
    assert items(problem)["operation"] == pytest.approx(1.9 * 4700 * 27 / 12)
    assert items(problem)["residual_value"] == 0.0
    long = plain()
    case = long.case.model_copy(update={"finance": long.case.finance.model_copy(update={"residual_frac": 0.11})})
    assert items(replace(long, case=case))["residual_value"] == pytest.approx(-0.11 * 662_500 * (1 - 5 / 18.5))


def test_insurance_by_hazard() -> None:
    """0.31 % a year x hazard 1.7 (lfp under ifc2018) x capex 662,500 x 5 years = 17,456.9."""
    problem = plain(costs={"insurance_frac_per_yr": 0.0031})
    assert items(problem)["insurance"] == pytest.approx(0.0031 * 1.7 * 662_500 * 5)


def test_end_of_life_and_land() -> None:
    """4.3 USD/kWh x 5300 kWh = 22,790 at the horizon; 37 USD/m2 x 6.1 x 2.4 x 2.7 x 1.2 m2 = 1755.0 at delivery."""
    got = items(plain(costs={"end_of_life_usd_per_kwh": 4.3, "land_usd_per_m2": 37.0}))
    assert got["end_of_life"] == pytest.approx(22_790)
    assert got["land"] == pytest.approx(37 * 6.1 * 2.4 * 2.7 * 1.2)


def test_most_specific_cost_row() -> None:
    """(chemistry, origin) before (chemistry, *) before (*, origin) before (*, *)."""
    from planner.yard import cost_row

    problem = plain()
    keys = [("*", "*"), ("*", "CN"), ("lfp", "*"), ("lfp", "CN")]
    for n in range(1, 5):
        rows = tuple(
            CostRow(cost="freight_usd_per_t", chemistry=c, origin=o, value=11.0 + i, **STAMP)
            for i, (c, o) in enumerate(keys[:n])
        )
        table = replace(problem, tables=replace(problem.tables, costs=rows))
        assert cost_row(table, "freight_usd_per_t", "lfp", "CN") == 10.0 + n
        assert cost_row(table, "freight_usd_per_t", "zinc", "US") == 11.0


def test_every_container_item_is_listed() -> None:
    assert set(items(lean())) <= set(ITEMS)
