"""One Nimbus site of the sandbox as its users see it: through its cloud client, and past it to its image store."""

from __future__ import annotations

import base64
import hashlib
import hmac
import subprocess
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import requests

from imagesmith.sandbox.nimbus import sites

FAST = {"boot_s": 0.02, "script_s": 0.02, "stop_s": 0.02, "image_s": 0.02, "propagate_s": 0.01}
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDmb8A2uyJ2cvoqzpVa3lOnBpHLExB9f9OXyqXwRkjXQ unit"
SAVED = "The image has successfully been transferred to your repository directory."
UNKNOWN = "Problem: This workspace is unknown to the service (likely because it was terminated)."
BASE = "VMS/common/simulated-1"


@dataclass
class Done:
    """What an invocation of the cloud client has left."""

    exit_code: int
    out: str
    err: str

    def after(self, word: str) -> str:
        """What stands behind a word on standard output, to the end of the line."""
        return next(line.partition(word)[2].strip() for line in self.out.splitlines() if word in line)


class User:
    """One user with a configuration file and a history directory of a build's own."""

    def __init__(self, endpoint: str, site: str, directory: Path, *, name: str = "imagesmith") -> None:
        self.endpoint = endpoint
        self.site = site
        self.facts = sites.SITES[site]
        self.identity = sites.User(name, site)
        self._directory = directory / f"{name}-{uuid.uuid4().hex[:8]}"
        self._directory.mkdir()
        shown = self.shown()
        self.client = shown["cloud_client"]
        self.factory, self.repository = shown["factory"], shown["repository"]
        told = next(each for each in shown["users"] if each["name"] == name)
        self.conf = {
            "vws.factory": self.factory,
            "vws.factory.identity": shown["factory_identity"],
            "vws.repository": self.repository,
            "vws.repository.type": "cumulus",
            "vws.repository.s3basekey": "VMS",
            "vws.repository.s3bucket": "Repo",
            "vws.repository.s3https": "false",
            "vws.repository.s3acceptallcerts": "false",
            "vws.repository.s3id": told["access_key"],
            "vws.repository.s3key": told["secret_key"],
            "vws.repository.canonicalid": told["canonical_id"],
            "vws.metadata.mountAs": shown["mount_as"],
            "vws.memory.request": "512",
            "vws.poll.interval": "20",
            "nimbus.cert": told["certificate"],
            "nimbus.key": told["private_key"],
        }
        (self._directory / "key.pub").write_text(PUBLIC_KEY + "\n")

    @property
    def history(self) -> Path:
        """The history directory."""
        return self._directory / "history"

    def key(self, name: str) -> str:
        """The key of the user's own image."""
        return f"VMS/{self.identity.canonical_id}/{name}"

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """The cloud client, at work."""
        conf = self._directory / "cloud.conf"
        conf.write_text("".join(f"{name}={value}\n" for name, value in self.conf.items()))
        argv = [self.client, "--conf", str(conf), "--history-dir", str(self.history), *arguments]
        pipe = subprocess.PIPE
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True)

    def call(self, *arguments: str) -> Done:
        """The cloud client, when it has ended."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=30)
        return Done(process.returncode, out, err)

    def run(self, name: str = "simulated-1", *, hours: str = "1") -> Done:
        """What a launch says."""
        return self.call(*self.run_arguments(name, hours=hours))

    def run_arguments(self, name: str = "simulated-1", *, hours: str = "1") -> list[str]:
        """How a launch is asked for."""
        return ["--run", "--hours", hours, "--name", name, "--ssh-pubkey", str(self._directory / "key.pub")]

    def running(self, name: str = "simulated-1") -> str:
        """The handle of a workspace that runs."""
        done = self.run(name)
        assert done.exit_code == 0, done
        return done.after("Running: ").strip("'")

    def save(self, handle: str, name: str, *more: str) -> Done:
        """What a save says."""
        return self.call("--save", "--handle", handle, "--newname", name, *more)

    def ask(self, method: str, path: str, *, acl: bool = False, **headers: str) -> requests.Response:
        """The image store's answer to a request that is signed by hand; path without its query."""
        sent = {"Date": formatdate(usegmt=True), **{name.replace("_", "-"): value for name, value in headers.items()}}
        query = "?acl" if acl else ""
        bare, _, rest = path.partition("?")
        amz = "".join(f"{name.lower()}:{sent[name]}\n" for name in sorted(sent) if name.lower().startswith("x-amz-"))
        text = f"{method}\n\n\n{sent['Date']}\n{amz}{bare}{query}"
        digest = hmac.new(self.conf["vws.repository.s3key"].encode(), text.encode(), hashlib.sha1).digest()
        sent["Authorization"] = f"AWS {self.conf['vws.repository.s3id']}:{base64.b64encode(digest).decode()}"
        url = f"http://{self.repository}{bare}{query or ('?' + rest if rest else '')}"
        return requests.request(method, url, headers=sent, timeout=10)

    def head(self, key: str) -> requests.Response:
        """What the image store says of an object."""
        return self.ask("HEAD", f"/Repo/{key}")

    def keys(self, prefix: str) -> list[str]:
        """The keys below the prefix."""
        answer = self.ask("GET", f"/Repo?prefix={prefix}")
        assert answer.status_code == 200, answer.text
        return [str(each.text) for each in ElementTree.fromstring(answer.text).iter() if each.tag.endswith("}Key")]

    def control(self, path: str, **body: Any) -> Any:
        """What the sandbox's own door says."""
        return requests.post(f"{self.endpoint}/_sandbox{path}", json=body, timeout=10).json()

    def set(self, **settings: Any) -> Any:
        """Changes the site's settings."""
        return self.control("/settings", account=self.site, **settings)

    def plan(self, action: str, kind: str, **more: Any) -> Any:
        """Lets something go wrong."""
        return self.set(fault={"action": action, "kind": kind, **more})

    def reset(self) -> User:
        """An empty site with fast machines."""
        self.control("/reset", account=self.site)
        self.set(**FAST)
        return self

    def told(self, path: str) -> Any:
        """What the sandbox's own door answers to a GET."""
        return requests.get(f"{self.endpoint}/_sandbox{path}", timeout=10).json()

    def shown(self) -> Any:
        """Everything on the site."""
        return self.told("/list")["accounts"][self.site]

    def workspaces(self) -> list[Any]:
        """The site's workspaces, of all users."""
        found: list[Any] = self.shown()["workspaces"]
        return found


def eventually(look: Callable[[], Any], limit_s: float = 10.0) -> Any:
    """The first true answer."""
    deadline = time.monotonic() + limit_s
    while not (found := look()):
        assert time.monotonic() < deadline, "never"
        time.sleep(0.02)
    return found
