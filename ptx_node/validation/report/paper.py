"""The report on paper: PDF with the fonts in it, without the hour of its making."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

import matplotlib as mpl
from reportlab.lib import colors
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import CondPageBreak, Image, KeepTogether, ListFlowable, Paragraph, SimpleDocTemplate, Spacer
from reportlab.platypus import Table as Grid

from ptx_node.validation.report.blocks import Block, Heading, Points, Shown, Table, Words

if TYPE_CHECKING:
    from collections.abc import Sequence

FONTS = {"Report": "DejaVuSans.ttf", "Report-Bold": "DejaVuSans-Bold.ttf", "Report-Mono": "DejaVuSansMono.ttf"}
"""Come with matplotlib and have every letter of Latin, Greek and Cyrillic scripts."""
INK, SOFT, LINE, PALE = (colors.HexColor(one) for one in ("#1a1a1a", "#5a5f66", "#d9dde2", "#f3f7fa"))
NOTICE, NOTICE_EDGE = colors.HexColor("#fdf3ec"), colors.HexColor("#d55e00")
MARGIN = 16 * mm
WIDTH: float = A4[0] - 2 * MARGIN
HEIGHT: float = A4[1] - 2 * MARGIN
TALLEST: float = 215 * mm
START: float = 32 * mm
"""What a section, or a table, needs on a page to begin there."""


def _styles() -> dict[str, ParagraphStyle]:
    plain = ParagraphStyle("plain", fontName="Report", fontSize=8.5, leading=11.5, textColor=INK, spaceAfter=4, splitLongWords=True)
    return {
        "plain": plain,
        "small": ParagraphStyle("small", plain, fontSize=7.5, leading=10, textColor=SOFT),
        "notice": ParagraphStyle(
            "notice",
            plain,
            fontName="Report-Bold",
            backColor=NOTICE,
            borderColor=NOTICE_EDGE,
            borderWidth=0.6,
            borderPadding=5,
            spaceBefore=7,
            spaceAfter=10,
        ),
        "h1": ParagraphStyle("h1", plain, fontName="Report-Bold", fontSize=15, leading=19, spaceAfter=8),
        "h2": ParagraphStyle("h2", plain, fontName="Report-Bold", fontSize=12, leading=15, spaceBefore=14, spaceAfter=5),
        "h3": ParagraphStyle("h3", plain, fontName="Report-Bold", fontSize=10, leading=13, spaceBefore=9, spaceAfter=3),
        "caption": ParagraphStyle("caption", plain, fontName="Report-Bold", fontSize=8, leading=10.5, spaceBefore=5, spaceAfter=2),
        "head": ParagraphStyle("head", plain, fontSize=7, leading=9, textColor=SOFT, spaceAfter=0),
        "head n": ParagraphStyle("head n", plain, fontSize=7, leading=9, textColor=SOFT, spaceAfter=0, alignment=TA_RIGHT),
        "cell": ParagraphStyle("cell", plain, fontSize=7, leading=9, spaceAfter=0),
        "cell n": ParagraphStyle("cell n", plain, fontSize=7, leading=9, spaceAfter=0, alignment=TA_RIGHT),
        "cell code": ParagraphStyle(
            "cell code", plain, fontName="Report-Mono", fontSize=5.8, leading=8, textColor=SOFT, spaceAfter=0, wordWrap="CJK"
        ),
    }


def paper(title: str, blocks: Sequence[Block]) -> bytes:
    """The PDF. The same blocks give the same bytes with the same versions of ReportLab and matplotlib."""
    folder = Path(mpl.get_data_path()) / "fonts" / "ttf"
    for name, file in FONTS.items():
        pdfmetrics.registerFont(TTFont(name, folder / file))
    styles = _styles()
    written = io.BytesIO()
    document = SimpleDocTemplate(
        written,
        pagesize=A4,
        leftMargin=MARGIN,
        rightMargin=MARGIN,
        topMargin=MARGIN,
        bottomMargin=MARGIN,
        title=title,
        author="ptx-node",
        subject="Research software, not a medical device",
        lang="en",
        invariant=1,
    )

    def foot(canvas: Any, _: Any) -> None:
        canvas.setFont("Report", 6.5)
        canvas.setFillColor(SOFT)
        canvas.drawString(MARGIN, 9 * mm, "ptx-node: research software, not a medical device")
        canvas.drawRightString(A4[0] - MARGIN, 9 * mm, f"page {canvas.getPageNumber()}")

    document.build(_story(blocks, styles), onFirstPage=foot, onLaterPages=foot)
    return written.getvalue()


def _story(blocks: Sequence[Block], styles: dict[str, ParagraphStyle]) -> list[Any]:
    """The blocks in their order; a heading goes to the next page with what it is the heading of."""
    story: list[Any] = []
    for place, block in enumerate(blocks):
        if isinstance(block, Heading) and not (place and isinstance(blocks[place - 1], Heading)):
            story.append(CondPageBreak(_needed(blocks[place:])))
        story += _flowables(block, styles)
    return story


def _needed(blocks: Sequence[Block]) -> float:
    """The height below which a heading would stand alone."""
    first = next((one for one in blocks if not isinstance(one, Heading)), None)
    if not isinstance(first, Shown):
        return START
    return min(_size(first)[1] + START, HEIGHT - 1)


def _size(block: Shown) -> tuple[float, float]:
    """Width and height on paper."""
    width, height = block.picture.width_mm * mm, block.picture.height_mm * mm
    scale = min(1.0, WIDTH / width, TALLEST / height)
    return width * scale, height * scale


def _flowables(block: Block, styles: dict[str, ParagraphStyle]) -> list[Any]:
    match block:
        case Heading():
            return [_paragraph(block.text, styles[f"h{block.level}"])]
        case Words():
            return [_paragraph(block.text, styles[block.kind])]
        case Points():
            items = [_paragraph(one, styles["plain"]) for one in block.items]
            return [ListFlowable(items, bulletType="bullet", start="•", bulletFontName="Report", leftIndent=11, bulletFontSize=8)]
        case Table():
            return [CondPageBreak(START), _paragraph(block.caption, styles["caption"]), _grid(block, styles), Spacer(1, 6)]
        case Shown():
            image = Image(io.BytesIO(block.picture.png), *_size(block), hAlign="LEFT")
            return [KeepTogether([image, _paragraph(block.picture.words, styles["small"])])]


def _paragraph(text: str, style: ParagraphStyle) -> Paragraph:
    return Paragraph(escape(text), style)


def _grid(table: Table, styles: dict[str, ParagraphStyle]) -> Grid:
    """A table that goes on over pages and repeats its head."""

    def style(place: int, kind: str) -> ParagraphStyle:
        if place in table.numbers:
            return styles[f"{kind} n"]
        return styles["cell code"] if place in table.codes and kind == "cell" else styles[kind]

    rows = [[_paragraph(cell, style(place, "head")) for place, cell in enumerate(table.head)]]
    rows += [[_paragraph(cell, style(place, "cell")) for place, cell in enumerate(row)] for row in table.rows]
    widths = [WIDTH * one for one in table.widths or [1 / len(table.head)] * len(table.head)]
    looks = [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LINEBELOW", (0, 0), (-1, 0), 0.8, LINE),
        ("LINEBELOW", (0, 1), (-1, -1), 0.3, LINE),
        ("ROWBACKGROUNDS", (0, 1), (-1, -1), [colors.white, PALE]),
        ("TOPPADDING", (0, 0), (-1, -1), 1.6),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 1.8),
        ("LEFTPADDING", (0, 0), (-1, -1), 2),
        ("RIGHTPADDING", (0, 0), (-1, -1), 4),
    ]
    return Grid(rows, colWidths=widths, repeatRows=1, style=looks, hAlign="LEFT")
