"""Every page of the web app, and what it tells those who watch, over a PostgreSQL that holds years of builds."""

from __future__ import annotations

import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import sqlalchemy
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from bench import first_paint
from bench.catalog import Rows, new_catalog
from bench.first_paint import first_paints
from imagesmith.catalog.store import Catalog
from imagesmith.inventory import Inventory, Package
from imagesmith.plan import Plan, PlannedScript, PlannedSource, PlannedTarget
from imagesmith.web.app import PREFIX, create_app
from imagesmith.web.host import Answer, Caller, Right, Scope

# What the figures are about; five clouds make five images of each build.
GENERATORS, BUILDS = 1_000, 10_000
CLOUDS = ("ec2", "hotel", "india", "kvm", "xen")
# Of the newest builds so many are under way.
OPEN = 20
INVENTORIES, PACKAGES, VERSIONS = 2_000, 400, 40
LIMIT_MS = 300
WARM_UP = 2
NO_BROWSER = "no chromium here, so when a browser shows something was not measured"
STEPS = ("launch_vm", "customize", "snapshot_image", "verify_image", "terminate")


@dataclass(frozen=True)
class Figure:
    """How long one address took, by request in milliseconds, what of it our processor worked, and the answer's bytes.

    On a busy machine the two times are far from each other. `paints_ms`: when a browser showed something of it.
    """

    what: str
    ms: Sequence[float]
    cpu_ms: float
    size: int
    paints_ms: Sequence[float] = ()

    @property
    def median_ms(self) -> float:
        """What counts."""
        return statistics.median(self.ms)


class Everybody:
    """An Airflow in which one user may do everything; nothing is asked of it but who comes."""

    async def caller(self, scope: Scope) -> Caller | None:
        """The one user."""
        return Caller("ann")

    def sees(self, caller: Caller, dag_ids: Any) -> set[str]:
        """All of them."""
        return set(dag_ids)

    def may(self, caller: Caller, right: Right, dag_id: str | None) -> bool:
        """Everything."""
        return True

    def has_connection(self, caller: Caller, cloud: str) -> bool | None:
        """Each has one."""
        return True

    def page(self, path: str) -> str:
        """An address that nobody opens."""
        return f"http://airflow{path}"

    def origins(self) -> frozenset[str]:
        """None but where a request came to."""
        return frozenset()

    def call(self, caller: Caller, method: str, path: str, body: object = None) -> Answer:
        """A log of a hundred thousand lines, and tasks that are over."""
        if "/logs/" in path:
            lines = ({"event": f"\x1b[32mGet:{number}\x1b[0m {'x' * 90}"} for number in range(100_000))
            return Answer(200, {"content": list(lines), "continuation_token": None})
        return Answer(200, {"try_number": 1, "state": "success"})


def measure(times: int, say: Callable[[str], None], *, generators: int = GENERATORS, builds: int = BUILDS) -> str:
    """The table of all pages as Markdown; says which are slower than they may be, here and in a browser."""
    with new_catalog(say) as catalog, _deployment(generators):
        began = time.monotonic()
        fill(catalog, generators=generators, builds=builds)
        say(
            f"{generators:,} generators, {builds:,} builds, {builds * len(CLOUDS):,} images; filled in "
            f"{time.monotonic() - began:.0f} s"
        )
        app = Starlette(routes=[Mount(PREFIX, create_app(Everybody(), open_catalog=lambda: catalog))])
        with TestClient(app) as client:
            figures = [_asked(client, what, path, times) for what, path in addresses(builds)]
        pages = {what: PREFIX + path for what, path in addresses(builds) if not what.startswith("REST")}
        paints = first_paints(app, list(pages.values()), times)
        figures = [replace(each, paints_ms=paints.get(pages.get(each.what, ""), ())) for each in figures]
        figures.append(_tick(catalog, times))
    slow = [each.what for each in figures if each.median_ms > LIMIT_MS]
    say(f"slower than {LIMIT_MS} ms: {', '.join(slow) or 'none'}")
    late = [
        each.what for each in figures if each.paints_ms and statistics.median(each.paints_ms) > first_paint.LIMIT_MS
    ]
    say(f"nothing shown within {first_paint.LIMIT_MS} ms: {', '.join(late) or 'none'}" if paints else NO_BROWSER)
    return "\n".join(_table(figures))


