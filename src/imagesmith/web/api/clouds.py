"""Clouds: list, read, test."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response, status
from pydantic import BaseModel, ConfigDict, Field

from imagesmith.cloud_settings import CloudSettings
from imagesmith.names import NAME_SHAPE
from imagesmith.web import runs
from imagesmith.web.api.answers import refusals
from imagesmith.web.host import Caller
from imagesmith.web.paging import Listed, Paging, PagingDep, link_pages
from imagesmith.web.parts import CallerDep, Parts, PartsDep, address, require_clouds
from imagesmith.web.problems import not_found

router = APIRouter(prefix="/clouds", tags=["clouds"])
# In dags/maintenance.py.
DAG_ID, LIST_DAG_ID, TASK_ID = "imagesmith_test_cloud", "imagesmith_list_cloud", "ask"
CloudName = Annotated[str, Path(description="a name out of include/clouds.yaml", max_length=100, examples=["ec2"])]


class CloudShown(BaseModel):
    """One cloud of include/clouds.yaml."""

    name: str = Field(examples=["openstack-hotel"])
    type: str = Field(examples=["openstack"])
    endpoint: str = Field(description='"" where the connection says it', examples=["https://hotel.example:5000/v3"])
    pool: str = Field(description="Airflow's pool that limits what is at work there", examples=["openstack-hotel"])
    asks_password: bool = Field(description="every build asks for the password")
    connection: bool | None = Field(description="whether Airflow has its connection; null where you may not know")
    settings: dict[str, Any] = Field(examples=[{"network": "private"}])


class TestShown(BaseModel):
    """A read-only call at the cloud, made where its connection is."""

    run_id: str = Field(examples=["manual__2026-11-27T00:03:03+00:00"])
    ended: bool
    reachable: bool | None = Field(description="null until it has ended")
    identity: str = Field(description="whom the cloud takes us for", examples=["arn:aws:iam::123456789012:user/ann"])
    problem: str = Field(description="the cloud's own answer, and the cure", examples=[""])
    page: str = Field(description="the run in Airflow", examples=["http://127.0.0.1:8080/dags/imagesmith_test_cloud"])


class ListingWanted(BaseModel):
    """What is looked for among the cloud's images."""

    model_config = ConfigDict(extra="forbid")

    search: str = Field("", max_length=100, description="a part of the name", examples=["debian-12"])


class ImageOffered(BaseModel):
    """An image to start from, as the cloud lists it."""

    id: str = Field(description="what `source_image` may say", examples=["ami-0fedcba9876543210"])
    name: str = Field(examples=["debian-12-amd64-20261101"])
    created: str = Field(description="as the cloud writes it", examples=["2026-11-01T00:00:00.000Z"])
    own: bool = Field(description="this account's, and not one that the cloud offers to all")


class ListingShown(BaseModel):
    """What a cloud has to choose from, asked where its connection is."""

    run_id: str = Field(examples=["manual__2026-11-27T00:03:03+00:00"])
    ended: bool
    images: list[ImageOffered]
    instance_types: list[str] = Field(description="empty where the cloud has no list of them", examples=[["t3.small"]])
    problem: str = Field(description="the cloud's own answer, and the cure", examples=[""])
    page: str = Field(description="the run in Airflow", examples=["http://127.0.0.1:8080/dags/imagesmith_list_cloud"])


@router.get("", responses=refusals(422))
def list_clouds(
    parts: PartsDep, caller: CallerDep, request: Request, response: Response, paging: PagingDep
) -> Listed[CloudShown]:
    """All clouds a generator may name."""
    found = clouds_page(parts, caller, paging)
    link_pages(request, response, paging, total=found.total)
    return found


@router.get("/{cloud}", responses=refusals(404, 422))
def read_cloud(parts: PartsDep, caller: CallerDep, cloud: CloudName) -> CloudShown:
    """One cloud."""
    return _shown(parts, caller, cloud, _the_cloud(parts, caller, cloud))


@router.post("/{cloud}/tests", status_code=status.HTTP_202_ACCEPTED, responses=refusals(404, 409, 422, 502))
def test_cloud(parts: PartsDep, caller: CallerDep, cloud: CloudName, request: Request, response: Response) -> TestShown:
    """Ask the cloud, read-only, whom it takes us for. Where the answer will be is in `Location`."""
    started = start_test(parts, caller, cloud)
    response.headers["Location"] = address(request, "clouds", cloud, "tests", started.run_id)
    return started


@router.get("/{cloud}/tests/{run_id:path}", responses=refusals(404, 409, 422, 502))
def read_test(
    parts: PartsDep, caller: CallerDep, cloud: CloudName, run_id: Annotated[str, Path(max_length=250)]
) -> TestShown:
    """What the cloud answered, if it has by now."""
    return test_so_far(parts, caller, cloud, run_id)


