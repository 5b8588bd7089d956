"""The gateway: the HTTP server that receives alerts, heartbeats and people's answers."""
