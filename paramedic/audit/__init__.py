"""The audit trail's hash chain and its verification."""
