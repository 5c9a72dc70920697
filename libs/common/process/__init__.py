"""One service as a process: `python -m services.<name> <command>`.

The API and the workers of a service are processes of one build; each serves health and metrics on
its port from its first moment to its last.
"""

from libs.common.process.cli import main
from libs.common.process.commands import ConfigurationError, Extra
from libs.common.process.resources import open_resources
from libs.common.process.secret_key import make_secret_key, read_secret_key, secret_key_file

__all__ = [
    "ConfigurationError",
    "Extra",
    "main",
    "make_secret_key",
    "open_resources",
    "read_secret_key",
    "secret_key_file",
]
