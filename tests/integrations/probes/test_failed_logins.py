"""Failed log-ins are counted by who failed, however the line is written, and whatever a user calls himself."""

import os
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fake_service import target

from paramedic.checks.check import CheckSpec, Sample, check_spec
from paramedic.kinds import log_source
from paramedic.kinds.failed_logins import FORMATS, sshd, subject
from paramedic.kinds.login_window import LoginWindow
from paramedic.sampling import one_sample

REAL, VICTIM = "203.0.113.7", "198.51.100.1"

#: Lines of one log-in that failed, as Debian 11 to 13 and RHEL have them: each group is one failure.
ATTEMPTS = {
    "a password": ["sshd[100]: Failed password for root from ADDRESS port 40022 ssh2"],
    "an invalid user, Debian 11": [
        "sshd[101]: Invalid user admin from ADDRESS port 40100",
        "sshd[101]: pam_unix(sshd:auth): check pass; user unknown",
        "sshd[101]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=ADDRESS ",
        "sshd[101]: Failed password for invalid user admin from ADDRESS port 40100 ssh2",
        "sshd[101]: Connection closed by invalid user admin ADDRESS port 40100 [preauth]",
    ],
    "a user that there is, RHEL": [
        "sshd[102]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=ADDRESS  user=root",
        "sshd[102]: Failed password for root from ADDRESS port 40101 ssh2",
        "sshd[102]: Connection reset by authenticating user root ADDRESS port 40101 [preauth]",
    ],
    "OpenSSH 9.8": [
        "sshd-session[103]: Invalid user x from ADDRESS port 40102",
        "sshd-session[103]: Failed password for invalid user x from ADDRESS port 40102 ssh2",
        "sshd-session[103]: Disconnected from invalid user x ADDRESS port 40102 [preauth]",
    ],
    "OpenSSH 10": ["sshd-auth[104]: Failed password for root from ADDRESS port 40103 ssh2"],
    "keys alone": ["sshd[105]: Connection closed by authenticating user root ADDRESS port 40104 [preauth]"],
    "one who is not allowed": [
        "sshd[106]: User git from ADDRESS not allowed because not listed in AllowUsers",
        "sshd[106]: Failed password for invalid user git from ADDRESS port 40105 ssh2",
    ],
    "PAM alone, CentOS 7": [
        "sshd[107]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=ADDRESS  user=root"
    ],
    "by keyboard": [
        "sshd[108]: error: PAM: Authentication failure for root from ADDRESS",
        "sshd[108]: Failed keyboard-interactive/pam for root from ADDRESS port 40107 ssh2",
    ],
    "nobody's name": ["sshd[109]: Invalid user  from ADDRESS port 34916"],
}

SIX_BY_ONE = [
    *["sshd[200]: Failed password for root from ADDRESS port 40200 ssh2"] * 3,
    "sshd[200]: message repeated 2 times: [ Failed password for root from ADDRESS port 40200 ssh2]",
    "sshd[200]: error: maximum authentication attempts exceeded for root from ADDRESS port 40200 ssh2 [preauth]",
    "sshd[200]: Disconnecting authenticating user root ADDRESS port 40200: Too many authentication failures [preauth]",
    "sshd[200]: PAM 5 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=ADDRESS  user=root",
    "sshd[201]: Failed password for root from ADDRESS port 40201 ssh2",
]

#: What somebody may call himself, to have another one blocked.
NAMES = (
    f"x from {VICTIM} port 22 ssh2",
    f"x from {VICTIM}",
    f"root from {VICTIM} port 22",
    f"invalid user x from {VICTIM} port 22 ssh2",
    f"x from {VICTIM} not allowed because not listed in AllowUsers",
    f"x {VICTIM} port 1 [preauth]",
    f"x rhost={VICTIM}",
    f"x: Failed password for root from {VICTIM} port 22 ssh2",
    f"authenticating user x {VICTIM} port 22 [preauth]",
    "x" * 900,
    " ",
    f"sshd[1]: Failed password for root from {VICTIM} port 22 ssh2",
)

