"""Addresses: a folder here or in a bucket, and a sentence for everything else."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trainer.storage.address import Address, BadAddress, locate, parse


@pytest.mark.parametrize(
    "text, bucket, prefix",
    [
        ("gs://bucket/run", "bucket", "run"),
        ("gs://bucket/run/", "bucket", "run"),
        ("gs://bucket/runs/a b/ü#?", "bucket", "runs/a b/ü#?"),
        ("gs://my-bucket_1.example.com/12", "my-bucket_1.example.com", "12"),
        ("gs://abc/" + "n" * 924, "abc", "n" * 924),
        ("gs://" + "b" * 63 + "/run", "b" * 63, "run"),
    ],
)
def test_an_address_is_a_bucket_and_a_folder_in_it(text: str, bucket: str, prefix: str) -> None:
    assert parse(text) == Address(bucket, prefix)


@pytest.mark.parametrize(
    "text, must",
    [
        ("", "start with gs://"),
        ("s3://bucket/run", "start with gs://"),
        ("GS://bucket/run", "start with gs://"),
        ("gs://", "name a bucket"),
        ("gs:///run", "name a bucket"),
        ("gs://ab/run", "name a bucket"),
        ("gs://Bucket/run", "name a bucket"),
        ("gs://-bucket/run", "name a bucket"),
        ("gs://bucket-/run", "name a bucket"),
        ("gs://buc..ket/run", "name a bucket"),
        ("gs://bücket/run", "name a bucket"),
        ("gs://bucket\n/run", "name a bucket"),
        ("gs://10.0.0.1/run", "name a bucket"),
        ("gs://googbucket/run", "name a bucket"),
        ("gs://my-google-bucket/run", "name a bucket"),
        ("gs://" + "b" * 64 + "/run", "name a bucket"),
        ("gs://bucket", "name a folder in the bucket"),
        ("gs://bucket///", "name a folder in the bucket"),
        ("gs://bucket//run", "no empty part"),
        ("gs://bucket/a/./b", "no empty part, '.'"),
        ("gs://bucket/a/..", "no empty part, '.' or '..'"),
        ("gs://bucket/a\nb", "control characters"),
        ("gs://bucket/a\x85b", "control characters"),
        ("gs://bucket/a\u2028b", "control characters"),
        ("gs://bucket/a\ud800b", "UTF-8"),
        ("gs://bucket/" + "n" * 925, "at most 924 bytes"),
        ("gs://bucket/" + "ü" * 463, "at most 924 bytes"),
        ("gs://bucket/.well-known/acme-challenge/x", "not start with .well-known"),
    ],
)
def test_what_is_no_address_is_refused_with_what_must_hold(text: str, must: str) -> None:
    with pytest.raises(BadAddress) as refusal:
        parse(text)
    sentence = str(refusal.value)
    assert sentence.startswith("A gs:// address must ")
    assert must in sentence and repr(text)[:200] in sentence
    assert sentence.isprintable()


@given(st.text() | st.text().map(lambda text: f"gs://bucket/{text}") | st.from_regex("gs://.*"))
@example("gs://bucket/a/")
def test_any_text_is_an_address_that_can_be_written_down_or_a_sentence(text: str) -> None:
    try:
        address = parse(text)
    except BadAddress as error:
        assert str(error).startswith("A gs:// address must ")
        assert str(error).isprintable()
    else:
        assert parse(str(address)) == address
        assert text.rstrip("/") == str(address)


@pytest.mark.parametrize("text", ["runs/a", "./gs:/b/x", "/tmp/a:b", "C:/runs", "a b:c", ""])
def test_what_has_no_scheme_is_a_folder(text: str) -> None:
    assert locate(text) == Path(text)


@pytest.mark.parametrize(
    "text", ["gs:/bucket/x", "gs:bucket/x", "s3:bucket/x", "GS://bucket/x", "file:/x", "hdfs:"]
)
def test_any_other_scheme_is_refused(text: str) -> None:
    with pytest.raises(BadAddress, match="A gs:// address must start with gs://"):
        locate(text)


@given(st.from_regex(r"[A-Za-z][A-Za-z0-9+.-]+:.*", fullmatch=True))
def test_a_scheme_never_becomes_a_folder(text: str) -> None:
    try:
        place = locate(text)
    except BadAddress as error:
        assert len(str(error)) < 1000 and str(error).isprintable()
    else:
        assert text.startswith("gs://") and isinstance(place, Address)
