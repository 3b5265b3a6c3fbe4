"""The admin site, with each role."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.admin.templatetags.admin_list import results
from django.contrib.admin.utils import quote
from django.contrib.auth.models import User
from django.db.models import Model
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone

from chargers import models
from chargers.admin import FlagFilter, ReadOnly
from chargers.choices import JobFlag, TransactionFlag
from chargers.models import ChargePoint, ChargingProfile, Connector, IdTag, Transaction
from chargers.services import stations
from tasks import updates
from tasks.models import Command
from tests.api import rows

pytestmark = pytest.mark.django_db

REGISTERED = [model for model in admin.site._registry if model._meta.app_label in ("chargers", "tasks")]
WRITTEN_BY_HAND = {models.ChargePoint, models.ChargingProfile, models.Connector, models.IdTag, models.Location}
INLINES = ("connectors", "deviations", "limitations")
STRANGE = "depot/row 3 ü_1"

News = list[tuple[str, str, dict[str, Any]]]


def login(user: User) -> Client:
    user.is_staff = True
    user.save()
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def as_viewer(viewing_user: User) -> Client:
    return login(viewing_user)


@pytest.fixture
def as_operator(operating_user: User) -> Client:
    return login(operating_user)


@pytest.fixture
def as_administrator(administrating_user: User) -> Client:
    return login(administrating_user)


def url(model: type[Model], page: str, *keys: Any) -> str:
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}"
    return reverse(name, args=[quote(key) for key in keys])


def fill(number: int = 0) -> None:
    """Make a row of everything."""
    owner = User.objects.create(username=f"owner{number}")
    station = rows.station(f"{STRANGE} {number}", connected=True, location=rows.location(f"L{number}"))
    rows.deviation(station)
    rows.limitation(station)
    rows.certificate(station)
    tag = rows.tag(f"TAG{number}", user=owner, parent=rows.tag(f"PARENT{number}"))
    transaction = rows.transaction(station, connector=rows.connector(station), id_tag=tag, flags=["offline"])
    transaction.events.create(
        seq_no=1, kind="Started", trigger="CablePluggedIn", timestamp=rows.NOON, received_at=rows.NOON
    )
    rows.reservation(station, connector=transaction.connector, id_tag=tag, transaction=transaction)
    rows.local_list(station, {tag.pk: {"status": "<b>1</b>"}})
    rows.reading(transaction, [{"value": "<b>1</b>"}])
    rows.status(station)
    rows.variable(station)
    rows.charging_profile()
    rows.installed_profile(station, transaction=transaction)
    rows.composite_schedule(station)
    rows.charging_limit(station)
    rows.charging_needs(station, transaction=transaction)
    rows.ev_schedule(station, transaction=transaction)
    command = rows.command(
        station, requested_by=owner, error={"code": "GenericError", "description": "no", "details": {}}
    )
    rows.report(station, command, content={"0": "<b>1</b>"})
    rows.node(f"node-{number}")
    rows.security_event(station)
    rows.event(station)
    rows.monitor(station)
    rows.display_message(station)
    rows.firmware_update(station, asked_by=owner, command_id=uuid4())
    rows.firmware_publication(station, asked_by=owner)
    rows.log_upload(station, asked_by=owner)


def test_everything_that_is_stored_can_be_seen() -> None:
    ours = (apps.get_app_config(label) for label in ("chargers", "tasks"))
    assert set(REGISTERED) == {model for app in ours for model in app.get_models()}
    read_only = {model for model in REGISTERED if isinstance(admin.site._registry[model], ReadOnly)}
    assert set(REGISTERED) - read_only == WRITTEN_BY_HAND


@pytest.mark.parametrize("model", REGISTERED)
def test_list_costs_the_same_queries_for_one_row_and_for_twenty(
    model: type[Model], as_administrator: Client, django_assert_num_queries: Any, django_assert_max_num_queries: Any
) -> None:
    fill()
    with django_assert_max_num_queries(15) as one:
        assert as_administrator.get(url(model, "changelist")).status_code == 200
    for number in range(1, 20):
        fill(number)
    with django_assert_num_queries(len(one)):
        as_administrator.get(url(model, "changelist"))


@pytest.mark.parametrize("model", REGISTERED)
def test_every_filter_order_and_search_works(
    model: type[Model], as_viewer: Client, viewing_user: User, rf: RequestFactory
) -> None:
    fill()
    page = as_viewer.get(url(model, "changelist"))
    whole = page.context["cl"]
    queries = [choice["query_string"] for spec in whole.filter_specs for choice in spec.choices(whole)]
    queries += [f"?{urlencode({'o': f'-{number}'})}" for number in range(1, len(whole.list_display) + 1)]
    if whole.search_fields:
        queries += [f"?{urlencode({'q': text})}" for text in ("TAG0", STRANGE, "1", "9" * 30, "'")]
    for query in queries:
        # What the page shows, without the page around it; it raises what a visitor would be turned away with.
        request = rf.get(url(model, "changelist") + query)
        request.user = viewing_user
        changelist = admin.site._registry[model].get_changelist_instance(request)
        changelist.formset = None
        list(results(changelist))
        for spec in changelist.filter_specs:
            assert list(spec.choices(changelist))


@pytest.mark.parametrize("model", REGISTERED)
def test_a_list_leads_to_each_of_its_rows(model: type[Model], as_viewer: Client) -> None:
    fill()
    page = as_viewer.get(url(model, "changelist"))
    for row in page.context["cl"].result_list:
        address = re.escape(url(model, "change", row.pk))
        # A link in a link leads nowhere.
        assert re.search(rf'<a href="{address}[^>]*>(?!<a|</a)', page.content.decode())


def test_a_list_offers_to_show_all_rows_only_where_some_are_left_out(as_viewer: Client) -> None:
    rows.command(rows.station())
    address = url(Command, "changelist")
    assert b"Show all" not in as_viewer.get(address).content
    assert b"Show all" in as_viewer.get(address, {"q": "nobody"}).content


@pytest.mark.parametrize("model", REGISTERED)
def test_every_role_sees_a_row_and_changes_what_is_theirs(
    model: type[Model], as_viewer: Client, as_operator: Client, as_administrator: Client
) -> None:
    fill()
    key = model._default_manager.first().pk
    for client in (as_viewer, as_operator, as_administrator):
        page = client.get(url(model, "change", key))
        assert page.status_code == 200
        may_change = model in WRITTEN_BY_HAND and client is not as_viewer
        assert page.context["has_change_permission"] is may_change
        assert b"<b>1</b>" not in page.content

    may_add = model in WRITTEN_BY_HAND - {Connector}
    assert as_viewer.get(url(model, "add")).status_code == 403
    assert as_operator.get(url(model, "add")).status_code == (200 if may_add else 403)
    assert as_administrator.get(url(model, "delete", key)).status_code == (200 if may_add else 403)


def test_without_a_role_or_without_being_staff_nobody_sees_anything(roleless_user: User, viewing_user: User) -> None:
    fill()
    assert login(roleless_user).get(url(ChargePoint, "changelist")).status_code == 403
    outsider = Client()
    outsider.force_login(viewing_user)
    assert outsider.get(url(ChargePoint, "changelist")).status_code == 302


def shown(client: Client, model: type[Model], **query: str) -> set[Any]:
    return {row.pk for row in client.get(url(model, "changelist"), query).context["cl"].result_list}


def test_stations_are_found_by_what_matters_at_night(as_viewer: Client) -> None:
    rows.station("ON", connected=True, chargepoint_serial_number="SN 7")
    rows.deviation(rows.station("ODD"))
    rows.station("OUT", registration_status="Pending")
    assert shown(as_viewer, ChargePoint, connected="1") == {"ON"}
    assert shown(as_viewer, ChargePoint, connected="0") == {"ODD", "OUT"}
    assert shown(as_viewer, ChargePoint, deviates="1") == {"ODD"}
    assert shown(as_viewer, ChargePoint, registration_status__exact="Pending") == {"OUT"}
    assert shown(as_viewer, ChargePoint, q="sn 7") == {"ON"}


def test_transactions_are_found_by_flag_and_state(as_viewer: Client) -> None:
    station = rows.station()
    plain = rows.transaction(station, pk=4711, stop_transaction_timestamp=rows.NOON + timedelta(hours=1)).pk
    odd = rows.transaction(station, flags=["late_stop", "offline"]).pk
    foreign = rows.transaction(rows.station("CP2"), flags=["foreign"]).pk
    assert shown(as_viewer, Transaction, flag="any") == {odd, foreign}
    assert shown(as_viewer, Transaction, flag="offline") == {odd}
    assert shown(as_viewer, Transaction, running="1") == {odd, foreign}
    assert shown(as_viewer, Transaction, running="0") == {plain}
    assert shown(as_viewer, Transaction, q="CP2") == {foreign}
    assert shown(as_viewer, Transaction, q="4711") == {plain}
    assert {value for value, _ in FlagFilter.lookups(None, None, None)} == {"any", *TransactionFlag}  # type: ignore[arg-type]


def test_an_operator_lets_a_station_be_asked_again(as_operator: Client) -> None:
    rows.limitation(rows.station("CP1"))
    rows.station("CP2")
    action = {"action": "forget_limitations", "_selected_action": ["CP1", "CP2"]}
    page = as_operator.post(url(ChargePoint, "changelist"), action, follow=True)
    assert "The limitations of 1 were forgotten." in page.content.decode()
    assert not models.Limitation.objects.exists()


def test_an_operator_cancels_the_reservations_that_are_not_over(
    as_operator: Client, handed_over: list[str], operating_user: User
) -> None:
    held = rows.reservation(rows.station("CP1", connected=True), 5)
    used = rows.reservation(held.chargepoint, 6, status="Used")
    away = rows.reservation(rows.station("CP2"), 7)
    gone = rows.reservation(rows.station("CP3"), 8)
    ChargePoint.objects.get(pk="CP3").delete()
    action = {
        "action": "cancel_reservations_that_are_not_over",
        "_selected_action": [each.pk for each in (held, used, away, gone)],
    }
    page = as_operator.post(url(models.Reservation, "changelist"), action, follow=True).content.decode()
    command = Command.objects.get()
    assert (command.chargepoint_id, command.payload) == ("CP1", {"reservationId": 5})
    assert (command.action, command.requested_by) == ("CancelReservation", operating_user)
    assert handed_over == [str(command.pk)]
    assert "1 on their way: CancelReservation." in page
    assert "Reservation 7 at CP2: CP2 is not connected" in page
    assert "Reservation 8 at CP3: CP3 is gone" in page
    assert LogEntry.objects.get().object_id == str(held.pk)


def test_an_operator_sends_stations_what_their_lists_lack(as_operator: Client, handed_over: list[str]) -> None:
    rows.tag("TAG1")
    lists = [
        rows.local_list(rows.station("CP1", connected=True), {}),
        rows.local_list(rows.station("CP2", connected=True), {"TAG1": {"status": "Accepted"}}),
        rows.local_list(rows.station("CP3")),
    ]
    action = {"action": "send_what_lists_lack", "_selected_action": [each.pk for each in lists]}
    page = as_operator.post(url(models.LocalList, "changelist"), action, follow=True).content.decode()
    command = Command.objects.get()
    assert (command.chargepoint_id, command.action) == ("CP1", "SendLocalList")
    assert handed_over == [str(command.pk)]
    assert "1 on their way: SendLocalList." in page
    assert "CP3: CP3 is not connected" in page


def test_a_station_whose_list_nobody_knows_is_sent_all_of_it(as_operator: Client, handed_over: list[str]) -> None:
    rows.station("CP1", connected=True)
    action = {"action": "send_what_lists_lack", "_selected_action": ["CP1"]}
    as_operator.post(url(ChargePoint, "changelist"), action)
    assert Command.objects.get().payload == {"listVersion": 1, "updateType": "Full"}
    assert len(handed_over) == 1


def test_an_operator_lets_lists_be_kept_in_sync_and_a_viewer_does_not(as_operator: Client, as_viewer: Client) -> None:
    row = rows.local_list(rows.station())

    def act(client: Client, action: str) -> bool:
        client.post(url(models.LocalList, "changelist"), {"action": action, "_selected_action": [row.pk]})
        row.refresh_from_db()
        return row.automatic

    assert act(as_operator, "keep_in_sync")
    assert act(as_viewer, "leave_alone")
    assert not act(as_operator, "leave_alone")


def test_a_list_shows_what_it_holds_and_should(as_viewer: Client) -> None:
    rows.tag("TAG1")
    row = rows.local_list(rows.station(), {"TAG2": {"status": "Blocked"}})
    unknown = rows.local_list(rows.station("CP2"))
    assert "&quot;TAG2&quot;" in as_viewer.get(url(models.LocalList, "change", row.pk)).content.decode()
    assert "unknown" in as_viewer.get(url(models.LocalList, "change", unknown.pk)).content.decode()


def test_a_viewer_cancels_nothing(as_viewer: Client, handed_over: list[str]) -> None:
    reservation = rows.reservation(rows.station(connected=True))
    page = url(models.Reservation, "changelist")
    as_viewer.post(page, {"action": "cancel_reservations_that_are_not_over", "_selected_action": [reservation.pk]})
    assert b"Cancel reservations" not in as_viewer.get(page).content
    assert not handed_over


def test_critical_security_events_stand_out(as_viewer: Client) -> None:
    critical = rows.security_event(rows.station()).pk
    other = rows.security_event(rows.station("CP2"), "AttemptedReplayAttacks").pk
    assert shown(as_viewer, models.SecurityEvent, critical="1") == {critical}
    assert shown(as_viewer, models.SecurityEvent, critical="0") == {other}


def choose(client: Client, model: type[Model], action: str, *keys: Any) -> str:
    """Run an action on rows; return the page that follows."""
    page = client.post(url(model, "changelist"), {"action": action, "_selected_action": keys}, follow=True)
    return page.content.decode()


ASKED = [
    (ChargePoint, "ask_for_statuses", "TriggerMessage", {"requestedMessage": "StatusNotification"}),
    (ChargePoint, "ask_for_configuration", "GetConfiguration", {}),
    (ChargePoint, "soft_reset", "Reset", {"type": "Soft"}),
    (ChargePoint, "hard_reset", "Reset", {"type": "Hard"}),
    (Connector, "unlock", "UnlockConnector", {"connectorId": 1}),
    (Connector, "put_out_of_service", "ChangeAvailability", {"connectorId": 1, "type": "Inoperative"}),
    (Connector, "put_in_service", "ChangeAvailability", {"connectorId": 1, "type": "Operative"}),
    (Transaction, "stop_remotely", "RemoteStopTransaction", {"transactionId": 4711}),
]


@pytest.mark.parametrize(("model", "action", "name", "payload"), ASKED, ids=[each[1] for each in ASKED])
def test_an_operator_asks_stations_for_something(
    model: type[Model], action: str, name: str, payload: dict[str, Any], as_operator: Client, handed_over: list[str]
) -> None:
    on, off = rows.station("ON", connected=True), rows.station("OFF")
    for station in (on, off):
        rows.connector(station)
    rows.transaction(on, pk=4711)
    rows.transaction(on, pk=4712, stop_transaction_timestamp=rows.NOON)
    rows.transaction(off, pk=4713)
    page = choose(as_operator, model, action, *model._default_manager.values_list("pk", flat=True))
    assert f"1 on their way: {name}." in page
    assert "OFF is not connected" in page
    command = Command.objects.get()
    assert (command.chargepoint_id, command.action, command.payload) == ("ON", name, payload)
    assert command.requested_by.username == "operating_user"
    assert handed_over == [str(command.pk)]


ASKED_201 = [
    (
        ChargePoint,
        "ask_for_statuses",
        "TriggerMessage",
        {"requestedMessage": "StatusNotification", "evse": {"id": 2, "connectorId": 1}},
    ),
    (ChargePoint, "ask_for_configuration", "GetBaseReport", {"reportBase": "FullInventory"}),
    (ChargePoint, "soft_reset", "Reset", {"type": "OnIdle"}),
    (ChargePoint, "hard_reset", "Reset", {"type": "Immediate"}),
    (Connector, "unlock", "UnlockConnector", {"evseId": 2, "connectorId": 1}),
    (
        Connector,
        "put_out_of_service",
        "ChangeAvailability",
        {"operationalStatus": "Inoperative", "evse": {"id": 2, "connectorId": 1}},
    ),
    (
        Connector,
        "put_in_service",
        "ChangeAvailability",
        {"operationalStatus": "Operative", "evse": {"id": 2, "connectorId": 1}},
    ),
    (Transaction, "stop_remotely", "RequestStopTransaction", {"transactionId": "T-1"}),
]


@pytest.mark.parametrize(("model", "action", "name", "payload"), ASKED_201, ids=[each[1] for each in ASKED_201])
def test_a_station_of_2_0_1_is_asked_in_the_words_of_its_version(
    model: type[Model], action: str, name: str, payload: dict[str, Any], as_operator: Client, handed_over: list[str]
) -> None:
    new, old = rows.station("NEW", connected=True, ocpp_version="ocpp2.0.1"), rows.station("OLD", connected=True)
    rows.connector(new, evse_id=2)
    rows.connector(old)
    rows.transaction(new, uuid="T-1")
    rows.transaction(old)
    page = choose(as_operator, model, action, *model._default_manager.values_list("pk", flat=True))
    assert "2 on their way: " in page
    assert name in page
    command = Command.objects.get(chargepoint=new)
    assert (command.ocpp_version, command.action) == ("ocpp2.0.1", name)
    assert payload.items() <= command.payload.items()
    assert Command.objects.get(chargepoint=old).ocpp_version == "ocpp1.6"
    assert len(handed_over) == 2


def test_statuses_of_2_0_1_are_asked_for_connector_by_connector(as_operator: Client, handed_over: list[str]) -> None:
    station = rows.station("CP1", connected=True, ocpp_version="ocpp2.0.1")
    for evse, connector in ((2, 1), (1, 2), (1, 1)):
        rows.connector(station, evse, connector)
    assert "3 on their way: TriggerMessage." in choose(as_operator, ChargePoint, "ask_for_statuses", "CP1")
    places = [command.payload["evse"] for command in Command.objects.order_by("created_at")]
    assert places == [{"id": 1, "connectorId": 1}, {"id": 1, "connectorId": 2}, {"id": 2, "connectorId": 1}]


@pytest.mark.parametrize(("model", "action"), [each[:2] for each in ASKED], ids=[each[1] for each in ASKED])
def test_a_viewer_asks_stations_for_nothing(model: type[Model], action: str, as_viewer: Client) -> None:
    station = rows.station(connected=True)
    rows.connector(station)
    rows.transaction(station)
    choose(as_viewer, model, action, *model._default_manager.values_list("pk", flat=True))
    assert not Command.objects.exists()


def test_history_of_a_deleted_station_is_still_readable(as_viewer: Client) -> None:
    fill()
    ChargePoint.objects.all().delete()
    IdTag.objects.all().delete()
    told = (models.MeterValue, models.StatusNotification, models.SecurityEvent, models.Reservation, models.Certificate)
    for model in (Transaction, Command, *told, models.FirmwareUpdate, models.LogUpload):
        row = model._default_manager.get()
        assert f"{STRANGE} 0" in as_viewer.get(url(model, "changelist")).content.decode()
        page = as_viewer.get(url(model, "change", row.pk))
        assert page.status_code == 200
        assert f"{STRANGE} 0" in page.content.decode()


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any) -> Callable[..., News]:
    """Return a function that does something and tells what listeners then hear."""

    def told(act: Callable[[], Any]) -> News:
        news: News = []

        async def send(batch: updates.Batch) -> None:
            for topic, frames in batch:
                decoded = [json.loads(frame) for _, frame in frames]
                news.extend((topic, each["event"], each["data"]) for each in decoded)

        monkeypatch.setattr(updates, "send", send)
        with django_capture_on_commit_callbacks(execute=True):
            act()
        return news

    return told


def test_an_operator_adds_and_changes_a_station_and_listeners_hear_of_it(
    as_operator: Client, told: Callable[..., News], monkeypatch: pytest.MonkeyPatch
) -> None:
    form = {"chargepoint_id": STRANGE, "registration_status": "Pending", "security_profile": "0", "location": ""}
    [(topic, event, data)] = told(lambda: as_operator.post(url(ChargePoint, "add"), form))
    assert (topic, event, data["chargepoint_id"]) == ("chargepoint", "created", STRANGE)

    page = url(ChargePoint, "change", STRANGE)
    inlines = {f"{name}-{kind}_FORMS": "0" for name in INLINES for kind in ("TOTAL", "INITIAL")}
    form = {"registration_status": "Accepted", "security_profile": "0", "location": "", **inlines}
    save = ChargePoint.save

    def save_later(row: ChargePoint, **options: Any) -> None:
        ChargePoint.objects.update(firmware_version="written meanwhile")
        save(row, **options)

    monkeypatch.setattr(ChargePoint, "save", save_later)
    [(_, event, data)] = told(lambda: as_operator.post(page, form))
    assert (event, data["registration_status"], data["firmware_version"]) == (
        "updated",
        "Accepted",
        "written meanwhile",
    )


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"chargepoint_id": "cp001", "registration_status": "Accepted", "security_profile": "0"}, "chargepoint_id"),
        ({"chargepoint_id": "", "registration_status": "Accepted", "security_profile": "0"}, "chargepoint_id"),
        ({"chargepoint_id": "X", "registration_status": "Maybe", "security_profile": "0"}, "registration_status"),
    ],
)
def test_a_bad_station_is_refused_by_field(form: dict[str, str], field: str, as_operator: Client) -> None:
    rows.station("CP001")
    page = as_operator.post(url(ChargePoint, "add"), form)
    assert page.status_code == 200
    assert page.context["adminform"].form.errors.keys() == {field}


def test_registration_status_is_set_for_many_at_once(as_operator: Client, told: Callable[..., News]) -> None:
    rows.station("A")
    rows.station("B", registration_status="Rejected")
    form = {"action": "register_as_rejected", "_selected_action": ["A", "B"]}
    [(_, event, data)] = told(lambda: as_operator.post(url(ChargePoint, "changelist"), form))
    assert (event, data["chargepoint_id"], data["registration_status"]) == ("updated", "A", "Rejected")
    assert LogEntry.objects.get().object_id == "A"


def test_new_keys_are_given_after_a_question_and_shown_once(as_operator: Client, told: Callable[..., News]) -> None:
    station = rows.station(STRANGE)
    stations.propose_key(station, b"x" * 40, uuid4())
    form = {"action": "give_new_keys", "_selected_action": [STRANGE]}
    question = as_operator.post(url(ChargePoint, "changelist"), form)
    assert f"{STRANGE}: it may have taken a key" in question.content.decode()
    station.refresh_from_db()
    assert not station.key_hash

    answers = []
    news = told(lambda: answers.append(as_operator.post(url(ChargePoint, "changelist"), {**form, "confirmed": "1"})))
    assert {topic for topic, _, _ in news} == {"chargepoint", "securityevent"}
    assert models.SecurityEvent.objects.get().tech_info == "a new key was made by operating_user"
    (answer,) = answers
    [(_, key)] = answer.context["keys"]
    assert key in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    station.refresh_from_db()
    assert stations.key_matches(key.encode(), station.key_hash)
    assert key not in as_operator.get(url(ChargePoint, "change", STRANGE)).content.decode()


@pytest.mark.parametrize("action", ["give_new_keys", "register_as_rejected"])
def test_a_viewer_has_no_actions(action: str, as_viewer: Client) -> None:
    rows.station()
    as_viewer.post(url(ChargePoint, "changelist"), {"action": action, "_selected_action": ["CP001"], "confirmed": "1"})
    station = ChargePoint.objects.get()
    assert (station.key_hash, station.registration_status) == ("", "Accepted")


def test_an_operator_deletes_a_station_with_all_that_is_its_own(as_operator: Client) -> None:
    fill()
    page = url(ChargePoint, "delete", f"{STRANGE} 0")
    assert b"Are you sure" in as_operator.get(page).content
    assert as_operator.post(page, {"post": "yes"}).status_code == 302
    assert not Connector.objects.exists()
    assert Transaction.objects.get().chargepoint_id == f"{STRANGE} 0"


def test_an_operator_says_what_stations_do_not_tell_of_connectors(
    as_operator: Client, told: Callable[..., News]
) -> None:
    connector = rows.connector(rows.station())
    form = {"standard": "IEC_62196_T2", "format": "CABLE", "power_type": "DC"}
    [(topic, _, data)] = told(lambda: as_operator.post(url(Connector, "change", connector.pk), form))
    assert (topic, data["standard"], data["format"]) == ("connector", "IEC_62196_T2", "CABLE")


def test_a_tag_keeps_its_token_and_refuses_a_twin(as_operator: Client) -> None:
    rows.tag("04A1")
    page = as_operator.post(url(IdTag, "add"), {"id_token": "04-a1", "max_active_transactions": "1"})
    assert page.context["adminform"].form.errors.keys() == {"id_token"}
    assert as_operator.post(url(IdTag, "change", "04A1"), {"id_token": "X", "revoked": "on"}).status_code == 302
    assert IdTag.objects.get().revoked


def form(**change: Any) -> dict[str, Any]:
    schedule = {"charging_rate_unit": "A", "charging_schedule_period": [{"start_period": 0, "limit": 16}]}
    told = {"stack_level": "1", "purpose": "TxDefaultProfile", "kind": "Relative", "schedules": json.dumps([schedule])}
    return {**told, **change}


def test_an_operator_puts_a_charging_profile_in_store_and_changes_it(as_operator: Client) -> None:
    assert as_operator.post(url(models.ChargingProfile, "add"), form()).status_code == 302
    row = models.ChargingProfile.objects.get()
    assert (row.stack_level, row.schedules[0]["charging_schedule_period"][0]["limit"]) == (1, 16)
    page = url(models.ChargingProfile, "change", row.pk)
    assert as_operator.post(page, form(stack_level="2")).status_code == 302
    assert models.ChargingProfile.objects.get().stack_level == 2


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"stack_level": ""}, "stack_level"),
        ({"stack_level": "-1"}, "stack_level"),
        ({"purpose": "ChargingStationExternalConstraints"}, "purpose"),
        ({"kind": "Recurring", "recurrency_kind": ""}, "recurrency_kind"),
        ({"transaction_id": "7"}, "transaction_id"),
        ({"schedules": "[1"}, "schedules"),
        ({"schedules": "{}"}, "schedules"),
        ({"schedules": "[]"}, "schedules"),
        ({"schedules": '[{"charging_rate_unit": "A", "charging_schedule_period": [{"limit": "much"}]}]'}, "schedules"),
    ],
)
def test_a_bad_charging_profile_is_refused_by_field(change: dict[str, str], field: str, as_operator: Client) -> None:
    page = as_operator.post(url(models.ChargingProfile, "add"), form(**change))
    assert page.status_code == 200
    assert field in page.context["adminform"].form.errors
    assert not models.ChargingProfile.objects.exists()


def test_a_bad_schedule_says_where(as_operator: Client) -> None:
    schedule = {"charging_rate_unit": "A", "charging_schedule_period": [{"start_period": 0, "limit": 16.25}]}
    page = as_operator.post(url(models.ChargingProfile, "add"), form(schedules=json.dumps([schedule])))
    assert page.context["adminform"].form.errors == {
        "schedules": ["0.charging_schedule_period.0.limit: Is 0 or more, with one decimal at most."]
    }


def test_a_station_leads_to_its_history(as_viewer: Client) -> None:
    fill()
    fill(1)
    page = as_viewer.get(url(ChargePoint, "change", f"{STRANGE} 0")).content.decode()
    query = urlencode({"chargepoint__exact": f"{STRANGE} 0"})
    told = (Transaction, models.StatusNotification, models.MeterValue, models.Variable)
    for model in (*told, Command, models.FirmwareUpdate, models.LogUpload, models.InstalledProfile):
        path = f"{url(model, 'changelist')}?{query}"
        assert path in page
        assert len(as_viewer.get(path).context["cl"].result_list) == 1


def test_a_command_shows_what_was_asked_and_answered(as_viewer: Client) -> None:
    now = timezone.now()
    command = rows.command(
        rows.station(), response={"status": "Accepted"}, status="answered", created_at=now, finished_at=now
    )
    page = as_viewer.get(url(Command, "change", command.pk)).content.decode()
    assert "&quot;type&quot;: &quot;Soft&quot;" in page
    assert "&quot;status&quot;: &quot;Accepted&quot;" in page
    assert "0.0 s" in page


def test_a_job_leads_to_its_station_and_its_command(as_viewer: Client) -> None:
    station = rows.station()
    command = rows.command(station)
    asked = rows.log_upload(station, command_id=command.pk, file_name="a:b", path="logs/CP001/1/")
    own = rows.firmware_update(station, firmware_before="1.0", firmware_after="2.0")
    page = as_viewer.get(url(models.LogUpload, "change", asked.pk)).content.decode()
    assert url(ChargePoint, "change", "CP001") in page
    assert url(Command, "change", command.pk) in page
    assert "logs/CP001/1/a_b" in page
    assert "<div>2026-03-01 12:00:00: Odd &lt;b&gt;1&lt;/b&gt;</div>" in page
    page = as_viewer.get(url(models.FirmwareUpdate, "change", own.pk)).content.decode()
    assert "not asked for by the platform" in page
    assert "2.0" in page


def test_jobs_are_found_by_what_matters_at_night(as_viewer: Client) -> None:
    failed = rows.log_upload(rows.station(), status="UploadFailure", log_type="SecurityLog", request_id=4711).pk
    other = rows.log_upload(rows.station("CP2"), file_name="diag.zip").pk
    assert shown(as_viewer, models.LogUpload, status__exact="UploadFailure") == {failed}
    assert shown(as_viewer, models.LogUpload, log_type__exact="SecurityLog") == {failed}
    assert shown(as_viewer, models.LogUpload, q="4711") == {failed}
    assert shown(as_viewer, models.LogUpload, q="diag.zip") == {other}
    assert shown(as_viewer, models.LogUpload, q="CP2") == {other}
    signed = rows.firmware_update(rows.station("CP3"), signed=True).pk
    rows.firmware_update(rows.station("CP4"))
    assert shown(as_viewer, models.FirmwareUpdate, signed__exact="1") == {signed}
    assert shown(as_viewer, models.FirmwareUpdate, q="cp3") == {signed}


def test_the_schedules_of_a_profile_are_laid_out_to_be_read(as_operator: Client) -> None:
    profile = rows.charging_profile()
    # PostgreSQL has an order of its own.
    profile.refresh_from_db()
    address = url(ChargingProfile, "change", profile.pk)
    field = as_operator.get(address).context["adminform"].form["schedules"]
    assert field.value() == json.dumps(profile.schedules, indent=2)
    refused = as_operator.post(address, {"schedules": "[{"})
    assert refused.context["adminform"].form["schedules"].value() == "[{"


# The files of jobs


@pytest.fixture
def log_file(files_dir: Path) -> Path:
    """The log of the log upload 1."""
    rows.log_upload(rows.station("CP1"), pk=1, path="logs/CP1/1/", status="Uploaded")
    path = files_dir / "logs/CP1/1/a <b>.log"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"what happened")
    return path


@pytest.mark.parametrize("page", ["changelist", "change"])
def test_an_operator_clicks_on_a_log_to_download_it(as_viewer: Client, log_file: Path, page: str) -> None:
    shown = as_viewer.get(url(models.LogUpload, page, *([1] if page == "change" else [])))
    (address,) = re.findall(
        r'<a href="(/admin/chargers/logupload/1/file/[^"]*)">logs/CP1/1/a &lt;b&gt;', shown.content.decode()
    )
    answer = as_viewer.get(address)
    assert (answer.status_code, answer.getvalue()) == (200, b"what happened")
    assert answer["Content-Disposition"].startswith("attachment")


def test_what_was_uploaded_and_is_not_there_catches_the_eye(as_viewer: Client, log_file: Path) -> None:
    label = JobFlag.FILE_MISSING.label.encode()
    assert label not in as_viewer.get(url(models.LogUpload, "changelist")).content
    log_file.unlink()
    assert label in as_viewer.get(url(models.LogUpload, "changelist")).content


def test_a_job_gives_out_its_own_files_to_those_who_may_see_it(
    as_viewer: Client, roleless_user: User, log_file: Path
) -> None:
    own = reverse("admin:chargers_logupload_file", args=[1, "logs/CP1/1/a <b>.log"])
    other = log_file.parent.parent / "2"
    other.mkdir()
    (other / "b.log").touch()
    for name in ("logs/CP1/2/b.log", "logs/CP1/1/../2/b.log", "logs/CP1/1/missing", "logs/CP1/1/"):
        assert as_viewer.get(f"/admin/chargers/logupload/1/file/{name}").status_code == 404
    assert as_viewer.get("/admin/chargers/logupload/2/file/logs/CP1/2/b.log").status_code == 404
    assert login(roleless_user).get(own).status_code == 403
    assert Client().get(own).status_code == 302


def test_readings_are_found_by_what_they_belong_to_in_full(as_viewer: Client) -> None:
    mine = rows.reading(rows.transaction(rows.station("CP1")), [{"value": "1"}])
    other = rows.reading(rows.transaction(rows.station("CP2")), [{"value": "2"}])

    def found(term: str) -> set[int]:
        page = as_viewer.get(url(models.MeterValue, "changelist"), {"q": term})
        return {row.pk for row in page.context["cl"].result_list}

    assert found("CP1") == found(f" {mine.transaction_id} ") == {mine.pk}
    assert found(str(other.transaction_id)) == {other.pk}
    assert found("CP") == found("9" * 30) == found("no such thing") == set()
    assert found("") == {mine.pk, other.pk}


def test_events_and_commands_are_narrowed_by_severity_and_action(as_viewer: Client) -> None:
    station = rows.station()
    severe = rows.event(station, 1, severity=1)
    rows.event(station, 2, severity=8)
    reset = rows.command(station, "Reset")
    rows.command(station, "ClearCache")

    def found(model: type[Model], **query: str) -> set[Any]:
        return {row.pk for row in as_viewer.get(url(model, "changelist"), query).context["cl"].result_list}

    assert found(models.Event, severity="1") == {severe.pk}
    assert found(Command, action="Reset") == {reset.pk}
