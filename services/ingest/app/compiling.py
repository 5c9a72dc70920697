"""Stored mappings, ready for use."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from libs.common.expr.port import Expressions
from services.ingest.app.imports import UnusableFile
from services.ingest.domain.mapping.compiled import CompiledMapping, UnusableMapping, compiled
from services.ingest.domain.mapping.document import MappingDocument


def usable(definition: Mapping[str, Any], expressions: Expressions) -> CompiledMapping:
    """A stored version. Raises `UnusableFile` where this release no longer takes it."""
    try:
        return compiled(MappingDocument.model_validate(definition), expressions)
    except (ValidationError, UnusableMapping) as error:
        raise UnusableFile(f"the mapping cannot be used: {error}") from None


def usable_or_none(
    definition: Mapping[str, Any], expressions: Expressions
) -> CompiledMapping | None:
    try:
        return usable(definition, expressions)
    except UnusableFile:
        return None
