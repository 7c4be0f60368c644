"""The multipart reader: the same parts, however the body is cut into chunks; broken bodies are refused."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptx_node.outbound.multipart import MultipartError, MultipartParser, PartBegin, PartData, parse_content_type

BOUNDARY = "b0und-ary"


def body(*parts: bytes, headers: bytes = b"Content-Type: application/dicom\r\n", end: bytes = b"--\r\n") -> bytes:
    joined = b"".join(b"--" + BOUNDARY.encode() + b"\r\n" + headers + b"\r\n" + part + b"\r\n" for part in parts)
    return joined + b"--" + BOUNDARY.encode() + end


def read(data: bytes, cuts: list[int] | None = None) -> list[tuple[str, bytes]]:
    parser = MultipartParser(BOUNDARY)
    found: list[tuple[str, bytes]] = []
    edges = [0, *sorted(cuts or []), len(data)]
    for begin, end in pairwise(edges):
        for event in parser.feed(data[begin:end]):
            if isinstance(event, PartBegin):
                found.append((event.content_type, b""))
            elif isinstance(event, PartData):
                found[-1] = (found[-1][0], found[-1][1] + event.data)
    parser.close()
    return found


@given(
    parts=st.lists(st.binary(max_size=200).filter(lambda part: BOUNDARY.encode() not in part), min_size=1, max_size=4),
    cuts=st.lists(st.integers(0, 400), max_size=30),
    noise=st.sampled_from([b"", b"preamble\r\n", b"\r\n"]),
)
def test_parts_do_not_depend_on_where_the_body_is_cut(parts: list[bytes], cuts: list[int], noise: bytes) -> None:
    data = noise + body(*parts)
    assert read(data, [min(cut, len(data)) for cut in cuts]) == [("application/dicom", part) for part in parts]


@pytest.mark.parametrize("almost", [b"\r\n--b0und", b"\r\n--", b"\r", b"\r\n-", b"b0und-ary", b"\r\n\r\n"])
def test_what_looks_like_a_boundary_is_data(almost: bytes) -> None:
    part = almost + b"pixels" + almost
    data = body(part, part)
    assert [content for _, content in read(data, list(range(len(data))))] == [part, part]


def test_a_part_without_headers_and_one_without_body() -> None:
    assert read(body(b"x", headers=b"")) == [("", b"x")]
    delimiter = b"--" + BOUNDARY.encode()
    assert read(delimiter + b"\r\nContent-Type: a/b\r\n\r\n" + delimiter + b"--") == [("a/b", b"")]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no boundary at all",
        body(b"x", end=b""),
        body(b"x")[:-40],
        body(b"x").replace(b"--b0und-ary\r\n", b"--b0und-aryX\r\n"),
        body(b"x", headers=b"Content-Type: " + b"a" * 20_000 + b"\r\n"),
    ],
)
def test_a_broken_body_is_refused(data: bytes) -> None:
    with pytest.raises(MultipartError):
        read(data, list(range(0, len(data), 7)))


def test_memory_does_not_grow_with_a_part() -> None:
    parser = MultipartParser(BOUNDARY)
    for _ in parser.feed(body(b"")[:50]):
        pass
    for _ in range(100):
        for _event in parser.feed(bytes(100_000)):
            pass
        assert len(parser._buffer) < 1000


@pytest.mark.parametrize("boundary", ["", "x" * 71, "ends in space ", "é"])
def test_an_invalid_boundary_is_refused(boundary: str) -> None:
    with pytest.raises(MultipartError):
        MultipartParser(boundary)


def test_content_types_quoted_and_bare() -> None:
    quoted = parse_content_type('Multipart/Related; type="application/dicom"; boundary="a b;c"')
    assert (quoted.media_type, quoted.type, quoted.boundary) == ("multipart/related", "application/dicom", "a b;c")
    bare = parse_content_type("multipart/related;boundary=x;type=application/dicom")
    assert (bare.type, bare.boundary) == ("application/dicom", "x")
    assert parse_content_type("").media_type == ""
