"""DaemonSets of Kubernetes: `daemonset: {name: node-agent, namespace: shop}` on a host that is a cluster."""

from paramedic.kubernetes import changes as recent
from paramedic.kubernetes import evidence, gitops, gitops_repository, logs, target
from paramedic.kubernetes.workload import DAEMON_SET, is_another, is_up

LABEL = "daemonset"
REMEDIES = ("restart", "delete_pod", "roll_back_to")
UNDOES = ("roll_back_to",)
RENEWS = ("restart", "roll_back_to")
RELEASES_ARE_NOTED = True
ASKED = target.ASKED
REACHED_BY = "kubernetes"

Words = target.Words
name_of = target.name_of
address_of = target.address_of
is_remote = target.is_remote
needs = target.needs
noted_as = target.noted_as
time_for = gitops.time_for
mark = gitops.mark
merged_by_people = gitops_repository.merged_by_people
running = is_up
restarted = is_another


class Reader(target.Reader):
    """Looks at one of them."""

    form = DAEMON_SET


class Changer(target.Changer):
    """Changes one of them."""

    form = DAEMON_SET


class Releases(target.Releases):
    """Looks at the releases of one of them."""

    form = DAEMON_SET


EVIDENCE = evidence.of(DAEMON_SET)
changes = recent.of(DAEMON_SET)
log_lines = logs.lines_of(DAEMON_SET)
forbidden = target.forbidden_by(DAEMON_SET)
readiness = target.readiness_of(DAEMON_SET)
foreseen = target.foreseen_by(DAEMON_SET)
