"""What another container like one is asked for, and what of it cannot be: by Docker's own inspect of a container."""

from typing import Any

import pytest

from paramedic.docker import spec
from paramedic.docker.owners import keeper_of

ID = "4fa6e0f0c678" + "0" * 52

#: As `docker inspect` shows a container of `docker run -d --name web --network shop -p 80:80 -e TOKEN=x -v data:/data shop:2`.
SEEN: dict[str, Any] = {
    "Id": ID,
    "Name": "/web",
    "Image": "sha256:2",
    "Config": {
        "Hostname": "4fa6e0f0c678",
        "User": "",
        "Env": ["TOKEN=x", "PATH=/usr/bin", "VERSION=2"],
        "Cmd": ["serve", "--new"],
        "Entrypoint": ["/entry"],
        "Image": "shop:2",
        "WorkingDir": "/app-2",
        "Labels": {"of": "2", "team": "shop"},
        "ExposedPorts": {"80/tcp": {}, "9000/tcp": {}},
        "Healthcheck": {"Test": ["CMD", "new-check"]},
    },
    "HostConfig": {
        "NetworkMode": "shop",
        "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "80"}]},
        "RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0},
        "Binds": ["data:/data"],
        "NanoCpus": 500_000_000,
        "CpuPeriod": 0,
        "ConsoleSize": [0, 0],
        "Links": None,
    },
    "Mounts": [
        {"Type": "volume", "Name": "data", "Destination": "/data", "RW": True},
        {"Type": "volume", "Name": "b" * 64, "Destination": "/cache", "RW": False},
    ],
    "NetworkSettings": {
        "Networks": {
            "back": {"Aliases": ["4fa6e0f0c678", "db-user"], "IPAMConfig": {"IPv4Address": "10.1.0.9"}, "IPAddress": "10.1.0.9"},
            "shop": {"Aliases": ["4fa6e0f0c678"], "IPAMConfig": {}, "IPAddress": "10.2.0.4", "MacAddress": "02:42:0a:02:00:04"},
        }
    },
}  # fmt: skip

IMAGE: dict[str, Any] = {
    "Config": {
        "Env": ["PATH=/usr/bin", "VERSION=2"],
        "Cmd": ["serve", "--new"],
        "Entrypoint": ["/entry"],
        "WorkingDir": "/app-2",
        "Labels": {"of": "2"},
        "ExposedPorts": {"80/tcp": {}},
        "Healthcheck": {"Test": ["CMD", "new-check"]},
    }
}


def test_what_the_image_brought_is_left_to_the_other_image_and_what_the_author_asked_for_is_asked_for_again() -> None:
    made = spec.body(SEEN, IMAGE, "sha256:1", "act-1")
    assert made["Image"] == "sha256:1"
    assert made["Env"] == ["TOKEN=x"]
    assert made["Labels"] == {
        "team": "shop",
        spec.REPLACED: ID,
        spec.LEFT: "sha256:2",
        spec.POLICY: "unless-stopped",
        spec.ACT: "act-1",
    }
    assert made["ExposedPorts"] == {"9000/tcp": {}}
    for brought in ("Cmd", "Entrypoint", "WorkingDir", "Healthcheck", "Hostname", "User"):
        assert brought not in made, brought
    assert made["HostConfig"]["PortBindings"] == SEEN["HostConfig"]["PortBindings"]
    assert made["HostConfig"]["Binds"] == ["data:/data", f"{'b' * 64}:/cache:ro"]


def test_its_own_command_is_kept_where_the_author_wrote_one() -> None:
    own = SEEN | {"Config": SEEN["Config"] | {"Cmd": ["serve", "--mine"], "Hostname": "till"}}
    made = spec.body(own, IMAGE, "sha256:1")
    assert (made["Cmd"], made["Hostname"]) == (["serve", "--mine"], "till")


