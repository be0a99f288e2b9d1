"""Whether a build's images are the same, and the same build once more."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from imagesmith.catalog.records import BuildRecord
from imagesmith.consistency import Comparison, sentence
from imagesmith.plan import Plan
from imagesmith.rebuilding import conf_of
from imagesmith.steps.begin_again import refuse_impossible
from imagesmith.web import runs
from imagesmith.web.host import Caller
from imagesmith.web.parts import Parts
from imagesmith.web.problems import Problem, refused_field


@dataclass(frozen=True)
class Consistency:
    """The verdict on a build's images, in words too; "" and None where there are not two to compare."""

    verdict: str
    told: str
    comparison: Comparison | None


def consistency_of(build: BuildRecord) -> Consistency:
    """What was found when the build ended."""
    if build.comparison is None:
        return Consistency(build.verdict, "", None)
    comparison = Comparison.model_validate(build.comparison)
    return Consistency(build.verdict, sentence(comparison), comparison)


def rebuild(parts: Parts, caller: Caller, build: BuildRecord, wanted: runs.Wanted, *, note: str = "") -> runs.Run:
    """The run of the same build once more; of `wanted` secret parameters and passwords count, which nobody stored."""
    plan = Plan.model_validate(build.plan)
    if not plan.scripts:
        raise Problem(
            409,
            f"{build.build_id}: was read back from its images' tags, so its script is not known; start a new build "
            f"of {build.generator} instead",
        )
    for name in wanted.parameters:
        if name not in plan.secrets:
            cure = "leave it out: all but secret parameters are those of the old build"
            raise refused_field(422, f"parameters.{name[:80]}", "is no secret parameter of this build", cure)
    for name in plan.secrets:
        if not wanted.parameters.get(name):
            message = "was a secret parameter of this build, and its value is stored nowhere"
            raise refused_field(422, f"parameters.{name}", message, "give it again")
    given = replace(wanted, clouds=None).conf()
    return runs.start(parts.host, caller, build.dag_id, {**_same(parts, build, plan), **given}, note=note)


def _same(parts: Parts, build: BuildRecord, plan: Plan) -> Mapping[str, Any]:
    """The conf for the same inputs; raises what `begin` would refuse, as far as it is known before."""
    try:
        generator = parts.shelf.entry(build.generator).generator
    except Problem as problem:
        raise Problem(
            409,
            f"include/generators/{build.generator}.yaml is gone, and tasks need the generator's DAG; put it back with "
            f"the clouds {', '.join(plan.targets)}",
        ) from problem
    if generator is not None:  # else Airflow may still have the DAG of before the mistake
        refuse_impossible(build, generator, parts.shelf.clouds().clouds, catalog=parts.catalog)
    return conf_of(plan, generator)
