"""TLS of a client: whom it trusts, and how it shows who it is."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc

from pipeline.errors import InputError


@dataclass(frozen=True)
class TlsOptions:
    """PEM files for an encrypted connection.

    Attributes:
        ca: certificates of the authorities that may vouch for the server; None takes gRPC's own list of public ones.
        cert: the client's certificate and what leads to its authority, where the server asks for one.
        key: the private key of `cert`, not encrypted.

    Raises:
        InputError: a file that cannot be read or used, or `cert` or `key` alone.
    """

    ca: Path | str | None = None
    cert: Path | str | None = None
    key: Path | str | None = None

    def __post_init__(self) -> None:
        if (self.cert is None) != (self.key is None):
            given, lacking = ("key", "certificate") if self.cert is None else ("certificate", "key")
            raise InputError(f"there is a TLS {given} without its {lacking}; give both, or neither")
        self.credentials()  # reads the files
        # Of what is wrong in them gRPC would say no more than that the server is unavailable.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self.ca is not None:
            try:
                context.load_verify_locations(self.ca)
            except ssl.SSLError as error:
                raise InputError(f"{self.ca} holds no certificate in PEM format ({error.reason})") from error
        if self.cert is not None and self.key is not None:
            try:
                # Without a password to try, OpenSSL would ask for one on the terminal.
                context.load_cert_chain(self.cert, self.key, password="")
            except ssl.SSLError as error:
                raise InputError(
                    f"{self.cert} and {self.key} are no certificate and its unencrypted private key in PEM format "
                    f"({error.reason})"
                ) from error

    def credentials(self) -> grpc.ChannelCredentials:
        """The files' contents as gRPC takes them."""
        ca, key, cert = (None if path is None else _read(path) for path in (self.ca, self.key, self.cert))
        return grpc.ssl_channel_credentials(root_certificates=ca, private_key=key, certificate_chain=cert)


def _read(path: Path | str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"cannot read the TLS file {path}: {error.strerror}") from error
