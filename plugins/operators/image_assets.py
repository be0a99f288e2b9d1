"""Airflow's assets: a generator's images on a cloud are one, a generator's images on all clouds an alias of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, AssetAlias, AssetAny, AssetOrTimeSchedule, CronTriggerTimetable

from imagesmith.steps.announcing import News

if TYPE_CHECKING:
    from imagesmith.generator import Generator


def image_asset(generator: str, cloud: str) -> Asset:
    """The generator's images on that cloud; the name is given, as Airflow would change a URI it took for one."""
    return Asset(name=f"imagesmith:{generator}:{cloud}", uri=f"x-imagesmith://{generator}/{cloud}")


def images_alias(generator: str) -> AssetAlias:
    """What `publish` has as its outlet: an event only for clouds with a new image, where assets get one each time."""
    return AssetAlias(name=f"imagesmith:{generator}")


def announce(events: Any, news: News) -> None:
    """One event of the image's asset, with all that is told of it."""
    events[images_alias(news.generator)].add(image_asset(news.generator, news.cloud), extra=news.about)


def build_schedule(generator: Generator) -> Any:
    """What starts builds: time, new images of the parents on any cloud, both, or nothing.

    Events of one run of a parent come together, so they start one run here.
    """
    if generator.rebuild_when is None:
        return generator.schedule
    parents = AssetAny(*(image_asset(parent, cloud) for cloud, parent in sorted(generator.parents.items())))
    if generator.schedule is None:
        return parents
    return AssetOrTimeSchedule(timetable=CronTriggerTimetable(generator.schedule, timezone="UTC"), assets=parents)
