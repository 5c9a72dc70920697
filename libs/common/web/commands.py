"""Bodies of commands: bounded before they are decoded, then strict."""

from collections.abc import Mapping
from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from libs.common.contracts.values import json_fault
from libs.common.web.body import decode_json, read_body
from libs.common.web.errors import ErrorItem, NotSupportedYet, UnsupportedMedia

MAX_COMMAND_BYTES = 64 * 1024
HEADER = "Idempotency-Key"
ModelT = TypeVar("ModelT", bound=BaseModel)


async def command(request: Request, model: type[ModelT]) -> ModelT:
    """The command in a request's body; every fault with its pointer."""
    if request.method == "POST":
        refuse_key(request, "this call does not take one yet")
    return parsed_command(await command_body(request), model)


def refuse_key(request: Request, reason: str) -> None:
    """Refuse an `Idempotency-Key` that would be ignored otherwise."""
    if HEADER in request.headers:
        item = ErrorItem(reason, "not_supported_yet", parameter=HEADER)
        raise NotSupportedYet(f"{HEADER}: {reason}", errors=[item])


async def command_body(request: Request) -> bytes:
    """The bytes of a command that says that it is JSON."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/json":
        raise UnsupportedMedia("send application/json")
    return await read_body(request, MAX_COMMAND_BYTES)


def parsed_command(body: bytes, model: type[ModelT]) -> ModelT:
    """The command that the bytes hold; every fault with its pointer."""
    given = decode_json(body)
    if fault := json_fault(given):
        path, reason = fault
        where = tuple(str(part).encode("utf-8", "backslashreplace").decode() for part in path)
        raise RequestValidationError([{"loc": ("body", *where), "msg": reason, "type": "json"}])
    try:
        return model.model_validate(given)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        raise RequestValidationError(
            [{**fault, "loc": ("body", *fault["loc"])} for fault in faults]
        ) from None


def documented(model: type[BaseModel]) -> dict[str, Any]:
    """OpenAPI of a body that the framework does not read itself."""
    schema = model.model_json_schema()
    body = _inlined(schema, schema.pop("$defs", {}))
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": body}}}}


def _inlined(node: Any, definitions: Mapping[str, Any]) -> Any:
    """References replaced by what they name: inside a document they would lead nowhere."""
    if isinstance(node, list):
        return [_inlined(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    rest = {key: _inlined(value, definitions) for key, value in node.items() if key != "$ref"}
    if "$ref" not in node:
        return rest
    return _inlined(definitions[node["$ref"].removeprefix("#/$defs/")], definitions) | rest
