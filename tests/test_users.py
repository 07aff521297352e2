"""Users: kept as hashes, for their owner's eyes only, and never by accident everybody."""

from __future__ import annotations

import json
import stat

import pytest

from otelbridge.settings import SettingsError, read_settings
from otelbridge.users import UserError, Users, make_hash, users_of

PASSWORD = "correct horse battery"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "users.json"


@pytest.fixture
def users(path):
    return Users(path)


def test_a_user_is_known_by_name_and_password(users):
    assert users.add("ada", PASSWORD)

    assert users.check("ada", PASSWORD)
    assert not users.check("ada", PASSWORD + "!")
    assert not users.check("Ada", PASSWORD)
    assert not users.check("", "")


def test_the_file_holds_no_password_and_only_its_owner_reads_it(users, path):
    users.add("ada", PASSWORD)

    assert PASSWORD not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (kept,) = json.loads(path.read_text()).values()
    assert (kept["n"], kept["r"], kept["p"]) == (2**15, 8, 3)


def test_two_users_with_one_password_have_different_hashes(users):
    assert make_hash(PASSWORD) != make_hash(PASSWORD)


def test_another_password_takes_the_place_of_the_first_and_of_its_sessions(users):
    users.add("ada", PASSWORD)
    key = users.key("ada")

    assert not users.add("ada", "another password")

    assert not users.check("ada", PASSWORD)
    assert users.key("ada") != key


def test_a_change_by_another_process_is_seen(users, path):
    assert not users
    other = Users(path)

    other.add("ada", PASSWORD)
    assert users.names() == ["ada"]
    other.remove("ada")

    assert users.key("ada") is None
    assert not users


@pytest.mark.parametrize(
    ("name", "password", "says"),
    [
        ("", PASSWORD, "a name has"),
        ("a:b", PASSWORD, "no colon"),
        ("a\nb", PASSWORD, "a name has"),
        (" a", PASSWORD, "begins nor ends"),
        ("a" * 101, PASSWORD, "up to 100"),
        ("ada", "short", "8 to 1,024 characters"),
        ("ada", "x" * 1025, "8 to 1,024 characters"),
    ],
)
def test_a_name_or_password_that_is_not_allowed_is_said(users, path, name, password, says):
    with pytest.raises(UserError, match=says):
        users.add(name, password)

    assert not path.exists()


def test_removing_nobody_says_who_there_is(users):
    users.add("ada", PASSWORD)

    with pytest.raises(UserError, match="no user 'bob'; there are: ada"):
        users.remove("bob")


def test_a_spoiled_file_lets_nobody_in_and_is_not_written_over(users, path, caplog):
    users.add("ada", PASSWORD)
    assert users.names() == ["ada"]
    path.write_text("{")

    assert users.names() == ["ada"]
    fresh = Users(path)
    assert fresh
    assert fresh.names() == []
    with pytest.raises(UserError, match="cannot be read"):
        fresh.add("bob", PASSWORD)
    assert path.read_text() == "{"
    assert "users stay as they were" in caplog.text


def test_a_login_of_variables_is_a_user_who_is_not_kept(tmp_path):
    users = users_of(read_settings({}, login="ada", password=PASSWORD), tmp_path)

    assert users.names() == ["ada"]
    assert users.check("ada", PASSWORD)
    assert list(tmp_path.iterdir()) == []
    again = users_of(read_settings({}, login="ada", password=PASSWORD), tmp_path)
    assert again.key("ada") == users.key("ada")


@pytest.mark.parametrize("half", [{"login": "ada"}, {"password": PASSWORD}])
def test_half_a_login_is_a_wrong_setting(tmp_path, half):
    with pytest.raises(SettingsError, match="set together"):
        users_of(read_settings({}, **half), tmp_path)
