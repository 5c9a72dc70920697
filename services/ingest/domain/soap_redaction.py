"""XML without what is said of people: elements stay, texts are redacted by the name of theirs."""

from xml.etree.ElementTree import Element, ParseError  # types only

from defusedxml.ElementTree import fromstring, tostring

from services.ingest.domain.redaction import Redaction

_INSTANCE = "{http://www.w3.org/2001/XMLSchema-instance}"


def redacted_xml(body: bytes, redaction: Redaction) -> str | None:
    """`None` for what is no XML, or XML with a DTD."""
    try:
        root: Element = fromstring(body, forbid_dtd=True)
    except (ParseError, ValueError, LookupError):
        return None
    for element in root.iter():
        _redact(element, redaction)
    return str(tostring(root, encoding="unicode"))


def _redact(element: Element, redaction: Redaction) -> None:
    """Of attributes only those stay that say of which type a value is, or that there is none."""
    name = str(element.tag).rpartition("}")[2]
    element.text = redaction.of(element.text, name)
    element.tail = None
    kept = {key: redaction.of(element.attrib[key], "type") for key in _kept(element)}
    element.attrib.clear()
    element.attrib.update(kept)


def _kept(element: Element) -> list[str]:
    return [key for key in (f"{_INSTANCE}type", f"{_INSTANCE}nil") if key in element.attrib]
