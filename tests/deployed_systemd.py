"""A real systemd in which Paramedic is installed as docs/production.md says: its user, its folders, its unit as it is shipped.

The folders /opt and /srv, the users and /etc/default are the namespaces' own: nothing of the machine's is touched.
"""

import os
import shutil
import sys
import sysconfig
from pathlib import Path

from required import missing

from paramedic.cli.init import FILES
from paramedic.demo.world import free_port
from paramedic.settings import ROOT

UNIT = ROOT / "deployments" / "systemd" / "paramedic.service"

#: The user `paramedic`, whom the machine does not have.
UID = 64210

STAGE = """
mount -t tmpfs -o mode=755 tmpfs /opt
mkdir /opt/paramedic /opt/python /opt/packages
mount --bind {root} /opt/paramedic
mount --bind {python} /opt/python
mount --bind {packages} /opt/packages
mount --bind "$folder/venv" /opt/paramedic/.venv
mount -t tmpfs -o mode=755 tmpfs /srv
mkdir /srv/paramedic
mount --bind "$folder/srv" /srv/paramedic
mount --bind "$folder/passwd" /etc/passwd
mount --bind "$folder/group" /etc/group
mount --bind "$folder/default" /etc/default
"""


def install(folder: Path, **more: str) -> dict[str, str]:
    """Lay it out in the folder of a systemd that is to be started; returns the settings that the unit is given.

    `more` is given to it too. Its data folder is `srv/data` in that folder, and /srv/paramedic/data to itself.
    """
    if Path(sys.prefix) != ROOT / ".venv":
        missing(f"Python runs from {sys.prefix}, and not from the checkout's .venv")
    packages = sysconfig.get_path("purelib")
    stage = STAGE.format(root=ROOT, python=sys.base_prefix, packages=packages)
    (folder / "stage.sh").write_text(stage)
    for name, line in {
        "passwd": f"paramedic:x:{UID}:{UID}::/srv/paramedic:/usr/sbin/nologin",
        "group": f"paramedic:x:{UID}:",
    }.items():
        (folder / name).write_text(f"{Path('/etc', name).read_text()}{line}\n")
    _venv(folder / "venv")
    ports = {"PARAMEDIC_PORT": str(free_port()), "PREFECT_SERVER_API_PORT": str(free_port())} | more
    environment = folder / "default" / "paramedic"
    environment.parent.mkdir()
    library = {"LD_LIBRARY_PATH": "/opt/python/lib"}  # a Python that was built for another folder finds its own there
    environment.write_text("".join(f"{name}={value}\n" for name, value in (ports | library).items()))
    environment.chmod(0o600)
    _srv(folder / "srv")
    return ports


def _venv(venv: Path) -> None:
    """An environment at /opt/paramedic/.venv, which finds our packages, and a Python that every user may run."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = venv / "lib" / version / "site-packages"
    site.mkdir(parents=True)
    (site / "paths.pth").write_text("/opt/paramedic\n/opt/packages\n")
    (venv / "bin").mkdir()
    (venv / "bin" / "python").symlink_to(f"/opt/python/bin/{version}")
    (venv / "pyvenv.cfg").write_text("home = /opt/python/bin\ninclude-system-site-packages = false\n")
    command = venv / "bin" / "paramedic"
    command.write_text(
        "#!/opt/paramedic/.venv/bin/python\nimport sys\nfrom paramedic.cli import main\nsys.exit(main())\n"
    )
    command.chmod(0o755)


def _srv(srv: Path) -> None:
    for name, text in FILES.items():
        (srv / name).parent.mkdir(parents=True, exist_ok=True)
        (srv / name).write_text(text)
    (srv / "data").mkdir(mode=0o700)
    for path in (srv, *srv.rglob("*")):
        os.chown(path, UID, UID)
    (srv / "paramedic.toml").chmod(0o600)


def ship(folder: Path) -> None:
    """The unit, as it is shipped."""
    shutil.copy(UNIT, folder / "units" / UNIT.name)
