"""Commands whose plain parameters cost nothing: texts, paths, words of an enum, lists of texts.

Typer turns every parameter into its type by pydantic, whose import takes longer than all the rest
of a `lease`. These classes answer Typer's question for a parameter's converter themselves; whatever
they do not know (numbers with bounds) goes Typer's way, and so would all, only slower, if Typer did
not ask any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

Convert = Callable[[Any], Any]


class LightCommand(TyperCommand):
    """A command with light parameters."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _lightened(super().get_params(ctx))


class LightGroup(TyperGroup):
    """A group with light parameters of its own."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _lightened(super().get_params(ctx))


class _Light:
    """Stands for Typer's converter of one parameter."""

    def __init__(self, convert: Convert, many: bool) -> None:
        self._convert = convert
        self._many = many

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        if value is None:
            return () if self._many else None
        try:
            return [self._convert(one) for one in value] if self._many else self._convert(value)
        except ValueError as error:
            raise typer.BadParameter(str(error), ctx=ctx, param=param) from None


def _lightened(parameters: Iterable[Any]) -> list[Any]:
    parameters = list(parameters)
    for parameter in parameters:
        kind = getattr(getattr(parameter, "type_descriptor", None), "annotation", None)
        many = kind == list[str]
        convert = str if many else _converter(kind)
        if convert is not None:
            light = _Light(convert, many)
            parameter.get_runtime_param = lambda light=light: light
    return parameters


def _converter(kind: Any) -> Convert | None:
    if kind is str or kind is Path:
        return kind
    if kind is bool:
        return _flag
    if isinstance(kind, type) and issubclass(kind, Enum):
        words = ", ".join(str(member.value) for member in kind)

        def choose(value: Any) -> Enum:
            try:
                return kind(value)
            except ValueError:
                raise ValueError(f"{value!r} is none of {words}") from None

        return choose
    return None


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    words = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    if str(value).lower() not in words:
        raise ValueError(f"{value!r} is neither true nor false")
    return words[str(value).lower()]
