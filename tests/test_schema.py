"""The names of fields agree with each other and with the OpenTelemetry packages."""

from __future__ import annotations

import logging

import pytest
from opentelemetry._logs import SeverityNumber
from opentelemetry.semconv._incubating.attributes import (
    code_attributes,
    deployment_attributes,
    host_attributes,
    log_attributes,
    process_attributes,
    service_attributes,
    thread_attributes,
)
from opentelemetry.semconv.attributes import exception_attributes

from otelbridge import schema

LINE_FIELDS = {
    value
    for name, value in vars(schema).items()
    if name.isupper() and isinstance(value, str) and name != "ECS_VERSION"
}


def test_every_mapped_name_is_a_field_of_the_line():
    mapped = [*schema.LINE_TO_ATTRIBUTE, *schema.LINE_TO_RESOURCE, *schema.LINE_TO_DOCUMENT]

    assert set(mapped) <= LINE_FIELDS
    assert len(mapped) == len(set(mapped)), "a field has one place"


@pytest.mark.parametrize(
    "mapping", [schema.LINE_TO_ATTRIBUTE, schema.LINE_TO_RESOURCE, schema.LINE_TO_DOCUMENT]
)
def test_no_two_fields_share_a_place(mapping):
    assert len(set(mapping.values())) == len(mapping)


def test_attributes_have_the_semantic_conventions_names():
    known = {
        value
        for module in (
            code_attributes, deployment_attributes, exception_attributes, host_attributes,
            log_attributes, process_attributes, service_attributes, thread_attributes,
        )
        for value in vars(module).values()
        if isinstance(value, str)
    }  # fmt: skip

    assert set(schema.LINE_TO_ATTRIBUTE.values()) <= known
    assert set(schema.LINE_TO_RESOURCE.values()) <= known
    assert known >= schema.ORIGIN_ATTRIBUTES
    assert schema.RECORD_UID in known


def test_severity_numbers_are_opentelemetrys():
    for name, number in schema.SEVERITY_NUMBERS.items():
        standard = {"WARNING": "WARN", "CRITICAL": "FATAL"}.get(name, name)
        assert SeverityNumber[standard].value == number


@pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"])
def test_pythons_levels_keep_their_names_there_and_back(level):
    assert isinstance(logging.getLevelName(level), int)
    assert schema.severity_name(schema.SEVERITY_NUMBERS[level]) == level


@pytest.mark.parametrize(
    ("number", "name"),
    [(-1, ""), (0, ""), (1, "TRACE"), (4, "TRACE"), (5, "DEBUG"), (12, "INFO"), (16, "WARNING"),
     (20, "ERROR"), (21, "CRITICAL"), (24, "CRITICAL"), (99, "CRITICAL")],
)  # fmt: skip
def test_every_number_has_a_name(number, name):
    assert schema.severity_name(number) == name