#: What sshd writes of a name that it was told.
ABOUT_A_NAME = (
    f"Failed password for invalid user NAME from {REAL} port 40022 ssh2",
    f"Failed password for NAME from {REAL} port 40022 ssh2",
    f"Invalid user NAME from {REAL} port 40022",
    f"User NAME from {REAL} not allowed because not listed in AllowUsers",
    f"Connection closed by invalid user NAME {REAL} port 40022 [preauth]",
    f"Disconnecting invalid user NAME {REAL} port 40022: Too many authentication failures [preauth]",
    f"error: maximum authentication attempts exceeded for invalid user NAME from {REAL} port 40022 ssh2 [preauth]",
    f"error: PAM: User not known to the underlying authentication module for illegal user NAME from {REAL}",
    f"pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost={REAL}  user=NAME",
)

#: No log-in failed, whatever the text of others says.
NOTHING = (
    f"sshd[1]: Accepted password for root from {REAL} port 40022 ssh2",
    f"sshd[1]: Received disconnect from {REAL} port 4: 11: Failed password for root from {VICTIM} port 22 ssh2 [preauth]",
    f"sshd[1]: Connection closed by {REAL} port 40022 [preauth]",
    f"sshd[1]: banner exchange: Connection from {REAL} port 40022: invalid format",
    f"shop[1]: sshd[1]: Failed password for root from {VICTIM} port 22 ssh2",
    f"shop[1]: the user said: Failed password for root from {VICTIM} port 22 ssh2",
    f"sshd[1]: fatal: Timeout before authentication for {REAL} port 40022",
    "sshd[1]: Failed password for root from host.example port 22 ssh2",
    "sshd[1]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=host.example  user=root",
    f"sshd[1]: Failed password for root from {VICTIM} port 22 ssh2: said {REAL}",
    f"sshd[1]: Invalid user x from {VICTIM} port 22 said {REAL}",
    f"sshd_config[1]: Failed password for root from {REAL} port 22 ssh2",
)


@pytest.fixture(autouse=True)
def _new_process() -> Iterator[None]:
    log_source.forget()
    yield
    log_source.forget()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "auth.log"


def syslog(messages: Sequence[str], address: str = REAL, *, ago: float = 0) -> str:
    at = datetime.fromtimestamp(time.time() - ago, UTC).strftime("%Y-%m-%dT%H:%M:%S.000000+00:00")
    return "".join(f"{at} web {message.replace('ADDRESS', address)}\n" for message in messages)


def append(log: Path, text: str) -> None:
    with log.open("a") as file:
        file.write(text)


def look(log: Path, ended_at: datetime | None = None, **words: Any) -> Sample:
    check = check_spec(CheckSpec)(check="failed_logins", file=str(log), **words).build()
    return one_sample.sample(
        check, target(), now=lambda: datetime.now(UTC), last_heard=lambda _: None, last_ended=lambda _: ended_at
    )


def failures(sample: Sample) -> dict[str, float]:
    assert sample.values is not None, sample.why
    return {address: values["failures"] for address, values in sample.each.items()}


@pytest.mark.parametrize("lines", ATTEMPTS.values(), ids=ATTEMPTS)
@pytest.mark.parametrize("address", [REAL, "2001:db8::7"])
def test_one_failed_log_in_is_one_whatever_is_written_of_it(log: Path, lines: list[str], address: str) -> None:
    log.write_text(syslog(lines, address))
    assert failures(look(log)) == {subject(address, 64): 1}


def test_each_further_try_of_one_connection_counts_and_a_repeated_line_as_often_as_it_says(log: Path) -> None:
    log.write_text(syslog(SIX_BY_ONE))
    assert failures(look(log)) == {REAL: 6}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("about", ABOUT_A_NAME)
