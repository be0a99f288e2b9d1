"""The secrets of this deployment, made once and kept in one file that only its owner reads."""

import base64
import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from imagesmith.errors import SetupError


@dataclass(frozen=True)
class Keys:
    """What the components share and nobody else knows."""

    fernet_key: str
    jwt_secret: str
    api_secret: str
    admin_password: str
    database_password: str
    deployment_secret: str


def load_or_make(path: Path) -> Keys:
    """The keys in the file; a file that is not there is written first, with mode 0600."""
    if path.exists():
        try:
            return Keys(**json.loads(path.read_text()))
        except (ValueError, TypeError, OSError) as error:  # TypeError: keys that are missing or that nobody knows
            raise SetupError(
                f"{path}: cannot be read as this deployment's secrets: {error}; put back what it held, or remove it to "
                "start with new ones, with which Airflow can't read what it has encrypted"
            ) from error
    keys = _fresh()
    write_private(path, json.dumps(asdict(keys), indent=2) + "\n")
    return keys


def write_private(path: Path, text: str) -> None:
    """Leaves the file with this text, readable by its owner alone, and never half written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
    fresh.replace(path)


def _fresh() -> Keys:
    return Keys(
        fernet_key=_key_of_32_bytes(),
        jwt_secret=secrets.token_urlsafe(48),
        api_secret=secrets.token_urlsafe(32),
        admin_password=secrets.token_urlsafe(12),
        database_password=secrets.token_urlsafe(24),
        deployment_secret=_key_of_32_bytes(),
    )


def _key_of_32_bytes() -> str:
    # The padding stays: Fernet insists on it.
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
