"""The tests of ``tests/web/test_errors.py``, over Elasticsearch."""

# The fixtures of this folder stand in the place of those there.
from tests.web.test_errors import *  # noqa: F403
