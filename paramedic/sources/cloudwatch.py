"""Amazon CloudWatch's alarms by SNS (SNS documentation, "Verifying the signatures of Amazon SNS messages").

Anybody may subscribe our address to a topic of theirs, so a signature alone proves nothing: the topic must be one of the setting
`sns_topics`. A subscription is confirmed for those alone.
"""

import base64
import json
import re
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from paramedic.alerts.alert import Status
from paramedic.alerts.draft import Draft
from paramedic.alerts.payload import Fields, parsed_object
from paramedic.alerts.reading import Aside, BadPayload, Reading

if TYPE_CHECKING:  # loaded by the gateway when the first message is to be checked: `runbook lint` needs none of it
    from cryptography.hazmat.primitives.asymmetric import rsa

NAME = "cloudwatch"
BODY = "Amazon SNS's message with a CloudWatch alarm, as it is delivered, raw, or in a Lambda's envelope."
_EXAMPLE_ALARM = {
    "AlarmName": "tracking-api is slow",
    "AlarmDescription": "p95 above 300 ms\nseverity: critical\nservice: tracking-api",
    "AWSAccountId": "123456789012",
    "NewStateValue": "ALARM",
    "NewStateReason": "Threshold Crossed: 0.34 was greater than the threshold (0.3).",
    "StateChangeTime": "2026-01-31T09:30:00.000+0000",
    "Region": "EU (Ireland)",
    "OldStateValue": "OK",
    "Trigger": {
        "MetricName": "TargetResponseTime",
        "Namespace": "AWS/ApplicationELB",
        "Dimensions": [{"value": "app/shop/1", "name": "LoadBalancer"}],
    },
}
EXAMPLE = json.dumps(
    {
        "Type": "Notification",
        "MessageId": "e288882d-4281-5be4-8fde-dccc11c8cb01",
        "TopicArn": "arn:aws:sns:eu-west-1:123456789012:alarms",
        "Subject": "ALARM: tracking-api is slow in EU (Ireland)",
        "Message": json.dumps(_EXAMPLE_ALARM),
        "Timestamp": "2026-01-31T09:30:00.000Z",
        "SignatureVersion": "2",
        "Signature": "",
        "SigningCertURL": "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService.pem",
    },
    indent=2,
)

#: The setting with the topics that may post here, by a name for each.
CREDENTIALS = "sns_topics"

_STATES: Mapping[str, Status] = {"ALARM": Status.FIRING, "OK": Status.RESOLVED}

#: Where SNS's certificates and confirmations are: nothing else is asked for.
_OF_SNS = re.compile(r"https://sns\.[a-z0-9-]{2,32}\.amazonaws\.com(?:\.cn)?/[A-Za-z0-9._/?&=:%+*-]{1,2000}")

_SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    "UnsubscribeConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
_HASHES: Mapping[str, str] = {"1": "SHA1", "2": "SHA256"}

#: What an alarm's description may say in a line of its own: CloudWatch has no field for it, and sends no tags.
_SAID = re.compile(r"^(severity|service|env|instance|team)[ \t]*[:=][ \t]*([^\s]{1,200})[ \t]*$", re.MULTILINE)

#: So long SNS has for a certificate or a confirmation; it waits 15 s for our answer.
_SECONDS = 5.0

_CERTIFICATE_BYTES = 65_536

_certificates: "dict[str, rsa.RSAPublicKey]" = {}
_lock = threading.Lock()


def authentic(_headers: Mapping[str, str], body: bytes, credential: str) -> bool:
    """Whether SNS signed the message, and it is of the topic `credential` (an ARN). Asks SNS for its certificate, once."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        return False
    if not isinstance(message, dict) or message.get("TopicArn") != credential:
        return False
    return _is_signed({name: value for name, value in message.items() if isinstance(value, str)})


def _is_signed(message: Mapping[str, str]) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    names, algorithm = _SIGNED.get(message.get("Type", "")), _HASHES.get(message.get("SignatureVersion", ""))
    url = message.get("SigningCertURL", "")
    if names is None or algorithm is None or not _OF_SNS.fullmatch(url) or not url.endswith(".pem"):
        return False
    words = "".join(f"{name}\n{message[name]}\n" for name in names if name in message)
    try:
        signature = base64.b64decode(message.get("Signature", ""), validate=True)
        _key(url).verify(signature, words.encode(), padding.PKCS1v15(), getattr(hashes, algorithm)())
    except (InvalidSignature, ValueError, OSError):
        return False
    return True


def _key(url: str) -> "rsa.RSAPublicKey":
    """The key of SNS's certificate there. Raises OSError where it cannot be had, ValueError where it is none."""
    with _lock:
        if url in _certificates:
            return _certificates[url]
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = x509.load_pem_x509_certificate(fetched(url)).public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        raise ValueError("SNS's certificate has no RSA key")  # noqa: TRY004 - as a certificate that is none
    with _lock:
        if len(_certificates) >= 32:
            _certificates.clear()
        _certificates[url] = key
    return key


