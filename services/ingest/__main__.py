"""`python -m services.ingest api|consumer|worker|migrate`."""

import os
import sys

from libs.common.process import main
from libs.common.runtime import Resources, Service
from services.ingest.bootstrap import build
from services.ingest.settings import QuotaSettings


def _build(resources: Resources) -> Service:
    return build(resources, quotas=QuotaSettings.load(os.environ))


if __name__ == "__main__":
    sys.exit(main("ingest", _build, sys.argv[1:]))
