"""What to look for in files that leave: the originals' identifiers in every spelling and encoding, found in any number of bytes at once.

Knows nothing of how objects are de-identified, and never says the value that it found.
"""

from __future__ import annotations

import hashlib
import itertools
import re
import unicodedata
from array import array
from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray


class Kind(StrEnum):
    """What an identifier is of the person or place. `NAME_PART` is one word of a name, which may be an ordinary word too."""

    NAME = "person name"
    NAME_PART = "part of a person name"
    NUMBER = "patient number"
    ACCESSION = "accession number"
    UID = "UID"
    BIRTH_DATE = "birth date"
    DATE = "date"
    INSTITUTION = "institution"
    DEVICE = "device"
    CONTACT = "address or telephone"


_KINDS = tuple(Kind)


@dataclass(frozen=True, slots=True, repr=False)
class Identifier:
    """One value of an original. Dates are written YYYYMMDD; names as DICOM writes them (`Doe^Jane`) or with spaces."""

    kind: Kind
    value: str

    def __repr__(self) -> str:
        return f"Identifier({self.kind.value})"


@dataclass(frozen=True, slots=True)
class Hit:
    """Where something stands, and how it is written there; never what it is."""

    kind: Kind
    written: str
    offset: int


SHORTEST = 3
"""Characters, or two of a script beyond ASCII. What is shorter cannot be told from chance."""

WINDOWS = (8, 4)
"""Bytes by which candidates are found; a pattern goes by the widest that it fills."""

BLOCK_BYTES = 1 << 20
"""Looked at in one go, which bounds memory."""

BY_CHANCE_BELOW = 6
"""Bytes. In pixels a shorter pattern is there by chance."""

BOUNDED_BELOW = 8
"""Characters. A shorter value counts only where no letter or digit stands beside it."""

DATE_FORMATS = (
    *("%Y%m%d", "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%d%m%Y"),
    *("%d %B %Y", "%B %d, %Y"),
)
OF_BIRTH = "%y%m%d"  # of other dates it is often a time of day
WIDE = ("utf-16-le", "utf-16-be")
ENCODINGS = (
    *("utf-8", "latin-1", "cp1252", "shift_jis", "iso2022_jp", "euc_jp", "euc_kr", "gb18030", "big5"),
    *("iso8859_2", "iso8859_5", "iso8859_7", *WIDE),
)
HASHES = ("md5", "sha1", "sha256")
_HEXADECIMAL = re.compile(rb"(?<![0-9a-f])(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64})(?![0-9a-f])")
_FEW, _FEW_BITS, _MANY_BITS = 4000, 16, 22
_MULTIPLIER = 0x9E3779B97F4A7C15
_TOKENS = re.compile(rb"[a-z0-9\x80-\xff]+")
_ALNUM = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789")


class _Meaning(NamedTuple):
    """Of a pattern. `alone`: it counts only where no letter or digit stands beside it."""

    kind: Kind
    written: str
    alone: bool


