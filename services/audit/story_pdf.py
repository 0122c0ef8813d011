"""A case's story, printed: in Noto Serif, which is embedded, so that it reads the same everywhere.

It has the letters of every language written in Latin, Greek or Cyrillic. Where a name has others, the page says which.
"""

from __future__ import annotations

import unicodedata
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape as escape_markup

from services.audit.story import HEAD, Story

if TYPE_CHECKING:
    from collections.abc import Container

    from reportlab.lib.styles import ParagraphStyle

FONT, FONT_FILE = "NotoSerif", "files/NotoSerif[wdth,wght].ttf"
# reportlab's own, on both sides of a page's frame
FRAME_PADDING = 12
NOT_THERE = "\N{REPLACEMENT CHARACTER}"
NAMED_MOST = 20


def write_pdf(story: Story, file: Path) -> None:
    """A short case fits one page; a long one goes on, with its header row on each."""
    from reportlab.lib.pagesizes import LETTER
    from reportlab.lib.units import cm
    from reportlab.platypus import SimpleDocTemplate

    document = SimpleDocTemplate(
        str(file), pagesize=LETTER, title=story.title, author="Imprimatur", leftMargin=1.6 * cm, rightMargin=1.6 * cm,
        topMargin=1.4 * cm, bottomMargin=1.4 * cm, invariant=1,
    )  # fmt: skip
    document.build(printed(story, document.width - FRAME_PADDING))


class Letters:
    """What the font can print of a text; the rest is remembered."""

    def __init__(self, there: Container[int]) -> None:
        self._there = there
        self._not_there: dict[str, None] = {}

    def of(self, text: str) -> str:
        return "".join(map(self._printable, unicodedata.normalize("NFC", text)))

    def _printable(self, sign: str) -> str:
        if sign.isspace() or ord(sign) in self._there:
            return sign
        self._not_there[sign] = None
        return NOT_THERE

    def told(self) -> str:
        """Which letters were replaced, by number and name; empty where none was."""
        if not self._not_there:
            return ""
        named = [f"U+{ord(each):04X} {unicodedata.name(each, 'without a name').lower()}" for each in self._not_there]
        more = len(named) - NAMED_MOST
        told = ", ".join(named[:NAMED_MOST])
        ending = f" and {more} more" if more > 0 else ""
        return f"Letters that cannot be printed here stand as {NOT_THERE}: {told}{ending}. They are right in the HTML."


def letters_of_the_font() -> Letters:
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    if FONT not in pdfmetrics.getRegisteredFontNames():
        with as_file(files("fontpkg_noto_serif").joinpath(FONT_FILE)) as file:
            pdfmetrics.registerFont(TTFont(FONT, str(file)))
    font: Any = pdfmetrics.getFont(FONT)
    return Letters(font.face.charToGlyph)


def printed(story: Story, width: float) -> list[Any]:
    from reportlab.lib.colors import HexColor
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.platypus import Paragraph, Spacer, Table, TableStyle

    letters = letters_of_the_font()
    plain = ParagraphStyle("plain", fontName=FONT, fontSize=8, leading=10.5)
    quiet = ParagraphStyle("quiet", parent=plain, textColor=HexColor("#444444"))
    refused = ParagraphStyle("refused", parent=plain, textColor=HexColor("#8a1f11"))
    heading = ParagraphStyle("heading", parent=plain, fontSize=11, leading=15, spaceBefore=8)
    title = ParagraphStyle("title", parent=heading, fontSize=15, leading=19, spaceBefore=0)
    head = ParagraphStyle("head", parent=quiet, fontSize=8, leading=12)

    def said(text: str, style: ParagraphStyle) -> Paragraph:
        return Paragraph(escape_markup(letters.of(text)), style)

    rows = [[said(each, head) for each in HEAD]]
    for line in story.lines:
        style = refused if line.refused else plain
        rows.append([said(each, style) for each in (line.when, line.what, line.who, line.clauses)])
    rule = TableStyle([
        ("LINEBELOW", (0, 0), (-1, -1), 0.3, HexColor("#cccccc")), ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LEFTPADDING", (0, 0), (-1, -1), 0), ("RIGHTPADDING", (0, 0), (-1, -1), 6),
        ("TOPPADDING", (0, 0), (-1, -1), 1.5), ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
    ])  # fmt: skip
    shares = (0.17, 0.43, 0.27, 0.13)
    happened = Table(rows, [share * width for share in shares], repeatRows=1, style=rule, hAlign="LEFT")
    clauses = Table(
        [[said(id_, plain), said(summary, plain)] for id_, summary in story.clauses] or [["", ""]],
        [0.1 * width, 0.9 * width],
        style=rule,
        hAlign="LEFT",
    )
    told = [
        said(story.title, title), said(story.lead, quiet), Spacer(1, 6), happened,
        said("The clauses", heading), clauses, Spacer(1, 6),
        *(said(note, quiet) for note in story.notes), said(story.footer, quiet),
    ]  # fmt: skip
    return [*told, said(replaced, quiet)] if (replaced := letters.told()) else told
