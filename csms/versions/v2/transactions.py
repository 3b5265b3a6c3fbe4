"""Authorisation, transaction events and meter values (blocks C, E and J)."""

from collections.abc import Mapping

from chargers.services import idtags, metervalues, transactionevents
from chargers.values import (
    NO_TRANSACTION,
    Authorization,
    AuthorizationRequest,
    EventAnswer,
    MeterReport,
    TransactionEvent,
    TransactionRef,
)
from csms.errors import ErrorCode, RpcError
from csms.versions.base import Context, Handler, Payload
from csms.versions.v2 import contracts
from csms.versions.v2.members import (
    MAX_WORD,
    NO_AUTHORIZATION,
    aside,
    id_token_info,
    name,
    nothing,
    number,
    readings,
    token,
)

EVENT_TYPES = frozenset({"Started", "Updated", "Ended"})


def authorize(payload: Payload, context: Context) -> AuthorizationRequest:
    shown = payload["idToken"]
    contract = contracts.contract(payload, context) if contracts.shows_contract(payload) else None
    return AuthorizationRequest(context.station, token(shown), context.received_at, shown["type"], contract)


def authorized(result: Authorization, context: Context) -> Payload:
    info = id_token_info(result)
    return contracts.with_contract(info, result, context.told) if context.consulted else {"idTokenInfo": info}


def transaction_event(payload: Payload, context: Context) -> TransactionEvent:
    moment = context.time(payload.get("timestamp"))
    info, evse, shown = payload["transactionInfo"], payload.get("evse", {}), payload.get("idToken")
    trigger = payload["triggerReason"][:MAX_WORD]
    if payload["eventType"] not in EVENT_TYPES:
        raise RpcError(ErrorCode.PROPERTY_CONSTRAINT, f"eventType: {payload['eventType'][:50]} is not known")
    return TransactionEvent(
        station=context.station,
        ocpp_version=context.version,
        uuid=name(info, "transactionId"),
        kind=payload["eventType"],
        seq_no=number(payload, "seqNo"),
        trigger=trigger,
        at=moment.at,
        at_raw=moment.raw,
        received_at=context.received_at,
        offline=payload.get("offline", False),
        evse_id=number(evse, "id"),
        connector_id=number(evse, "connectorId"),
        charging_state=info.get("chargingState", "")[:MAX_WORD],
        id_token=token(shown) if shown is not None else None,
        token_type=shown["type"] if shown is not None else "",
        free=shown is not None and shown["type"] == NO_AUTHORIZATION,
        stops=trigger == "StopAuthorized",
        reason=info.get("stoppedReason", "Local" if payload["eventType"] == "Ended" else ""),
        reservation_id=context.reservation(payload.get("reservationId", 0)),
        remote_start_id=aside(info, "remoteStartId", context),
        time_spent_charging=aside(info, "timeSpentCharging", context),
        number_of_phases_used=aside(payload, "numberOfPhasesUsed", context),
        cable_max_current=aside(payload, "cableMaxCurrent", context),
        readings=readings(payload.get("meterValue", ()), context),
    )


def transaction_answered(result: EventAnswer, context: Context) -> Payload:
    answer: Payload = {}
    if result.total_cost is not None:
        answer["totalCost"] = float(result.total_cost)
    if result.authorization is not None:
        answer["idTokenInfo"] = id_token_info(result.authorization)
    return answer


def meter_values(payload: Payload, context: Context) -> MeterReport:
    evse = number(payload, "evseId")
    return MeterReport(
        station=context.station,
        ocpp_version=context.version,
        evse_id=evse,
        connector_id=0,
        # Readings of a transaction come with its events (J02), but for some stations (V2-11).
        ref=TransactionRef(by_connector=True) if evse else NO_TRANSACTION,
        readings=readings(payload.get("meterValue", ()), context),
        received_at=context.received_at,
    )


HANDLERS: Mapping[str, Handler] = {
    "Authorize": Handler(authorize, idtags.authorize, authorized, consults=contracts.VERIFICATION),
    "MeterValues": Handler(
        meter_values, metervalues.record, nothing, records=True, optional=("sampledValue", "timestamp")
    ),
    "TransactionEvent": Handler(
        transaction_event, transactionevents.record, transaction_answered, records=True, optional=("timestamp",)
    ),
}
