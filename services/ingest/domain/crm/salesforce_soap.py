"""Outbound Messages as SOAP: what is read of them and what is answered.

The session's id, with which one could act as the user, is never looked at.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element, ParseError  # types only

from defusedxml.ElementTree import fromstring

from services.ingest.domain.crm.model import Unreadable

_SOAP = "{http://schemas.xmlsoap.org/soap/envelope/}"
_OUT = "{http://soap.sforce.com/2005/09/outbound}"
_XSI = "{http://www.w3.org/2001/XMLSchema-instance}"
_REPLY = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>'
    '<notificationsResponse xmlns="http://soap.sforce.com/2005/09/outbound">'
    "<Ack>{}</Ack></notificationsResponse></soapenv:Body></soapenv:Envelope>"
)


@dataclass(frozen=True, slots=True)
class Message:
    """Notifications are `{"Id", "type", "record"}`, in plain JSON."""

    organization_id: str
    notifications: Sequence[dict[str, Any]]


def reply(acknowledged: bool) -> bytes:
    """What Salesforce waits for: without `true` it sends again, for a day."""
    return _REPLY.format("true" if acknowledged else "false").encode()


def parse(body: bytes) -> Message:
    """Raises `Unreadable`. Neither DTDs nor entities are taken."""
    try:
        root = fromstring(body, forbid_dtd=True)
    except (ParseError, ValueError, LookupError) as error:
        raise Unreadable(f"not the XML of an Outbound Message: {type(error).__name__}") from None
    message = root.find(f"{_SOAP}Body/{_OUT}notifications")
    if root.tag != f"{_SOAP}Envelope" or message is None:
        raise Unreadable("not an Outbound Message: no notifications in a SOAP envelope")
    listed = message.findall(f"{_OUT}Notification")
    return Message(_text(message, "OrganizationId"), [_notification(one) for one in listed])


def _text(element: Element, name: str) -> str:
    return (element.findtext(_OUT + name) or "").strip()


def _notification(element: Element) -> dict[str, Any]:
    record = element.find(f"{_OUT}sObject")
    given = () if record is None else record
    kind = "" if record is None else record.get(f"{_XSI}type", "")
    return {
        "Id": _text(element, "Id"),
        "type": kind.rpartition(":")[2],
        "record": dict(_field(one) for one in given if not len(one)),
    }


def _field(element: Element) -> tuple[str, str | None]:
    empty = element.get(f"{_XSI}nil") in ("true", "1")
    return element.tag.rpartition("}")[2], None if empty else element.text or ""
