"""`paramedic doctor` goes each way that a page or a change will go, by the same code, and sends and starts nothing."""

import json
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from certificates import Authority
from endless_servers import dripping, scripted

from paramedic.cli import doctor, main
from paramedic.cli.doctor_channels import channels, mail
from paramedic.cli.doctor_targets import commands, targets
from paramedic.cli.finding import Finding
from paramedic.demo.world import free_port
from paramedic.integrations.channels import webhook
from paramedic.kinds.message import Message
from paramedic.oncall.contact import parse_contact_method
from paramedic.paging import sending
from paramedic.settings import Settings, load_settings

pytestmark = pytest.mark.usefixtures("_nothing_set")

PEOPLE = """\
people:
  ada: {{name: Ada, ways: [{ada}]}}
  ben: {{name: Ben, ways: [{ben}]}}
rotation: {{zone: UTC, starts: 2026-01-05 09:00, every: 1 week, people: [ada]}}
policies:
  default: {{rungs: [{{tell: oncall}}, {{tell: ben, after: 10m}}], repeat: 30m}}
"""

Server = Callable[..., "Mailserver"]


class Mailserver:
    """A strict mail server: says no to names without a dot, knows one password, and `says` what it likes to recipients."""

    def __init__(self) -> None:
        self.says: dict[str, str] = {}
        self.asked: list[str] = []
        self.names: list[str] = []
        self.sent = 0
        self.port = free_port()

    def login(self, _server: SMTP, _session: Session, _: Envelope, _how: str, data: LoginPassword) -> AuthResult:
        return AuthResult(success=data.password == b"right", handled=False)

    async def handle_MAIL(self, _s: SMTP, _session: Session, envelope: Envelope, sender: str, _o: Any) -> str:  # noqa: N802
        envelope.mail_from = sender
        return self.says.get("MAIL", "250 OK")

    async def handle_RCPT(self, _s: SMTP, session: Session, envelope: Envelope, to: str, _o: Any) -> str:  # noqa: N802
        self.asked.append(to)
        self.names.append(session.host_name or "")
        if "." not in (session.host_name or ""):
            return f"504 5.5.2 <{session.host_name}>: Helo command rejected: need fully-qualified hostname"
        if to in self.says:
            return self.says[to]
        envelope.rcpt_tos.append(to)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, _envelope: Envelope) -> str:  # noqa: N802
        self.sent += 1
        return "250 OK"


@pytest.fixture
def server() -> Iterator[Server]:
    running: list[Controller] = []

    def start(**options: Any) -> Mailserver:
        made = Mailserver()
        running.append(Controller(made, hostname="127.0.0.1", port=made.port, authenticator=made.login, **options))
        running[-1].start()
        return made

    yield start
    for controller in running:
        controller.stop(no_assert=True)


@pytest.fixture
def of(tmp_path: Path) -> Callable[..., Settings]:
    """Settings with a folder of runbooks whose people are told by these ways."""

    def make(ada: str = "email:ada@example.org", ben: str = "email:ben@example.org", **given: Any) -> Settings:
        books = tmp_path / "books"
        books.mkdir(exist_ok=True)
        (books / "oncall.yaml").write_text(PEOPLE.format(ada=json.dumps(ada), ben=json.dumps(ben)))
        (books / "services.yaml").write_text(given.pop("services", "services: {}\n"))
        return load_settings(data=tmp_path / "data", runbooks=books, **given)

    return make


def smtp(server: Mailserver, login: str = "") -> str:
    return f"smtp://{login}127.0.0.1:{server.port}"


def would_send(settings: Settings, to: str = "email:ada@example.org") -> str:
    """What became of a page by this way."""
    message = Message("down", "It is down.", store="s", recipient="ada", id="1")
    try:
        sending.send(settings, sending.Round(10), parse_contact_method(to), message)
    except Exception as error:
        return str(error)
    return "sent"


def test_each_person_is_asked_about_up_to_rcpt_and_nothing_is_sent(server: Server, of: Any) -> None:
    there = server()
    found = mail(of(smtp_url=smtp(there)))
    assert found == Finding("mail", well=True, words="the mail server takes pages to 2 of 2 addresses")
    assert (there.asked, there.sent) == (["ada@example.org", "ben@example.org"], 0)
    there.says["ben@example.org"] = "550 5.1.1 no such person"
    found = mail(of(smtp_url=smtp(there)))
    assert not found.well
    assert found.words == "no page leaves to ben@example.org: the mail server answered 550: 5.1.1 no such person"
    assert there.sent == 0


def test_later_is_no_fault_of_ours(server: Server, of: Any) -> None:
    there = server()
    there.says["ada@example.org"] = "451 4.7.1 <ada@example.org>: Greylisted, try again in 60 seconds"
    found = mail(of(smtp_url=smtp(there)))
    assert found.well
    assert "later for ada@example.org: the mail server answered 451" in found.words
    there.says["MAIL"] = "450 4.7.1 try again"
    assert mail(of(smtp_url=smtp(there))).well


