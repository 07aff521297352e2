"""Settings: what each parser takes, what it refuses and how, and where a value comes from."""

from __future__ import annotations

import dataclasses
import os
import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otelbridge import setting_values
from otelbridge.settings import Settings, SettingsError, describe_settings, read_settings

SPECS = {spec.name: spec for spec in dataclasses.fields(Settings)}
PARSERS = {name: spec.metadata["parse"] for name, spec in SPECS.items()}


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), (" TRUE ", True), ("1", True), ("on", True), ("yes", True),
     ("false", False), ("0", False), ("Off", False), ("no", False)],
)  # fmt: skip
def test_booleans(text, value):
    assert setting_values.parse_boolean(text) is value


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("5s", 5), ("5", 5), ("1.5h", 5400), ("15m", 900), ("7d", 604800),
     ("2w", 1209600), (" 3 h ", 10800), ("0", 0)],
)  # fmt: skip
def test_durations(text, seconds):
    assert setting_values.parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "h", "-1s", "1e3", "1 year", "5 5s", "٥s", "9" * 400, "137w2", "10000w"]
)
def test_what_is_no_duration(text):
    with pytest.raises(ValueError, match="allowed: a duration such as 500ms"):
        setting_values.parse_duration(text)


def test_a_period_is_longer_than_zero():
    assert setting_values.parse_period("1ms") == 0.001
    with pytest.raises(ValueError, match="longer than 0"):
        setting_values.parse_period("0s")


@pytest.mark.parametrize(
    ("text", "size"),
    [("100000", 100_000), ("512MB", 512 * 2**20), ("5GB", 5 * 2**30), ("1.5k", 1536),
     ("2 GiB", 2**31), ("10b", 10), ("1T", 2**40), ("9007199254740993", 2**53 + 1)],
)  # fmt: skip
def test_sizes(text, size):
    assert setting_values.parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MB", "-1", "1XB", "1e6", "9" * 400, "9999999999TB"])
def test_what_is_no_size(text):
    with pytest.raises(ValueError, match="allowed: a size such as 100000, 512MB or 5GB"):
        setting_values.parse_size(text)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:4320", ("127.0.0.1", 4320)),
        ("bridge.internal:1", ("bridge.internal", 1)),
        ("udp://bridge:65535", ("bridge", 65535)),
        ("[::1]:4320", ("::1", 4320)),
        ("[fe80::1%eth0]:4320", ("fe80::1%eth0", 4320)),
        (" [::ffff:10.0.0.1]:4320 ", ("::ffff:10.0.0.1", 4320)),
    ],
)
def test_addresses(text, address):
    assert setting_values.parse_address(text) == address


@pytest.mark.parametrize(
    "text", ["", "bridge", ":4320", "bridge:", "bridge:0", "bridge:65536", "bridge:x", "::1:4320",
             "[::1]", "[bridge]:1", "http://bridge:1", "a b:1", "bridge:4320/path"],
)  # fmt: skip
def test_what_is_no_address(text):
    with pytest.raises(ValueError, match="allowed: host:port, such as 127"):
        setting_values.parse_address(text)


@given(
    st.one_of(st.from_regex(r"[a-z][a-z0-9.-]{0,30}", fullmatch=True), st.ip_addresses().map(str)),
    st.integers(1, 65535),
)
def test_every_host_and_port_can_be_written_as_an_address(host, port):
    text = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    assert setting_values.parse_address(text) == (host, port)


@pytest.mark.parametrize(
    ("text", "sinks"),
    [("udp", ("udp",)), (" OTLP , file,", ("otlp", "file")), ("udp,udp", ("udp",)), ("none", ())],
)
def test_lists_of_choices(text, sinks):
    assert read_settings({"OTELBRIDGE_SINKS": text}).sinks == sinks


@pytest.mark.parametrize("text", [",", "udp,none", "telegram", "udp file"])
def test_what_is_no_list_of_choices(text):
    with pytest.raises(
        SettingsError, match="allowed: a comma list of otlp, udp, elasticsearch, file, console"
    ):
        read_settings({"OTELBRIDGE_SINKS": text})


@given(
    st.sampled_from(sorted(PARSERS)),
    st.one_of(
        st.text(st.characters(exclude_characters="\0")),
        st.from_regex(r"[0-9]{1,30}[a-zA-Z]{0,3}", fullmatch=True),
    ),
)
def test_any_text_is_taken_or_refused_in_one_line_that_names_the_variable(name, text):
    variable = SPECS[name].metadata["variable"]
    try:
        value = getattr(read_settings({variable: text}), name)
    except SettingsError as error:
        message = str(error)
        assert message.startswith(f"{variable} is ")
        assert "allowed: " in message
        assert "\n" not in message
        assert SPECS[name].metadata["secret"] or repr(text) in message
    else:
        assert value is not None or SPECS[name].default is None


