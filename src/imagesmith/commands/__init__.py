"""The commands of `imagesmith`, by the module that adds each to the parser.

A command's module is imported only when that command is called, or when all of them are to be listed.
"""

from __future__ import annotations

from collections.abc import Mapping

COMMANDS: Mapping[str, str] = {
    "validate": "imagesmith.commands.validate",
    "plan": "imagesmith.commands.plan",
    "build": "imagesmith.commands.build",
    "cancel": "imagesmith.commands.cancel",
    "status": "imagesmith.commands.status",
    "images": "imagesmith.commands.images",
    "show": "imagesmith.commands.show",
    "diff": "imagesmith.commands.diff",
    "lineage": "imagesmith.commands.lineage",
    "search": "imagesmith.commands.search",
    "rebuild": "imagesmith.commands.rebuild",
    "catalog": "imagesmith.commands.catalog",
    "provenance": "imagesmith.commands.provenance",
    "key": "imagesmith.commands.key",
    "verify": "imagesmith.commands.verify",
    "sbom": "imagesmith.commands.sbom",
    "demo": "imagesmith.commands.demo",
    "sandbox": "imagesmith.sandbox.cli",
    "airflow": "imagesmith.commands.airflow",
    "secret": "imagesmith.commands.secret",
}
