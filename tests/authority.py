"""A certificate authority for one test: TLS with real certificates, made by openssl."""

from __future__ import annotations

import subprocess
from pathlib import Path


class Authority:
    """Issues certificates for the loopback address."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.certificate, self.key = folder / "ca.pem", folder / "ca.key"
        self._openssl("req", "-x509", "-subj", "/CN=test ca", "-days", "2", "-keyout", self.key, "-out", self.certificate)

    def issue(self, name: str) -> tuple[Path, Path]:
        """A certificate and its private key (PEM)."""
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        subject = ("-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE")
        signer = ("-CA", self.certificate, "-CAkey", self.key)
        self._openssl("req", "-x509", "-days", "2", "-keyout", key, "-out", certificate, *subject, *signer)
        return certificate, key

    def _openssl(self, *words: str | Path) -> None:
        options = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        subprocess.run(["/usr/bin/openssl", *map(str, words), *options], check=True, capture_output=True)
