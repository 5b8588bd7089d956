"""Writes every message of `message_cases` into a folder of files that a reviewer reads: `make golden` renews them."""

from pathlib import Path

from message_cases import cases

from paramedic.kinds.message import Message

FOLDER = Path(__file__).parent / "messages" / "golden"


def files() -> dict[str, str]:
    """The files by name: the text of each message with its subject and short form, and its HTML."""
    found = {}
    for called, write in cases():
        written = write()
        found[f"{called}.txt"] = _text(written)
        found[f"{called}.html"] = written.html
    return found


def _text(written: Message) -> str:
    return f"Subject: {written.subject}\n\n{written.text}\n--- the short form ---\n{written.short()}\n"


def renew() -> None:
    """Write them anew, and remove those of messages that are no more."""
    now = files()
    for old in FOLDER.iterdir():
        if old.name not in now:
            old.unlink()
    for called, text in now.items():
        (FOLDER / called).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    renew()
