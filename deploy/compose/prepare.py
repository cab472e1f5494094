"""Before Kafka starts under compose: the exchange's keys, and a folder each for Kafka and for the relay with only what they need.

    python prepare.py --exchange stce.asean --environment production --host kafka.example.org

Run at every start: what exists is kept, certificates are renewed in their last 30 days, Kafka's settings are rendered anew from
the template that the embedded node uses.
"""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path
from typing import Final

from broker.errors import BrokerError
from broker.kafka.node_folder import NodeFolder
from broker.kafka.properties import render_properties
from broker.kafka.tls import TlsFiles
from broker.shipped import shipped
from broker.storage import enrol
from broker.storage.clock import SystemClock
from broker.storage.home import ExchangeHome

CLIENT_PORT: Final = 9093
CONTROLLER_PORT: Final = 9094
DATA: Final = "/var/lib/kafka/data"
RELAY_FILES: Final = ("exchange.json", "ca.pem", "relay.pem", "tls/relay.pem", "tls/relay-key.pem")
"""All that a relay worker reads of the operator's home: neither the authority's key nor the registrar's."""


def settings(host: str) -> str:
    """Kafka's settings: those of the embedded node, but the clients' listener is on every address of the container."""
    template = shipped("deploy/kafka/server.properties.template").read_text(encoding="utf-8")
    text = render_properties(template, client_port=CLIENT_PORT, controller_port=CONTROLLER_PORT)
    changes = {
        f"listeners=CLIENT://127.0.0.1:{CLIENT_PORT}": f"listeners=CLIENT://0.0.0.0:{CLIENT_PORT}",
        f"advertised.listeners=CLIENT://127.0.0.1:{CLIENT_PORT}": f"advertised.listeners=CLIENT://{host}:{CLIENT_PORT}",
        "log.dirs=data": f"log.dirs={DATA}",
    }
    lines = text.split("\n")
    for number, line in enumerate(lines):
        for before, after in changes.items():
            if line.startswith(before):
                lines[number] = after + line.removeprefix(before)
    return "\n".join(lines)


def for_kafka(home: ExchangeHome, host: str, folder: Path) -> None:
    """Kafka's folder: settings, its own key and certificate, the authority it trusts, the cluster's id."""
    node = NodeFolder(folder)
    node.path.mkdir(mode=0o700, parents=True, exist_ok=True)
    identity = node.identity()
    node.write_settings(identity, TlsFiles(*home.tls("node")))
    (folder / "server.properties").write_text(settings(host), encoding="utf-8")
    (folder / "cluster.id").write_text(identity.cluster_id, encoding="ascii")


def for_relay(home: ExchangeHome, folder: Path) -> None:
    """A home for relay workers."""
    for name in RELAY_FILES:
        target = folder / "exchange" / name
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        aside = target.with_suffix(".new")
        shutil.copyfile(home.folder / name, aside)
        aside.chmod(0o600)
        aside.replace(target)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exchange", required=True)
    parser.add_argument("--environment", required=True)
    parser.add_argument("--host", required=True, help="the name under which every agency reaches Kafka")
    parser.add_argument("--shards", type=int, default=16)
    parser.add_argument("--home", type=Path, default=Path(os.environ.get("BROKER_HOME", ".broker")))
    parser.add_argument("--kafka", type=Path, default=Path("/kafka"))
    parser.add_argument("--relay", type=Path, default=Path("/relay"))
    given = parser.parse_args()
    os.umask(0o077)
    try:
        home = enrol.create_exchange(
            given.home, given.exchange, given.environment, given.shards, SystemClock().now_ms(), hosts=[given.host]
        )
    except BrokerError as error:
        parser.exit(error.exit_code, f"error {error}\n      {error.advice}\n")
    for_kafka(home, given.host, given.kafka)
    for_relay(home, given.relay)


if __name__ == "__main__":
    main()
