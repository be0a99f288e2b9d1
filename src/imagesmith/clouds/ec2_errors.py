"""EC2's error codes in our words: who must act, and the cure.

The codes are those of the EC2 API reference, page "Error codes for the Amazon EC2 API", STS's and botocore's.
"""

from __future__ import annotations

from collections.abc import Mapping

from imagesmith.clouds.meanings import (
    BUSY,
    CREDENTIALS,
    DISK,
    NAME,
    PERMISSION,
    QUOTA,
    REFUSED,
    SOURCE,
    TYPE,
    UNREACHED,
    Meaning,
)
from imagesmith.errors import (
    CloudBusy,
    CloudError,
    DefinitionError,
    ImagesmithError,
    InstanceLost,
    LaunchRefused,
    NameTaken,
    SaveFailed,
    SetupError,
)

_NETWORK = Meaning(DefinitionError, "check subnet_id, vpc_id and ssh_cidr of {cloud} in include/clouds.yaml")
_PROFILE = Meaning(DefinitionError, "check instance_profile of {cloud} in include/clouds.yaml")
_CAPACITY = Meaning(LaunchRefused, "choose another instance_type or subnet, or build later")
_LOST = Meaning(InstanceLost, "start the build again")

# What says that there were too many calls.
THROTTLED = (
    "RequestLimitExceeded", "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled",
    "RequestThrottledException", "TooManyRequestsException", "EC2ThrottledException", "SlowDown",
)  # fmt: skip

_MEANINGS: Mapping[Meaning, tuple[str, ...]] = {
    CREDENTIALS: (
        "AuthFailure", "InvalidClientTokenId", "SignatureDoesNotMatch", "UnrecognizedClientException",
        "ExpiredToken", "ExpiredTokenException", "RequestExpired", "InvalidAccessKeyId",
        "MissingAuthenticationToken", "IncompleteSignature", "OptInRequired", "Blocked",
        "PendingVerification",
    ),
    PERMISSION: ("UnauthorizedOperation", "AccessDenied", "AccessDeniedException"),
    BUSY: (
        *THROTTLED, "BandwidthLimitExceeded", "PriorRequestNotComplete", "RequestTimeout",
        "RequestTimeoutException", "InternalError",
        "InternalFailure", "ServerInternal", "ServiceUnavailable", "Unavailable",
    ),
    QUOTA: (
        "InstanceLimitExceeded", "VcpuLimitExceeded", "MaxSpotInstanceCountExceeded", "VolumeLimitExceeded",
        "SnapshotLimitExceeded", "SnapshotCreationPerVolumeRateExceeded", "ConcurrentSnapshotLimitExceeded",
        "PendingSnapshotLimitExceeded", "SecurityGroupLimitExceeded", "RulesPerSecurityGroupLimitExceeded",
        "KeyPairLimitExceeded", "AddressLimitExceeded", "InsufficientFreeAddressesInSubnet",
        "ResourceLimitExceeded", "MaxIOPSLimitExceeded", "TagLimitExceeded", "AMIQuotaExceeded",
    ),
    SOURCE: (
        "InvalidAMIID.NotFound", "InvalidAMIID.Malformed", "InvalidAMIID.Unavailable",
    ),
    TYPE: ("InvalidInstanceType", "InvalidInstanceAttributeValue", "UnsupportedInstanceAttribute"),
    DISK: ("InvalidBlockDeviceMapping", "InvalidBlockDevice", "UnknownVolumeType.Unsupported"),
    _NETWORK: (
        "InvalidSubnetID.NotFound", "InvalidSubnetID.Malformed", "InvalidVpcID.NotFound",
        "InvalidVpcID.Malformed", "InvalidSubnet", "MissingInput", "VPCIdNotSpecified",
        "DefaultVpcDoesNotExist",
        "DefaultSubnetDoesNotExist",
        "InvalidPermission.Malformed", "InvalidGroupId.Malformed",
    ),
    _PROFILE: ("InvalidIamInstanceProfile", "InvalidIamInstanceProfileName.NotFound"),
    NAME: ("InvalidAMIName.Malformed",),
    Meaning(NameTaken, "choose another image_name of {cloud} in the generator; nothing is overwritten"): (
        "InvalidAMIName.Duplicate",
    ),
    _CAPACITY: (
        "InsufficientInstanceCapacity", "InsufficientHostCapacity", "InsufficientCapacity",
        "InsufficientCapacityOnHost", "Unsupported", "UnsupportedOperation",
    ),
    _LOST: (
        "InvalidInstanceID.NotFound", "InvalidInstanceID.Malformed", "InvalidInstanceID",
        "IncorrectInstanceState", "IncorrectState", "IdempotentInstanceTerminated",
    ),
    Meaning(CloudError, "switch off its protection against termination, then the janitor ends it"): (
        "OperationNotPermitted",
    ),
    Meaning(SetupError, "set the clock of this machine right"): (
        "RequestTimeTooSkewed", "RequestInTheFuture",
    ),
    Meaning(SetupError, "check the endpoint URL in the Airflow connection {cloud}; it knows no such call"): (
        "InvalidAction", "NoSuchVersion", "InvalidService",
    ),
}  # fmt: skip

