"""The package's own description: RO-Crate 1.1 metadata (JSON-LD) in the root of the payload, so that the bag's `data/` is the crate.

Every file is named with what it is; files of a folder of images are described by their folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

METADATA = "ro-crate-metadata.json"
CONTEXT = "https://w3id.org/ro/crate/1.1/context"
PROFILE = "https://w3id.org/ro/crate/1.1"
MEDIA_TYPES = {
    "csv": "text/csv",
    "json": "application/json",
    "jsonl": "application/jsonl",
    "md": "text/markdown",
    "html": "text/html",
    "pdf": "application/pdf",
    "png": "image/png",
    "svg": "image/svg+xml",
    "parquet": "application/vnd.apache.parquet",
    "dcm": "application/dicom",
    "toml": "application/toml",
    "txt": "text/plain",
}


@dataclass(frozen=True, slots=True)
class Subject:
    """What the crate says of itself.

    Attributes:
        published_on: YYYY-MM-DD, derived from what was exported, never the clock.
        terms: on what terms somebody has it.
        site: who exported it, in words that a de-identified package may have.
        version: of ptx-node.
    """

    name: str
    description: str
    published_on: str
    terms: str
    site: str
    version: str


def crate(subject: Subject, files: Iterable[tuple[str, int]], words: dict[str, str]) -> dict[str, Any]:
    """The metadata document.

    Args:
        subject: of the whole.
        files: path below the root and bytes, sorted, without this document itself.
        words: what a file, or a folder that ends in `/`, is, by path; files of a folder named here are not listed one by one.
    """
    folders = sorted(path for path in words if path.endswith("/"))
    listed = [(path, size) for path, size in files if not any(path.startswith(folder) for folder in folders)]
    parts = [_file(path, size, words.get(path, "")) for path, size in listed]
    parts += [{"@id": path, "@type": "Dataset", "name": words[path]} for path in folders]
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": subject.name,
        "description": subject.description,
        "datePublished": subject.published_on,
        "license": {"@id": "#terms"},
        "author": {"@id": "#site"},
        "publisher": {"@id": "#site"},
        "hasPart": [{"@id": part["@id"]} for part in parts],
        "mentions": {"@id": "#export"},
    }
    software = {
        "@id": "#ptx-node",
        "@type": "SoftwareApplication",
        "name": "ptx-node",
        "version": subject.version,
        "description": "A radiology AI node for pneumothorax. Research software, not a medical device.",
    }
    export = {
        "@id": "#export",
        "@type": "CreateAction",
        "name": "ptx export",
        "instrument": {"@id": "#ptx-node"},
        "result": {"@id": "./"},
        "endTime": subject.published_on,
    }
    descriptor = {"@id": METADATA, "@type": "CreativeWork", "conformsTo": {"@id": PROFILE}, "about": {"@id": "./"}}
    terms = {"@id": "#terms", "@type": "CreativeWork", "name": "Terms of use", "description": subject.terms}
    site = {"@id": "#site", "@type": "Organization", "name": subject.site}
    return {"@context": CONTEXT, "@graph": [descriptor, root, *parts, software, export, terms, site]}


def _file(path: str, size: int, words: str) -> dict[str, Any]:
    kind = path.rpartition(".")[2].lower()
    return {
        "@id": path,
        "@type": "File",
        "name": words or path,
        "contentSize": str(size),
        "encodingFormat": MEDIA_TYPES.get(kind, "application/octet-stream"),
    }
