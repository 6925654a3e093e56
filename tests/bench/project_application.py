"""A Django project as it is deployed: applications, models and templates, and data made at the import.

BENCH_IMPORT_S: how long the import takes, of a CPU; less is filled up. Every answer tells in headers who
gave it: X-Pid, and X-Load, when that process or its zygote began to import this (monotonic nanoseconds).
?hold=SECONDS sleeps before the answer.
"""

import os
import time

LOAD = time.monotonic_ns()

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse

settings.configure(
    ALLOWED_HOSTS=["*"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=[f"django.contrib.{name}" for name in (
        "admin", "admindocs", "auth", "contenttypes", "humanize", "messages", "sessions", "sitemaps",
        "staticfiles", "syndication")],
    MIDDLEWARE=["project_application.tell",
                "django.middleware.security.SecurityMiddleware",
                "django.contrib.sessions.middleware.SessionMiddleware",
                "django.middleware.common.CommonMiddleware",
                "django.middleware.csrf.CsrfViewMiddleware",
                "django.contrib.auth.middleware.AuthenticationMiddleware",
                "django.contrib.messages.middleware.MessageMiddleware",
                "django.middleware.clickjacking.XFrameOptionsMiddleware"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="of a benchmark",
    STATIC_URL="static/",
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True,
                "OPTIONS": {"context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages"]}}],
)
django.setup()

from django.contrib import admin  # needs the settings
from django.urls import include, path


def tell(get_response):
    """Middleware."""
    def middleware(request):
        time.sleep(float(request.GET.get("hold", 0)))
        response = get_response(request)
        response["X-Pid"] = os.getpid()
        response["X-Load"] = LOAD
        return response
    return middleware


urlpatterns = [
    path("", lambda request: HttpResponse("Hello, World!\n")),
    path("admin/doc/", include("django.contrib.admindocs.urls")),
    path("admin/", admin.site.urls),
]
app = get_wsgi_application()

# 30 MB, as of catalogues and translations.
DATA = [{"id": number, "name": f"object {number}", "price": number * 1.5, "tags": [str(number)]}
        for number in range(60_000)]

end = LOAD + float(os.environ.get("BENCH_IMPORT_S", 0)) * 1e9
while time.monotonic_ns() < end:
    pass
