"""The software that made the figures: every installed distribution with version and licence, as CycloneDX 1.6 JSON.

The same installation gives the same bytes: no time, no random number; the serial number is derived from the content.
"""

from __future__ import annotations

import json
import re
import urllib.parse
import uuid
from importlib.metadata import distributions
from typing import TYPE_CHECKING, Any

from ptx_node import __version__
from ptx_node.domain.audit import canonical_json

if TYPE_CHECKING:
    from collections.abc import Iterable
    from importlib.metadata import Distribution

NAMESPACE = uuid.UUID("5b0c8e0a-3f52-5c1e-9a77-2f3d4a5b6c7d")
OWN = "ptx-node"
LONGEST_NAME = 100
"""Characters: some projects put the whole licence into the field for its name."""
_SPDX = re.compile(r"[A-Za-z0-9.+-]+(?: (?:AND|OR|WITH) [A-Za-z0-9.+-]+)*")
_TROVE = "License :: "


def bill_of_materials(installed: Iterable[Distribution] | None = None) -> dict[str, Any]:
    """The CycloneDX document of what is installed beside this code."""
    found: dict[str, Distribution] = {}
    for one in installed if installed is not None else distributions():
        name = one.metadata["Name"]
        if name:  # a half-removed distribution has none
            found.setdefault(_normal(name), one)
    components = [_component(name, found[name]) for name in sorted(found) if name != OWN]
    own = {"type": "application", "bom-ref": OWN, "name": OWN, "version": __version__, "licenses": [{"license": {"id": "Apache-2.0"}}]}
    content = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": own},
        "components": components,
        "dependencies": [{"ref": OWN, "dependsOn": [one["bom-ref"] for one in components]}],
    }
    return {**content, "serialNumber": f"urn:uuid:{uuid.uuid5(NAMESPACE, canonical_json(content))}"}


def as_text(bill: dict[str, Any]) -> str:
    """The document as it is written."""
    return json.dumps(bill, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _component(name: str, one: Distribution) -> dict[str, Any]:
    reference = f"pkg:pypi/{name}@{urllib.parse.quote(one.version)}"
    component: dict[str, Any] = {"type": "library", "bom-ref": reference, "name": name, "version": one.version, "purl": reference}
    licences = _licences(one)
    return {**component, "licenses": licences} if licences else component


def _licences(one: Distribution) -> list[dict[str, Any]]:
    """As the distribution states it: an SPDX expression, else its classifiers, else the first line of its licence field."""
    expression = _field(one, "License-Expression")
    if _SPDX.fullmatch(expression):
        return [{"expression": expression}]
    classifiers = one.metadata.get_all("Classifier") or []
    names = sorted({text.rpartition(" :: ")[2] for text in classifiers if text.startswith(_TROVE)})
    if not names:
        stated = (expression or _field(one, "License")).strip().splitlines()
        names = [stated[0][:LONGEST_NAME]] if stated and stated[0] != "UNKNOWN" else []
    return [{"license": {"name": name}} for name in names]


def _field(one: Distribution, name: str) -> str:
    return str((one.metadata.get_all(name) or [""])[0])


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