class Needles:
    """Identifiers made ready to be looked for. Letters of ASCII are found in any case.

    Attributes:
        too_short: how many identifiers cannot be looked for, since they are too short.
    """

    def __init__(self, identifiers: Iterable[Identifier]) -> None:
        self.too_short = 0
        self._patterns: dict[bytes, _Meaning] = {}
        digests, kinds = array("Q"), bytearray()  # nine for each identifier: as objects they would be most of what it takes
        meanings: dict[_Meaning, _Meaning] = {}
        for identifier in dict.fromkeys(identifiers):
            texts = [(kind, text) for kind, text in _spellings(identifier) if _searchable(text)]
            self.too_short += not texts
            for kind, text in texts:
                for data, meaning in _encoded(kind, text):
                    self._patterns.setdefault(data, meanings.setdefault(meaning, meaning))
                if kind is not Kind.NAME_PART:
                    digests.extend(_digests(text))
                    kinds.extend(bytes([_KINDS.index(kind)]) * (len(digests) - len(kinds)))
        self._indices = [_Index(self._patterns, window) for window in WINDOWS]
        numbers = np.frombuffer(digests, dtype=np.uint64) if digests else np.zeros(0, dtype=np.uint64)
        self._digest_numbers, places = np.unique(numbers, return_index=True)
        self._digest_kinds = bytes(kinds[place] for place in places.tolist())

    def find(self, data: bytes, *, pixels: bool = False) -> Iterator[Hit]:
        """Every place where an identifier stands.

        Args:
            data: any bytes.
            pixels: leave out what random bytes would hold by chance.
        """
        folded = data.lower()
        for offset, _, meaning in self._in_stream(folded, pixels=pixels):
            yield Hit(meaning.kind, meaning.written, offset)
        for start in (0, 1) if b"\0" in folded else ():
            for place, length, meaning in self._in_stream(folded[start::2], pixels=pixels):
                written = _wide(folded, start + 2 * place, length)
                if written:
                    yield Hit(meaning.kind, written, start + 2 * place)
        if not pixels:
            yield from self._digested(folded)

    def _in_stream(self, folded: bytes, *, pixels: bool) -> Iterator[tuple[int, int, _Meaning]]:
        """(offset, bytes, meaning) of every pattern in one stream of bytes."""
        for index in self._indices:
            for offset, length in index.candidates(folded):
                if pixels and length < BY_CHANCE_BELOW:
                    continue
                meaning = self._patterns.get(folded[offset : offset + length])
                if meaning is not None and not (meaning.alone and _has_neighbour(folded, offset, length)):
                    yield offset, length, meaning
        if self._indices[-1].has_shorter and not pixels:
            for match in _TOKENS.finditer(folded):
                if len(match[0]) < WINDOWS[-1] and (meaning := self._patterns.get(match[0])) is not None:
                    yield match.start(), len(match[0]), meaning

    def _digested(self, folded: bytes) -> Iterator[Hit]:
        """Digests that were made without a key, which anybody can make again of a number or a name."""
        matches = list(_HEXADECIMAL.finditer(folded)) if self._digest_kinds else []
        if not matches:
            return
        found = np.array([int(match[0][:16], 16) for match in matches], dtype=np.uint64)
        places = np.minimum(np.searchsorted(self._digest_numbers, found), len(self._digest_numbers) - 1)
        for number in np.flatnonzero(self._digest_numbers[places] == found):
            yield Hit(_KINDS[self._digest_kinds[places[number]]], "digest without a key", matches[number].start())


