"""`docs/settings.md` names every setting with its default, and no other."""

import importlib
import re
from collections.abc import Iterator

import pytest
from pydantic import SecretStr
from pydantic_settings import BaseSettings

from libs.common import settings
from libs.common.settings import (
    CLIENT,
    OWNERS,
    PREFIX,
    CommonSettings,
    DatabaseSettings,
    ServiceSettings,
    UnknownSettings,
    refuse_unknown,
)
from tests.architecture.tree import ROOT, python_files

ROW = re.compile(r"^\| `(HEADWAY_\w+)` \| (?:(`[^`]*`|empty) \| )?", re.M)
BASES = {BaseSettings, DatabaseSettings, ServiceSettings}


def documented() -> dict[str, str]:
    """Every variable of the page, with its default as written."""
    text = (ROOT / "docs" / "settings.md").read_text("utf-8")
    return {name: default.strip("`") for name, default in ROW.findall(text)}


def classes() -> Iterator[type[BaseSettings]]:
    """Every settings class of the tree."""
    modules = [settings]
    for path in python_files():
        if path.name == "settings.py" and path.is_relative_to(ROOT / "services"):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            modules.append(importlib.import_module(name))
    for module in modules:
        for found in vars(module).values():
            if isinstance(found, type) and issubclass(found, BaseSettings) and found not in BASES:
                yield found


def defaults() -> dict[str, str]:
    """Every variable that code reads, with its default as the page writes it."""
    found: dict[str, str] = {}
    for owner in classes():
        prefix = str(owner.model_config["env_prefix"])
        for name, field in owner.model_fields.items():
            found[f"{prefix}{name}".upper()] = shown(field.default)
    return found


def shown(default: object) -> str:
    value = default.get_secret_value() if isinstance(default, SecretStr) else default
    return "empty" if value == "" else str(value)


def test_every_setting_is_documented_with_its_default() -> None:
    page = {name: default for name, default in documented().items() if "_TEST_" not in name}
    assert page == defaults()


def test_the_owners_of_prefixes_are_those_that_have_settings() -> None:
    prefixes = {str(c.model_config["env_prefix"]) for c in classes()} - {PREFIX}
    assert prefixes <= {f"{PREFIX}{owner}_" for owner in OWNERS}
    assert set(documented()) >= CLIENT


def test_no_code_names_a_variable_that_nobody_documents() -> None:
    known = set(documented())
    prefixes = tuple(f"{PREFIX}{owner}_" for owner in OWNERS)
    named: set[str] = set()
    for path in python_files():
        if not path.is_relative_to(ROOT / "tests"):
            named |= set(re.findall(r"\bHEADWAY_[A-Z][A-Z_]*[A-Z]\b", path.read_text("utf-8")))
    assert {name for name in named if name not in known and f"{name}_" not in prefixes} == set()


def test_a_variable_that_nobody_claims_stops_the_start() -> None:
    names = ["PATH", "HEADWAY_PORT", "HEADWAY_REPORTING_ANYTHING", "HEADWAY_URL"]
    CommonSettings.load(names)
    for wrong in ("HEADWAY_PROT", "headway_prot", "HEADWAY_DATABASE"):
        with pytest.raises(UnknownSettings, match=wrong):
            CommonSettings.load([*names, wrong])
    refuse_unknown([*names, "HEADWAY_MINE"], {"HEADWAY_PORT", "HEADWAY_URL", "HEADWAY_MINE"})


def test_a_service_refuses_unknown_names_of_its_own_only() -> None:
    own = next(c for c in classes() if issubclass(c, ServiceSettings))
    prefix = own.model_config["env_prefix"]
    own.load(["HEADWAY_WHATEVER"])
    with pytest.raises(UnknownSettings, match=f"{prefix}NONSENSE"):
        own.load([f"{prefix}NONSENSE"])
