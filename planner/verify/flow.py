"""A dated cash flow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Flow:
    """One cash flow: dollars at a month, or dollars per year over [month, until)."""

    item: str
    usd: float
    month: int
    until: int | None = None
    why: str = ""

    def present_usd(self, decision: int, rate: float) -> float:
        """Present value at the decision month."""
        if self.until is None:
            return float(self.usd * (1.0 + rate) ** (-(self.month - decision) / 12.0))
        months = np.arange(self.month, self.until)
        return float(self.usd / 12.0 * ((1.0 + rate) ** (-(months + 0.5 - decision) / 12.0)).sum())