@router.post("/{cloud}/listings", status_code=status.HTTP_202_ACCEPTED, responses=refusals(404, 409, 422, 502))
def list_cloud(
    parts: PartsDep,
    caller: CallerDep,
    cloud: CloudName,
    request: Request,
    response: Response,
    wanted: ListingWanted,
) -> ListingShown:
    """Ask the cloud for its images and instance types. Where the answer will be is in `Location`."""
    started = start_listing(parts, caller, cloud, wanted.search)
    response.headers["Location"] = address(request, "clouds", cloud, "listings", started.run_id)
    return started


@router.get("/{cloud}/listings/{run_id:path}", responses=refusals(404, 409, 422, 502))
def read_listing(
    parts: PartsDep, caller: CallerDep, cloud: CloudName, run_id: Annotated[str, Path(max_length=250)]
) -> ListingShown:
    """What the cloud has, if it has answered by now."""
    return listing_so_far(parts, caller, cloud, run_id)


def start_listing(parts: Parts, caller: Caller, cloud: str, search: str) -> ListingShown:
    """The cloud's list, which is only just asked for."""
    _the_cloud(parts, caller, cloud)
    conf = {"cloud": cloud, "search": search}
    return _listing(parts, caller, runs.start(parts.host, caller, LIST_DAG_ID, conf, note=f"asked by {caller.name}"))


def listing_so_far(parts: Parts, caller: Caller, cloud: str, run_id: str) -> ListingShown:
    """The cloud's list as it is now."""
    _the_cloud(parts, caller, cloud)
    run = runs.find(parts.host, caller, LIST_DAG_ID, run_id)
    if run is None:
        raise not_found(f"listing {run_id[:80]} of {cloud}")
    return _listing(parts, caller, run)


def clouds_page(parts: Parts, caller: Caller, paging: Paging) -> Listed[CloudShown]:
    """A part of the clouds, by name."""
    require_clouds(parts, caller)
    known = parts.shelf.clouds().clouds
    page = sorted(known)[paging.offset : paging.offset + paging.limit]
    return Listed(items=[_shown(parts, caller, name, known[name]) for name in page], total=len(known))


def start_test(parts: Parts, caller: Caller, cloud: str) -> TestShown:
    """The test of the cloud, which has just begun."""
    _the_cloud(parts, caller, cloud)
    run = runs.start(parts.host, caller, DAG_ID, {"cloud": cloud}, note=f"asked by {caller.name}")
    return _test(parts, caller, run)


def test_so_far(parts: Parts, caller: Caller, cloud: str, run_id: str) -> TestShown:
    """The test as it is now."""
    _the_cloud(parts, caller, cloud)
    run = runs.find(parts.host, caller, DAG_ID, run_id)
    if run is None:
        raise not_found(f"test {run_id[:80]} of {cloud}")
    return _test(parts, caller, run)


def _the_cloud(parts: Parts, caller: Caller, name: str) -> CloudSettings:
    require_clouds(parts, caller)
    found = parts.shelf.clouds().clouds.get(name) if NAME_SHAPE.fullmatch(name) else None
    if found is None:
        raise not_found(f"cloud {name[:80]} in include/clouds.yaml")
    return found


def _shown(parts: Parts, caller: Caller, name: str, about: CloudSettings) -> CloudShown:
    known = {key: value for key, value in about.driver_settings().items() if value not in (None, "")}
    endpoints = [str(known[key]) for key in ("auth_url", "endpoint_url", "factory") if key in known]
    return CloudShown(
        name=name,
        type=about.type,
        endpoint=endpoints[0] if endpoints else "",
        pool=about.pool or "",
        asks_password=about.asks_password,
        connection=parts.host.has_connection(caller, name),
        settings=known,
    )


def _test(parts: Parts, caller: Caller, run: runs.Run) -> TestShown:
    told, page, problem = _told(parts, caller, run)
    return TestShown(
        run_id=run.run_id,
        ended=run.ended,
        reachable=not problem if run.ended else None,
        identity=str(told.get("identity", "")),
        problem=problem,
        page=page,
    )


def _listing(parts: Parts, caller: Caller, run: runs.Run) -> ListingShown:
    told, page, problem = _told(parts, caller, run)
    return ListingShown(
        run_id=run.run_id,
        ended=run.ended,
        images=told.get("images", []),
        instance_types=told.get("instance_types", []),
        problem=problem,
        page=page,
    )


def _told(parts: Parts, caller: Caller, run: runs.Run) -> tuple[dict[str, Any], str, str]:
    """What the run's task returned, the run's page, and what went wrong."""
    told = (runs.result(parts.host, caller, run, TASK_ID) or {}) if run.ended else {}
    page = runs.page_of(parts.host, run.dag_id, run.run_id)
    silent = f"the run itself failed; see its log: {page}" if run.ended and not told else ""
    return told, page, str(told.get("problem", silent))
