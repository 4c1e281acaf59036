"""A store lane that collects each data set in memory and hands it over whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from gateway.dicom.access import Accepted
from gateway.dicom.request import StoreCommand, StoreRequest
from gateway.dicom.status import StoreAnswer


class StoreHandler(Protocol):
    """Stores one instance, from the checks to the answer."""

    def handle(self, accepted: Accepted, request: StoreRequest) -> StoreAnswer:
        """Store `request` for `accepted`; called from many threads."""


class CollectingLane:
    """For handlers that want the whole data set. Memory grows with the instances' sizes."""

    def __init__(self, handler: StoreHandler) -> None:
        self._handler = handler

    def begin(self, accepted: Accepted, command: StoreCommand) -> CollectedInstance:
        """Collect one instance."""
        return CollectedInstance(handler=self._handler, accepted=accepted, command=command)

    def association_ended(self, accepted: Accepted) -> None:
        """Nothing is kept between instances."""


@dataclass(kw_only=True)
class CollectedInstance:
    """One instance on its way in."""

    handler: StoreHandler
    accepted: Accepted
    command: StoreCommand
    data_set: bytearray = field(default_factory=bytearray)

    def write(self, chunk: memoryview) -> None:
        """Keep a copy."""
        self.data_set += chunk

    def finish(self) -> StoreAnswer:
        """Hand it over."""
        command = self.command
        request = StoreRequest(
            message_id=command.message_id,
            affected_sop_class_uid=command.affected_sop_class_uid,
            affected_sop_instance_uid=command.affected_sop_instance_uid,
            context_sop_class_uid=command.context_sop_class_uid,
            transfer_syntax_uid=command.transfer_syntax_uid,
            data_set=memoryview(self.data_set).toreadonly(),
        )
        return self.handler.handle(self.accepted, request)

    def abort(self) -> None:
        """Forget it."""
        self.data_set = bytearray()
