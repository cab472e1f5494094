"""Settings, from the environment (``BROKER_HOME``, ``BROKER_BOOTSTRAP`` ...). The command line's options come before them."""

from __future__ import annotations

from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Every setting has a default that works on one machine and is closed to the outside."""

    model_config = SettingsConfigDict(env_prefix="BROKER_", extra="ignore")

    home: Path = Path(".broker")
    """Certificates, keys, stores, the embedded node's data."""
    bootstrap: str | None = None
    """``host:port`` of a Kafka that is already there, instead of the embedded node or the address from the reply."""
    codelists: Path | None = None
    """Folder with the operator's code lists."""
    log_level: str = "warning"
    """``debug``, ``info``, ``warning`` or ``error``."""
