"""The gateway: takes alerts in, and acknowledgements."""