class _Index:
    """Where patterns may begin: by a table of hashes of their first bytes, then by those bytes and the lengths that go with them."""

    def __init__(self, patterns: Mapping[bytes, _Meaning], window: int) -> None:
        self._window = window
        wider = min((one for one in WINDOWS if one > window), default=None)
        lengths: defaultdict[bytes, set[int]] = defaultdict(set)
        for data in patterns:
            if len(data) >= window and (wider is None or len(data) < wider):
                lengths[data[:window]].add(len(data))
        self.has_shorter = any(len(data) < window for data in patterns)
        self._lengths = {prefix: tuple(sorted(found)) for prefix, found in lengths.items()}
        # The small table stays in the processor's cache.
        self._shift = 8 * window - (_FEW_BITS if len(lengths) < _FEW else _MANY_BITS)
        self._table = np.zeros(1 << (8 * window - self._shift), dtype=np.bool_)
        if lengths:
            self._table[self._hashed(b"".join(lengths), 0)] = True

    def candidates(self, folded: bytes) -> Iterator[tuple[int, int]]:
        """(offset, length) where a pattern of this length may stand."""
        if not self._lengths:
            return
        for start in range(0, len(folded) - self._window + 1, BLOCK_BYTES):
            block = folded[start : start + BLOCK_BYTES + self._window - 1]
            for place in self._places(block):
                for length in self._lengths.get(block[place : place + self._window], ()):
                    yield start + place, length

    def _places(self, block: bytes) -> list[int]:
        """Every window, in words of its width from each of its bytes on."""
        steps = range(min(self._window, len(block) - self._window + 1))
        found = [np.flatnonzero(self._table[self._hashed(block, step)]) * self._window + step for step in steps]
        places: list[int] = np.sort(np.concatenate(found)).tolist()
        return places

    def _hashed(self, data: bytes, offset: int) -> NDArray[np.unsignedinteger[Any]]:
        """A number of the table's bits for each whole word from `offset` on."""
        kind = np.dtype(f"<u{self._window}")
        words = np.frombuffer(data, dtype=kind, count=(len(data) - offset) // self._window, offset=offset)
        hashed: NDArray[np.unsignedinteger[Any]] = (words * kind.type(_MULTIPLIER >> (64 - 8 * self._window))) >> kind.type(self._shift)
        return hashed


def _has_neighbour(folded: bytes, offset: int, length: int) -> bool:
    end = offset + length
    return (offset > 0 and folded[offset - 1] in _ALNUM) or (end < len(folded) and folded[end] in _ALNUM)


def _wide(folded: bytes, offset: int, length: int) -> str:
    """Which UTF-16 it is, if the bytes between are zeros; empty if it is none."""
    zeros = bytes(length)
    if folded[offset + 1 : offset + 2 * length : 2] == zeros:
        return "utf-16-le"
    return "utf-16-be" if offset and folded[offset - 1 : offset + 2 * length - 2 : 2] == zeros else ""


def _encoded(kind: Kind, text: str) -> Iterator[tuple[bytes, _Meaning]]:
    """Folded bytes of a spelling. UTF-16 of ASCII is not among them: it is found by its zeros."""
    alone = kind is Kind.NAME_PART or len(text) < BOUNDED_BELOW
    if text.isascii():
        yield text.lower().encode(), _Meaning(kind, "utf-8", alone)
        return
    for encoding, form in itertools.product(ENCODINGS, dict.fromkeys((text, text.lower(), text.upper()))):
        try:
            yield form.encode(encoding).lower(), _Meaning(kind, encoding, alone and encoding not in WIDE)
        except UnicodeEncodeError:
            continue


def _digests(text: str) -> Iterator[int]:
    """The first 64 bits of each digest."""
    for form, name in itertools.product({text, text.upper(), text.lower()}, HASHES):
        yield int.from_bytes(hashlib.new(name, form.encode(), usedforsecurity=False).digest()[:8], "big")


def _searchable(text: str) -> bool:
    return len(text) >= SHORTEST or (len(text) > 1 and not text.isascii())


def _spellings(identifier: Identifier) -> Iterator[tuple[Kind, str]]:
    """The ways in which people and programs write a value."""
    value = identifier.value.strip(" \0")
    if identifier.kind in {Kind.DATE, Kind.BIRTH_DATE}:
        for text in _dates(value, DATE_FORMATS if identifier.kind is Kind.DATE else (*DATE_FORMATS, OF_BIRTH)):
            yield identifier.kind, text
    elif identifier.kind is Kind.NAME:
        for kind, text in itertools.chain.from_iterable(_names(group) for group in value.split("=")):
            for form in _accents(text):
                yield kind, form
    else:
        for form in _accents(value):
            yield identifier.kind, form
        if value.isdigit() and len(value.lstrip("0")) >= BOUNDED_BELOW - 2:
            yield identifier.kind, value.lstrip("0")


def _names(group: str) -> Iterator[tuple[Kind, str]]:
    parts = [part for part in (" ".join(part.split()) for part in group.split("^")) if part]
    if len(parts) > 1:
        family, given = parts[0], parts[1]
        for text in ("^".join(parts), " ".join(parts), f"{family}^{given}", f"{family} {given}", f"{given} {family}", f"{family}, {given}"):
            yield Kind.NAME, text
        for text in (f"{family}{given}", f"{given}{family}", f"{given}.{family}", f"{family}_{given}", f"{given}_{family}"):
            yield Kind.NAME, text
    for word in dict.fromkeys(word.strip(".,") for part in parts for word in part.split()):
        yield Kind.NAME_PART, word
    if len(parts) == 1:
        yield Kind.NAME, parts[0]


def _accents(text: str) -> list[str]:
    """As written, in composed and decomposed form, and without accents."""
    decomposed = unicodedata.normalize("NFD", text)
    plain = "".join(one for one in decomposed if not unicodedata.combining(one))
    return list(dict.fromkeys((text, unicodedata.normalize("NFC", text), decomposed, plain)))


def _dates(value: str, formats: Iterable[str]) -> list[str]:
    digits = value.replace(".", "").replace("-", "")[:8]
    try:
        day = date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return []
    return list(dict.fromkeys(day.strftime(form) for form in formats))
