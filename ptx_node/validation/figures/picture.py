"""One picture: its style, its foot, and its bytes, which depend on nothing but what is drawn and on matplotlib's version."""

from __future__ import annotations

import io
import re
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

if TYPE_CHECKING:
    from collections.abc import Iterator

# Okabe and Ito's colours, which all kinds of colour vision tell apart; lines differ in their dashes too.
BLUE, ORANGE, GREEN, GREY, INK = "#0072B2", "#D55E00", "#00785A", "#767676", "#1A1A1A"
PALE_BLUE, PALE_GREY = "#D6E8F3", "#EFEFEF"
DOTS_AN_INCH = 200
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": 9,
    "text.parse_math": False,  # a device may be called $x$
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.hashsalt": "ptx-node",
    "svg.fonttype": "path",
    "figure.constrained_layout.use": True,
}
_CLIP = re.compile(rb'<clipPath id="([^"]+)"')
_CLIP_USED = re.compile(rb'(<clipPath id="|url\(#)([^")]+)("|\))')
SIMULATED = "SIMULATED DATA, no patients"
FOOT_INCHES = 0.24


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture and what is said of it.

    Attributes:
        name: of its files.
        model: whose it is, such as `m1`; empty for that of all.
        words: what it shows and from how many, for the line below it.
        alternative: what it says, for who cannot see it.
        width_mm: on paper.
        height_mm: on paper.
    """

    name: str
    model: str
    title: str
    words: str
    alternative: str
    width_mm: float
    height_mm: float
    svg: bytes
    png: bytes


@contextmanager
def style() -> Iterator[None]:
    """Our own settings over matplotlib's, whatever the user's file says."""
    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # shown as a box, which is what it is
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield


def canvas(width: float, height: float) -> Figure:
    """An empty figure of so many inches."""
    return Figure(figsize=(width, height))


def finished(figure: Figure, *, name: str, title: str, words: str, alternative: str, foot: str, simulated: bool) -> Picture:
    """The bytes of a figure, with its foot in a strip of its own.

    Args:
        figure: without a foot.
        name: `MODEL-KIND`, or one word.
        title: few words.
        words: below the picture.
        alternative: instead of the picture.
        foot: what the cases are, in the picture itself.
        simulated: says so in the picture itself.
    """
    width, height = (float(one) for one in figure.get_size_inches())
    strip = FOOT_INCHES / height
    engine = figure.get_layout_engine()
    if isinstance(engine, ConstrainedLayoutEngine):
        engine.set(rect=(0, strip, 1, 1 - strip))
    figure.text(0.06 / width, 0.06 / height, foot, ha="left", va="bottom", fontsize=7, color=GREY)
    if simulated:
        figure.text(1 - 0.06 / width, 0.06 / height, SIMULATED, ha="right", va="bottom", fontsize=7, color=ORANGE, fontweight="bold")
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # it has done its work: once, not once a format
    svg, png = io.BytesIO(), io.BytesIO()
    figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    figure.savefig(png, format="png", dpi=DOTS_AN_INCH, metadata={"Software": None})
    model = name.partition("-")[0] if "-" in name else ""
    return Picture(name, model, title, words, alternative, width * 25.4, height * 25.4, _steady(svg.getvalue()), png.getvalue())


def _steady(svg: bytes) -> bytes:
    """The same picture with its clip paths numbered in their order.

    Their names are digests of unrounded edges, whose last bit the layout's solver does not give twice; what is drawn is rounded.
    """
    names = dict.fromkeys(_CLIP.findall(svg))
    numbers = {name: b"clip%d" % place for place, name in enumerate(names, 1)}
    return _CLIP_USED.sub(lambda found: found[1] + numbers.get(found[2], found[2]) + found[3], svg)
