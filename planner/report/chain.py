"""The chain from a price to a cost, once: as formulas of a sheet and as the values they show."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from xlsxwriter.utility import xl_rowcol_to_cell

_OPERATIONS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


@dataclass(frozen=True)
class Column:
    """A column of the cost sheet: a figure of ``OrderLine`` when ``formula`` is empty, else derived from others."""

    key: str
    heading: str
    unit: str
    formula: str = ""


#: Conventions, section 6; one line per order, in USD per container until the last two columns.
COLUMNS: tuple[Column, ...] = (
    Column("offer", "Offer", ""),
    Column("period", "Period", ""),
    Column("containers", "Containers", "units"),
    Column("basis", "Price per", ""),
    Column("basis_amount", "Amount per container", "kWh or kW"),
    Column("price_usd_per_basis", "Price", "USD per kWh or kW"),
    Column("discount_frac", "Volume discount", "share"),
    Column("equipment", "Equipment", "USD", "basis_amount * price_usd_per_basis * (1 - discount_frac)"),
    Column("duty_rate_frac", "Duty rate", "share"),
    Column("dutiable_value_frac", "Dutiable part", "share"),
    Column("duty", "Duty", "USD", "duty_rate_frac * dutiable_value_frac * equipment"),
    Column("freight_usd", "Freight", "USD"),
    Column("power_conversion_usd", "Power conversion", "USD"),
    Column("balance_of_plant_usd", "Balance of plant", "USD"),
    Column("installation_fixed_usd", "Installation without spares", "USD"),
    Column("spares_frac", "Spares", "share of equipment"),
    Column("installation", "Installation", "USD", "installation_fixed_usd + spares_frac * equipment"),
    Column("epc_frac", "Engineering and construction", "share"),
    Column(
        "epc", "Engineering and construction", "USD",
        "epc_frac * (equipment + duty + freight_usd + power_conversion_usd + balance_of_plant_usd + installation)",
    ),
    Column(
        "capex", "Capital cost", "USD",
        "equipment + duty + freight_usd + power_conversion_usd + balance_of_plant_usd + installation + epc",
    ),
    Column("payment_factor_frac", "Discount factor of payments", ""),
    Column("delivery_factor_frac", "Discount factor of delivery", ""),
    Column("pv_equipment", "Equipment", "USD, present value", "equipment * payment_factor_frac"),
    Column("pv_duty", "Duty", "USD, present value", "duty * delivery_factor_frac"),
    Column("pv_freight", "Freight", "USD, present value", "freight_usd * delivery_factor_frac"),
    Column("pv_power_conversion", "Power conversion", "USD, present value",
           "power_conversion_usd * delivery_factor_frac"),
    Column("pv_balance_of_plant", "Balance of plant", "USD, present value",
           "balance_of_plant_usd * delivery_factor_frac"),
    Column("pv_installation", "Installation", "USD, present value", "installation * delivery_factor_frac"),
    Column("pv_epc", "Engineering and construction", "USD, present value", "epc * delivery_factor_frac"),
    Column("fuel_usd", "Fuel", "USD, present value"),
    Column("land_usd", "Land", "USD, present value"),
    Column("operation_fixed_usd", "Operation, fixed part", "USD, present value"),
    Column("operation_equipment_yr", "Operation per USD of equipment", "discounted years x rate"),
    Column("pv_operation", "Operation and service", "USD, present value",
           "operation_fixed_usd + operation_equipment_yr * equipment"),
    Column("insurance_capex_yr", "Insurance per USD of capital cost", "discounted years x rate"),
    Column("pv_insurance", "Insurance", "USD, present value", "insurance_capex_yr * capex"),
    Column("standby_energy_usd", "Standby energy", "USD, present value"),
    Column("end_of_life_usd", "End of life", "USD, present value"),
    Column("residual_factor_frac", "Residual value per USD of equipment", "share, discounted"),
    Column("pv_residual_value", "Residual value", "USD, present value", "-residual_factor_frac * equipment"),
    Column("credit_factor_frac", "Tax credit per USD of capital cost", "share, discounted"),
    Column("pv_tax_credit", "Tax credit", "USD, present value", "-credit_factor_frac * capex"),
    Column(
        "unit_cost", "One container", "USD, present value",
        "pv_equipment + pv_duty + pv_freight + pv_power_conversion + pv_balance_of_plant + pv_installation + pv_epc"
        " + fuel_usd + land_usd + pv_operation + pv_insurance + standby_energy_usd + end_of_life_usd"
        " + pv_residual_value + pv_tax_credit",
    ),
    Column("line_cost", "All containers", "million USD, present value", "containers * unit_cost / 1000000"),
)  # fmt: skip

#: Item of the plan's cost -> column that holds it per container.
ITEM_COLUMNS = {
    "equipment": "pv_equipment", "duty": "pv_duty", "freight": "pv_freight", "power_conversion": "pv_power_conversion",
    "balance_of_plant": "pv_balance_of_plant", "installation": "pv_installation", "epc": "pv_epc", "fuel": "fuel_usd",
    "land": "land_usd", "operation": "pv_operation", "insurance": "pv_insurance",
    "standby_energy": "standby_energy_usd", "end_of_life": "end_of_life_usd",
    "residual_value": "pv_residual_value", "tax_credit": "pv_tax_credit",
}  # fmt: skip


def shown_values(figures: Mapping[str, object]) -> dict[str, object]:
    """Every column of one line: the figures given, and the derived ones after them."""
    values = dict(figures)
    for column in COLUMNS:
        if column.formula:
            values[column.key] = evaluate(column.formula, values)
    return values


def evaluate(formula: str, values: Mapping[str, object]) -> float:
    """Value of a formula of names, numbers, ``+ - * /`` and brackets."""

    def of(node: ast.expr) -> float:
        match node:
            case ast.BinOp():
                return _OPERATIONS[type(node.op)](of(node.left), of(node.right))
            case ast.UnaryOp(op=ast.USub()):
                return -of(node.operand)
            case ast.Name():
                return float(values[node.id])  # type: ignore[arg-type]
            case ast.Constant():
                return float(node.value)  # type: ignore[arg-type]
        raise ValueError(f"{ast.dump(node)} is no part of a formula")

    return of(ast.parse(formula, mode="eval").body)


def sheet_formula(formula: str, row: int, column_of: Mapping[str, int]) -> str:
    """The formula of a sheet: names become cells of a row (counted from 0)."""

    def cell(match: re.Match[str]) -> str:
        return str(xl_rowcol_to_cell(row, column_of[match[0]]))

    return "=" + re.sub("[a-z_]+", cell, formula).replace(" ", "")
