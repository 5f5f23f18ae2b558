"""Bad inputs end in one ``InputError`` that names file and key; good ones in a frozen ``Problem``."""

from __future__ import annotations

import csv
import pickle
import shutil
import textwrap
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from planner.case import Case
from planner.casekeys import allowed_keys, next_type
from planner.checks import check_problem
from planner.faults import Fault
from planner.inputs import InputError, case_schema, load_case
from planner.periods import label
from planner.problem import Problem
from planner.profiles import synthesise
from planner.shipped import case_path, cases_dir, data_dir, shipped_cases
from planner.units import parse_month

NO_DEFAULT = {
    "case", "title", "buyer", "timeline.decision", "timeline.first", "timeline.periods", "load.target_mw",
    "site.region", "site.energisation.grid", "site.energisation.transformers", "site.energisation.permits",
    "site.zones",
}  # fmt: skip
BASE = textwrap.dedent(
    """
    case: odd
    title: Odd numbers
    buyer: utility
    timeline: {decision: 2026-12, first: 2028-01, periods: [{months: 12, count: 2}], horizon_years: 7}
    load: {target_mw: {2028-01: 13, 2029-01: 37}}
    site:
      region: somewhere
      energisation: {grid: {2028-01: 41}, transformers: {2028-01: 41}, permits: {2028-01: 41}}
      zones: [{zone: yard, zone_type: outdoor_remote, length_m: 173, width_m: 91, distance_to_hall_m: 47,
               distance_to_line_m: 11, fire_areas: 3, fire_water_lpm: 3900}]
    """
)


def write(folder: Path, text: str = "", name: str = "case.yaml") -> Path:
    path = folder / name
    path.write_text(BASE + textwrap.dedent(text), encoding="utf-8")
    return path


def faults(path: Path | str, *overrides: str, tables: Path | None = None) -> tuple[Fault, ...]:
    with pytest.raises(InputError) as caught:
        load_case(path, overrides, tables)
    assert caught.value.faults
    for fault in caught.value.faults:
        assert fault.file
        assert str(fault) in str(caught.value) or len(caught.value.faults) > 50
    return caught.value.faults


def only(path: Path | str, *overrides: str, tables: Path | None = None) -> Fault:
    found = faults(path, *overrides, tables=tables)
    assert len(found) == 1, "\n".join(map(str, found))
    return found[0]


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    folder = tmp_path / "tables"
    folder.mkdir()
    for file in data_dir().glob("*.csv"):
        shutil.copy(file, folder)
    return folder


def edit(file: Path, change) -> None:
    """Apply ``change`` to the rows (dictionaries) of a CSV file."""
    with file.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        rows, header = list(reader), list(reader.fieldnames or [])
    rows = change(rows) or rows
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]) if rows else header)
        writer.writeheader()
        writer.writerows(rows)


# --- what works ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["hyperscaler-1gw-texas", "hyperscaler-500mw-virginia", "utility-200mw",
                                  "defence-50mw", "tiny"])  # fmt: skip
def test_shipped_cases_load(name: str) -> None:
    problem = load_case(name)
    assert problem.case.case == name
    assert name in shipped_cases()
    assert problem.load_pu.max() == 1
    assert problem.pv_cf.shape == problem.load_pu.shape
    for array in (problem.load_pu, problem.pv_cf, problem.price_usd_per_mwh):
        assert np.isfinite(array).all()
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 3
    assert problem.periods[0].start == problem.case.timeline.first
    assert all(a.end == b.start for a, b in zip(problem.periods, problem.periods[1:], strict=False))
    assert problem.notes
    assert pickle.loads(pickle.dumps(problem)).input_sha256 == problem.input_sha256


def test_texas_loads_within_a_second() -> None:
    load_case("hyperscaler-1gw-texas")
    begin = time.perf_counter()
    load_case("hyperscaler-1gw-texas")
    assert time.perf_counter() - begin < 1.0


