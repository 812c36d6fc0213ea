"""Frozen dataclasses to JSON and back, by their type hints. Knows none of them."""

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
R = TypeVar("R")


def to_json(value: object) -> Json:
    """Plain data for `json.dumps`: records become objects, tuples and the like arrays, fractions and paths strings.

    Raises:
        TypeError: the value holds something that has no place in JSON.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Fraction | Path):
        return str(value)
    if isinstance(value, np.ndarray):
        return to_json(value.tolist())
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in fields(value)}
    raise TypeError(f"cannot be written as JSON: {value!r}")


def from_json(kind: type[R], data: Json) -> R:
    """The record of type `kind` that `to_json` turned into `data`.

    Raises:
        ValueError: the data does not fit the record.
    """
    record: R = _read(kind, data)
    return record


def _read(kind: Any, data: Any) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _read_union(inner, data)
    if origin is Literal:
        return _expect(data in inner, kind, data)
    if origin is tuple:
        return _read_tuple(kind, inner, data)
    if origin is np.ndarray:  # of whole numbers
        return np.array(_read_list(int, data), np.int64)
    if origin is list:
        return _read_list(inner[0], data)
    if is_dataclass(kind):
        return _read_record(kind, data)
    if kind in (Fraction, Path):
        return kind(_expect(isinstance(data, str), kind, data))
    if kind is float:
        return float(_expect(isinstance(data, int | float), kind, data))
    return _expect(type(data) is kind, kind, data)


def _read_union(inner: tuple[Any, ...], data: Any) -> Any:
    if data is None:
        return _expect(types.NoneType in inner, inner, data)
    for kind in inner:
        try:
            return _read(kind, data)
        except ValueError:
            continue
    raise ValueError(f"{data!r} fits none of {inner}")


def _read_list(kind: Any, data: Any) -> list[Any]:
    return [_read(kind, item) for item in _expect(isinstance(data, list), list, data)]


def _read_tuple(kind: Any, inner: tuple[Any, ...], data: Any) -> tuple[Any, ...]:
    items = _expect(isinstance(data, list), kind, data)
    if len(inner) == 2 and inner[1] is Ellipsis:
        return tuple(_read(inner[0], item) for item in items)
    _expect(len(items) == len(inner), kind, data)
    return tuple(_read(each, item) for each, item in zip(inner, items, strict=True))


def _read_record(kind: Any, data: Any) -> Any:
    _expect(isinstance(data, Mapping), kind, data)
    names = [field.name for field in fields(kind)]
    _expect(set(data) == set(names), kind, sorted(data))
    hints = get_type_hints(kind)
    return kind(**{name: _read(hints[name], data[name]) for name in names})


def _expect(fits: bool, kind: Any, data: Any) -> Any:
    if not fits:
        raise ValueError(f"expected {kind}, got {data!r}")
    return data
