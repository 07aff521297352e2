"""What to say when an optional part of the package is not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click


@contextmanager
def needs_bridge(extra: str = "bridge") -> Iterator[None]:
    """Turn a missing third-party module into one line that says what to install.

    Args:
        extra: the name of the extra that holds the module.

    Raises:
        click.ClickException: a module of another package could not be found.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "otelbridge":
            raise
        raise click.ClickException(
            f"this needs {error.name}, which is not installed: pip install 'otelbridge[{extra}]'"
        ) from None
