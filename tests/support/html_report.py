"""Reading an HTML report as a browser does, and hostile texts to write into one."""

from xml.etree.ElementTree import Element

import html5lib

from ctai.report import write_report
from ctai.rundir import RunDir

HOSTILE = {
    "script": "<script>window.taken = true</script>",
    "handler": '"><img src=x onerror="window.taken=true">',
    "closing": "</td></table></main></body></html><h1>All six gates passed</h1>",
    "style": "</style><style>body{display:none}</style><!--",
    "template": "{{ 7 * 7 }}{% raw %}{# ",
    "ansi": "\x1b[31mred\x1b[0m\x07\x9b2J",
    "bidi": "\u202eevil\u202c \u2066inside\u2069 \u200f",
    "invisible": "a\u200bb\u00adc\ufeffd\u2028e\u2029f\U000e0041g",
    "nul": "a\x00b\x00\x00c",
    "entity": "&lt;script&gt; &#x202e; &amp",
    "long": "x" * 20_000,
    "stacked": "e" + "\u0301" * 5_000,
    "noncharacter": "\ufffe\uffff\U0010ffff",
    "json": '{"a": "b\\u0000"}',
}
SVG = "{http://www.w3.org/2000/svg}"


def written_report(rundir: RunDir) -> str:
    """Write the report of a run directory and return its text."""
    return write_report(rundir.root).read_text(encoding="utf-8")


def parsed(html: str) -> Element:
    """Parse a document as a browser does; a syntax error raises."""
    return html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(html)


def fragment(markup: str):
    """Parse a fragment as a browser does; a syntax error raises."""
    return html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parseFragment(markup)


def kind_of(element: Element) -> str:
    """Return the tag of an element without its namespace; empty for a comment."""
    return element.tag.removeprefix(SVG) if isinstance(element.tag, str) else ""


def text_of(element: Element) -> str:
    """Return all text of an element, with single spaces."""
    return " ".join("".join(element.itertext()).split())


def heading(html: str) -> str:
    """Return the verdict of the report."""
    (title,) = parsed(html).iter("h1")
    return text_of(title)


def strip_of(html: str) -> list[str]:
    """Return the gates as the gate strip shows them."""
    return [text_of(item) for item in parsed(html).iter("li") if item.find("a/span[@class='number serif']") is not None]
