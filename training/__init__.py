"""Scripts that learn from labelled texts and export what was learnt; the only place that imports paddle."""

import os
import warnings

# paddlenlp's own dependencies complain about each other while they are imported; nobody here can act on it.
warnings.filterwarnings("ignore", message=".*(distutils|pkg_resources|ccache)")
# paddle tells of each executor that it starts.
os.environ.setdefault("GLOG_minloglevel", "2")
# Left alone, paddle computes with one thread. A launcher of several processes has each take its share.
_CORES, _PROCESSES = len(os.sched_getaffinity(0)), int(os.environ.get("PADDLE_TRAINERS_NUM", "1"))
os.environ.setdefault("OMP_NUM_THREADS", str(max(1, _CORES // _PROCESSES)))
