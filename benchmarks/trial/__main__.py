"""``python -m benchmarks.trial record|replay|live|report``."""

import sys
from pathlib import Path

from benchmarks.trial import recorder

recorder.record(Path(sys.argv[2]), float(sys.argv[3]))