MEANINGS: Mapping[str, Meaning] = {code: meaning for meaning, codes in _MEANINGS.items() for code in codes}

_LAUNCH_VALUE = Meaning(
    DefinitionError,
    "check instance_type and disk_gib of {cloud} in the generator and its settings in include/clouds.yaml",
)

# EC2 may not know for some seconds what it has just made; what somebody deleted is made again.
JUST_MADE = Meaning(CloudBusy, "it was just made and is not known yet, so it is tried again")

# The same code means something else to some calls.
WHEN_LAUNCHING: Mapping[str, Meaning] = {
    "InvalidParameterValue": _LAUNCH_VALUE,
    "InvalidParameterCombination": _LAUNCH_VALUE,
    "InvalidKeyPair.NotFound": JUST_MADE,
    "InvalidGroup.NotFound": JUST_MADE,
    "InvalidUserData.Malformed": Meaning(LaunchRefused, "shorten what user data carries; the cloud takes 16 KiB"),
}
WHEN_SAVING: Mapping[str, Meaning] = {
    "InvalidAMIID.NotFound": Meaning(SaveFailed, "somebody deleted the image while it was saved; build again"),
    "InvalidAMIID.Unavailable": Meaning(SaveFailed, "somebody deleted the image while it was saved; build again"),
    "OperationNotPermitted": Meaning(
        CloudError, "allow public images on the account (block public access for AMIs), or set public: false"
    ),
    "InvalidParameterValue": Meaning(SaveFailed, "check image_name and tags of {cloud} in the generator"),
}


def code_of(error: BaseException) -> str:
    """EC2's code for what went wrong, "" where the error did not come from the cloud."""
    response = getattr(error, "response", None)
    if not isinstance(response, Mapping):
        return ""
    return str(response.get("Error", {}).get("Code", ""))


def translate(
    cloud: str, tried: str, *, error: BaseException, special: Mapping[str, Meaning] | None = None
) -> ImagesmithError:
    """Our error for one of botocore's: cloud, what was tried, the cloud's code and words, the cure."""
    code = code_of(error)
    if not code:
        return _translate_local(cloud, tried, error)
    response: Mapping[str, Mapping[str, object]] = error.response  # type: ignore[attr-defined]  # a ClientError: it has a code
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    meaning = (special or {}).get(code) or MEANINGS.get(code)
    if meaning is None:
        meaning = BUSY if isinstance(status, int) and status >= 500 else REFUSED
    words = str(response.get("Error", {}).get("Message", "")).strip().rstrip(".")
    return meaning.error(f"{cloud}: {tried}: {code}: {words}; {meaning.cure.format(cloud=cloud)}")


# botocore's own exceptions, by the name of the class or of one it derives from; the first that fits counts.
_LOCAL: tuple[tuple[str, Meaning], ...] = (
    ("NoCredentialsError", CREDENTIALS),
    ("PartialCredentialsError", CREDENTIALS),
    ("CredentialRetrievalError", CREDENTIALS),
    ("TokenRetrievalError", CREDENTIALS),
    ("ProfileNotFound", Meaning(SetupError, "check the profile in the Airflow connection {cloud}")),
    ("NoRegionError", Meaning(SetupError, "write region of {cloud} in include/clouds.yaml")),
    ("InvalidRegionError", Meaning(SetupError, "check region of {cloud} in include/clouds.yaml")),
    (
        "SSLError",
        Meaning(SetupError, "check the endpoint URL in the Airflow connection {cloud} and its certificate"),
    ),
    ("ConnectionError", UNREACHED),
    ("HTTPClientError", UNREACHED),
    ("ResponseParserError", UNREACHED),
    (
        "ParamValidationError",
        Meaning(DefinitionError, "check what the generator and include/clouds.yaml say of {cloud}"),
    ),
)


def _translate_local(cloud: str, tried: str, error: BaseException) -> ImagesmithError:
    names = {ancestor.__name__ for ancestor in type(error).__mro__}
    meaning = next((meaning for name, meaning in _LOCAL if name in names), REFUSED)
    # Some carry the whole page that was not EC2's; its first line tells enough.
    words = str(error).strip().partition("\n")[0].rstrip(".:")
    return meaning.error(f"{cloud}: {tried}: {words}; {meaning.cure.format(cloud=cloud)}")
