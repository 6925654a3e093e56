"""A Django project in one file:  gunid app --chdir deploy/examples/django_app

Set DJANGO_SECRET_KEY where it serves others than yourself.
"""

import os
import secrets

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

settings.configure(
    ALLOWED_HOSTS=["localhost", "127.0.0.1", "[::1]"],
    ROOT_URLCONF=__name__,
    # Without a key in the environment every start has a new one.
    SECRET_KEY=os.environ.get("DJANGO_SECRET_KEY") or secrets.token_hex(32),
)


def index(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"Hello from worker {os.getpid()}\n", content_type="text/plain")


def hello(request: HttpRequest, name: str) -> JsonResponse:
    return JsonResponse({"hello": name})


urlpatterns = [
    path("", index),
    path("hello/<str:name>", hello),
]

application = get_wsgi_application()
