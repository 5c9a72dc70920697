"""Connection URLs: operators write `postgresql://`, the driver is ours to choose."""

from sqlalchemy import URL, make_url


def sqlalchemy_url(url: str) -> URL:
    """The SQLAlchemy URL of a plain `postgresql://` one."""
    return make_url(url).set(drivername="postgresql+asyncpg")


def with_database(url: str, name: str) -> str:
    """The same server, another database."""
    return make_url(url).set(database=name).render_as_string(hide_password=False)
