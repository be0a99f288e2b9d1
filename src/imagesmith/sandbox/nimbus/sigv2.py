"""AWS's request signature, version 2 of the S3 kind: HMAC-SHA1 over the unencoded path.

Follows the public description ("Signing and authenticating REST requests (AWS signature version 2)"). The cloud client
makes it and the image store checks it, so both take it from here.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping

SIGNED_QUERY = "acl"  # the one sub-resource that the image store has


def authorization(method: str, path: str, *, headers: Mapping[str, str], access_key: str, secret_key: str) -> str:
    """The Authorization header. `path` is not encoded and ends in `?acl` if that is asked for; names are lower-case."""
    lines = [method, headers.get("content-md5", ""), headers.get("content-type", "")]
    lines.append("" if "x-amz-date" in headers else headers.get("date", ""))
    lines += [f"{name}:{headers[name].strip()}" for name in sorted(headers) if name.startswith("x-amz-")]
    text = "\n".join([*lines, path])
    digest = hmac.new(secret_key.encode(), text.encode(), hashlib.sha1).digest()
    return f"AWS {access_key}:{base64.b64encode(digest).decode()}"
