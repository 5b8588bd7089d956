"""The Prefect of the `paramedic up` that runs on a data folder."""

from paramedic.settings import Settings
from paramedic.stack.instance import running
from paramedic.transports.prefect_login import with_embedded_login


def with_running_prefect(settings: Settings) -> Settings:
    """The settings, with the Prefect of the `paramedic up` on their folder where they name none; unchanged where none runs.

    Raises OSError where its login cannot be read.
    """
    here = running(settings.data)
    if settings.prefect_api_url is not None or here is None:
        return settings
    return with_embedded_login(settings, here.prefect)
