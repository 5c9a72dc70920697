"""`python -m services.funnel api|consumer|relay|worker|migrate|rebuild`."""

import os
import sys

from libs.common.process import main
from libs.common.runtime import Resources, Service
from services.funnel.bootstrap import build
from services.funnel.entrypoints.rebuild_command import REBUILD
from services.funnel.settings import FunnelSettings


def _build(resources: Resources) -> Service:
    return build(resources, FunnelSettings.load(os.environ))


if __name__ == "__main__":
    sys.exit(main("funnel", _build, sys.argv[1:], {"rebuild": REBUILD}))
