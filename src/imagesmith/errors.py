"""The tree of errors: the type says who must act, the message what failed, on which thing, and the cure.

ImagesmithError
├── DefinitionError          the author of a generator or of clouds.yaml
│   ├── NameTaken            an image of that name exists; nothing is ever overwritten
│   └── SourceImageNotFound
├── ScriptError              the author of the customization script
├── VerificationFailed       the author of the generator: the image is not what was built, or holds what must not stay
├── InventoryUnreadable      the author of the generator: the instance does not tell what is inside
├── CloudError               the owner of the cloud's account
│   ├── CredentialsRefused
│   ├── QuotaExceeded
│   ├── LaunchRefused        the cloud would not start the instance
│   ├── InstanceLost         the instance failed, stopped or went away under the build
│   ├── SaveFailed           the cloud gave up on the image
│   ├── SaveInterrupted      nobody: the save was cut off before the cloud began it, and is asked for again
│   └── Unreachable          no SSH within the limit
├── HostKeyMismatch          somebody between us and the instance; never tried again
├── TimeLimitExceeded        the author of the generator: a step's or the build's limit
├── BuildStateError          whoever cleared or started tasks by hand
├── QuestionRefused          whoever asked: an image or a package that is not named well enough
├── BuildFailed              whoever acts on the reasons in its message, one for each target
├── ProofRefused             whoever was about to rely on a file: it does not prove what it should
├── SetupError               whoever runs this deployment: a secret, a database, a tool is missing
│   └── ConnectionMissing
└── Transient                nobody: the same call may succeed later
    ├── CloudBusy            throttled, or an error of the cloud's own
    ├── ConnectionLost       the connection to the instance broke
    └── Interrupted          the process was asked to end
"""

from __future__ import annotations


class ImagesmithError(Exception):
    """Everything this project raises on purpose."""


class DefinitionError(ImagesmithError):
    """A generator or a cloud is not described well enough to build."""


class NameTaken(DefinitionError):
    """An image of the wanted name is there already."""


class SourceImageNotFound(DefinitionError):
    """The source image is not on the cloud, or not for this account."""


class ScriptError(ImagesmithError):
    """The customization script ended in a way that is not a success."""


class VerificationFailed(ImagesmithError):
    """The saved image differs from what was customized, fails its tests, or holds something of the build."""


class InventoryUnreadable(ImagesmithError):
    """What an instance printed is not its inventory."""


class CloudError(ImagesmithError):
    """The cloud refused; its own reason is in the message."""


class CredentialsRefused(CloudError):
    """The cloud does not accept the credentials of the connection."""


class QuotaExceeded(CloudError):
    """The account's limits leave no room for the build."""


class LaunchRefused(CloudError):
    """The cloud would not start the instance."""


class InstanceLost(CloudError):
    """The instance failed, stopped or went away under the build."""


class SaveFailed(CloudError):
    """The cloud gave up on the image."""


class SaveInterrupted(CloudError):
    """The save was cut off before the cloud began it: it has to be asked for again."""


class Unreachable(CloudError):
    """SSH on the instance did not answer within the limit."""


class HostKeyMismatch(ImagesmithError):
    """The machine that answered has another host key than the one it was given."""


class TimeLimitExceeded(ImagesmithError):
    """A step, or the whole build, used up its time."""


class BuildStateError(ImagesmithError):
    """The build's record does not allow this step now."""


class ProofRefused(ImagesmithError):
    """A signed statement that does not hold: changed, of another key, or not about what was asked."""


class SetupError(ImagesmithError):
    """The deployment lacks something it needs."""


class ConnectionMissing(SetupError):
    """A cloud has no Airflow connection of its name."""


class Transient(ImagesmithError):
    """The same call may succeed later; steps try again inside their time limit."""


class CloudBusy(Transient):
    """The cloud asks for patience, or failed on its own side."""


class ConnectionLost(Transient):
    """The connection to the instance broke; what runs there goes on."""


class Interrupted(Transient):
    """The process was asked to end; the step goes on in the next one."""


class QuestionRefused(ImagesmithError):
    """What was asked about is not named well enough, or is not there."""


class BuildFailed(ImagesmithError):
    """A required target of a build did not get to its image."""


def revive(name: str, message: str) -> ImagesmithError:
    """The error of that class name, as a trigger hands it to its operator; ImagesmithError for an unknown name."""
    kinds = {kind.__name__: kind for kind in _tree(ImagesmithError)}
    return kinds.get(name, ImagesmithError)(message)


def _tree(kind: type[ImagesmithError]) -> list[type[ImagesmithError]]:
    return [kind, *(below for child in kind.__subclasses__() for below in _tree(child))]
