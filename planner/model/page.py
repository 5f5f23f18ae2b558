"""Write ``docs/formulation.md``: every rule of the model, its formula, and one row really built.

Run ``python -m planner.model.page`` at the top of a checkout after changing the model.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Mapping
from pathlib import Path

import pyomo.environ as pyo
from pyomo.repn import generate_standard_repn

from planner.inputs import load_case
from planner.model.build import FAMILIES, assemble, cost_musd
from planner.model.coefficients import Coefficients
from planner.model.reliability import seed_rows
from planner.model.row import RULES, RowFamily

#: Where the page lies in a checkout.
PAGE = Path("docs", "formulation.md")
LARGE_CASE = "hyperscaler-1gw-texas"
#: Rules that the large case leaves off are switched on, so that every rule shows a row.
SWITCHED_ON = (
    "reliability.storage_mandate_h=4",
    "policy.domestic_floor_frac=0.4",
    "exposure_limits={cell: {max_frac: 0.5}}",
    "site.zones.0.hazard_budget_mwh=3000",
    "governance.max_share.supplier=0.5",
    "governance.min_suppliers=2",
    "committed={until: 2027-01, orders: [{offer: catl-tener-cn, delivery: 2028-01, containers: 40},"
    " {offer: hithium-6250-cn, delivery: 2028-01, containers: 9},"
    " {offer: hithium-6250-tx, delivery: 2028-01, containers: 9},"
    " {offer: peak-nfpp-us, delivery: 2029-01, containers: 9}]}",
)
#: Switches the operating years on in the small case.
OPERATING = "operations.enabled=true"
#: A small case with the sourcing network on.
NETWORK_CASE, NETWORK_ON = "defence-50mw", ("sourcing.mode=free",)
_READABLE_TERMS = 6

_HEAD = f"""# Formulation

<!-- Written by `python -m planner.model.page`; do not edit. -->

One mixed-integer linear program. What its numbers mean is in [conventions.md](conventions.md), how it is solved in
[solver.md](solver.md), the words in [glossary.md](glossary.md).

Under every formula stands a row that the model really built: from `cases/tiny.yaml`, or where that small case has none,
from `cases/{LARGE_CASE}.yaml` with some rules switched on:

{chr(10).join(f"- `{text}`" for text in SWITCHED_ON)}

Rows of the sourcing network are from `cases/{NETWORK_CASE}.yaml` with `{NETWORK_ON[0]}`.

Rows are scaled for the solver, so their numbers may be a multiple of the formula's; long rows are cut.

| index | meaning |
|---|---|
| `o`, `s(o)` | offer, its supplier |
| `p`, `p'` | delivery period |
| `t` | price tier of an offer |
| `q` | credit state: none, base, bonus |
| `h` | construction phase |
| `f` | factory of cells or of assembly |
| `z`, `j`, `a` | zone, its barrier and setback option, fire class (chemistry and test evidence) |
| `g` | cohort: deliveries of an offer that stand together, so that one placement serves them |
| `g`, `layer`, `n`, `r` | in the sourcing network: pool of like offers, supply-chain layer, source node, refinery |
| `part` | what is replaced: `made` in China by its firms, `owned` by them elsewhere, `hosted` there for others |
| `k` | count vector: how many steps of each segment of an outage window |

