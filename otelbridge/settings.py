"""Every setting, once: its variable, its type, its default, what is allowed.

The standard ``OTEL_*`` variables mean what OpenTelemetry's specification says and are read by its
SDK; those that this package reads itself, or shows in ``otelbridge config``, are listed here as
well. Ours start with ``OTELBRIDGE_`` and exist only where the standard has none.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from otelbridge.setting_values import (
    DURATION_UNITS,
    SIZE_UNITS,
    Parser,
    in_units,
    parse_address,
    parse_boolean,
    parse_choice,
    parse_choices,
    parse_duration,
    parse_folder,
    parse_import_paths,
    parse_integer,
    parse_namespace,
    parse_notify,
    parse_period,
    parse_size,
    parse_store,
    parse_text,
    parse_url,
)

# Where errors may end that nobody caught.
CATCH_PLACES = ("main", "threads", "asyncio", "unraisable", "processes", "futures")


class SettingsError(ValueError):
    """A variable holds a value that is not allowed; its text is one line for the user."""


def _default_store() -> str:
    base = os.environ.get("XDG_DATA_HOME")
    if not base:
        try:
            base = str(Path.home() / ".local" / "share")
        except RuntimeError:
            # A user without a home folder, as containers may have.
            return "sqlite:///otelbridge.db"
    return f"sqlite:///{base}/otelbridge/otelbridge.db"


def _default_spool() -> Path:
    base = os.environ.get("XDG_STATE_HOME")
    if base:
        return Path(base) / "otelbridge" / "spool"
    try:
        home: Path | None = Path.home()
    except RuntimeError:
        home = None
    if home is None or not os.access(home, os.W_OK | os.X_OK):
        # As for the users that servers and containers run as.
        user = os.getuid() if hasattr(os, "getuid") else 0
        return Path(tempfile.gettempdir()) / f"otelbridge-{user}" / "spool"
    return home / ".local" / "state" / "otelbridge" / "spool"


def _setting(
    variable: str,
    parse: Parser[Any],
    default: Any,
    help: str,
    *,
    secret: bool = False,
    half: Literal["app", "bridge"] = "app",
) -> Any:
    metadata = {"variable": variable, "parse": parse, "help": help, "secret": secret, "half": half}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one process, typed; build it with :func:`read_settings`."""

    # --- the app half ---------------------------------------------------------------------------
    sdk_disabled: bool = _setting(
        "OTEL_SDK_DISABLED",
        lambda text: text.strip().lower() == "true",
        False,
        "true switches everything off: the app runs as if otelbridge were not there",
    )
    service_name: str | None = _setting(
        "OTEL_SERVICE_NAME",
        parse_text,
        None,
        "the service's name; without it the Flask app's name, or the script's",
    )
    otlp_protocol: str = _setting(
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        parse_choice("grpc", "http/protobuf", "http/json"),
        "http/protobuf",
        "how the otlp sink speaks",
    )
    otlp_endpoint: str | None = _setting(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        parse_text,
        None,
        "where the otlp sink sends; without it 127.0.0.1:4317 for grpc, :4318 for http",
    )
    otlp_headers: str | None = _setting(
        "OTEL_EXPORTER_OTLP_HEADERS",
        parse_text,
        None,
        "headers the otlp sink sends, key=value,...; carries the ingest token",
        secret=True,
    )
    sinks: tuple[str, ...] = _setting(
        "OTELBRIDGE_SINKS",
        parse_choices("otlp", "udp", "elasticsearch", "file", "console"),
        ("otlp",),
        "where telemetry goes, a comma list: otlp, udp, elasticsearch, file, console; or none",
    )
    udp_endpoint: tuple[str, int] = _setting(
        "OTELBRIDGE_UDP_ENDPOINT",
        parse_address,
        ("127.0.0.1", 4320),
        "host:port the udp sink sends JSON lines to",
    )
    udp_max_bytes: int = _setting(
        "OTELBRIDGE_UDP_MAX_BYTES",
        parse_integer(512, 65507),
        8192,
        "largest datagram; a longer line is sent in numbered parts",
    )
    elasticsearch_url: str = _setting(
        "OTELBRIDGE_ELASTICSEARCH_URL",
        parse_url,
        "http://127.0.0.1:9200",
        "the Elasticsearch that the elasticsearch sink, `otelbridge setup` and `check` speak to",
    )
    elasticsearch_api_key: str | None = _setting(
        "OTELBRIDGE_ELASTICSEARCH_API_KEY",
        parse_text,
        None,
        "an API key, encoded as Elasticsearch shows it; Kibana takes it too",
        secret=True,
    )
    elasticsearch_username: str | None = _setting(
        "OTELBRIDGE_ELASTICSEARCH_USERNAME",
        parse_text,
        None,
        "a user, where there is no API key",
    )
    elasticsearch_password: str | None = _setting(
        "OTELBRIDGE_ELASTICSEARCH_PASSWORD",
        parse_text,
        None,
        "the user's password",
        secret=True,
    )
    elasticsearch_ca_certs: Path | None = _setting(
        "OTELBRIDGE_ELASTICSEARCH_CA_CERTS",
        Path,
        None,
        "a PEM file of the authorities that signed the servers' certificates",
    )
    elasticsearch_namespace: str = _setting(
        "OTELBRIDGE_ELASTICSEARCH_NAMESPACE",
        parse_namespace,
        "default",
        "the namespace of the data streams: logs-otelbridge.otel-NAMESPACE and so on",
    )
    kibana_url: str | None = _setting(
        "OTELBRIDGE_KIBANA_URL",
        parse_url,
        None,
        "the Kibana that `otelbridge setup` brings the dashboards to; without it they are left out",
    )
    file_path: Path = _setting(
        "OTELBRIDGE_FILE",
        Path,
        Path("logs/otelbridge.jsonl"),
        "where the file sink writes JSON lines",
    )
    file_max_bytes: int = _setting(
        "OTELBRIDGE_FILE_MAX_BYTES",
        parse_size,
        10 * 2**20,
        "size at which the file sink starts a new file",
    )
    file_backups: int = _setting(
        "OTELBRIDGE_FILE_BACKUPS",
        parse_integer(0, 1000),
        5,
        "how many full files to keep",
    )
    console_format: str = _setting(
        "OTELBRIDGE_CONSOLE_FORMAT",
        parse_choice("auto", "text", "json"),
        "auto",
        "the console sink's form: text, json, or auto (text on a terminal, JSON in a pipe)",
    )
    log_level: str = _setting(
        "OTELBRIDGE_LOG_LEVEL",
        parse_choice("debug", "info", "warning", "error", "critical"),
        "info",
        "the root logger's level, where the program has not set one",
    )
    request_log: bool = _setting(
        "OTELBRIDGE_REQUEST_LOG",
        parse_boolean,
        True,
        "write a Request and a Response record for every web request",
    )
    flask_hook: Literal["own", "upstream"] = _setting(
        "OTELBRIDGE_FLASK_HOOK",
        parse_choice("own", "upstream"),
        "own",
        "what makes a Flask request's span and metrics: own, or OpenTelemetry's instrumentation,"
        " which makes the same in more time",
    )
    capture_output: bool = _setting(
        "OTELBRIDGE_CAPTURE_OUTPUT",
        parse_boolean,
        False,
        "also record what is printed to stdout and stderr",
    )
    value_max_chars: int = _setting(
        "OTELBRIDGE_VALUE_MAX_CHARS",
        parse_integer(64, 2**26),
        512 * 1024,
        "longest text of one value, in characters; the rest is cut with a visible mark",
    )
    metric_interval: float = _setting(
        "OTELBRIDGE_METRIC_INTERVAL",
        parse_period,
        10.0,
        "how often metrics are read and sent; OTEL_METRIC_EXPORT_INTERVAL (ms) wins if set",
    )
    notify: str | Sequence[object] | None = _setting(
        "OTELBRIDGE_NOTIFY",
        parse_notify,
        None,
        "whom to tell of errors, and in the bridge of alarms: URLs with spaces between them, such "
        "as telegram://TOKEN@CHAT, "
        "https://discord.com/api/webhooks/ID/TOKEN, smtp://USER:PASSWORD@HOST?to=A@B, file:PATH",
        secret=True,
    )
    shutdown_timeout: float = _setting(
        "OTELBRIDGE_SHUTDOWN_TIMEOUT",
        parse_duration,
        5.0,
        "longest time the last records may hold up the end of the process",
    )

    queue_bytes: int = _setting(
        "OTELBRIDGE_QUEUE_BYTES",
        parse_size,
        32 * 2**20,
        "memory for the log records, and again for the spans, that wait to be sent; the oldest "
        "go first",
    )
    spool_dir: Path | None = _setting(
        "OTELBRIDGE_SPOOL_DIR",
        parse_folder,
        _default_spool,
        "folder for what could not be sent yet, a folder a service in it; none keeps it in memory",
    )
    spool_bytes: int = _setting(
        "OTELBRIDGE_SPOOL_BYTES",
        parse_size,
        256 * 2**20,
        "largest size of a service's folder there; the oldest records go first",
    )
    spool_sync: str = _setting(
        "OTELBRIDGE_SPOOL_SYNC",
        parse_choice("never", "always"),
        "never",
        "always: flushed to the disk at each writing, so that it survives a power cut; never: "
        "left to the system, which survives the end of the process",
    )
    journal: bool = _setting(
        "OTELBRIDGE_JOURNAL",
        parse_boolean,
        False,
        "write each record to a memory-mapped file at once, so that killing the process loses none",
    )
    catch: tuple[str, ...] = _setting(
        "OTELBRIDGE_CATCH",
        parse_choices(*CATCH_PLACES),
        CATCH_PLACES,
        "where errors that nobody caught are recorded, a comma list: main, threads, asyncio, "
        "unraisable, processes, futures; or none",
    )
    exclude: str | Sequence[object] | None = _setting(
        "OTELBRIDGE_EXCLUDE",
        parse_text,
        None,
        "errors that are not sent, with semicolons between them: a class's name, a text, "
        "/a regular expression/, or logger:NAME",
    )
    own_code: str | None = _setting(
        "OTELBRIDGE_OWN_CODE",
        parse_text,
        None,
        "what clean tracebacks count as the program's own, a comma list of folders and packages, "
        "or with ! before them as not its own; by default all but Python and what is installed",
    )
    error_variables: bool = _setting(
        "OTELBRIDGE_ERROR_VARIABLES",
        parse_boolean,
        False,
        "record the local variables of an error's own frames, secrets masked",
    )
    backlight: str = _setting(
        "OTELBRIDGE_BACKLIGHT",
        parse_choice("none", "myline", "clean"),
        "none",
        "tracebacks in the terminal: myline highlights the program's own lines, clean shows no "
        "others",
    )
    backlight_color: str = _setting(
        "OTELBRIDGE_BACKLIGHT_COLOR",
        parse_choice("red", "green", "yellow", "blue", "magenta", "cyan", "white"),
        "red",
        "the colour for that; none is used in a pipe, or where NO_COLOR is set",
    )
    heartbeat: float = _setting(
        "OTELBRIDGE_HEARTBEAT",
        parse_duration,
        30.0,
        "how often a process says that it is alive; 0: it announces neither start nor end either",
    )
    redact: str | None = _setting(
        "OTELBRIDGE_REDACT",
        parse_text,
        None,
        "more names whose values are secret, a comma list with * for any characters; passwords, "
        "tokens, cookies and their like always are",
    )
    audit_key: str | None = _setting(
        "OTELBRIDGE_AUDIT_KEY",
        parse_text,
        None,
        "a secret without which nobody can make lines that fit into an audit trail",
        secret=True,
    )

    # --- the bridge half ------------------------------------------------------------------------
    store: str = _setting(
        "OTELBRIDGE_STORE",
        parse_store,
        _default_store,
        "where records are kept: sqlite:///path/to/file.db, or the URL of an Elasticsearch",
        half="bridge",
    )
    host: str = _setting(
        "OTELBRIDGE_HOST",
        parse_text,
        "127.0.0.1",
        "address to listen on; beyond loopback a token or users are required",
        half="bridge",
    )
    grpc_port: int = _setting(
        "OTELBRIDGE_GRPC_PORT",
        parse_integer(0, 65535),
        4317,
        "OTLP/gRPC",
        half="bridge",
    )
    http_port: int = _setting(
        "OTELBRIDGE_HTTP_PORT",
        parse_integer(0, 65535),
        4318,
        "OTLP/HTTP",
        half="bridge",
    )
    web_port: int = _setting(
        "OTELBRIDGE_WEB_PORT",
        parse_integer(0, 65535),
        4319,
        "page and API",
        half="bridge",
    )
    udp_port: int = _setting(
        "OTELBRIDGE_UDP_PORT",
        parse_integer(0, 65535),
        4320,
        "UDP lines",
        half="bridge",
    )
    token: str | None = _setting(
        "OTELBRIDGE_TOKEN",
        parse_text,
        None,
        "what page and API ask for; beyond loopback one is generated if this is empty and there "
        "are no users",
        secret=True,
        half="bridge",
    )
    login: str | None = _setting(
        "OTELBRIDGE_LOGIN",
        parse_text,
        None,
        "a name to sign in with, beside those of `otelbridge user add`; `search` and `tail` use it "
        "too",
        half="bridge",
    )
    password: str | None = _setting(
        "OTELBRIDGE_PASSWORD",
        parse_text,
        None,
        "the password that goes with it",
        secret=True,
        half="bridge",
    )
    ingest_token: str | None = _setting(
        "OTELBRIDGE_INGEST_TOKEN",
        parse_text,
        None,
        "what senders must present (Authorization: Bearer ...); beyond loopback the same as the "
        "page's token if this is empty",
        secret=True,
        half="bridge",
    )
    retention: float = _setting(
        "OTELBRIDGE_RETENTION",
        parse_period,
        7 * 86400.0,
        "how long records are kept",
        half="bridge",
    )
    retention_bytes: int = _setting(
        "OTELBRIDGE_RETENTION_BYTES",
        parse_size,
        5 * 2**30,
        "largest size of the store; the oldest records go first",
        half="bridge",
    )
    alarms: Path | None = _setting(
        "OTELBRIDGE_ALARMS",
        Path,
        None,
        "a TOML file of alarms and of whom they tell; read again when it changes",
        half="bridge",
    )
    alarm_rules: str | None = _setting(
        "OTELBRIDGE_ALARM_RULES",
        parse_text,
        None,
        "alarms without a file, with semicolons between them: new-error; error-rate above=5% "
        "over=5m",
        half="bridge",
    )
    channels: tuple[str, ...] = _setting(
        "OTELBRIDGE_CHANNELS",
        parse_import_paths,
        (),
        "classes of one's own that destinations on the page may be of, a comma list of import "
        "paths: shop.pager.Pager",
        half="bridge",
    )
    max_body_bytes: int = _setting(
        "OTELBRIDGE_MAX_BODY_BYTES",
        parse_size,
        20 * 2**20,
        "largest body a receiver takes, unpacked",
        half="bridge",
    )
    quiet: bool = _setting(
        "OTELBRIDGE_QUIET",
        parse_boolean,
        False,
        "print nothing but what goes wrong",
        half="bridge",
    )
    url: str = _setting(
        "OTELBRIDGE_URL",
        parse_text,
        "http://127.0.0.1:4319",
        "the bridge that `otelbridge search` and `tail` ask",
        half="bridge",
    )


