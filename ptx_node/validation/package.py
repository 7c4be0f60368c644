"""What a package holds beside cases and figures: how it was asked for, how it is repeated, lists to fill in; and its frame, written last.

The same request on the same snapshot gives the same bytes: no clock, no random number, no name of a machine.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ptx_node import __version__
from ptx_node.domain.reading import TruthKind
from ptx_node.errors import UsageError
from ptx_node.validation import bag, checklists, crate, dictionary
from ptx_node.validation.bill_of_materials import as_text, bill_of_materials

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date
    from pathlib import Path

ABOUT = "export.json"
REPRODUCE = "REPRODUCE.md"
SIMULATED = "SIMULATED patients only: nothing here says anything about real ones."
DISCLAIMER = "ptx-node is research software, not a medical device."
TERMS = "Made for the auditors whom the site gave it to. No right to pass it on comes with it."

WORDS: Mapping[str, str] = {
    ABOUT: "how this export was asked for, and what was done to de-identify it",
    REPRODUCE: "how to verify and recompute it",
    "cases.csv": "one row a finding of a model",
    "cases.parquet": "the same rows for programs",
    "data-dictionary.csv": "every column of the cases",
    "data-dictionary.md": "every column of the cases",
    "exclusions.csv": "why images and reports are in no figure, counted",
    "over_time.csv": "the counted cases in the order of time, without names",
    "metrics.json": "every figure with its n, method and seed",
    "flow.json": "the flow chart in numbers",
    "report.html": "the report",
    "report.pdf": "the report to print",
    "models/index.json": "the models that answered, with hashes",
    "thresholds.csv": "at which thresholds they answered",
    "threshold-history.csv": "the site's own thresholds, as people proposed, applied and withdrew them",
    "settings.json": "settings of the node, as far as they may be told",
    "rules.json": "routing rules",
    "software.cdx.json": "software bill of materials, CycloneDX 1.6",
    "audit/rows.jsonl": "the audit trail's rows of the period",
    "audit/segment.json": "where that stretch lies in the chain",
    "checklists/stard-ai.md": "STARD-AI, filled in as far as the package answers it",
    "checklists/stard-ai.csv": "the same as a table",
    "checklists/claim.md": "CLAIM 2024, filled in as far as the package answers it",
    "checklists/claim.csv": "the same as a table",
    "checklists/acr-assess-ai.csv": "what an upload to the ACR's Assess-AI asks for, and where it is here",
    "images.csv": "images of the counted cases, and those that may not leave",
    "reports.csv": "texts of the radiology reports of the counted cases",
    "images/": "de-identified images of the counted cases",
}


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody asked for.

    Attributes:
        since, until: local days of examination, both within; of a cohort those of its CTs.
        name: of the export; another name gives pseudonyms that cannot be linked with these.
        time_zone: of the days.
        cohort: whose counted members it is of; empty: everybody examined in the period.
        prevalence: for which predictive values are told beside those of these cases.
    """

    since: date
    until: date
    name: str
    time_zone: str
    truth: TruthKind = TruthKind.REPORT
    identified: bool = False
    with_images: bool = False
    with_report_text: bool = False
    cohort: str = ""
    prevalence: float | None = None

    def to_json(self) -> dict[str, Any]:
        """As export.json has it, and the audit trail."""
        return {
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            "name": self.name,
            "time_zone": self.time_zone,
            "truth": self.truth.value,
            "identified": self.identified,
            "with_images": self.with_images,
            "with_report_text": self.with_report_text,
            "cohort": self.cohort,
            "prevalence": self.prevalence,
        }

    @property
    def words(self) -> str:
        """What it is, in one line."""
        how = "identified: it stays at the site" if self.identified else "de-identified"
        whose = f"cohort {self.cohort} of CT reports" if self.cohort else "images"
        return f"Validation of a pneumothorax AI, {whose} of {self.since} to {self.until}, {how}"


def check_request(request: Request) -> None:
    """Refuse what may not be.

    Raises:
        UsageError: what was asked for contradicts itself.
    """
    if request.with_report_text and not request.identified:
        raise UsageError(
            "texts of reports cannot be de-identified: --with-report-text needs --identified, and such a package stays at the site"
        )
    if request.cohort and request.truth is not TruthKind.REPORT:
        raise UsageError("a cohort is held against the CT reports that it was built of: no other truth can be given with it")
    if request.prevalence is not None and not 0 < request.prevalence < 1:
        raise UsageError(f"the prevalence {request.prevalence:g} is not between 0 and 1")
    if request.with_images and request.identified:
        raise UsageError("images are exported de-identified only: give --with-images without --identified")


