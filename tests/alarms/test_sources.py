"""Rules of a variable and of the page, beside those of a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otelbridge.alarms import RuleError, Rules, make_rules
from otelbridge.alarms.kept import (
    Kept,
    KeptAlarm,
    KeptDestination,
    from_data,
    open_destination,
    to_data,
)
from otelbridge.alarms.listing import list_all
from otelbridge.alarms.variable import parse_rules
from otelbridge.channels import Channel, ChannelError, option
from otelbridge.channels.channel import ChannelSettingsError
from otelbridge.channels.file import File

FILES = Path("/var/lib/otelbridge/messages")

FILE = make_rules(
    {
        "destinations": {"ops": {"kind": "file", "path": "ops.log"}},
        "alarms": [{"name": "errors", "when": "error", "to": ["ops"]}],
    },
    {},
)


@dataclass(frozen=True, kw_only=True)
class Pager(Channel):
    """Somebody's own channel, which says too much when something is wrong."""

    kind = "pager"
    pin: str = option("the pager's code", secret=True)

    def __post_init__(self) -> None:
        if not self.pin.isdigit():
            raise TypeError(f"{self.pin}\nis no pin")

    def send(self, message):
        raise ChannelError("nobody has it", failure="gone")


# --- a variable ----------------------------------------------------------------------------------


def test_rules_stand_in_a_variable_with_semicolons_between_them():
    crashed, rate, disk = parse_rules(
        "crashed; error-rate above=5% for=2m services=shop,pay* resolved=false;\n"
        """log query='message: "no; space"' name="disk full" to=ops;"""
    )

    assert (crashed.name, crashed.when) == ("crashed", "crashed")
    assert rate.name == "error-rate above=5% for=2m services=shop,pay* resolved=false"
    assert (rate.above, rate.hold, rate.services) == (0.05, 120, ("shop", "pay*"))
    assert not rate.resolved
    assert (disk.name, disk.query, disk.to) == ("disk full", 'message: "no; space"', ("ops",))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("never", "when is 'never'; allowed: error,"),
        ("cpu above", "cpu: 'above' is not key=value"),
        ("cpu above=much", "allowed: a part or a percentage"),
        ("log query='x", "no closing quotation"),
        ("error; error", "two alarms are called 'error'; give one a name=..."),
    ],
)
def test_what_is_wrong_in_a_variable_is_one_line(text, says):
    with pytest.raises(RuleError) as caught:
        parse_rules(text)

    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.text())
def test_any_text_is_rules_or_refused(text):
    try:
        said = [rule.name for rule in parse_rules(text)]
    except RuleError as error:
        said = [str(error)]

    assert all(said)
    assert len(set(said)) == len(said)


# --- what was made on the page -------------------------------------------------------------------


def kept_alarm(name: str, **table) -> KeptAlarm:
    return KeptAlarm(name=name, table={"when": "error", **table})


def kept_file(name: str, path: str = "a.log", **more) -> KeptDestination:
    return KeptDestination(name=name, kind="file", values={"path": path}, **more)


def test_what_is_kept_is_read_back():
    kept = Kept((kept_alarm("a", to=["b"]),), (kept_file("b", paused=True),))

    assert from_data(to_data(kept)) == kept


def test_a_change_takes_the_place_of_what_it_changes():
    kept = Kept((kept_alarm("a"), kept_alarm("b")))

    changed = kept.with_alarm(kept_alarm("c", count=3), was="a")

    assert [one.name for one in changed.alarms] == ["c", "b"]
    assert [one.name for one in changed.without_alarm("c").alarms] == ["b"]


def test_a_destination_that_is_renamed_is_renamed_in_the_alarms_that_tell_it():
    kept = Kept((kept_alarm("a", to=["x", "y"]), kept_alarm("b")), (kept_file("x"),))

    changed = kept.with_destination(kept_file("z"), was="x")

    assert [one.table.get("to") for one in changed.alarms] == [["z", "y"], None]
    assert [one.name for one in changed.destinations] == ["z"]


def test_a_file_made_on_the_page_stands_in_the_bridge_s_own_folder():
    made = open_destination(kept_file("notes", "a.log"), FILES)

    assert made.name == "notes"
    assert made.channel == File(path=str(FILES / "a.log"))


@pytest.mark.parametrize("path", ["../a", "/etc/cron.d/a", "..", ".", "~/.bashrc", "C:a", "a\\b"])
def test_no_other_file_of_the_machine_can_be_chosen_on_the_page(path):
    with pytest.raises(ChannelSettingsError, match="allowed: a file's name") as caught:
        open_destination(kept_file("notes", path), FILES)

    assert set(caught.value.problems) == {"path"}


def test_variables_of_the_bridge_are_not_read_for_the_page(monkeypatch):
    monkeypatch.setenv("SECRET", "hush")
    kept = KeptDestination(name="hook", kind="webhook", values={"url": "http://x/$SECRET"})

    assert open_destination(kept, FILES).channel.url == "http://x/$SECRET"


def test_whatever_a_class_of_one_s_own_says_is_one_line_without_the_secret():
    kept = KeptDestination(name="p", kind=f"{__name__}.Pager", values={"pin": "hush-hush"})

    with pytest.raises(ChannelSettingsError) as caught:
        open_destination(kept, FILES)

    assert str(caught.value) == f"{__name__}.Pager: TypeError: *** is no pin"


# --- side by side --------------------------------------------------------------------------------


def test_all_sources_are_listed_and_watched():
    kept = Kept((kept_alarm("mine"),), (kept_file("notes"),))

    listing = list_all(FILE, Rules(parse_rules("crashed")), kept, FILES)

    assert [(one.name, one.source) for one in listing.alarms] == [
        ("errors", "file"),
        ("crashed", "variable"),
        ("mine", "page"),
    ]
    active = listing.active()
    assert [rule.name for rule in active.rules] == ["errors", "crashed", "mine"]
    assert [one.name for one in active.destinations] == ["ops", "notes"]


def test_what_is_paused_is_listed_and_not_watched():
    kept = Kept(
        (KeptAlarm(name="mine", table={"when": "error"}, paused=True),),
        (kept_file("notes", paused=True),),
    )

    listing = list_all(Rules(), Rules(), kept, FILES)

    assert [(one.name, one.paused) for one in listing.alarms] == [("mine", True)]
    assert listing.active() == Rules()


def test_the_second_of_a_name_is_not_used_and_says_why():
    kept = Kept((kept_alarm("errors"),), (kept_file("ops"),))

    listing = list_all(FILE, Rules(), kept, FILES)

    assert listing.active() == FILE
    for one in (listing.alarms[1], listing.destinations[1]):
        assert one.problem == "not used: another of this name is made in the file"


def test_what_cannot_be_used_any_more_says_why_and_disturbs_nothing_else():
    kept = Kept(
        (KeptAlarm(name="old", table={"when": "gone"}), kept_alarm("mine", to=["lost", "ops"])),
        (KeptDestination(name="pager", kind="no.such.Class", values={}),),
    )

    listing = list_all(FILE, Rules(), kept, FILES)

    said = {one.name: one.problem for one in (*listing.alarms, *listing.destinations)}
    assert said["old"].startswith("old: when is 'gone'")
    assert said["mine"] == "there is no destination 'lost'"
    assert said["pager"].startswith("cannot import no.such")
    assert [rule.name for rule in listing.active().rules] == ["errors", "mine"]
