"""The character set of an HL7 message: what MSH-18 says (table 0211), then what the site says of the sender, then UTF-8.

What fits none of them is read as windows-1252 and flagged. No byte is ever dropped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

CODECS = {
    "ASCII": "ascii",
    **{f"8859{part}": f"iso8859_{part}" for part in (*range(1, 12), 13, 14, 15, 16)},
    **{f"ISO8859{part}": f"iso8859_{part}" for part in (*range(1, 12), 13, 14, 15, 16)},
    **{f"ISOIR{number}": "iso2022_jp_2" for number in (13, 14, 87, 159)},
    **{f"{prefix}125{page}": f"cp125{page}" for page in range(9) for prefix in ("WINDOWS", "CP")},
    "LATIN1": "iso8859_1",
    "UTF8": "utf_8",
    "UNICODE": "utf_8",
    "UNICODEUTF8": "utf_8",
    "GB180302000": "gb18030",
    "GB18030": "gb18030",
    "KSX1001": "euc_kr",
    "BIG5": "big5",
}
"""Names without blanks and punctuation. UTF-16 and UTF-32 are absent: no MLLP frame can hold them."""

_HALF_WIDTH = "shift_jis"
_UNUSED = (0x81, 0x8D, 0x8F, 0x90, 0x9D)
_WINDOWS_1252 = {byte: bytes((byte,)).decode("cp1252") for byte in range(0x80, 0xA0) if byte not in _UNUSED}
_C1 = re.compile(rb"[\x80-\x9f]")
_HIGH = re.compile(rb"[\x80-\xff]")
_LINES = re.compile(rb"(\r\n|\r|\n)")


@dataclass(frozen=True, slots=True)
class Decoded:
    """The text of a message. `doubtful`: it may not be what was written. `codec` also reads its hexadecimal escapes."""

    text: str
    codec: str
    doubtful: bool


def codec_of(name: str) -> str | None:
    """Python's codec for a name of table 0211, or a common other one; None for one that is not known."""
    return CODECS.get(re.sub(r"[^A-Z0-9]", "", name.upper()))


def decode(data: bytes, declared: Sequence[str], configured: str = "") -> Decoded:
    """The text of a message; it does not fail.

    Args:
        data: the message.
        declared: the repetitions of MSH-18; those after the first are switched to by escape sequences (ISO 2022).
        configured: the site's setting for the sender, used when MSH-18 names nothing that fits.
    """
    if not _HIGH.search(data) and b"\x1b" not in data:
        return Decoded(data.decode("ascii"), _first_codec(declared, configured), doubtful=False)
    named = [name for name in declared if name]
    for name in (*named[:1], *named[1:], configured):
        codec = codec_of(name) if name else None
        text = _strict(data, codec) if codec else None
        if codec and text is not None:
            unlikely = codec.startswith("iso8859") and _strict(data, "utf_8") is not None
            return Decoded(text, codec, doubtful=unlikely)
    text = _strict(data, "utf_8")
    if text is not None:
        return Decoded(text, "utf_8", doubtful=bool(named))
    return Decoded(windows_1252(data), "cp1252", doubtful=True)


def windows_1252(data: bytes) -> str:
    """windows-1252 with its five unused bytes as control characters, as browsers read it: every byte has a meaning."""
    return data.decode("latin-1").translate(_WINDOWS_1252)


def _first_codec(declared: Sequence[str], configured: str) -> str:
    return next((codec for name in (*declared, configured) if (codec := codec_of(name))), "utf_8")


def _strict(data: bytes, codec: str) -> str | None:
    """The text, or None where it does not fit. ISO 2022 begins anew on each line."""
    if codec.startswith("iso8859") and _C1.search(data):
        return None  # control characters of ISO 8859 are letters of windows-1252 in a message that says the wrong name
    try:
        if codec.startswith("iso2022"):
            return "".join(_japanese(part) for part in _LINES.split(data))
        return data.decode(codec)
    except UnicodeDecodeError:
        return None


def _japanese(line: bytes) -> str:
    """ISO 2022 with the kanji sets, and half-width katakana in the upper half where a line has them."""
    return line.decode(_HALF_WIDTH if _HIGH.search(line) and b"\x1b" not in line else "iso2022_jp_2")