def test_a_name_without_a_dot_is_refused_and_another_is_a_setting(
    server: Server, of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = server()
    found = mail(of(smtp_url=smtp(there), mail_helo="paramedic"))
    assert not found.well
    assert "answered 504" in found.words
    assert found.words.endswith("mail_helo is the name that we give it")
    assert "answered 504" in would_send(of(smtp_url=smtp(there), mail_helo="paramedic")), "as the page does"
    named = of(smtp_url=smtp(there), mail_helo="paramedic.example.org")
    assert mail(named).well
    assert would_send(named) == "sent"
    monkeypatch.setattr(socket, "gethostname", lambda: "box")
    assert mail(of(smtp_url=smtp(there))).well, "a name without a domain is not given: the address is"
    assert there.names[-2:] == ["[127.0.0.1]"] * 2
    monkeypatch.setattr(socket, "gethostname", lambda: "box.example.org")
    mail(of(smtp_url=smtp(there)))
    assert there.names[-1] == "box.example.org"


def test_a_certificate_is_trusted_by_the_file_of_its_authority(server: Server, of: Any, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with authority.serving("localhost", datetime.now(UTC) + timedelta(days=9)):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "served.pem")
    there = server(tls_context=context)
    found = mail(of(smtp_url=smtp(there)))
    assert not found.well
    assert "the mail server's certificate is not trusted" in found.words
    assert "name its authority in mail_ca_file" in found.words
    gone = mail(of(smtp_url=smtp(there), mail_ca_file=tmp_path / "gone.pem"))
    assert "gone.pem cannot be used" in gone.words
    trusted = of(smtp_url=smtp(there).replace("127.0.0.1", "localhost"), mail_ca_file=authority.file)
    assert mail(trusted).well
    assert would_send(trusted) == "sent"
    another = mail(of(smtp_url=smtp(there), mail_ca_file=authority.file))
    assert "IP address mismatch" in another.words, "that of another server is not enough"


def test_a_wrong_password_is_named(server: Server, of: Any) -> None:
    there = server(auth_require_tls=False)
    found = mail(of(smtp_url=smtp(there, "ada:wrong@")))
    assert not found.well
    assert "no page leaves by mail: the mail server answered 535" in found.words
    assert mail(of(smtp_url=smtp(there, "ada:right@"))).well


def test_a_page_and_doctor_ask_the_same_port(of: Any) -> None:
    """With a login that is 587: with no port in the URL nothing but the words tell."""
    settings = of(smtp_url="smtp://ada:right@127.0.0.1")
    assert mail(settings).words.startswith("the mail server 127.0.0.1:587 does not answer")
    assert would_send(settings).startswith("the mail server 127.0.0.1:587 does not answer")
    assert "127.0.0.1:465 " in mail(of(smtp_url="smtps://127.0.0.1")).words


def test_nobody_told_by_mail_needs_no_server(of: Any) -> None:
    settings = of(ada="webhook:ops", ben="webhook:ops", smtp_url=f"smtp://127.0.0.1:{free_port()}")
    assert mail(settings) == Finding("mail", well=True, words="nobody is told by mail")


@contextmanager
def listening() -> Iterator[tuple[int, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as listens:
        listens.settimeout(10)
        yield listens.getsockname()[1], listens


WHSEC = "whsec_" + "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0"


def test_a_webhook_is_connected_to_and_nothing_is_posted(of: Any) -> None:
    with listening() as (port, there):
        ops = {"ops": {"url": f"http://127.0.0.1:{port}/p", "secret": WHSEC}}
        assert channels(of(ada="webhook:ops", ben="webhook:ops", channels=ops)).well
        line, _ = there.accept()
        with line:
            assert line.recv(1) == b"", "it was connected to, and closed"
    ops["ops"]["url"] = f"http://127.0.0.1:{free_port()}/p"
    found = channels(of(ada="webhook:ops", ben="webhook:ops", channels=ops))
    assert not found.well
    assert found.words.startswith(f"webhook:ops: 127.0.0.1:{ops['ops']['url'].split(':')[2][:-2]} does not answer")


def test_a_webhook_whose_certificate_or_secret_is_wrong_is_named(of: Any, tmp_path: Path) -> None:
    with Authority(tmp_path).serving("127.0.0.1", datetime.now(UTC) + timedelta(days=9)) as port:
        ops = {"ops": {"url": f"https://127.0.0.1:{port}/p", "secret": WHSEC}}
        found = channels(of(ada="webhook:ops", ben="webhook:ops", channels=ops))
    assert not found.well
    assert f"webhook:ops: the certificate of 127.0.0.1:{port} is not trusted" in found.words
    ops["ops"]["secret"] = "whsec_dG9vIHNob3J0"
    found = channels(of(ada="webhook:ops", ben="webhook:ops", channels=ops))
    assert "the webhook's secret has 9 bytes" in found.words


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nothing://like/this", "the channel's url is none that apprise knows"),
        ("json://127.0.0.1:{port}/p", "127.0.0.1:{port} does not answer"),
    ],
)
def test_what_apprise_cannot_reach_is_named(of: Any, url: str, words: str) -> None:
    port = free_port()
    chat = {"chat": {"url": url.format(port=port)}}
    found = channels(of(ada="apprise:chat", ben="webhook:none", channels=chat))
    assert not found.well
    assert f"apprise:chat: {words.format(port=port)}" in found.words
    assert "webhook:none: the setting `channels` names no none" in found.words


def test_one_channel_that_hangs_holds_up_no_other(of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paramedic.cli.doctor_channels._ANSWER_SECONDS", 0.3)
    with dripping("smtp") as port:
        found = mail(of(smtp_url=f"smtp://127.0.0.1:{port}"))
    assert not found.well
    assert "no whole answer" in found.words


COMMANDS = """\
services:
  app:
    targets:
      - host: localhost
        supervisord: {{program: app, address: "unix:///nowhere/s.sock"}}
        commands:
          drain: {{run: {run}, environment: {environment}, cwd: {cwd}, timeout: 5s}}
"""


@pytest.mark.parametrize(
    ("run", "environment", "cwd", "words"),
    [
        ("[/no/such/program]", "[]", "/", "this machine has no program '/no/such/program' that this user may run"),
        ("[/etc/passwd]", "[]", "/", "this machine has no program '/etc/passwd' that this user may run"),
        ("[/bin/true]", "[DRAIN_TOKEN]", "/", "needs DRAIN_TOKEN, which is not set here"),
        ("[/bin/true]", "[]", "/no/such/folder", "there is no folder /no/such/folder"),
    ],
)
def test_a_command_that_could_not_be_started_is_named(
    of: Any, run: str, environment: str, cwd: str, words: str
) -> None:
    found = commands(of(services=COMMANDS.format(run=run, environment=environment, cwd=cwd)))
    assert not found.well
    assert words in found.words
    assert found.words.startswith("drain of localhost/app: ")


def test_a_command_is_not_started_to_see_whether_it_could_be(
    of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRAIN_TOKEN", "there")
    run = json.dumps(["/bin/touch", str(tmp_path / "touched")])
    found = commands(of(services=COMMANDS.format(run=run, environment="[DRAIN_TOKEN]", cwd="/")))
    assert found == Finding("commands", well=True, words="1 can be started")
    assert not (tmp_path / "touched").exists()


def test_a_supervisord_that_refuses_the_login_is_named(of: Any) -> None:
    def refuse(line: socket.socket) -> None:
        line.recv(65_536)
        line.sendall(b"HTTP/1.0 401 Unauthorized\r\n\r\n")

    with scripted(refuse) as url:
        services = COMMANDS.format(run="[/bin/true]", environment="[]", cwd="/")
        found = targets(of(services=services.replace("unix:///nowhere/s.sock", url.rstrip("/"))))
    assert not found.well
    assert "answered 401: look at its address and login" in found.words


def test_a_channel_that_cannot_tell_is_left_alone(of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(webhook.Teller, "reach")
    ops = {"ops": {"url": f"http://127.0.0.1:{free_port()}/p", "secret": WHSEC}}
    settings = of(ada="webhook:ops", ben="webhook:ops", channels=ops)
    assert sending.reach(settings, sending.Round(5), [parse_contact_method("webhook:ops")]) is None
    assert channels(settings).well


def test_each_thing_that_is_wrong_has_a_line_of_its_own_and_what_to_do_comes_last(
    of: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    target = "      - {{host: web-{number}, supervisord: {{program: app, address: 'unix:///nowhere/{number}'}}}}\n"
    listed = "".join(target.format(number=number) for number in (1, 2))
    settings = of(services=f"services:\n  app:\n    targets:\n{listed}")
    settings.data.mkdir()
    monkeypatch.setenv("PARAMEDIC_RUNBOOKS", str(settings.runbooks))
    monkeypatch.setattr(doctor, "LOOKS", (targets,))
    with pytest.raises(SystemExit):
        main(["doctor", "--data", str(settings.data)])
    lines = [line for line in capsys.readouterr().out.splitlines() if "web-" in line or "start what" in line]
    assert lines[0].startswith("MEND  targets      web-1/app: ")
    assert lines[1].startswith(f"{' ' * 19}web-2/app: ")
    assert lines[2] == f"{' ' * 19}start what is down, or mend services.yaml"