def test_defaults_need_no_variable():
    read = read_settings({})

    assert read.sinks == ("otlp",)
    assert read.udp_endpoint == ("127.0.0.1", 4320)
    assert read.sdk_disabled is False
    assert re.fullmatch(r"sqlite:///.+/otelbridge/otelbridge\.db", read.store)


def test_an_empty_variable_counts_as_unset():
    assert read_settings({"OTELBRIDGE_UDP_MAX_BYTES": ""}) == read_settings({})


def test_arguments_win_over_variables_and_none_means_not_given():
    environ = {"OTELBRIDGE_SINKS": "file", "OTEL_SERVICE_NAME": "shop"}

    read = read_settings(environ, sinks="udp", service_name=None, file_path=Path("x"))

    assert (read.sinks, read.service_name, read.file_path) == (("udp",), "shop", Path("x"))


def test_a_wrong_argument_is_named_as_the_argument_it_is():
    with pytest.raises(SettingsError, match=r"^udp_endpoint is 'nowhere'; allowed: host:port"):
        read_settings({}, udp_endpoint="nowhere")


def test_an_unknown_argument_is_refused_with_those_there_are():
    with pytest.raises(SettingsError, match=r"^unknown setting 'sink'; known: .*sinks"):
        read_settings({}, sink="udp")


def test_the_variable_that_switches_off_takes_only_true():
    for text, value in (("true", True), ("TRUE", True), ("1", False), ("yes", False)):
        assert read_settings({"OTEL_SDK_DISABLED": text}).sdk_disabled is value


def test_a_user_without_a_home_folder_has_a_store_all_the_same(monkeypatch):
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)

    assert read_settings({}).store == "sqlite:///otelbridge.db"


class TestDescription:
    def test_names_every_setting_once_with_where_its_value_is_from(self):
        environ = {"OTELBRIDGE_SINKS": "udp"}

        shown = {setting.variable: setting for setting in describe_settings(environ, host="::")}

        assert len(shown) == len(SPECS)
        assert (shown["OTELBRIDGE_SINKS"].value, shown["OTELBRIDGE_SINKS"].origin) == (
            "udp",
            "environment",
        )
        assert shown["OTELBRIDGE_HOST"].origin == "argument"
        assert shown["OTELBRIDGE_UDP_ENDPOINT"].origin == "default"
        assert all(setting.help for setting in shown.values())

    def test_never_shows_a_secret(self):
        secrets = {
            s.metadata["variable"]: "file:hunter2" for s in SPECS.values() if s.metadata["secret"]
        }

        shown = {s.variable: s.value for s in describe_settings(secrets)}

        assert len(secrets) >= 3
        assert {shown[variable] for variable in secrets} == {"***"}

    @given(st.data())
    def test_what_it_shows_can_be_read_back(self, data):
        environ = data.draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "OTELBRIDGE_SINKS": st.sampled_from(["none", "udp", "udp,file"]),
                    "OTELBRIDGE_UDP_ENDPOINT": st.sampled_from(["[::1]:5", "a:6"]),
                    "OTELBRIDGE_RETENTION": st.sampled_from(["90s", "1.5h", "3d", "1ms"]),
                    "OTELBRIDGE_RETENTION_BYTES": st.integers(0, 2**62).map(str),
                    "OTELBRIDGE_REQUEST_LOG": st.sampled_from(["yes", "no"]),
                    "OTELBRIDGE_CONSOLE_FORMAT": st.sampled_from(["TEXT", "json"]),
                },
            )
        )

        shown = {
            s.variable: s.value
            for s in describe_settings(environ)
            if s.value and s.variable != "OTELBRIDGE_STORE"
        }

        assert read_settings(shown) == read_settings(environ)


def test_the_spool_is_in_the_folder_for_state(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert read_settings({}).spool_dir == tmp_path / "otelbridge" / "spool"

    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read_settings({}).spool_dir == tmp_path / ".local" / "state" / "otelbridge" / "spool"


def test_who_has_no_home_folder_has_a_spool_among_the_temporary_files(monkeypatch):
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/nonexistent")
    user = os.getuid() if hasattr(os, "getuid") else 0

    folder = Path(tempfile.gettempdir()) / f"otelbridge-{user}" / "spool"
    assert read_settings({}).spool_dir == folder


def test_the_spool_can_be_switched_off_and_is_shown_so():
    environ = {"OTELBRIDGE_SPOOL_DIR": " None "}

    assert read_settings(environ).spool_dir is None
    (shown,) = [
        each.value for each in describe_settings(environ) if each.variable == "OTELBRIDGE_SPOOL_DIR"
    ]
    assert shown == "none"


def test_a_folder_is_where_it_was_when_the_program_started(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert read_settings({"OTELBRIDGE_SPOOL_DIR": "spool"}).spool_dir == tmp_path / "spool"
    assert read_settings({"OTELBRIDGE_SPOOL_DIR": "~/x"}).spool_dir == Path.home() / "x"
