"""The tests of ``tests/web/test_projects.py``, over Elasticsearch."""

# The fixtures of this folder stand in the place of those there.
from tests.web.test_projects import *  # noqa: F403
