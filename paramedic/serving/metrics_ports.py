"""The ports of /metrics: that of `metrics_port`, and the ones after it. The gateway has its metrics at its own port."""

from typing import Final

#: By role, how far after `metrics_port`.
METRICS_PORTS: Final = {"watchdog": 0, "responder": 1, "dispatch": 2}
