"""An answer of the image store that is an error."""


class Problem(Exception):
    """The answer is an error with S3's code."""

    def __init__(self, status: int, code: str, message: str = "") -> None:
        super().__init__(message or code)
        self.status = status
        self.code = code
