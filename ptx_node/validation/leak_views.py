"""Opens what can hold bytes within bytes: archives, deflated data sets, PDF streams, Parquet columns, escaped text.

A view is the same content in another form, so that an identifier that is written escaped, packed or encoded is plain somewhere.
"""

from __future__ import annotations

import base64
import gzip
import html
import importlib
import io
import re
import struct
import urllib.parse
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_BYTES = 1 << 30
"""Of one unpacked member. What is larger is not opened, and said."""

DEEPEST = 3
"""Archives within archives."""

DEFLATED = (b"1.2.840.10008.1.2.1.99", b"1.2.840.10008.1.2.4.95", b"1.2.840.10008.1.2.4.205")
META_START = 132
_STREAM = re.compile(rb"stream\r?\n")
_JSON_ESCAPE = re.compile(r"(?:\\u[0-9a-fA-F]{4})+")
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{24,}={0,2}")
_HEXADECIMAL = re.compile(rb"[0-9a-f]+|[0-9A-F]+")
_TEXT_SAMPLE = 4096


class NotOpenedError(Exception):
    """Something that holds content was not looked into; the message says what and why."""


def views(name: str, data: bytes, depth: int = 0) -> Iterator[tuple[str, bytes]]:
    """(how it was opened, content) of everything within; the bytes themselves are not among them.

    Raises:
        NotOpenedError: there is content that could not be looked into.
    """
    if data[:4] == b"PK\x03\x04":
        yield from _members(data, depth)
    elif data[:2] == b"\x1f\x8b":
        yield from _nested("unpacked", _gunzipped(data), depth)
    elif data[:4] == b"PAR1":
        yield from _parquet(data)
    elif data[:5] == b"%PDF-":
        yield from _pdf(data)
    elif is_dicom(data):
        yield from _deflated(data)
    elif _is_text(data):
        yield from _text_views(name, data)


def is_dicom(data: bytes) -> bool:
    """Whether these are bytes of a Part 10 file."""
    return data[META_START - 4 : META_START] == b"DICM"


def _nested(how: str, data: bytes, depth: int) -> Iterator[tuple[str, bytes]]:
    yield how, data
    for inner, content in views(how, data, depth + 1):
        yield f"{how} / {inner}", content


def _members(data: bytes, depth: int) -> Iterator[tuple[str, bytes]]:
    if depth >= DEEPEST:
        raise NotOpenedError(f"an archive more than {DEEPEST} levels deep")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            yield "comment", archive.comment
            for number, member in enumerate(archive.infolist()):
                yield f"name of member {number}", member.filename.encode() + b"\n" + member.comment + b"\n" + member.extra
                if member.file_size > MOST_BYTES:
                    raise NotOpenedError(f"member {number} is larger than {MOST_BYTES} bytes")
                yield from _nested(f"member {number}", archive.read(member), depth)
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError) as error:
        raise NotOpenedError(f"an archive that cannot be read ({type(error).__name__})") from error


def _gunzipped(data: bytes) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            plain = file.read(MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise NotOpenedError(f"a gzip file that cannot be read ({type(error).__name__})") from error
    if len(plain) > MOST_BYTES:
        raise NotOpenedError(f"a gzip file of more than {MOST_BYTES} bytes")
    return plain


def _parquet(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Each column as lines of text, and the metadata. pyarrow is needed, which need not be installed."""
    try:
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise NotOpenedError("a Parquet file, since pyarrow is not installed: pip install 'ptx-node[parquet]'") from error
    file = parquet.ParquetFile(io.BytesIO(data))
    yield "schema", str(file.schema_arrow).encode()
    for key, value in (file.schema_arrow.metadata or {}).items():
        yield "metadata", key + b"\n" + value
    for group in range(file.num_row_groups):
        for column in file.schema_arrow.names:
            values = file.read_row_group(group, columns=[column]).column(0).to_pylist()
            yield f"column {column}", "\n".join(map(str, values)).encode("utf-8", "surrogatepass")


def _pdf(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The deflated streams. Text drawn with a font's own numbering stays unread."""
    for match in _STREAM.finditer(data):
        inflater = zlib.decompressobj()
        try:
            plain = inflater.decompress(memoryview(data)[match.end() :], MOST_BYTES)
        except zlib.error:
            continue
        yield f"stream at {match.start()}", plain


def _deflated(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The data set of a deflated transfer syntax, inflated."""
    if not any(uid in data[: META_START + 1024] for uid in DEFLATED):
        return
    (length,) = struct.unpack_from("<I", data, META_START + 8)
    try:
        plain = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data[META_START + 12 + length :], MOST_BYTES)
    except zlib.error as error:
        raise NotOpenedError("a deflated data set that cannot be inflated") from error
    yield "inflated", plain


def _is_text(data: bytes) -> bool:
    sample = data[:_TEXT_SAMPLE]
    return b"\0" not in sample or data[:2] in {b"\xff\xfe", b"\xfe\xff"}


def _text_views(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    """Text without its escapes, where it has any."""
    encoding = "utf-16" if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8"
    text = data.decode(encoding, "replace")
    plain = html.unescape(text)
    if plain != text:
        yield "unescaped", plain.encode("utf-8", "replace")
    if "%" in text and (plain := urllib.parse.unquote(text, errors="replace")) != text:
        yield "without percent signs", plain.encode("utf-8", "replace")
    if "\\" in text:
        plain = _JSON_ESCAPE.sub(_unescaped, text).replace('\\"', '"').replace("\\/", "/")
        if plain != text:
            yield "without backslashes", plain.encode("utf-8", "replace")
    if name.endswith((".html", ".htm", ".xml")):
        yield "without tags", re.sub(r"<[^>]*>", "", html.unescape(text)).encode("utf-8", "replace")
    if decoded := b"\n".join(_base64_decoded(data)):
        yield "base64", decoded


def _base64_decoded(data: bytes) -> Iterator[bytes]:
    """Whatever decodes, but digests in hexadecimal, which are many."""
    for match in _BASE64.finditer(data):
        text = match[0][: len(match[0]) // 4 * 4]
        if not _HEXADECIMAL.fullmatch(text):
            yield base64.b64decode(text)


def _unescaped(match: re.Match[str]) -> str:
    r"""A run of JSON's `\uXXXX`, in which a character beyond the first plane takes two."""
    units = bytes.fromhex(match[0].replace("\\u", ""))
    return units.decode("utf-16-be", "replace")
