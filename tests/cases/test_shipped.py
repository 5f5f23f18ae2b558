"""The shipped cases: the tiny one by hand, the big ones loaded and, where time allows, solved."""

from __future__ import annotations

import pytest

from planner.inputs import load_case
from planner.pipeline import plan
from planner.shipped import cases_dir, shipped_cases
from planner.verify import verify


def test_tiny_by_hand() -> None:
    """10 MW for two hours: 10 MW and 20 MWh are needed at the start of 2028.

    block-a gives 2 MW and 4 MWh for 100 USD/kWh x 4000 kWh = 400,000 USD; block-b 3 MW and 6 MWh for 570,000 USD.
    Both last two hours, so power is all: 2 a + 3 b >= 10 at least cost of 400 a + 570 b (thousand USD).
    b = 0: a = 5, 2000. b = 1: a = 4 (2 x 4 + 3 = 11), 2170. b = 2: a = 2 (4 + 6 = 10), 1940. b = 3: a = 1, 2110.
    b = 4: 2280. So two of each: 1.94 million USD, no discounting, no other layer but qualifying
    the one supplier, 0.8 million USD in the shipped table: 2.74.
    """
    problem = load_case("tiny")
    found = plan(problem, gap_frac=0.0)
    assert found.cost_musd == pytest.approx(2.74, abs=1e-9)
    assert {o.offer: o.containers for o in found.orders} == {"block-a": 2, "block-b": 2}
    assert found.required_mwh == pytest.approx(20.0)
    assert found.served_mw == {"2028": 10.0}
    items = {k: v for k, v in found.cost_breakdown_musd.items() if abs(v) > 1e-12}
    assert items == {"equipment": pytest.approx(1.94), "qualification": pytest.approx(0.8)}
    assert found.verification is not None
    assert found.verification.passed


@pytest.mark.parametrize(
    ("override", "cost"),
    [
        # 9 MW: (a, b) = (0, 3) = 1710; (3, 1) = 1770, (2, 2) = 1940, (5, 0) = 2000.
        ("load.target_mw={2028-01: 9}", 1.71),
        # three hours at 10 MW: 30 MWh of 4 and 6 MWh: 4 a + 6 b >= 30: (0, 5) = 2850, (3, 3) = 2910.
        ("reliability.service=[{until_h: 3, share_frac: 1.0}]", 2.85),
        # charged to 0.9: 3.6 a + 5.4 b >= 20: (2, 3) = 23.4 for 2510, (1, 3) = 19.8 is short, (4, 1) = 19.8 is short,
        # (0, 4) = 21.6 for 2280, (3, 2) = 21.6 for 2340.
        ("reliability.reserve_frac=0.9", 2.28),
    ],
)
def test_tiny_variants_by_hand(override: str, cost: float) -> None:
    assert plan(load_case("tiny", [override]), gap_frac=0.0).cost_musd == pytest.approx(cost + 0.8, abs=1e-9)


@pytest.mark.parametrize("name", shipped_cases())
def test_every_shipped_case_loads(name: str) -> None:
    """Without a fault, complete, and with a digest that another reading repeats."""
    problem = load_case(name)
    assert problem.case.case == name
    assert problem.offers
    assert problem.periods[-1].end > problem.periods[0].start
    assert load_case(cases_dir() / f"{name}.yaml").input_sha256 == problem.input_sha256


def test_the_cases_are_the_three_buyers() -> None:
    buyers = {name: load_case(name).case.buyer for name in shipped_cases()}
    assert set(buyers.values()) == {"hyperscaler", "utility", "defence"}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "limit_s", "gap"), [("defence-50mw", 90.0, 0.02), ("utility-200mw", 120.0, 0.02)])
def test_shipped_case_solves(name: str, limit_s: float, gap: float) -> None:
    """A plan within the gap and the time that passes a full audit (the big campuses run in the benchmarks)."""
    problem = load_case(name)
    found = plan(problem, gap_frac=gap, time_limit_s=limit_s)
    assert found.gap_frac <= gap + 1e-9
    verdict = verify(problem, found, audit=True)
    assert verdict.passed, verdict.errors


def test_terms_in_full_leaves_no_term_neutral() -> None:
    """What the time of the Texas case with all of it on is measured with, has all of it on."""
    problem = load_case("hyperscaler-1gw-texas", scenario="terms-in-full")
    bought = [o for o in problem.offers if o.is_storage]
    for field in (
        "expected_delay_months", "delay_damages_frac_per_month", "delay_damages_cap_frac", "warranty_years",
        "warranty_soh_frac", "service_usd_per_kwh_yr", "service_years", "cancellation_fee_frac", "pay_order_frac",
        "qualification_months",
    ):  # fmt: skip
        assert all(getattr(o, field) > 0 for o in bought), field
    case = problem.case
    assert (case.credits.unit, case.policy.disputed) == ("pools", "refuse")
    assert case.reliability.warranty == "guaranteed"
    limits = case.governance.max_share
    assert all((limits.supplier, limits.country, limits.chemistry, limits.cell_factory, limits.maturity))
