"""Many small programs, each in a process of its own that has the imports behind it already.

Most of what a small program costs is importing OpenTelemetry. One process does that, and each
program is run in a fork of it, to the end that any process comes to.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from programs import environment

_FORGE = """
import json, os, sys
import otelbridge.pipeline, otelbridge.telemetry, otelbridge.sinks.otlp_logging
import otelbridge.errors.watch, otelbridge.frameworks.apps, otelbridge.process_metrics
import opentelemetry.exporter.otlp.proto.http._log_exporter
import opentelemetry.exporter.otlp.proto.http.metric_exporter
import opentelemetry.exporter.otlp.proto.http.trace_exporter
import otelbridge.sinks.otlp_connection, otelbridge.sinks.otlp_request
for line in sys.stdin:
    job = json.loads(line)
    child = os.fork()
    if not child:
        break
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
else:
    sys.exit()
os.environ.update(job["environ"])
for name, descriptor in (("out", 1), ("err", 2)):
    os.dup2(os.open(job[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
exec(compile(job["program"], "<string>", "exec"), {"__name__": "__main__"})
"""


class Forge:
    """A process that runs programs in forks of itself; to be used with ``with``."""

    def __init__(self, folder: Path) -> None:
        """Keep what programs print in ``folder``."""
        self._folder = folder

    def __enter__(self) -> Forge:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _FORGE],
            env=environment({}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.wait(60) == 0

    def finish(self, program: str, environ: dict[str, str]) -> tuple[str, str]:
        """Run a program that must succeed; return what it wrote to stdout and to stderr."""
        out, err = self._folder / "out", self._folder / "err"
        job = {"program": program, "environ": environ, "out": str(out), "err": str(err)}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        code = self._process.stdout.readline().strip()
        assert code == "0", err.read_text()
        return out.read_text(), err.read_text()
