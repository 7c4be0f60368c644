"""A certificate authority for one test: TLS with real certificates, made by openssl."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key


class Authority:
    """Issues certificates for the loopback address."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.certificate, self.key = folder / "ca.pem", folder / "ca.key"
        self._openssl("req", "-x509", "-subj", "/CN=test ca", "-days", "2", "-keyout", self.key, "-out", self.certificate)

    def issue(self, name: str, alternative: str = "IP:127.0.0.1") -> tuple[Path, Path]:
        """A certificate and its private key (PEM)."""
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        subject = ("-subj", f"/CN={name}", "-addext", f"subjectAltName={alternative}", "-addext", "basicConstraints=critical,CA:FALSE")
        signer = ("-CA", self.certificate, "-CAkey", self.key)
        self._openssl("req", "-x509", "-days", "2", "-keyout", key, "-out", certificate, *subject, *signer)
        return certificate, key

    def moved(self, name: str, by: timedelta) -> tuple[Path, Path]:
        """As `issue`, with a day's validity that begins so much later or earlier: openssl's command signs for days to come only."""
        certificate, key = self.issue(name)
        ours = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        signer = load_pem_private_key(self.key.read_bytes(), None)
        assert isinstance(signer, EllipticCurvePrivateKey)
        like, begins = x509.load_pem_x509_certificate(certificate.read_bytes()), datetime.now(UTC) + by
        made = x509.CertificateBuilder(ours.subject, like.subject, like.public_key(), like.serial_number)
        made = made.not_valid_before(begins).not_valid_after(begins + timedelta(days=1))
        for one in like.extensions:
            made = made.add_extension(one.value, one.critical)
        certificate.write_bytes(made.sign(signer, SHA256()).public_bytes(Encoding.PEM))
        return certificate, key

    def _openssl(self, *words: str | Path) -> None:
        options = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        subprocess.run(["/usr/bin/openssl", *map(str, words), *options], check=True, capture_output=True)
