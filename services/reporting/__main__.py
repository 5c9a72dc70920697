"""`python -m services.reporting api|migrate`."""

import os
import sys

from libs.common.process import main
from libs.common.runtime import Resources, Service
from services.reporting.bootstrap import build
from services.reporting.settings import ReportingSettings


def _build(resources: Resources) -> Service:
    return build(resources, ReportingSettings.load(os.environ))


if __name__ == "__main__":
    sys.exit(main("reporting", _build, sys.argv[1:]))
