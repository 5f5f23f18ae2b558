"""China exposure by hand."""

from __future__ import annotations

import pytest

from planner.exposure import exposure_share, layer_shares, layers
from planner.model.coefficients import Coefficients
from planner.model.exposure import share_vectors
from planner.pipeline import plan
from planner.problem import Flag
from tests.properties.questions import lean


def test_shares_of_alpha() -> None:
    """Layers: cell 1.0 made, 0.9 owned (weight 0.43); control software 0.2 made, 0.7 owned (weight 0.07).

    value = 0.43 x 1.0 + 0.07 x 0.2 = 0.444; by owner 0.43 x 0.9 + 0.07 x 0.7 = 0.436. control: the flag is yes, so 1.
    """
    problem = lean()
    alpha = problem.offers[0]
    wanted = {"cell": 1.0, "value": 0.444, "cell_ownership": 0.9, "value_ownership": 0.436, "control": 1.0}
    assert {m: exposure_share(problem, alpha, m) for m in wanted} == pytest.approx(wanted)
    assert layers(problem) == ["cell", "control_software"]
    assert layer_shares(alpha, ownership=True) == {"cell": 0.9, "control_software": 0.7}
    with pytest.raises(ValueError, match="chokepoint"):
        exposure_share(problem, alpha, "chokepoint")


@pytest.mark.parametrize(
    ("status", "disputed", "share"), [("no", "allow", 0.7), ("disputed", "allow", 0.7), ("disputed", "refuse", 1.0)]
)
def test_control_is_flag_or_owner(status: str, disputed: str, share: float) -> None:
    """Without the flag 0.7 of the software is owned; a disputed flag counts under ``refuse``."""
    flag = Flag(status=status, since=None, reason="test")  # type: ignore[arg-type]
    problem = lean(offer_changes={"Alpha": {"flags": {"software_control": flag}}}, policy__disputed=disputed)
    assert exposure_share(problem, problem.offers[0], "control") == pytest.approx(share)


def test_exposure_of_a_plan() -> None:
    """Each container adds share x usable MWh / required MWh; the chokepoint is the largest layer.

    Cells: (1.0 x 4.7 a + 0.1 x 2.6 b) / R for a containers of Alpha, b of Beta; software 0.2 x 4.7 a / R.
    """
    problem = lean()
    found = plan(problem, gap_frac=0.0)
    a = sum(o.containers for o in found.orders if o.offer == "Alpha")
    b = sum(o.containers for o in found.orders if o.offer == "Beta")
    cells = (4.7 * a + 0.26 * b) / found.required_mwh
    assert found.exposure_frac["cell"] == pytest.approx(cells)
    assert found.exposure_frac["chokepoint"] == pytest.approx(max(cells, 0.94 * a / found.required_mwh))
    assert found.exposure_frac["value"] == pytest.approx((0.444 * 4.7 * a + 0.038 * 2.6 * b) / found.required_mwh)
    assert found.exposure_frac["value_ownership"] == pytest.approx(0.436 * 4.7 * a / found.required_mwh)
    assert found.exposure_frac["control"] == pytest.approx(4.7 * a / found.required_mwh)


def test_vectors_by_layer() -> None:
    """The chokepoint has one vector per layer, in usable MWh over the requirement; generators count nowhere."""
    c = Coefficients(lean())
    vectors = share_vectors(c, "chokepoint")
    r = c.required_mwh
    assert vectors["cell"] == pytest.approx([4.7 / r, 0.26 / r, 0.0])
    assert vectors["control_software"] == pytest.approx([0.94 / r, 0.0, 0.0])
    assert share_vectors(c, "cell_ownership")["cell_ownership"] == pytest.approx([0.9 * 4.7 / r, 0.0, 0.0])
