# ruff: noqa: E501
"""Quotes in many forms come to one figure; faults are named once each; quotes written out read back the same."""

from __future__ import annotations

import csv
import random
from pathlib import Path
from typing import Any, get_args

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from planner.catalogue import CostRow
from planner.comparison import compare_quotes, files_of_comparison
from planner.faults import Fault, InputError
from planner.inputs import load_case
from planner.problem import Problem
from planner.quotefile import TEMPLATE_ROWS, columns_of, csv_text, quote_rows
from planner.shipped import case_path

STAMP = {"unit": "-", "source": "test", "date": "2026-11", "confidence": "high", "note": ""}


def table(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def by_hand(folder: Path) -> Path:
    """A case whose cost rows, duty and rates are round enough to work with by hand."""
    worth = {
        "freight_usd_per_t": 300, "power_conversion_usd_per_kw": 60, "transformer_usd_per_kw": 20,
        "balance_of_plant_usd_per_kwh": 20, "installation_usd_per_kwh": 10, "commissioning_usd_per_kw": 5, "epc_frac": 0.05,
        "export_haul_usd_per_t": 15, "inland_freight_frac": 0.4,
    }  # fmt: skip
    names = get_args(CostRow.model_fields["cost"].annotation)
    rows = [
        {"cost": n, "chemistry": c, "origin": o, "value": worth.get(n, 0), **STAMP}
        for n in names
        for c, o in (("*", "*"), ("*", "China"))
    ]
    table(folder / "costs.csv", rows)
    table(
        folder / "tariffs.csv",
        [{"duty_origin": "China", "duty_class": "lithium_ion", "since": "2026-12", "rate_frac": 0.409, **STAMP}],
    )
    rates = (("EUR", "2026-01", 1.12), ("CNY", "2026-01", 0.14), ("CNY", "2026-10", 0.15))
    table(folder / "exchange.csv", [{"currency": c, "since": s, "usd_per_unit": v, **STAMP} for c, s, v in rates])
    path = folder / "hand.yaml"
    path.write_text(
        f"extends: {case_path('utility-200mw')}\ncase: hand\ntables: {{costs: costs.csv, tariffs: tariffs.csv, exchange: exchange.csv}}\n"
    )
    return path


#: 5 MWh DC nameplate, 4.5 MWh usable AC, 2 MW, 40 t, from China, delivered 2028.
CONTAINER = {
    "like": "catl-tener-cn", "energy_nameplate_dc_mwh": 5, "energy_usable_ac_mwh": 4.5, "power_mw": 2, "mass_t": 40,
    "dutiable_value_frac": 1, "lithium_pass_through_frac": 0, "price_date": "2026-06", "valid_until": "2027-12",
    "price_layer": "dc_block", "incoterm": "FOB", "energy_basis": "dc_nameplate", "currency": "USD", "fx_date": "2026-11",
    "price_unit": "USD/kWh",
}  # fmt: skip
EVERYTHING = "duty freight conversion transformer commissioning spares service"
#: FOB 450,000 USD; duty 40.9 % 184,050; freight 40 t x 300 = 12,000; conversion and transformer 2,000 kW x 80 = 160,000;
#: plant 4,500 kWh x 20 = 90,000; installation 45,000 and commissioning 10,000: 951,050; with 5 % engineering 998,602.50.
INSTALLED_USD = 998_602.50
FORMS: dict[str, dict[str, Any]] = {
    "DC FOB": {"price_2028": 90},  # 450,000 / 5,000
    "FOB per usable kWh": {"price_2028": 100, "energy_basis": "usable_ac"},  # 450,000 / 4,500
    "FOB per kW": {"price_2028": 225, "price_unit": "USD/kW"},  # 450,000 / 2,000
    "EXW": {"price_2028": 449_574.1660752307 / 5000, "incoterm": "EXW"},  # x 1.409 + 40 t x 15 = 634,050
    "CIF": {"price_2028": 455_110.0070972321 / 5000, "incoterm": "CIF"},  # x 1.409 + 40 % of 12,000 = 646,050
    "DAP": {"price_2028": 458_516.6784953868 / 5000, "incoterm": "DAP"},  # x 1.409 = 646,050
    "DDP": {"price_2028": 129.21, "incoterm": "DDP", "includes": "duty freight"},  # 646,050 / 5,000
    "AC DDP": {"price_2028": 766_050 / 4500, "price_layer": "ac_system", "incoterm": "DDP", "includes": "duty freight conversion", "energy_basis": "usable_ac"},  # 646,050 + 120,000
    "AC FOB": {"price_2028": 535_166.7849538680 / 4500, "price_layer": "ac_system", "includes": "conversion", "energy_basis": "usable_ac"},  # x 1.409 + 12,000 + 40,000 = 806,050
    "all-in, EUR": {"price_2028": INSTALLED_USD / 4500 / 1.12, "price_unit": "EUR/kWh", "currency": "EUR", "price_layer": "all_in", "incoterm": "DDP", "includes": EVERYTHING, "energy_basis": "usable_ac"},
    "CNY in June": {"price_2028": 90 / 0.14, "price_unit": "CNY/kWh", "currency": "CNY", "fx_date": "2026-06"},
    "CNY in November": {"price_2028": 600, "price_unit": "CNY/kWh", "currency": "CNY", "fx_date": "2026-11"},  # 90 / 0.15
    "CNY at a stated rate": {"price_2028": 500, "price_unit": "CNY/kWh", "currency": "CNY", "fx_usd_per_unit": 0.18},
}  # fmt: skip


def write_csv(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text(csv_text(rows), encoding="utf-8")
    return path


def write_xlsx(path: Path, rows: list[dict[str, Any]]) -> Path:
    book = openpyxl.Workbook()
    sheet = book.active
    columns = columns_of(rows)
    sheet.append(columns)
    for row in rows:
        sheet.append([row.get(c) for c in columns])
    book.save(path)
    return path


def test_one_container_in_thirteen_forms(tmp_path: Path) -> None:
    case = by_hand(tmp_path)
    rows = [{**CONTAINER, "offer": f"q{i}", **form} for i, form in enumerate(FORMS.values())]
    for write, name in ((write_csv, "q.csv"), (write_xlsx, "q.xlsx")):
        found = compare_quotes(write(tmp_path / name, rows), str(case), "2028-01")
        assert len(found.bridges) == len(FORMS)
        for one in found.bridges:
            form = list(FORMS)[int(one.offer[1:])]
            assert one.comparable_usd_per_kwh == pytest.approx(INSTALLED_USD / 4500, rel=1e-12), form
            assert sum(one.steps_usd_per_kwh.values()) == one.comparable_usd_per_kwh
    assert any("CNY/kWh at 0.15" in b.note for b in found.bridges)
    texts = files_of_comparison(found)
    assert texts["bridge.csv"].count("\n") == len(FORMS) + 1
    assert texts["bridge.svg"].count(">221.9<") == len(FORMS)


def test_options_are_quotes_of_their_own(tmp_path: Path) -> None:
    """Conversion for 50 USD/kW beats 60; transformers for 25 USD/kW do not beat 20: 2,000 kW, 5 % engineering, 4,500 kWh."""
    row = {
        **CONTAINER,
        "offer": "q",
        "price_layer": "ac_system",
        "price_2028": 90,
        "options": "conversion: 50 USD/kW; transformer: 25 USD/kW",
    }
    found = {
        b.offer: b.comparable_usd_per_kwh
        for b in compare_quotes(write_csv(tmp_path / "q.csv", [row]), str(by_hand(tmp_path)), "2028-01").bridges
    }
    duty = 1.409 * 1.05 * 2000 / 4500  # an option that the seller ships is dutiable with the rest
    saved = 1.05 * 2000 / 4500
    plain = INSTALLED_USD / 4500
    assert found == pytest.approx(
        {
            "q": plain, "q+conversion": plain + 50 * duty - 60 * saved, "q+transformer": plain + 25 * duty - 20 * saved,
            "q+conversion+transformer": plain + 75 * duty - 80 * saved,
        }
    )  # fmt: skip


def good_quotes(count: int) -> list[dict[str, Any]]:
    """Real-looking quotes of several layers, incoterms, currencies and dates."""
    dice = random.Random(7)
    rows = []
    for i in range(count):
        term = dice.choice(["FOB", "CIF", "DAP", "DDP"])
        unit = dice.choice(["USD", "EUR", "CNY"])
        price = dice.uniform(80.0, 160.0) / {"USD": 1.0, "EUR": 1.15, "CNY": 0.139}[unit]
        rows.append(
            {
                "offer": f"quote-{i:03d}", "like": dice.choice(["catl-tener-cn", "lg-jh4-kr", "samsung-sbb15-kr"]),
                "product": f"block {i % 40}", "document": f"Q-{1000 + i}", "revision": "1", "source": "quotation", "date": "2026-11",
                "confidence": "high", "incoterm": term, "includes": "duty freight" if term == "DDP" else "", "currency": unit,
                "price_unit": f"{unit}/kWh", "fx_date": "2026-11", "price_date": "2026-11", "valid_until": "2027-06",
                "price_2028": round(price, 2), "price_2029": round(price * 0.97, 2), "tiers": "0: 0; 400: 0.02",
                "min_order_mwh": dice.choice([0, 50]), "warranty_years": 15, "warranty_soh_frac": 0.7,
            }
        )  # fmt: skip
    return rows


#: Row -> (cells replaced, column named in the message).
PLANTED: dict[int, tuple[dict[str, Any], str]] = {
    3: ({"valid_until": "2026-11"}, "valid_until"),
    7: ({"valid_until": "2026-05", "price_date": "2026-04"}, "valid_until"),
    11: ({"offer": "quote-010"}, "offer"),
    15: ({"offer": ""}, "offer"),
    19: ({"like": "catl-tenor-cn"}, "like"),
    23: ({"price_2028": "ninety"}, "price_2028"),
    27: ({"price_2029": -4}, "price_2029"),
    31: ({"incoterm": "DDP", "includes": ""}, "includes"),
    35: ({"incoterm": "FOB", "includes": "duty"}, "incoterm"),
    39: ({"incoterm": "FOB", "includes": "freight"}, "incoterm"),
    43: ({"price_layer": "dc_block", "incoterm": "FOB", "includes": "conversion"}, "price_layer"),
    47: ({"price_layer": "all_in", "incoterm": "FOB", "includes": ""}, "price_layer"),
    51: ({"price_layer": "cell"}, "price_layer"),
    55: ({"incoterm": "FAS"}, "incoterm"),
    59: ({"currency": "EUR", "price_unit": "USD/kWh"}, "currency"),
    63: ({"currency": "XAU", "price_unit": "XAU/kWh"}, "price_unit"),
    67: ({"fx_usd_per_unit": 0, "currency": "EUR", "price_unit": "EUR/kWh"}, "fx_usd_per_unit"),
    71: ({"tiers": "0: 0; 400"}, "tiers"),
    75: ({"tiers": "0: 0.05; 400: 0.02"}, "tiers"),
    79: ({"pay_order_frac": 0.5, "pay_delivery_frac": 0.4}, "pay_order_frac"),
    83: ({"delay_damages_frac_per_month": 0.02}, "delay_damages_cap_frac"),
    87: ({"energy_usable_ac_mwh": 99}, "energy_usable_ac_mwh"),
    91: ({"flags": "fcc: no"}, "flags"),
    95: ({"document": "Q-1094", "product": "block 14", "revision": "0"}, "revision"),
    99: ({"supplier": "Nobody Energy"}, "supplier"),
}  # fmt: skip


def faults_of(path: Path) -> tuple[Fault, ...]:
    with pytest.raises(InputError) as caught:
        compare_quotes(path)
    return caught.value.faults


def test_two_hundred_quotes_with_25_planted_faults(tmp_path: Path) -> None:
    """Each fault gives one message that names its row and column; the clean workbook gives none."""
    rows = good_quotes(200)
    assert len(compare_quotes(write_xlsx(tmp_path / "clean.xlsx", rows)).bridges) == 200
    for index, (cells, _) in PLANTED.items():
        rows[index].update(cells)
    found = faults_of(write_xlsx(tmp_path / "quotes.xlsx", rows))
    named = {fault.line - 2: fault for fault in found if fault.line}
    assert len(found) == len(PLANTED) == 25, "\n".join(map(str, found))
    for index, (_, column) in PLANTED.items():
        assert named[index].key.split(".")[-1].startswith(column), str(named[index])


def test_template_and_doubles(tmp_path: Path) -> None:
    assert len(compare_quotes(write_csv(tmp_path / "t.csv", list(TEMPLATE_ROWS))).bridges) == 3
    twice = [dict(TEMPLATE_ROWS[1]), {**TEMPLATE_ROWS[1], "offer": "again"}]
    found = faults_of(write_csv(tmp_path / "d.csv", twice))
    assert [(f.line, f.key) for f in found] == [(3, "offer")] and "quote-2" in found[0].found
    text = csv_text(TEMPLATE_ROWS).replace("mass_t", "weight", 1)
    (tmp_path / "u.csv").write_text(text)
    assert [(f.line, f.key) for f in faults_of(tmp_path / "u.csv")] == [(1, "weight")]


def shipped() -> Problem:
    return load_case("utility-200mw")


SHIPPED = shipped()
NAMES = [o.offer for o in SHIPPED.offers]


@settings(deadline=None, max_examples=4, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(
    st.sets(st.sampled_from(NAMES), min_size=1, max_size=6), st.floats(1.0001, 2.0), st.booleans(), st.integers(0, 99)
)
def test_quotes_written_out_read_back_the_same(
    tmp_path_factory: Any, names: set[str], scale: float, xlsx: bool, salt: int
) -> None:
    """The same offers, nine digits of prices (a workbook holds fifteen), terms and flags included; so the same problem."""
    offers = [
        o.model_copy(
            update={
                "price": {y: round(p / scale, 9) for y, p in o.price.items()}, "expected_delay_months": round(salt / 7, 9), "service_years": round(salt / 11, 9),
                "min_order_mwh": round(salt / 3, 9), "licensor_country": "China" if salt % 2 else "",
            }
        )
        for o in SHIPPED.offers
        if o.offer in names
    ]  # fmt: skip
    folder = tmp_path_factory.mktemp("quotes")
    path = (write_xlsx if xlsx else write_csv)(folder / ("q.xlsx" if xlsx else "q.csv"), quote_rows(offers))
    read = load_case("utility-200mw", ["offers.mode=replace", f'offers.file="{path}"'])
    assert read.offers == tuple(offers)
    assert read.tables == SHIPPED.tables and read.periods == SHIPPED.periods


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``--template`` prints a file that ``planner quotes`` reads; faults end in code 2."""
    from typer.testing import CliRunner

    from planner.cli import app

    template = CliRunner().invoke(app, ["quotes", "--template"])
    assert template.exit_code == 0 and template.stdout == csv_text(TEMPLATE_ROWS)
    file = tmp_path / "q.csv"
    file.write_text(template.stdout)
    done = CliRunner().invoke(app, ["quotes", str(file), "--out", str(tmp_path / "out")])
    assert done.exit_code == 0 and "quote-1+spares" in done.stdout
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["bridge.csv", "bridge.svg"]
    assert CliRunner().invoke(app, ["quotes"]).exit_code == 2
    assert CliRunner().invoke(app, ["quotes", str(file), "--delivery", "soon"]).exit_code == 2
