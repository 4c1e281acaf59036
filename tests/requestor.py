"""pynetdicom as a requestor, kept from two races of its own that a busy machine brings about."""

from __future__ import annotations

from typing import Any

from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.pdu import A_ASSOCIATE_RJ


def associate(entity: ApplicationEntity, host: str, port: int, **options: Any) -> Association:
    """`entity.associate`, asked again where a rejection was taken for a lost connection.

    Its reactor may have read the rejection and closed the socket before the thread that waits looks
    whether there was a connection at all.
    """
    received: list[type] = []
    heard: list[evt.EventHandlerType] = [
        (evt.EVT_PDU_RECV, lambda event: received.append(type(event.pdu)))
    ]
    association = entity.associate(host, port, evt_handlers=heard, **options)
    if association.is_aborted and A_ASSOCIATE_RJ in received:
        association = entity.associate(host, port, **options)
    _leave_responses_alone(association)
    return association


def _leave_responses_alone(association: Association) -> None:
    """Its reactor looks for messages without blocking, and now and then takes the response that
    `send_c_store` is waiting for."""
    get_msg = association.dimse.get_msg

    def only_if_waiting(block: bool = False) -> Any:  # noqa: FBT001, FBT002 - pynetdicom's own
        return get_msg(block=True) if block else (None, None)

    association.dimse.get_msg = only_if_waiting  # type: ignore[method-assign]
