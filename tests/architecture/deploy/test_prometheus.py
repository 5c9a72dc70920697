"""Prometheus scrapes every process, and its rules name only series that exist."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from services.standalone.stack.table import PARTS
from tests.architecture.deploy.files import image_environment, read
from tests.architecture.metrics_page import rows
from tests.architecture.tree import ROOT

PORT = image_environment()["HEADWAY_PORT"]
WORDS = {
    "sum", "max", "min", "by", "rate", "increase", "absent", "or", "unless", "and", "on",
    "offset", "changes",
}  # fmt: skip
OURS = ("service", "command", "instance", "job")
"""Labels that the scrape adds."""
STRING = re.compile(r'"[^"]*"')
GROUPING = re.compile(r"\b(?:by|on)\s*\(([^)]*)\)")
SELECTOR = re.compile(r"(\w+)\{([^}]*)\}")
TEMPLATE = re.compile(r"\$labels\.(\w+)")


def known() -> Mapping[str, tuple[str, ...]]:
    """Every series that a rule may name, with its labels."""
    found: dict[str, tuple[str, ...]] = {"up": ("instance", "job")}
    for metric in rows((ROOT / "docs" / "metrics.md").read_text("utf-8")):
        ends = ("_bucket", "_sum", "_count") if metric.kind == "histogram" else ("",)
        found |= {metric.name + end: metric.labels for end in ends}
    return found


def faults(expression: str) -> list[str]:
    """Series, labels and words that nobody knows."""
    text = STRING.sub('""', expression)
    found = [f"label {name}" for name in _labels(text) if name not in _labels_known(text)]
    bare = GROUPING.sub("", SELECTOR.sub(r"\1", text))
    names = re.findall(r"\b[a-z_]\w*", re.sub(r"\[[^\]]*\]|\b\d+[smhd]\b", "", bare))
    return found + [f"name {name}" for name in names if name not in {*known(), *WORDS}]


def _labels(text: str) -> Iterator[str]:
    for _, matchers in SELECTOR.findall(text):
        yield from re.findall(r"(\w+)\s*[!=]", matchers)
    for names in GROUPING.findall(text):
        yield from re.findall(r"\w+", names)


def _labels_known(text: str) -> set[str]:
    named = set(re.findall(r"\w+", text)) & known().keys()
    return {label for name in named for label in known()[name]} | set(OURS)


def rules() -> list[dict[str, Any]]:
    return [rule for group in read("prometheus/alerts.yml")["groups"] for rule in group["rules"]]


def test_every_process_is_scraped_under_its_name_and_labels() -> None:
    [job] = read("prometheus/prometheus.yml")["scrape_configs"]
    scraped = {
        target: (entry["labels"]["service"], entry["labels"]["command"])
        for entry in job["static_configs"]
        for target in entry["targets"]
    }
    assert scraped == {f"{part.name}:{PORT}": (part.service, part.command) for part in PARTS}
    assert sum(len(entry["targets"]) for entry in job["static_configs"]) == len(PARTS)


def test_rules_are_read() -> None:
    config = read("prometheus/prometheus.yml")
    assert config["rule_files"] == ["alerts.yml"]
    assert {rule["expr"] for rule in rules() if "up{" in rule["expr"]} == {
        f'up{{job="{config["scrape_configs"][0]["job_name"]}"}} == 0'
    }


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_a_rule_names_only_what_is_there(rule: Mapping[str, Any]) -> None:
    assert faults(rule["expr"]) == []
    told = set(TEMPLATE.findall(rule["annotations"]["summary"]))
    assert told <= _labels_known(rule["expr"]) | {"instance"}


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_a_rule_says_how_bad_it_is_and_where_to_read_on(rule: Mapping[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"page", "ticket"}
    page, _, anchor = rule["annotations"]["see"].partition("#")
    titles = re.findall(r"^## (.+)$", (ROOT / page).read_text("utf-8"), re.M)
    assert anchor in {title.lower().replace(" ", "-") for title in titles}


def test_every_rule_is_shown_firing_and_silent() -> None:
    """`promtool test rules` runs them; here only that none was forgotten."""
    tests = read("prometheus/alerts.test.yml")
    assert tests["rule_files"] == ["alerts.yml"]
    told: dict[str, set[bool]] = {}
    for case in tests["tests"]:
        for look in case["alert_rule_test"]:
            told.setdefault(look["alertname"], set()).add(bool(look.get("exp_alerts")))
    assert told == {rule["alert"]: {True, False} for rule in rules()}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("rate(headway_outbox_published_total[5m]) > 0", []),
        ("headway_no_such_thing > 0", ["name headway_no_such_thing"]),
        ("max by (tenant) (headway_ready)", ["label tenant"]),
        ('headway_ready{group="x"} == 0', ["label group"]),
        ("headway_log_publish_duration_seconds > 1", ["name headway_log_publish_duration_seconds"]),
        ("histogram(headway_ready)", ["name histogram"]),
    ],
)
def test_a_planted_name_is_caught(expression: str, expected: list[str]) -> None:
    assert faults(expression) == expected
