"""Asks an API server, and opens its pages, as users of the simple auth manager."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from playwright.sync_api import Browser, Page

from tests.browser import STILL, WAIT
from tests.integration.airflow_environment import PASSWORD


class Client:
    """Asks the API server as users."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.tokens: dict[str, str] = {}

    def token(self, user: str) -> str:
        if user not in self.tokens:
            body = json.dumps({"username": user, "password": PASSWORD}).encode()
            headers = {"Content-Type": "application/json"}
            request = urllib.request.Request(f"{self.address}/auth/token", data=body, headers=headers)
            with urllib.request.urlopen(request, timeout=60) as answer:
                self.tokens[user] = json.load(answer)["access_token"]
        return self.tokens[user]

    def get(self, path: str, user: str | None = "reader", **headers: str) -> tuple[int, str, dict[str, str]]:
        return self.send("GET", path, None, user, **headers)

    def send(
        self, method: str, path: str, body: object, user: str | None, **headers: str
    ) -> tuple[int, str, dict[str, str]]:
        if user:
            headers["Authorization"] = f"Bearer {self.token(user)}"
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body).encode()
        request = urllib.request.Request(f"{self.address}{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read().decode(), dict(answer.headers)
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(), dict(error.headers)

    def json(self, path: str, user: str = "reader") -> Any:
        status, text, _ = self.get(path, user)
        assert status == 200, text
        return json.loads(text)


def open_page(chromium: Browser, client: Client, path: str, user: str = "admin", **options: Any) -> Page:
    """Open a page as a user."""
    options = {"viewport": {"width": 1280, "height": 900}, **options}
    context = chromium.new_context(base_url=client.address, **options)
    context.add_init_script(STILL)
    context.add_cookies([{"name": "_token", "value": client.token(user), "url": client.address}])
    page = context.new_page()
    page.set_default_timeout(WAIT)
    page.said = []  # type: ignore[attr-defined]
    page.on("console", lambda message: page.said.append(message.text) if message.type == "error" else None)  # type: ignore[attr-defined]
    page.on("pageerror", lambda error: page.said.append(str(error)))  # type: ignore[attr-defined]
    page.goto(path)
    return page
