"""Deployments of Kubernetes: `deployment: {name: tracking-api, namespace: shop}` on a host that is a cluster."""

from paramedic.kubernetes import changes as recent
from paramedic.kubernetes import evidence, gitops, gitops_repository, logs, target
from paramedic.kubernetes.workload import DEPLOYMENT, is_another, is_up

LABEL = "deployment"
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

    form = DEPLOYMENT


class Changer(target.Changer):
    """Changes one of them."""

    form = DEPLOYMENT


class Releases(target.Releases):
    """Looks at the releases of one of them."""

    form = DEPLOYMENT


EVIDENCE = evidence.of(DEPLOYMENT)
changes = recent.of(DEPLOYMENT)
log_lines = logs.lines_of(DEPLOYMENT)
forbidden = target.forbidden_by(DEPLOYMENT)
readiness = target.readiness_of(DEPLOYMENT)
foreseen = target.foreseen_by(DEPLOYMENT)
