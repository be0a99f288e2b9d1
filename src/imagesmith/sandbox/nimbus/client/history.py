"""The history directory: `vm-001`, `vm-002` … each with the workspace's address (`vw-epr.xml`) and its metadata.

`vw-epr.xml` is the endpoint reference that Globus's toolkit writes; the workspace's number is its `WorkspaceKey`.
"""

import re
from pathlib import Path
from xml.sax.saxutils import escape

from imagesmith.sandbox.nimbus.client.problems import ExecutionProblem, ParameterProblem

EPR = "vw-epr.xml"
METADATA = "metadata.xml"
_PREFIX = "vm-"
_KEY = re.compile(r"<(?:\w+:)?WorkspaceKey\b[^>]*>\s*(\d+)\s*<")
_LOCATION = re.compile(r"<(?:\w+:)?location>([^<]*)<")
_ADDRESSING = "http://schemas.xmlsoap.org/ws/2004/03/addressing"
_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_WORKSPACE = "http://www.globus.org/2008/06/workspace"
_EPR_TEXT = f"""<WORKSPACE_EPR xsi:type="ns1:EndpointReferenceType" xmlns:xsi="{_XSI}" xmlns:ns1="{_ADDRESSING}">
 <ns1:Address xsi:type="ns1:AttributedURI">https://%s/wsrf/services/WorkspaceService</ns1:Address>
 <ns1:ReferenceProperties xsi:type="ns1:ReferencePropertiesType">
  <ns2:WorkspaceKey xmlns:ns2="{_WORKSPACE}">%s</ns2:WorkspaceKey>
 </ns1:ReferenceProperties>
 <ns1:ReferenceParameters xsi:type="ns1:ReferenceParametersType"/>
</WORKSPACE_EPR>
"""
_METADATA_TEXT = f"""<?xml version="1.0" encoding="UTF-8"?>
<VirtualWorkspace xmlns="{_WORKSPACE}/metadata" xmlns:def="{_WORKSPACE}/metadata/definition">
 <name>%s</name>
 <def:definition><def:diskCollection><def:rootVBD>
  <def:location>%s</def:location><def:mountAs>%s</def:mountAs>
 </def:rootVBD></def:diskCollection></def:definition>
</VirtualWorkspace>
"""


class History:
    """One history directory; a handle is the name of a directory in it."""

    def __init__(self, directory: str) -> None:
        self._directory = Path(directory)

    def create(self) -> None:
        """It is there, as long as its parent is; raises ParameterProblem."""
        try:
            self._directory.mkdir(exist_ok=True)
        except OSError:
            text = f"History directory ('{self._directory}') did not exist. Tried to create it but that failed."
            raise ParameterProblem(text) from None

    def new_handle(self, *, location: str, mount_as: str) -> str:
        """The next free handle, its directory made; two clients at once never get the same."""
        while True:
            handle = f"{_PREFIX}{1 + max(self._numbers(), default=0):03}"
            try:
                (self._directory / handle).mkdir()
            except FileExistsError:
                continue
            text = _METADATA_TEXT % (f"https://imagesmith/{handle}", escape(location), mount_as)
            (self._directory / handle / METADATA).write_text(text)
            return handle

    def epr_path(self, handle: str) -> Path:
        """Where the workspace's address lies."""
        return (self._directory / handle / EPR).absolute()

    def note(self, handle: str, key: str, *, factory: str) -> None:
        """Later calls find the workspace by its handle."""
        self.epr_path(handle).write_text(_EPR_TEXT % (factory, key))

    def key(self, handle: str) -> str:
        """The workspace's number; raises ParameterProblem if the handle has none."""
        directory = self._directory / handle
        if not directory.is_dir():
            raise ParameterProblem(f"History directory does not exist: '{directory}'")
        if not (directory / EPR).is_file():
            text = f"Cannot find or read any instance or cluster EPRs under '{directory}'"
            raise ParameterProblem(f"{text}\nPerhaps this launch did not succeed?")
        return key_of(directory / EPR)

    def handles_of(self, key: str) -> list[str]:
        """The handles that stand for the workspace."""
        found = sorted(self._directory.glob(f"{_PREFIX}*/{EPR}"))
        return [path.parent.name for path in found if key_of(path) == key]

    def image(self, handle: str) -> str:
        """The name of the image that the workspace was made from."""
        path = self._directory / handle / METADATA
        found = _LOCATION.search(path.read_text()) if path.is_file() else None
        return found[1].rsplit("/", 1)[-1] if found else "none"

    def _numbers(self) -> list[int]:
        names = (path.name.removeprefix(_PREFIX) for path in self._directory.glob(f"{_PREFIX}*"))
        return [int(name) for name in names if name.isdigit()]


def key_of(path: Path) -> str:
    """The workspace's number in an endpoint reference; raises a problem if there is none."""
    try:
        found = _KEY.search(path.read_text())
    except OSError:
        raise ParameterProblem(f"Cannot find or read '{path}'") from None
    if found is None:
        raise ExecutionProblem(f"Problem reading EPR in '{path}'")
    return found[1]
