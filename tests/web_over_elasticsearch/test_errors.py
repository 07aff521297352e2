"""Tests of ``tests/web/test_errors.py`` that ask the store, over Elasticsearch."""

# The fixtures of this folder stand in the place of those there.
from tests.web.test_errors import (  # noqa: F401
    test_a_group_is_one_row_with_what_where_and_how_often,
    test_a_group_without_errors_in_the_range_shows_its_last_one,
    test_a_query_and_a_range_choose_groups,
    test_a_resolved_error_that_returns_is_reopened,
    test_a_traceback_of_ten_megabytes_is_shown_by_its_ends,
    test_an_error_of_another_road_is_found_by_its_type_whatever_characters_it_has,
    test_every_number_of_a_group_is_that_of_the_list_behind_it,
    test_one_error_of_two_services_is_one_group_with_two_services,
    test_raised_from_another_error_the_one_raised_last_is_reported,
    test_states_outlive_the_bridge,
    test_the_count_is_that_of_the_list_behind_it,
)
