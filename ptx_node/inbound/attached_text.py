"""The text of a document that came attached to a report: plain text and HTML are read, everything else is said to be unread."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from ptx_node.domain.radiology_report import ReportFlag, storable
from ptx_node.inbound.hl7_charset import decode

UNREAD = ("rtf", "xml", "octet", "image", "jpeg", "tiff", "word", "application/", "audio", "video")
_EMPTY_LINES = re.compile(r"[ \t]*\n\s*\n\s*")


def document_text(data: bytes, media_type: str, *, charset: str = "") -> tuple[str, ReportFlag | None]:
    """The text of an attached document, and what to know of it: without text, which kind of document it is.

    Args:
        data: the document.
        media_type: in lower case, such as `text/plain` or `application/pdf`.
        charset: the character set that it should be in.
    """
    if data.startswith(b"%PDF") or "pdf" in media_type:
        return "", ReportFlag.PDF_WITHOUT_TEXT
    if not data or data.startswith(b"{\\rtf") or ("html" not in media_type and any(name in media_type for name in UNREAD)):
        return "", ReportFlag.DOCUMENT_WITHOUT_TEXT
    read = decode(data, [], charset)
    text = text_of_html(read.text) if "html" in media_type else read.text
    return storable(text).strip("\n"), ReportFlag.CHARSET_DOUBTFUL if read.doubtful else None


class _Words(HTMLParser):
    """Collects what a reader of a page sees, blocks on lines of their own."""

    BLOCKS = frozenset({"p", "div", "br", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "table", "section", "td"})
    SILENT = frozenset({"script", "style", "head", "title"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, _attrs: object) -> None:
        self._silent += tag in self.SILENT
        if tag in self.BLOCKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in self.SILENT and self._silent > 0
        if tag in self.BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(" ".join(data.split(" ")))


def text_of_html(page: str) -> str:
    """What a page says, without its marks."""
    words = _Words()
    words.feed(page)
    words.close()
    return _EMPTY_LINES.sub("\n", "".join(words.parts)).strip()
