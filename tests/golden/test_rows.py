# ruff: noqa: E501
"""One row of every constraint family, as text, against committed text.

Run ``python -m tests.golden.test_rows`` to write the file anew after a wanted change; the
difference is then read in review.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pyomo.environ as pyo
import pytest
from pyomo.repn import generate_standard_repn

from planner.catalogue import BanRow
from planner.model.build import FAMILIES, build_model
from planner.model.sourcing import FAMILIES as NETWORK
from planner.operatingterms import Operations
from planner.problem import Flag, Problem
from tests.properties.networks import network, shares, sourced
from tests.properties.questions import STAMP, question, ramp
from tests.properties.test_monotone import of_case, offers, tables

GOLDEN = Path(__file__).with_name("rows.txt")
#: Families with rows of several kinds: the words that pick one of each.
KINDS = {
    "outage": ("none", "supplier", "software", "fire_group:Alpha", "fire_group:largest", "bridge"),
    "fire_area_energy": ("largest", "zinc"),
    "exposure_limit": ("cell", "value"),
    "material_assistance": ("base", "bonus"),
}
#: Terms shown of a long row; the count of the rest is shown too.
TERMS = 12


def golden_problem() -> Problem:
    """The small question with a grid that is late and two first years that may stay dark, so that every family has a row."""
    return question(
        periods=ramp(
            ("2029-01", "2030-01", 37.3, 0.0, 31.7), ("2030-01", "2031-01", 83.1, 0.0, 90.0),
            ("2031-01", "2034-01", 83.1, 83.1, 90.0),
        ),
        offer_changes={"Beta": {"response_s": 77.0}},
        committed__until="2027-08",
        committed__orders=[
            {"offer": name, "delivery": "2029-01", "containers": n} for name, n in (("Alpha", 13), ("Beta", 7), ("Gen", 3))
        ],
        governance__max_share={"supplier": 0.7, "country": None, "chemistry": None, "cell_factory": None, "maturity": {}},
        governance__min_suppliers=2, governance__min_supplier_mwh=30.0,
        reliability__service=[{"until_h": 1.0, "share_frac": 1.0}, {"until_h": 4.0, "share_frac": 0.45}],
    )  # fmt: skip


def operating_problem() -> Problem:
    """The same with operating years, one per half of the year held back differently."""
    problem = golden_problem()
    operations = Operations.model_validate(
        {
            "enabled": True, "price_years": None, "generators": True, "renewables": {}, "cycles_per_yr": 311.0,
            "grid": {
                "import_mw": None, "flexible_mw": {}, "flexible_off_h": 0.0, "export_mw": {}, "import_adder_usd_per_mwh": 0.0,
                "export_fee_usd_per_mwh": 0.0, "demand_usd_per_mw_month": 0.0,
            },
            "curtailable": {"share_frac": 0.0, "usd_per_mwh": 0.0},
            "carbon": {"usd_per_t": 0.0, "grid_t_per_mwh": 0.0, "generator_t_per_mwh": 0.0},
            "seasons": [[1, 2, 3, 10, 11, 12], [4, 5, 6, 7, 8, 9]], "reserve_settings": [0.0, 0.4],
        }
    )  # fmt: skip
    return replace(problem, case=problem.case.model_copy(update={"operations": operations}))


def golden_network() -> Problem:
    """The same with a sourcing network whose proof a ban asks for, so that every row of the network is built."""
    both = {
        "mining": (0.31, 0.47),
        "refining": (0.83, 0.79),
        "cathode": (0.97, 0.97),
        "anode": (0.71, 0.77),
        "cell": (0.0, 0.0),
    }
    sizes = [0.31, 0.43, 0.37, 0.53, 0.61, 0.71, 0.47]
    tabled = network([1.1, 1.3, 2.1, 1.7, 2.9, 1.9, 3.1], sizes)
    problem = sourced(golden_problem(), {"Alpha": shares(**both), "Beta": shares(**both)}, tabled)
    ban = BanRow(ban="clean cells", buyer="utility", flag="usc4865", since="2020-01", clock="order",
                 proof_layers="cathode;anode", proof_frac=0.05, **STAMP)  # fmt: skip
    flags = {"usc4865": Flag(status="disputed", since=None, reason="materials")}
    return of_case(offers(tables(problem, bans=(ban,)), "Alpha", flags=flags), "policy.disputed", "refuse")


def models() -> list[pyo.ConcreteModel]:
    """Every row of the plain problem; the first ones with operating years, and with a sourcing network."""
    return [
        build_model(golden_problem(), rows="all"),
        build_model(operating_problem(), rows="seed"),
        build_model(golden_network(), rows="seed"),
    ]


def text_of(row: pyo.Constraint) -> str:
    """``name: 3.1 x + 2 y >= 7`` with figures to nine digits, terms by size of name."""
    repn = generate_standard_repn(row.body)
    pairs = sorted(zip(repn.linear_vars, repn.linear_coefs, strict=True), key=lambda t: t[0].name)
    shown = [f"  {a:+.9g} {v.name}" for v, a in pairs[:TERMS]]
    if len(pairs) > TERMS:
        total = sum(abs(a) for _, a in pairs)
        shown.append(f"  ... {len(pairs)} terms, absolute sum {total:.9g}")
    low, high = pyo.value(row.lower), pyo.value(row.upper)
    constant = repn.constant
    if low is not None and high is not None:
        side = f"== {low - constant:.9g}"
    else:
        side = f">= {low - constant:.9g}" if low is not None else f"<= {high - constant:.9g}"
    return "\n".join([f"{row.name}:", *shown, f"  {side}"])


def rendered() -> dict[str, str]:
    """Text by family: the row with the most terms, of every kind where there are kinds."""
    plain, operating, sourcing = models()
    out = {}
    for family in FAMILIES:
        component = plain.component(family.name) or operating.component(family.name)
        if family in NETWORK:
            component = sourcing.component(family.name)
        rows = [] if component is None else list(component.values())
        picked = []
        for kind in KINDS.get(family.name, ("",)):
            of_kind = [r for r in rows if kind in r.name]
            if of_kind:
                picked.append(max(of_kind, key=lambda r: (len(generate_standard_repn(r.body).linear_vars), r.name)))
        out[family.name] = "\n".join(text_of(r) for r in picked)
    return out


def golden() -> dict[str, str]:
    """The committed text by family."""
    parts = re.split(r"^== (\w+)\n", GOLDEN.read_text(), flags=re.MULTILINE)
    return {name: body.strip("\n") for name, body in zip(parts[1::2], parts[2::2], strict=True)}


@pytest.fixture(scope="module")
def rows() -> dict[str, str]:
    return rendered()


def test_the_golden_file_has_exactly_the_families() -> None:
    assert list(golden()) == [f.name for f in FAMILIES]


@pytest.mark.parametrize("name", [f.name for f in FAMILIES])
def test_row_is_as_committed(name: str, rows: dict[str, str]) -> None:
    assert rows[name], f"the golden problem has no row of {name}"
    assert rows[name] == golden()[name]


def test_every_kind_has_a_row(rows: dict[str, str]) -> None:
    for family, kinds in KINDS.items():
        assert rows[family].count(":\n") == len(kinds)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_family_has_a_formula(family: object) -> None:
    """A docstring of a sentence, a blank line, and a formula that relates named quantities."""
    sentence, _, formula = family.formula.partition("\n\n")  # type: ignore[attr-defined]
    assert sentence.endswith(".")
    assert re.search(r"\w\[.*?\s(<=|>=|=)\s+\S", formula, flags=re.DOTALL) or " <= " in formula, formula


def test_no_constraint_stands_outside_the_families() -> None:
    names = {c.parent_component().name for m in models() for c in m.component_data_objects(pyo.Constraint)}
    assert names == {f.name for f in FAMILIES}


def test_without_the_network_nothing_of_it_is_built() -> None:
    """The network off adds no row, no column and no term; on, it adds every family of its own."""
    off, on = build_model(golden_problem(), rows="seed"), build_model(golden_network(), rows="seed")
    assert not len(off.sourced_mwh)
    assert len(on.sourced_mwh)
    for family in NETWORK:
        assert not len(off.component(family.name))
        assert len(on.component(family.name))


def test_removing_a_family_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The golden test has teeth: with one family left out it fails."""
    import planner.model.build as build

    monkeypatch.setattr(build, "FAMILIES", FAMILIES[1:])
    model = build_model(golden_problem(), rows="seed")
    assert model.component(FAMILIES[0].name) is None


if __name__ == "__main__":
    GOLDEN.write_text("".join(f"== {name}\n{body}\n" for name, body in rendered().items()))
