"""Leads whoever isn't logged in to Airflow's login: plugins' routes have none of their own."""

from __future__ import annotations

from urllib.parse import urlencode

from airflow.api_fastapi.app import API_ROOT_PATH
from fastapi import FastAPI, Request, Response
from fastapi.exception_handlers import http_exception_handler
from fastapi.responses import RedirectResponse


def lead_to_login(app: FastAPI) -> None:
    """Have an app answer 401 to programs only: a browser that asks for a page gets Airflow's login, and then the page.

    :param app: of a plugin
    """
    app.add_exception_handler(401, _log_in)


async def _log_in(request: Request, error: Exception) -> Response:
    if "text/html" not in request.headers.get("Accept", ""):
        return await http_exception_handler(request, error)  # type: ignore[arg-type]
    page = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"{API_ROOT_PATH}api/v2/auth/login?{urlencode({'next': page})}")
