"""The catalog's questions about history, asked of 10,000 images with 500 packages each, in a PostgreSQL of our own."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy

from imagesmith.catalog.store import Catalog
from imagesmith.image_diff import diff
from imagesmith.image_diff import told as diff_told
from imagesmith.inventory import Inventory, Package
from imagesmith.lineage import drawn, lineage_of
from imagesmith.local.postgres import Postgres
from imagesmith.plan import Plan, PlannedScript, PlannedSource, PlannedTarget
from imagesmith.search import search
from imagesmith.story import story_of, told
from imagesmith.versions import question

IMAGES, PACKAGES, VERSIONS = 10_000, 500, 40
CLOUDS = ("ec2", "hotel")
# Every so many builds a new base; what follows is made from one of the last few images on its cloud.
BASES = 500
NOON = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
TABLES = (
    "generator_versions",
    "builds",
    "targets",
    "packages",
    "inventories",
    "inventory_packages",
    "images",
)


@dataclass(frozen=True)
class Figure:
    """How long one question took: seconds of each time it was asked, CPU seconds of ours for one, and what it found."""

    what: str
    seconds: tuple[float, ...]
    cpu_s: float
    command_s: float
    found: str


def measure(times: int, say: Callable[[str], None]) -> str:
    """The table of the figures as Markdown."""
    with new_catalog(say) as catalog:
        began = time.monotonic()
        _fill(catalog)
        say(f"filled in {time.monotonic() - began:.0f} s: {_counts(catalog)}")
        figures = [_asked(catalog, what, ask, words, times=times) for what, ask, words in _questions(catalog)]
    return "\n".join(_table(figures))


@contextmanager
def new_catalog(say: Callable[[str], None]) -> Iterator[Catalog]:
    """A catalog in a PostgreSQL of our own, which ends with it."""
    directory = Path(tempfile.mkdtemp(prefix="imagesmith-bench-catalog-"))
    directory.chmod(0o755)  # PostgreSQL runs as another user than root
    server = Postgres(directory / "postgres", run_directory=directory / "run", password=secrets.token_hex(16))
    try:
        server.start()
        server.ensure_database("catalog")
        catalog = Catalog(server.url("catalog"))
        catalog.upgrade()
        say("a PostgreSQL of our own is up")
        yield catalog
        catalog.close()
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)


class Rows:
    """Rows of one table on their way into the database, as `COPY` takes them."""

    def __init__(self, table: str, columns: tuple[str, ...]) -> None:
        self.table, self.columns = table, columns
        self._text = io.StringIO()

    def add(self, *values: object) -> None:
        """One row more, its values in the columns' order."""
        self._text.write("\t".join(_copied(value) for value in values) + "\n")

    def write(self, connection: Any) -> None:
        """What was added so far, into the table."""
        self._text.seek(0)
        columns = ", ".join(self.columns)
        with connection.cursor() as cursor:
            cursor.copy_expert(f"COPY {self.table} ({columns}) FROM STDIN", self._text)
        self._text = io.StringIO()


def _copied(value: object) -> str:
    if value is None:
        return r"\N"
    if isinstance(value, datetime):
        return value.isoformat()
    text = json.dumps(value) if isinstance(value, dict) else str(value)
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")


def _fill(catalog: Catalog) -> None:
    connection = catalog._database.engine.raw_connection()
    try:
        # Five million rows whose references are right by their making need no look at each.
        connection.cursor().execute("SET session_replication_role = replica")
        _Filler(connection.driver_connection).run()
        connection.commit()
    finally:
        connection.close()
    with catalog._database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as vacuum:
        vacuum.execute(sqlalchemy.text("VACUUM ANALYZE"))


