"""The tests of ``tests/web/test_overviews.py``, over Elasticsearch."""

# The fixtures of this folder stand in the place of those there.
from tests.web.test_overviews import *  # noqa: F403
