"""One server process of a target; started by the launcher, which writes its configuration to stdin."""

import sys

from fastload.targets.worker import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
