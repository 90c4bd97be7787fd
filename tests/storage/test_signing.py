"""Links that a storage signs: how S3 signs, when a link ends before its time, and what is missing where there is none."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from airflow.sdk.io import store as stores
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_faceswap.exceptions import FaceSwapError, PictureNotTakenError
from airflow_provider_faceswap.hooks.gptunnel import GPTunnelHook
from airflow_provider_faceswap.hooks.tengrai import TengraiHook
from airflow_provider_faceswap.media.signing import signed_link
from airflow_provider_faceswap.storage.files import path_of

FACE = "https://pictures.test/face.jpg"


def test_s3_signs_with_version_4_and_the_link_works(bucket, picture):
    bucket.put("a.png", picture())
    assert bucket.path("a.png").exists(), "the storage is in use before it signs"
    for _ in range(2):
        link = signed_link(bucket.path("a.png")).link
        query = parse_qs(urlsplit(link).query)
        assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
        assert query["X-Amz-Expires"] == ["21600"]
        assert httpx.get(link).content == picture()


def test_a_version_that_the_connection_names_is_kept(s3, door, connection, bucket):
    extra = {
        "endpoint_url": door.url,
        "region_name": "us-east-1",
        "config_kwargs": {"signature_version": "s3"},
    }
    conn_id = connection(door.url, extra=extra)
    assert "AWSAccessKeyId" in signed_link(path_of(f"s3://{conn_id}@{bucket.name}/a.png")).link


@pytest.fixture
def session(door, connection, bucket):
    """A file behind a connection with the credentials of a session."""
    extra = {"endpoint_url": door.url, "region_name": "us-east-1", "aws_session_token": "PLANTED-TOKEN"}
    return path_of(f"s3://{connection(door.url, extra=extra)}@{bucket.name}/a.png")


def test_a_link_of_a_session_says_that_it_ends_with_it(session, caplog):
    with caplog.at_level(logging.WARNING, "airflow_provider_faceswap"):
        assert "X-Amz-Security-Token" in signed_link(session).link
    assert "ends with the session of the credentials" in caplog.text
    assert "PLANTED" not in caplog.text


@pytest.mark.parametrize(("hours", "says"), [(1, "ends at 20"), (7, "")])
def test_the_end_of_a_session_is_said_if_it_comes_before_that_of_the_link(
    session, caplog, monkeypatch, hours, says
):
    end = datetime.now(UTC) + timedelta(hours=hours)

    class Credentials:
        _expiry_time = end

    async def credentials():
        return Credentials()

    signed_link(session)
    monkeypatch.setattr(session.fs.session, "get_credentials", credentials)
    caplog.clear()
    with caplog.at_level(logging.WARNING, "airflow_provider_faceswap"):
        signed_link(session)
    assert says in caplog.text
    assert bool(caplog.text) is bool(says)


#: What azure-storage-blob says.
NO_ACCOUNT_KEY = ValueError("Either user_delegation_key or account_key must be provided.")


@pytest.fixture
def stored(monkeypatch, picture, connections):
    """The URI of a picture in a storage whose signing raises an error."""
    connections("https://vendor.test")

    def stored(error):
        class Storage(MemoryFileSystem):
            store: dict = {}  # noqa: RUF012 - as in the class above it
            pseudo_dirs = [""]  # noqa: RUF012

            def sign(self, *_, **__):
                raise error

        storage = stores.ObjectStore("memory", "odd", fs=Storage())
        monkeypatch.setitem(stores._STORE_CACHE, "memory-odd", storage)
        path_of("memory://odd@bucket/a.png").write_bytes(picture())
        return "memory://odd@bucket/a.png"

    return stored


def test_what_credentials_lack_is_named_if_the_vendor_accepts_only_links(stored):
    with pytest.raises(PictureNotTakenError, match="has no account key") as caught:
        TengraiHook().prepare("face_swap", target_image=stored(NO_ACCOUNT_KEY), face_image=FACE)
    assert "Nothing was bought" in str(caught.value)


@pytest.fixture
def google(monkeypatch):
    """A path in Google's storage with such credentials."""
    gcsfs = pytest.importorskip("gcsfs", reason="gcsfs is not installed; `make clouds` installs it")

    def google(credentials):
        storage = gcsfs.GCSFileSystem(token="anon", project="p")
        storage.credentials.credentials = credentials
        monkeypatch.setitem(stores._STORE_CACHE, "gs", stores.ObjectStore("gs", None, fs=storage))
        return path_of("gs://bucket/a.png")

    return google


def test_google_credentials_without_a_private_key_sign_nothing_whatever_their_library_says(google):
    from google.auth import compute_engine
    from google.oauth2.credentials import Credentials

    for credentials in (None, Credentials("a-token"), compute_engine.Credentials()):
        signed = signed_link(google(credentials))
        assert signed.link is None
        assert "Workload Identity" in signed.why


def test_google_credentials_with_a_private_key_sign(google):
    from google.auth.credentials import Signing
    from google.oauth2.credentials import Credentials

    class WithKey(Credentials, Signing):
        signer = None
        signer_email = "account@project.test"

        def sign_bytes(self, message):
            return message

    link = urlsplit(signed_link(google(WithKey("a-token"))).link)
    assert (link.hostname, link.path) == ("storage.googleapis.com", "/bucket/a.png")
    assert "Signature" in parse_qs(link.query)


@pytest.mark.parametrize("error", [NO_ACCOUNT_KEY, NotImplementedError()])
def test_without_a_link_the_bytes_are_sent_if_the_vendor_accepts_them(stored, error):
    request = GPTunnelHook().prepare("face_swap", target_image=stored(error), face_image=FACE)
    assert "data:image/png;base64," in str(request.body)


def test_another_failure_may_pass(stored):
    with pytest.raises(FaceSwapError, match="could not be signed") as caught:
        TengraiHook().prepare("face_swap", target_image=stored(ValueError("odd")), face_image=FACE)
    assert type(caught.value) is FaceSwapError
