"""The entry point: exit codes are 0, 1 for bad input, 2 for a problem on the way, 3 for anything else."""

import sys

from imagesmith.sandbox.nimbus.client import configuration, options
from imagesmith.sandbox.nimbus.client.actions import CloudClient
from imagesmith.sandbox.nimbus.client.printing import Printer
from imagesmith.sandbox.nimbus.client.problems import ParameterProblem, Problem

_HELP = """Nimbus cloud client of the sandbox

  --conf FILE --history-dir DIR, with one of
  --run --name IMAGE --hours HOURS [--ssh-pubkey FILE]
  --status [--handle HANDLE]
  --save --handle HANDLE [--newname NAME] [--common]
  --terminate --handle HANDLE
  --list
"""


def main(arguments: list[str]) -> int:
    """The exit code."""
    printer = Printer()
    try:
        given = options.parse(arguments)
        if "help" in given.flags:
            printer.say(_HELP)
            return 0
        given.action  # noqa: B018 - a wrong one is told before the configuration is read
        CloudClient(given, configuration.read(given.need("conf", "This action")), printer).act()
    except Problem as problem:
        hint = "\nSee help (-h)." if isinstance(problem, ParameterProblem) else ""
        printer.complain(f"Problem: {problem}{hint}")
        return problem.exit_code
    except Exception as error:  # noqa: BLE001 - as the real one ends, and not with Python's own exit code
        printer.complain(f"Problem: {type(error).__name__}: {error}")
        return Problem.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