@pytest.mark.parametrize("spelling", ["tiny", "tiny.yaml", "cases/tiny", "cases/tiny.yaml"])
def test_shipped_names(spelling: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert case_path(spelling) == cases_dir() / "tiny.yaml"
    assert load_case(spelling).case.case == "tiny"


def test_every_optional_key_has_a_default() -> None:
    text = (data_dir() / "defaults.csv").read_text(encoding="utf-8")
    rows = {r["key"] for r in csv.DictReader(text.splitlines())}

    def leaves(kind, prefix: str):
        for key in allowed_keys(kind) if not prefix.startswith("exposure_limits") else ():
            path = f"{prefix}.{key}".lstrip(".")
            below = next_type(kind, key)
            if path not in rows | NO_DEFAULT and allowed_keys(below):
                yield from leaves(below, path)
            else:
                yield path

    assert set(leaves(Case, "")) == rows | NO_DEFAULT
    assert not rows & NO_DEFAULT


def test_periods_of_the_odd_case(tmp_path: Path) -> None:
    """Blocks 2028 and 2029, H = 2029-01 + 7 years = 2036-01, rounds of 48 months: 2030-2033, 2034-2035."""
    periods = load_case(write(tmp_path), ["load.floor_mw={2028-01: 5}", "load.final_floor_frac=0.5"]).periods
    assert [p.label for p in periods] == ["2028", "2029", "2030-01..2033-12", "2034-01..2035-12"]
    assert [p.target_mw for p in periods] == [13, 37, 37, 37]
    assert [p.floor_mw for p in periods] == [5, 18.5, 18.5, 18.5]
    assert [p.energisable_mw for p in periods] == [41, 41, 41, 41]


@pytest.mark.parametrize(
    ("start", "months", "text"),
    [("2027-01", 12, "2027"), ("2027-07", 6, "2027-H2"), ("2027-07", 3, "2027-Q3"), ("2027-02", 12, "2027-02..2028-01"),
     ("2027-02", 3, "2027-02..2027-04"), ("2033-01", 48, "2033-01..2036-12"), ("2028-04", 6, "2028-04..2028-09")],
)  # fmt: skip
def test_labels(start: str, months: int, text: str) -> None:
    month = parse_month(start)
    assert label(month, month + months) == text


def test_synthetic_load_by_hand() -> None:
    """Three trace hours, idle 0.4, slope 0.03 above 20 degC, second year 5 degC warmer and 84 h further."""
    shape = load_case("tiny").case.load.shape.model_copy(
        update={"idle_frac": 0.4, "cooling_frac_per_c": 0.03, "cooling_from_c": 20.0, "years": 2,
                "hotter_c_per_year": 5.0, "file": None}
    )  # fmt: skip
    trace = np.array([0.2, 0.5, 0.35, 0.1, 0.4])
    temperature = np.full(8760, 17.0)
    temperature[7] = 33.0
    load = synthesise(shape, trace, temperature)
    raw = [(0.4 + 0.6 * trace[(h + 84 * k) % 5] / 0.5) * (1 + 0.03 * max(0, temperature[h] + 5 * k - 20))
           for k in (0, 1) for h in range(8760)]  # fmt: skip
    assert load == pytest.approx(np.array(raw) / max(raw))


def test_sha_follows_content_not_place(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, two = load_case(write(tmp_path / "a")), load_case(write(tmp_path / "b"))
    assert one.input_sha256 == two.input_sha256
    assert load_case(write(tmp_path), ["finance.discount_rate_frac=0.0713"]).input_sha256 != one.input_sha256


def test_extends_sets_and_replaces(tmp_path: Path) -> None:
    write(tmp_path, name="base.yaml")
    child = tmp_path / "child.yaml"
    child.write_text("extends: base.yaml\ncase: child\nload: {target_mw: {2028-01: 23}}\n")
    problem = load_case(child, ["site.zones.0.length_m=201.5", "exposure_limits.cell.max_frac=0.3", "pv.mw=2e1"])
    assert problem.case.load.target_mw == {parse_month("2028-01"): 23}
    assert problem.case.site.zones[0].length_m == 201.5
    assert problem.case.site.zones[0].width_m == 91
    assert problem.case.exposure_limits["cell"].max_frac == 0.3
    assert problem.case.pv.mw == 20
    given_keys = {r.path for r in problem.rows["defaults"]}
    assert "pv.mw" not in given_keys
    assert "pv.derate_frac" in given_keys


def test_extends_a_shipped_case(tmp_path: Path) -> None:
    case = tmp_path / "mine.yaml"
    case.write_text("extends: tiny\ncase: mine\n")
    assert load_case(case).load_pu.size == 48


def test_own_rows_replace_shipped_ones(tmp_path: Path) -> None:
    header = "duty_origin,duty_class,since,rate_frac,unit,source,date,confidence,note\n"
    (tmp_path / "duty.csv").write_text("\ufeff" + header + "China,lithium_ion,2025-01,0.777,frac,me,2026-11,low,\n")
    problem = load_case(write(tmp_path, "tables: {tariffs: duty.csv}"))
    rates = [r.rate_frac for r in problem.tables.tariffs if r.source == "me"]
    assert rates == [0.777]
    assert len(problem.tables.tariffs) == len(load_case(write(tmp_path)).tables.tariffs)


QUOTE = "offer,like,price_2027,price_2029,price_unit,lead_time_months,min_order_mwh\n"


@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
def test_quotes_from_a_file(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"quotes{suffix}"
    text = QUOTE + "mine,fluence-gsp-us,143.5,131.25,USD/kWh,7,\nmine-2,mine,,,,9,11\n"
    if suffix == ".csv":
        file.write_text(text)
    else:
        (tmp_path / "q.csv").write_text(text)
        pd.read_csv(tmp_path / "q.csv").to_excel(file, index=False)
    problem = load_case(write(tmp_path, f"offers: {{file: quotes{suffix}, mode: replace, use: [genset-diesel-us]}}"))
    mine, second, genset = problem.offers
    assert mine.price == second.price == {2027: 143.5, 2029: 131.25}
    assert (mine.lead_time_months, second.lead_time_months, second.min_order_mwh) == (7, 9, 11)
    assert genset.kind == "generator"
    assert {r.offer for r in problem.rows["offer_values"]} == {"mine", "mine-2", "genset-diesel-us"}


def test_own_quote_replaces_a_shipped_offer_of_its_name(tmp_path: Path) -> None:
    text = "offers: {own: [{offer: byd-cube-cn, like: byd-cube-cn, price: {2028: 99.5}, flags: {fcc: yes}}]}"
    problem = load_case(write(tmp_path, text))
    mine = next(o for o in problem.offers if o.offer == "byd-cube-cn")
    assert mine.price == {2028: 99.5}
    assert mine.flags["fcc"].status == "yes"
    assert len(problem.offers) == len(load_case(write(tmp_path)).offers)


def test_confidence_is_the_weakest_row(tmp_path: Path) -> None:
    problem = load_case(write(tmp_path))
    assert {o.confidence for o in problem.offers} <= {"assumption", "memory", "low"}


def test_schema_knows_every_section() -> None:
    schema = case_schema()
    assert set(schema["properties"]) == {*Case.model_fields, "extends"}


def test_no_certain_contradiction_in_shipped_cases() -> None:
    for name in shipped_cases():
        assert check_problem(load_case(name)).impossible == ()


@pytest.mark.parametrize(
    ("overrides", "rule"),
    [
        (["site.energisation.grid={2028-01: 11}"], "site.energisation"),
        (["load.floor_mw={2028-01: 21}"], "load.floor_mw"),
        (["supply.scale_frac=0"], "supply"),
        (["site.zones.0.length_m=3", "site.zones.0.width_m=7"], "site.zones"),
        (["offers.use=[form-ironair-wv]", "exposure_limits.cell.max_frac=0"], None),
        (["offers.use=[catl-tener-cn]", "exposure_limits.cell.max_frac=0.01"], "exposure_limits.cell"),
        (["offers.use=[catl-tener-cn]", "policy.domestic_floor_frac=0.9"], "policy.domestic_floor_frac"),
        (["offers.use=[catl-tener-cn, hithium-6250-cn]", "reliability.contingencies.country=0.3"],
         "reliability.contingencies.country"),
        (["offers.use=[salt-thermal-ref]"], "offers"),
    ],
)  # fmt: skip
def test_impossible_rules_are_named(tmp_path: Path, overrides: list[str], rule: str | None) -> None:
    found = check_problem(load_case(write(tmp_path), ["buyer=hyperscaler", *overrides])).impossible
    rules = {i.rule for i in found}
    assert rule in rules if rule else not any(r.startswith("exposure") for r in rules), found


# --- the case -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("relibility: {reserve_frac: 0.9}", "relibility", "did you mean reliability"),
        ("finance: {discount_rate: 0.05}", "finance.discount_rate", "did you mean discount_rate_frac"),
        ("finance: {discount_rate_frac: 0.9}", "finance.discount_rate_frac", "at most 0.5"),
        ("finance: {discount_rate_frac: -0.01}", "finance.discount_rate_frac", "at least 0"),
        ("finance: {discount_rate_frac: true}", "finance.discount_rate_frac", "a number"),
        ("finance: {discount_rate_frac: .nan}", "finance.discount_rate_frac", "finite"),
        ("finance: {discount_rate_frac: 1e999}", "finance.discount_rate_frac", "between"),
        ("finance: {lithium_path: bass}", "finance.lithium_path", "did you mean base"),
        ("finance: {payments: [{at: order, share_frac: 0.3}]}", "finance.payments", "add up to 1"),
        ("policy: {component_table: nothing}", "policy.component_table", "notice_2025_08"),
        ("policy: {disputed: maybe}", "policy.disputed", "allow or refuse"),
        ("fire: {profile: nfpa855_2062}", "fire.profile", "did you mean nfpa855_2026"),
        ("fire: 5", "fire", "a mapping"),
        ("pv: {mw: -3}", "pv.mw", "at least 0"),
        ("reliability: {service: []}", "reliability.service", "at least 1"),
        ("reliability: {service: [{until_h: 0.7, share_frac: 1}]}", "reliability.service.0.until_h", "whole number"),
        ("reliability: {service: [{until_h: 400, share_frac: 1}]}", "reliability.service.0.until_h", "at most 336"),
        ("reliability: {length_known: 'yes'}", "reliability.length_known", "true or false"),
        ("exposure_limits: {celll: {max_frac: 0.1}}", "exposure_limits.celll", "cell"),
        ("prices: {hub: null}", "prices.hub", "prices.file"),
        ("offers: {use: [catl-tener-sn]}", "offers.use", "did you mean catl-tener-cn"),
        ("offers: {exclude: [nobody-at-all]}", "offers.exclude", "the name of an offer"),
        ("offers: {use: []}", "offers", "one offer or more"),
        ("offers: {mode: replace, own: [], use: [catl-tener-cn]}", "offers.use", "generators and contracts"),
        ("tables: {tarifs: x.csv}", "tables.tarifs", "did you mean tariffs"),
        ("solver: {seed: 1.5}", "solver.seed", "a whole number"),
        ("solver: {seed: 99999999999999999999999}", "solver.seed", "between"),
    ],
)  # fmt: skip
def test_bad_keys(tmp_path: Path, text: str, key: str, words: str) -> None:
    path = write(tmp_path, text)
    fault = only(path)
    assert fault.key == key
    assert words in fault.allowed
    assert fault.file == str(path)


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("2028-01: 13, 2029-01: 37", "2028-01: 13, 2029-01: 7", "load.target_mw"),
        ("2028-01: 13, 2029-01: 37", "2028-01: 13, 2028-13: 37", "load.target_mw.2028-13"),
        ("2028-01: 13, 2029-01: 37", "2028-01: 13, 2028-01-15: 37", "load.target_mw"),
        ("2028-01: 13, 2029-01: 37", "2028-01: 0", "load.target_mw"),
        ("2028-01: 13, 2029-01: 37", "2035-01: 13", "timeline.periods"),
        ("horizon_years: 7", "horizon_years: 1, later_months: 1.5", "timeline.later_months"),
        ("horizon_years: 7", "horizon_years: 20, later_months: 1", "timeline.later_months"),
        ("count: 2", "count: 90", "timeline.periods"),
        ("first: 2028-01", "first: 2026-01", "timeline"),
        ("first: 2028-01", "first: 20280101", "timeline.first"),
        ("length_m: 173", "length_m: -173", "site.zones.0.length_m"),
        ("zone: yard", "zone: ''", "site.zones.0.zone"),
        ("fire_areas: 3", "fire_areas: 3, colour: red", "site.zones.0.colour"),
        ("buyer: utility", "buyer: untility", "buyer"),
        ("region: somewhere", "region: 5", "site.region"),
        ("case: odd", "case: [odd]", "case"),
        ("title: Odd numbers\n", "", "title"),
    ],
)  # fmt: skip
def test_bad_values(tmp_path: Path, old: str, new: str, key: str) -> None:
    assert old in BASE
    path = tmp_path / "case.yaml"
    path.write_text(BASE.replace(old, new))
    assert key in {f.key for f in faults(path)}


