"""The commissioning report: a table for the terminal, JSON for programs, Markdown for the folder of the site."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from rich.table import Table

from ptx_node.commission.phantoms import PREFIX

if TYPE_CHECKING:
    from pathlib import Path

    from ptx_node.commission.checks import Check

WORD = {True: "pass", False: "FAIL"}


@dataclass(frozen=True, slots=True)
class Line:
    """One phantom: what is true, what was said, every check, and how long it took from sending to the last proof."""

    label: str
    patient_id: str
    study_instance_uid: str
    sop_instance_uids: tuple[str, ...]
    truth: str
    answer: str
    probability: float | None
    seconds: float | None
    checks: list[Check]

    @property
    def passed(self) -> bool:
        """Whether nothing failed."""
        return all(one.passed for one in self.checks)

    @property
    def failures(self) -> list[Check]:
        """What failed."""
        return [one for one in self.checks if not one.passed]


@dataclass(frozen=True, slots=True)
class Report:
    """One run.

    Attributes:
        route: where the phantoms were sent, and as whom.
        models: identity of those that answered: name, version, digest of the weights, Device UID.
        rules_sha256: of the rules as this node's settings have them; other rules need another commissioning.
        read_back_by: destination -> how its results were read back.
    """

    site: str
    run: str
    began_at: str
    software: str
    route: str
    models: list[dict[str, Any]]
    rules_sha256: str
    read_back_by: dict[str, str]
    lines: list[Line] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether every phantom came back as known."""
        return bool(self.lines) and all(line.passed for line in self.lines)

    def as_json(self) -> dict[str, Any]:
        """Everything, with the verdicts."""
        lines = [asdict(line) | {"passed": line.passed} for line in self.lines]
        return {"simulated": True, "passed": self.passed} | asdict(self) | {"lines": lines}


def table(report: Report) -> Table:
    """One line a phantom."""
    view = Table(title=f"SIMULATED phantoms, run {report.run}: {report.route}", title_justify="left", header_style="bold")
    for name in ("phantom", "Patient ID", "truth", "answer"):
        view.add_column(name)
    for name in ("probability", "seconds"):
        view.add_column(name, justify="right")
    view.add_column("checks")
    for line in report.lines:
        verdict = f"[green]{len(line.checks)} passed[/green]"
        if not line.passed:
            verdict = "[red]" + "; ".join(f"{one.what}: {one.detail}" for one in line.failures) + "[/red]"
        view.add_row(line.label, line.patient_id, line.truth, line.answer, _number(line.probability, 3), _number(line.seconds, 1), verdict)
    return view


def write(report: Report, folder: Path) -> tuple[Path, Path]:
    """`commissioning-RUN.json` and `.md` in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    as_json, as_text = (folder / f"commissioning-{report.run}.{ending}" for ending in ("json", "md"))
    as_json.write_text(json.dumps(report.as_json(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    as_text.write_text(markdown(report), encoding="utf-8")
    return as_json, as_text


def markdown(report: Report) -> str:
    """The report for people."""
    good = sum(line.passed for line in report.lines)
    lines = [
        f"# Commissioning of {report.site}: {'passed' if report.passed else 'FAILED'}",
        "",
        f"{good} of {len(report.lines)} SIMULATED phantoms came back as known. Research software, not a medical device: this shows that",
        "the way through the site works, and says nothing about patients.",
        "",
        f"- run: `{report.run}`, began {report.began_at}",
        f"- software: {report.software}",
        f"- way: {report.route}",
        *(
            f"- model: {one['name']} {one['version']}, weights {one['weights'] or 'unknown'}, Device UID {one['device_uid']}"
            for one in report.models
        ),
        f"- rules: sha256 {report.rules_sha256}",
        *(f"- read back from {name} by {how}" for name, how in report.read_back_by.items()),
        f"- to purge the phantoms and their results: Patient ID `{PREFIX}-{report.run}-*`, issuer SIMULATED",
        "",
        "| phantom | Patient ID | truth | answer | probability | seconds | verdict |",
        "|---|---|---|---|---|---|---|",
    ]
    for line in report.lines:
        numbers = f"{_number(line.probability, 3)} | {_number(line.seconds, 1)}"
        lines.append(f"| {line.label} | {line.patient_id} | {line.truth} | {line.answer} | {numbers} | {WORD[line.passed]} |")
    lines += ["", "## Checks", ""]
    for line in report.lines:
        lines.append(f"- {line.label} {line.patient_id}, study {line.study_instance_uid}")
        lines += [f"  - {WORD[one.passed]} {one.what}: {one.detail}" for one in line.checks]
    return "\n".join(lines) + "\n"


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
