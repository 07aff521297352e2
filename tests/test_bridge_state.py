import stat

import pytest

from otelbridge.bridge_state import StateFile, state_folder
from otelbridge.settings import read_settings

DATA = {"one": [1, 2.5, None], "zwei": "Größe"}


def kept(data):
    return data


def test_what_was_saved_is_there_for_the_next_process(tmp_path):
    StateFile(tmp_path / "made" / "errors.json").save(DATA)

    assert StateFile(tmp_path / "made" / "errors.json").load(kept, {}) == DATA


def test_a_file_that_is_not_there_is_nothing_and_not_worth_a_word(tmp_path, caplog):
    assert StateFile(tmp_path / "errors.json").load(kept, {"none": 1}) == {"none": 1}
    assert not caplog.records


@pytest.mark.parametrize("content", [b'{"one": [1, 2', b"\xff\xfe\x00", b"", b"[" * 100_000])
def test_a_damaged_file_is_set_aside_and_said(tmp_path, caplog, content):
    path = tmp_path / "errors.json"
    path.write_bytes(content)

    assert StateFile(path).load(kept, {}) == {}

    (aside,) = tmp_path.iterdir()
    assert aside.name.startswith("errors.json.damaged-")
    assert aside.read_bytes() == content
    assert [str(aside) in record.getMessage() for record in caplog.records] == [True]


def test_a_file_of_another_shape_is_set_aside_too(tmp_path):
    file = StateFile(tmp_path / "errors.json")
    file.save(["a list"])

    assert file.load(lambda data: dict(data.items()), {}) == {}
    file.save(DATA)

    assert file.load(lambda data: dict(data.items()), {}) == DATA
    assert len(list(tmp_path.iterdir())) == 2


def test_what_cannot_be_written_leaves_the_file_as_it_was(tmp_path):
    file = StateFile(tmp_path / "errors.json")
    file.save(DATA)

    with pytest.raises(TypeError):
        file.save({"one": object()})

    assert file.load(kept, {}) == DATA
    assert list(tmp_path.iterdir()) == [file.path]


def test_only_its_owner_can_read_it(tmp_path):
    file = StateFile(tmp_path / "users.json")
    file.save(DATA)

    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


def test_it_stands_beside_the_store(tmp_path):
    embedded = read_settings({}, store=f"sqlite:///{tmp_path}/store.db")
    elsewhere = read_settings({}, store="http://127.0.0.1:9", spool_dir=tmp_path / "spool")

    assert state_folder(embedded) == tmp_path / "store.db.state"
    assert state_folder(elsewhere) == tmp_path / "otelbridge.state"
