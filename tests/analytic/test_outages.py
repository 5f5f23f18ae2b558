# ruff: noqa: E501
"""Requirement curves, delays and availability of hand-made loads; each docstring is the derivation."""

from __future__ import annotations

import numpy as np
import pytest

from planner.model.coefficients import Coefficients
from planner.outages import requirement, safe_availability, service_steps, start_delay
from planner.pipeline import plan
from planner.problem import Problem
from planner.supply import can_serve
from tests.properties.questions import BASE_TIER, lean, ramp


def hand(load: list[float], shares: list[tuple[float, float]], dt: float = 0.5, **more: object) -> Problem:
    """A problem with a given load, service profile and 20.3 MW of target."""
    return lean(
        load_pu=np.array(load), pv_cf=more.pop("pv_cf", np.zeros(len(load))), dt_h=dt,
        periods=ramp(("2029-01", "2034-01", 20.3, 1.3, 99.0)),
        reliability__service=[{"until_h": h, "share_frac": s} for h, s in shares], **more,
    )  # fmt: skip


def test_curve_of_a_hand_load() -> None:
    """Load 0.2, 0.9, 0.4, 0.7 (x 20.3 MW), half-hour steps, share 1 for one hour and 0.3 until 1.5 h.

    Windows of three steps, wrapping round: weights (1, 1, 0.3).
        t=0: 0.2 0.9 0.12    t=1: 0.9 0.4 0.21    t=2: 0.4 0.7 0.06    t=3: 0.7 0.2 0.27
    Largest, two largest, all three:
        t=0: 0.9 1.1 1.22    t=1: 0.9 1.3 1.51    t=2: 0.7 1.1 1.16    t=3: 0.7 0.97 1.17
    R = max over t = 0.9, 1.3, 1.51 (x 20.3 MW x 0.5 h) = 9.135, 13.195, 15.3265 MWh.
    """
    problem = hand([0.2, 0.9, 0.4, 0.7], [(1.0, 1.0), (1.5, 0.3)])
    got = requirement(problem, set())
    assert got.mwh[0] == pytest.approx([9.135, 13.195, 15.3265])
    assert got.peak_mw[0] == pytest.approx(0.9 * 20.3)


def test_known_length_is_a_maximum_over_classes() -> None:
    """Same load; outages of 1 h at share 1, or of 1.5 h at share 0.3, each known when it starts.

    First class, two steps at 1: largest 0.9, two largest max(1.1, 1.3, 1.1, 0.9) = 1.3.
    Second class, three steps at 0.3: 0.27, 0.3 x max(1.1, 1.3, 1.1, 1.6) = 0.48, 0.3 x max(1.5, 2.0, 1.3, 1.8) = 0.6.
    R(1) = 0.9, R(2) = 1.3, R(3) = max(1.3 of the first class, 0.6) = 1.3: the last step asks nothing more.
    """
    problem = hand([0.2, 0.9, 0.4, 0.7], [(1.0, 1.0), (1.5, 0.3)], reliability__length_known=True)
    assert [len(s) for s in service_steps(problem)] == [2, 3]
    assert requirement(problem, set()).mwh[0] == pytest.approx(np.array([0.9, 1.3, 1.3]) * 20.3 * 0.5)


