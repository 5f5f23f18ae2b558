"""Where the next whole-container plan is made."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from planner.frontier.walk import _taken

COSTS = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12)


@given(COSTS, st.data())
def test_area_taken_is_the_area_between_the_old_and_the_new_steps(steps: list[float], data: st.DataObject) -> None:
    """A plan lowers every step to its right that is dearer, and no other."""
    step = np.minimum.accumulate(np.array(steps))
    cost = np.array([data.draw(st.floats(0.0, 1.0)) for _ in steps])
    taken = _taken(step, cost)
    for i, c in enumerate(cost):
        after = step.copy()
        after[i:] = np.minimum(after[i:], c)
        assert np.isclose(taken[i], (step - after).sum(), atol=1e-12)
