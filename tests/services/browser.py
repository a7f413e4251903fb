"""A small browser: keeps cookies and one connection, fills forms, follows redirects."""

import contextlib
import http.client
import random
import re
import threading
import time
import urllib.parse
from html.parser import HTMLParser


# What users change they change one after the other; what they only look at, whenever they
# like. Which of two changes at the same moment comes first, and thus gets the next number, a
# service decides anew each time; and a site of Wagtail refuses one of two pages that are made
# below one page at once.
CHANGE = threading.Lock()
# Between so many seconds a user looks at a page before going on.
THINKS = (0.3, 1.2)


class Form(HTMLParser):
    """The fields of a page's forms, as a browser would send them."""

    def __init__(self, text):
        super().__init__()
        self.forms, self.select, self.area = [], None, None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        name = attributes.get("name")
        if tag == "form":
            self.forms.append((attributes, {}))
        if not self.forms or not name and tag != "option":
            return
        fields = self.forms[-1][1]
        if tag == "input":
            kind = attributes.get("type", "text")
            if kind in ("submit", "button", "file", "image"):
                return
            if kind in ("checkbox", "radio") and "checked" not in attributes:
                return
            fields.setdefault(name, attributes.get("value") or "")
        elif tag == "textarea":
            self.area = name
            fields.setdefault(name, "")
        elif tag == "select":
            self.select = name
            self.first = True
        elif tag == "option" and self.select:
            if self.first or "selected" in attributes:
                fields[self.select] = attributes.get("value") or ""
            self.first = False

    def handle_data(self, data):
        if self.area and self.forms:
            self.forms[-1][1][self.area] += data

    def handle_endtag(self, tag):
        if tag == "textarea":
            self.area = None
        elif tag == "select":
            self.select = None


class Browser:
    """One user's: its requests go one after the other, each after some thought.

    `changing` is a pattern of paths that change something even where they are only got."""

    def __init__(self, address, host, user, changing="$^"):
        self.changing = re.compile(changing)
        # The same for each drive of a user.
        self.chance = random.Random(user)
        self.connection = http.client.HTTPConnection(address, timeout=60)
        self.host, self.cookies, self.path, self.text = host, {}, "/", ""
        self.origin, self.is_multipart = "http://" + host, False

    def get(self, path):
        self.think()
        return self.request("GET", path)

    def submit(self, has, **values):
        """Sends the form that has the field `has`, with these values in it."""
        found = [form for form in Form(self.text).forms if has in form[1]]
        if not found:
            raise SystemExit(f"no form with {has} on {self.path}:\n{self.text[:3000]}")
        attributes, fields = found[0]
        fields.update({name: value for name, value in values.items() if value is not None})
        for name in [name for name, value in values.items() if value is None]:
            fields.pop(name, None)
        action = attributes.get("action") or self.path
        method = attributes.get("method", "GET").upper()
        self.is_multipart = attributes.get("enctype") == "multipart/form-data"
        self.think()
        return self.request(method, action, fields)

    def request(self, method, url, fields=None, follow=True):
        path = self.local(url)
        headers = {"Host": self.host, "User-Agent": "script", "Accept": "text/html"}
        body = None
        if method == "GET" and fields:
            path = path.split("?")[0] + "?" + urllib.parse.urlencode(fields)
        elif fields is not None and self.is_multipart:
            boundary = "form-boundary-of-this-browser"
            parts = [
                f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
                for name, value in fields.items()
            ]
            body = ("".join(parts) + f"--{boundary}--\r\n").encode()
            headers["Content-Type"] = f"multipart/form-data; boundary={boundary}"
            headers["Origin"] = self.origin
        elif fields is not None:
            body = urllib.parse.urlencode(fields)
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            headers["Origin"] = self.origin
        headers["Referer"] = self.origin + self.path
        if self.cookies:
            pairs = [f"{name}={value}" for name, value in self.cookies.items()]
            headers["Cookie"] = "; ".join(pairs)
        changes = method != "GET" or self.changing.search(path)
        with CHANGE if changes else contextlib.nullcontext():
            self.connection.request(method, path, body, headers)
            answer = self.connection.getresponse()
            self.text = answer.read().decode("utf-8", "replace")
        for line in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = line.split(";")[0].partition("=")
            if value and value != '""':
                self.cookies[name.strip()] = value.strip()
            else:
                self.cookies.pop(name.strip(), None)
        self.path, self.status = path, answer.status
        if follow and answer.status in (301, 302, 303):
            return self.request("GET", answer.headers["Location"])
        if answer.status >= 400:
            raise SystemExit(f"{method} {path}: {answer.status}\n{self.text[:2000]}")
        return self

    def think(self):
        time.sleep(self.chance.uniform(*THINKS))

    def local(self, url):
        """The path and query of a link on the present page."""
        full = urllib.parse.urljoin(self.origin + self.path, url)
        parts = urllib.parse.urlsplit(full)
        return parts.path + (f"?{parts.query}" if parts.query else "")

    def find(self, pattern):
        """The first group of a pattern that the present page must have."""
        found = re.search(pattern, self.text)
        if not found:
            raise SystemExit(f"no {pattern} on {self.path}:\n{self.text[:3000]}")
        return found.group(1)
