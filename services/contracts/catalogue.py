"""All contracts of the platform, by type and by service: for brokers, clients, documents and tests."""

from __future__ import annotations

from services.contracts import inspection, notification, reporting, scoring
from services.contracts.base import EventContract, RpcContract
from services.contracts.operations import operations

SERVICES = ("inspection", "scoring", "notification", "reporting")
EVENTS: dict[str, EventContract] = {
    contract.type: contract
    for module in (inspection, scoring, notification, reporting)
    for contract in module.EVENTS
}
RPCS: dict[str, RpcContract] = {
    contract.routing_key: contract
    for module in (inspection, scoring, notification, reporting)
    for contract in (*module.RPCS, *operations(module.SERVICE))
}
