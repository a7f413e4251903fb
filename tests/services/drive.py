"""Some users' lives at a service, all at the same time.

usage: drive.py roundup|wagtail HOST:PORT
"""

import sys
import threading

from browser import Browser

USERS = ["ann", "bob", "cid"]
TITLES = ["The lamp flickers", "No milk left", "Door does not close"]


def roundup(user, address):
    """Logs in, files issues, discusses them, attaches keywords, logs out."""
    page = Browser(address, "tracker.test", user)
    page.get("/demo/")
    page.get("/demo/@@file/style.css")
    page.get("/demo/")
    page.submit("__login_name", __login_name=user, __login_password=f"secret-{user}")
    page.find(r'(action=logout)')
    own = []
    for number, title in enumerate(TITLES):
        page.get("/demo/issue?@template=item")
        page.submit("title", title=f"{title}, says {user}", priority="3", **{"@note": f"Seen by {user}, {number} times."})
        issue = page.path.split("?")[0]
        own.append(issue)
        page.get(issue)
        page.submit("title", **{"@note": f"{user} looked at it again."})
        message = page.find(r'href="(msg\d+)"')
        page.get(message)
        page.get("/demo/issue?@template=index&@sort=-activity&@columns=id,title,status&@search_text=" + user)
    page.get("/demo/keyword?@template=item")
    page.submit("name", name=f"keyword of {user}")
    for issue in own:
        page.get(issue)
        page.submit("title", status="5", **{"@note": f"Done, {user}."})
    page.get("/demo/user?@template=index")
    page.get("/demo/?@action=logout")
    page.get("/demo/")


def wagtail(user, address):
    """Logs in, writes pages, edits and publishes them, looks at them, logs out."""
    # Who opens the editor gets the next number of an editing session.
    page = Browser(address, "site.test", user, changing="/edit/$")
    page.get("/")
    page.get("/admin/")
    page.submit("username", username=user, password=f"secret-{user}")
    page.get("/admin/")
    page.get("/admin/pages/3/")
    for number, title in enumerate(TITLES):
        page.get("/admin/pages/add/home/homepage/3/")
        slug = f"{user}-{number}"
        page.submit("slug", title=f"{title}, says {user}", slug=slug)
        edit = page.path
        page.get(edit)
        page.submit("slug", title=f"{title}, {user} says", **{"action-publish": "action-publish"})
        page.get(f"/{slug}/")
        page.get(edit.replace("/edit/", "/history/"))
        page.get("/admin/pages/3/")
        page.get("/admin/pages/search/?q=" + user)
    page.get("/admin/")
    page.get("/admin/account/")
    token = page.find(r'name="csrfmiddlewaretoken" value="([^"]+)"')
    page.is_multipart = False
    page.request("POST", "/admin/logout/", {"csrfmiddlewaretoken": token})


def main():
    life = {"roundup": roundup, "wagtail": wagtail}[sys.argv[1]]
    failures = []

    def live(user):
        try:
            life(user, sys.argv[2])
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=live, args=(user,)) for user in USERS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


main()
