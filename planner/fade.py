"""State of health by age, duty and cell temperature."""

from __future__ import annotations

import numpy as np

from planner.problem import FloatArray, Offer, Problem


def state_of_health(problem: Problem, offer: Offer, ages_yr: FloatArray, duty: str | None = None) -> FloatArray:
    """Usable energy left, per unit of new.

    Parameters
    ----------
    problem
        Supplies the ``fade`` rows, the duty and the cell temperature.
    offer
        Its ``fade_curve`` names the rows.
    ages_yr
        Ages in years, any shape.
    duty
        ``float`` or ``daily``; that of the case if None.

    Returns
    -------
    ndarray
        Fractions of the shape of ``ages_yr``; linear in age and temperature, flat outside the rows.
        With ``reliability.warranty: guaranteed`` the contract's line where that is lower.
    """
    own = problem.case.reliability.duty
    curve = [r for r in problem.tables.fade if r.curve == offer.fade_curve]
    rows = [r for r in curve if r.duty == (duty or own)] or [r for r in curve if r.duty == own]
    temperatures = sorted({r.temperature_c for r in rows})
    at_age = []
    for temperature in temperatures:
        points = sorted((r.age_yr, r.soh_frac) for r in rows if r.temperature_c == temperature)
        age, soh = np.array(points).T
        at_age.append(np.interp(ages_yr, age, soh))
    expected = _at_temperature(problem, temperatures, at_age)
    if problem.case.reliability.warranty == "expected":
        return expected
    return np.minimum(expected, guaranteed_line(problem, offer, ages_yr))


def guaranteed_line(problem: Problem, offer: Offer, ages_yr: FloatArray) -> FloatArray:
    """Health that the contract guarantees: a line from new to the end of the warranty, and on; never below 0."""
    terms = problem.case.contract
    years = offer.warranty_years or terms.warranty_years
    end = offer.warranty_soh_frac if offer.warranty_years else terms.warranty_soh_frac
    return np.asarray(np.maximum(0.0, 1.0 - (1.0 - end) * np.asarray(ages_yr) / years))


def _at_temperature(problem: Problem, temperatures: list[float], at_age: list[FloatArray]) -> FloatArray:
    """Health between the temperatures of the rows."""
    target = float(np.clip(problem.case.site.cell_temperature_c, temperatures[0], temperatures[-1]))
    upper = int(np.searchsorted(temperatures, target))
    if temperatures[upper] == target:
        return np.asarray(at_age[upper])
    low, high = temperatures[upper - 1], temperatures[upper]
    weight = (target - low) / (high - low)
    return np.asarray((1 - weight) * at_age[upper - 1] + weight * at_age[upper])