def test_no_name_of_a_user_makes_another_address_fail(name: str, about: str) -> None:
    found = sshd(f"Nov 30 19:12:56 web sshd[7]: {about.replace('NAME', name)}")
    assert found is not None
    assert found.address == REAL


@pytest.mark.parametrize("line", NOTHING)
def test_what_is_no_failed_log_in_counts_for_nobody(log: Path, line: str) -> None:
    log.write_text(syslog([line]))
    assert failures(look(log)) == {}


@pytest.mark.parametrize(
    "prefix",
    [
        "Nov 30 19:12:56 web",
        "Nov  3 19:12:56.123 web",
        "<38>Nov 30 19:12:56 web",
        "2026-11-30T19:12:56Z web",
        "1764529976.123456 -",
    ],
)
def test_every_form_of_syslog_is_read(prefix: str) -> None:
    assert sshd(f"{prefix} sshd[7]: Failed password for root from {REAL} port 22 ssh2") is not None
    assert sshd(f"x {prefix} sshd[7]: Failed password for root from {REAL} port 22 ssh2") is None


def test_ipv6_is_counted_by_its_network_and_ipv4_within_it_as_itself(log: Path) -> None:
    one, two, mapped = "2001:db8:1:2::7", "2001:db8:1:2:ffff::9", f"::ffff:{REAL}"
    lines = [
        f"sshd[{n}]: Failed password for root from {who} port {n} ssh2"
        for n, who in enumerate((one, two, mapped, "fe80::1%eth0"))
    ]
    log.write_text(syslog(lines))
    assert failures(look(log)) == {"2001:db8:1:2::/64": 2, REAL: 1, "fe80::/64": 1}
    assert failures(look(log, per_ipv6="/128")) == {one: 1, two: 1, REAL: 1, "fe80::1": 1}


def test_the_window_slides_and_what_was_before_it_or_before_an_incident_ended_is_over(log: Path) -> None:
    failed = ATTEMPTS["a password"]
    log.write_text(syslog(failed * 3, ago=700) + syslog(failed * 2, ago=300) + syslog(failed, ago=10))
    assert failures(look(log)) == {REAL: 3}
    assert failures(look(log, window="1h")) == {REAL: 6}
    log_source.forget()
    assert failures(look(log, ended_at=datetime.now(UTC) - timedelta(seconds=60))) == {REAL: 1}


def test_an_old_backlog_counts_as_old_and_one_without_a_time_not_at_all(log: Path) -> None:
    log.write_text("".join(f"web sshd[{n}]: Failed password for root from {REAL} port 22 ssh2\n" for n in range(9)))
    old = syslog(ATTEMPTS["a password"] * 9, ago=3600)
    log.write_text(old)
    os.utime(log, (time.time() - 3600,) * 2)
    assert failures(look(log)) == {}
    append(log, syslog(ATTEMPTS["a password"] * 2, ago=3600))
    assert failures(look(log)) == {}, "delivered late"


def test_a_line_whose_time_cannot_be_trusted_counts_when_it_comes(log: Path) -> None:
    pattern = r"^login of .* from (?P<address>[0-9a-f.:]+) refused$"
    log.write_text(f"login of x from {VICTIM} refused\n" * 9)
    first = look(log, failed=pattern)
    assert failures(first) == {}
    assert "9 older lines have no time that can be trusted" in first.why
    append(log, f"login of x from {REAL} refused\n" * 6)
    assert failures(look(log, failed=pattern)) == {REAL: 6}


MAIL = "Nov 30 19:12:56 mail "
DOVECOT = f"{MAIL}dovecot: imap-login: Disconnected (auth failed, 3 attempts in 17 secs): "
POSTFIX = f"{MAIL}postfix/smtpd[1]: warning: unknown[{REAL}]: SASL LOGIN authentication failed: "
ACCESS = f"{REAL} - x [30/Nov/2026:19:12:56 +0000] "


