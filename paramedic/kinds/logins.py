"""What the probes of checks log in with, in this process. The settings have it; no file that authors write does."""

from collections.abc import Mapping
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from paramedic.errors import PermanentError


class Login(BaseModel):
    """One login: an address and names, which are no secrets, and secrets, each by its name (`token`, `password`, `api_key`)."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, SecretStr] = Field(init=False)

    url: str | None = None
    user: str | None = None
    account: str | None = None
    site: str | None = None

    @field_validator("url")
    @classmethod
    def _without_secrets(cls, url: str | None) -> str | None:
        if url is not None and "@" in url.partition("://")[2].partition("/")[0]:
            raise ValueError("an address has no login in it here; write `user` and `password` beside it")
        return url

    def secret(self, key: str) -> str | None:
        """The secret of this name; None without one."""
        found = (self.__pydantic_extra__ or {}).get(key)
        return None if found is None else found.get_secret_value()

    def given(self) -> dict[str, str]:
        """Everything that is set, secrets included."""
        own = {name: value for name, value in self if value is not None}
        return {
            name: value.get_secret_value() if isinstance(value, SecretStr) else value for name, value in own.items()
        }


_logins: Mapping[str, Login] = MappingProxyType({})


def use(logins: Mapping[str, Login]) -> None:
    """Use these from now on."""
    global _logins  # noqa: PLW0603 - those of the process, as its settings are
    _logins = logins


def named(name: str) -> Login:
    """The login of this name. Raises PermanentError where the settings have none."""
    if name not in _logins:
        raise PermanentError(f"the setting `logins` has no {name!r:.80}; it has {', '.join(_logins) or 'none'}")
    return _logins[name]
