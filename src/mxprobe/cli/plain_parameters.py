"""Parameters that are text or have their default are taken as they are: reading them needs no library."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from typer.core import TyperGroup


class PlainGroup(TyperGroup):
    """A group of commands whose plain parameters are not sent through pydantic, as typer does with every one.

    The import of it and an adapter for each option take longer than most commands that need no network.
    """

    def get_params(self, ctx: Any) -> Any:
        """The parameters of the group itself."""
        return _plain(super().get_params(ctx))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of a name."""
        command = super().get_command(ctx, cmd_name)
        if command is not None and not isinstance(command, PlainGroup):
            _plain(command.get_params(ctx))
        return command


def _plain(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:
        usual = getattr(parameter, "get_runtime_param", None)  # older typers have none, and no pydantic
        if usual is not None and not isinstance(usual, _Coercion):
            parameter.get_runtime_param = _Coercion(parameter, usual)
    return parameters


class _Coercion:
    """What makes a value of the words of the command line, in place of typer's, which it takes where words are more
    than text."""

    def __init__(self, parameter: Any, usual: Callable[[], Any]) -> None:
        self._several = parameter.multiple or parameter.nargs == -1
        self._text = parameter.type_descriptor.annotation == (list[str] if self._several else str)
        self._default = parameter.default
        self._usual = usual

    def __call__(self) -> _Coercion:
        return self

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        if value is None:
            return () if self._several else None
        if self._text:
            return list(value) if self._several else value
        return value if value is self._default else self._usual().coerce(value, param=param, ctx=ctx)
