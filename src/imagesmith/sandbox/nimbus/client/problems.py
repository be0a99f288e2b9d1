"""Why the cloud client ends: the exit codes of the real one."""


class Problem(Exception):
    """It ends with `Problem: <text>` on standard error."""

    exit_code = 3


class ParameterProblem(Problem):
    """Something given is wrong."""

    exit_code = 1


class ExecutionProblem(Problem):
    """Something went wrong on the way."""

    exit_code = 2
