"""Calls that are part of the public interface and not built yet: they say so."""

from typing import Annotated

from fastapi import APIRouter, Depends

from libs.common.web.auth import Principal, require
from libs.common.web.errors import NotSupportedYet

router = APIRouter(tags=["ingest: later"])
Configurer = Annotated[Principal, Depends(require("config:write"))]


async def mappings(mapping_id: str, principal: Configurer) -> None:
    """Which rows or bodies make which events. Not built yet: answers 422."""
    raise NotSupportedYet("mappings are not supported yet")


_CONFIGURATION = (
    ("put_mapping", "PUT", "/v1/mappings/{mapping_id}", mappings),
    ("read_mapping", "GET", "/v1/mappings/{mapping_id}", mappings),
    ("delete_mapping", "DELETE", "/v1/mappings/{mapping_id}", mappings),
)
for _name, _method, _path, _endpoint in _CONFIGURATION:
    router.add_api_route(_path, _endpoint, methods=[_method], name=_name)
