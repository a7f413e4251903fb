"""Wagtail, a content management system on Django, with SQLite.

usage: wagtail_site.py prepare|serve DIRECTORY
"""

import os
import pathlib
import subprocess
import sys

USERS = ["ann", "bob", "cid"]

SETTINGS = """
DEBUG = False
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
# Hashing takes a moment on purpose, which nothing here needs.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
WAGTAIL_ENABLE_UPDATE_CHECK = False
# Else of two that write at the same time one fails: SQLite can't make a reader a writer then.
DATABASES["default"]["OPTIONS"] = {"transaction_mode": "IMMEDIATE", "timeout": 60}
"""

ACCOUNTS = f"""
from django.contrib.auth.models import User
for name in {USERS}:
    User.objects.create_superuser(name, name + "@site.test", "secret-" + name)
"""


def prepare(directory):
    """Makes a site of Wagtail's own template with some editors in it."""
    programs = pathlib.Path(sys.executable).parent
    site = pathlib.Path(directory)
    site.mkdir()

    def run(*command):
        subprocess.run(command, check=True, cwd=site, stdout=subprocess.DEVNULL)

    run(programs / "wagtail", "start", "demo", ".")
    with open(site / "demo/settings/dev.py", "a") as file:
        file.write(SETTINGS)
    run(sys.executable, "manage.py", "migrate", "-v0")
    run(sys.executable, "manage.py", "shell", "-v0", "-c", ACCOUNTS)


def serve(directory):
    """Serves it on a free port, and says which."""
    from waitress import create_server

    os.chdir(directory)
    sys.path.insert(0, directory)
    from demo.wsgi import application

    server = create_server(application, listen="127.0.0.1:0", threads=4)
    print(f"listening on 127.0.0.1:{server.effective_port}", flush=True)
    server.run()


{"prepare": prepare, "serve": serve}[sys.argv[1]](sys.argv[2])
