"""Where a field lives that a user names."""

import pytest

from otelbridge.search.fields import Field, built_in_names, resolve


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("message", Field("column", ("body.text",), "text")),
        ("body.text", Field("column", ("body.text",), "text")),
        ("log.level", Field("column", ("severity_text",), "level")),
        ("severity_text", Field("column", ("severity_text",), "level")),
        ("@timestamp", Field("column", ("@timestamp",), "time")),
        ("trace.id", Field("column", ("trace_id",), "id")),
        ("trace_id", Field("column", ("trace_id",), "id")),
        ("log.logger", Field("scope", ("name",), "keyword")),
        ("scope.name", Field("scope", ("name",), "keyword")),
        ("scope.attributes.x", Field("scope", ("attributes.x",), "keyword")),
        ("service.name", Field("resource", ("service.name",), "keyword")),
        ("service.environment", Field("resource", ("deployment.environment.name",), "keyword")),
        ("service.node.name", Field("resource", ("service.instance.id",), "keyword")),
        ("resource.attributes.host.name", Field("resource", ("host.name",), "keyword")),
        ("attributes.user", Field("attribute", ("user",), "keyword")),
        ("attributes.exception.message", Field("attribute", ("exception.message",), "text")),
        ("error.type", Field("attribute", ("exception.type", "error.type"), "keyword")),
        ("error.message", Field("attribute", ("exception.message", "error.message"), "text")),
        ("log.origin.file.line", Field("attribute", ("code.line.number", "log.origin.file.line"),
                                       "keyword")),
        ("body.order.id", Field("body", ("order.id",), "keyword")),
        ("body.structured.order.id", Field("body", ("order.id",), "keyword")),
        ("user", Field("any_attribute", ("user",), "keyword")),
        ("http.route", Field("any_attribute", ("http.route",), "keyword")),
        ("exception.stacktrace", Field("any_attribute", ("exception.stacktrace",), "text")),
        ("duration", Field("any_attribute", ("duration",), "keyword")),
        ("attributes.", Field("any_attribute", ("attributes.",), "keyword")),
        ("", Field("any_attribute", ("",), "keyword")),
    ],
)  # fmt: skip
def test_a_field_of_logs(name: str, field: Field) -> None:
    assert resolve(name, "logs") == field


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("name", Field("column", ("name",), "keyword")),
        ("span.name", Field("column", ("name",), "keyword")),
        ("kind", Field("column", ("kind",), "span_kind")),
        ("status.code", Field("column", ("status.code",), "status")),
        ("status.message", Field("column", ("status.message",), "text")),
        ("duration", Field("column", ("duration",), "duration")),
        ("attributes.duration", Field("attribute", ("duration",), "keyword")),
        ("parent.id", Field("column", ("parent_span_id",), "id")),
        ("event.name", Field("event_name", ("name",), "keyword")),
        ("error.type", Field("attribute_or_event", ("exception.type", "error.type"), "keyword")),
        ("exception.message", Field("attribute_or_event", ("exception.message",), "text")),
        ("message", Field("any_attribute", ("message",), "keyword")),
        ("service.name", Field("resource", ("service.name",), "keyword")),
    ],
)
def test_a_field_of_spans(name: str, field: Field) -> None:
    assert resolve(name, "spans") == field


def test_the_built_in_names_are_known_for_completion() -> None:
    assert {"message", "log.level", "trace.id", "service.name"} <= set(built_in_names("logs"))
    assert {"name", "kind", "duration", "status.code"} <= set(built_in_names("spans"))
    assert "message" not in built_in_names("spans")
