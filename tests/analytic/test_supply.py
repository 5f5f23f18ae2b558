# ruff: noqa: E501
"""Dates, factory output and admissibility by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from planner.periods import lay_periods
from planner.supply import booked_mwh, counts_in, factory_limit_mwh, order_month, refusal
from planner.units import month_text, parse_month
from tests.properties.questions import lean, ramp

M = parse_month


def test_factory_limit() -> None:
    """A-cells: 30 GWh (2028) to 40 (2031), committed 0.4 to 0.3, obtainable 0.05.

    2029 is a third of the way: 33.333 GWh x (1 - 0.36667) x 0.05 = 1.05556 GWh = 1055.56 MWh; each column is interpolated.
    Seven months give 7/12 of it; three years no more than one. After 2031: 40 x 0.7 x 0.05 = 1400 MWh. Scale 0.3.
    """
    problem = lean()
    for start, end, mwh in (
        ("2029-01", "2030-01", 1000 * (100 / 3) * (1 - 1.1 / 3) * 0.05),
        ("2029-01", "2029-08", 1000 * (100 / 3) * (1 - 1.1 / 3) * 0.05 * 7 / 12),
        ("2033-01", "2036-01", 1400.0),
        ("2027-01", "2028-01", 30_000 * 0.6 * 0.05),
    ):
        (period,) = ramp((start, end, 7.3, 4.1, 31.0))
        assert factory_limit_mwh(problem, "A-cells", period) == pytest.approx(mwh)
        assert factory_limit_mwh(lean(supply__scale_frac=0.3), "A-cells", period) == pytest.approx(0.3 * mwh)
    assert factory_limit_mwh(problem, "nowhere", problem.periods[0]) == 0.0


def test_delivery_risk_books_more() -> None:
    """3 % of Alpha's containers do not come: 5.3 / 0.97 = 5.46392 MWh must be booked for each that does."""
    problem = lean()
    assert booked_mwh(problem.offers[0]) == pytest.approx(5.3 / 0.97)
    assert booked_mwh(problem.offers[2]) == pytest.approx(47.0)


def test_order_dates() -> None:
    """9 + 2 + 3 + 4 = 18 months before 2029-01 is 2027-07; decided 2027-02. Five months more are the last that fit."""
    problem = lean()
    alpha, period = problem.offers[0], problem.periods[0]
    assert month_text(order_month(alpha, period)) == "2027-07"
    for more, rule in ((5, None), (6, "lead_time")):
        late = alpha.model_copy(update={"lead_time_months": 9 + more})
        why = refusal(problem, late, period)
        assert (why.rule if why else None) == rule


def test_quotes_end() -> None:
    """A quote to 2027-06 does not cover an order of 2027-07; after full load (2030-01) later rounds are quoted anew."""
    problem = lean(periods=ramp(
        ("2029-01", "2030-01", 7.3, 4.1, 31.0), ("2030-01", "2031-01", 13.9, 4.1, 31.0),
        ("2031-01", "2034-01", 13.9, 4.1, 31.0),
    ))  # fmt: skip
    old = problem.offers[0].model_copy(update={"valid_until": M("2027-06")})
    assert [getattr(refusal(problem, old, p), "rule", None) for p in problem.periods] == ["validity", "validity", None]
    kept = problem.offers[0].model_copy(update={"valid_until": M("2027-07")})
    assert refusal(problem, kept, problem.periods[0]) is None


def test_hosts() -> None:
    problem = lean()
    cavern = problem.offers[1].model_copy(update={"host": "salt_cavern"})
    assert refusal(problem, cavern, problem.periods[0]).rule == "site"  # type: ignore[union-attr]
    case = problem.case.model_copy(update={"site": problem.case.site.model_copy(update={"hosts": ("salt_cavern",)})})
    assert refusal(replace(problem, case=case), cavern, problem.periods[0]) is None


def test_when_containers_count() -> None:
    """Delivered 2029-01 with a life of 3.9 years = 46.8, so 46 months: stands to 2032-11.

    It counts in periods that end 2030-01 and 2032-11, not in one that ends 2032-12; never before its delivery.
    """
    problem = lean()
    old = problem.offers[0].model_copy(update={"design_life_yr": 3.9})
    rows = ramp(
        ("2029-01", "2030-01", 7.3, 0.0, 31.0),
        ("2030-01", "2032-11", 7.3, 0.0, 31.0),
        ("2030-01", "2032-12", 7.3, 0.0, 31.0),
    )
    assert [counts_in(old, rows[0], p) for p in rows] == [True, True, False]
    assert not counts_in(old, rows[1], rows[0])


def test_periods_of_a_case() -> None:
    """Blocks of 12 months, full load 2030-01, horizon 4 years later: 2034-01; later rounds of 36 months: 2031 to 2033.

    Energisable at 2029-01: min(61, 95, 99); floor 20, from the last block on the whole target.
    """
    from tests.properties.questions import question

    periods = lay_periods(question().case)
    assert [(p.start, p.end) for p in periods] == [
        (M("2029-01"), M("2030-01")), (M("2030-01"), M("2031-01")), (M("2031-01"), M("2034-01")),
    ]  # fmt: skip
    assert [p.target_mw for p in periods] == [37.3, 83.1, 83.1]
    assert [p.energisable_mw for p in periods] == [61.0, 90.0, 90.0]
    assert [p.floor_mw for p in periods] == [20.0, 83.1, 83.1]
