"""What the operators and triggers of this process share: the catalog and the deployment's secret."""

from __future__ import annotations

from functools import cache

from imagesmith import settings
from imagesmith.catalog.store import Catalog
from imagesmith.errors import SetupError
from imagesmith.keys import parse_secret
from imagesmith.steps.runner import Deployment


@cache
def this_deployment() -> Deployment:
    """The catalog and the secret named by the environment; raises SetupError when there is no secret."""
    text = settings.secret_text()
    if not text:
        raise SetupError(
            "IMAGESMITH_SECRET is not set; make one with `imagesmith secret` and give every component the same"
        )
    return Deployment(catalog=Catalog(), secret=parse_secret(text))