@contextmanager
def _deployment(generators: int) -> Iterator[None]:
    """Files of as many generators, where the app looks for them."""
    with tempfile.TemporaryDirectory(prefix="imagesmith-bench-pages-") as directory:
        include = Path(directory)
        for folder in ("generators", "scripts", "files"):
            (include / folder).mkdir()
        (include / "clouds.yaml").write_text("".join(f"{name}: {{type: ec2, region: us-east-1}}\n" for name in CLOUDS))
        (include / "scripts" / "setup.sh").write_text("#!/bin/sh\nset -eu\napt-get install -y dstat\n")
        entry = "{source_image: ami-12345678, ssh_username: admin, instance_type: t3.small}"
        clouds = "".join(f"  {name}: {entry}\n" for name in CLOUDS)
        for number in range(generators):
            text = f"name: {_generator(number)}\nscript: setup.sh\nclouds:\n{clouds}"
            (include / "generators" / f"{_generator(number)}.yaml").write_text(text)
        before = os.environ.get("IMAGESMITH_INCLUDE")
        os.environ["IMAGESMITH_INCLUDE"] = directory
        try:
            yield
        finally:
            os.environ.pop("IMAGESMITH_INCLUDE")
            if before is not None:
                os.environ["IMAGESMITH_INCLUDE"] = before


def addresses(builds: int) -> list[tuple[str, str]]:
    """Each page by what it is, with what is there in the catalog."""
    middle, last = builds // 2, builds - 1
    image, other = f"ec2-image-{middle}", f"ec2-image-{middle + 1}"
    build = _build_id(middle)

    def images(**query: object) -> str:
        return f"/images?{urlencode(query)}"

    return [
        ("generators", "/generators"),
        ("generators, searched", "/generators?search=99"),
        ("one generator", f"/generators/{_generator(7)}"),
        ("its versions", f"/generators/{_generator(7)}/versions"),
        ("the form of a build", f"/generators/{_generator(7)}/build"),
        ("clouds", "/clouds"),
        ("builds", "/builds"),
        ("builds, the last page", f"/builds?offset={builds - 50}"),
        ("builds of a generator", f"/builds?generator={_generator(7)}"),
        ("builds that failed", "/builds?state=failed"),
        ("one build", f"/builds/{build}"),
        ("one build that runs", f"/builds/{_build_id(last)}"),
        ("the tail of its output", f"/builds/{_build_id(last)}/tail/ec2"),
        ("100,000 lines of output, the end", f"/builds/{build}/output/ec2/customize"),
        ("100,000 lines of output, a piece", f"/builds/{build}/output/ec2/customize?piece=20"),
        ("images", "/images"),
        ("images, the last page", f"/images?offset={builds * len(CLOUDS) - 50}"),
        ("images of a cloud", images(cloud="hotel")),
        ("images of a generator", images(generator=_generator(7))),
        ("images of the last 30 days", images(newer=30)),
        ("images with a package", images(package="package-7")),
        ("images with a package before a version", images(package=f"package-7<{_version(2)}")),
        ("one image", f"/images/ec2/{image}"),
        ("all that is inside", f"/images/ec2/{image}/inside"),
        ("two images", f"/compare?before=ec2/{image}&after=ec2/{other}"),
        ("REST: builds", "/api/v1/builds"),
        ("REST: images", "/api/v1/images"),
        ("REST: search", f"/api/v1/search?{urlencode({'package': 'package-7'})}"),
        ("REST: lineage", f"/api/v1/images/ec2/{image}/lineage"),
    ]


def _asked(client: TestClient, what: str, path: str, times: int) -> Figure:
    taken, size, before = [], 0, 0.0
    for number in range(times + WARM_UP):
        before = time.process_time() if number == WARM_UP else before
        began = time.perf_counter()
        answer = client.get(PREFIX + path)
        taken.append((time.perf_counter() - began) * 1_000)
        answer.raise_for_status()
        size = len(answer.content)
    return Figure(what, taken[WARM_UP:], (time.process_time() - before) * 1_000 / times, size)


