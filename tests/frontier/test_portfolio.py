"""The front of a small planning question: ends, certificate, weights, prices, break-even, files."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

import planner
from planner.faults import InputError
from planner.frontier.campus import limited
from planner.frontier.comparing import comparison
from planner.frontier.cutoff import break_even_frac_per_yr, exposed_mwh, loss_musd
from planner.frontier.files import write_frontier
from planner.frontier.pictures import front_figure, policy_figure, stack_figure
from planner.frontier.portfolio import Traced, trace_frontier
from planner.frontier.reading import change_words, knee_of, weight_choice
from planner.inputs import load_case
from planner.pipeline import plan
from planner.shipped import cases_dir
from planner.solve import Infeasible
from tests.properties.questions import lean
from tests.report import mission

#: The model's own share of the range that each figure may be off through the gap of a plan.
GAP = 0.0005


@pytest.fixture(scope="module")
def traced() -> Traced:
    return trace_frontier(lean(solver__gap_frac=GAP), measure="cell", tolerance=0.02, most_points=9)


def test_the_ends_are_right(traced: Traced) -> None:
    """The cheap end is ``planner plan``; no plan of less exposure than the secure end exists."""
    problem = lean(solver__gap_frac=GAP)
    points = traced.frontier.points
    assert points[-1].cost_musd == pytest.approx(plan(problem).cost_musd, rel=2 * GAP)
    secure = points[0].exposure_frac
    at_the_end = plan(limited(problem, "cell", secure + 1e-6))
    assert at_the_end.cost_musd >= points[0].bound_musd - 1e-6
    with pytest.raises(Infeasible):
        plan(limited(problem, "cell", secure - 0.01))
    floor = problem.periods[-1].floor_mw
    assert traced.plans[0].served_mw[problem.periods[-1].label] >= floor - 1e-6


def test_every_point_is_verified_and_bounded(traced: Traced) -> None:
    f = traced.frontier
    assert f.uncovered_frac <= f.tolerance
    for point, one in zip(f.points, traced.plans, strict=True):
        assert one.verification is not None
        assert one.verification.passed
        assert point.bound_musd <= point.cost_musd + 1e-9
        assert point.relaxed_cost_musd <= point.cost_musd + 1e-9
        assert one.exposure_frac["cell"] == point.exposure_frac
    exposures = [p.exposure_frac for p in f.points]
    assert exposures == sorted(exposures)


def test_few_containers_are_found_one_by_one(tmp_path: Path) -> None:
    """Where a container costs more than the way between two points, every step is searched exactly."""
    path = tmp_path / "mission.yaml"
    path.write_text(json.dumps(mission.case(), default=str), encoding="utf-8")
    problem = load_case(str(path), [])
    front = trace_frontier(problem, measure="value", tolerance=0.01).frontier
    assert front.uncovered_whole_frac <= 0.015
    corners = [(p.exposure_frac, p.cost_musd) for p in front.points]
    least, most = corners[0][0], corners[-1][0]
    for share in (0.1, 0.3, 0.5, 0.7, 0.9):
        limit = least + share * (most - least)
        best = plan(limited(problem, "value", limit)).cost_musd
        assert min(c for e, c in corners if e <= limit) == pytest.approx(best, rel=2e-3)


def test_a_limit_in_the_middle_costs_what_the_front_says(traced: Traced) -> None:
    """``planner plan`` under an exposure limit lies between the proved and the attained curve."""
    middle = traced.frontier.points[len(traced.frontier.points) // 2]
    found = plan(limited(lean(solver__gap_frac=GAP), "cell", middle.exposure_frac + 1e-9))
    assert middle.bound_musd <= found.cost_musd + 1e-6
    assert found.bound_musd <= middle.cost_musd + 1e-6


def test_weights_pick_hull_points_and_the_ends(traced: Traced) -> None:
    f = traced.frontier
    picked = {w.theta: w.point for w in f.weights}
    assert picked[0.0] == len(f.points) - 1
    assert picked[1.0] == 0
    assert all(f.points[i].supported for i in picked.values())
    assert 0.0 <= f.unreached_saving_frac <= 1.0


def test_a_weight_skips_what_lies_above_the_hull() -> None:
    """(0, 10), (5, 9), (10, 0): the middle one is on the front but no weight picks it."""
    corners = [(0.0, 10.0), (5.0, 9.0), (10.0, 0.0)]
    assert {weight_choice(corners, k / 20) for k in range(21)} == {0, 2}
    assert knee_of(corners) is None
    assert knee_of([(0.0, 10.0), (3.0, 2.0), (10.0, 0.0)]) == 1


def test_break_even_by_hand(traced: Traced) -> None:
    """At the break-even probability the premium equals the expected loss avoided, from the stated formula."""
    problem = traced.problem
    cheap = traced.plans[-1]
    one = next(p for p in reversed(traced.plans[:-1]) if break_even_frac_per_yr(problem, "cell", cheap, p))
    q = break_even_frac_per_yr(problem, "cell", cheap, one)
    assert q is not None
    saved = loss_musd(problem, "cell", cheap, q) - loss_musd(problem, "cell", one, q)
    assert saved == pytest.approx(one.cost_musd - cheap.cost_musd, rel=1e-3)
    assert loss_musd(problem, "cell", cheap, 0.0) == 0.0
    assert sum(exposed_mwh(problem, "cell", cheap).values()) == pytest.approx(
        cheap.exposure_frac["cell"] * cheap.required_mwh
    )
    security = problem.case.security.model_copy(update={"replacement_usd_per_kwh": 1000.0})
    dearer = replace(problem, case=problem.case.model_copy(update={"security": security}))
    assert (break_even_frac_per_yr(dearer, "cell", cheap, one) or 1.0) < q


def test_firm_resources_held_or_free() -> None:
    """With the generator free, security may be bought with diesel: the secure end is no dearer."""
    fronts = [
        trace_frontier(lean(solver__gap_frac=0.005), tolerance=0.1, most_points=4, free_firm=free).frontier
        for free in (False, True)
    ]
    assert [f.firm for f in fronts] == ["held", "free"]
    assert fronts[1].points[0].bound_musd <= fronts[0].points[0].cost_musd + 1e-6
    assert fronts[1].points[0].exposure_frac <= fronts[0].points[0].exposure_frac + 1e-6


def test_files_follow_the_contract(traced: Traced, tmp_path: Path) -> None:
    write_frontier(traced, tmp_path)
    write_frontier(traced, tmp_path)  # a second run replaces the first
    kept = json.loads((tmp_path / "frontier.json").read_text())
    names = {"measure", "tolerance", "uncovered_frac", "uncovered_whole_frac", "points", "weights"}
    assert names <= set(kept)
    assert {"cost_musd", "bound_musd", "exposure_frac", "supported", "plan"} <= set(kept["points"][0])
    assert set(kept["weights"][0]) == {"theta", "point"}
    for point in kept["points"]:
        held = json.loads((tmp_path / point["plan"]).read_text())
        assert held["cost_musd"] == point["cost_musd"]
    rows = list(csv.DictReader((tmp_path / "frontier.csv").read_text().splitlines()))
    assert [float(r["cost_musd"]) for r in rows] == [p["cost_musd"] for p in kept["points"]]
    assert (tmp_path / "front.svg").read_text().lstrip().startswith("<?xml")
    assert not list(tmp_path.glob(".writing-*"))


def test_pictures_show_every_part(traced: Traced) -> None:
    names = " ".join(str(t.name) for t in front_figure([traced]).data)
    assert all(word in names for word in ("certified band", "whole containers", "theta", "knee"))
    assert {t.name for t in stack_figure(traced, "chemistry").data} == {
        o.chemistry for p in traced.plans for o in p.orders
    }
    assert len(policy_figure(traced).data) == 3


def test_words_say_what_changes(traced: Traced) -> None:
    cheap, secure = traced.plans[-1], traced.plans[0]
    assert change_words(cheap, cheap) == "the same purchase"
    assert change_words(cheap, secure) != "the same purchase"
    fewer = cheap.model_copy(update={"orders": cheap.orders[:1]})
    assert "lost" in change_words(cheap, fewer) or "gained" not in change_words(cheap, fewer)


def test_comparing_a_front_with_a_worse_one(traced: Traced) -> None:
    f = traced.frontier
    dearer = f.model_copy(
        update={
            "scenario": "dearer",
            "points": tuple(p.model_copy(update={"cost_musd": p.cost_musd * 1.1}) for p in f.points),
        }
    )
    rows = comparison([f, dearer])
    assert rows[0]["hypervolume_frac"] > rows[1]["hypervolume_frac"]  # type: ignore[operator]
    assert rows[0]["additive_epsilon_frac"] == pytest.approx(0.0, abs=1e-12)
    assert rows[0]["exposure_at_equal_cost_frac"] <= rows[1]["exposure_at_equal_cost_frac"]  # type: ignore[operator]


def test_a_single_plan_at_one_weight_lies_between_the_ends(traced: Traced) -> None:
    f = traced.frontier
    costs = []
    for theta in (0.0, 0.35, 1.0):
        one = planner.plan(lean(solver__gap_frac=0.005, security__theta=theta))
        assert one.verification is not None
        assert one.verification.passed
        costs.append((one.exposure_frac["cell"], one.cost_musd))
    assert costs[0][1] == pytest.approx(f.points[-1].cost_musd, rel=0.01)
    assert costs[0][0] >= costs[1][0] >= costs[2][0]
    assert costs[2][0] == pytest.approx(f.points[0].exposure_frac, abs=0.01)


def test_a_scenario_is_laid_over_a_case(tmp_path: Path) -> None:
    overlay = tmp_path / "late.yaml"
    overlay.write_text(yaml.safe_dump({"load": {"delay_usd_per_mw_yr": 123.0}}))
    assert load_case("tiny", scenario=overlay).case.load.delay_usd_per_mw_yr == 123.0
    assert load_case("tiny", ["load.delay_usd_per_mw_yr=7"], scenario=overlay).case.load.delay_usd_per_mw_yr == 7.0
    overlay.write_text("load: {no_such_key: 1}")
    with pytest.raises(InputError, match="no_such_key"):
        load_case("tiny", scenario=overlay)
    with pytest.raises(InputError):
        load_case("tiny", scenario="no-such-scenario")
    assert (cases_dir() / "tiny.yaml").exists()


def command(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command as a user would."""
    code = [sys.executable, "-c", "from planner.cli import main; main()", *arguments]
    return subprocess.run(code, cwd=cwd, capture_output=True, text=True, encoding="utf-8", timeout=240, check=False)


