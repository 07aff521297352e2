"""A record as lines in a terminal."""

from datetime import datetime, timedelta, timezone

import click
import pytest

from otelbridge.commands.lines import local_time, plain, record_lines


def document(**changes):
    return {
        "id": 1,
        "@timestamp": "2026-01-02T03:04:05.678901234Z",
        "severity_text": "ERROR",
        "body": {"text": "card declined"},
        "attributes": {},
        "resource": {"attributes": {"service.name": "payments"}},
        "scope": {"name": "payments"},
        **changes,
    }


def shown(**changes) -> str:
    return click.unstyle(record_lines(document(**changes)))


def test_a_line_has_level_service_message_fields_and_trace():
    line = shown(attributes={"user": "alice", "code": 402}, trace_id="0af7" * 8)
    assert line.endswith(
        f"ERROR    payments   card declined user=alice code=402 trace.id={'0af7' * 8}"
    )


def test_where_a_record_was_made_is_left_to_json():
    line = shown(attributes={"code.line.number": 3, "thread.name": "T", "log.record.uid": "u"})
    assert line.endswith("card declined")


def test_a_value_with_spaces_is_quoted_and_a_structure_is_json():
    line = shown(attributes={"reason": "no money", "basket": {"tea": 1}})
    assert 'reason="no money" basket={"tea": 1}' in line


def test_a_traceback_follows_indented():
    stack = "Traceback (most recent call last):\n  ...\nZeroDivisionError: division by zero"
    lines = shown(attributes={"exception.type": "E", "exception.stacktrace": stack}).splitlines()
    assert lines[1:] == ["    " + line for line in stack.splitlines()]


def test_an_exception_without_its_stack_still_shows():
    line = shown(attributes={"exception.type": "KeyError", "exception.message": "'tea'"})
    assert line.endswith("\n    KeyError: 'tea'")


@pytest.mark.parametrize(
    "hostile", ["\x1b[2J", "\x1b]0;title\x07", "\r", "\x9b31m", "\u202etxt.exe", "\x00"]
)
def test_what_would_steer_the_terminal_is_shown_instead_of_done(hostile):
    line = record_lines(
        document(body={"text": hostile}, attributes={hostile: hostile, "exception.type": hostile})
    )
    assert hostile not in line
    assert plain(hostile) in line


def test_a_body_that_is_not_text_is_json():
    assert "[1, null]" in shown(body={"structured": [1, None]})


def test_todays_time_has_no_date_and_another_days_has():
    now = datetime.now(timezone.utc).replace(microsecond=5000)
    assert local_time(now.isoformat().replace("+00:00", "Z")) == now.astimezone().strftime(
        "%H:%M:%S.005"
    )
    earlier = now - timedelta(days=3)
    assert local_time(earlier.isoformat().replace("+00:00", "Z")) == earlier.astimezone().strftime(
        "%Y-%m-%d %H:%M:%S.005"
    )


def test_a_time_on_the_whole_second_is_read():
    assert local_time("2026-01-02T03:04:05Z").endswith(":05.000")
