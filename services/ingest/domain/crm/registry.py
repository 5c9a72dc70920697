"""The connectors by the kind of a connection."""

from collections.abc import Mapping
from dataclasses import replace

from services.ingest.domain.crm import (
    close,
    espocrm,
    generic,
    hubspot,
    pipedrive,
    salesforce_cdc,
    salesforce_outbound,
    standard_webhooks,
    twenty,
    zoho,
)
from services.ingest.domain.crm.bounds import Bounds
from services.ingest.domain.crm.model import Connection, Connector, Delivery, Kind, Translation

CONNECTORS: Mapping[Kind, Connector] = {
    "hubspot": hubspot.CONNECTOR,
    "pipedrive": pipedrive.CONNECTOR,
    "close": close.CONNECTOR,
    "zoho": zoho.CONNECTOR,
    "salesforce_cdc": salesforce_cdc.CONNECTOR,
    "salesforce_outbound": salesforce_outbound.CONNECTOR,
    "twenty": twenty.CONNECTOR,
    "espocrm": espocrm.CONNECTOR,
    "standard_webhooks": standard_webhooks.CONNECTOR,
    "generic": generic.CONNECTOR,
}


def connectors(bounds: Bounds) -> Mapping[Kind, Connector]:
    """The same, where an installation sets how much may be made of a delivery."""
    return {kind: _bounded(one, bounds) for kind, one in CONNECTORS.items()}


def _bounded(connector: Connector, bounds: Bounds) -> Connector:
    def translate(delivery: Delivery, connection: Connection) -> Translation:
        return connector.translate(replace(delivery, bounds=bounds), connection)

    return replace(connector, translate=translate)
