"""What is in deploy/ agrees with the program: commands that exist, pinned images, Kafka's settings, closed units.

No Docker engine is asked for: the images themselves are not built here.
"""

from __future__ import annotations

import configparser
import json
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509

from broker.app import Operator
from broker.app.connect import connect, connect_admin
from broker.exchange.topology import RELAY
from broker.kafka.jars import KAFKA_VERSION
from broker.kafka.properties import lint_properties, read_properties, render_properties
from broker.shipped import shipped
from broker.storage.home import ExchangeHome
from tests.support.command_lines import flaw

DEPLOY = Path(__file__).parents[2] / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = (DEPLOY / "compose.yml").read_text(encoding="utf-8")
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
HARDENED = {
    "User": "broker", "NoNewPrivileges": "yes", "CapabilityBoundingSet": "", "ProtectSystem": "strict", "ProtectHome": "yes",
    "PrivateTmp": "yes", "PrivateDevices": "yes", "UMask": "0077", "StateDirectoryMode": "0700", "SystemCallArchitectures": "native",
    "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX", "RestrictNamespaces": "yes", "LockPersonality": "yes",
}  # fmt: skip


def unit(path: Path) -> configparser.ConfigParser:
    """A unit file; of a key given twice the last value."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # pyright: ignore[reportAttributeAccessIssue] - keys keep their capitals
    parser.read(path, encoding="utf-8")
    return parser


# ── image ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_no_image_floats() -> None:
    """Each image is named with a whole version: a build of today and one of next year start from the same."""
    images = [*re.findall(r"^ARG PYTHON_IMAGE=(\S+)", DOCKERFILE, re.M), *re.findall(r"^\s+image: (\S+)", COMPOSE, re.M)]
    assert len(images) >= 3
    for image in images:
        assert re.search(r":\d+\.\d+\.\d+", image), image
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.M)) == {"${PYTHON_IMAGE}"}


def test_packages_come_with_their_hashes() -> None:
    """What is fetched is checked against the lock file, and what is installed comes from what was fetched."""
    steps = re.sub(r"\\\n\s*", "", DOCKERFILE)
    fetched = re.findall(r"pip download [^&\n]*", steps)
    assert len(fetched) == 1
    assert "--require-hashes" in fetched[0]
    assert "requirements.lock" in fetched[0]
    installed = re.findall(r"pip install [^&\n]*", steps)
    assert installed
    assert all("--no-index" in step for step in installed)


def test_the_image_runs_as_a_plain_user_and_knows_the_commands() -> None:
    """Not root; entry point and health check are commands of the program."""
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.findall(r"^USER (.+)$", last, re.M) == ["1000:1000"]
    assert json.loads(re.findall(r"^ENTRYPOINT (.+)$", last, re.M)[0]) == ["broker"]
    program, *arguments = json.loads(re.findall(r"^HEALTHCHECK .*CMD (.+)$", last, re.M)[0])
    assert program == "broker"
    assert flaw(arguments) == ""


def test_what_the_image_copies_is_there_and_passes_the_filter() -> None:
    """Each source of COPY exists, and the ignore file lets it through: it starts from nothing."""
    copied = {word for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.M) for word in line.split()[:-1]}
    let_in = re.findall(r"^!(\S+)$", (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8"), re.M)
    for name in copied:
        assert (DEPLOY.parent / name).exists(), name
        assert name.partition("/")[0] in let_in


# ── compose ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_compose_runs_commands_that_exist() -> None:
    """The commands of the services that run our image are accepted by the program's own parser."""
    commands = [json.loads(text) for text in re.findall(r'^    command: (\["(?:up|relay)".*\])$', COMPOSE, re.M)]
    assert {command[0] for command in commands} == {"up", "relay"}
    assert [flaw(command) for command in commands] == ["", ""]


def test_compose_runs_the_kafka_that_is_tested() -> None:
    """Apache's own image in the version of the pinned jars."""
    assert f"image: apache/kafka:{KAFKA_VERSION}\n" in COMPOSE


def test_compose_is_one_mapping_without_tabs() -> None:
    """Four services, and the indentation that YAML wants."""
    assert "\t" not in COMPOSE
    services = COMPOSE.partition("\nservices:\n")[2].partition("\nnetworks:\n")[0]
    assert re.findall(r"^  (\w+):$", services, re.M) == ["prepare", "kafka", "exchange", "relay"]
    assert all(len(line) - len(line.lstrip()) in (0, 2, 4, 6, 8) for line in COMPOSE.splitlines())


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders that the first service makes, with ``home``, ``kafka`` and ``relay``."""
    folder = tmp_path_factory.mktemp("prepared")
    prepare(folder)
    return folder


def prepare(folder: Path) -> None:
    """Run the first service's program."""
    folders = [f"--{name}={folder / name}" for name in ("home", "kafka", "relay")]
    names = ["--exchange", "stce.asean", "--environment", "production", "--host", "kafka.example.org"]
    subprocess.run([sys.executable, str(DEPLOY / "compose" / "prepare.py"), *names, *folders], check=True, timeout=60)


