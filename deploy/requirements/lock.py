# noqa: INP001 - a script, not a module of a package
"""Write the pinned requirement files from what is installed here: the closure of each group of pyproject.toml.

base.txt is what a receiver and the dashboard need, worker.txt what inference and the embedded broker add, export.txt what the
auditors' export adds, training.txt what training adds, dev.txt what lint and tests add.
Upgrade by hand (`pip install --upgrade NAME`), run the tests, then run this: `make lock`.
"""

from __future__ import annotations

import tomllib
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HERE = Path(__file__).resolve().parent
# The build tool that pip's isolation would fetch anew for every install; torch needs it too from Python 3.12 on.
BUILD = ("setuptools",)
HEADER = "# Written by `make lock` from pyproject.toml and what was installed. Not by hand.\n"


def closure(requirements: list[str]) -> set[str]:
    """Canonical names of these requirements and of everything that they need on this platform."""
    found: set[tuple[str, str]] = set()
    waiting = [(Requirement(text), "") for text in requirements]
    while waiting:
        requirement, of_extra = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": of_extra}):
            continue
        name = canonicalize_name(requirement.name)
        for extra in ("", *sorted(requirement.extras)):
            if (name, extra) not in found:
                found.add((name, extra))
                waiting += [(Requirement(text), extra) for text in distribution(name).requires or ()]
    return {name for name, _ in found}


def pins(names: set[str], markers: dict[str, str]) -> str:
    """One `name==version` a line. The local part (torch's `+cpu`) is left out: it names a build, not a version."""
    lines = []
    for name in sorted(names):
        marker = f" ; {markers[name]}" if name in markers else ""
        lines.append(f"{name}=={distribution(name).version.partition('+')[0]}{marker}")
    return HEADER + "\n".join(lines) + "\n"


def main() -> None:
    """Write the files; each holds only what the ones before it do not."""
    project = tomllib.loads((HERE.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    groups = {
        "base": [*project["dependencies"], *extras["dashboard"], *BUILD],
        "worker": [*extras["worker"], *extras["embedded"]],
        "export": extras["export"],
        "training": extras["training"],
        "dev": extras["dev"],
    }
    known: set[str] = set()
    for group, requirements in groups.items():
        markers = {canonicalize_name(one.name): str(one.marker) for one in map(Requirement, requirements) if one.marker}
        names = closure(requirements) - known
        known |= names
        (HERE / f"{group}.txt").write_text(pins(names, markers), encoding="utf-8")


if __name__ == "__main__":
    main()
