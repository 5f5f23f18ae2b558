# ruff: noqa: E501
"""State of health by hand."""

from __future__ import annotations

import numpy as np
import pytest

from planner.fade import state_of_health
from planner.inputs import load_case
from planner.model.coefficients import Coefficients
from tests.properties.questions import lean


def test_between_ages_and_temperatures() -> None:
    """Lfp, float: at 20 C 1 to 0.91 over 7 years, at 35 C 1 to 0.87 over 5.

    Age 3: 20 C 1 - 0.09 x 3 / 7 = 0.961429; 35 C 1 - 0.13 x 3 / 5 = 0.922. At 27 C, 7 / 15 of the way: 0.943029.
    Age 40: the last rows hold: 0.91 + (0.87 - 0.91) x 7 / 15 = 0.891333.
    """
    problem = lean()
    got = state_of_health(problem, problem.offers[0], np.array([0.0, 3.0, 40.0]))
    low, high = 1 - 0.09 * 3 / 7, 1 - 0.13 * 3 / 5
    assert got == pytest.approx([1.0, low + (high - low) * 7 / 15, 0.91 - 0.04 * 7 / 15])


@pytest.mark.parametrize(("celsius", "soh"), [(11.0, 0.91), (20.0, 0.91), (35.0, 0.87), (47.0, 0.87)])
def test_outside_the_temperatures_it_is_flat(celsius: float, soh: float) -> None:
    problem = lean(site__cell_temperature_c=celsius)
    assert state_of_health(problem, problem.offers[0], np.array([9.0]))[0] == pytest.approx(soh)


def test_one_temperature() -> None:
    """Zinc has rows at 25 C only: 1 - 0.07 x 4.5 / 9 = 0.965 at 4.5 years, whatever the site."""
    for celsius in (19.0, 25.0, 31.0):
        problem = lean(site__cell_temperature_c=celsius)
        assert state_of_health(problem, problem.offers[1], np.array([4.5]))[0] == pytest.approx(0.965)


def test_duty_picks_the_rows() -> None:
    """Daily cycling at 20 C: 1 to 0.71 over 6 years; at 3 years 0.855."""
    problem = lean(reliability__duty="daily", site__cell_temperature_c=20.0)
    assert state_of_health(problem, problem.offers[0], np.array([3.0]))[0] == pytest.approx(0.855)


def test_energy_that_counts_in_a_period() -> None:
    """Beta delivered 2029-01 counts at the end of each period: age 1 and 5 years, 1 - 0.07 x age / 9.

    2.6 MWh x 0.93 x (0.992222, 0.961111) = 2.39919, 2.32397 MWh; delivered 2030-01 it is 0 before and 4 years old at the end.
    """
    c = Coefficients(lean())
    first, second = c.pairs.index((1, 0)), c.pairs.index((1, 1))
    assert c.faded_mwh[first] == pytest.approx([2.418 * (1 - 0.07 / 9), 2.418 * (1 - 0.35 / 9)])
    assert c.faded_mwh[second] == pytest.approx([0.0, 2.418 * (1 - 0.28 / 9)])


def test_shipped_rows() -> None:
    """The table's lfp rows at 15 C, daily: 0.977 at 1 year, 0.921 at 5; 3 years is half way: 0.949."""
    problem = load_case("tiny", ["reliability.duty=daily", "site.cell_temperature_c=15"])
    offer = problem.offers[0].model_copy(update={"fade_curve": "lfp"})
    assert state_of_health(problem, offer, np.array([1.0, 3.0, 5.0])) == pytest.approx([0.977, 0.949, 0.921])
