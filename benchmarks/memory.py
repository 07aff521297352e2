"""The most memory that a process ever had."""

from __future__ import annotations

import resource
import sys
from pathlib import Path


def peak_memory(process: int | None = None) -> int:
    """Largest resident memory since a process's start, in bytes.

    Args:
        process: whose; without it, that of the caller.
    """
    status = Path(f"/proc/{process or 'self'}/status")
    if process is not None or status.exists():
        # Not what getrusage tells: that of a child begins with its parent's before exec.
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else largest * 1024
