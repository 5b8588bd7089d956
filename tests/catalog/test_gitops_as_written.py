"""`owner: gitops` and its repository, as services.yaml has them."""

from datetime import timedelta

import pytest
from gitops_shop import AUTHOR

from paramedic.catalog.services import parse_services
from paramedic.remediation.target import Target
from paramedic.text.yaml_document import BadDocument

SERVICES = """
hosts: {{prod: {{kubernetes: {{in_cluster: true}}}}}}
services:
  shop:
    targets:
      - host: prod
        deployment: {{name: api, namespace: shop, {words}}}
"""


def written(words: str) -> Target:
    found = parse_services(SERVICES.format(words=words), "services.yaml").by_id("prod/deployment:shop/api")
    assert found is not None
    return found


def test_services_yaml_names_the_repository() -> None:
    url = "git@git.shop.example:deploy.git"
    target = written(f"owner: gitops, repository: {{url: '{url}', path: apps/shop, author: {AUTHOR}, key: /etc/key}}")
    words = target.words.repository
    assert (words.branch, words.push_to, words.within, words.direct) == (
        "main",
        "paramedic/",
        timedelta(minutes=5),
        False,
    )
    assert (words.access.url, words.access.key) == (url, "/etc/key")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("repository: {url: /srv/x, path: ., author: A <a@b>}", "belongs to `owner: gitops`"),
        ("owner: people", "gitops"),
        ("owner: gitops, repository: {url: 'ext::sh', path: ., author: A <a@b>}", "write https://HOST/PATH"),
        ("owner: gitops, repository: {url: 'https://a:hunter22@h/x', path: ., author: A <a@b>}", "holds no login"),
        (
            "owner: gitops, repository: {url: /srv/x, path: ../x, author: A <a@b>}",
            "a folder or a file of the repository",
        ),
        ("owner: gitops, repository: {url: /srv/x, path: -x, author: A <a@b>}", "a folder or a file of the repository"),
        ("owner: gitops, repository: {url: /srv/x, path: /x, author: A <a@b>}", "a folder or a file of the repository"),
        (
            "owner: gitops, repository: {url: /srv/x, path: a/.git, author: A <a@b>}",
            "a folder or a file of the repository",
        ),
        ("owner: gitops, repository: {url: /srv/x, path: ., author: nobody}", "author"),
        ("owner: gitops, repository: {url: /srv/x, path: ., author: A <a@b>, branch: -f}", "not the name of a branch"),
        (
            "owner: gitops, repository: {url: /srv/x, path: ., author: A <a@b>, branch: '+main'}",
            "not the name of a branch",
        ),
        (
            "owner: gitops, repository: {url: /srv/x, path: ., author: A <a@b>, branch: 'a:b'}",
            "not the name of a branch",
        ),
        ("owner: gitops, repository: {url: /srv/x, path: ., author: A <a@b>, push_to: reverts}", "neither a prefix"),
        ("owner: gitops, repository: {url: /srv/x, path: ., author: A <a@b>, token: /t}", "by https alone"),
        ("owner: gitops, repository: {url: 'https://h/x', path: ., author: A <a@b>, key: /t}", "by SSH"),
        ("owner: gitops, repository: {url: /srv/x, path: ., author: A <a@b>, within: 2h}", "within"),
    ],
)
def test_what_could_mean_something_else_is_refused(words: str, why: str) -> None:
    with pytest.raises(BadDocument) as no:
        written(words)
    assert why in str(no.value)
    assert "hunter22" not in str(no.value)
