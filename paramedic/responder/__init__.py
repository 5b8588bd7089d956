"""The responder: runs playbooks in processes that have already imported them."""
