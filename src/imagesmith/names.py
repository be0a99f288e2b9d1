"""What generators and clouds may be called: legal as a DAG, a tag, a file's name and a word of a command line."""

from __future__ import annotations

import re

NAME_SHAPE = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
NAME_CURE = "use a-z, 0-9 and hyphens, at most 63, starting with a letter or digit"
