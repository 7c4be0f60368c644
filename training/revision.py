"""Which revision of this program runs, as git tells it."""

from __future__ import annotations

import subprocess
from pathlib import Path


def revision() -> str:
    """The git revision that this program runs from, `+` when it was changed since; `unknown` outside a repository."""
    head, changed = (git(*words) for words in (("rev-parse", "HEAD"), ("status", "--porcelain", "--untracked-files=no")))
    return head + ("+" if changed else "") if head else "unknown"


def git(*words: str) -> str:
    """What git says in this program's repository; nothing where there is none."""
    try:
        found = subprocess.run(  # noqa: S603 - fixed words
            ["git", *words],  # noqa: S607 - whichever git the person uses
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return found.stdout.strip()
