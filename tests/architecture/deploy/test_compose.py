"""`deploy/docker-compose.yml` runs the processes of `make stack`, and gives them what they need."""

import re
from collections.abc import Mapping
from graphlib import TopologicalSorter
from typing import Any

import pytest

from libs.common.eventlog import kafka_broker, kafka_jars
from libs.common.process.commands import API
from libs.common.process.stopping import LAST_SECONDS
from libs.common.settings import CommonSettings
from services.standalone.stack.programs import DRAIN_SECONDS
from services.standalone.stack.table import GATEWAY, PARTS, addresses
from tests.architecture.deploy.files import (
    DATA,
    GivenTwice,
    image_environment,
    load,
    ours,
    read,
    service_of,
    services,
)
from tests.architecture.deploy.lint import compose_faults
from tests.architecture.test_settings import documented
from tests.architecture.tree import ROOT

PORT = int(image_environment()["HEADWAY_PORT"])
NAMES = {part.name for part in PARTS}
ONCE = {"migrate", "headway"}
"""Containers that end: the preparation, and the command line."""
PLACES = re.compile(r"listeners|log\.dirs|controller\.quorum\.voters")


def environment(name: str) -> Mapping[str, str]:
    given: Mapping[str, str] = services()[name].get("environment", {})
    return given


def seconds(text: str) -> float:
    assert text.endswith("s")
    return float(text.removesuffix("s"))


def test_the_processes_are_those_of_the_table() -> None:
    assert set(ours()) - ONCE == NAMES
    for part in PARTS:
        one = ours()[part.name]
        assert (f"services.{service_of(one)}", one["command"]) == (part.module, [part.command])


def test_the_gateway_knows_every_process_by_its_name_in_the_network() -> None:
    urls = {part: f"http://{part.name}:{PORT}" for part in PARTS}
    assert environment(GATEWAY.name)["HEADWAY_GATEWAY_PROCESSES"] == addresses(urls)


def test_processes_listen_where_the_others_look_for_them() -> None:
    assert image_environment()["HEADWAY_HOST"] == "0.0.0.0"  # noqa: S104
    for name in ours():
        assert not {"HEADWAY_HOST", "HEADWAY_PORT", "HEADWAY_DATA_DIR"} & environment(name).keys()


def test_every_variable_is_a_setting() -> None:
    named = {name for one in ours() for name in environment(one)} | set(image_environment())
    ours_alone = {name for name in named if name.startswith("HEADWAY_")}
    assert ours_alone <= documented().keys()
    CommonSettings.load(ours_alone)


def test_processes_reach_the_database_and_the_log_of_this_file() -> None:
    postgres, kafka = environment("postgres"), environment("kafka")
    login, name = postgres["POSTGRES_USER"], postgres["POSTGRES_DB"]
    broker = kafka["KAFKA_ADVERTISED_LISTENERS"].removeprefix("PLAINTEXT://")
    for part in NAMES - {GATEWAY.name}:
        given = environment(part)
        assert given["HEADWAY_LOG_URL"] == f"kafka://{broker}"
        assert given["HEADWAY_DATABASE_URL"] == f"postgresql://{login}@postgres:5432/{name}"
        assert given["PGPASSWORD"] == postgres["POSTGRES_PASSWORD"]


def test_only_processes_that_need_secrets_get_them() -> None:
    keys = {n for n in services() if "HEADWAY_SECRET_KEY" in environment(n)}
    passwords = {n for n in services() if "PGPASSWORD" in environment(n)}
    assert keys == passwords == NAMES - {GATEWAY.name} | {"migrate"}


def test_the_data_volume_is_where_files_are_written_and_nowhere_else() -> None:
    """Ingest's API receives files that its worker reads; the preparation leaves a key."""
    holders = {name for name, one in ours().items() if one.get("volumes") == [f"data:{DATA}"]}
    ingest = {part.name for part in PARTS if part.service == "ingest"}
    assert holders == ingest | ONCE
    assert {name for name, one in ours().items() if "volumes" in one} == holders


def test_containers_of_ours_can_write_nothing_else() -> None:
    for one in ours().values():
        assert one["read_only"] is True
        assert [place.partition(":")[0] for place in one["tmpfs"]] == ["/tmp"]
        assert one["user"] == "10001:10001"
        assert one["init"] is True  # signals reach Python before it has a handler of its own


def test_nobody_is_killed_before_it_has_stopped_by_itself() -> None:
    for name, one in ours().items():
        given = environment(name)
        default = CommonSettings.model_fields["stop_seconds"].default
        needed = float(given.get("HEADWAY_STOP_SECONDS", default)) + LAST_SECONDS
        assert seconds(one["stop_grace_period"]) > needed
        assert float(given.get("HEADWAY_DRAIN_SECONDS", 0)) < needed


