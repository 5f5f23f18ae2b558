"""The committed formulation page is what the model builds today."""

from __future__ import annotations

from pathlib import Path

import pyomo.environ as pyo
import pytest

from planner.inputs import load_case
from planner.model import page
from planner.model.build import FAMILIES, build_model

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / page.PAGE


def test_page_is_current() -> None:
    """A stale page fails: run ``python -m planner.model.page`` and commit it."""
    assert PAGE.read_text(encoding="utf-8") == page.text()


def test_every_family_shows_a_row() -> None:
    sections = PAGE.read_text(encoding="utf-8").split("\n## ")[2:]
    assert [s.partition("\n")[0] for s in sections] == [f.name for f in FAMILIES]
    for section in sections:
        assert "\nFrom `" in section, f"no row in section {section[:40]}"


@pytest.mark.parametrize("document", ["formulation.md", "glossary.md"])
def test_every_variable_is_explained(document: str) -> None:
    written = (PAGE.parent / document).read_text(encoding="utf-8")
    model = build_model(load_case("tiny"))
    for variable in model.component_objects(pyo.Var):
        assert f"`{variable.name}[" in written or f"`{variable.name}`" in written, variable.name
