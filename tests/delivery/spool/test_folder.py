"""Folders and names: any service has one of its own, and names sort by time."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otelbridge.delivery.spool import SpoolError, spool_folder
from otelbridge.delivery.spool.folder import (
    SegmentName,
    become_owner,
    list_folder,
    make_folder,
)

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


def test_a_spool_is_found_by_service_sink_and_signal():
    base = Path("/var/spool/otelbridge")

    assert spool_folder(base, "shop", "otlp", "logs") == base / "shop" / "otlp" / "logs"
    assert spool_folder(None, "shop", "otlp", "logs") is None


@given(NAMES)
def test_whatever_a_service_is_called_its_folder_is_one_below(name):
    folder = spool_folder(Path("/base"), name)

    assert folder.parent == Path("/base")
    assert folder.name not in {"", ".", ".."}
    assert len(folder.name.encode()) <= 255
    assert folder.name.isascii()
    assert not set(folder.name) & set('/\\:*?"<>|\0 ')


@given(NAMES, NAMES)
def test_different_services_have_different_folders(one, other):
    same = spool_folder(Path("/base"), one) == spool_folder(Path("/base"), other)

    assert same == (one == other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("a/b", "a%2f.b"), ("", "%"), (".", "%."), ("é", "%e9."), ("x" * 101, "x" * 102)],
)
def test_names_that_look_alike_are_told_apart(one, other):
    assert spool_folder(Path("/base"), one) != spool_folder(Path("/base"), other)


def test_a_name_that_no_encoding_takes_has_a_folder():
    assert spool_folder(Path("/base"), "\ud800" * 200).name.isascii()


def test_segments_sort_by_time_also_when_the_clock_is_set_back(monkeypatch):
    clock = iter([5_000_000_000, 6_000_000_000, 1_000_000_000, 1_000_000_000, 7_000_000_000])
    monkeypatch.setattr(time, "time_ns", lambda: next(clock) * 1_000)
    names, last = [], 0
    for _ in range(5):
        name, last = SegmentName.now("12-0011aabb", last)
        names.append(name)

    assert sorted(names) == names
    assert sorted(map(str, names)) == list(map(str, names))
    assert len(set(names)) == 5
    assert [SegmentName.parse(str(name)) for name in names] == names


@given(st.text(max_size=80))
def test_no_other_name_is_a_segments(text):
    assert SegmentName.parse(text) is None


def test_two_owners_of_one_process_are_two(tmp_path):
    one, lock = become_owner(tmp_path / "a")
    two, other = become_owner(tmp_path / "a")

    assert one != two
    assert list_folder(tmp_path / "a").owners == {one, two}
    lock.remove()
    other.remove()
    assert list_folder(tmp_path / "a").owners == set()


def test_a_folder_of_another_user_is_not_used(tmp_path, monkeypatch):
    """Somebody may have made it in the temporary folder, to be there first."""
    folder = tmp_path / "spool"
    folder.mkdir()
    if os.geteuid() == 0:
        os.chown(folder, 65_533, 65_533)
    monkeypatch.setattr(os, "geteuid", lambda: 65_532)

    with pytest.raises(SpoolError, match=r"spool: it belongs to another user$"):
        make_folder(folder)
