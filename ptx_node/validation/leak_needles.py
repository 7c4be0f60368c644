"""What to look for in files that leave: the originals' identifiers in every spelling and encoding, found in any number of bytes at once.

Knows nothing of how objects are de-identified, and never says the value that it found.
"""

from __future__ import annotations

import hashlib
import itertools
import re
import unicodedata
from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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

WINDOW = 4
"""Bytes by which candidates are found."""

BLOCK_BYTES = 1 << 20
"""Looked at in one go, which bounds memory."""

BY_CHANCE_BELOW = 6
"""Bytes. In pixels a shorter pattern is there by chance."""

BOUNDED_BELOW = 8
"""Characters. A shorter value counts only where no letter or digit stands beside it."""

DATE_FORMATS = (
    *("%Y%m%d", "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%d%m%Y", "%y%m%d"),
    *("%d %B %Y", "%B %d, %Y"),
)
WIDE = ("utf-16-le", "utf-16-be")
ENCODINGS = (
    *("utf-8", "latin-1", "cp1252", "shift_jis", "iso2022_jp", "euc_jp", "euc_kr", "gb18030", "big5"),
    *("iso8859_2", "iso8859_5", "iso8859_7", *WIDE),
)
HASHES = ("md5", "sha1", "sha256")
_HASH_BITS = 22
_MULTIPLIER = np.uint32(2654435761)
_TOKENS = re.compile(rb"[a-z0-9\x80-\xff]+")
_ALNUM = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789")


@dataclass(frozen=True, slots=True, repr=False)
class _Pattern:
    """Folded bytes of one spelling in one encoding. `step`: bytes of an ASCII character; 0 where the neighbours do not matter."""

    data: bytes
    kind: Kind
    written: str
    step: int


class Needles:
    """Identifiers made ready to be looked for. Letters of ASCII are found in any case.

    Attributes:
        too_short: how many identifiers cannot be looked for, since they are too short.
    """

    def __init__(self, identifiers: Iterable[Identifier]) -> None:
        self.too_short = 0
        self._long: dict[bytes, list[_Pattern]] = defaultdict(list)
        self._short: dict[bytes, _Pattern] = {}
        self._kinds: set[Kind] = set()
        seen: set[bytes] = set()
        for identifier in dict.fromkeys(identifiers):
            patterns = {pattern.data: pattern for pattern in reversed(list(_patterns(identifier))) if pattern.data not in seen}
            self.too_short += not patterns and not any(_searchable(text) for _, text in _spellings(identifier))
            seen.update(patterns)
            for pattern in patterns.values():
                if len(pattern.data) < WINDOW:
                    self._short[pattern.data] = pattern
                else:
                    self._long[pattern.data[:WINDOW]].append(pattern)
        self._table = self._hash_table()

    def find(self, data: bytes, *, pixels: bool = False) -> Iterator[Hit]:
        """Every place where an identifier stands, in order of the file, short ones last.

        Args:
            data: any bytes.
            pixels: leave out what random bytes would hold by chance.
        """
        folded = data.lower()
        for offset in self._candidates(folded):
            for pattern in self._long.get(folded[offset : offset + WINDOW], ()):
                if pixels and len(pattern.data) < BY_CHANCE_BELOW:
                    continue
                if folded.startswith(pattern.data, offset) and _stands_alone(folded, offset, pattern):
                    yield Hit(pattern.kind, pattern.written, offset)
        if self._short and not pixels:
            for match in _TOKENS.finditer(folded):
                if (short := self._short.get(match[0])) is not None:
                    yield Hit(short.kind, short.written, match.start())

    def _candidates(self, folded: bytes) -> Iterator[int]:
        """Offsets where the first bytes of some pattern may stand."""
        if not self._long:
            return
        for start in range(0, len(folded) - WINDOW + 1, BLOCK_BYTES):
            block = folded[start : start + BLOCK_BYTES + WINDOW - 1]
            for offset in np.flatnonzero(self._table[_hashes(block)]):
                yield start + int(offset)

    def _hash_table(self) -> NDArray[np.bool_]:
        table = np.zeros(1 << _HASH_BITS, dtype=np.bool_)
        for prefix in self._long:
            table[_hashes(prefix)] = True
        return table


def _hashes(folded: bytes) -> NDArray[np.uint32]:
    """A number of 22 bits for each window of four bytes."""
    data = np.frombuffer(folded, dtype=np.uint8).astype(np.uint32)
    windows = data[:-3] | (data[1:-2] << np.uint32(8)) | (data[2:-1] << np.uint32(16)) | (data[3:] << np.uint32(24))
    hashed: NDArray[np.uint32] = (windows * _MULTIPLIER) >> np.uint32(32 - _HASH_BITS)
    return hashed


def _stands_alone(folded: bytes, offset: int, pattern: _Pattern) -> bool:
    if not pattern.step:
        return True
    low = 1 if pattern.written == "utf-16-be" else 0  # where the ASCII half of a wide character is
    before, after = offset - pattern.step + low, offset + len(pattern.data) + low
    return not (before >= 0 and folded[before] in _ALNUM) and not (after < len(folded) and folded[after] in _ALNUM)


def _patterns(identifier: Identifier) -> Iterator[_Pattern]:
    for kind, text in _spellings(identifier):
        if not _searchable(text):
            continue
        bounded = kind is Kind.NAME_PART or len(text) < BOUNDED_BELOW
        for encoding in ENCODINGS if not text.isascii() else ("utf-8", *WIDE):
            for form in {text, text.lower(), text.upper()} if not text.isascii() else {text}:
                try:
                    data = form.encode(encoding).lower()
                except UnicodeEncodeError:
                    continue
                yield _Pattern(data, kind, encoding, (2 if encoding in WIDE else 1) if bounded else 0)
        if kind is not Kind.NAME_PART:
            for form, name in itertools.product((text, text.upper(), text.lower()), HASHES):
                digest = hashlib.new(name, form.encode(), usedforsecurity=False).hexdigest()
                yield _Pattern(digest.encode(), kind, f"{name} without a key", 0)


def _searchable(text: str) -> bool:
    return len(text) >= SHORTEST or (len(text) > 1 and not text.isascii())


def _spellings(identifier: Identifier) -> Iterator[tuple[Kind, str]]:
    """The ways in which people and programs write a value."""
    value = identifier.value.strip(" \0")
    if identifier.kind in {Kind.DATE, Kind.BIRTH_DATE}:
        for text in _dates(value):
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


def _dates(value: str) -> list[str]:
    digits = value.replace(".", "").replace("-", "")[:8]
    try:
        day = date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return []
    return list(dict.fromkeys(day.strftime(form) for form in DATE_FORMATS))