def write_json(path: Path, value: Any) -> None:
    """JSON as every file of a package has it: keys in order, one encoding."""
    path.write_text(
        json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False, default=str) + "\n", encoding="utf-8", newline="\n"
    )


def write_texts(folder: Path, request: Request, *, simulated: bool, seed: int) -> None:
    """Dictionary, checklists, bill of materials and REPRODUCE.md."""
    texts = {
        "data-dictionary.csv": dictionary.as_csv(),
        "data-dictionary.md": dictionary.as_markdown(),
        "software.cdx.json": as_text(bill_of_materials()),
        "checklists/acr-assess-ai.csv": checklists.assess_ai_mapping(),
        REPRODUCE: _reproduce(request, simulated=simulated, seed=seed),
    }
    for name in checklists.NAMES:
        listed = checklists.load(name)
        stem = f"checklists/{name.replace('_', '-')}"
        texts |= {f"{stem}.md": checklists.as_markdown(listed), f"{stem}.csv": checklists.as_csv(listed)}
    (folder / "checklists").mkdir()
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")


def close(package: Path, request: Request, *, dated: date, simulated: bool, site: str) -> str:
    """Describe everything that is in `data/`, and make the folder a bag; its digest.

    Args:
        package: with all of `data/`.
        request: what was asked for.
        dated: of what is in it, not of now.
        simulated: every patient is.
        site: who exports, in words that the package may have.
    """
    data = package / bag.PAYLOAD
    for place in sorted((path for path in data.rglob("*") if path.is_dir() and not any(path.iterdir())), reverse=True):
        shutil.rmtree(place)  # a bag has no empty folders
    files = [(path.relative_to(data).as_posix(), path.stat().st_size) for path in data.rglob("*") if path.is_file()]
    words = {name: text for name, text in WORDS.items() if (data / name).exists()}
    description = " ".join([f"{request.words}.", *([SIMULATED] if simulated else []), DISCLAIMER])
    name = f"{'SIMULATED: ' if simulated else ''}ptx-node export {request.since} to {request.until}"
    subject = crate.Subject(name, description, dated.isoformat(), TERMS, site, __version__)
    write_json(data / crate.METADATA, crate.crate(subject, sorted(files), words))
    info = {
        "Source-Organization": site,
        "External-Description": description,
        "External-Identifier": f"{request.name or 'ptx'} {request.since} {request.until}",
        "Bagging-Date": dated.isoformat(),
        "Bag-Software-Agent": f"ptx-node {__version__}",
        "Contains-Simulated-Data": "yes, only" if simulated else "no",
    }
    return bag.write_bag(package, info)


def _reproduce(request: Request, *, simulated: bool, seed: int) -> str:
    told = [
        "# How to verify and repeat this",
        "",
        *([f"**{SIMULATED}**", ""] if simulated else []),
        f"{request.words}. {DISCLAIMER}",
        "",
        f"Written by ptx-node {__version__}; every library with its version is in `software.cdx.json`. Seed of every draw: {seed}.",
        "",
        "```",
        "pip install 'ptx-node[export]'     # the same version",
        "ptx export verify FOLDER           # every byte against the manifests, the audit rows against their links",
        "ptx export recompute FOLDER        # every figure from cases.csv and over_time.csv, to the last digit",
        "```",
        "",
        "FOLDER is the one that holds `bagit.txt`. Neither command needs a database. Without our code: any reader of BagIt (RFC 8493), or",
        "",
        "```",
        "cd FOLDER && sha256sum --check --quiet tagmanifest-sha256.txt manifest-sha256.txt",
        "```",
        "",
        "- What each column means: `data-dictionary.md`. Who is in no figure, and why: `exclusions.csv`. The request: `export.json`.",
        "- Another version of numpy, scipy or pyarrow may change the last digit, or the bytes of `cases.parquet`: `recompute` says so.",
        "- The site makes the same bytes again from the same database with:",
        "",
        "```",
        " ".join(["ptx export", *_options(request), "--out FOLDER"]),
        "```",
        "",
        "At the site, `ptx export verify FOLDER -c ptx.toml` also holds each audit row against the node's own trail.",
    ]
    return "\n".join(told) + "\n"


def _options(request: Request) -> list[str]:
    flags = {"--identified": request.identified, "--with-images": request.with_images, "--with-report-text": request.with_report_text}
    days = [f"--since {request.since}", f"--until {request.until}", f"--truth {request.truth.value}"]
    options = [f"--cohort {request.cohort}"] if request.cohort else days
    options += [f"--prevalence {request.prevalence!r}"] if request.prevalence is not None else []
    return options + ([f"--name {request.name}"] if request.name else []) + [flag for flag, wanted in flags.items() if wanted]