def test_zone_names_must_differ(tmp_path: Path) -> None:
    zone = yaml.safe_load(BASE)["site"]["zones"][0]
    fault = only(write(tmp_path), f"site.zones=[{zone}, {zone}]".replace("'", '"'))
    assert (fault.key, fault.file) == ("site.zones", "--set")


def test_all_faults_at_once(tmp_path: Path, tables: Path) -> None:
    edit(tables / "lithium.csv", lambda rows: rows[0].update(usd_per_kg="dear"))
    found = faults(write(tmp_path, "pv: {mw: -3}\nfire: {strict: 7}"), "finance.residual=1", tables=tables)
    assert {f.key for f in found} == {"pv.mw", "fire.strict", "finance.residual", "usd_per_kg"}
    lines = {f.key: f.line for f in found}
    assert lines["pv.mw"] == BASE.count("\n") + 1
    assert lines["usd_per_kg"] == 2


def test_profiles_quotes_and_cross_checks_at_once(tmp_path: Path) -> None:
    text = """
    load: {target_mw: {2028-01: 3}, shape: {file: none.csv}}
    policy: {component_table: notice_2025_08x}
    offers: {own: [{offer: a, like: b}]}
    """
    path = write(tmp_path)
    path.write_text(BASE.replace("load: {target_mw: {2028-01: 13, 2029-01: 37}}", "") + textwrap.dedent(text))
    keys = {(Path(f.file).name, f.key) for f in faults(path)}
    assert {("none.csv", ""), ("case.yaml", "policy.component_table"), ("case.yaml", "offers.own.0.like")} <= keys


