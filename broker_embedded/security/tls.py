"""TLS settings of a listener, by Kafka's names, and the `ssl.SSLContext` they make (KIP-651 for PEM)."""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from broker_embedded.security.names import MappingRules

_VERIFY: Final = {
    "none": ssl.CERT_NONE,
    "requested": ssl.CERT_OPTIONAL,
    "required": ssl.CERT_REQUIRED,
}
_VERSIONS: Final = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}
_JKS_MAGIC: Final = bytes.fromhex("feedfeed")
_PEM_MAGIC: Final = b"-----BEGIN"


class TlsConfigError(ValueError):
    """A TLS setting is wrong or missing; the message names it."""


@dataclass(frozen=True, slots=True)
class Tls:
    """Certificates of a listener: PEM, inline or in files, or PKCS12 files.

    >>> Tls(keystore_location=Path("server.pem"), client_auth="required").client_auth
    'required'
    """

    keystore_location: Path | None = None  # PEM: key and certificate chain; PKCS12
    keystore_certificate_chain: str | None = None  # PEM, in place of a location
    keystore_key: str | None = None  # PEM
    keystore_key_location: Path | None = None  # ours: a PEM key in a file of its own
    keystore_password: str | None = None
    key_password: str | None = None
    truststore_location: Path | None = None
    truststore_certificates: str | None = None  # PEM
    truststore_password: str | None = None
    client_auth: str = "none"  # or "requested", "required"
    enabled_protocols: tuple[str, ...] = ("TLSv1.2", "TLSv1.3")
    principal_mapping_rules: str = "DEFAULT"

    def __post_init__(self) -> None:
        if self.client_auth not in _VERIFY:
            raise TlsConfigError(f"ssl.client.auth is {self.client_auth!r}: it is none, requested or required")
        if not self.enabled_protocols or not set(self.enabled_protocols) <= set(_VERSIONS):
            raise TlsConfigError(
                f"ssl.enabled.protocols is {','.join(self.enabled_protocols)!r}: served are {', '.join(_VERSIONS)}"
            )
        MappingRules(self.principal_mapping_rules)

    def context(self, listener: str) -> ssl.SSLContext:
        """The server's side; `listener` is for the words of errors. Raises TlsConfigError."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        versions = sorted(_VERSIONS[name] for name in self.enabled_protocols)
        context.minimum_version, context.maximum_version = versions[0], versions[-1]
        try:
            self._load_key(context)
            if self.client_auth != "none":
                self._load_trust(context)
        except (OSError, ssl.SSLError) as error:
            raise TlsConfigError(f"listener {listener}: {error}") from error
        context.verify_mode = _VERIFY[self.client_auth]
        return context

    def _load_key(self, context: ssl.SSLContext) -> None:
        password = self.key_password or self.keystore_password or ""  # never ask the terminal
        if self.keystore_location is None:
            if self.keystore_certificate_chain is None:
                raise TlsConfigError("no certificate: set ssl.keystore.location, or ssl.keystore.certificate.chain")
            key = self.keystore_key or _read(self.keystore_key_location)
            with _as_file(f"{key}\n{self.keystore_certificate_chain}\n".encode()) as path:
                context.load_cert_chain(path, password=password)
        elif _is_pem(self.keystore_location):
            context.load_cert_chain(self.keystore_location, self.keystore_key_location, password=password)
        else:
            with _as_file(_pkcs12_to_pem(self.keystore_location, self.keystore_password)) as path:
                context.load_cert_chain(path)

    def _load_trust(self, context: ssl.SSLContext) -> None:
        if self.truststore_location is not None and not _is_pem(self.truststore_location):
            pem = _pkcs12_to_pem(self.truststore_location, self.truststore_password).decode()
        else:
            pem = self.truststore_certificates or _read(self.truststore_location)
        if not pem:
            raise TlsConfigError(
                f"ssl.client.auth={self.client_auth} needs the certificates that clients' are signed by: set "
                "ssl.truststore.location, or ssl.truststore.certificates"
            )
        context.load_verify_locations(cadata=pem)


def _read(path: Path | None) -> str:
    return "" if path is None else path.read_text()


def _is_pem(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(4096)
    if head.startswith(_JKS_MAGIC):
        raise TlsConfigError(
            f"{path} is in Java's old format, JKS; turn it into PKCS12: keytool -importkeystore -srckeystore {path} "
            f"-destkeystore {path.with_suffix('.p12')} -deststoretype PKCS12"
        )
    return _PEM_MAGIC in head


def _pkcs12_to_pem(path: Path, password: str | None) -> bytes:
    """Key (if there is one) and certificates of a PKCS12 file."""
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.serialization import pkcs12
    except ImportError:
        raise TlsConfigError(
            f"{path} is a PKCS12 key store, which needs one more package: pip install 'streams-engine[tls]'. "
            "PEM files need none."
        ) from None
    try:
        store = pkcs12.load_pkcs12(path.read_bytes(), None if password is None else password.encode())
    except ValueError as error:
        raise TlsConfigError(f"{path} cannot be read as PKCS12 with the password given: {error}") from error
    pem = serialization.Encoding.PEM
    parts = []
    if store.key is not None:
        parts.append(store.key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    certificates = [store.cert, *store.additional_certs]
    parts += [found.certificate.public_bytes(pem) for found in certificates if found is not None]
    return b"".join(parts)


@contextmanager
def _as_file(pem: bytes) -> Iterator[str]:
    """A file, for a moment and for this user only: `ssl` reads keys from nowhere else."""
    descriptor, path = tempfile.mkstemp(suffix=".pem")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
        yield path
    finally:
        Path(path).unlink()
