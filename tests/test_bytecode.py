"""What a test starts does not compile Prefect from the source again, whatever the machine asks of Python."""

import subprocess
import sys


def test_what_a_test_starts_keeps_its_bytecode() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys; print(sys.dont_write_bytecode)"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
