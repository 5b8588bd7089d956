"""Icinga and Nagios: what our notification command posts, Icinga 2's event stream, and Icinga Notifications."""

from collections.abc import Mapping

from paramedic.alerts.alert import Status
from paramedic.alerts.draft import Draft
from paramedic.alerts.payload import Fields, parsed_object
from paramedic.alerts.reading import Aside, BadPayload, Reading

NAME = "icinga"
BODY = "Icinga's or Nagios's notification, as the command of docs/sources/icinga.md posts it."
EXAMPLE = """{
  "notification_type": "PROBLEM",
  "host": "web-1",
  "service": "tracking-api",
  "state": "CRITICAL",
  "state_type": "HARD",
  "output": "HTTP CRITICAL: 340 ms",
  "time": "1769851800",
  "author": "",
  "comment": "",
  "link": "https://icinga.example.com/icingadb/service?name=tracking-api&host.name=web-1"
}"""

#: Icinga's words for how a host or service is.
SEVERITIES: Mapping[str, str] = {
    "CRITICAL": "critical",
    "DOWN": "critical",
    "UNREACHABLE": "critical",
    "UNKNOWN": "warning",
    "WARNING": "warning",
}

_TYPES: Mapping[str, Status] = {
    "PROBLEM": Status.FIRING,
    "CUSTOM": Status.FIRING,
    "RECOVERY": Status.RESOLVED,
    "ACKNOWLEDGEMENT": Status.ACKNOWLEDGED,
    "ACKNOWLEDGEMENTSET": Status.ACKNOWLEDGED,
}

_SERVICE_STATES = {"0": "OK", "1": "WARNING", "2": "CRITICAL", "3": "UNKNOWN"}
_HOST_STATES = {"0": "UP", "1": "DOWN", "2": "DOWN"}
_STATE_TYPES = {"0": "SOFT", "1": "HARD"}
_WELL = frozenset({"OK", "UP"})

_NOTIFICATIONS = {
    "crit": "CRITICAL",
    "err": "CRITICAL",
    "alert": "CRITICAL",
    "emerg": "CRITICAL",
    "warning": "WARNING",
    "ok": "OK",
}


def read(_headers: Mapping[str, str], body: bytes) -> Reading:
    """The alert of the body, or an aside (a downtime, a flapping). Raises BadPayload for what is none of these."""
    whole = parsed_object(body, "Icinga")
    fields = _plain(whole)
    host, service = fields.text("host"), fields.text("service")
    if not host:
        raise BadPayload(
            "host", "is missing, or its macro was not filled in", "host, state and notification_type", readable=True
        )
    kind = fields.text("notification_type").upper()
    state = _state(fields.text("state").upper(), has_service=bool(service))
    status = _TYPES.get(kind)
    if kind in ("", "STATECHANGE"):
        status = Status.RESOLVED if state in _WELL else Status.FIRING if state in SEVERITIES else None
    if status is None:
        what = f"is Icinga's {kind[:60].lower() or 'word'} about no state"
        return Reading(asides=(Aside(body.decode("utf-8", "replace"), what),))
    if status is Status.FIRING and state in _WELL:
        status = Status.RESOLVED
    moment = fields.moment("time")
    state_type = _STATE_TYPES.get(fields.text("state_type"), fields.text("state_type").upper())
    name = f"{service or 'host'} is {state}" if status is Status.FIRING and not service else service or "host"
    return Reading(
        (
            Draft(
                source=NAME,
                name=service or "Host",
                status=status,
                identity=(host, service),
                severity=SEVERITIES.get(state, ""),
                starts_at=moment if status is not Status.RESOLVED else None,
                ends_at=moment if status is Status.RESOLVED else None,
                labels={
                    "host": host,
                    "instance": host,
                    "check": service or "host",
                    "state": state,
                    "state_type": state_type,
                },
                annotations={
                    "summary": fields.text("output") or f"{name} on {host}",
                    "comment": fields.text("comment"),
                },
                link=fields.text("link"),
                by=fields.text("author") or None,
                notes=whole.notes,
            ).alert(),
        )
    )


def _state(word: str, *, has_service: bool) -> str:
    return (_SERVICE_STATES if has_service else _HOST_STATES).get(word, word)


def _plain(whole: Fields) -> Fields:
    """The body by our command's names, whichever of the others it is."""
    if parameters := whole.fields("params"):  # Icinga Notifications' channel plug-in
        thing, event = parameters.fields("object"), parameters.fields("event")
        severity = parameters.fields("incident").text("severity")
        values = {
            "host": thing.fields("tags").text("host") or thing.text("name"),
            "service": thing.fields("tags").text("service"),
            "state": _NOTIFICATIONS.get(severity, severity),
            "output": event.text("message"),
            "time": event.text("time"),
            "link": thing.text("url"),
        }
    elif metadata := whole.fields("metadata"):  # incident.io's plug-in for Icinga
        values = {
            "host": metadata.text("host"),
            "service": metadata.text("service"),
            "state": metadata.text("state"),
            "notification_type": metadata.text("notification_type"),
            "output": whole.text("description"),
            "link": whole.text("source_url"),
        }
    elif whole.text("type"):  # the event stream of Icinga 2
        result = whole.fields("check_result")
        values = {
            "host": whole.text("host"),
            "service": whole.text("service"),
            "state": whole.text("state"),
            "state_type": whole.text("state_type"),
            "notification_type": whole.text("type"),
            "output": result.text("output"),
            "time": whole.text("timestamp"),
            "author": whole.text("author"),
            "comment": whole.text("comment"),
        }
    elif host := whole.fields("host"):  # an EventCommand with nested objects
        service, result = whole.fields("service"), whole.fields("check_result")
        values = {
            "host": host.text("name"),
            "service": service.text("name"),
            "state": result.text("state", "exit_status"),
            "state_type": result.text("state_type"),
            "output": result.text("output"),
            "time": result.text("execution_end"),
        }
    else:
        return whole
    return Fields(values, notes=whole.notes)
