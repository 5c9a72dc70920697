"""`python -m services.alerts api|consumer|relay|scheduler|worker|migrate`."""

import sys

from libs.common.process import main
from services.alerts.bootstrap import build

if __name__ == "__main__":
    sys.exit(main("alerts", build, sys.argv[1:]))
