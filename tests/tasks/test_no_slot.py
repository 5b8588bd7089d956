"""What Prefect answered where it gave no slot on the tag of every change is read from its error."""

import httpx
import pytest
from prefect.concurrency._asyncio import ConcurrencySlotAcquisitionError

from tasks.kinds import _status


@pytest.mark.parametrize("status", [422, 500])
def test_an_answer_is_its_status(status: int) -> None:
    request = httpx.Request("POST", "http://127.0.0.1:4200/api/v2/concurrency_limits/increment")
    answer = httpx.HTTPStatusError("no slot", request=request, response=httpx.Response(status, request=request))
    with pytest.raises(ConcurrencySlotAcquisitionError) as error:
        raise ConcurrencySlotAcquisitionError("Unable to acquire concurrency limits") from answer
    assert _status(error.value) == status


def test_no_answer_has_none() -> None:
    with pytest.raises(ConcurrencySlotAcquisitionError) as error:
        raise ConcurrencySlotAcquisitionError("Unable to acquire concurrency limits") from httpx.ConnectError("refused")
    assert _status(error.value) is None
