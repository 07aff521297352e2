"""Folders and files that one program alone sees otherwise, by a mount namespace of its own."""

from __future__ import annotations

import os
import shlex
import subprocess
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Mounts:
    """What a program is to see; empty, it sees what everybody does.

    Attributes:
        commands: shell commands that mount, run before the program.
    """

    commands: list[str] = field(default_factory=list)

    def small(self, folder: Path, size: int) -> None:
        """Give a folder a disk of its own, of so many bytes."""
        self._mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder)

    def read_only(self, folder: Path) -> None:
        """Let nothing be written into a folder, not even by root."""
        self._mount("--bind", folder, folder)
        self._mount("-o", "remount,ro,bind", folder)

    def replaced(self, path: Path, by: Path) -> None:
        """Show another file in a file's place."""
        self._mount("--bind", by, path)

    def command(self, program: list[str]) -> list[str]:
        """Wrap a command line; the process id stays the program's own."""
        if not self.commands:
            return program
        script = " && ".join([*self.commands, 'exec "$@"'])
        return [*_namespace(), "sh", "-c", script, "sh", *program]

    def _mount(self, *arguments: str | Path) -> None:
        self.commands.append(shlex.join(["mount", *(str(part) for part in arguments)]))


def can_mount() -> bool:
    """Tell whether this machine lets a program have mounts of its own."""
    return subprocess.run([*_namespace(), "true"], capture_output=True).returncode == 0


def _namespace() -> list[str]:
    # A user who is not root becomes it in a namespace of users.
    own = [] if os.geteuid() == 0 else ["--map-root-user"]
    return ["unshare", "--mount", *own]