def _tick(catalog: Catalog, times: int) -> Figure:
    """The one query a second for all who watch."""
    taken, before = [], 0.0
    for number in range(times + WARM_UP):
        before = time.process_time() if number == WARM_UP else before
        began = time.perf_counter()
        found = catalog.watched_builds(since=datetime.now(UTC) - timedelta(seconds=60))
        taken.append((time.perf_counter() - began) * 1_000)
        assert len(found) == OPEN
    cpu_ms = (time.process_time() - before) * 1_000 / times
    return Figure("a look for all who watch", taken[WARM_UP:], cpu_ms, 0)


def _table(figures: Sequence[Figure]) -> Iterator[str]:
    yield "| page | ms on the server: median (slowest) | of processor | KiB | ms until Chromium shows something |"
    yield "|---|---|---|---|---|"
    for each in figures:
        times = f"{each.median_ms:.0f} ({max(each.ms):.0f}) | {each.cpu_ms:.0f}"
        shown = f"{statistics.median(each.paints_ms):.0f} ({max(each.paints_ms):.0f})" if each.paints_ms else "–"
        yield f"| {each.what} | {times} | {each.size / 1024:.0f} | {shown} |"


def fill(catalog: Catalog, *, generators: int, builds: int) -> None:
    """Builds of all generators in turn, an image on each cloud, each from one of the last images of its generator."""
    connection = catalog._database.engine.raw_connection()
    try:
        connection.cursor().execute("SET session_replication_role = replica")
        filler = _Filler(connection.driver_connection, generators=generators, builds=builds)
        filler.run()
        connection.commit()
    finally:
        connection.close()
    with catalog._database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as vacuum:
        vacuum.execute(sqlalchemy.text("VACUUM ANALYZE"))


