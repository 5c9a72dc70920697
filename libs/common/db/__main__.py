"""`python -m libs.common.db migrate`: bring the database of HEADWAY_DATABASE_URL to head."""

import asyncio
import sys

from libs.common.db.migrate import migrate
from libs.common.settings import DatabaseSettings


def main(arguments: list[str]) -> int:
    url = DatabaseSettings().database_url
    if arguments != ["migrate"] or not url:
        sys.stderr.write("usage: HEADWAY_DATABASE_URL=... python -m libs.common.db migrate\n")
        return 2
    asyncio.run(migrate(url))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
