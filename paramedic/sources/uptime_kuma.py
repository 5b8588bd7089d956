"""Uptime Kuma's notification "Webhook": a heartbeat of a monitor (uptime-kuma documentation, "Notification Methods")."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit

from paramedic.alerts.alert import Status
from paramedic.alerts.draft import Draft, tags
from paramedic.alerts.payload import Fields, parsed_object
from paramedic.alerts.reading import Aside, Reading

NAME = "uptime_kuma"
BODY = "Uptime Kuma's webhook, as JSON or as a form."
EXAMPLE = """{
  "heartbeat": {
    "monitorID": 89,
    "status": 0,
    "time": "2026-01-31T09:30:00Z",
    "msg": "connect ECONNREFUSED 10.0.0.7:443",
    "important": true,
    "duration": 20,
    "timezoneOffset": "+00:00"
  },
  "monitor": {
    "id": 89,
    "name": "tracking-api",
    "url": "https://tracking.example.com/health",
    "hostname": null,
    "port": null,
    "type": "http",
    "tags": [{"name": "service", "value": "tracking-api"}]
  },
  "msg": "[tracking-api] [Down] connect ECONNREFUSED 10.0.0.7:443"
}"""

#: What a heartbeat's status says; 2 is pending (a retry is under way), 3 is maintenance.
_STATUS: Mapping[str, Status] = {"0": Status.FIRING, "1": Status.RESOLVED}


def read(headers: Mapping[str, str], body: bytes) -> Reading:
    """The alert of the body, or an aside (a test, a certificate that ends soon). Raises BadPayload for what is no JSON object."""
    if "x-www-form-urlencoded" in headers.get("content-type", ""):
        body = parse_qs(body.decode("utf-8", "replace")).get("data", [""])[0].encode()
    fields = parsed_object(body, "Uptime Kuma")
    beat, monitor = fields.fields("heartbeat"), fields.fields("monitor")
    status = _STATUS.get(beat.text("status"))
    if status is None or not monitor:
        pending = {"2": "is pending", "3": "is under maintenance"}.get(beat.text("status"))
        what = (
            f"says that a monitor {pending}"
            if pending
            else "is a word of Uptime Kuma's about no monitor, as its test is"
        )
        return Reading(asides=(Aside(body.decode("utf-8", "replace"), what),))
    name = monitor.text("name") or f"monitor {monitor.text('id')}"
    url = monitor.text("url")
    moment = _moment(beat)
    return Reading(
        (
            Draft(
                source=NAME,
                name=name,
                status=status,
                identity=(monitor.text("id") or name,),
                starts_at=moment if status is Status.FIRING else None,
                ends_at=moment if status is Status.RESOLVED else None,
                labels={
                    **_tags(monitor),
                    "instance": monitor.text("hostname") or _host(url) or name,
                    "monitor": monitor.text("id"),
                    "type": monitor.text("type"),
                    "url": url if url not in ("https://", "http://") else "",
                },
                annotations={"summary": beat.text("msg") or fields.text("msg"), "group": monitor.text("pathName")},
                notes=fields.notes,
            ).alert(),
        )
    )


def _moment(beat: Fields) -> datetime | None:
    """The heartbeat's time, which is UTC without saying so; else its local time by its offset."""
    if beat.text("time"):
        return beat.moment("time") if beat.text("time")[-1:] == "Z" else _utc(beat, "time")
    local = _utc(beat, "localDateTime")
    return None if local is None else local - _offset(beat.text("timezoneOffset"))


def _utc(beat: Fields, name: str) -> datetime | None:
    return Fields({name: beat.text(name)}, beat.at, []).moment(name)  # that it names no zone is nothing to be told


def _offset(text: str) -> timedelta:
    try:
        found = datetime.fromisoformat(f"2000-01-01T00:00:00{text}").utcoffset()
    except ValueError:
        found = None
    return found or timedelta()


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _tags(monitor: Fields) -> dict[str, str]:
    found = [Fields(tag) for tag in monitor.list("tags")]
    return tags([f"{tag.text('name')}:{tag.text('value')}" for tag in found if tag.text("name")])
