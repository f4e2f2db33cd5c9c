"""A real Keystone and a real Nova on loopback, as complete as their clients need.

    cloud.py start --state DIR           starts what does not run, fills it the first time, writes DIR/cloud.json
    cloud.py stop --state DIR [--wipe]   ends it, by recorded process ids; with --wipe the folder goes too

Run it with the Python of the virtual environment that `run install` makes. A start that fails prints the end of the log of
what failed, ends what it had started, and exits 1.
"""

import argparse
import shutil
import sys
import time

from stack import contents
from stack.place import Place
from stack.processes import StartFailure
from stack.services import Services


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["start", "stop"])
    parser.add_argument("--state", required=True, help="the folder in which this cloud keeps everything")
    parser.add_argument("--wipe", action="store_true", help="stop: delete the folder")
    options = parser.parse_args()
    began = time.monotonic()

    def say(text):
        print(f"cloud: {time.monotonic() - began:5.1f} s {text}", file=sys.stderr, flush=True)

    if options.command == "stop" and not Place.exists(options.state):
        parser.error(f"there is no cloud in {options.state}")
    place = Place(options.state)
    services = Services(place, say)
    if options.command == "stop":
        services.stop()
        if options.wipe:
            shutil.rmtree(place.state)
        say("stopped")
        return 0
    try:
        services.start()
        contents.fill(place, services, say)
    except Exception as failure:
        say(f"the start failed: {failure}")
        services.stop()
        if isinstance(failure, StartFailure):
            return 1
        raise
    say(f"described in {place.description}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
