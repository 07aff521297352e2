"""Telling the program's own code from the standard library and from what is installed.

A frame is somebody else's if its file belongs to the standard library, lies in a folder for
installed packages (of any environment, also one inside the project's folder), is a command that
an environment made, or is this package. Everything else is the program's own: scripts, its
packages wherever they lie, editable installs, zipped applications, and what is typed into an
interpreter or given to ``python -c``. ``OTELBRIDGE_OWN_CODE`` has the last word.
"""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from collections.abc import Iterable
from functools import cache
from types import FrameType
from typing import Final

_INSTALLED_FOLDERS: Final = ("site-packages", "dist-packages")
_PACKAGE_FOLDER: Final = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120


class OwnCode:
    """Decides of frames whether they are the program's own.

    Args:
        entries: exceptions to the rule, of which the last that applies wins: a folder or file
            (``/srv/shop``, ``./vendor``) or a package (``mycompany``, ``mycompany.shop``) whose
            code is the program's own although it is installed, or, with a ``!`` before it, is not.
    """

    def __init__(self, entries: Iterable[str] = ()) -> None:
        self._packages: list[tuple[str, bool, int]] = []
        self._folders: list[tuple[str, bool, int]] = []
        for position, entry in enumerate(map(str.strip, entries)):
            own = not entry.startswith("!")
            name = entry.lstrip("!").strip()
            if not name:
                continue
            if os.sep in name or "/" in name or name.startswith((".", "~")):
                self._folders.append((_absolute(os.path.expanduser(name)), own, position))  # noqa: PTH111
            else:
                self._packages.append((name, own, position))
        self._known: dict[tuple[str, str], bool] = {}

    def is_own(self, frame: FrameType) -> bool:
        """Tell whether the code that a frame runs is the program's own."""
        module = frame.f_globals.get("__name__")
        path = frame.f_code.co_filename
        if path.startswith("<"):
            # Code made at run time belongs to the module that made it, if that has a file.
            made_by = frame.f_globals.get("__file__")
            path = made_by if isinstance(made_by, str) and not _frozen(path) else path
        return self.is_own_file(path, module if isinstance(module, str) else "")

    def is_own_file(self, path: str, module: str = "") -> bool:
        """Tell whether a file's code is the program's own.

        Args:
            path: as in ``co_filename``: absolute, relative to the working directory, inside a zip
                file, or ``<...>`` for code without a file.
            module: the module's name, if known.
        """
        known = self._known.get((path, module))
        if known is None:
            if len(self._known) > 10_000:
                # Notebooks and templates make up file names without end.
                self._known.clear()
            known = self._known[path, module] = self._decide(path, module)
        return known

    def _decide(self, path: str, module: str) -> bool:
        whole = path if path.startswith("<") else _absolute(path)
        decided, best = not is_library(path), -1
        for package, own, position in self._packages:
            if position > best and f"{module}.".startswith(f"{package}."):
                decided, best = own, position
        for folder, own, position in self._folders:
            if position > best and (whole == folder or whole.startswith(folder + os.sep)):
                decided, best = own, position
        return decided


def is_library(path: str) -> bool:
    """Tell by its path whether a file is Python's own or was installed."""
    if path.startswith("<"):
        return _frozen(path)
    whole = _absolute(path)
    if any(f"{os.sep}{folder}{os.sep}" in whole for folder in _INSTALLED_FOLDERS):
        return True
    if os.path.dirname(whole) in _command_folders():  # noqa: PTH120
        return True
    return whole.startswith(_library_folders())


_current: OwnCode | None = None


def own_code() -> OwnCode:
    """Return what decides in this process; by ``OTELBRIDGE_OWN_CODE`` where nothing was set."""
    global _current
    if _current is None:
        _current = OwnCode(os.environ.get("OTELBRIDGE_OWN_CODE", "").split(","))
    return _current


def decide_by(own: OwnCode) -> None:
    """Have ``own`` decide in this process from now on."""
    global _current
    _current = own


def short_path(path: str) -> str:
    """Write a file's path as it is imported: ``shop/orders.py`` for ``/srv/app/shop/orders.py``.

    It is the same wherever the program is installed.
    """
    if path.startswith("<"):
        return path
    whole = _absolute(path)
    best = ""
    for entry in (*sys.path, os.getcwd()):  # noqa: PTH109
        folder = os.path.abspath(entry or os.curdir)  # noqa: PTH100
        if len(folder) > len(best) and whole.startswith(folder.rstrip(os.sep) + os.sep):
            best = folder
    return whole[len(best.rstrip(os.sep)) + 1 :] if best else whole


def _frozen(path: str) -> bool:
    # attrs names the methods it makes so; dataclasses' are "<string>" with the class's module.
    return path.startswith(("<frozen ", "<attrs generated"))


def _absolute(path: str) -> str:
    try:
        return os.path.abspath(path)  # noqa: PTH100
    except (OSError, ValueError):
        # The working directory is gone, or a made-up name holds a null character.
        return path


@cache
def _library_folders() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    found = {paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    # site is not complete under every embedding of Python.
    found.update(getattr(site, "getsitepackages", list)())
    found.add(os.path.dirname(os.__file__))  # noqa: PTH120
    # The standard library in a zip file, as embedded distributions have it.
    found.update(path for path in sys.path if path.endswith(_zip_name()))
    found.add(_PACKAGE_FOLDER)
    found |= {os.path.realpath(path) for path in found}
    return tuple(path.rstrip(os.sep) + os.sep for path in found if len(path) > 1)


def _zip_name() -> str:
    return f"python{sys.version_info[0]}{sys.version_info[1]}.zip"


@cache
def _command_folders() -> frozenset[str]:
    """Folders of the commands that installing packages into a virtual environment has made."""
    if sys.prefix == sys.base_prefix:
        return frozenset()
    scripts = sysconfig.get_paths()["scripts"]
    return frozenset({scripts, os.path.realpath(scripts)})
