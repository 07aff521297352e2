"""Which code is the program's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

import otelbridge
from otelbridge.records.own_code import OwnCode, is_library, short_path


@pytest.mark.parametrize(
    "path",
    [
        "/srv/shop/orders.py",
        # A folder that begins with a Python's name is a folder.
        "/srv/python3-shop/orders.py",
        "/srv/shop/lib/python/orders.py",
        "/srv/shop/site-packages.py",
        "/srv/shop/my-site-packages-tool/run.py",
        "/srv/app.pyz/shop/orders.py",
        "orders.py",
        "<stdin>",
        "<string>",
        "<ipython-input-1>",
    ],
)
def test_own(path: str) -> None:
    assert not is_library(path)


@pytest.mark.parametrize(
    "path",
    [
        json.__file__,
        os.__file__,
        pytest.__file__,
        "/srv/shop/.venv/lib/python3.12/site-packages/requests/api.py",
        "/srv/shop/.venv/lib/python3.9/site-packages/tool.egg/tool/run.py",
        "/usr/lib/python3/dist-packages/apt/cache.py",
        "<frozen importlib._bootstrap>",
        "<frozen runpy>",
        "<attrs generated init shop.Order>",
        str(Path(otelbridge.__file__).parent / "errors" / "hooks.py"),
    ],
)
def test_not_own(path: str) -> None:
    assert is_library(path)


def test_a_setting_adds_and_takes_away() -> None:
    installed = "/srv/.venv/lib/python3.12/site-packages/mycompany/billing/tax.py"
    own = OwnCode(["mycompany", "!mycompany.vendor", "!/srv/shop/vendor"])
    assert own.is_own_file(installed, "mycompany.billing.tax")
    assert not own.is_own_file(installed, "mycompanyother.tax")
    assert not own.is_own_file(installed, "mycompany.vendor.six")
    assert not own.is_own_file("/srv/shop/vendor/six.py", "six")
    assert own.is_own_file("/srv/shop/vendors.py", "vendors")


def test_the_last_entry_that_applies_wins() -> None:
    own = OwnCode(["!/srv/shop", "shop.orders"])
    assert not own.is_own_file("/srv/shop/basket.py", "shop.basket")
    assert own.is_own_file("/srv/shop/orders.py", "shop.orders")


PROGRAM = """
import json, sys
from otelbridge.records.tracebacks import format_traceback
{do}
try:
    act()
except Exception as error:
    print(format_traceback(error, {form!r}))
"""


def run(python: str, do: str, form: str = "clean", **options: object) -> str:
    done = subprocess.run(
        [python, "-c", PROGRAM.format(do=do, form=form)],
        capture_output=True,
        text=True,
        check=False,
        **options,  # type: ignore[call-overload]
    )
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


def with_otelbridge(*folders: Path) -> dict[str, str]:
    """An environment in which any Python finds this package and what it needs."""
    installed = [path for path in sys.path if "site-packages" in path]
    package = str(Path(otelbridge.__file__).parents[1])
    return {**os.environ, "PYTHONPATH": os.pathsep.join([*map(str, folders), package, *installed])}


def test_a_virtual_environment_inside_the_project(tmp_path: Path) -> None:
    environment = tmp_path / "shop" / ".venv"
    venv.create(environment, with_pip=False, symlinks=True)
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    installed = environment / "lib" / version / "site-packages"
    (installed / "thirdparty.py").write_text("def act():\n    raise ValueError('x')\n")
    (tmp_path / "shop" / "orders.py").write_text(
        "import thirdparty\ndef act():\n    thirdparty.act()\n"
    )
    clean = run(
        str(environment / "bin" / "python"),
        "from orders import act",
        cwd=tmp_path / "shop",
        env=with_otelbridge(tmp_path / "shop", installed),
    )
    assert "orders.py" in clean
    assert "thirdparty.py" not in clean


def test_a_zipped_program(tmp_path: Path) -> None:
    archive = tmp_path / "app.pyz"
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("orders.py", "import json\ndef act():\n    json.loads('{')\n")
    environ = with_otelbridge(archive)
    clean = run(sys.executable, "from orders import act", env=environ)
    assert "app.pyz/orders.py" in clean
    assert "json.loads('{')" in clean
    assert "decoder.py" not in clean
    minimal = run(sys.executable, "from orders import act", "minimal", env=environ)
    assert minimal.startswith("orders.py:3 in act - json.decoder.JSONDecodeError: ")


def test_an_editable_install_is_own(tmp_path: Path) -> None:
    source, installed = tmp_path / "src", tmp_path / "env" / "site-packages"
    source.mkdir()
    installed.mkdir(parents=True)
    (source / "orders.py").write_text("import json\ndef act():\n    json.loads('{')\n")
    (installed / "_orders.pth").write_text(f"{source}\n")
    do = f"import site; site.addsitedir({str(installed)!r}); from orders import act"
    clean = run(sys.executable, do, env=with_otelbridge())
    assert "src/orders.py" in clean
    assert "decoder.py" not in clean


def test_the_variable_is_read(tmp_path: Path) -> None:
    (tmp_path / "orders.py").write_text("import json\ndef act():\n    json.loads('{')\n")
    environ = {**with_otelbridge(tmp_path), "OTELBRIDGE_OWN_CODE": "json, !orders"}
    clean = run(sys.executable, "from orders import act", env=environ)
    assert "decoder.py" in clean
    assert "orders.py" not in clean


def test_a_short_path_is_the_same_wherever_the_program_is_installed() -> None:
    assert short_path(json.__file__) == "json/__init__.py"
    assert short_path("<string>") == "<string>"
    assert short_path(str(Path.cwd() / "shop" / "orders.py")) == "shop/orders.py"