def test_the_command_writes_and_refuses(tmp_path: Path) -> None:
    done = command("frontier", "tiny", "--out", "f", "--quiet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "f" / "frontier.json").read_text())["points"][0]["exposure_frac"] == 0.0
    bad = command(
        "frontier", "tiny", "--measure", "celll", "--tolerance", "2", "--workers", "0", "--theta", "x", cwd=tmp_path
    )
    assert bad.returncode == 2
    assert all(word in bad.stderr for word in ("--measure", "--tolerance", "--workers", "--theta", "4 faults"))
    assert "Traceback" not in bad.stderr
    (tmp_path / "f" / "state.npz").write_bytes(b"not a state")
    stale = command("frontier", "tiny", "--out", "f", "--resume", cwd=tmp_path)
    assert stale.returncode == 2
    assert "--resume" in stale.stderr


def test_two_scenarios_are_compared(tmp_path: Path) -> None:
    for name, value in (("low", 1e6), ("high", 2e6)):
        (tmp_path / f"{name}.yaml").write_text(f"load: {{delay_usd_per_mw_yr: {value}}}")
    done = command("frontier", "tiny", "--scenario", "low.yaml", "--scenario", "high.yaml", "--out", "c", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "c" / "comparison.json").read_text())
    assert [r["front"] for r in rows] == ["low.yaml", "high.yaml"]
    assert (tmp_path / "c" / "comparison.svg").exists()
    assert "Fronts compared" in done.stdout


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    """Killed without warning, workers and all; what was finished before is not solved again."""
    (tmp_path / "mission.yaml").write_text(json.dumps(mission.case(), default=str), encoding="utf-8")
    question = ("frontier", "mission.yaml", "--measure", "value", "--tolerance", "0.0001", "--out", "f")
    code = [sys.executable, "-c", "from planner.cli import main; main()", *question, "--workers", "2", "--quiet"]
    state = tmp_path / "f" / "state.npz"
    with subprocess.Popen(code, cwd=tmp_path, start_new_session=True) as run:
        began = time.monotonic()
        while not state.exists() and run.poll() is None and time.monotonic() - began < 200:
            time.sleep(0.05)
        os.killpg(run.pid, signal.SIGKILL)
    assert state.exists()
    kept = solves_of(state)
    done = command(*question, "--resume", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["uncovered_frac"] <= 0.0001
    assert "the cheapest plan" in done.stderr
    assert found["timing_s"]["cheapest_plan"] < found["timing_s"]["total"]
    assert solves_of(state) >= kept > 0


def solves_of(state: Path) -> int:
    """Solves noted in a state file."""
    with np.load(state, allow_pickle=False) as held:
        return int(json.loads(held["words"].tobytes())["solves"])
