"""Why a standalone Headway did not start."""


class StartError(Exception):
    """The message says what to do."""