@dataclass(frozen=True)
class Origin:
    """One setting as `otelbridge config` shows it."""

    variable: str
    value: str
    origin: Literal["default", "environment", "argument"]
    help: str
    half: Literal["app", "bridge"]


def read_settings(environ: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """Read the settings from the environment.

    Args:
        environ: the variables; the process's own by default. An empty value counts as unset, as
            OpenTelemetry's specification has it.
        overrides: values by field name, which win over the environment. Text goes through the
            setting's own parser; ``None`` means not given.

    Raises:
        SettingsError: naming the variable, the value, and what is allowed.
    """
    environ = os.environ if environ is None else environ
    by_name = {spec.name: spec for spec in fields(Settings)}
    unknown = overrides.keys() - by_name.keys()
    if unknown:
        raise SettingsError(
            f"unknown setting {sorted(unknown)[0]!r}; known: {', '.join(sorted(by_name))}"
        )
    values: dict[str, Any] = {}
    for name, spec in by_name.items():
        given = overrides.get(name)
        label = name
        if given is None:
            given = environ.get(spec.metadata["variable"]) or None
            label = spec.metadata["variable"]
        if given is None:
            continue
        if isinstance(given, str):
            try:
                given = spec.metadata["parse"](given)
            except ValueError as error:
                shown = "***" if spec.metadata["secret"] else repr(_without_password(given))
                raise SettingsError(f"{label} is {shown}; {error}") from None
        values[name] = given
    return Settings(**values)


def _without_password(text: str) -> str:
    return re.sub(r"(://[^/@:]*):[^/@]*@", r"\1:***@", text)


def describe_settings(environ: Mapping[str, str] | None = None, **overrides: Any) -> list[Origin]:
    """List every setting with its value, where it came from, and secrets masked."""
    environ = os.environ if environ is None else environ
    settings = read_settings(environ, **overrides)
    listed = []
    for spec in fields(Settings):
        variable = spec.metadata["variable"]
        origin: Literal["default", "environment", "argument"] = "default"
        if overrides.get(spec.name) is not None:
            origin = "argument"
        elif environ.get(variable):
            origin = "environment"
        value = getattr(settings, spec.name)
        listed.append(
            Origin(
                variable,
                _shown(value, spec.metadata["parse"], spec.metadata["secret"]),
                origin,
                spec.metadata["help"],
                spec.metadata["half"],
            )
        )
    return listed


def _shown(value: Any, parse: Parser[Any], secret: bool) -> str:
    if value is None:
        return "none" if parse is parse_folder else ""
    if secret:
        return "***"
    if parse in {parse_duration, parse_period}:
        return in_units(value, DURATION_UNITS) or f"{value:g}s"
    if parse is parse_size:
        return in_units(value, SIZE_UNITS, "B") or str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], int):
        host = f"[{value[0]}]" if ":" in value[0] else value[0]
        return f"{host}:{value[1]}"
    if isinstance(value, tuple):
        return ",".join(value) or "none"
    return str(value)
