"""Why a standalone Headway did not start, or did not end in order."""


class StartError(Exception):
    """The message says what to do."""
