"""Proxies in front of a Postgres that make it another one: in another language, older, or with a certificate."""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.faults.cutting_proxy import BLOCK, CuttingProxy

SSL_REQUEST = 8
"""Bytes of the message with which a client asks for encryption."""


class DisguisedServer(CuttingProxy):
    """Says some things otherwise, in as many bytes.

    :param target: the server's Unix socket
    :param instead: what the client is given, by what the server says
    """

    def __init__(self, target: Path, instead: Mapping[bytes, bytes]) -> None:
        super().__init__(target)
        assert all(len(said) == len(given) for said, given in instead.items())
        self._instead_of = instead

    def disguise(self, block: bytes) -> bytes:
        for said, given in self._instead_of.items():
            block = block.replace(said, given)
        return block


class PoolerThatWaits(CuttingProxy):
    """Says once why its server refuses, and then nothing, as a pooler does until it asks the server again."""

    def __init__(self, target: Path) -> None:
        super().__init__(target)
        self._asked = False

    def welcome(self, client: socket.socket) -> bool:
        first, self._asked = not self._asked, True
        return first


class UntrustedServer(CuttingProxy):
    """Agrees to encryption, and shows a certificate that nobody has signed but itself.

    :param folder: where its key goes
    """

    def __init__(self, target: Path, folder: Path) -> None:
        super().__init__(target)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(_self_signed(folder))

    def welcome(self, client: socket.socket) -> bool:
        client.recv(SSL_REQUEST, socket.MSG_WAITALL)
        client.sendall(b"S")
        with suppress(ssl.SSLError, OSError):
            self._context.wrap_socket(client, server_side=True)
        return False


class SpoiledEncryption(UntrustedServer):
    """Encrypts one session after another, and sends a record that no key opens, as a broken network does.

    :param folder: where its key goes
    :param behind: what the client has said before, in one message
    """

    def __init__(self, target: Path, folder: Path, behind: bytes) -> None:
        super().__init__(target, folder)
        self._behind = behind

    def welcome(self, client: socket.socket) -> bool:
        client.recv(SSL_REQUEST, socket.MSG_WAITALL)
        client.sendall(b"S")
        with (
            suppress(OSError),
            client.dup() as network,
            self._context.wrap_socket(client, server_side=True) as encrypted,
            socket.socket(socket.AF_UNIX) as server,
        ):
            server.connect(str(self._target))
            while True:
                ready = [encrypted] if encrypted.pending() else select.select([encrypted, server], [], [])[0]
                source, to = (encrypted, server) if encrypted in ready else (server, encrypted)
                if not (block := source.recv(BLOCK)):
                    break
                if source is encrypted and self._behind in block:
                    network.sendall(b"\x17\x03\x03" + (32).to_bytes(2, "big") + bytes(32))
                to.sendall(block)
        return False


def _self_signed(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    form = serialization.Encoding.PEM
    path.write_bytes(
        key.private_bytes(form, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(form)
    )
    return path
