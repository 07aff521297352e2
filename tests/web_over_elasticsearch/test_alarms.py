"""Tests of ``tests/web/test_alarms.py`` that ask the store, over Elasticsearch."""

# The fixtures of this folder stand in the place of those there.
from tests.web.test_alarms import (  # noqa: F401
    hook,
    test_a_first_alarm_is_made_fires_and_is_told,
    test_html_in_names_is_shown_as_text,
    test_the_number_that_fired_is_that_of_the_list_behind_it,
)
