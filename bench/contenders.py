"""What is compared: for each way to build images, the processes that build so many at once."""

import itertools
import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from bench import packer
from bench.children import Command
from bench.clouds import CLOUDS, Cloud
from bench.stage import Stage, generator_name
from imagesmith import settings
from imagesmith.sandbox import config

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Case:
    """So many targets at once on one cloud, on machines of one kind, `real` or `simulated`."""

    cloud_key: str
    machines: str
    targets: int

    @property
    def cloud(self) -> Cloud:
        """The cloud that is built on."""
        return CLOUDS[self.cloud_key]

    @property
    def generator(self) -> str:
        """The generator that builds all targets."""
        return generator_name(self.cloud_key, self.machines, self.targets)

    @property
    def single_generator(self) -> str:
        """The generator that builds one target."""
        return generator_name(self.cloud_key, self.machines, 1)


class Contender(ABC):
    """One way to build; `title` is its line in the tables."""

    key: ClassVar[str]
    title: ClassVar[str]
    uses_airflow: ClassVar[bool] = False

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    @abstractmethod
    def commands(self, stage: Stage, case: Case) -> list[Command]:
        """The processes that together do the case."""

    def takes_part(self, case: Case) -> bool:
        """False where it has nothing to show that another case does not."""
        return True

    def _name(self) -> str:
        return f"{self.key}-{next(self._numbers)}"

    def _command(self, stage: Stage, name: str, argv: Sequence[str], more: Mapping[str, str]) -> Command:
        log = stage.scratch / f"{name}.log"
        return Command(argv, {**stage.environment, **more}, stage.scratch, log)


class ByHand(Contender):
    """The hand-written sequence, a process for each target."""

    key = "by-hand"
    title = "by hand: the cloud's SDK, ssh, tight polling"

    def commands(self, stage: Stage, case: Case) -> list[Command]:
        """One process for each target."""
        return [self._one(stage, case, name=self._name()) for _ in range(case.targets)]

    def _one(self, stage: Stage, case: Case, *, name: str) -> Command:
        argv = [sys.executable, "-m", *case.cloud.by_hand, "--script", str(stage.script)]
        argv += ["--source-name", case.cloud.sources[case.machines]]
        argv += ["--user", config.DEFAULT_USER, "--ssh-port", str(stage.ssh_port), name]
        found = {"PYTHONPATH": str(settings.PROJECT_ROOT)}  # `bench` is no part of what is installed
        return self._command(stage, name, argv, {**case.cloud.environment(stage.endpoint), **found})


class ImagesmithBuilds(Contender):
    """A build of one target for each."""

    key = "imagesmith-builds"
    title = "Imagesmith: `imagesmith build --wait`, a build for each"
    uses_airflow = True

    def takes_part(self, case: Case) -> bool:
        """Thirty command lines at once are nobody's way; over REST it is one process."""
        return case.targets <= 6

    def commands(self, stage: Stage, case: Case) -> list[Command]:
        """One `imagesmith build --wait` for each target."""
        return [self._build(stage, case.single_generator) for _ in range(case.targets)]

    def _build(self, stage: Stage, generator: str) -> Command:
        argv = [str(Path(sys.executable).parent / "imagesmith"), "build", generator, "--wait", "--json"]
        return self._command(stage, self._name(), argv, {})


class ImagesmithRest(Contender):
    """A build of one target for each, started over REST by one process."""

    key = "imagesmith-rest"
    title = "Imagesmith: a build for each, started over REST"
    uses_airflow = True

    def takes_part(self, case: Case) -> bool:
        """One target is what the command line shows."""
        return case.targets > 1

    def commands(self, stage: Stage, case: Case) -> list[Command]:
        """One process of over_rest.py."""
        argv = [sys.executable, str(HERE / "over_rest.py"), case.single_generator, str(case.targets)]
        return [self._command(stage, self._name(), argv, {})]


class ImagesmithTargets(ImagesmithBuilds):
    """One build with all targets."""

    key = "imagesmith-targets"
    title = "Imagesmith: one build of a generator with so many targets"

    def takes_part(self, case: Case) -> bool:
        """One target is what the other way shows."""
        return case.targets > 1

    def commands(self, stage: Stage, case: Case) -> list[Command]:
        """One `imagesmith build --wait`."""
        return [self._build(stage, case.generator)]


class Packer(Contender):
    """Packer with all waits tuned, a process for each target."""

    key = "packer-tuned"
    title = "Packer, `AWS_POLL_DELAY_SECONDS=1`"
    variables: ClassVar[Mapping[str, str]] = packer.TUNED

    def takes_part(self, case: Case) -> bool:
        """The variable is one of the amazon-ebs builder."""
        return case.cloud_key == "ec2"

    def commands(self, stage: Stage, case: Case) -> list[Command]:
        """One `packer build` for each target."""
        return [self._one(stage, case, name=self._name()) for _ in range(case.targets)]

    def _one(self, stage: Stage, case: Case, *, name: str) -> Command:
        builder = case.cloud.packer_builder(
            name, machines=case.machines, endpoint=stage.endpoint, ssh_port=stage.ssh_port
        )
        path = stage.scratch / f"{name}.json"
        path.write_text(json.dumps(packer.template(builder, script=str(stage.script))))
        return self._command(stage, name, ["packer", "build", "-color=false", str(path)], self.variables)


class PackerAsShipped(Packer):
    """Packer as it comes."""

    key = "packer"
    title = "Packer as shipped"
    variables = packer.AS_SHIPPED

    def takes_part(self, case: Case) -> bool:
        """Its waits are the same however many there are, so thirty would show nothing new."""
        return case.targets <= 6


def contenders() -> list[Contender]:
    """All that can be had on this machine, in the order they run in a round."""
    ours: list[Contender] = [ByHand(), ImagesmithBuilds(), ImagesmithRest(), ImagesmithTargets()]
    return [*ours, PackerAsShipped(), Packer()] if packer.version() else ours
