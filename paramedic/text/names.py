"""Names that settings and authors' files agree on."""

import re

#: What a channel is called: by its users, and in the settings that know where it leads.
CHANNEL_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}")
