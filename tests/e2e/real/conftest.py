"""One Headway for the tests of a module; each has a tenant of its own."""

from collections.abc import Iterator

import pytest

from tests.e2e.real.site import Site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    opened = Site.open(tmp_path_factory.mktemp("real"))
    try:
        yield opened
    finally:
        opened.close()
