"""Cloud Storage's stand-in, by the real client: what the emulator does, and what is added to it."""

from __future__ import annotations

import base64
import gzip
import hashlib
from pathlib import Path

import pytest
from google.api_core.exceptions import Conflict, Forbidden, GoogleAPICallError, NotFound, PreconditionFailed
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from stand_ins.cloud_storage import CloudStorage


@pytest.fixture
def client(cloud_storage: CloudStorage) -> storage.Client:
    return storage.Client(project="p-1", credentials=AnonymousCredentials())


@pytest.fixture
def bucket(client: storage.Client) -> storage.Bucket:
    return client.create_bucket("lake", location="europe-west1")


def test_a_bucket_is_as_it_was_made(client: storage.Client) -> None:
    wanted = client.bucket("lake")
    wanted.add_lifecycle_delete_rule(age=7, matches_prefix=["staging/"])
    wanted.iam_configuration.uniform_bucket_level_access_enabled = True
    client.create_bucket(wanted, location="europe-west1")
    made = client.get_bucket("lake")
    assert (made.location, made.location_type) == ("EUROPE-WEST1", "region")
    assert [dict(rule)["action"] for rule in made.lifecycle_rules] == [{"type": "Delete"}]
    assert made.iam_configuration.uniform_bucket_level_access_enabled
    with pytest.raises(Conflict, match="you own it"):
        client.create_bucket("lake")
    with pytest.raises(NotFound):
        client.get_bucket("nowhere")


def test_a_name_can_belong_to_someone_else(client: storage.Client, cloud_storage: CloudStorage) -> None:
    cloud_storage.own_elsewhere("taken")
    with pytest.raises(Forbidden, match=r"storage\.buckets\.get"):
        client.get_bucket("taken")
    with pytest.raises(Conflict, match="not available"):
        client.create_bucket("taken")
    with pytest.raises(Forbidden):
        client.bucket("taken").blob("x").upload_from_string(b"x")


@pytest.mark.parametrize("chunk_size", [None, 256 * 1024])
def test_an_upload_is_whole_and_checked(bucket: storage.Bucket, tmp_path: Path, chunk_size: int | None) -> None:
    content = gzip.compress(bytes(range(256)) * 4000, compresslevel=0)
    path = tmp_path / "x.csv.gz"
    path.write_bytes(content)
    blob = bucket.blob("green/x.csv.gz", chunk_size=chunk_size)
    blob.upload_from_filename(str(path), checksum="md5", if_generation_match=0, content_type="application/gzip")
    found = bucket.get_blob("green/x.csv.gz")
    assert (found.size, found.md5_hash) == (len(content), base64.b64encode(hashlib.md5(content).digest()).decode())
    assert found.crc32c
    assert found.download_as_bytes(raw_download=True) == content


@pytest.mark.parametrize("chunk_size", [None, 256 * 1024])
def test_a_generation_is_checked(bucket: storage.Bucket, cloud_storage: CloudStorage, chunk_size: int | None) -> None:
    content = b"x" * 300_000
    blob = bucket.blob("x", chunk_size=chunk_size)
    blob.upload_from_string(content, if_generation_match=0)
    first = blob.generation
    with pytest.raises(PreconditionFailed):
        bucket.blob("x", chunk_size=chunk_size).upload_from_string(content + b"y", if_generation_match=0)
    with pytest.raises(PreconditionFailed):
        bucket.blob("x", chunk_size=chunk_size).upload_from_string(content + b"y", if_generation_match=first + 1)
    assert bucket.get_blob("x").size == 300_000
    bucket.blob("x", chunk_size=chunk_size).upload_from_string(content + b"y", if_generation_match=first)
    assert bucket.get_blob("x").generation != first
    assert bucket.get_blob("x", generation=first) is None
    with pytest.raises(PreconditionFailed):
        bucket.delete_blob("x", if_generation_match=first)
    with pytest.raises(GoogleAPICallError, match="ifMetagenerationMatch"):
        bucket.get_blob("x", if_metageneration_match=1)
    assert not any(each.authorized for each in cloud_storage.requests)
