"""Imported by Python at its start, where ``otelbridge run`` put this folder on the path."""

import importlib.machinery
import importlib.util
import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 (pathlib is slow to load)


def _run_the_other() -> None:
    """Run the ``sitecustomize`` that this one hides, if there is one."""
    path = [folder for folder in sys.path if os.path.abspath(folder) != _HERE]  # noqa: PTH100
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", path)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


def _start() -> None:
    try:
        import otelbridge

        otelbridge.instrument()
    except ImportError as error:
        print(
            f"otelbridge run: {sys.executable} has no {error.name}; the command runs without it."
            " Install otelbridge into the environment the command uses.",
            file=sys.stderr,
        )


_run_the_other()
_start()
