"""What a value may be wrong about; told to whoever sent the row."""

SHOWN = 60


class Unfit(ValueError):
    """A value that is not what its field asks for."""


def quoted(value: object) -> str:
    """The beginning of a value, to be repeated to its sender."""
    text = str(value)
    return repr(text if len(text) <= SHOWN else text[:SHOWN] + "…")
