"""The planner's model with price tiers and tax credits written with big-M on money.

Everything else (containers, site, supply, exposure, outage rows) is the planner's own:
``planner.model.build.assemble`` builds it, the families of ``HULL`` are taken out, and the
rows below put in. See ``formulation.py`` for what each M is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyomo.environ as pyo
from pyomo.repn import generate_standard_repn

from planner import policy
from planner.model.build import assemble
from planner.model.coefficients import Coefficients
from planner.model.reliability import RowKey
from planner.model.row import linear
from planner.solve import Compiled

#: Families of the hull that the big-M version writes anew.
HULL = ("split_by_state", "only_in_tier", "award_volume", "only_in_state", "material_assistance", "domestic_bonus")


class BigM:
    """The model of ``assemble`` with tiers and credits rewritten on money."""

    def __init__(self, c: Coefficients, rows: list[RowKey]) -> None:
        self.c = c
        self.most = dict(zip(c.pairs, c.largest_delivery.tolist(), strict=True))
        self.model = assemble(c, rows)
        self.terms = self._other_costs()
        for name in HULL:
            self.model.del_component(name)
        m = self.model
        m.rows = pyo.ConstraintList()
        m.saving = pyo.Var(pyo.Any, domain=pyo.NonNegativeReals, dense=False)
        m.cut = pyo.Var(pyo.Any, domain=pyo.NonNegativeReals, dense=False)
        m.credit = pyo.Var(pyo.Any, domain=pyo.NonNegativeReals, dense=False)
        for o in c.offers_used:
            self._award(o)
        for h in sorted({h for o, p in c.pairs if c.problem.offers[o].is_storage and (h := c.phase[p]) is not None}):
            self._ratios(h)
            self._credits(h)
        m.cost_musd = pyo.Objective(expr=linear(self.terms, self.constant), sense=pyo.minimize)

    def compiled(self) -> Compiled:
        """Arrays; checked to be free of the hull's variables."""
        arrays = Compiled.from_pyomo(self.model)
        if any(arrays.index(v) >= 0 for v in self.model.in_state.values()):
            raise RuntimeError("a row outside HULL uses in_state: the big-M version must be brought up to date")
        return arrays

    # -- pieces ---------------------------------------------------------------------------

    def _other_costs(self) -> list[tuple[float, Any]]:
        """Terms of the planner's own objective that do not price containers."""
        form = generate_standard_repn(self.model.cost_musd.expr)
        inside = {id(v) for v in self.model.in_state.values()}
        self.constant = float(form.constant)
        self.model.del_component("cost_musd")
        return [(a, v) for a, v in zip(form.linear_coefs, form.linear_vars, strict=True) if id(v) not in inside]

    def _count(self, o: int, p: int) -> Any:
        return self.model.containers[self.c.problem.offers[o].offer, self.c.problem.periods[p].label]

    def _tier(self, o: int, t: int) -> Any:
        return self.model.tier[self.c.problem.offers[o].offer, self.c.problem.offers[o].tiers[t].tier]

    def _state(self, h: int, q: str) -> Any:
        return self.model.state[self.c.problem.case.policy.phases[h].phase, q]

    def _base_tier(self, o: int) -> int:
        return min(self.c.reachable_tiers(o), key=lambda t: self.c.problem.offers[o].tiers[t].discount_frac)

    def _credit(self, o: int, p: int, t: int, q: str) -> float:
        """Credit of one container in million USD."""
        cost = self.c.unit_cost_musd
        return cost[o, p, t, "none"] - cost[o, p, t, q]

    def _award(self, o: int) -> None:
        """Base price, bought only in a tier, volume of the tier, discounts."""
        c, m, offer = self.c, self.model, self.c.problem.offers[o]
        tiers, first = c.reachable_tiers(o), self._base_tier(o)
        periods = [p for o2, p in c.pairs if o2 == o]
        self.terms += [(c.unit_cost_musd[o, p, first, "none"], self._count(o, p)) for p in periods]
        for p in periods:
            gates = [(-float(self.most[o, p]), self._tier(o, t)) for t in tiers]
            m.rows.add(linear([(1.0, self._count(o, p)), *gates]) <= 0)
        least = [max(offer.tiers[t].from_mwh, offer.min_order_mwh, offer.energy_nameplate_dc_mwh) for t in tiers]
        bought = [(offer.energy_nameplate_dc_mwh / max(least), self._count(o, p)) for p in periods]
        asked = [(-mwh / max(least), self._tier(o, t)) for mwh, t in zip(least, tiers, strict=True)]
        m.rows.add(linear([*bought, *asked]) >= 0)
        for t in tiers:
            if t != first:
                each = [c.unit_cost_musd[o, p, first, "none"] - c.unit_cost_musd[o, p, t, "none"] for p in periods]
                largest = sum(a * self.most[o, p] for a, p in zip(each, periods, strict=True))
                if min(each) < 0:
                    raise RuntimeError(f"the discount of {offer.offer} costs money")
                counts = [(-a, self._count(o, p)) for a, p in zip(each, periods, strict=True)]
                m.rows.add(linear([(1.0, m.saving[o, t]), *counts]) <= 0)
                m.rows.add(linear([(1.0, m.saving[o, t]), (-largest, self._tier(o, t))]) <= 0)
                self.terms.append((-1.0, m.saving[o, t]))

    def _ratios(self, h: int) -> None:
        """Content ratios of a phase, relaxed where its state has no such credit."""
        c, phase = self.c, self.c.problem.case.policy.phases[h]
        threshold = policy.macr_threshold(c.problem, phase)
        without = [(1.0, self._state(h, "none"))]
        if threshold is not None:
            self._relaxed_ratio(h, c.macr - threshold, without)
        if c.problem.case.policy.monetisation != "elective_pay":
            without = [*without, (1.0, self._state(h, "base"))]
        self._relaxed_ratio(h, c.domestic - policy.domestic_threshold(c.problem, phase), without)

    def _relaxed_ratio(self, h: int, excess: np.ndarray, without: list[tuple[float, Any]]) -> None:
        c = self.c
        pairs = [(o, p) for o, p in c.pairs if c.phase[p] == h and c.problem.offers[o].is_storage]
        weight = {o: float(excess[o] * c.nameplate_mwh[o]) for o, _ in pairs}
        scale = 1.0 / max(*(abs(w) for w in weight.values()), 1e-9)
        big = scale * sum(max(0.0, -weight[o]) * self.most[o, p] for o, p in pairs)
        terms = [(scale * weight[o], self._count(o, p)) for o, p in pairs]
        self.model.rows.add(linear([*terms, *((big * a, v) for a, v in without)]) >= 0)

    def _credits(self, h: int) -> None:
        """Credit of a phase by state, less what the discounts take away from it."""
        c, m, phase = self.c, self.model, self.c.problem.case.policy.phases[h]
        rate = {q: policy.credit_rate(c.problem, phase, q) for q in ("base", "bonus")}
        if rate["bonus"] <= 0:
            return
        pairs = [(o, p) for o, p in c.pairs if c.phase[p] == h and c.problem.offers[o].is_storage]
        cuts = []
        for o in sorted({o for o, _ in pairs}):
            first, periods = self._base_tier(o), [p for o2, p in pairs if o2 == o]
            for t in c.reachable_tiers(o):
                if t == first:
                    continue
                each = [self._credit(o, p, first, "bonus") - self._credit(o, p, t, "bonus") for p in periods]
                big = sum(a * self.most[o, p] for a, p in zip(each, periods, strict=True))
                counts = [(-a, self._count(o, p)) for a, p in zip(each, periods, strict=True)]
                m.rows.add(linear([(1.0, m.cut[o, t, h]), *counts, (-big, self._tier(o, t))]) >= -big)
                cuts.append(m.cut[o, t, h])
        for q in ("base", "bonus"):
            each = {(o, p): self._credit(o, p, self._base_tier(o), q) for o, p in pairs}
            big = sum(a * self.most[pair] for pair, a in each.items())
            taken = [(rate[q] / rate["bonus"], v) for v in cuts]
            counts = [(-a, self._count(*pair)) for pair, a in each.items()]
            m.rows.add(linear([(1.0, m.credit[h, q]), *counts, *taken]) <= 0)
            m.rows.add(linear([(1.0, m.credit[h, q]), (-big, self._state(h, q))]) <= 0)
            self.terms.append((-1.0, m.credit[h, q]))
