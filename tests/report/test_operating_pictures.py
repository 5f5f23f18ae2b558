"""Pictures of an operating year show what flows, and nothing that is zero all year."""

from __future__ import annotations

import numpy as np
import pytest

from planner.report.operating import FLOWS, duration_svg, week_svg


@pytest.mark.parametrize("used", ["generated_mw", "curtailed_mw", "export_mw", "renewable_mw"])
def test_a_flow_is_shown_only_where_it_is_used(used: str) -> None:
    schedule = {name: np.zeros(8760) for name, _, _ in FLOWS} | {"stored_mwh": np.full(8760, 71.0)}
    schedule["load_mw"] += 13.0
    schedule[used][401] = 3.7
    words = {name: f">{told}</text>" for name, told, _ in FLOWS}
    for picture in (week_svg(schedule, 1.0), duration_svg(schedule)):
        shown = {name for name, told in words.items() if told in picture}
        assert shown == {"load_mw", "import_mw", used}
