"""What a study asks: draws with the ranks asked for, cases with unique names, faults in words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from planner.faults import InputError
from planner.periods import label
from planner.shipped import studies_dir
from planner.study import reading
from planner.study.draws import draw
from planner.study.expand import delivery_month, expand
from planner.study.spec import Draws, Study, read_study
from planner.units import month_text, parse_month

UNIFORM = {"distribution": "uniform", "low": 2.0, "high": 6.0}


def draws(**changes: object) -> Draws:
    text = {"count": 256, "parameters": {"a.x": UNIFORM, "b.y": {"distribution": "normal", "mean": 3.0, "sd": 0.5}}}
    return Draws.model_validate(text | changes)


@pytest.mark.parametrize("method", ["sobol", "latin_hypercube"])
def test_draws_have_their_distribution_and_rank_correlation(method: str) -> None:
    found = draw(draws(method=method, correlations=[{"of": ["a.x", "b.y"], "rank_correlation": -0.6}]))
    assert found.shape == (256, 2)
    assert found[:, 0].mean() == pytest.approx(4.0, abs=0.02)
    assert found[:, 1].mean() == pytest.approx(3.0, abs=0.05)
    assert found[:, 1].std() == pytest.approx(0.5, abs=0.05)
    assert spearmanr(found).statistic == pytest.approx(-0.6, abs=0.06)
    assert np.array_equal(
        found, draw(draws(method=method, correlations=[{"of": ["a.x", "b.y"], "rank_correlation": -0.6}]))
    )


def test_quantiles_of_every_distribution() -> None:
    """Medians by hand: lognormal of mean 2 and sd 1 has median 2 / sqrt(1.25); triangular(0, 1, 4): (4-x)^2 = 6."""
    parameters = {
        "l": {"distribution": "lognormal", "mean": 2.0, "sd": 1.0},
        "t": {"distribution": "triangular", "low": 0.0, "mode": 1.0, "high": 4.0},
        "c": {"distribution": "choice", "values": [1.5, 7.25]},
        "w": {"distribution": "uniform", "low": 1.0, "high": 9.0, "whole": True},
    }
    found = draw(draws(parameters=parameters, count=1024))
    assert np.median(found[:, 0]) == pytest.approx(2 / np.sqrt(1.25), rel=0.01)
    assert np.median(found[:, 1]) == pytest.approx(4 - np.sqrt(6), rel=0.01)
    assert set(found[:, 2]) == {1.5, 7.25}
    assert set(found[:, 3]) == set(range(1, 10))


def test_total_effects_equal_salib_and_theory() -> None:
    """y = 3 a + b: variances 9 : 1 of equal uniforms, so total effects 0.9 and 0.1; SALib gives the same figures."""
    from SALib.analyze import sobol

    spec = draws(method="saltelli", count=512, parameters={"a": UNIFORM, "b": UNIFORM})
    points = draw(spec)
    y = 3.0 * points[:, 0] + points[:, 1]
    first, total = reading._indices(y, 2, spec.model_dump()) or (None, None)
    assert total == pytest.approx([0.9, 0.1], abs=0.02)
    assert first == pytest.approx([0.9, 0.1], abs=0.05)
    a, b, ab1, ab2 = y.reshape(4, 512)
    interleaved = np.stack([a, ab1, ab2, b], axis=1).ravel()
    problem = {"num_vars": 2, "names": ["a", "b"], "bounds": [[2, 6], [2, 6]]}
    theirs = sobol.analyze(problem, interleaved, calc_second_order=False, num_resamples=2)
    assert total == pytest.approx(theirs["ST"], abs=0.01)


def study(**changes: object) -> Study:
    return Study.model_validate({"study": "s", "cases": ["tiny"]} | changes)


def test_cases_are_the_product_in_a_fixed_order() -> None:
    s = study(
        cases=["tiny", "utility-200mw"], scenarios={"base": [], "cut": ["export-cut-off"]}, grid={"a.b": [1, 2, 3]},
        draws={"count": 4, "parameters": {"c.d": UNIFORM | {"template": "{x: {}}"}}, "scenarios": ["cut"]},
        limits={"measure": "cell", "max_frac": [None, 0.25]},
    )  # fmt: skip
    found = expand(s)
    assert len(found) == 2 * 3 * 2 * (1 + 4)
    assert [q.index for q in found] == list(range(60))
    assert len({q.name for q in found}) == 60
    last = found[-1]
    assert last.overlays == ("export-cut-off",)
    assert last.overrides[0] == "a.b=3"
    assert last.overrides[1] == f"c.d={{x: {last.values['c.d']!r}}}"
    assert last.overrides[2] == "exposure_limits.cell={max_frac: 0.25}"


@pytest.mark.parametrize("months", [1, 3, 5, 6, 12, 48])
def test_delivery_month_reads_every_period_label(months: int) -> None:
    for start in ("2028-01", "2028-07", "2028-10", "2029-02"):
        at = parse_month(start)
        assert delivery_month(label(at, at + months)) == month_text(at)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("study: s", "cases"),
        ("study: s\ncases: [tiny]\nscenario: {}", "scenario"),
        (
            "study: s\ncases: [tiny]\ndraws: {count: 3, parameters: {a: {distribution: uniform, low: 1, high: 2}}}",
            "draws.count",
        ),
        (
            "study: s\ncases: [tiny]\ndraws: {count: 4, parameters: {a: {distribution: uniform, low: 1}}}",
            "draws.parameters.a",
        ),
        ("study: s\ncases: [tiny]\nregret: {until: 2028-01, candidates: [nobody]}", "regret.candidates"),
        ("study: [", ""),
    ],
)
def test_faults_name_the_key(tmp_path: Path, text: str, key: str) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        read_study(file)
    assert any(f.key.startswith(key) for f in caught.value.faults), caught.value


def test_contradicting_correlations_are_refused() -> None:
    pairs = [("a", "b", 0.9), ("b", "c", 0.9), ("a", "c", -0.9)]
    spec = draws(
        parameters=dict.fromkeys("abc", UNIFORM),
        correlations=[{"of": [i, j], "rank_correlation": r} for i, j, r in pairs],
    )
    with pytest.raises(InputError):
        draw(spec)


@pytest.mark.parametrize("path", sorted(studies_dir().glob("*.yaml")), ids=lambda p: p.stem)
def test_shipped_studies_can_be_read(path: Path) -> None:
    assert expand(read_study(path.stem))


def test_regret_by_hand() -> None:
    """Plan of u costs 1 too much in v; plan of v cannot be kept in u. Weights 3 : 1 give 1 / 4."""
    rows = [
        ("u", "", 10.0), ("v", "", 20.0), ("u", "u", 10.0), ("v", "u", 21.0), ("u", "v", np.nan), ("v", "v", 20.0),
        ("w", "", np.nan), ("w", "u", np.nan), ("w", "v", np.nan),  # nobody survives w: it tells nothing
    ]  # fmt: skip
    cases = pd.DataFrame(
        [
            {"case_index": i, "case": "c", "scenario": s, "candidate": w, "cost_musd": y, "limit_frac": np.nan}
            for i, (s, w, y) in enumerate(rows)
        ]
    )
    spec = {"scenarios": {"u": [], "v": []}, "regret": {"weights": {"u": 3.0, "v": 1.0}}, "grid": {}, "draws": None}
    empty = pd.DataFrame()
    (table,) = reading.regrets(reading.Findings({"spec": spec}, cases, empty, empty, empty))
    assert table.regret_musd.loc["u"].to_dict() == {"u": 0.0, "v": 1.0}
    assert np.isinf(table.regret_musd.loc["v", "u"])
    assert table.expected_musd["u"] == pytest.approx(0.25)
    assert (table.minimax, table.least_expected, table.hopeless) == ("u", "u", ("w",))


def test_joint_overlay_says_the_same_futures(tmp_path: Path) -> None:
    """Each future of the founding study is the same problem as an overlay and as one of several uncertain ones."""
    from planner.inputs import load_case, load_worlds
    from planner.study.joint import joint_overlay

    spec = read_study("who-controls-the-electrons")
    scenarios = ("as-today", "2-tariffs-rise", "cut-off-after-conversions", "3-backup-24h", "8-lithium-triples")
    rule = {"until": "2028-01", "scenarios": scenarios, "weights": {"as-today": 3.0, "2-tariffs-rise": 1.0}}
    text = joint_overlay(Study.model_validate(spec.model_dump() | {"regret": rule}))
    assert "Left out, for they change the campus, rules or tables of the case: 3-backup-24h" in text
    (tmp_path / "joint.yaml").write_text(text)
    calm, worlds = load_worlds("tiny", scenario=tmp_path / "joint.yaml")
    assert list(worlds) == ["2-tariffs-rise", "cut-off-after-conversions", "8-lithium-triples"]
    assert [f.probability_frac for f in calm.case.disruption.futures.values()] == [0.25, 0.0, 0.0]
    for name, problem in worlds.items():
        alone = load_case("tiny", scenario=spec.scenarios[name])
        for table in ("tariffs", "lithium", "factory_output", "costs"):
            strip = [r.model_dump(exclude={"note"}) for r in getattr(problem.tables, table)]
            assert strip == [r.model_dump(exclude={"note"}) for r in getattr(alone.tables, table)], (name, table)
        assert [o.price for o in problem.offers] == [o.price for o in alone.offers]
    assert worlds["2-tariffs-rise"].tables.tariffs != calm.tables.tariffs


def test_public_money_of_an_instrument_and_of_a_ban_by_hand() -> None:
    """A grant removes 30 of 100 MWh for 3 million more of the public: 100,000 USD per MWh. The ban brings 1 million."""
    rows = [("base", np.nan, 10.0, 0.5, -2.0), ("base", 0.0, 14.0, 0.0, -1.0), ("grant", np.nan, 9.0, 0.2, -5.0)]
    cases = pd.DataFrame(
        {
            "case_index": range(3), "case": "c", "candidate": "", "draw": -1, "point": 0, "measure": "cell",
            "scenario": [r[0] for r in rows], "limit_frac": [r[1] for r in rows], "cost_musd": [r[2] for r in rows],
            "bound_musd": [r[2] - 0.1 for r in rows], "exposure_cell_frac": [r[3] for r in rows],
            "required_mwh": 100.0, "public_net_musd": [r[4] for r in rows],
        }
    )  # fmt: skip
    empty = pd.DataFrame()
    spec = {"scenarios": {"base": [], "grant": ["g"]}}
    table = reading.instruments(reading.Findings({"spec": spec}, cases, empty, empty, empty)).set_index("instrument")
    assert table.loc["grant", "public_usd_per_mwh"] == pytest.approx(100_000)
    assert table.loc["cell at most 0%", "public_usd_per_mwh"] == pytest.approx(-20_000)
    assert table["all_usd_per_mwh"].tolist() == pytest.approx([2e6 / 30, 3e6 / 50])
    assert (table["change_musd"].tolist(), table["tie"].any()) == ([-1.0, 4.0], False)


def test_rows_of_a_neighbour_hold_only_where_there_is_load() -> None:
    """A campus two years late needs nothing in the first years: rows of those years are left out, the others fit."""
    from planner.inputs import load_case
    from planner.model.coefficients import Coefficients
    from planner.model.reliability import all_rows, numeric_row
    from planner.study.work import _at_home, _portable

    base, late = (Coefficients(load_case("defence-50mw", scenario=s)) for s in (None, "load-late"))
    rows = tuple(all_rows(base)[::97])
    assert _at_home(base, _portable(base, rows)) == tuple(sorted(rows, key=lambda r: _portable(base, (r,))[0]))
    there = _at_home(late, _portable(base, rows))
    assert 0 < len(there) < len(rows)
    for key in there:
        assert np.isfinite(numeric_row(late, key).pair).all()
