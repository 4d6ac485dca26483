"""Scripts that learn from labelled texts and export what was learnt; the only place that imports paddle."""

import os
import sys
import warnings
from contextlib import suppress
from pathlib import Path

# paddlenlp's own dependencies complain about each other while they are imported; nobody here can act on it.
warnings.filterwarnings("ignore", message=".*(distutils|pkg_resources|ccache)")
# paddle tells of each executor that it starts.
os.environ.setdefault("GLOG_minloglevel", "2")

# paddle sets it when it is imported; then nobody can tell any more whether the user had chosen it.
CHOSEN_THREADS = None if "paddle" in sys.modules else os.environ.get("OMP_NUM_THREADS")

# On AMD processors the MKL in paddle takes a slow path unless it is told that AVX2 is there: products were 2.5 times as
# fast with it. MKL reads this when paddle is imported.
with suppress(OSError):
    if "AuthenticAMD" in Path("/proc/cpuinfo").read_text():
        os.environ.setdefault("MKL_DEBUG_CPU_TYPE", "5")
