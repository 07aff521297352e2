"""Rules as tables: what they mean, and what is said about those that mean nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otelbridge.alarms import KINDS, RuleError, make_rule, make_rules, read_rules
from otelbridge.channels.file import File
from otelbridge.channels.telegram import Telegram

FILE = """
[destinations.ops]
kind = "telegram"
token = "$TELEGRAM_TOKEN"
chat = -1001234
authors = ["@ada"]
quiet = "22:00-07:00@UTC"

[destinations.log]
url = "file:alarms.jsonl?format=json"
traceback = "full"

[[alarms]]
name = "payments fail"
when = "error rate"
services = ["payments", "gateway-*"]
above = "5%"
over = "10m"
for = "2m"
to = ["ops", "log"]
severity = "critical"
authors = ["@bob"]

[[alarms]]
name = "memory"
when = "memory"
above = "1.5GB"

[[alarms]]
name = "slow"
when = "latency"
above = "500ms"
percentile = 99
resolved = false
"""


@pytest.fixture
def read(tmp_path):
    def run(text: str, **environ: str):
        path = tmp_path / "alarms.toml"
        path.write_text(text)
        return read_rules(path, environ)

    return run


def test_a_file_of_rules_and_destinations(read):
    found = read(FILE, TELEGRAM_TOKEN="1:secret")

    ops, log = found.destinations
    assert ops.channel == Telegram(token="1:secret", chat="-1001234")
    assert (ops.name, ops.authors, str(ops.quiet)) == ("ops", ("@ada",), "22:00-07:00@UTC")
    assert log.channel == File(path="alarms.jsonl", format="json")
    assert (log.name, log.traceback) == ("log", "full")

    rate, memory, slow = found.rules
    assert (rate.when, rate.above, rate.over, rate.hold) == ("error-rate", 0.05, 600, 120)
    assert (rate.to, rate.severity, rate.authors) == (("ops", "log"), "critical", ("@bob",))
    assert rate.about("gateway-2")
    assert not rate.about("gateway")
    assert rate.count == 10
    assert memory.above == 1.5 * 2**30
    assert (slow.above, slow.percentile, slow.resolved) == (0.5, 99, False)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("alarms = 5", "alarms are a list of tables"),
        ("[alarm]", "'alarm' is not known; allowed: destinations, alarms"),
        ("destinations = 5", "destinations are tables"),
        ("[[alarms]]\nwhen = 'log'", "an alarm needs a name"),
        ("[[alarms]]\nname='a'\nwhen='never'", "a: when is 'never'; allowed: error, new-error"),
        ("[[alarms]]\nname='a'\nwhen='cpu'", "a: cpu needs above"),
        ("[[alarms]]\nname='a'\nwhen='log'", "a: log needs query"),
        ("[[alarms]]\nname='a'\nwhen='log'\nquery='user:'", "a: query is 'user:'; allowed: KQL"),
        ("[[alarms]]\nname='a'\nwhen='cpu'\nabove='much'", "allowed: a part or a percentage"),
        ("[[alarms]]\nname='a'\nwhen='memory'\nabove='much'", "allowed: a size"),
        ("[[alarms]]\nname='a'\nwhen='latency'\nabove='slow'", "allowed: a duration"),
        ("[[alarms]]\nname='a'\nwhen='silent'\nafter='0s'", "longer than 0"),
        ("[[alarms]]\nname='a'\nwhen='error'\ncount=0", "allowed: a whole number from 1"),
        ("[[alarms]]\nname='a'\nwhen='error'\nabove=1", "a: error has no 'above'; allowed: name"),
        ("[[alarms]]\nname='a'\nwhen='error'\nservices=[1]", "allowed: a list of texts"),
        ("[[alarms]]\nname='a'\nwhen='error'\nseverity='bad'", "allowed: info, warning"),
        ("[[alarms]]\nname='a'\nwhen='error'\nresolved=1", "allowed: true or false"),
        ("[[alarms]]\nname='a'\nwhen='latency'\nabove='1s'\npercentile=90", "50, 95 or 99"),
        ("[[alarms]]\nname='a'\nwhen='error'\nto='ops'", "a: to is 'ops'; there are: none"),
        (
            "[[alarms]]\nname='a'\nwhen='error'\n[[alarms]]\nname='a'\nwhen='log'\nquery='x'",
            "two alarms are called 'a'",
        ),
        ("[destinations.ops]\nkind='telegram'\ntoken='$NO'\nchat='1'", "$NO, which is not set"),
        (
            "[destinations.ops]\nkind='telegram'\ntoken='1:a'",
            "destination ops: telegram needs chat",
        ),
        ("[destinations.ops]\nkind='pigeon'", "destination ops: there is no channel 'pigeon'"),
        ("[destinations.ops]\nurl='telegram://1'", "destination ops: allowed: telegram://TOKEN"),
        ("[destinations.ops]\nurl='file:a'\nquiet='x'", "allowed: from-to"),
        ("name = ", "alarms.toml: Invalid value"),
    ],
)
def test_what_is_wrong_is_said_with_what_is_allowed(read, text, says):
    with pytest.raises(RuleError) as caught:
        read(text)

    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(RuleError, match="No such file"):
        read_rules(tmp_path / "none.toml")


def test_no_secret_is_shown_when_something_is_wrong(read):
    text = FILE.replace("chat = -1001234", "chats = 5")

    with pytest.raises(RuleError, match="telegram has no 'chats'") as caught:
        read(text, TELEGRAM_TOKEN="1:hush-hush")

    assert "hush" not in str(caught.value)


@given(st.sampled_from(list(KINDS)), st.dictionaries(st.text(max_size=12), st.text(max_size=12)))
def test_any_table_is_a_rule_or_refused_by_name(kind, values):
    table = {**values, "name": "a", "when": kind}

    try:
        said = f"a: {make_rule(table).when}"
    except RuleError as error:
        said = str(error)

    assert said.startswith(f"a: {kind}") or any(said.startswith(f"a: {key} is ") for key in table)


def test_nothing_is_no_rules():
    assert make_rules({}).rules == ()