# --- --set --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "key", "words"),
    [
        ("finance.discont_rate_frac=0.05", "finance.discont_rate_frac", "did you mean discount_rate_frac"),
        ("finnance.residual_frac=0", "finnance", "did you mean finance"),
        ("site.zones.3.length_m=5", "site.zones.3", "from 0 to 0"),
        ("site.zones.x.length_m=5", "site.zones.x", "from 0 to 0"),
        ("site.zones.0.lenght_m=5", "site.zones.0.lenght_m", "did you mean length_m"),
        ("site.region.deep=5", "site.region.deep", "nothing below"),
        ("finance.residual_frac", "", "key.path=value"),
        ("=5", "", "key.path=value"),
        ("a..b=5", "", "key.path=value"),
        ("finance.residual_frac=[1", "", "YAML"),
        ("finance.residual_frac=!!python/object:os.system x", "", "tags are refused"),
        ("finance.residual_frac=.inf", "", "finite"),
        ("finance.residual_frac=3", "finance.residual_frac", "at most 1"),
        ("exposure_limits.sell.max_frac=3", "exposure_limits.sell", "did you mean cell"),
        ("load.target_mw.2028-14=3", "load.target_mw.2028-14", "not a month"),
        ("site.zones.²=3", "site.zones.²", "from 0 to 0"),
    ],
)  # fmt: skip
def test_override_typos(tmp_path: Path, override: str, key: str, words: str) -> None:
    fault = only(write(tmp_path), override)
    assert fault.file.startswith("--set")
    assert fault.key == key
    assert words in fault.allowed


