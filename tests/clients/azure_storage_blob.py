"""Azure's own client against the blob host: what a program does with the URL that GetAzureWriteUrl answers.

    python azure_storage_blob.py BASE_URL TOKEN

Prints a line for each thing that was as a program expects it, and fails at the first that is not.
"""

import asyncio
import hashlib
import json
import os
import sys
import urllib.request

from azure.core import MatchConditions
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.storage.blob import BlobBlock, BlobClient, BlobType, ContentSettings
from azure.storage.blob.aio import BlobClient as AsyncBlobClient

BASE, TOKEN = sys.argv[1:]
MIB = 1024 * 1024
# So that 20 MB are what a gigabyte is with the client's own limits: many blocks, sent at once, and many ranges.
SMALL_PARTS = {
    "max_single_put_size": MIB,
    "max_block_size": MIB,
    "max_single_get_size": MIB,
    "max_chunk_get_size": MIB,
}
ACTION = "/data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.GetAzureWriteUrl"


def write_url(name):
    body = json.dumps({"uniqueFileName": name}).encode()
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(BASE + ACTION, body, headers)) as answer:
        return json.loads(json.load(answer)["value"])["BlobUrl"]


def raises(error, call, *arguments, code=None, **named):
    try:
        call(*arguments, **named)
    except error as raised:
        assert code is None or raised.error_code == code, (raised.error_code, code)
        return
    raise AssertionError(f"no {error.__name__}")


def small_blob():
    blob = BlobClient.from_blob_url(write_url("small.zip"))
    assert not blob.exists()
    raises(ResourceNotFoundError, blob.get_blob_properties)
    raises(ResourceNotFoundError, blob.download_blob, code="BlobNotFound")
    data = os.urandom(100_000)
    settings = ContentSettings(content_type="application/zip")
    done = blob.upload_blob(data, content_settings=settings, validate_content=True)
    assert done["content_md5"] == bytearray(hashlib.md5(data).digest())
    assert done["request_server_encrypted"] is True
    assert blob.exists()
    properties = blob.get_blob_properties()
    assert properties.size == len(data) and properties.etag == done["etag"]
    assert properties.last_modified == done["last_modified"]
    assert properties.blob_type == BlobType.BLOCKBLOB
    assert properties.content_settings.content_type == "application/zip"
    assert properties.content_settings.content_md5 == bytearray(hashlib.md5(data).digest())
    assert properties.lease.status == "unlocked" and properties.creation_time
    assert blob.download_blob(validate_content=True).readall() == data
    raises(ResourceExistsError, blob.upload_blob, b"other", code="BlobAlreadyExists")
    again = blob.upload_blob(b"", overwrite=True)
    assert again["etag"] != done["etag"]
    assert blob.download_blob().readall() == b""
    unchanged = {"etag": done["etag"], "match_condition": MatchConditions.IfNotModified}
    raises(ResourceModifiedError, blob.upload_blob, b"x", overwrite=True, code="ConditionNotMet", **unchanged)
    raises(ResourceModifiedError, blob.delete_blob, code="ConditionNotMet", **unchanged)
    blob.delete_blob()
    assert not blob.exists()
    raises(ResourceNotFoundError, blob.delete_blob, code="BlobNotFound")


def large_blob():
    url = write_url("00000000-0000-0000-0000-000000000000")
    blob = BlobClient.from_blob_url(url, **SMALL_PARTS)
    data = os.urandom(20 * MIB + 12_345)
    blob.upload_blob(data, max_concurrency=4)
    properties = blob.get_blob_properties()
    assert properties.size == len(data)
    assert properties.content_settings.content_md5 == bytearray(hashlib.md5(data).digest())
    assert blob.download_blob(max_concurrency=4).readall() == data
    for start, length in [(0, 1), (5 * MIB - 3, 7), (len(data) - 10, 10), (len(data) - 10, 1000), (3, 4 * MIB)]:
        assert blob.download_blob(offset=start, length=length).readall() == data[start : start + length]
    raises(HttpResponseError, blob.download_blob, offset=len(data), length=1, code="InvalidRange")
    raises(ResourceExistsError, blob.upload_blob, data, max_concurrency=4, code="BlobAlreadyExists")
    committed, uncommitted = blob.get_block_list("all")
    assert len(committed) == 21 and sum(block.size for block in committed) == len(data)
    # The refused upload's blocks wait; a program that gives up leaves them to the service.
    assert len(uncommitted) == 21
    stream = blob.download_blob(max_concurrency=1)
    chunks = stream.chunks()
    first = next(chunks)
    blob.upload_blob(b"other", overwrite=True)
    raises(ResourceModifiedError, lambda: first + b"".join(chunks), code="ConditionNotMet")
    assert blob.download_blob().readall() == b"other"


def blocks():
    blob = BlobClient.from_blob_url(write_url("blocks.zip"))
    for name in ["b", "a", "unused"]:
        blob.stage_block(name, name.encode() * 10, validate_content=True)
    blob.commit_block_list([BlobBlock("a"), BlobBlock("b"), BlobBlock("a")])
    assert blob.download_blob().readall() == b"a" * 10 + b"b" * 10 + b"a" * 10
    raises(HttpResponseError, blob.commit_block_list, [BlobBlock("missing")], code="InvalidBlockList")
    raises(HttpResponseError, blob.stage_block_from_url, "c", "http://127.0.0.1:1/", code="UnsupportedHeader")
    raises(HttpResponseError, blob.set_blob_metadata, {"a": "b"}, code="InvalidQueryParameterValue")


def links():
    url = write_url("links.zip")
    altered = BlobClient.from_blob_url(url.replace("links", "winks"))
    raises(ClientAuthenticationError, altered.upload_blob, b"x", code="AuthenticationFailed")
    raises(ClientAuthenticationError, altered.exists)
    bare = BlobClient.from_blob_url(url.split("?")[0])
    raises(ClientAuthenticationError, bare.upload_blob, b"x", code="AuthenticationFailed")


async def asynchronous():
    data = os.urandom(5 * MIB)
    async with AsyncBlobClient.from_blob_url(write_url("async.zip"), **SMALL_PARTS) as blob:
        assert not await blob.exists()
        await blob.upload_blob(data, max_concurrency=4)
        stream = await blob.download_blob(max_concurrency=4)
        assert await stream.readall() == data
        try:
            await blob.upload_blob(b"x")
            raise AssertionError("it was written over")
        except ResourceExistsError:
            pass
        await blob.delete_blob()
        assert not await blob.exists()


for check in [small_blob, large_blob, blocks, links, lambda: asyncio.run(asynchronous())]:
    check()
    print("passed:", getattr(check, "__name__", check), flush=True)
