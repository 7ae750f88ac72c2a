"""Certificates for the tests: two authorities, of which only the first has signed the servers' certificate."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import trustme

from sanicbase.testing.private_server import Certificate

__all__ = ["Files", "make_certificates"]


class Files(NamedTuple):
    """Paths of PEM files, and what a server shows: a certificate for `localhost`, and for no other name."""

    ca: Path
    other_ca: Path
    client: Path
    client_key: Path
    server: Certificate


def make_certificates(directory: Path) -> Files:
    """Write the files into the directory."""
    ca, other = trustme.CA(), trustme.CA()
    client, server = ca.issue_cert("client"), ca.issue_cert("localhost")
    authority = ca.cert_pem.bytes()

    def written(name: str, pem: bytes) -> Path:
        path = directory / name
        path.write_bytes(pem)
        return path

    return Files(
        ca=written("ca.pem", authority),
        other_ca=written("other_ca.pem", other.cert_pem.bytes()),
        client=written("client.pem", client.cert_chain_pems[0].bytes()),
        client_key=written("client_key.pem", client.private_key_pem.bytes()),
        server=Certificate(server.cert_chain_pems[0].bytes(), server.private_key_pem.bytes(), authority),
    )
