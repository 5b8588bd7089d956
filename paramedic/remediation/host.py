"""Hosts: the machines and clusters that targets run on, and how each is reached. services.yaml lists them."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SshAccess:
    """How a host is reached by SSH. Exactly one of `key` and `agent` is set."""

    address: str
    user: str
    port: int = 22
    key: str | None = None  # the file of a private key
    agent: str | None = None  # the agent's keys: "" for any, or the SHA256 fingerprint of one
    certificate: str | None = None  # the file of an OpenSSH certificate for the key
    known_hosts: str | None = None  # the file of host keys; None: the user's own, and that of the machine
    sudo: bool = False  # changes are made by `sudo -n`
    jump: "Host | None" = None  # the host that leads to it


@dataclass(frozen=True, slots=True)
class KubernetesAccess:
    """How a Kubernetes API server is reached: by a context of a kubeconfig file, or as the pod that this process runs in."""

    kubeconfig: str | None = None  # the file; None: the service account of the pod
    context: str | None = None  # None: the file's own `current-context`


@dataclass(frozen=True, slots=True)
class Host:
    """One machine, or a cluster of them. Without `ssh` and `kubernetes` it is the machine that Paramedic runs on."""

    name: str
    ssh: SshAccess | None = None
    kubernetes: KubernetesAccess | None = None
    seen_from: tuple[str, ...] = field(
        default=(), compare=False
    )  # the hosts that are asked for it when it is not reached

    @property
    def way(self) -> "tuple[Host, ...]":
        """The hosts on the way to it, the first to be reached first, itself last."""
        before = self.ssh.jump.way if self.ssh is not None and self.ssh.jump is not None else ()
        return *before, self

    @property
    def reached_by(self) -> str:
        """What leads to its targets: `kubernetes` for a cluster's API, else `machine`."""
        return "machine" if self.kubernetes is None else "kubernetes"

    def __str__(self) -> str:
        """The host and how it is reached, in words."""
        if self.kubernetes is not None:
            if self.kubernetes.kubeconfig is None:
                return f"{self.name}, a cluster, as the pod that Paramedic runs in"
            context = f", context {self.kubernetes.context}" if self.kubernetes.context is not None else ""
            return f"{self.name}, a cluster, by {self.kubernetes.kubeconfig}{context}"
        if self.ssh is None:
            return f"{self.name}, this machine"
        at = f"[{self.ssh.address}]" if ":" in self.ssh.address else self.ssh.address
        return f"{self.name}, by SSH as {self.ssh.user} at {at}:{self.ssh.port}"