def fetched(url: str) -> bytes:
    """What SNS answers there. Raises OSError."""
    from paramedic.transports import http_deadline

    try:
        with http_deadline.client(seconds=_SECONDS) as client:
            answer = client.get(url)
    except Exception as error:
        raise OSError(f"SNS does not answer: {type(error).__name__}") from error
    if answer.status_code != 200 or len(answer.content) > _CERTIFICATE_BYTES:
        raise OSError(f"SNS answers {answer.status_code}")
    return answer.content


def confirm(body: bytes, credentials: Mapping[str, str]) -> str | None:
    """Confirm the subscription that the body asks for, if its topic is one of these; what came of it, None if it asks for none.

    The gateway calls it once the body is kept.
    """
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict) or message.get("Type") != "SubscriptionConfirmation":
        return None
    topic, url = str(message.get("TopicArn")), str(message.get("SubscribeURL"))
    if topic not in credentials.values():
        return f"the subscription of {topic[:256]!r} was not confirmed: sns_topics does not list it"
    if not _OF_SNS.fullmatch(url):
        return f"the subscription of {topic} was not confirmed: its address is not SNS's"
    try:
        fetched(url)
    except OSError as error:
        return f"the subscription of {topic} was not confirmed: {error}"
    return f"the subscription of {topic} is confirmed"


def read(_headers: Mapping[str, str], body: bytes) -> Reading:
    """The alarm's alert, or an aside. Raises BadPayload for what is no JSON object."""
    whole = parsed_object(body, "Amazon SNS")
    text = body.decode("utf-8", "replace")
    records = whole.list("Records")
    envelope = Fields(records[0]).fields("Sns") if records else whole
    kind = envelope.text("Type")
    if kind in ("SubscriptionConfirmation", "UnsubscribeConfirmation"):
        return Reading(asides=(_subscription(kind, envelope, text),))
    message = envelope.text("Message")
    alarm = _inner(message) if message else envelope
    status = _STATES.get(alarm.text("NewStateValue").upper())
    if not alarm.text("AlarmName") or status is None:
        return Reading(asides=(_other(alarm, text),))
    return Reading((_draft(alarm, status, envelope).alert(),))


def _inner(message: str) -> Fields:
    try:
        return parsed_object(message.encode(), "Amazon CloudWatch")
    except BadPayload:
        return Fields({"text": message})  # somebody publishes plain text to the topic


def _subscription(kind: str, envelope: Fields, body: str) -> Aside:
    topic = envelope.text("TopicArn")[:256]
    if kind == "UnsubscribeConfirmation":
        return Aside(body, f"says that the subscription of {topic} has ended: no alarm of it comes any more", tell=True)
    return Aside(
        body, f"asks to confirm the subscription of {topic}, which is done where sns_topics lists it", tell=True
    )


def _other(alarm: Fields, body: str) -> Aside:
    state = alarm.text("NewStateValue")
    if alarm.text("AlarmName"):
        return Aside(body, f"is an alarm of CloudWatch's that is {state[:40] or 'in no state'}: it has no data")
    kind = alarm.text("detail-type") or "message"
    return Aside(body, f"is {kind[:60]} of a topic, and no alarm")


def _draft(alarm: Fields, status: Status, envelope: Fields) -> Draft:
    trigger = alarm.fields("Trigger")
    moment = alarm.moment("StateChangeTime") or envelope.moment("Timestamp")
    account, region = alarm.text("AWSAccountId"), alarm.text("Region")
    dimensions, said = _dimensions(trigger), dict(_SAID.findall(alarm.text("AlarmDescription")))
    return Draft(
        source=NAME,
        name=alarm.text("AlarmName"),
        status=status,
        identity=(account, region, alarm.text("AlarmName")),
        severity=said.pop("severity", ""),
        starts_at=moment if status is Status.FIRING else None,
        ends_at=moment if status is Status.RESOLVED else None,
        labels={
            **dimensions,
            **said,
            "instance": dimensions.get("InstanceId", ""),
            "account": account,
            "region": region,
            "metric": trigger.text("MetricName"),
            "aws_namespace": trigger.text("Namespace"),
        },
        annotations={
            "summary": alarm.text("AlarmDescription") or envelope.text("Subject"),
            "description": alarm.text("NewStateReason"),
            "topic": envelope.text("TopicArn"),
            "state_before": alarm.text("OldStateValue"),
        },
        notes=alarm.notes,
    )


def _dimensions(trigger: Fields) -> dict[str, Any]:
    """Labels of the metric's dimensions."""
    known = [Fields(pair) for pair in trigger.list("Dimensions")]
    return {
        name: pair.text("value", "Value")
        for pair in known
        if (name := re.sub(r"\W+", "_", pair.text("name", "Name")).strip("_"))
    }
