"""Apache's own Kafka image under Docker, with the settings and certificates of the embedded node.

testcontainers' Kafka module is bound to another vendor's image and its start script; this one takes ``apache/kafka`` as it is.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from testcontainers.core.container import DockerContainer

from broker.errors import ExchangeUnreachable
from broker.kafka.admin import KafkaAdmin
from broker.kafka.jars import KAFKA_VERSION
from broker.kafka.node_folder import HOST, NodeFolder
from broker.kafka.tls import TlsFiles


def no_engine() -> str:
    """Why no Docker engine can be used; empty where one answers."""
    # In a process of its own: the client leaves sockets open where nothing answers.
    asked = subprocess.run(
        [sys.executable, "-c", "import docker; docker.from_env().ping()"], capture_output=True, text=True, timeout=60, check=False
    )
    reason = (asked.stderr.strip().splitlines() or ["no reason given"])[-1]
    return "" if asked.returncode == 0 else f"no Docker engine answers: {reason[:200]}"


class KafkaContainer(DockerContainer):
    """One broker and controller in a container; its data goes with it.

    The listener is bound to every address of the container, and published on this machine's loopback under the same port, so that
    the advertised address holds on both sides.
    """

    def __init__(self, folder: Path, tls: TlsFiles) -> None:
        super().__init__(f"apache/kafka:{KAFKA_VERSION}")
        self._tls = tls
        settings = NodeFolder(folder)
        settings.path.mkdir(parents=True, exist_ok=True)
        identity = settings.identity()
        settings.write_settings(identity, tls)
        file = settings.path / "server.properties"
        text = file.read_text().replace("listeners=CLIENT://127.0.0.1:", "listeners=CLIENT://0.0.0.0:", 1)
        file.write_text(text.replace("log.dirs=data", "log.dirs=/tmp/data"))
        self.bootstrap = f"{HOST}:{identity.client_port}"
        self.with_bind_ports(identity.client_port, (HOST, identity.client_port))  # pyright: ignore[reportArgumentType]
        self.with_volume_mapping(str(settings.path), "/broker", "ro")
        # As root, because the key store is readable by its owner only; the container has nothing else.
        self.with_kwargs(user="0", working_dir="/broker", entrypoint=["/bin/sh", "-c"])
        tool = "/opt/kafka/bin/kafka-storage.sh"
        server = "/opt/kafka/bin/kafka-server-start.sh"
        self.with_command([f"{tool} format -t {identity.cluster_id} -c server.properties && exec {server} server.properties"])

    async def answers(self) -> bool:
        """An authenticated request is answered."""
        admin = KafkaAdmin(self.bootstrap, self._tls, timeout=2)
        try:
            return bool(await admin.cluster_id())
        except ExchangeUnreachable:
            return False
        finally:
            await admin.close()
