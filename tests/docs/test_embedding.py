"""The page, the notebook and the schema for embedding are true: all of it runs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from planner.results import SCHEMA_VERSION, Plan, plan_schema

DOCS = Path(__file__).resolve().parents[2] / "docs"
COMMAND = [sys.executable, "-c", "from planner.cli import main; main()"]


def piped(text: str | bytes, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[bytes]:
    done = subprocess.run(
        [*COMMAND, *arguments],
        input=text.encode() if isinstance(text, str) else text,
        cwd=cwd,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert b"Traceback" not in done.stdout + done.stderr
    return done


def run_cells(cells: list[str], cwd: Path) -> str:
    """Execute pieces of code one after the other in one fresh interpreter, warnings being errors."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join(cells)],
        cwd=cwd, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_ten_lines_of_python(tmp_path: Path) -> None:
    example = re.findall(r"^```python\n(.*?)^```", (DOCS / "embedding.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(example) == 1
    assert len([line for line in example[0].splitlines() if line.strip()]) == 10
    shown = run_cells(example, tmp_path)
    assert "million USD" in shown
    assert "block-a" in shown


def test_notebook_runs(tmp_path: Path) -> None:
    notebook = json.loads((DOCS / "embedding.ipynb").read_text("utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert all(cell.get("id") for cell in notebook["cells"])
    code = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert "million USD, bound" in run_cells([*code, "assert (folder / 'report.xlsx').stat().st_size > 0"], tmp_path)


def test_a_case_from_standard_input(tmp_path: Path) -> None:
    shell = re.findall(r"^echo '(.*)' \| planner plan (.*)$", (DOCS / "embedding.md").read_text("utf-8"), re.MULTILINE)
    assert len(shell) == 1
    text, arguments = shell[0]
    done = piped(text, "plan", *arguments.split(), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    plan = Plan.model_validate_json(done.stdout)
    assert plan.case == "piped"
    assert plan.cost_musd == pytest.approx(2.74)
    folder = tmp_path / "out" / "piped"
    assert done.stdout == (folder / "plan.json").read_bytes()
    assert plan.provenance["command"] == "planner plan -"
    assert (folder / "report.html").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", b"standard input"),
        ("case: [", b"standard input"),
        ("extends: tiny.yaml\nlod: 3\n", b"lod"),
        (b"\xff\xfe", b"UTF-8"),
        ("extends: nowhere.yaml\n", b"nowhere.yaml"),
        ("x" * 5_000_001, b"at most"),
    ],
)
def test_bad_standard_input_is_told(text: str | bytes, words: bytes, tmp_path: Path) -> None:
    done = piped(text, "plan", "-", "--json", cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr
    assert json.loads(done.stdout)["status"] == "bad_input"
    assert list(tmp_path.iterdir()) == []


def test_published_schema_is_the_schema(tmp_path: Path) -> None:
    published = json.loads((DOCS / "plan.schema.json").read_text("utf-8"))
    assert published == plan_schema(), "run: planner schema --plan > docs/plan.schema.json"
    assert published["$id"].endswith(f":{SCHEMA_VERSION}")
    done = piped("", "schema", "--plan", cwd=tmp_path)
    assert json.loads(done.stdout) == published
    checker = jsonschema.Draft202012Validator(published)
    checker.check_schema(published)
    made = piped('{"extends": "tiny.yaml"}', "plan", "-", "--json", "--out", "made", cwd=tmp_path)
    plan: dict[str, Any] = json.loads(made.stdout)
    checker.validate(plan)
    for broken in ({"schema_version": "0.9"}, {"cost_musd": "much"}, {"surprise": 1}):
        with pytest.raises(jsonschema.ValidationError):
            checker.validate(plan | broken)
    del plan["orders"]
    with pytest.raises(jsonschema.ValidationError):
        checker.validate(plan)
