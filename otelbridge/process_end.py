"""Ends of a process at which Python runs no exit functions, and what is still done there.

- A child of :mod:`multiprocessing` (or of Celery's billiard) ends without them after its work.
- A signal that nobody handles ends the process at once.
- ``os.exec*`` replaces the program by another one.

``os._exit`` and ``kill -9`` are left as they are: they cost what is not yet in the spool.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any, Final

from otelbridge.imports import when_imported

# What ends a process by default, and is sent by those who want it to end in good order.
_SIGNALS: Final = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)
)
# After the program's own, which may log.
_LAST: Final = -1000
# What a signal's handler allows the end beyond the time that sending may take.
_GRACE_SECONDS: Final = 2.0


def watch_children(end: Callable[[], object]) -> None:
    """Have children of multiprocessing end their telemetry before they end.

    Args:
        end: what a child is to do then.
    """
    for module in ("multiprocessing.util", "billiard.util"):
        when_imported(module, functools.partial(_watch_children_of, module, end))


def watch_signals(end: Callable[[int], object], seconds: float) -> None:
    """Have the telemetry ended before a signal that nobody handles ends the process.

    A handler that the program sets, now or later, is left alone. The process ends by the signal,
    as it would without this.

    Args:
        end: what is to be done first, for the signal of this number.
        seconds: how long that may take.
    """
    # uWSGI's own handlers are invisible to Python and would be replaced.
    if threading.current_thread() is not threading.main_thread() or "uwsgi" in sys.modules:
        return

    def ended(number: int, frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)

        def finish() -> None:
            try:
                end(number)
            finally:
                os.kill(os.getpid(), number)

        # Not here: the program may be amid something that ending it needs, a lock for instance.
        thread = threading.Thread(target=finish, name="otelbridge-end", daemon=True)
        thread.start()
        thread.join(seconds + _GRACE_SECONDS)

    for number in _SIGNALS:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, ended)


def watch_uvicorn(end: Callable[[int], object], seconds: float) -> None:
    """Watch for signals anew where uvicorn begins to: its worker for gunicorn has reset them.

    uvicorn handles a signal itself, and when it is done has what was there before handle it too.
    """

    def watch() -> None:
        server: Any = sys.modules["uvicorn.server"]
        capture = server.Server.capture_signals

        @functools.wraps(capture)
        def capture_signals(self: Any) -> Any:
            watch_signals(end, seconds)
            return capture(self)

        server.Server.capture_signals = capture_signals

    when_imported("uvicorn.server", watch)


def watch_exec(keep: Callable[[], object]) -> None:
    """Have records kept before the program is replaced by another.

    Args:
        keep: what is to be done first; must be quick.
    """
    # All of os.exec* come to these two.
    for name in ("execv", "execve"):
        original = getattr(os, name, None)
        if original is not None:
            setattr(os, name, _after(keep, original))


def _after(keep: Callable[[], object], original: Any) -> Any:
    @functools.wraps(original)
    def replaced(*args: Any, **kwargs: Any) -> Any:
        keep()
        return original(*args, **kwargs)

    return replaced


def _watch_children_of(module: str, end: Callable[[], object]) -> None:
    util = sys.modules[module]

    def forked(_: object) -> None:
        util.Finalize(None, end, exitpriority=_LAST)

    # Keyed by an object that lives as long as the function does.
    util.register_after_fork(end, forked)
    process = sys.modules.get(module.replace("util", "process"))
    parent = getattr(process, "parent_process", None)
    if parent is not None and parent() is not None:
        forked(None)  # this is a child already, and was not forked
