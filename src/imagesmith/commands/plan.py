"""`imagesmith plan`: what a build would do, and whether each cloud would let it. Launches nothing."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from imagesmith import settings
from imagesmith.commands.choice import add_choice, given_parameters, local_plan
from imagesmith.durations import format_duration
from imagesmith.errors import DefinitionError, SetupError

if TYPE_CHECKING:
    from imagesmith.plan import Plan, PlannedTarget
    from imagesmith.steps.preflight import Answer

DAG_ID, TASK_ID = "imagesmith_plan", "ask"
LIMIT_S = 330.0  # the task has five minutes
INDENT = "    "


def add_parser(subparsers: Any) -> None:
    """Adds the command to the parser of `imagesmith`."""
    parser = subparsers.add_parser("plan", help="show what a build would do and ask each cloud, launching nothing")
    add_choice(parser)
    parser.add_argument("--offline", action="store_true", help="do not ask the clouds")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """0 if no cloud has an objection (or none was to be asked), else 1."""
    plan = local_plan(args.name, given_parameters(args.param), clouds=args.cloud)
    if plan is None:
        where = settings.include_dir() / "generators" / f"{args.name}.yaml"
        raise DefinitionError(f"{args.name}: there is no file {where}; `imagesmith validate` reads all there are")
    if not args.json:
        print("\n".join(described(plan)), flush=True)
    answers: list[Answer] | None = None
    not_asked = "not wanted (--offline)" if args.offline else ""
    if not args.offline:
        try:
            answers = _asked(plan)
        except SetupError as error:
            not_asked = str(error)
    if args.json:
        print(json.dumps({"plan": _as_json(plan), "answers": answers, "not_asked": not_asked}, indent=2))
    else:
        print("\n".join(_answers_shown(answers, not_asked)))
    return 0 if args.offline or (answers and not any(answer["problems"] for answer in answers)) else 1


def described(plan: Plan) -> list[str]:
    """The plan for people: what runs, with what, and what each cloud is asked for."""
    lines = [f"{plan.generator} {plan.version}" + (f": {plan.description}" if plan.description else "")]
    lines += [
        f"  script      {script.name}  {len(script.text.splitlines())} lines, sha256 {script.sha256}"
        for script in plan.scripts
    ]
    lines += [f"  file        {file.name} → {file.path}  sha256 {file.sha256}" for file in plan.files]
    lines += [f"  parameter   {name} = {value!r}" for name, value in plan.parameters.items()]
    lines += [f"  parameter   {name} is secret and asked when a build starts" for name in plan.secrets]
    lines.append(f"  time limit  {format_duration(plan.time_limit_s)}")
    for target in plan.targets.values():
        lines += _target_described(target, build_id=plan.build_id)
    return lines


def _target_described(target: PlannedTarget, *, build_id: str) -> list[str]:
    optional = "" if target.required else ", not required"
    disk = f", disk {target.disk_gib} GiB" if target.disk_gib else ""
    example = " (with the build's own id)" if build_id in target.image_name else ""
    limits = ", ".join(f"{step} {format_duration(limit_s)}" for step, limit_s in target.time_limits_s.items())
    rows = {
        "source image": str(target.source_image),
        "instance": f"{target.instance_type or 'the default type'}{disk}, SSH as {target.ssh_username}",
        "new image": f"{target.image_name}{example}{', public' if target.public else ''}",
        "tags": ", ".join(f"{key}={value}" for key, value in target.tags.items()),
        "settings": ", ".join(f"{key}={value}" for key, value in target.settings.items() if value not in (None, "")),
        "limits": limits,
    }
    shown = [f"{INDENT}{title:<13} {text}" for title, text in rows.items() if text]
    return [f"  {target.cloud} (type {target.cloud_type}{optional})", *shown]


def _asked(plan: Plan) -> list[Answer]:
    """What each cloud says, through Airflow, where the credentials are; raises SetupError when it is not up."""
    from imagesmith.commands.asking import result_of

    conf = {"generator": plan.generator, "clouds": list(plan.targets), "parameters": plan.parameters}
    result = result_of(DAG_ID, TASK_ID, conf, limit_s=LIMIT_S, note=f"imagesmith plan {plan.generator}")
    if result["version"] != plan.version:
        message = f"Airflow has version {result['version']} of {plan.generator}, which the clouds were asked about"
        print(f"{message}; give its workers the same include/, or restart it", file=sys.stderr)
    answers: list[Answer] = result["answers"]
    return answers


def _answers_shown(answers: list[Answer] | None, not_asked: str) -> list[str]:
    if answers is None:
        return [f"the clouds were not asked: {not_asked}"]
    lines = []
    for answer in answers:
        lines.append(f"  {answer['cloud']} answers: {'no' if answer['problems'] else 'yes'}")
        rows = {
            "we are": answer["identity"],
            "source image": f"{answer['source_image_id']} {answer['source_image_name']}".strip(),
        }
        lines += [f"{INDENT}{title:<13} {text}" for title, text in rows.items() if text]
        lines += [f"{INDENT}problem       {problem}" for problem in answer["problems"]]
    return [*lines, "nothing was launched"]


def _as_json(plan: Plan) -> dict[str, Any]:
    """The plan without the texts of scripts and files, which their hashes stand for."""
    left_out: Any = {"build_id": True, "scripts": {"__all__": {"text"}}, "files": {"__all__": {"content_base64"}}}
    return plan.model_dump(mode="json", exclude=left_out)
