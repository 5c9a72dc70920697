"""`python -m services.ingest api|consumer|worker|migrate`."""

import sys

from libs.common.process import main
from services.ingest.bootstrap import build

if __name__ == "__main__":
    sys.exit(main("ingest", build, sys.argv[1:]))
