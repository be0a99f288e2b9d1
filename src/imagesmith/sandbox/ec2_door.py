"""The EC2 door: one HTTP path that takes EC2's query API (and STS's one question) and answers in XML."""

import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from imagesmith.sandbox import config, ec2_wire, sigv4
from imagesmith.sandbox.cloud import Cloud
from imagesmith.sandbox.ec2_actions import ACTIONS
from imagesmith.sandbox.ec2_wire import EC2Error
from imagesmith.sandbox.sigv4 import SignatureError
from imagesmith.sandbox.unreliable.trouble import Trouble

_STS_VERSION = "2011-06-15"
_UNAUTHORIZED = {"AuthFailure": 401, "MissingAuthenticationToken": 401}


@dataclass
class Fault:
    """An error that the next `count` calls get; of one action if it is named."""

    code: str
    message: str
    status: int
    count: int
    action: str = ""


@dataclass
class EC2Door:
    """Requests of one account."""

    cloud: Cloud
    calls: Counter[str] = field(default_factory=Counter)
    faults: list[Fault] = field(default_factory=list)
    trouble: Trouble = field(default_factory=Trouble)

    async def answer(self, request: Request) -> Response:
        """EC2's or STS's answer to the request."""
        body = await request.body()
        request_id = str(uuid.uuid4())
        text = body.decode(errors="replace") if request.method == "POST" else request.url.query
        sts = False
        try:
            parameters = ec2_wire.nested(text)
            sts = parameters.get("Version") == _STS_VERSION
            self._check_signature(request, body, sts=sts)
            content = self._act(parameters, sts=sts)
        except EC2Error as error:
            failure = ec2_wire.sts_failure if sts else ec2_wire.failure
            return _document(failure(error, request_id=request_id), status=error.status)
        action = str(parameters["Action"])
        answer = ec2_wire.sts_answer if sts else ec2_wire.answer
        return _document(answer(action, content, request_id=request_id))

    def _check_signature(self, request: Request, body: bytes, *, sts: bool) -> None:
        try:
            sigv4.check(
                request.method,
                request.url.path,
                query=request.url.query,
                headers=request.headers,
                body=body,
                secrets={config.ACCESS_KEY_ID: config.SECRET_ACCESS_KEY},
            )
        except SignatureError as error:
            if sts and error.code == "AuthFailure":  # the same thing has another name there
                message = "The security token included in the request is invalid."
                raise EC2Error("InvalidClientTokenId", message, status=403) from error
            raise EC2Error(error.code, str(error), status=_UNAUTHORIZED.get(error.code, 403)) from error

    def _act(self, parameters: Mapping[str, Any], *, sts: bool) -> Mapping[str, Any]:
        name = str(parameters.get("Action", ""))
        if not name:
            raise EC2Error("MissingAction", "The request must contain the parameter Action")
        self.calls[name] += 1
        self._raise_fault(name)
        if sts:
            return _caller_identity(name)
        action = ACTIONS.get(name)
        if action is None:
            raise EC2Error("InvalidAction", f"The action {name} is not valid for this web service.")
        if str(parameters.get("DryRun", "")).lower() == "true":
            message = "Request would have succeeded, but DryRun flag is set."
            raise EC2Error("DryRunOperation", message, status=412)
        return action(self.cloud, parameters)

    def _raise_fault(self, action: str) -> None:
        for fault in self.faults:
            if fault.action in ("", action):
                fault.count -= 1
                if fault.count <= 0:
                    self.faults.remove(fault)
                raise EC2Error(fault.code, fault.message, status=fault.status)


def _caller_identity(action: str) -> dict[str, str]:
    if action != "GetCallerIdentity":
        raise EC2Error("InvalidAction", f"Could not find operation {action} for version {_STS_VERSION}")
    return {"Arn": config.USER_ARN, "UserId": config.ACCESS_KEY_ID, "Account": config.OWNER_ID}


def _document(text: str, *, status: int = 200) -> Response:
    return Response(text, status_code=status, media_type="text/xml")
