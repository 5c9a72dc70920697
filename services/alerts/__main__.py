"""`python -m services.alerts api|consumer|relay|scheduler|worker|migrate`."""

import os
import sys

from libs.common.process import main
from libs.common.runtime import Resources, Service
from services.alerts.bootstrap import build
from services.alerts.settings import AlertsSettings


def _build(resources: Resources) -> Service:
    return build(resources, AlertsSettings.load(os.environ))


if __name__ == "__main__":
    sys.exit(main("alerts", _build, sys.argv[1:]))
