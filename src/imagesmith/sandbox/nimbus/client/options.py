"""The command line: options as the real cloud client has them. Of one that is given twice the first counts."""

from dataclasses import dataclass, field

from imagesmith.sandbox.nimbus.client.problems import ParameterProblem

ACTIONS = ("run", "status", "save", "terminate", "list")
_FLAGS = {*ACTIONS, "common", "nospinner", "debug", "help"}
_VALUES = {
    "conf",
    "epr-file",
    "factory",
    "factory-id",
    "handle",
    "history-dir",
    "hours",
    "name",
    "newname",
    "poll-interval",
    "ssh-pubkey",
}


@dataclass
class Options:
    """What was given: flags by name, and values by the name of their option."""

    flags: set[str] = field(default_factory=set)
    values: dict[str, str] = field(default_factory=dict)

    @property
    def action(self) -> str:
        """The one thing to do; raises ParameterProblem."""
        found = [name for name in ACTIONS if name in self.flags]
        if not found:
            raise ParameterProblem("Give at least one action.")
        if len(found) > 1:
            raise ParameterProblem(f"You cannot give --{found[0]} and --{found[1]} in the same invocation")
        return found[0]

    def need(self, name: str, action: str) -> str:
        """The value of an option that the action can't do without; raises ParameterProblem."""
        if not self.values.get(name):
            raise ParameterProblem(f"{action} requires '{name}'")
        return self.values[name]


def parse(arguments: list[str]) -> Options:
    """The options; raises ParameterProblem for what the sandbox's cloud client does not know."""
    options = Options()
    rest = iter(arguments)
    for word in rest:
        name, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or name not in _FLAGS | _VALUES:
            raise ParameterProblem(f"Unrecognized option: {word}")
        if name in _FLAGS:
            options.flags.add(name)
            continue
        given = value if equals else next(rest, None)
        if given is None or given.startswith("--"):
            raise ParameterProblem(f"Missing argument for option:{name}")
        options.values.setdefault(name, given)
    return options
