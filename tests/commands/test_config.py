"""``otelbridge config``."""

import json

from otelbridge.cli import main
from otelbridge.settings import describe_settings


def test_it_shows_every_setting_with_its_value_and_origin(capsys, monkeypatch):
    monkeypatch.setenv("OTELBRIDGE_SINKS", "udp,file")
    assert main(["config"]) == 0
    said = capsys.readouterr().out
    for setting in describe_settings():
        assert f"{setting.variable}={setting.value}  ({setting.origin})" in said
        assert setting.help in said
    assert "OTELBRIDGE_SINKS=udp,file  (environment)" in said


def test_json_is_an_array_a_script_can_read(capsys, monkeypatch):
    monkeypatch.setenv("OTELBRIDGE_WEB_PORT", "5000")
    assert main(["config", "--json"]) == 0
    listed = {setting["variable"]: setting for setting in json.loads(capsys.readouterr().out)}
    assert listed["OTELBRIDGE_WEB_PORT"]["value"] == "5000"
    assert listed["OTELBRIDGE_WEB_PORT"]["origin"] == "environment"
    assert listed["OTELBRIDGE_HOST"]["origin"] == "default"


def test_secrets_are_masked(capsys, monkeypatch):
    monkeypatch.setenv("OTELBRIDGE_TOKEN", "hunter2hunter2")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer hunter2hunter2")
    assert main(["config"]) == 0
    assert main(["config", "--json"]) == 0
    said = capsys.readouterr().out
    assert "hunter2" not in said
    assert "OTELBRIDGE_TOKEN=***" in said


def test_a_wrong_value_is_named_and_the_exit_code_says_so(capsys, monkeypatch):
    monkeypatch.setenv("OTELBRIDGE_SINKS", "carrier-pigeon")
    assert main(["config"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("otelbridge: OTELBRIDGE_SINKS is 'carrier-pigeon'; allowed:")


def test_nothing_is_coloured_where_nobody_sees_it(capsys):
    main(["config"])
    assert "\x1b" not in capsys.readouterr().out
