"""Words, number formats and colours of the report: one of each per thing, everywhere."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

LONGEST_TEXT = 2000
#: Colours have at least 3:1 contrast on the white and on the dark page.
CHEMISTRY = {
    "lfp": ("LFP", "#3b7dd8"),
    "nmc": ("NMC", "#c9453e"),
    "nca": ("NCA", "#b0476f"),
    "sodium_ion": ("Sodium-ion", "#c8761a"),
    "zinc": ("Zinc", "#1f9488"),
    "iron_flow": ("Iron flow", "#9a6b3f"),
    "vanadium_flow": ("Vanadium flow", "#7d63c9"),
    "iron_air": ("Iron-air", "#7c8a25"),
    "second_life": ("Second-life", "#4f8f5f"),
    "thermal": ("Thermal", "#b8553f"),
    "hydrogen": ("Hydrogen", "#258bad"),
    "caes": ("Compressed air", "#6d7f93"),
    "gravity": ("Gravity", "#87776a"),
    "none": ("No storage", "#777d86"),
}
ORIGIN = {
    "China": "#c8443c",
    "United States": "#3f72c4",
    "Korea": "#2a8f85",
    "Japan": "#8a64c2",
    "Vietnam": "#b57e14",
    "Malaysia": "#a2673a",
    "Canada": "#b3529b",
    "United Kingdom": "#5b8538",
}
OTHER_ORIGIN = "#6f7883"
FIRM = {"generator": ("Generator", "#5f656d"), "firm_contract": ("Firm contract", "#8a919a")}
STATUS = {
    "optimal": "Optimal: no cheaper plan exists",
    "gap_limit": "Solved to the gap asked",
    "time_limit": "Stopped at the time limit: the gap asked is not met",
    "interrupted": "Stopped by the user: the gap asked is not met",
    "unverified": "UNVERIFIED: the replay found faults; do not use",
}
COST = {
    "equipment": "Equipment",
    "duty": "Duty",
    "freight": "Freight",
    "power_conversion": "Power conversion",
    "balance_of_plant": "Balance of plant",
    "installation": "Installation",
    "epc": "Engineering (EPC)",
    "fuel": "Fuel",
    "land": "Land",
    "fire_barriers": "Fire barriers",
    "qualification": "Supplier qualification",
    "operation": "Operation and service",
    "insurance": "Insurance",
    "standby_energy": "Standby energy",
    "end_of_life": "End of life",
    "residual_value": "Residual value",
    "tax_credit": "Tax credit",
    "delay": "Load that comes late",
    "energy": "Operating years beside the load's own energy",
    "renewables": "Added PV and wind",
    "expected_delay": "Expected delay",
    "delivery_damages": "Damages for late delivery",
    "service": "Long-term service",
    "finance_adder": "Finance adder by maturity",
    "cancellation": "Cancellation",
    "grant": "Grant",
    "recapture": "Recapture of credits",
    "depreciation": "Depreciation",
    "income_tax": "Income tax",
    "production_credit": "Production credit",
    "sourcing": "Sources outside China",
}
SOURCE = {
    "shifting": "Shifting energy", "renewables": "PV and wind", "generators": "Generators", "curtailment": "Load shed",
    "export": "Export", "demand_charge": "Demand charge",
}  # fmt: skip
CONTINGENCY = {
    "none": "Nothing lost",
    "supplier": "Loss of a supplier",
    "cell_maker": "Loss of a cell maker",
    "cell_factory": "Loss of a cell factory",
    "country": "Loss of a country",
    "chemistry": "Loss of a chemistry",
    "software": "Loss of prohibited software",
    "fire_group": "Loss of a fire group",
}
#: What each measure of exposure counts.
MEASURE = {
    "cell": "cells made in China",
    "value": "all layers of the supply chain, by value",
    "control": "control software and owners that answer to China",
    "chokepoint": "the most exposed layer",
    "cell_ownership": "cells of Chinese owners",
    "value_ownership": "all layers by value and owner",
    "chokepoint_ownership": "the most exposed layer, by owner",
}
#: What a construction phase earns.
CREDIT = {"none": "no credit", "base": "credit", "bonus": "credit with domestic-content bonus"}
#: What a quote covers, and which energy it counts.
PRICE_LAYER = {"dc_block": "DC block", "ac_system": "AC system", "all_in": "everything included"}
ENERGY_BASIS = {"dc_nameplate": "DC nameplate", "usable_ac": "usable AC"}
#: What the replay finds worth a look.
FINDING = {"credit": "tax credit", "committed": "signed orders", "margin": "spare energy", "delay": "late load"}
#: Purchase bans of the tables.
BAN = {
    "ndaa2024-s154": "National Defense Authorization Act 2024, section 154",
    "usc10-4865": "10 USC 4865",
    "list1260h-direct": "section 1260H list",
    "list1260h-indirect": "section 1260H list, goods bought through others",
    "fcc-covered-list": "FCC covered list",
    "control-software": "control software that answers to China",
    "texas-lone-star": "Texas Lone Star Infrastructure Protection Act",
}
#: Plans that a reviewer asks about.
BASELINE = {
    "optimum": "The plan",
    "all_china": "All China",
    "all_allied": "All allied",
    "cheapest_chemistry": "Cheapest chemistry alone",
    "rule_of_thumb_4h": "Rule of thumb, 4 h",
}
#: Checks of the replay whose names alone say too little.
CHECK = {
    "ban": "purchase bans",
    "bound": "the bound lies below the cost",
    "content": "domestic content and material assistance",
    "dates": "dates of orders and deliveries",
    "host": "what the site can host",
    "input": "the inputs are those that were planned",
    "margins": "margins by period",
    "max_share": "largest share of a supplier",
    "min_order": "minimum orders",
    "min_suppliers": "least number of suppliers",
    "orders_figures": "figures of each order",
    "orders_known": "orders are of known offers and dates",
    "orders_whole": "containers are whole",
    "public": "public money",
    "reliability": "tightest outages",
    "replay": "outages stepped through",
    "replay_agreement": "stepping through agrees with the energy counted",
    "required": "energy required",
    "served": "load energised",
    "supply": "what factories can deliver",
    "tier": "price tiers",
    "views": "cost to the buyer, without public money, and to the public",
    "zone_report": "use of each zone as stated",
}
#: What holds load back.
BINDING = {"none": "nothing", "grid": "the grid", "storage": "storage that is not there yet"}
PUBLIC = {
    "duties": "duties",
    "recapture": "credits taken back",
    "taxes": "income tax",
    "tax_credits": "investment credits",
    "production_credits": "production credits to makers",
    "grants": "grants",
}
CONFIDENCE_WORDS = {
    "assumption": "are assumed", "memory": "recalled", "low": "of low", "medium": "of medium",
    "high": "of high confidence",
}  # fmt: skip
CONFIDENCE = ("assumption", "memory", "low", "medium", "high")
#: Steer the direction of text, or nothing that a reader could see.
_STEERING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff\u2028\u2029")


def harmless(text: str, most: int = LONGEST_TEXT) -> str:
    """Text that cannot steer a page: controls and direction marks spelled out, and cut when very long."""
    cut = text if len(text) <= most else text[: most - 3] + "..."
    return "".join(_visible(character) for character in cut)


def _visible(character: str) -> str:
    if character in "\n\t":
        return " "
    point = ord(character)
    broken = point < 0x20 or 0x7F <= point < 0xA0 or 0xD800 <= point < 0xE000
    return character.encode("unicode_escape").decode() if broken or character in _STEERING else character


def harmless_tree(value: Any) -> Any:
    """The same for every text in a nested value."""
    if isinstance(value, str):
        return harmless(value)
    if isinstance(value, dict):
        return {harmless(str(k)): harmless_tree(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [harmless_tree(v) for v in value]
    return value


def number(value: float | None, digits: int = 0) -> str:
    """A number with thousands separators and a true minus; a dash for None, never ``-0``."""
    if value is None:
        return "\u2013"
    if not math.isfinite(value):
        return "unknown"
    text = f"{abs(value):,.{digits}f}"
    return f"\u2212{text}" if value < 0 and text.strip("0.,") else text


def musd(value: float) -> str:
    """Million USD within a sentence: the smaller, the more digits."""
    return number(value, 1 if abs(value) >= 10 else 2)


def period(label: str) -> str:
    """A period in short: whole years of later rounds as ``2033\u20132036``."""
    return re.sub(r"^(\d{4})-01\.\.(\d{4})-12$", "\\1\u2013\\2", label)


def periods(text: str) -> str:
    """A sentence with every period in short."""
    return re.sub(r"\b(\d{4})-01\.\.(\d{4})-12\b", "\\1\u2013\\2", text)


def percent(value: float | None, digits: int = 1) -> str:
    """A fraction as per cent."""
    return "\u2013" if value is None else f"{number(100.0 * value, digits)}\u00a0%"


def span(low: float | None, high: float | None, digits: int = 2) -> str:
    """A bracket in short: one number where both ends are the same as written; a dash where neither is known."""
    if low is None or high is None:
        known = [f"at least {number(low, digits)}"] if low is not None else []
        known += [f"at most {number(high, digits)}"] if high is not None else []
        return " ".join(known) or "\u2013"
    first, last = number(low, digits), number(high, digits)
    return first if first == last else f"{first} to {last}"


def change(value: float) -> str:
    """A relative change with its sign."""
    return f"{'+' if value > 0 else ''}{percent(value)}"


def words(name: str, table: dict[str, str]) -> str:
    """The words of a name, or the name itself with spaces."""
    return table.get(name, name.replace("_", " "))


def with_names(text: str, names: Mapping[str, str]) -> str:
    """A sentence with words in place of names of the tables; what stands in brackets is left."""
    if not names:
        return text
    known = "|".join(sorted(map(re.escape, names), key=len, reverse=True))
    return re.sub(rf"(?<![\w(-])({known})(?![\w-])", lambda found: names[found[1]], text)


def with_bans(text: str) -> str:
    """A sentence with every purchase ban of the tables by its law."""
    return with_names(text, BAN)


def capital(text: str) -> str:
    """A text with a capital at its beginning."""
    return text[:1].upper() + text[1:]


def chemistry(name: str, kind: str = "storage") -> str:
    """Name of a chemistry, or what kind of firm resource it is."""
    if kind in FIRM:
        return FIRM[kind][0]
    return CHEMISTRY[name][0] if name in CHEMISTRY else name


def chemistry_colour(name: str, kind: str = "storage") -> str:
    """Colour of a chemistry, or of a kind of firm resource."""
    if kind in FIRM:
        return FIRM[kind][1]
    return CHEMISTRY[name][1] if name in CHEMISTRY else "#777d86"


def origin_colour(country: str) -> str:
    """Colour of a country."""
    return ORIGIN.get(country, OTHER_ORIGIN)