def test_processes_drain_as_those_of_the_stack_do() -> None:
    assert {environment(name)["HEADWAY_DRAIN_SECONDS"] for name in NAMES} == {str(DRAIN_SECONDS)}


def test_what_is_started_first() -> None:
    for part in PARTS:
        needs = ours()[part.name]["depends_on"]
        if part == GATEWAY:
            assert set(needs) == NAMES - {part.name}  # so that it stops before them
        else:
            assert needs == {"migrate": {"condition": "service_completed_successfully"}}
    healthy = {"condition": "service_healthy"}
    assert ours()["migrate"]["depends_on"] == {"postgres": healthy, "kafka": healthy}
    assert ours()["migrate"]["command"] == ["prepare"]


def test_dependencies_are_there_and_end() -> None:
    needs = {name: one.get("depends_on", {}) for name, one in services().items()}
    list(TopologicalSorter(needs).static_order())
    for held in needs.values():
        for name, how in held.items():
            assert name in services()
            if how["condition"] == "service_healthy":
                assert services()[name]["healthcheck"].get("test")
            if how["condition"] == "service_completed_successfully":
                assert services()[name]["restart"] == "no"


def test_health_is_readiness_and_nothing_that_ends_is_probed() -> None:
    for name in NAMES:
        assert services()[name]["healthcheck"]["test"][1:] == ["python", "/app/probe.py", "/readyz"]
    for name in ONCE:
        assert services()[name]["healthcheck"] == {"disable": True}


def test_only_the_gateway_and_prometheus_are_published_and_on_this_machine_by_default() -> None:
    published = {name: one["ports"] for name, one in services().items() if "ports" in one}
    assert published == {
        GATEWAY.name: [f"${{GATEWAY_ADDRESS:-127.0.0.1:8080}}:{PORT}"],
        "prometheus": ["127.0.0.1:${PROMETHEUS_PORT:-9090}:9090"],
    }


def test_volumes_are_named_or_part_of_the_repository() -> None:
    used = {v.partition(":")[0] for one in services().values() for v in one.get("volumes", ())}
    bound = {name for name in used if name.startswith(".")}
    assert used - bound == set(read("docker-compose.yml")["volumes"])
    assert all((ROOT / "deploy" / name).is_dir() for name in bound)


def test_images_of_one_service_are_one_image_of_this_version() -> None:
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.M)
    assert version is not None
    for one in ours().values():
        assert one["image"] == f"headway-{service_of(one)}:{version[1]}"
        assert (ROOT / "deploy" / one["build"]["context"]).resolve() == ROOT
        assert (ROOT / one["build"]["dockerfile"]).is_file()


def test_the_broker_is_the_one_of_the_tests() -> None:
    """Its version, and its properties but for addresses and folders."""
    assert services()["kafka"]["image"] == f"apache/kafka:{kafka_jars.VERSION}"
    given = environment("kafka")
    for line in kafka_broker._PROPERTIES.splitlines():
        name, _, value = line.partition("=")
        variable = f"KAFKA_{name.replace('.', '_').upper()}"
        assert given[variable] == value or PLACES.search(name), name
    properties = {line.partition("=")[0] for line in kafka_broker._PROPERTIES.splitlines()}
    assert given.keys() == {f"KAFKA_{name.replace('.', '_').upper()}" for name in properties}


def test_there_are_two_apis_so_that_one_answers_while_the_other_restarts() -> None:
    for service in {part.service for part in PARTS if part.is_api}:
        same = [n for n, one in ours().items() if service_of(one) == service]
        assert sum(ours()[name]["command"] == [API] for name in same) >= 2


def test_no_service_does_what_none_should() -> None:
    assert compose_faults(services()) == []


SOUND: Mapping[str, Any] = {
    "image": "x/y:1.2.3",
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
    "restart": "no",
    "healthcheck": {},
    "logging": {},
}


@pytest.mark.parametrize(
    "planted",
    [
        {"image": "x/y"}, {"image": "x/y:latest"}, {"image": "x/y:18"}, {"cap_drop": []},
        {"security_opt": []}, {"privileged": True}, {"network_mode": "host"},
        {"volumes": ["/var/run/docker.sock:/s"]}, {"environment": {"A_PASSWORD": "hunter2"}},
        {"environment": {"A_SECRET": "${A_SECRET:-weak}"}}, {"environment": {"FLAG": False}},
    ],
)  # fmt: skip
def test_a_planted_fault_is_caught(planted: Mapping[str, Any]) -> None:
    assert compose_faults({"sound": SOUND}) == []
    assert len(compose_faults({"planted": {**SOUND, **planted}})) == 1


def test_a_key_that_is_given_twice_is_caught() -> None:
    with pytest.raises(GivenTwice, match="'b'"):
        load("a: {b: 1, b: 2}")
