"""Options made from settings, so that an option and its variable cannot drift apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field, fields
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from otelbridge.settings import Settings, SettingsError

F = TypeVar("F", bound=Callable[..., Any])

_BY_NAME: dict[str, Field[Any]] = {spec.name: spec for spec in fields(Settings)}

# Values to offer for a half-typed option; what a setting allows is its own parser's word.
_VALUES: dict[str, tuple[str, ...]] = {
    "console_format": ("auto", "text", "json"),
    "log_level": ("debug", "info", "warning", "error", "critical"),
    "otlp_protocol": ("grpc", "http/protobuf", "http/json"),
    "host": ("127.0.0.1", "0.0.0.0", "::1"),  # noqa: S104 (offered, not bound)
    "retention": ("1d", "7d", "30d"),
    "retention_bytes": ("1GB", "5GB", "20GB"),
    "sinks": ("otlp", "udp", "elasticsearch", "file", "console"),
    "request_log": ("true", "false"),
    "capture_output": ("true", "false"),
}

# Settings that an option switches on by itself.
_FLAGS: dict[str, dict[str, Any]] = {"quiet": {"is_flag": False, "flag_value": "true"}}


def option_name(setting: str) -> str:
    """Name a setting's option: ``web_port`` is ``--web-port``."""
    return "--" + setting.replace("_", "-")


def settings_options(*names: str) -> Callable[[F], F]:
    """Give a command one option for each of the settings called ``names``.

    The command receives them as keyword arguments of the same names: text as typed, checked by
    the setting's parser, or ``None``.
    """

    def decorate(function: F) -> F:
        for name in reversed(names):
            spec = _BY_NAME[name]
            function = click.option(
                option_name(name),
                name,
                metavar=_metavar(name),
                help=f"{spec.metadata['help']} [{spec.metadata['variable']}]",
                callback=_check,
                shell_complete=_complete,
                **_FLAGS.get(name, {}),
            )(function)
        return function

    return decorate


def _metavar(name: str) -> str:
    for ending in ("port", "level", "protocol", "endpoint", "url", "host", "token", "bytes"):
        if name.endswith(ending):
            return ending.upper()
    return {
        "retention": "DURATION",
        "store": "URL",
        "sinks": "LIST",
        "alarms": "FILE",
        "alarm_rules": "RULES",
        "channels": "LIST",
        "notify": "URLS",
        "login": "NAME",
        "password": "PASSWORD",
        "quiet": "[BOOLEAN]",
    }.get(name, "VALUE")


def _check(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is None or parameter.name is None:
        return value
    spec = _BY_NAME[parameter.name]
    try:
        spec.metadata["parse"](value)
    except ValueError as error:
        shown = "***" if spec.metadata["secret"] else repr(value)
        raise SettingsError(f"{option_name(parameter.name)} is {shown}; {error}") from None
    return value


def _complete(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    if parameter.name == "store":
        return [CompletionItem(incomplete or "sqlite:///", type="plain")]
    values = _VALUES.get(parameter.name or "", ())
    if parameter.name == "sinks":  # a comma list: complete its last part
        head, comma, last = incomplete.rpartition(",")
        taken = head.split(",")
        return [
            CompletionItem(head + comma + value)
            for value in values
            if value.startswith(last) and value not in taken
        ]
    return [CompletionItem(value) for value in values if value.startswith(incomplete)]
