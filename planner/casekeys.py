"""What a case may hold at a key path, read off the schema, and pydantic's errors in words."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from planner.faults import closest, shown


class _Missing:
    """The schema has no such key."""


MISSING = _Missing()


def _bare(kind: Any) -> Any:
    """Strip a type of ``Annotated`` and of ``None``."""
    while True:
        origin = get_origin(kind)
        if origin is Annotated:
            kind = get_args(kind)[0]
        elif origin in (Union, types.UnionType):
            rest = [k for k in get_args(kind) if k is not type(None)]
            kind = rest[0] if rest else Any
        else:
            return kind


def allowed_keys(kind: Any) -> tuple[str, ...]:
    """Keys that a section may hold; empty where the schema leaves them open."""
    kind = _bare(kind)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return tuple(kind.model_fields)
    if get_origin(kind) is dict:
        key = _bare(get_args(kind)[0])
        if get_origin(key) is Literal:
            return tuple(str(word) for word in get_args(key))
    return ()


def next_type(kind: Any, key: str) -> Any:
    """Type below ``key`` of a section, mapping or list; ``MISSING`` if there is none."""
    kind = _bare(kind)
    if kind is Any:
        return Any
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        field = kind.model_fields.get(key)
        return MISSING if field is None else field.annotation
    if get_origin(kind) is dict:
        known = allowed_keys(kind)
        return MISSING if known and key not in known else get_args(kind)[1]
    if get_origin(kind) is tuple:
        return get_args(kind)[0] if key.isdecimal() else MISSING
    return MISSING


_LIMITS = {
    "greater_than": ("gt", "a number above {}"),
    "greater_than_equal": ("ge", "a number of at least {}"),
    "less_than": ("lt", "a number below {}"),
    "less_than_equal": ("le", "a number of at most {}"),
    "string_too_short": ("min_length", "text of at least {} characters"),
    "string_too_long": ("max_length", "text of at most {} characters"),
    "too_short": ("min_length", "at least {} entries"),
    "too_long": ("max_length", "at most {} entries"),
    "string_pattern_mismatch": ("pattern", "text of the form {}"),
}
_TYPES = {
    "float": "a number",
    "int": "a whole number",
    "bool": "true or false",
    "string": "text",
    "tuple": "a list",
    "list": "a list",
    "dict": "a mapping of keys and values",
    "model": "a mapping of keys and values",
    "finite": "a finite number",
}
_NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.\-+ ]*$"


def words_of(error: Mapping[str, Any]) -> tuple[str, str]:
    """Say what was found and what is allowed, in words, for one pydantic error."""
    kind = str(error["type"])
    context = error.get("ctx", {})
    found = shown(error.get("input"))
    if kind == "missing":
        return "nothing", "a value (this key has no default)"
    if kind == "literal_error":
        expected = str(context.get("expected", "")).replace("'", "")
        hint = closest(str(error.get("input")), expected.replace(" or ", ", ").split(", "))
        return found, expected + (f" ({hint})" if hint else "")
    if kind in _LIMITS:
        name, text = _LIMITS[kind]
        limit = context.get(name)
        if limit == _NAME_PATTERN:
            return found, "a name of letters, digits, spaces and _ . - +, starting with a letter or digit"
        if kind in ("too_short", "too_long"):
            found = f"{context.get('actual_length', 'another number of')} entries"
        number = f"{limit:g}" if isinstance(limit, float) else str(limit)
        return found, text.format(number)
    if kind == "value_error":
        return found, str(context.get("error", error.get("msg", ""))).removesuffix(".")
    if kind == "extra_forbidden":
        return found, "no such key"
    return found, _TYPES.get(kind.partition("_")[0], str(error.get("msg", "something else")))
