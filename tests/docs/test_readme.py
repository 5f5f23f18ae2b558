"""What the README shows is true: commands exist, snippets run, links lead somewhere."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from planner.inputs import load_case
from planner.results import Plan
from planner.shipped import cases_dir, shipped_cases

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands() -> list[list[str]]:
    lines = [part for block in blocks("sh") for line in block.splitlines() for part in line.split("&&")]
    return [shlex.split(line, comments=True) for line in lines if line.strip().startswith("planner ")]


def test_first_screen_has_the_two_commands() -> None:
    screen = README.splitlines()[:30]
    one_liners = [line for line in screen if line.startswith("python3 -m venv")]
    assert len(one_liners) == 2
    assert one_liners[0].endswith("&& pip install . && planner plan hyperscaler-1gw-texas --out out/texas")
    assert one_liners[1].endswith("&& pip install '.[test]' && pytest")
    run = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "pip install --quiet '.[test]'" in run
    assert "\npytest " in run


def test_commands_exist() -> None:
    assert commands()
    for words in commands():
        command = words[1]
        shown = subprocess.run(
            [sys.executable, "-c", "from planner.cli import main; main()", command, "--help"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for word in words[2:]:
            if word.startswith("--"):
                assert word in shown, f"{command} has no {word}"
        if command in ("check", "plan", "frontier"):
            assert words[2] in shipped_cases()


def test_changes_of_the_case_are_valid() -> None:
    for words in commands():
        if len(words) > 2 and words[1] in ("check", "plan", "frontier"):
            load_case(words[2], [value for flag, value in pairwise(words) if flag == "--set"])


def test_python_snippets_run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for snippet in blocks("python"):
        exec(compile(snippet, "README.md", "exec"), names)
    assert isinstance(names["plan"], Plan)
    assert "True" in capsys.readouterr().out


def test_yaml_snippet_is_a_case(tmp_path: Path) -> None:
    (snippet,) = blocks("yaml")
    assert yaml.safe_load(snippet)["extends"] == "tiny.yaml"
    case = tmp_path / "mine.yaml"
    case.write_text(snippet, encoding="utf-8")
    assert "my-quote" in [o.offer for o in load_case(case).offers]


def test_every_shipped_case_and_file_is_named() -> None:
    for name in shipped_cases():
        assert f"`{name}`" in README
    assert cases_dir().is_dir()
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if not target.startswith("http"):
            assert (ROOT / target).exists(), target
    for folder in re.findall(r"^\| `([\w.]+/)`", README, re.MULTILINE):
        assert (ROOT / folder).is_dir(), folder


@pytest.mark.parametrize("page", sorted(p.name for p in (ROOT / "docs").glob("*.md")))
def test_links_between_pages(page: str) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        if not target.startswith("http"):
            assert (ROOT / "docs" / target).exists(), f"{page}: {target}"
