"""Pictures of the figures, from `metrics.json` and the flow chart alone: SVG to enlarge, PNG for the page. The same bytes each time.

`draw` writes them, `pictures` gives them with titles and words for who cannot see them. Needs matplotlib (`ptx-node[export]`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ptx_node.errors import UsageError, writing_below

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ptx_node.validation.figures.picture import Picture
    from ptx_node.validation.flow import Flow

__all__ = ["draw", "pictures"]


def pictures(metrics: Mapping[str, Any], flow: Flow) -> list[Picture]:
    """Every picture that these figures allow: the flow chart first, then those of each model.

    Raises:
        UsageError: matplotlib is not installed.
    """
    try:
        from ptx_node.validation.figures.gallery import gallery  # noqa: PLC0415 - the base install has no matplotlib
    except ImportError as error:
        raise UsageError("figures need matplotlib: pip install 'ptx-node[export]'") from error
    return gallery(metrics, flow)


def draw(metrics: Mapping[str, Any], flow: Flow, folder: Path) -> list[Path]:
    """Write every picture as SVG and as PNG.

    Args:
        metrics: what `compute` gave, or what was read from `metrics.json`.
        flow: the flow chart.
        folder: is made where it does not exist; files of these names are overwritten.

    Raises:
        StorageFullError: no space is left.
        UsageError: matplotlib is not installed, or the folder cannot be written.
    """
    return save(pictures(metrics, flow), folder)


def save(made: list[Picture], folder: Path) -> list[Path]:
    """Write pictures that are made; errors as of `draw`."""
    written = []
    with writing_below(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for picture in made:
            for suffix, data in (("svg", picture.svg), ("png", picture.png)):
                path = folder / f"{picture.name}.{suffix}"
                path.write_bytes(data)
                written.append(path)
    return written
