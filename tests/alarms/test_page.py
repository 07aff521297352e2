"""What docs/alarms.md says is so."""

from __future__ import annotations

import re
from pathlib import Path

from otelbridge.alarms import KINDS, read_rules
from otelbridge.channels import KINDS as CHANNELS
from otelbridge.channels import find_channel

PAGE = (Path(__file__).parent.parent.parent / "docs" / "alarms.md").read_text()


def test_its_example_is_a_file_of_rules(tmp_path):
    path = tmp_path / "alarms.toml"
    path.write_text(re.search(r"<!-- rules -->\n```toml\n(.*?)```", PAGE, re.S)[1])

    found = read_rules(path, {"TELEGRAM_TOKEN": "1:A"})

    assert [one.name for one in found.destinations] == ["ops", "log"]
    assert len(found.rules) == 6
    assert found.rules[1].hold == 120


def test_its_table_lists_every_kind_with_its_keys():
    _, *rows = re.findall(r"^\| `([a-z-]+)` \| .* \| (.*) \|$", PAGE, re.M)

    assert [name for name, _ in rows] == list(KINDS)
    for name, keys in rows:
        assert set(re.findall(r"`([a-z]+)`", keys)) == set(KINDS[name].keys)


def test_the_fields_of_channels_it_names_are_theirs():
    text = PAGE.partition("of that kind: ")[2].partition("class of your own")[0]

    for kind, fields in re.findall(r"`(\w+)` \(([^)]*)\)", text):
        form = {field.name for field in find_channel(kind).form()}
        assert set(re.findall(r"`(\w+)`", fields)) <= form
        assert {field.name for field in find_channel(kind).form() if field.required} <= set(
            re.findall(r"`(\w+)`", fields)
        )
    assert set(CHANNELS) <= set(re.findall(r"`(\w+)` \(", text))
