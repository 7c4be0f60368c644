from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from ptx_node.errors import StorageFullError
from ptx_node.pipeline.store import FileStore


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_file_is_written_under_its_name_with_size_and_digest(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "store", watermark_bytes=0)
    stored = store.put("results/1/a.dcm", b"bytes")
    assert ("results/1/a.dcm", 5, hashlib.sha256(b"bytes").hexdigest()) == (stored.path, stored.size_bytes, stored.sha256)
    assert store.path(stored.path).read_bytes() == b"bytes"
    assert files(store.folder) == ["results/1/a.dcm"]


def test_put_replaces_an_older_file_of_the_same_name(tmp_path: Path) -> None:
    store = FileStore(tmp_path, watermark_bytes=0)
    store.put("a", b"old")
    store.put("a", b"new")
    assert store.path("a").read_bytes() == b"new"


def test_a_discarded_file_leaves_nothing(tmp_path: Path) -> None:
    store = FileStore(tmp_path, watermark_bytes=0)
    writer = store.writer()
    writer.write(b"half")
    writer.discard()
    assert files(tmp_path) == []


def test_below_the_watermark_nothing_is_begun(tmp_path: Path) -> None:
    store = FileStore(tmp_path, watermark_bytes=2**62)
    with pytest.raises(StorageFullError, match="watermark"):
        store.put("a", b"x")
    assert files(tmp_path) == []


def test_a_full_disk_is_told_as_ours_and_leaves_nothing(tmp_path: Path) -> None:
    """A file-size limit stands in for a full disk: the kernel refuses the write in the same way."""
    import resource  # noqa: PLC0415
    import signal  # noqa: PLC0415

    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    store = FileStore(tmp_path, watermark_bytes=0)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(StorageFullError):
            store.put("a", b"x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert files(tmp_path) == []


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../b", "", "a//b", "."])
def test_no_name_leaves_the_store(tmp_path: Path, name: str) -> None:
    store = FileStore(tmp_path / "store", watermark_bytes=0)
    with pytest.raises(ValueError, match="not a name inside the store"):
        store.put(name, b"x")
    assert files(tmp_path) == []
