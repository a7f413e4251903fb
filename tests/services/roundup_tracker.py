"""Roundup, an issue tracker, with SQLite.

usage: roundup_tracker.py prepare|serve DIRECTORY
"""

import pathlib
import re
import subprocess
import sys

USERS = ["ann", "bob", "cid"]


def prepare(directory):
    """Makes a tracker with some users in it."""
    programs = pathlib.Path(sys.executable).parent

    def admin(*arguments):
        command = [programs / "roundup-admin", "-i", directory, *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)

    admin("install", "classic", "sqlite")
    file = pathlib.Path(directory, "config.ini")
    text = file.read_text()
    for key, value in [
        ("web", "http://tracker.test/demo/"),
        ("domain", "tracker.test"),
        ("host", "localhost"),
    ]:
        text = re.sub(rf"(?m)^#?{key} = NO DEFAULT$", f"{key} = {value}", text)
    # Mail goes nowhere.
    text = re.sub(r"(?m)^debug = $", "debug = /dev/null", text)
    file.write_text(text)
    admin("initialise", "made-up")
    for user in USERS:
        fields = [f"username={user}", f"password=secret-{user}"]
        admin("create", "user", *fields, f"address={user}@tracker.test", "roles=User")


def serve(directory):
    """Serves it on a free port, and says which."""
    from roundup.cgi.wsgi_handler import RequestDispatcher
    from waitress import create_server

    application = RequestDispatcher(directory, debug=False)
    server = create_server(application, listen="127.0.0.1:0", threads=4, url_prefix="/demo")
    print(f"listening on 127.0.0.1:{server.effective_port}", flush=True)
    server.run()


{"prepare": prepare, "serve": serve}[sys.argv[1]](sys.argv[2])
