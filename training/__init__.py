"""Scripts that learn from labelled texts and export what was learnt; the only place that imports paddle."""

import os
import warnings

# paddlenlp's own dependencies complain about each other while they are imported; nobody here can act on it.
warnings.filterwarnings("ignore", message=".*(distutils|pkg_resources|ccache)")
# paddle tells of each executor that it starts.
os.environ.setdefault("GLOG_minloglevel", "2")

# paddle overwrites it when it is imported.
CHOSEN_THREADS = os.environ.get("OMP_NUM_THREADS")