class _Filler:
    def __init__(self, connection: Any, *, generators: int, builds: int) -> None:
        self._connection = connection
        self._generators, self._builds = generators, builds
        self._now = datetime.now(UTC).replace(microsecond=0)
        self._random = random.Random(1)
        made = ("created_at",)
        self._rows = {
            "generator_versions": Rows("generator_versions", ("name", "version", "content", *made)),
            "builds": Rows(
                "builds",
                ("build_id", "generator", "version", "dag_id", "run_id", "attempt", "requested_by", "requested_how")
                + ("plan", "state", "created_at", "deadline", "ended_at", "error", "verdict"),
            ),
            "targets": Rows(
                "targets",
                ("build_id", "cloud", "required", "state", "attempt", "instance_id", "address", "source_image_id")
                + ("source_image_name", "image_name", "script_index", "output_offset", "output_tail")
                + ("customized_instance_id", "host_key", "error", "inventory_digest", "started_at", "ended_at"),
            ),
            "steps": Rows("steps", ("build_id", "cloud", "step", "attempt", "started_at", "ended_at", "error")),
            "packages": Rows("packages", ("id", "name", "manager", "version", "architecture", "origin")),
            "inventories": Rows("inventories", ("digest", "document", *made)),
            "inventory_packages": Rows("inventory_packages", ("digest", "package_id")),
            "images": Rows(
                "images",
                ("cloud", "image_id", "build_id", "name", "generator", "version", "source_image_id", "public", "state")
                + ("created_at", "inventory_digest"),
            ),
        }
        self._digests: list[str] = []

    def run(self) -> None:
        """All of it, by and by, as the rows of many builds are more than memory should hold."""
        self._inside()
        for number in range(self._builds):
            self._build(number)
            if number % 500 == 499 or number == self._builds - 1:
                self._write()

    def _inside(self) -> None:
        for name in range(PACKAGES):
            for version in range(VERSIONS):
                number = name * VERSIONS + version + 1
                row = (number, f"package-{name}", "dpkg", _version(version), "amd64", "Debian")
                self._rows["packages"].add(*row)
        for _ in range(min(INVENTORIES, self._builds)):
            chosen = [self._random.randrange(VERSIONS) for _ in range(PACKAGES)]
            packages = tuple(
                Package(
                    manager="dpkg",
                    name=f"package-{name}",
                    version=_version(version),
                    architecture="amd64",
                    origin="Debian",
                )
                for name, version in enumerate(chosen)
            )
            files = {f"/etc/file-{each}": f"{self._random.getrandbits(256):064x}" for each in range(300)}
            inventory = Inventory(
                os={"ID": "debian", "PRETTY_NAME": "Debian GNU/Linux 12"},
                kernel="6.1.0-18-amd64",
                architecture="x86_64",
                packages=packages,
                configuration=files,
            )
            digest = inventory.digest
            self._digests.append(digest)
            self._rows["inventories"].add(digest, inventory.model_dump(mode="json"), self._now)
            for name, version in enumerate(chosen):
                self._rows["inventory_packages"].add(digest, name * VERSIONS + version + 1)
        self._write()

    def _build(self, number: int) -> None:
        created = self._now - timedelta(hours=self._builds - number)
        generator, version = _generator(number % self._generators), f"{number // self._generators // 3:012x}"
        if number // self._generators % 3 == 0:
            self._rows["generator_versions"].add(generator, version, {}, created)
        build_id, open_ = _build_id(number), number >= self._builds - OPEN
        state = "running" if open_ else "failed" if number % 10 == 3 else "successful"
        ended = None if open_ else created + timedelta(minutes=9)
        plan = _plan(build_id, generator, version, created)
        about = (build_id, generator, version, generator, f"run-{number}", 1, "ann", "manual", plan, state)
        self._rows["builds"].add(*about, created, created + timedelta(hours=2), ended, "", "" if open_ else "unknown")
        for cloud in CLOUDS:
            self._target(number, cloud, (generator, version), state=state, created=created, ended=ended)

    def _target(
        self, number: int, cloud: str, of: tuple[str, str], *, state: str, created: datetime, ended: datetime | None
    ) -> None:
        build_id, digest = _build_id(number), self._digests[(number // 3) % len(self._digests)]
        earlier = number - self._generators
        source = f"{cloud}-image-{earlier}" if earlier >= 0 else f"{cloud}-vendor"
        failed = state == "failed" and cloud == "india"
        known = "customizing" if state == "running" else "failed" if failed else "successful"
        tail = "".join(f"\x1b[32mGet:{line}\x1b[0m http://deb.example/debian {'x' * 60}\n" for line in range(160))
        row = (build_id, cloud, True, known, 1, "i-1", "192.0.2.1", source, "vendor", f"name-{number}", 0, 16_000)
        shown = tail if state == "running" else tail[:2_000]
        error = "no room left; ask for more" if failed else ""
        self._rows["targets"].add(*row, shown, "", "", error, digest, created, ended)
        for place, step in enumerate(STEPS if ended else STEPS[:2]):
            began = created + timedelta(minutes=place)
            over = None if place == 1 and not ended else began + timedelta(minutes=1)
            self._rows["steps"].add(build_id, cloud, step, 1, began, over, error if step == "snapshot_image" else "")
        # Builds that run or failed have saved images before, so that the number of images is round.
        image = (cloud, f"{cloud}-image-{number}", build_id, f"name-{number}", *of, source, False, "available")
        self._rows["images"].add(*image, created, digest)

    def _write(self) -> None:
        for rows in self._rows.values():
            rows.write(self._connection)


def _generator(number: int) -> str:
    return f"generator-{number:04d}"


def _build_id(number: int) -> str:
    return f"20260101-000000-{number:06x}"


def _version(number: int) -> str:
    return f"1:{number // 10}.{number % 10}~rc1-2+deb12u{number % 7}"


def _plan(build_id: str, generator: str, version: str, created: datetime) -> dict[str, Any]:
    script = "#!/bin/sh\nset -eu\n" + "".join(f"apt-get install -y package-{each}\n" for each in range(40))
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
        **{"script_sha256": "", "parameters": {"extra": ""}, "created": created, "time_limit_s": 7200},
        scripts=(PlannedScript(name="setup.sh", text=script, sha256="0" * 64),),
        targets=targets,
    )
    return plan.model_dump(mode="json")