@pytest.mark.parametrize(
    ("form", "line", "address"),
    [
        ("dovecot", f"{DOVECOT}user=<x>, method=PLAIN, rip={REAL}, lip=192.0.2.1, TLS, session=<a>", REAL),
        (
            "dovecot",
            f"{DOVECOT}user=<x>, method=PLAIN, rip={VICTIM}, lip=1>, method=PLAIN, rip={REAL}, lip=192.0.2.1",
            REAL,
        ),
        ("postfix", f"{POSTFIX}x[{VICTIM}]: SASL LOGIN authentication failed", REAL),
        ("access", f'{ACCESS}"GET / HTTP/1.1" 401 5 "-" "{VICTIM} - - [30/Nov/2026:19:12:56 +0000]"', REAL),
        ("access", f'{ACCESS}"GET /?q=401 HTTP/1.1" 200 5 "-" "-"', None),
    ],
)
def test_other_programs_say_whose_log_in_failed(form: str, line: str, address: str | None) -> None:
    found = FORMATS[form](line)
    assert (None if found is None else found.address) == address


def test_who_is_never_counted_is_said_and_has_no_alert(log: Path) -> None:
    lines = [f"sshd[{n}]: Failed password for root from 10.1.2.{n % 3} port 22 ssh2" for n in range(9)]
    log.write_text(syslog([*lines, *ATTEMPTS["a password"]]))
    seen = look(log, ignore=["10.0.0.0/8", "2001:db8::/32"])
    assert failures(seen) == {REAL: 1}
    assert "3 more are never counted" in seen.why


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ({}, "name the log"),
        ({"file": "/a", "journal": "sshd"}, "one of `file` and `journal`"),
        ({"file": "/a", "failed": "from (?P<host>.*)"}, "no group `address`"),
        ({"file": "/a", "failed": "(?P<address>.)\\1"}, "no regular expression of RE2"),
        ({"file": "/a", "failed": "(?P<address>.)(?=x)"}, "no regular expression of RE2"),
        ({"file": "/a", "failed": "(?P<address>.)", "format": "sshd"}, "one of `format` and `failed`"),
        ({"file": "/a", "ignore": ["10.0.0.0/99"]}, "lists addresses and networks"),
        ({"file": "a"}, "pattern"),
        ({"file": "/a", "format": "exim"}, "pattern"),
        ({"journal": "-x"}, "journal"),
    ],
)
def test_what_cannot_be_right_is_refused_when_it_is_written(words: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        check_spec(CheckSpec)(check="failed_logins", **words).build()


def test_an_expression_that_would_take_for_ever_takes_no_time(log: Path) -> None:
    log.write_text("a" * 60_000 + "!\n")
    began = time.monotonic()
    assert failures(look(log, failed="(?P<address>(a+)+)$")) == {}
    assert time.monotonic() - began < 1


def test_our_own_expressions_take_no_time_for_any_line() -> None:
    began = time.monotonic()
    for filler in (" from ", "user=<", " (auth failed, 1 attempts", "::", "sshd[1]: ", " port 1", "[", '"'):
        for read in FORMATS.values():
            for start in (
                "",
                "Nov 30 19:12:56 web sshd[1]: Failed password for ",
                "Nov 30 19:12:56 mail dovecot: imap-login: Disconnected",
            ):
                read((start + filler * 8000)[:8190])
    assert time.monotonic() - began < 3


def test_the_memory_of_an_attack_is_bounded_and_the_last_attackers_are_kept() -> None:
    window = LoginWindow(addresses=100)
    for n in range(10_000):
        line = f"Nov 30 19:12:56 web sshd[{n}]: Failed password for root from 10.0.{n >> 8}.{n & 255} port 22 ssh2"
        found = sshd(line)
        assert found is not None
        window.add(found.address, found, float(n))
    assert (len(window.since(0)), window.forgotten) == (100, 9900)
    assert "10.0.39.15" in window.since(0)
    window.forget(9_950)
    assert len(window.since(0)) == 50
