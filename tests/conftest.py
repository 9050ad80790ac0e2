"""For all tests: one thread a process, set before torch is loaded; the suite runs as many processes as there are cores."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