# --- files that are no cases --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "mapping"),
        (b"- a\n- b\n", "mapping"),
        (b"just text", "mapping"),
        (b"a: &x 1\nb: 2\n", "anchors are refused"),
        (b"a: *x\n", "refused"),
        (b"a: &x [1]\nb: *x\n", "aliases are refused"),
        (b"a: !!python/object/apply:os.system ['true']\n", "tags are refused"),
        (b"a: !thing 3\n", "tags are refused"),
        (b"<<: {a: 1}\n", "merge keys"),
        (b"case: a\ncase: b\n", "each key once"),
        (b"a: 1\n---\nb: 2\n", "one YAML document"),
        (b"a: [1, 2\n", "YAML"),
        (b"a:\tb: c\n\t- d", "YAML"),
        (b"? [a, b]\n: 3\n", "key"),
        (b"a" * 30 + b"\xff\xfe", "UTF-8"),
        (b"case: caf\xe9\n", "UTF-8"),
        (b"\x7fELF\x02\x01\x01\x00\x00\x00", "UTF-8"),
        (b'case: "\\ud800"\n', "YAML"),
        (b"a: " + b"[" * 30 + b"]" * 30, "20 levels"),
        (b"a: " + b"{b: " * 5000, "20 levels"),
        (b"extends: [a]\n", "path of another case file"),
        (b"extends: nowhere.yaml\n", "existing file"),
        (b'extends: "a\\0b"\n', "path of another"),
        (b"case: 1\n2: {3: 4}\n", ""),
    ],
)  # fmt: skip
def test_broken_yaml(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)
    assert any(words in f.allowed for f in faults(path))


def test_billion_laughs(tmp_path: Path) -> None:
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 10)]
    path = tmp_path / "lol.yaml"
    path.write_text("\n".join(lines))
    begin = time.perf_counter()
    assert all("refused" in f.allowed for f in faults(path))
    assert time.perf_counter() - begin < 1


def test_huge_file(tmp_path: Path) -> None:
    path = tmp_path / "huge.yaml"
    with path.open("wb") as stream:
        stream.truncate(100_000_000)
    assert "at most 5000000 bytes" in only(path).allowed


