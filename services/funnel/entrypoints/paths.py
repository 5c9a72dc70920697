"""Parts of paths."""

from libs.common.contracts.values import clean_text
from libs.common.web.query import refused


def stored_id(name: str, value: str) -> str:
    """An id of a path that PostgreSQL can be asked for."""
    try:
        return clean_text(value)
    except ValueError as error:
        raise refused(name, str(error)) from None
