"""A Django project in one module: views, forms with CSRF, uploads, sessions, streaming, files."""

import hashlib

from django import forms
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import redirect
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="only for tests",
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
    ],
)


class NameForm(forms.Form):
    name = forms.CharField(max_length=20)


def index(request):
    return HttpResponse("django index")


def user(request, user_id):
    return JsonResponse({"id": user_id, "args": request.GET.dict(), "host": request.get_host()})


def form(request):
    if request.method == "GET":
        return JsonResponse({"token": get_token(request)})
    bound = NameForm(request.POST)
    if not bound.is_valid():
        return JsonResponse(bound.errors, status=400)
    return JsonResponse(bound.cleaned_data)


@csrf_exempt
def upload(request):
    file = request.FILES["file"]
    digest = hashlib.sha256()
    for chunk in file.chunks():
        digest.update(chunk)
    return JsonResponse(
        {"name": file.name, "note": request.POST.get("note"), "sha256": digest.hexdigest()}
    )


@csrf_exempt
def body(request):
    digest = hashlib.sha256(request.body).hexdigest()
    return JsonResponse({"length": len(request.body), "sha256": digest})


def blocks(request):
    """The body of the request, piece by piece."""
    return iter(lambda: request.read(65536), b"")


@csrf_exempt
def stream_digest(request):
    digest = hashlib.sha256()
    for block in blocks(request):
        digest.update(block)
    return HttpResponse(digest.hexdigest())


@csrf_exempt
def echo(request):
    return StreamingHttpResponse(blocks(request), content_type="application/octet-stream")


def count(request):
    request.session["count"] = request.session.get("count", 0) + 1
    return HttpResponse(request.session["count"])


def stream(request):
    lines = (f"line {number}\n" for number in range(int(request.GET["lines"])))
    return StreamingHttpResponse(lines, content_type="text/plain")


def download(request):
    return FileResponse(open(__file__, "rb"), as_attachment=True)


def served_file(request):
    return FileResponse(open(request.GET["path"], "rb"))


def redirected(request):
    return redirect("/")


def error(request):
    raise RuntimeError("django view failed")


urlpatterns = [
    path("", index),
    path("users/<int:user_id>", user),
    path("form", form),
    path("upload", upload),
    path("body", body),
    path("digest", stream_digest),
    path("echo", echo),
    path("file", served_file),
    path("count", count),
    path("stream", stream),
    path("download", download),
    path("redirect", redirected),
    path("error", error),
]

application = get_wsgi_application()