@pytest.mark.parametrize("name", ["none.yaml", "", ".", "a" * 400, "a\0b", "/dev/zero", "/dev/stdin/x"])
def test_no_file(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    faults(name)


def test_extends_cycle_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("extends: b.yaml\n")
    (tmp_path / "b.yaml").write_text("extends: ./a.yaml\n")
    assert any("a.yaml -> b.yaml -> a.yaml" in f.found for f in faults(tmp_path / "a.yaml"))


def test_extends_too_deep(tmp_path: Path) -> None:
    for i in range(12):
        (tmp_path / f"{i}.yaml").write_text(f"extends: {i + 1}.yaml\n")
    assert any("at most 8" in f.allowed for f in faults(tmp_path / "0.yaml"))


def test_symlink_loop(tmp_path: Path) -> None:
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    faults(tmp_path / "loop.yaml")


# --- tables -------------------------------------------------------------------------------------


def drop(column: str):
    return lambda rows: [{k: v for k, v in r.items() if k != column} for r in rows]


@pytest.mark.parametrize(
    ("table", "change", "key", "words"),
    [
        ("offer_values", lambda r: r[0].update(unit="kWh"), "catl-tener-cn.energy_nameplate_dc_mwh", "the unit MWh"),
        ("offer_values", lambda r: r[0].update(value="nan"), "value", "finite"),
        ("offer_values", lambda r: r[0].update(value="-6"), "catl-tener-cn.energy_nameplate_dc_mwh", "above 0"),
        ("offer_values", lambda r: r[0].update(value="six"), "value", "a number"),
        ("offer_values", lambda r: r[0].update(field="energy_mwh"), "catl-tener-cn.energy_mwh", "one of"),
        ("offer_values", lambda r: r[0].update(value="1.5"), "catl-tener-cn.energy_usable_ac_mwh", "nameplate"),
        ("offer_values", lambda r: [*r, r[0]], "offer + field", "once"),
        ("offer_values", lambda r: r[1:], "catl-tener-cn.energy_nameplate_dc_mwh", "a figure in MWh"),
        ("offer_prices", lambda r: [x for x in r if x["offer"] != "byd-cube-cn"], "byd-cube-cn.price", "a price"),
        ("offer_prices", lambda r: r[0].update(unit="EUR/kWh"), "unit", "USD/kWh"),
        ("offer_prices", lambda r: r[0].update(value="inf"), "value", "number"),
        ("offer_tiers", lambda r: r[0].update(from_mwh="5"), "catl-tener-cn.tiers", "from 0 MWh"),
        ("offer_tiers", lambda r: r[0].update(discount_frac="0.5"), "catl-tener-cn.tiers", "rise"),
        ("offer_flags", lambda r: r[1:], "catl-tener-cn.flags", "stores energy"),
        ("offer_flags", lambda r: r[0].update(status="perhaps"), "status", "yes"),
        ("offer_components", lambda r: r[0].update(component="sells"), "catl-tener-cn.components", "mean cells"),
        ("offer_layers", lambda r: r[0].update(layer="minning"), "catl-tener-cn.layers", "did you mean mining"),
        ("offers", lambda r: r[0].update(supplier="CALT"), "catl-tener-cn.supplier", "CATL"),
        ("offers", lambda r: r[0].update(cell_factory="catl-jining-packs"), "catl-tener-cn.cell_factory", "stage cell"),
        ("offers", lambda r: r[0].update(fade_curve="lpf"), "catl-tener-cn.fade_curve", "lfp"),
        ("offers", lambda r: r[0].update(duty_origin="Mars"), "catl-tener-cn.duty_origin", "one of"),
        ("offers", lambda r: r[0].update(chemistry="lead"), "chemistry", "lfp"),
        ("offers", lambda r: r[0].update(valid_until="2027"), "valid_until", "not a month"),
        ("offers", lambda r: r[0].update(includes="duty frieght"), "catl-tener-cn.includes", "freight"),
        ("offers", lambda r: r[1:], "catl-tener-cn", "known offers"),
        ("costs", drop("value"), "value", "a column value"),
        ("costs", lambda r: [{**x, "valeu": 1} for x in r], "valeu", "the columns"),
        ("costs", lambda r: [x for x in r if x["cost"] != "land_usd_per_m2"], "land_usd_per_m2", "a row"),
        ("fire_rules", lambda r: [x for x in r if x["rule"] != "bop_multiplier"], "bop_multiplier", "a row in"),
        ("fade", lambda r: r[0].update(soh_frac="1.2"), "soh_frac", "at most 1"),
        ("factory_output", lambda r: [x for x in r if x["factory"] != "catl-jining"], "catl-tener-cn.cell_factory",
         "factory_output"),
        ("tariffs", lambda r: [x for x in r if x["duty_origin"] != "China" or x["since"] > "2026-12"],
         "catl-tener-cn.duty_origin", "one of"),
    ],
)  # fmt: skip
def test_bad_tables(tmp_path: Path, tables: Path, table: str, change, key: str, words: str) -> None:
    edit(tables / f"{table}.csv", change)
    found = faults(write(tmp_path), tables=tables)
    assert any(f.key == key and words in f.allowed for f in found), "\n".join(map(str, found[:9]))
    assert all(f.file.startswith(str(tables)) or f.file.startswith("data/") for f in found)


@pytest.mark.parametrize("content", [None, b"", b"\n\n", b"a,b\n1,2\n", b"\xff\xfe\x00", b'a,"b\n', b"a,a\n", "dir"])
def test_unusable_table(tmp_path: Path, tables: Path, content: bytes | str | None) -> None:
    (tables / "bans.csv").unlink()
    if content == "dir":
        (tables / "bans.csv").mkdir()
    elif isinstance(content, bytes):
        (tables / "bans.csv").write_bytes(content)
    assert {f.file for f in faults(write(tmp_path), tables=tables)} == {f"{tables}/bans.csv"}


def test_many_faults_are_cut(tmp_path: Path, tables: Path) -> None:
    edit(tables / "factory_output.csv", lambda rows: [r.update(capacity_gwh="x") for r in rows] and rows)
    with pytest.raises(InputError) as caught:
        load_case(write(tmp_path), (), tables)
    text = str(caught.value)
    assert len(text.splitlines()) == 51
    assert text.endswith(f"(+{len(caught.value.faults) - 50} more)")
    assert pickle.loads(pickle.dumps(caught.value)).faults == caught.value.faults


def test_missing_tables_folder(tmp_path: Path) -> None:
    assert len(faults(write(tmp_path), tables=tmp_path / "nowhere")) >= 19


def test_too_large_own_table(tmp_path: Path) -> None:
    with (tmp_path / "big.csv").open("wb") as stream:
        stream.truncate(100_000_000)
    assert "20000000" in only(write(tmp_path, "tables: {tariffs: big.csv}")).allowed


# --- quotes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "key", "words"),
    [
        ("[{like: byd-cube-cn}]", "offers.own.0.offer", "a name"),
        ("[{offer: a, like: byd-cub-cn}]", "offers.own.0.like", "byd-cube-cn"),
        ("[{offer: a, like: b}, {offer: b, like: c}, {offer: c, like: b}]", "offers.own.1.like", "ends"),
        ("[{offer: a, like: a}]", "offers.own.0.like", "one of"),
        ("[{offer: a, like: byd-cube-cn}, {offer: a, like: byd-cube-cn}]", "offers.own.1.offer", "once"),
        ("[{offer: a, like: byd-cube-cn, prise: {2028: 3}}]", "offers.own.0.prise", "did you mean price"),
        ("[{offer: a, like: byd-cube-cn, price: {2028: -3}}]", "offers.own.0.price.2028", "above 0"),
        ("[{offer: a, like: byd-cube-cn, price: {soon: 3}}]", "offers.own.0.price.soon.year", "a whole number"),
        ("[{offer: a, like: byd-cube-cn, price: 3}]", "offers.own.0.price", "mapping from year"),
        ("[{offer: a, like: byd-cube-cn, price: {}}]", "offers.own.0.price", "mapping from year"),
        ("[{offer: a, like: byd-cube-cn, price: {2028: 3}, price_unit: EUR}]", "offers.own.0.price.2028.unit", "USD"),
        ("[{offer: a, like: byd-cube-cn, price_unit: USD/kW}]", "offers.own.0.price_unit", "together with price"),
        ("[{offer: a, like: byd-cube-cn, tiers: 5}]", "offers.own.0.tiers", "a list"),
        ("[{offer: a, like: byd-cube-cn, tiers: [{from_mwh: 5, discount_frac: 0}]}]", "offers.own.0.tiers", "from 0"),
        ("[{offer: a, like: byd-cube-cn, power_mw: true}]", "offers.own.0.power_mw", "a number"),
        ("[{offer: a, like: byd-cube-cn, power_mw: lots}]", "offers.own.0.power_mw", "a number"),
        ("[{offer: a, like: byd-cube-cn, power_mw: [1]}]", "offers.own.0.power_mw", "a number"),
        ("[{offer: a, like: byd-cube-cn, power_mw: 0}]", "offers.own.0.power_mw", "above 0"),
        ("[{offer: a, like: byd-cube-cn, availability_frac: 97}]", "offers.own.0.availability_frac", "at most 1"),
        ("[{offer: a, like: byd-cube-cn, confidence: sure}]", "offers.own.0.confidence", "high"),
        ("[{offer: a, like: byd-cube-cn, flags: [fcc]}]", "offers.own.0.flags", "a mapping"),
        ("[{offer: a, like: byd-cube-cn, flags: {fc: yes}}]", "offers.own.0.flags.fc.flag", "fcc"),
        ("[{offer: a, like: byd-cube-cn, delivery_risk_frac: 1}]", "offers.own.0.delivery_risk_frac", "at most"),
        ("[{offer: a, like: byd-cube-cn, supplier: Nobody}]", "offers.own.0.supplier", "one of"),
        ("[{offer: '../a', like: byd-cube-cn}]", "offers.own.0.offer", "a name"),
        ("[{offer: a}]", "offers.own.0.supplier", "a value"),
        ("[5]", "offers.own.0", "a mapping"),
    ],
)  # fmt: skip
def test_bad_quotes(tmp_path: Path, own: str, key: str, words: str) -> None:
    path = write(tmp_path, f"offers: {{own: {own}}}")
    found = faults(path)
    assert any(f.key == key and words in f.allowed for f in found), "\n".join(map(str, found))
    assert {f.file for f in found} == {str(path)}


