"""The functions that stages begin with exist, and one that does not is named."""

from __future__ import annotations

import pytest

from benchmarks.profile import STAGES, find, missing


def test_every_stage_names_functions_that_exist() -> None:
    assert missing(STAGES) == []


def test_each_that_is_missing_is_named_with_its_stage() -> None:
    stages = {
        "fine": ("json:JSONEncoder.encode",),
        "gone": ("json:JSONEncoder.removed", "json.nowhere:encode"),
    }
    method, module = missing(stages)
    assert method.startswith("gone: json:JSONEncoder.removed (")
    assert module.startswith("gone: json.nowhere:encode (")


def test_a_function_is_found_where_it_is_called_from() -> None:
    import json

    assert find("json:JSONEncoder.encode") == (json.JSONEncoder, "encode", json.JSONEncoder.encode)
    with pytest.raises(LookupError, match="json:nothing"):
        find("json:nothing")