| variable | domain | meaning |
|---|---|---|
| `containers[o,p]` | whole | containers delivered at the start of a period |
| `tier[o,t]` | 0 or 1 | the award is in this price tier; `used[o]` is the sum over tiers |
| `in_state[o,p,t,q]` | at least 0 | containers by price tier and credit state |
| `award[s]` | 0 to 1 | the supplier is qualified and paid for it |
| `state[h,q]` | 0 or 1 | credit state of a construction phase |
| `served_mw[p]` | MW | load energised in a period |
| `placed[o,g,z]` | at least 0 | containers of a cohort in a zone; whole in the plan that is reported |
| `zone_option[z,j]` | 0 or 1 | the option of a zone |
| `present[z,a]` | 0 or 1 | a fire class stands in a zone |
| `energised[p]` | 0 or 1 | some load is on in a period in which none need be |
| `counted[s]` | 0 or 1 | the supplier of storage counts towards the least number |
| `sourced_mwh[g,p,q,layer,part,n,r]` | at least 0 | MWh whose layer comes from a node in place of Chinese goods |
| `group_level[j]` | 0 or 1 | a fire group of this level or a higher one is in use; levels rank offers by loss |
| `lost_level[p,j]` | 0 to 1 | such a group can be lost in a period in which no load need be on |
| `cycled[o,p,j]` | at least 0 | with `operations`: containers of a delivery meant for daily use at a reserve setting |
| `running[o,p',p,s,j]` | at least 0 | how many of them run so in a period and season; the others rest and stay full |
| `standing_mw[o,p]`, `held_mwh[o,p,s]` | at least 0 | power of an offer; energy that it leaves for outages |
| `run_mw[o,p,s,j]`, `run_mwh[o,p,s,j]` | at least 0 | the same of what runs at a setting |
| `operating_musd[p]` | million USD a year | cost of an operating year, bounded by cuts ([more](operations.md)) |
| `added_mw[r]` | 0 to its most | PV or wind that is added |
"""


def text() -> str:
    """Return the whole page, as it should stand in ``docs/formulation.md``."""
    models = {
        "tiny": _model("tiny"),
        LARGE_CASE: _model(LARGE_CASE, *SWITCHED_ON),
        "tiny with operations": _model("tiny", OPERATING),
        f"{NETWORK_CASE} with sourcing": _model(NETWORK_CASE, *NETWORK_ON),
    }
    objective = inspect.cleandoc(cost_musd.__doc__ or "")
    sentence, _, formula = objective.partition("\n\n")
    parts = [_HEAD, f"## Objective\n\n{sentence}\n\n```text\n{textwrap.dedent(formula)}\n```\n"]
    parts += [_section(member, models) for member in FAMILIES]
    return "\n".join(parts)


def _model(name: str, *overrides: str) -> pyo.ConcreteModel:
    coefficients = Coefficients(load_case(name, overrides))
    return assemble(coefficients, seed_rows(coefficients))


def _section(member: RowFamily, models: Mapping[str, pyo.ConcreteModel]) -> str:
    """Heading, sentence, formula and one row of a family."""
    sentence, formula, *rest = inspect.cleandoc(member.formula).split("\n\n")
    rule = f"Rule `{member.rule}`: {RULES[member.rule]}." if member.rule else "Logic of the model; it cannot give."
    lines = [f"## {member.name}", "", _one_line(sentence), rule, "", "```text", textwrap.dedent(formula), "```"]
    for paragraph in rest:
        lines += ["", _one_line(paragraph)]
    for where, model in models.items():
        row = _row(model, member.name)
        if row:
            return "\n".join([*lines, "", f"From `{where}`:", "", "```text", row, "```", ""])
    return "\n".join([*lines, "", "No shipped case builds a row of this family.", ""])


def _one_line(paragraph: str) -> str:
    return " ".join(line.strip() for line in paragraph.splitlines())


def _row(model: pyo.ConcreteModel, name: str) -> str:
    """Write the longest readable row of a family; the shortest of all if none is readable."""
    family = getattr(model, name, None)
    rows = [] if family is None else sorted(family.values(), key=lambda row: str(row.name))
    terms = [_terms(row) for row in rows]
    if not rows:
        return ""
    readable = [i for i, found in enumerate(terms) if 1 < len(found) <= _READABLE_TERMS]
    one = (
        max(readable, key=lambda i: (len(terms[i]), -i))
        if readable
        else min(range(len(rows)), key=lambda i: (len(terms[i]), i))
    )
    row, shown = rows[one], terms[one][:_READABLE_TERMS]
    cut = len(terms[one]) - len(shown)
    left = "\n      ".join(shown).removeprefix("+ ")
    more = f"\n      ... {cut} more terms" if cut else ""
    return f"{row.name}:\n      {left}{more}\n   {_bounds(row)}".replace("'", "")


def _terms(row: pyo.Constraint) -> list[str]:
    """Signed terms of a row, in the order of its variables."""
    linear = generate_standard_repn(row.body, compute_values=True)
    pairs = zip(linear.linear_coefs, linear.linear_vars, strict=True)
    return [f"{'-' if a < 0 else '+'} {_coefficient(a)}{variable.name}" for a, variable in pairs]


def _coefficient(value: float) -> str:
    return "" if abs(value) == 1 else f"{abs(value):.4g} "


def _bounds(row: pyo.Constraint) -> str:
    linear = generate_standard_repn(row.body, compute_values=True)
    low, high = pyo.value(row.lower), pyo.value(row.upper)
    if low is not None and high is not None:
        return f"= {low - linear.constant:.4g}"
    return f">= {low - linear.constant:.4g}" if low is not None else f"<= {high - linear.constant:.4g}"


def main() -> None:
    """Write the page into the checkout that is the working directory."""
    PAGE.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