@pytest.mark.parametrize(
    ("name", "content"),
    [("q.csv", b""), ("q.csv", b"\xff"), ("q.csv", QUOTE.encode() + b"a,b\n"), ("q.xlsx", b"PK no workbook"),
     ("q.xlsx", b""), ("q.csv", QUOTE.encode() + b"a,byd-cube-cn,x,,USD/kWh,,\n"), ("missing.csv", None),
     ("q.csv", QUOTE.encode() + b",byd-cube-cn,3,,,,\n"), ("q.csv", b"offer,like,colour\na,byd-cube-cn,red\n")],
)  # fmt: skip
def test_bad_quote_files(tmp_path: Path, name: str, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert {f.file for f in faults(write(tmp_path, f"offers: {{file: {name}}}"))} == {str(tmp_path / name)}


def test_gap_years_in_own_prices_are_fine(tmp_path: Path) -> None:
    text = "offers: {own: [{offer: a, like: byd-cube-cn, price: {2027: 103.5, 2040: 71.5}}]}"
    problem = load_case(write(tmp_path, text))
    assert problem.offers[-1].price == {2027: 103.5, 2040: 71.5}


# --- profiles -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "at least 24 hours"),
        (["0.5"] * 23, "at least 24 hours"),
        (["0.5"] * 30 + ["nan"], "finite"),
        (["0.5"] * 30 + ["inf"], "finite"),
        (["0.5"] * 30 + ["x"] * 9, "finite"),
        (["0.5"] * 10 + [""] + ["0.5"] * 30, "finite"),
        (["0.5"] * 30 + ["-1"], "no negative"),
        (["0"] * 30, "above 0"),
    ],
)
def test_bad_load_files(tmp_path: Path, rows: list[str], words: str) -> None:
    file = tmp_path / "load.csv"
    file.write_text("\n".join(["hour,mw", *(f"{i},{r}" for i, r in enumerate(rows))]) + "\n")
    path = write(tmp_path)
    found = faults(path, "load.shape.file=load.csv")
    assert any(words in f.allowed for f in found)
    assert {f.file for f in found} == {str(file)}


