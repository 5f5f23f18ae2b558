"""The traced front is the front, and the certificate never claims more than is true."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from planner.frontier import Front, trace
from planner.solve import Infeasible
from tests.frontier.brute import Model, ends, least_cost, questions

WITHIN = 1e-6


@st.composite
def models(draw: st.DrawFn) -> Model:
    """Pure and mixed models; zeros, ties and equal coefficients make flat pieces, jumps and degenerate fronts."""
    nz = draw(st.integers(1, 4))
    ny = draw(st.integers(0, 2))
    whole = draw(st.booleans())
    step = 1.0 if whole else 0.37
    number = st.integers(-3, 9).map(lambda k: k * step)
    positive = st.integers(0, 6).map(lambda k: k * step)
    n = nz + ny
    vector = st.lists(number, min_size=n, max_size=n).map(tuple)
    rows = draw(
        st.lists(
            st.tuples(st.lists(positive, min_size=n, max_size=n).map(tuple), st.integers(0, 9).map(lambda k: k * 0.93)),
            max_size=3,
        )
    )
    z_top = tuple(draw(st.lists(st.integers(1, 3), min_size=nz, max_size=nz)))
    y_top = tuple(draw(st.lists(st.sampled_from([0.7, 2.3]), min_size=ny, max_size=ny)))
    return Model(z_top, y_top, draw(vector), draw(vector), tuple(rows))


def compare(model: Model, tolerance: float, **options: object) -> Front | None:
    """Trace and compare with brute force; None if nothing is feasible."""
    slices = model.slices()
    pyomo_model, cost, exposure = model.pyomo()
    if not slices:
        with pytest.raises(Infeasible):
            trace(pyomo_model, cost, exposure, tolerance)
        return None
    front = trace(pyomo_model, cost, exposure, tolerance, **options)
    (x_secure, c_secure), (x_cheap, c_cheap) = ends(slices)
    wide, high = x_cheap - x_secure, c_secure - c_cheap
    if wide < 1e-9 or high < 1e-9:
        assert len(front.points) == 1
        assert front.points[0].cost == pytest.approx(c_cheap, abs=1e-6)
        assert front.points[0].exposure == pytest.approx(x_secure, abs=1e-6)
        return front
    hidden = 0.0
    for e in questions(slices):
        if not x_secure <= e <= x_cheap:
            continue
        true = least_cost(slices, e)
        assert front.lower(e) <= true + 2e-7 * high, f"claimed {front.lower(e)} at {e}, true {true}"
        attained = front.upper(e + WITHIN * wide)
        if tolerance == 0:
            assert attained <= true + WITHIN * high, f"missed {true} at {e}, attained {attained}"
        assert front.upper(e - WITHIN * wide) >= least_cost(slices, e) - WITHIN * high or e - WITHIN * wide < x_secure
        hidden = max(hidden, attained - true)
    assert front.uncovered_frac <= max(tolerance, 2e-6)
    assert not front.incidents
    for point in front.points:  # each solution attains its point
        x = dict(point.values)
        z = [x.get(f"z[{j}]", 0.0) for j in range(len(model.z_top))]
        y = [x.get(f"y[{j}]", 0.0) for j in range(len(model.y_top))]
        assert all(abs(v - round(v)) < 1e-9 for v in z)
        for coefficients, least in model.rows:
            assert (
                not any(coefficients) or sum(a * v for a, v in zip(coefficients, [*z, *y], strict=True)) >= least - 1e-6
            )
        assert sum(a * v for a, v in zip(model.cost, [*z, *y], strict=True)) + 0.5 == pytest.approx(
            point.cost, abs=1e-6
        )
    return front


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(models())
def test_front_equals_brute_force(model: Model) -> None:
    compare(model, 0.0)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(models(), st.sampled_from([0.3, 0.05, 0.01]))
def test_certificate_is_never_too_good(model: Model, tolerance: float) -> None:
    front = compare(model, tolerance)
    if front is None or len(front.points) < 2:
        return
    # The area that is truly missing, by the trapezium of many strips, is no more than what is said to be uncovered.
    slices = model.slices()
    (x_secure, c_secure), (x_cheap, c_cheap) = ends(slices)
    steps = 400
    at = [x_secure + (x_cheap - x_secure) * (k + 0.5) / steps for k in range(steps)]
    missing = sum(max(0.0, min(front.upper(e), c_secure) - least_cost(slices, e)) for e in at)
    share = missing / steps / (c_secure - c_cheap)
    assert share <= front.uncovered_frac + 2.0 / steps