class _Filler:
    """Builds of two images each, every image of a content of its own: as time goes by packages get newer."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._random = random.Random(1)
        text = ("created_at",)
        self._versions = Rows("generator_versions", ("name", "version", "content", *text))
        self._builds = Rows(
            "builds",
            ("build_id", "generator", "version", "dag_id", "run_id", "attempt", "requested_by", "requested_how")
            + ("plan", "state", "created_at", "deadline", "error"),
        )
        self._targets = Rows(
            "targets",
            ("build_id", "cloud", "required", "state", "attempt", "instance_id", "address", "source_image_id")
            + ("source_image_name", "image_name", "script_index", "output_offset", "output_tail")
            + ("customized_instance_id", "host_key", "error", "inventory_digest"),
        )
        self._packages = Rows("packages", ("id", "name", "manager", "version", "architecture", "origin"))
        self._inventories = Rows("inventories", ("digest", "document", *text))
        self._links = Rows("inventory_packages", ("digest", "package_id"))
        self._images = Rows(
            "images",
            ("cloud", "image_id", "build_id", "name", "generator", "version", "source_image_id", "public", "state")
            + ("created_at", "inventory_digest"),
        )
        self._lately: dict[str, list[str]] = {cloud: [] for cloud in CLOUDS}

    def run(self) -> None:
        pool = self._all_packages()
        for number in range(IMAGES // len(CLOUDS)):
            self._build(number, pool)
            if number % 250 == 249:
                self._write()

    def _all_packages(self) -> list[list[str]]:
        pool = []
        for name in range(PACKAGES):
            versions = []
            for version in range(VERSIONS):
                one = Package(
                    manager="dpkg",
                    name=f"package-{name}",
                    version=_version(version),
                    architecture="amd64",
                    origin="Debian",
                )
                versions.append(json.dumps(one.model_dump(), sort_keys=True, separators=(",", ":")))
                number = name * VERSIONS + version + 1
                self._packages.add(number, one.name, one.manager, one.version, one.architecture, one.origin)
            pool.append(versions)
        return pool

    def _build(self, number: int, pool: list[list[str]]) -> None:
        created = NOON + timedelta(hours=number)
        build_id = f"{created:%Y%m%d-%H%M%S}-{number:06x}"
        generator, version = f"generator-{number % 50}", f"{number:012x}"
        plan = _plan(build_id, generator, version, created)
        self._versions.add(generator, version, {}, created)
        row = (build_id, generator, version, generator, f"run-{number}", 1, "anna", "manual", plan, "successful")
        self._builds.add(*row, created, created, "")
        for cloud in CLOUDS:
            self._image(number, cloud, build_id=build_id, of=(generator, version), created=created, pool=pool)

    def _image(
        self,
        number: int,
        cloud: str,
        *,
        build_id: str,
        of: tuple[str, str],
        created: datetime,
        pool: list[list[str]],
    ) -> None:
        newest = number * VERSIONS // (IMAGES // len(CLOUDS))
        chosen = [max(0, newest - self._random.randrange(4)) for _ in range(PACKAGES)]
        inside = Inventory(
            os={"ID": "debian"},
            kernel="6.1.0-18-amd64",
            architecture="x86_64",
            configuration={f"/etc/file-{each}": f"{self._random.getrandbits(256):064x}" for each in range(50)},
        )
        packages = ",".join(versions[index] for versions, index in zip(pool, chosen, strict=True))
        document = inside.canonical().decode().replace('"packages":[]', f'"packages":[{packages}]')
        digest, image_id = hashlib.sha256(document.encode()).hexdigest(), f"{cloud}-image-{number}"
        self._inventories.add(digest, document, created)
        for name, index in enumerate(chosen):
            self._links.add(digest, name * VERSIONS + index + 1)
        lately = self._lately[cloud]
        source = f"{cloud}-vendor" if number % BASES == 0 else self._random.choice(lately)
        self._lately[cloud] = [*([] if number % BASES == 0 else lately), image_id][-40:]
        target = (build_id, cloud, True, "successful", 1, "", "", source, "vendor", f"name-{number}", 0, 0, "")
        self._targets.add(*target, "", "", "", digest)
        self._images.add(
            *(cloud, image_id, build_id, f"name-{number}", *of, source, False, "available", created, digest)
        )

    def _write(self) -> None:
        rows = (self._versions, self._builds, self._targets, self._packages, self._inventories, self._links)
        for each in (*rows, self._images):
            each.write(self._connection)


def _version(number: int) -> str:
    return f"1:{number // 10}.{number % 10}~rc1-2+deb12u{number % 7}"


def _plan(build_id: str, generator: str, version: str, created: datetime) -> dict[str, Any]:
    script = "#!/bin/sh\nset -eu\n" + "".join(f"apt-get install -y package-{each}\n" for each in range(20))
    targets = {
        cloud: PlannedTarget(
            **{"cloud": cloud, "cloud_type": "ec2", "settings": {"region": "us-east-1"}, "tags": {}, "public": False},
            **{"ssh_username": "admin", "instance_type": "t3.small", "image_name": build_id, "required": True},
            **{"disk_gib": None, "time_limits_s": {"terminate": 900}, "source_image": PlannedSource(id="vendor")},
        )
        for cloud in CLOUDS
    }
    plan = Plan(
        **{"build_id": build_id, "generator": generator, "version": version, "description": "", "files": ()},
        **{"script_sha256": "", "parameters": {"number": version}, "created": created, "time_limit_s": 7200},
        scripts=(PlannedScript(name="setup.sh", text=f"{script}# {version}\n", sha256="0" * 64),),
        targets=targets,
    )
    return plan.model_dump(mode="json")


Question = tuple[str, Callable[[], str], list[str]]


def _questions(catalog: Catalog) -> list[Question]:
    early, late = (f"ec2-image-{number}" for number in (10, IMAGES // len(CLOUDS) - 10))
    middle = f"ec2-image-{BASES}"

    def searched(words: str) -> Callable[[], str]:
        return lambda: f"{len(search(catalog, question(words)).held)} images"

    def one(image_id: str) -> Any:
        return catalog.find_images(image_id)[0]

    def differing() -> str:
        found = diff(story_of(catalog, one(early)), story_of(catalog, one(late)))
        return f"{len(diff_told(found))} lines"

    def family(image_id: str) -> Callable[[], str]:
        return lambda: f"{len(drawn(lineage_of(catalog, one(image_id))))} lines"

    def shown() -> str:
        return f"{len(told(story_of(catalog, one(late)), url=''))} lines"

    old, new = _version(2), _version(VERSIONS - 5)
    return [
        (f"search package-7<{old}", searched(f"package-7<{old}"), ["search", f"package-7<{old}"]),
        (f"search package-7<{new}", searched(f"package-7<{new}"), ["search", f"package-7<{new}"]),
        ("search package-7", searched("package-7"), ["search", "package-7"]),
        ("diff of the oldest and the newest", differing, ["diff", early, late]),
        ("lineage of a base of 500 builds", family(middle), ["lineage", middle]),
        ("lineage of the newest", family(late), ["lineage", late]),
        ("show", shown, ["show", late]),
    ]


def _asked(catalog: Catalog, what: str, ask: Callable[[], str], words: list[str], *, times: int) -> Figure:
    seconds, found, before = [], "", time.process_time()
    for _ in range(times):
        began = time.monotonic()
        found = ask()
        seconds.append(time.monotonic() - began)
    cpu_s = (time.process_time() - before) / times
    url = catalog._database.engine.url.render_as_string(hide_password=False)
    whole = []
    for _ in range(times):
        began = time.monotonic()
        argv = [sys.executable, "-m", "imagesmith.cli", *words]
        subprocess.run(argv, env={**os.environ, "IMAGESMITH_CATALOG_URL": url}, check=True, stdout=subprocess.DEVNULL)
        whole.append(time.monotonic() - began)
    return Figure(what, tuple(seconds), cpu_s, statistics.median(whole), found)


def _counts(catalog: Catalog) -> str:
    with catalog._database.engine.connect() as connection:
        counts = [
            f"{connection.scalar(sqlalchemy.text(f'SELECT count(*) FROM {table}')):,} {table}" for table in TABLES
        ]
        size = connection.scalar(sqlalchemy.text("SELECT pg_size_pretty(pg_database_size(current_database()))"))
    return f"{', '.join(counts)}; {size}"


def _table(figures: list[Figure]) -> Iterator[str]:
    yield "| question | found | seconds: median (first) | CPU seconds without PostgreSQL's | the whole command |"
    yield "|---|---|---|---|---|"
    for each in figures:
        middle = statistics.median(each.seconds)
        own = f"{middle:.3f} ({each.seconds[0]:.3f}) | {each.cpu_s:.2f}"
        yield f"| {each.what} | {each.found} | {own} | {each.command_s:.2f} |"
