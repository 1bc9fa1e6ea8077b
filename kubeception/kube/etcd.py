"""One member of an etcd: how full it is, and what gives it room. No key of it is read or written."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from kubeception.errors import ApiError
from kubeception.kube.client import Cluster

NO_SPACE: Final = "NOSPACE"
"""The alarm by which etcd refuses what takes room, until somebody ends it."""


@dataclass(frozen=True)
class Fill:
    """How full a member is; sizes in octets."""

    size: int
    """Of its file, free pages among it: what the quota bounds."""
    used: int
    """Of its file without them: what is left of it after a defragmentation."""
    quota: int
    revision: int


class Etcd:
    """A member, asked in the JSON form of its API: https://etcd.io/docs/v3.6/dev-guide/api_grpc_gateway/.

    Methods raise ApiError.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def alarmed(self) -> list[str]:
        """The ids of members that found no space."""
        asked = {"action": "GET"}
        found = self._cluster.call("/v3/maintenance/alarm", asked, "reading its alarms")
        alarms = found.get("alarms") or ()
        return [str(each["memberID"]) for each in alarms if each.get("alarm") == NO_SPACE]

    def fill(self) -> Fill:
        """How full it is now."""
        found = self._cluster.call("/v3/maintenance/status", {}, "reading its status")
        return Fill(
            _number(found, "dbSize"),
            _number(found, "dbSizeInUse"),
            _number(found, "dbSizeQuota"),
            _number(found.get("header") or {}, "revision"),
        )

    def compact(self, revision: int) -> None:
        """Forget what was before a revision, and return when that is done."""
        asked = {"revision": str(revision), "physical": True}
        try:
            self._cluster.call("/v3/kv/compaction", asked, "compacting it")
        except ApiError as error:
            # It was done before: nothing was written since.
            if error.status != HTTPStatus.BAD_REQUEST or "has been compacted" not in error.message:
                raise

    def defragment(self) -> None:
        """Give free pages back to the file system; the member does nothing else meanwhile."""
        self._cluster.call("/v3/maintenance/defragment", {}, "defragmenting it")

    def disarm(self, member: str) -> None:
        """End the alarm of a member: it takes writes again."""
        asked = {"action": "DEACTIVATE", "memberID": member, "alarm": NO_SPACE}
        self._cluster.call("/v3/maintenance/alarm", asked, "ending its alarm")


def _number(found: dict[str, Any], key: str) -> int:
    """A number as JSON of protobuf has it: 64 bits are a text, and 0 is left out."""
    try:
        return int(found.get(key) or 0)
    except (TypeError, ValueError):
        raise ApiError(f"etcd: its answer has no number as {key}") from None
