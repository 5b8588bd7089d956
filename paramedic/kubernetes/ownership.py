"""Who owns a workload beside people: Argo CD, Flux, Helm or an operator, which undo what is changed past them."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from paramedic.kubernetes.workload import Workload
from paramedic.remediation.target import Target
from paramedic.text.sanitize import one_line


@dataclass(frozen=True, slots=True)
class Owner:
    """One such tool, and the commands by which a person does there what is not done here."""

    words: str
    roll_back: str
    scale: str
    sync: str = ""  # what makes it look at its repository at once


def of(workload: Workload) -> Owner | None:
    """The owner that the workload's labels, annotations and references name; None where they name none."""
    labels, annotations = workload.labels, workload.annotations
    return (
        _argo(workload, labels, annotations)
        or _flux(labels)
        or _helm(workload, labels, annotations)
        or _operator(workload)
    )


def of_target(target: Target, workload: Workload) -> Owner | None:
    """The owner of the target's workload: as `of`, or where the cluster names none, as services.yaml says (`owner: gitops`)."""
    found = of(workload)
    if found is not None or getattr(target.words, "owner", None) is None:
        return found
    repository = getattr(target.words, "repository", None)
    where = "its repository" if repository is None else f"{repository.path} of {repository.url}"
    return Owner(
        words="a GitOps controller (services.yaml)",
        roll_back=f"revert the last commit to {where}",
        scale=f"change `replicas` in {where}",
    )


#: The names by which Argo CD's controller has written fields, over its versions.
_ARGO_MANAGERS = {"argocd-controller", "argocd-application-controller"}


def _argo(workload: Workload, labels: Mapping[str, Any], annotations: Mapping[str, Any]) -> Owner | None:
    """Argo CD: "Resource Tracking": an annotation since 3.0, before it a label that is everybody's, and says nothing alone."""
    tracking = str(annotations.get("argocd.argoproj.io/tracking-id") or "")
    app = tracking.partition(":")[0] or str(labels.get("argocd.argoproj.io/instance") or "")
    if not app and _managers(workload) & _ARGO_MANAGERS:
        app = str(labels.get("app.kubernetes.io/instance") or "")
    if not app:
        return None
    app = app.replace("_", "/")  # an application of another namespace is NAMESPACE_NAME there
    quoted = shlex.quote(one_line(app))
    return Owner(
        words=f"Argo CD (application {one_line(app)})",
        roll_back=f"argocd app set {quoted} --sync-policy none && argocd app history {quoted}, "
        f"then argocd app rollback {quoted} ID; or revert the commit",
        scale=f"change `replicas` in the repository of {one_line(app)}, then argocd app sync {quoted}",
        sync=f"argocd app sync {quoted}",
    )


def _managers(workload: Workload) -> set[str]:
    fields = workload.metadata.get("managedFields") or ()
    return {str(each.get("manager")) for each in fields if isinstance(each, Mapping)}


def _flux(labels: Mapping[str, Any]) -> Owner | None:
    """Flux: what its kustomize-controller and helm-controller label what they apply with."""
    for kind in ("kustomize", "helm"):
        name, namespace = (labels.get(f"{kind}.toolkit.fluxcd.io/{key}") for key in ("name", "namespace"))
        if not name:
            continue
        thing = "kustomization" if kind == "kustomize" else "helmrelease"
        at = shlex.join([one_line(str(name)), "--namespace", one_line(str(namespace or "flux-system"))])
        go_on = f"revert the commit, then flux reconcile {thing} {at} --with-source"
        return Owner(
            words=f"Flux ({thing} {one_line(str(namespace))}/{one_line(str(name))})",
            roll_back=f"{go_on}; or flux suspend {thing} {at} and roll back by kubectl",
            scale=f"change `replicas` in its repository, then flux reconcile {thing} {at} --with-source",
            sync=f"flux reconcile {thing} {at} --with-source",
        )
    return None


def _helm(workload: Workload, labels: Mapping[str, Any], annotations: Mapping[str, Any]) -> Owner | None:
    """Helm: "Labels and Annotations"; a release's objects have both of these annotations since Helm 3.2."""
    release = annotations.get("meta.helm.sh/release-name")
    if not release and labels.get("app.kubernetes.io/managed-by") == "Helm":
        release = labels.get("app.kubernetes.io/instance") or labels.get("release")
    if not release:
        return None
    namespace = str(annotations.get("meta.helm.sh/release-namespace") or workload.place.namespace)
    at = shlex.join([one_line(str(release)), "--namespace", one_line(namespace)])
    return Owner(
        words=f"Helm (release {one_line(namespace)}/{one_line(str(release))})",
        roll_back=f"helm history {at}, then helm rollback {at}",
        scale=f"helm upgrade {at} --reuse-values with the chart's value for the replicas",
    )


def _operator(workload: Workload) -> Owner | None:
    for owner in workload.metadata.get("ownerReferences") or ():
        if isinstance(owner, Mapping) and owner.get("controller") is True:
            kind, name = one_line(str(owner.get("kind"))), one_line(str(owner.get("name")))
            change = f"change the {kind} {name} in {workload.place.namespace}: its controller makes this workload of it"
            return Owner(words=f"{kind} {name}", roll_back=change, scale=change)
    return None
