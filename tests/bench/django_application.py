"""A Django project in one file, with one view that renders a template."""

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.shortcuts import render
from django.urls import path

PAGE = """<!doctype html>
<title>{{ title }}</title>
<h1>{{ title|upper }}</h1>
<ul>{% for item in items %}<li class="{% cycle 'odd' 'even' %}">{{ item }}</li>{% endfor %}</ul>
"""

settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="of a benchmark",
    MIDDLEWARE=["django.middleware.security.SecurityMiddleware",
                "django.middleware.common.CommonMiddleware",
                "django.middleware.clickjacking.XFrameOptionsMiddleware"],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates",
                "OPTIONS": {"loaders": [("django.template.loaders.locmem.Loader",
                                         {"page.html": PAGE})]}}],
)
django.setup()


def index(request):
    return render(request, "page.html", {"title": "Figures", "items": range(10)})


urlpatterns = [path("", index)]
app = get_wsgi_application()
