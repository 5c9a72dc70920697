"""The connectors by the kind of a connection."""

from collections.abc import Mapping

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
from services.ingest.domain.crm.model import Connector, Kind

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
