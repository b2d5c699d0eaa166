"""The key of a made-up service account, whose tokens the stand-in gives out itself."""

from __future__ import annotations

import functools


@functools.cache
def _private_key() -> str:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    # Google's have 2048 bits. Each client that is made checks its key, and one of 2048 bits takes six times as long.
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def service_account_key(url: str, project: str = "taxiway-test") -> dict[str, str]:
    """The content of a key file, made anew in every process, with which the production path of credentials runs.

    :param url: of the stand-in; its ``/token`` answers any signed request
    :param project: the service account's project
    """
    return {
        "type": "service_account",
        "project_id": project,
        "private_key_id": "0" * 40,
        "private_key": _private_key(),
        "client_email": f"taxiway@{project}.iam.gserviceaccount.com",
        "client_id": "100000000000000000000",
        "token_uri": f"{url}/token",
    }
