"""Makes independent Sparkplug peers for the tests: ``python -m tests.conformance.peers``.

They are installed into build/peers by pip and npm, apart from Quantrac's own environment, because
pysparkplug wants an older paho.
"""

import shutil
import subprocess
import sys
import venv
from pathlib import Path

FOLDER = Path("build/peers")
PYTHON = FOLDER / "venv/bin/python"
NODE = FOLDER / "npm/node_modules/sparkplug-client"


def main() -> None:
    """Install both."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    if not PYTHON.exists():
        venv.create(FOLDER / "venv", with_pip=True)
    subprocess.run([str(PYTHON), "-m", "pip", "install", "-q", "pysparkplug==0.6.1"], check=True)
    npm = shutil.which("npm")
    if npm is None:
        sys.stderr.write("npm is not installed: no sparkplug-client\n")
        return
    (FOLDER / "npm").mkdir(exist_ok=True)
    subprocess.run(
        [npm, "install", "--silent", "--no-fund", "--no-audit", "--prefix", str(FOLDER / "npm"),
         "sparkplug-client@3.2.4"], check=True,
    )  # fmt: skip


if __name__ == "__main__":
    main()
