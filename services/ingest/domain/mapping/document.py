"""A mapping as its author writes it: which rows or bodies make which events."""

from codecs import lookup
from typing import Annotated, Any, Literal, Self
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    model_validator,
)

from libs.common.contracts.values import clean_text
from services.ingest.domain.mapping.instants import UnknownFormat, times

As = Literal["text", "amount", "day", "instant", "integer", "number", "boolean", "json"]
ENCODINGS = (
    "utf-8", "utf-16", "utf-16-le", "utf-16-be", "ascii", "iso-8859-1", "iso-8859-2", "iso-8859-9",
    "iso-8859-15", "windows-1250", "windows-1251", "windows-1252", "windows-1254", "mac-roman",
)  # fmt: skip
_ZONES = available_timezones()


def _one_of_zones(zone: str) -> str:
    if zone not in _ZONES:
        raise ValueError("must be an IANA time zone such as Europe/Berlin")
    return zone


def _readable(format_: str) -> str:
    try:
        times([format_], "UTC")
    except UnknownFormat as error:
        raise ValueError(str(error)) from None
    return format_


def _mark(text: str) -> str:
    if not text.isprintable() and text != "\t":
        raise ValueError("must be a printable character or a tabulator")
    return text


def _encoding(name: str) -> str:
    known = name.lower().replace("_", "-")
    if known not in ENCODINGS:
        raise ValueError(f"must be one of {', '.join(ENCODINGS)}")
    return lookup(known).name


Source = Annotated[str, StringConstraints(strict=True, min_length=1), AfterValidator(clean_text)]
Name = Annotated[
    str, StringConstraints(strict=True, min_length=1, max_length=200), AfterValidator(clean_text)
]
Mark = Annotated[
    str, StringConstraints(strict=True, min_length=1, max_length=1), AfterValidator(_mark)
]
Scalar = str | int | float | bool
Table = Annotated[dict[str, str | int | float | bool], Field(max_length=10_000)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Dialect(_Part):
    """How a file is written. `columns` names them where the file has no header line."""

    delimiter: Mark = ","
    quote: Mark | None = '"'
    encoding: Annotated[str, AfterValidator(_encoding)] = "utf-8"
    columns: Annotated[list[Name], Field(min_length=1, max_length=1_000)] | None = None

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.delimiter == self.quote:
            raise ValueError("delimiter and quote must differ")
        if self.columns is not None and len(set(self.columns)) < len(self.columns):
            raise ValueError("columns must not repeat a name")
        return self


class Constant(_Part):
    value: JsonValue


class Reading(_Part):
    """A value with more said about it. `lookup` comes first, then `default` where there is
    nothing, then `as`. `clear` makes nothing a null, which clears a field of `changes`."""

    from_: Annotated[Source, Field(alias="from")]
    as_: Annotated[As | None, Field(alias="as")] = None
    lookup: Name | None = None
    default: str | int | float | bool | None = None
    clear: bool = False


class EventSpec(_Part):
    """One event that a row may make. Texts are expressions; the name of a column will do."""

    when: Source | None = None
    type: Source | Constant | Reading
    id: Source | Constant | Reading | None = None
    time: Source | Constant | Reading | None = None
    sequence: Source | int | Constant | Reading | None = None
    data: Annotated[dict[Name, Any], Field(max_length=100)] = Field(default_factory=dict)


class MappingDocument(_Part):
    kind: Literal["csv", "json"]
    dialect: Dialect = Dialect()
    zone: Annotated[str, AfterValidator(_one_of_zones)] = "UTC"
    decimal: Literal[".", ","] = "."
    date_formats: Annotated[
        list[Annotated[Name, AfterValidator(_readable)]], Field(min_length=1, max_length=10)
    ] = ["iso"]
    empty: Annotated[list[Name], Field(max_length=50)] = Field(default_factory=list)
    optional: Annotated[list[Name], Field(max_length=500)] = Field(default_factory=list)
    rows: Annotated[str, StringConstraints(strict=True, max_length=500)] | None = None
    source: (
        Annotated[
            str,
            StringConstraints(strict=True, min_length=1, max_length=500),
            AfterValidator(clean_text),
        ]
        | None
    ) = None
    lookup: Annotated[dict[Name, Table], Field(max_length=50)] = Field(default_factory=dict)
    events: Annotated[list[EventSpec], Field(min_length=1, max_length=50)]

    @model_validator(mode="after")
    def _of_its_kind(self) -> Self:
        if self.kind == "csv" and self.rows is not None:
            raise ValueError("rows is for bodies in JSON")
        if self.kind == "json" and "dialect" in self.model_fields_set:
            raise ValueError("dialect is for CSV")
        return self
