"""The independent scan over a finished package of many patients: which identifiers are looked for where, in flat memory.

A table of thousands of rows holds digests, pseudonyms and measurements, in which any short number stands somewhere by chance. So what is
long enough not to be there by chance (UIDs, names, long numbers) is looked for in every byte of every file; what is short is looked for
as a word in the texts of tables and JSON, leaving out what has the form of a pseudonym or a digest; and digests of both, made
without a key, everywhere.
"""

from __future__ import annotations

import csv
import importlib
import json
import re
from enum import Enum, auto
from itertools import islice
from typing import TYPE_CHECKING, Any

from ptx_node.validation.case_columns import COLUMNS, EXCLUSIONS, OVER_TIME, Type
from ptx_node.validation.leak_needles import Needles
from ptx_node.validation.leak_scan import Leak, scan_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from ptx_node.validation.leak_needles import Identifier

LONG = 16
"""Letters and digits. One hundred thousand numbers of this length are not met by chance in a gigabyte of digests."""
LONG_WITH_SIGNS = 8
"""With a sign in between, as in a UID or `Doe^Jane`."""
SURE = 6
"""Characters. A shorter word may be the name of a device or a version as well: a person decides."""
BATCH = 40_000
"""Identifiers made ready at once, 13 MB: each further batch is another pass over every file."""
CHUNK = 1 << 20
LINES_AT_ONCE = 20_000
DIGEST = "(digest without a key)"
_OWN = re.compile(
    r"\b(?:P[A-Z2-7]{16}|A[A-Z2-7]{15}|D[A-Z2-7]{12}|R[A-Z2-7]{16})(?!\w)|\b2\.25\.\d{30,39}(?!\d)|\b(?:\d+:)?[0-9a-f]{64}(?![\w])"
)
MEASURED = frozenset({one.name for one in (*COLUMNS, *OVER_TIME, *EXCLUSIONS) if one.type is not Type.TEXT})
COUNTED = frozenset({"findings", "threshold", "version", "value", "of_proposal", "contentSize"})
"""Columns of tables, and keys of JSON, that hold numbers and no text."""
_TEXT = (".csv", ".json", ".jsonl", ".md", ".toml", ".txt", ".html", ".svg")


def leaks(folder: Path, identifiers: Iterable[Identifier]) -> Iterator[Leak]:
    """What of the originals stands in the package's files.

    Args:
        folder: finished; links are not followed. Folders of images are scanned patient by patient by whoever writes them.
        identifiers: of the originals, read once.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink() and path.suffix != ".dcm")
    for sort, batch in _batches(identifiers):
        needles = Needles(batch)
        for number, path in enumerate(files):
            name = path.relative_to(folder).as_posix()
            yield from (one for part in _parts(path) for one in scan_bytes(name, part, needles) if sort is _Sort.LONG or _is_digest(one))
            if sort is _Sort.LONG:
                yield from (Leak(f"file {number}", "its own name", hit.kind.value) for hit in needles.find(name.encode()))
                continue
            for text in _words(path):
                found = (one for one in scan_bytes(name, text, needles) if not _is_digest(one))
                yield from (Leak(name, "a text in it", one.what, certain=sort is _Sort.WORD and one.certain) for one in found)


class _Sort(Enum):
    """How an identifier is looked for."""

    LONG = auto()
    WORD = auto()
    SHORT_WORD = auto()


def _batches(identifiers: Iterable[Identifier]) -> Iterator[tuple[_Sort, set[Identifier]]]:
    """Identifiers of one sort, some at a time."""
    waiting: dict[_Sort, set[Identifier]] = {sort: set() for sort in _Sort}
    for one in identifiers:
        sort = _Sort.LONG if _is_long(one.value) else _Sort.WORD if _is_sure(one.value) else _Sort.SHORT_WORD
        waiting[sort].add(one)
        if len(waiting[sort]) >= BATCH:
            yield sort, waiting[sort]
            waiting[sort] = set()
    yield from ((sort, some) for sort, some in waiting.items() if some)


def _is_digest(leak: Leak) -> bool:
    return leak.what.endswith(DIGEST)


def _is_long(value: str) -> bool:
    return len(value) >= (LONG if value.isalnum() else LONG_WITH_SIGNS)


def _is_sure(value: str) -> bool:
    """Whether no ordinary word is written so: a station may be called after what it is."""
    return len(value) >= SURE and any(character.isdigit() for character in value)


def _parts(path: Path) -> Iterator[bytes]:
    """Whole, or of long text in pieces that end with a line."""
    if path.suffix not in _TEXT or path.stat().st_size <= CHUNK:
        yield path.read_bytes()
        return
    with path.open("rb") as file:
        while part := file.read(CHUNK):
            yield part + file.readline()


def _words(path: Path) -> Iterator[bytes]:
    """The texts of a table or a JSON document, a line each, without what has the form of a pseudonym or a digest."""
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file)
            texts = [place for place, name in enumerate(next(rows, [])) if name not in MEASURED | COUNTED]
            yield from _joined(row[place] for row in rows for place in texts if place < len(row))
    elif path.suffix == ".jsonl":
        with path.open(encoding="utf-8") as file:
            yield from _joined(text for line in file for text in _strings(json.loads(line)))
    elif path.suffix == ".json":
        yield from _joined(_strings(json.loads(path.read_text(encoding="utf-8"))))
    elif path.suffix == ".parquet":
        parquet: Any = importlib.import_module("pyarrow.parquet")
        with parquet.ParquetFile(path) as table:
            names = [field.name for field in table.schema_arrow if str(field.type) in {"string", "large_string"}]
            for some in table.iter_batches(batch_size=LINES_AT_ONCE, columns=names):
                yield from _joined(cell for column in some.columns for cell in column.to_pylist() if cell)


def _joined(texts: Iterable[str]) -> Iterator[bytes]:
    """Texts in pieces; each different one once a piece."""
    waiting = iter(texts)
    while some := list(islice(waiting, LINES_AT_ONCE)):
        different = sorted({_OWN.sub("", text) for text in some})
        yield "\n".join(different).encode("utf-8", "surrogatepass")


def _strings(value: Any) -> Iterator[str]:
    """Every text of a JSON value; keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, one in value.items():
            yield name
            yield from _strings(one) if name not in COUNTED else ()
    elif isinstance(value, list):
        for one in value:
            yield from _strings(one)
