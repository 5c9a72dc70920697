"""What a CRM is answered while its tenant is over its quota: each takes a refusal differently."""

from collections.abc import Mapping
from typing import Literal

from services.ingest.domain.crm.model import Kind

Pressure = Literal["429", "503", "taken"]
OVER_QUOTA: Mapping[Kind, Pressure] = {
    "hubspot": "429",
    "salesforce_cdc": "429",
    "standard_webhooks": "429",
    "generic": "429",
    "close": "503",
    "salesforce_outbound": "503",
    "espocrm": "503",
    "pipedrive": "taken",
    "twenty": "taken",
    "zoho": "taken",
}
"""Whoever sends again later is refused. EspoCRM gives a delivery up after a 429, and Close and
Salesforce document retries without a word about it. Pipedrive counts refusals towards a ban,
Twenty sends once, and whether Zoho sends again nobody knows: theirs is taken, and counts."""
