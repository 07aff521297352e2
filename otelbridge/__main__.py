"""``python -m otelbridge`` is the ``otelbridge`` command."""

import sys

from otelbridge.cli import main

sys.exit(main())
