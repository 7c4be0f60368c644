"""The plan of the house is kept by machine: who imports whom, and how large a module grows."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted((ROOT / "ptx_node").rglob("*.py"))
LINES_A_MODULE = 330
DRAWERS = {"utils", "util", "helpers", "common", "manager", "base", "misc"}
DECLARATIONS = {"tables.py", "settings.py", "english.py", "french.py"}  # lists that read best in one place


def test_the_import_contracts_hold() -> None:
    outcome = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert outcome.returncode == 0, outcome.stdout


@pytest.mark.parametrize("role", ["storage_scp", "stow_rs", "hl7_mllp", "hl7_door", "fhir"])
def test_the_receiver_loads_neither_torch_nor_pixel_code(role: str) -> None:
    """What is imported, directly or not: asked in a fresh interpreter.

    The codecs are pydicom's to load where they are installed; the receiver's image has none.
    """
    heavy = ("torch", "monai", "highdicom", "scipy", "ptx_node.model", "ptx_node.dicom.decode", "ptx_node.dicom.pixels")
    code = f"import sys, ptx_node.inbound.{role}; print(*[name for name in {heavy!r} if name in sys.modules])"
    outcome = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stdout.strip() == ""


def test_no_module_grows_into_a_drawer() -> None:
    assert MODULES
    too_long = [
        f"{path.relative_to(ROOT)}: {lines}"
        for path in MODULES
        if path.name not in DECLARATIONS and (lines := len(path.read_text().splitlines())) > LINES_A_MODULE
    ]
    assert not too_long, f"split near 300 lines: {too_long}"
    assert not [path for path in MODULES if path.stem in DRAWERS]


def test_alembic_is_no_package() -> None:
    """An `__init__.py` there would shadow the library of the same name."""
    assert not list((ROOT / "alembic").rglob("__init__.py"))
