"""Python keeps the bytecode that it compiles. Imported before all else.

Many a container's image asks for the opposite (PYTHONDONTWRITEBYTECODE), and each process that a test starts would then compile
all that it imports again: two thirds of a gateway's start, and two seconds of a core for each Prefect server.
"""

import os
import sys

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