def test_each_network_is_joined_with_its_aliases_and_addresses_and_none_that_the_engine_gave() -> None:
    assert spec.networks(SEEN) == {
        "back": {"Aliases": ["db-user"], "IPAMConfig": {"IPv4Address": "10.1.0.9"}},
        "shop": {},
    }
    assert spec.body(SEEN, IMAGE, "sha256:1")["NetworkingConfig"] == {"EndpointsConfig": {"shop": {}}}
    for mode in ("host", "none", "container:abc"):
        assert spec.networks(SEEN | {"HostConfig": {"NetworkMode": mode}}) == {}


@pytest.mark.parametrize(
    ("host", "config", "why"),
    [
        ({"AutoRemove": True}, {}, "--rm"),
        ({"NetworkMode": "container:abc"}, {}, "shares the network"),
        ({"Links": ["/db:/web/db"]}, {}, "links"),
        ({"PidMode": "container:abc"}, {}, "shares namespaces"),
        ({}, {"OpenStdin": True}, "input is kept open"),
    ],
)
def test_what_no_other_can_be_given_is_named(host: dict[str, Any], config: dict[str, Any], why: str) -> None:
    assert why in str(spec.lost({"HostConfig": host, "Config": config}, docker=True))


def test_docker_lets_go_of_a_restart_policy_and_podman_does_not() -> None:
    assert spec.lost(SEEN, docker=True) is None
    assert "podman starts what has the restart policy unless-stopped" in str(spec.lost(SEEN, docker=False))


def test_what_was_written_into_the_container_is_found_and_what_passes_or_is_mounted_is_not() -> None:
    paths = [
        "/conf",
        "/conf/shop.ini",
        "/tmp/x",
        "/run/pid",
        "/data/row",
        "/cache",
        "/etc",
        "/etc/passwd",
        "/var/log/a",
    ]
    assert spec.written([{"Path": path, "Kind": 1} for path in paths], SEEN) == ["/conf/shop.ini"]
    for lie in ({}, None, [{"Kind": 1}], ["x"]):
        with pytest.raises((TypeError, KeyError)):
            spec.written(lie, SEEN)


def test_what_the_engine_did_not_give_is_found_by_its_key() -> None:
    made = SEEN | {
        "Config": {**SEEN["Config"], "Env": ["PATH=/other"], "Labels": {}},
        "HostConfig": {**SEEN["HostConfig"], "NanoCpus": 0, "ShmSize": 7},
        "Mounts": SEEN["Mounts"][:1],
    }
    assert spec.differences(SEEN, made, IMAGE) == [
        "HostConfig.NanoCpus",
        "HostConfig.ShmSize",
        "Config.Env: TOKEN",
        "Config.Labels: team",
        "Mounts",
    ]
    assert spec.differences(SEEN, SEEN, IMAGE) == []


@pytest.mark.parametrize(
    ("labels", "words", "by_hand"),
    [
        ({"com.docker.swarm.service.name": "shop_web"}, "Swarm", "docker service rollback shop_web"),
        ({"io.kubernetes.pod.name": "shop-7f"}, "kubelet", "kubectl"),
        ({"PODMAN_SYSTEMD_UNIT": "shop.service"}, "systemd", "systemctl"),
        (
            {"com.docker.compose.project": "shop", "com.docker.compose.service": "web; reboot"},
            "Compose",
            "up -d --no-deps 'web; reboot'",
        ),
        ({"com.centurylinklabs.watchtower.enable": "true"}, "Watchtower", "take the label"),
    ],
)
def test_whose_a_container_is_says_who_would_undo_its_roll_back(
    labels: dict[str, str], words: str, by_hand: str
) -> None:
    keeper = keeper_of({"Config": {"Labels": labels}})
    assert keeper is not None
    assert words in keeper.words
    assert by_hand in keeper.by_hand


@pytest.mark.parametrize(
    "labels", [{}, {"com.centurylinklabs.watchtower.enable": "false"}, {"com.docker.compose.project": "x"}]
)
def test_what_nobody_else_keeps_may_be_rolled_back(labels: dict[str, str]) -> None:
    assert keeper_of({"Config": {"Labels": labels}}) is None
