"""StatefulSets of Kubernetes: `statefulset: {name: tracking-db, namespace: shop}` on a host that is a cluster."""

from paramedic.kubernetes import changes as recent
from paramedic.kubernetes import evidence, gitops, gitops_repository, logs, target
from paramedic.kubernetes.workload import STATEFUL_SET, is_another, is_up

LABEL = "statefulset"
REMEDIES = ("restart", "scale", "delete_pod", "roll_back_to")
UNDOES = ("scale", "roll_back_to")
RENEWS = ("restart", "roll_back_to")
RELEASES_ARE_NOTED = True
ASKED = target.ASKED
REACHED_BY = "kubernetes"

Words = target.ScalableWords
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

    form = STATEFUL_SET


class Changer(target.Changer):
    """Changes one of them."""

    form = STATEFUL_SET


class Releases(target.Releases):
    """Looks at the releases of one of them."""

    form = STATEFUL_SET


EVIDENCE = evidence.of(STATEFUL_SET)
changes = recent.of(STATEFUL_SET)
log_lines = logs.lines_of(STATEFUL_SET)
forbidden = target.forbidden_by(STATEFUL_SET)
readiness = target.readiness_of(STATEFUL_SET)
foreseen = target.foreseen_by(STATEFUL_SET)
