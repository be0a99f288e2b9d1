"""What the containers of docker-compose.yaml need once before they start: `python -m imagesmith.local.first_start`.

Leaves the catalog's database with its tables, and the file with the password of Airflow's administrator.
"""

import json
import os
import sys
from pathlib import Path

from imagesmith import settings
from imagesmith.catalog.database import usable_url
from imagesmith.catalog.store import Catalog
from imagesmith.errors import ImagesmithError, SetupError
from imagesmith.local.environment import ADMIN
from imagesmith.local.keys import write_private
from imagesmith.local.postgres import create_database

_PASSWORD_VARIABLE = "AIRFLOW_ADMIN_PASSWORD"
_FILE_VARIABLE = "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"


def prepare() -> None:
    """Makes what is missing; harmless when nothing is."""
    catalog = usable_url(settings.catalog_url())
    if catalog.get_backend_name() == "postgresql" and catalog.database:
        # A database of this name is made by whoever may: the server's own is there to ask from.
        create_database(catalog.set(database="postgres"), catalog.database)
    Catalog(catalog.render_as_string(hide_password=False)).upgrade()
    write_private(Path(_needed(_FILE_VARIABLE)), json.dumps({ADMIN: _needed(_PASSWORD_VARIABLE)}) + "\n")


def _needed(variable: str) -> str:
    value = os.environ.get(variable)
    if not value:
        raise SetupError(f"{variable} is not set; `make env` writes an .env that docker-compose.yaml reads")
    return value


if __name__ == "__main__":
    try:
        prepare()
    except ImagesmithError as error:
        sys.exit(f"first start: {error}")
