"""The validators that results must pass: dciodvfy (dicom3tools), DicomSRValidator (PixelMed), dsrdump (dcmtk)."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

JAVA = (
    "java",
    "-Djdk.xml.xpathTotalOpLimit=0",  # without these three it fails in its own stylesheet
    "-Djdk.xml.xpathExprOpLimit=0",
    "-Djdk.xml.xpathExprGrpLimit=0",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",  # it ends before the better compiler would pay
    "-cp",
    "/usr/share/java/*",
)


def dciodvfy_errors(path: Path) -> list[str]:
    """Lines of dciodvfy that are errors. It says which IOD it recognised, or nothing was checked."""
    run = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, errors="replace", check=False)
    lines = (run.stdout + run.stderr).splitlines()
    assert lines, f"dciodvfy said nothing about {path.name}"
    return [line for line in lines if line.startswith("Error")]


def pixelmed_reports(paths: Sequence[Path]) -> dict[str, list[str]]:
    """What PixelMed says of each report, in lines, by file name."""
    texts: dict[str, list[str]] = {}
    if shutil.which("javac"):
        program = Path(__file__).with_name("ValidateReports.java")
        run = subprocess.run([*JAVA, str(program), *map(str, paths)], capture_output=True, text=True, check=True)
        for part in run.stdout.split("File: ")[1:]:
            name, *lines = part.splitlines()
            texts[Path(name).name] = lines
        return texts
    for path in paths:
        command = [*JAVA, "com.pixelmed.validate.DicomSRValidator", str(path)]
        texts[path.name] = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return texts


def dsrdump(path: Path) -> subprocess.CompletedProcess[str]:
    """The report as dcmtk reads it."""
    return subprocess.run(["dsrdump", "+Pc", str(path)], capture_output=True, text=True, errors="replace", check=False)
