"""The main job by one command, as a newcomer runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pydicom
import pytest

from ptx_node.demo.site import MARK
from ptx_node.validation.bag import info_of


@pytest.mark.parametrize("pacs", ["--pacs", "--no-pacs"])
def test_demo_ends_with_every_answer_checked(tmp_path: Path, pacs: str) -> None:
    """Simulated studies go in by C-STORE; SEG and SR are read back, agree with the truth, and the exit code says so."""
    home = tmp_path / "demo"
    demo = subprocess.run(
        [sys.executable, "-m", "ptx_node", "demo", "--once", pacs, "--home", home],
        check=False,
        capture_output=True,
        text=True,
        timeout=280,
        cwd=tmp_path,
    )
    assert 0 == demo.returncode, demo.stdout + demo.stderr
    assert "12 of 12 answers agree" in demo.stdout
    assert "3 true positive, 0 false positive, 0 false negative, 2 true negative; AUC 1.00" in demo.stdout
    assert "✗" not in demo.stdout
    assert "every byte as written, audit rows in the trail of this node" in demo.stdout
    assert "every figure the same to the last digit" in demo.stdout
    assert "yes, only" == info_of(home / "export")["Contains-Simulated-Data"]
    if pacs == "--no-pacs":
        written = [pydicom.dcmread(path, stop_before_pixels=True).Modality for path in (home / "node" / "results").glob("*.dcm")]
        assert {"SEG": 6, "SR": 12, "OT": 10} == {name: written.count(name) for name in set(written)}


def test_demo_leaves_foreign_folders_alone(tmp_path: Path) -> None:
    """Only a folder that an earlier demonstration made is cleared."""
    (tmp_path / "thesis.txt").write_text("ten years of work")
    demo = subprocess.run(
        [sys.executable, "-m", "ptx_node", "demo", "--once", "--home", tmp_path], check=False, capture_output=True, text=True, timeout=60
    )
    assert 1 == demo.returncode
    assert "not empty" in demo.stderr
    assert ["thesis.txt"] == [path.name for path in tmp_path.iterdir()]
    assert MARK not in demo.stderr
