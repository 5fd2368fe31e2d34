"""Where the helpers of these tests lie."""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
for folder in (HERE, HERE.parent, HERE.parent / "serving", HERE.parent / "playground"):
    sys.path.insert(0, str(folder))
