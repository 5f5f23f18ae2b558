"""Random draws: quasi-random points, rank correlations, distributions."""

from __future__ import annotations

import numpy as np
from scipy import stats
from scipy.stats import qmc

from planner.faults import Fault, InputError
from planner.problem import FloatArray
from planner.study.spec import Draws, Parameter


def draw(draws: Draws) -> FloatArray:
    """Values of the drawn parameters, shape (points, parameters).

    Parameters
    ----------
    draws
        With ``saltelli`` there are ``count * (parameters + 2)`` points: A, then B, then A with one column
        of B after the other. Otherwise there are ``count``.
    """
    size = len(draws.parameters)
    if draws.method == "saltelli":
        both = qmc.Sobol(2 * size, seed=draws.seed).random(draws.count)
        first, second = both[:, :size], both[:, size:]
        swapped = [np.where(np.arange(size) == i, second, first) for i in range(size)]
        points = np.concatenate([first, second, *swapped])
    elif draws.method == "sobol":
        points = qmc.Sobol(size, seed=draws.seed).random(draws.count)
    else:
        points = qmc.LatinHypercube(size, seed=draws.seed).random(draws.count)
    # the first point of an unscrambled sequence would be a corner: stay inside the open cube
    points = correlated(np.clip(points, 1e-9, 1 - 1e-9), draws)
    columns = [_quantile(p, points[:, i]) for i, p in enumerate(draws.parameters.values())]
    return np.column_stack(columns)


def correlated(points: FloatArray, draws: Draws) -> FloatArray:
    """Points of the unit cube with the rank correlations asked for (Gaussian copula).

    Raises
    ------
    InputError
        If no joint distribution has these correlations.
    """
    if not draws.correlations:
        return points
    names = list(draws.parameters)
    matrix = np.eye(len(names))
    for pair in draws.correlations:
        i, j = (names.index(k) for k in pair.of)
        # a normal pair with Pearson correlation 2 sin(pi r / 6) has rank correlation r
        matrix[i, j] = matrix[j, i] = 2.0 * np.sin(np.pi * pair.rank_correlation / 6.0)
    try:
        factor = np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        fault = Fault("the study", "draws.correlations", "correlations that contradict each other", "a consistent set")
        raise InputError([fault]) from None
    found: FloatArray = stats.norm.cdf(stats.norm.ppf(points) @ factor.T)
    return found


def _quantile(p: Parameter, u: FloatArray) -> FloatArray:
    """Inverse distribution at ``u``."""
    if p.distribution == "uniform":
        values = float(p.low or 0) + u * (float(p.high or 0) - float(p.low or 0))
    elif p.distribution == "normal":
        values = stats.norm.ppf(u, p.mean, p.sd)
    elif p.distribution == "lognormal":
        mean, sd = float(p.mean or 1), float(p.sd or 1)
        sigma = np.sqrt(np.log1p((sd / mean) ** 2))
        values = stats.lognorm.ppf(u, sigma, scale=mean * np.exp(-(sigma**2) / 2))
    elif p.distribution == "triangular":
        low, high = float(p.low or 0), float(p.high or 0)
        values = stats.triang.ppf(u, (float(p.mode or 0) - low) / (high - low), low, high - low)
    else:
        choices = np.array(p.values)
        values = choices[np.minimum((u * len(choices)).astype(int), len(choices) - 1)]
    return np.asarray(np.round(values) if p.whole else values, dtype=float)