def test_kafka_under_compose_differs_from_the_embedded_node_in_its_addresses_only(prepared: Path) -> None:
    """Same settings, same reasons: only where it listens, how it is called, and where its data lies. No door is open."""
    text = (prepared / "kafka" / "server.properties").read_text(encoding="utf-8")
    template = shipped("deploy/kafka/server.properties.template").read_text(encoding="utf-8")
    here, there = read_properties(text), read_properties(render_properties(template, client_port=9093, controller_port=9094))
    assert here.keys() == there.keys()
    assert {key: here[key] for key in here if here[key] != there[key]} == {
        "listeners": "CLIENT://0.0.0.0:9093,CONTROLLER://127.0.0.1:9094",
        "advertised.listeners": "CLIENT://kafka.example.org:9093",
        "log.dirs": "/var/lib/kafka/data",
    }
    assert lint_properties(text) == []
    assert "kafka-data:/var/lib/kafka/data" in COMPOSE
    assert '"${BROKER_LISTEN:-127.0.0.1}:9093:9093"' in COMPOSE


def test_kafka_gets_its_own_key_and_no_other(prepared: Path) -> None:
    """Its certificate names the host, and none of the exchange's keys lies in its folder."""
    store = (prepared / "kafka" / "keystore.pem").read_bytes()
    names = x509.load_pem_x509_certificate(store).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"kafka.example.org", "localhost"} <= set(names.get_values_for_type(x509.DNSName))
    assert store.count(b"PRIVATE KEY-----") == 2  # its begin and its end
    home = ExchangeHome(prepared / "home")
    assert home.tls("node").key.read_bytes() in store
    for secret in (home.ca_key, home.registrar_key, home.relay_key):
        assert all(secret.read_bytes() not in path.read_bytes() for path in (prepared / "kafka").iterdir())


def test_a_relay_has_what_it_needs_and_no_more(prepared: Path) -> None:
    """From the relay's folder a worker finds its key and its connection; the authority's and the registrar's keys are not there."""
    files = {str(path.relative_to(prepared / "relay" / "exchange")) for path in (prepared / "relay").rglob("*") if path.is_file()}
    assert files == {"exchange.json", "ca.pem", "relay.pem", "tls/relay.pem", "tls/relay-key.pem"}
    operator = Operator(prepared / "relay", connect, connect_admin, bootstrap="kafka.example.org:9093")
    assert operator.files.relay().spki == ExchangeHome(prepared / "home").relay().spki
    assert all(path.is_file() for path in operator.files.tls(RELAY))
    assert stat.S_IMODE((prepared / "relay" / "exchange" / "relay.pem").stat().st_mode) == 0o600


def test_preparing_again_keeps_every_key(prepared: Path) -> None:
    """Run at each start: the cluster's id, keys and certificates stay as they are."""
    before = {path: path.read_bytes() for path in prepared.rglob("*") if path.is_file()}
    prepare(prepared)
    assert {path: path.read_bytes() for path in prepared.rglob("*") if path.is_file()} == before


# ── systemd ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", UNITS, ids=[path.name for path in UNITS])
def test_a_unit_runs_a_command_that_exists(path: Path) -> None:
    """ExecStart is accepted by the program's own parser."""
    program, *arguments = unit(path)["Service"]["ExecStart"].split()
    assert program == "/opt/broker/bin/broker"
    assert flaw(arguments) == ""


@pytest.mark.parametrize("path", UNITS, ids=[path.name for path in UNITS])
def test_a_unit_is_closed(path: Path) -> None:
    """A plain user without capabilities, on a system that it cannot write, whose files nobody else reads."""
    service = unit(path)["Service"]
    assert {key: service.get(key) for key in HARDENED} == HARDENED
    assert service["Restart"] == "always"
    assert service["RestartPreventExitStatus"] == "2"


@pytest.mark.parametrize("path", UNITS, ids=[path.name for path in UNITS])
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze here")
def test_systemd_understands_a_unit(path: Path, tmp_path: Path) -> None:
    """No unknown key, no bad value, and an exposure that systemd itself calls OK; the program stands in for itself."""
    copy = tmp_path / path.name
    copy.write_text(path.read_text(encoding="utf-8").replace("/opt/broker/bin/broker", "/bin/true"), encoding="utf-8")
    verified = subprocess.run(["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, timeout=60, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")
    exposed = ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(copy)]
    assert subprocess.run(exposed, capture_output=True, timeout=60, check=False).returncode == 0


def test_both_units_are_there() -> None:
    """So that the tests over all units do not pass over none."""
    assert [path.name for path in UNITS] == ["broker-exchange.service", "broker-relay@.service"]
