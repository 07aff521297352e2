"""An authority of our own, and server certificates by it that hold or have expired."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

_CONFIG = """
[ca]
default_ca = own
[own]
dir = {folder}
database = $dir/index
serial = $dir/serial
new_certs_dir = $dir
default_md = sha256
policy = any
[any]
commonName = supplied
[names]
subjectAltName = DNS:localhost,IP:127.0.0.1
"""


class Authority:
    """Makes certificates for ``localhost`` with openssl.

    Attributes:
        file: what senders trust.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._config = folder / "openssl.cnf"
        self._config.write_text(_CONFIG.format(folder=folder))
        (folder / "index").touch()
        (folder / "serial").write_text("1000\n")
        self.file, self._key = folder / "authority.crt", folder / "authority.key"
        self._openssl(
            *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30"),
            *("-subj", "/CN=drill authority", "-keyout", self._key, "-out", self.file),
        )

    def certify(self, name: str, *, expired: bool) -> tuple[Path, Path]:
        """Make a certificate; returns it and its key."""
        certificate, key = self._folder / f"{name}.crt", self._folder / f"{name}.key"
        request = self._folder / f"{name}.csr"
        self._openssl(
            *("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}"),
            *("-keyout", key, "-out", request),
        )
        ends = "20200201000000Z" if expired else "20990101000000Z"
        self._openssl(
            *("ca", "-batch", "-config", self._config, "-extensions", "names", "-notext"),
            *("-cert", self.file, "-keyfile", self._key, "-in", request, "-out", certificate),
            *("-startdate", "20200101000000Z", "-enddate", ends),
        )
        return certificate, key

    def _openssl(self, *arguments: str | Path) -> None:
        done = subprocess.run(["openssl", *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Speak TLS with a certificate; another may be loaded into it for connections to come."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context