def test_load_file_of_quarter_hours(tmp_path: Path) -> None:
    (tmp_path / "load.csv").write_text("mw\n" + "\n".join(str(3 + i % 7) for i in range(120)) + "\n")
    settings_ = ["load.shape.file=load.csv", "load.shape.step_minutes=15", "reliability.service.0.until_h=2.25"]
    problem = load_case(write(tmp_path), settings_)
    assert problem.dt_h == 0.25
    assert problem.load_pu[:3] == pytest.approx([3 / 9, 4 / 9, 5 / 9])
    assert problem.pv_cf.size == 120
    assert (problem.pv_cf[28:32] == problem.pv_cf[28]).all()


@pytest.mark.parametrize("override", ["load.shape.column=watts", "load.shape.column=null"])
def test_unknown_load_column(tmp_path: Path, override: str) -> None:
    (tmp_path / "load.csv").write_text("a,b,c\n" + "1,2,3\n" * 40)
    assert only(write(tmp_path), "load.shape.file=load.csv", override).key == "load.shape.column"


def test_synthetic_load_needs_names(tmp_path: Path) -> None:
    assert only(write(tmp_path), "load.shape.climate=null").key == "load.shape.climate"
    assert only(write(tmp_path), "load.shape.utilisation=null").key == "load.shape.utilisation"


# --- fuzz ---------------------------------------------------------------------------------------

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9),
    st.sampled_from(["2028-01", "yard", "lfp", "no", "1e3", "0x1F", "*", "&a", "!!str", "~", ".nan"]),
)  # fmt: skip
KEYS = st.one_of(
    st.sampled_from(
        [*Case.model_fields, "extends", "own", "use", "file", "shape", "zones", "service", "offer", "like"]
    ),
    st.text(max_size=6),
)
VALUES = st.recursive(
    SCALARS, lambda v: st.one_of(st.lists(v, max_size=3), st.dictionaries(KEYS, v, max_size=4)), max_leaves=12
)


def ends_well(path: Path, *overrides: str) -> None:
    try:
        assert isinstance(load_case(path, overrides), Problem)
    except InputError as error:
        text = str(error)
    else:
        return
    assert text.encode("utf-8")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.one_of(st.text(max_size=200), st.dictionaries(KEYS, VALUES, max_size=5).map(yaml.safe_dump)))
def test_fuzz_text(tmp_path: Path, text: str) -> None:
    path = tmp_path / "fuzz.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    ends_well(path)


def paths_of(value, at: tuple = ()):
    yield at
    for key, below in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from paths_of(below, (*at, key))


TREE = load_case("tiny").case.model_dump(mode="json") | {"extends": "tiny.yaml"}
PLACES = [p for p in paths_of(TREE) if p]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.sampled_from(PLACES), value=VALUES)
def test_fuzz_one_place_of_a_good_case(tmp_path: Path, place: tuple, value: object) -> None:
    tree = yaml.safe_load(yaml.safe_dump(TREE))
    parent = tree
    for part in place[:-1]:
        parent = parent[part]
    parent[place[-1]] = value
    path = tmp_path / "fuzz.yaml"
    path.write_text(yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8", errors="surrogatepass")
    ends_well(path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.sampled_from(PLACES), value=st.one_of(VALUES.map(repr), st.text(max_size=20)))
def test_fuzz_override(tmp_path: Path, place: tuple, value: str) -> None:
    ends_well(write(tmp_path), ".".join(map(str, place)) + "=" + value)