def test_late_class_splits_the_window() -> None:
    """Same load, a unit that starts after one step: segments {0}, {1, 2}; counts (k0, k1).

    Step 0 of each window: 0.2 0.9 0.4 0.7; steps 1 and 2, largest / both:
        t=0: 0.9 1.02   t=1: 0.4 0.61   t=2: 0.7 0.76   t=3: 0.27 0.47
    (0,1) 0.9; (0,2) 1.02; (1,0) 0.9; (1,1) max(1.1, 1.3, 1.1, 0.97) = 1.3; (1,2) max(1.22, 1.51, 1.16, 1.17) = 1.51.
    """
    problem = hand([0.2, 0.9, 0.4, 0.7], [(1.0, 1.0), (1.5, 0.3)])
    got = requirement(problem, {1})
    assert got.counts.tolist() == [[0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]
    assert got.mwh[0] == pytest.approx(np.array([0.9, 1.02, 0.9, 1.3, 1.51]) * 20.3 * 0.5)
    assert got.steps_open_to(1).tolist() == [1, 2, 0, 1, 2]
    assert got.steps_open_to(0).tolist() == [1, 2, 1, 2, 3]


def test_pv_is_taken_off_before_the_curve() -> None:
    """10 MW of PV derated to 0.87 gives 8.7 MW x (0, 0.5, 0.9, 0) = 0, 4.35, 7.83, 0 MW.

    Net of 20.3 MW x (0.2, 0.9, 0.3, 0.7) = 4.06, 18.27, 6.09, 14.21: 4.06, 13.92, 0 (not -1.74), 14.21 MW.
    Two steps at share 1: R(1) = 14.21, R(2) = max(17.98, 13.92, 14.21, 18.27) = 18.27 (wrapping), x 0.5 h.
    At half the target the sun covers more than half: 2.03, 4.785, 0, 7.105: R(2) = 9.135 = 7.105 + 2.03.
    """
    sun = np.array([0.0, 0.5, 0.9, 0.0])
    problem = hand([0.2, 0.9, 0.3, 0.7], [(1.0, 1.0)], pv__mw=10.0, pv_cf=sun)
    assert requirement(problem, set()).mwh[0] == pytest.approx([7.105, 9.135])
    half = lean(
        load_pu=problem.load_pu, pv_cf=sun, dt_h=0.5, pv__mw=10.0, reliability__service=[{"until_h": 1.0, "share_frac": 1.0}],
        periods=ramp(("2029-01", "2030-01", 10.15, 1.3, 99.0), ("2030-01", "2034-01", 20.3, 1.3, 99.0)),
    )  # fmt: skip
    assert requirement(half, set()).mwh[:, 1] == pytest.approx([4.5675, 9.135])


@pytest.mark.parametrize(
    ("fleet", "p", "least", "share"), [(2, 0.9, 0.95, 1 / 2), (2, 0.9, 0.8, 1.0), (3, 0.9, 0.95, 2 / 3)]
)
def test_safe_availability(fleet: int, p: float, least: float, share: float) -> None:
    """Binomial by hand at p = 0.9.

    N = 2: P(2 up) = 0.81, P(at least 1) = 0.99: at 95 % one of two counts, at 80 % both.
    N = 3: P(3 up) = 0.729, P(at least 2) = 0.729 + 3 x 0.081 = 0.972: at 95 % two of three.
    """
    problem = lean(
        offer_changes={"Alpha": {"availability_frac": p}},
        reliability__availability={"basis": "quantile", "probability_frac": least, "fleet": fleet},
    )
    assert safe_availability(problem, problem.offers[0]) == pytest.approx(share)


def test_start_delays() -> None:
    """UPS 45 s. Alpha 0.4 s: bridged, 0. Beta 700 s: 655 s = 0.18194 h. Gen 90 s: held to 1.7 h = 2 steps of 0.75 h + 0.2 h.

    A unit of the network that needs 5.5 h is never up in a window of 3.75 h.
    """
    problem = lean(offer_changes={"Beta": {"response_s": 700.0}})
    alpha, beta, gen = (start_delay(problem, o) for o in problem.offers)
    assert (alpha.first_step, alpha.rest_h) == (0, 0.0)
    assert (beta.first_step, beta.rest_h) == (0, pytest.approx(655 / 3600))
    assert (gen.first_step, gen.rest_h) == (2, pytest.approx(0.2))
    slow = lean(firm__min_outage_h=5.5)
    assert [can_serve(slow, o) for o in slow.offers] == [True, True, False]


def test_what_a_late_unit_delivers() -> None:
    """Gen, P = 2.3 MW, a = 0.951, first step 2 with 0.2 h missing, dt 0.75 h, tank 47 MWh.

    Window 3.75 h = 5 steps, segments {0, 1}, {2, 3, 4}. Of (k0, k1) it counts k1: hours max(0, 0.75 k1 - 0.2),
    so 0, 0.55, 1.3, 2.05 h and 0.951 x 2.3 x hours = 0, 1.203015, 2.84349, 4.483965 MWh whatever k0 is.
    """
    problem = lean()
    c = Coefficients(problem)
    at = c.pairs.index((2, 0))
    for k0 in range(3):
        for k1, mwh in enumerate((0.0, 1.203015, 2.84349, 4.483965)):
            if k0 + k1:
                row = c.requirement.counts.tolist().index([k0, k1])
                assert c.delivered_mwh(0, row)[at] == pytest.approx(mwh)


def test_required_containers_by_hand() -> None:
    """Constant 20.3 MW for 2 h; boxes of 5.1 MWh and 1.9 MW, all up, charged to 0.93, faded to 0.89 at the end.

    Energy: 5.1 x 0.93 x 0.89 = 4.221 MWh each; 40.6 / 4.221 = 9.62: 10 boxes.
    Power: 20.3 / 1.9 = 10.68: 11 boxes. So 11; with 2.3 MW it is 20.3 / 2.3 = 8.83, and energy rules: 10.
    """
    for power, boxes in ((1.9, 11), (2.3, 10)):
        problem = hand(
            [1.0, 1.0, 1.0], [(2.0, 1.0)], offers=("Alpha",), load__final_floor_frac=1.0, load__delay_usd_per_mw_yr=9e6,
            offer_changes={
                "Alpha": {
                    "energy_usable_ac_mwh": 5.1, "power_mw": power, "availability_frac": 1.0, "response_s": 0.0,
                    "tiers": (BASE_TIER,), "fade_curve": "hand",
                }
            },
            tables={"fade": _fade()},
        )  # fmt: skip
        found = plan(problem, gap_frac=0.0)
        assert sum(o.containers for o in found.orders) == boxes


def _fade() -> tuple[object, ...]:
    from tests.properties.questions import fade_rows

    return fade_rows("hand", "float", (25.0, 0.0, 1.0), (25.0, 5.0, 0.89))
