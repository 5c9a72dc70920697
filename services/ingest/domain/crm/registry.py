"""The connectors by the kind of a connection."""

from collections.abc import Mapping

from services.ingest.domain.crm import (
    espocrm,
    salesforce_cdc,
    salesforce_outbound,
    standard_webhooks,
    twenty,
    zoho,
)
from services.ingest.domain.crm.model import Connector, Kind

CONNECTORS: Mapping[Kind, Connector] = {
    "zoho": zoho.CONNECTOR,
    "salesforce_cdc": salesforce_cdc.CONNECTOR,
    "salesforce_outbound": salesforce_outbound.CONNECTOR,
    "twenty": twenty.CONNECTOR,
    "espocrm": espocrm.CONNECTOR,
    "standard_webhooks": standard_webhooks.CONNECTOR,
}
