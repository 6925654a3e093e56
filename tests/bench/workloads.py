"""What servers are compared with: one row per workload."""

from dataclasses import dataclass

import application

HELLO = application.BODY
BROWSER_HEADERS = (  # as a browser sends them for a page, with Host 20
    ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
                   "Chrome/120.0.0.0 Safari/537.36"),
    ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"),
    ("Accept-Language", "en-GB,en;q=0.9,de;q=0.8"),
    ("Accept-Encoding", "gzip, deflate, br"),
    ("Referer", "http://localhost/before/this/page.html?with=a&query=string"),
    ("Cookie", "sessionid=9f86d081884c7d659a2feaa0c55ad015; csrftoken=a3bf4f1b2b0b822cd15d6c15b0f00a08; "
               "_ga=GA1.1.1234567890.1600000000"),
    ("Cache-Control", "max-age=0"),
    ("DNT", "1"),
    ("Upgrade-Insecure-Requests", "1"),
    ("Sec-Fetch-Dest", "document"),
    ("Sec-Fetch-Mode", "navigate"),
    ("Sec-Fetch-Site", "same-origin"),
    ("Sec-Fetch-User", "?1"),
    ("Sec-Ch-Ua", '"Not_A Brand";v="8", "Chromium";v="120"'),
    ("Sec-Ch-Ua-Mobile", "?0"),
    ("Sec-Ch-Ua-Platform", '"Linux"'),
    ("If-Modified-Since", "Mon, 18 Jul 2022 02:36:04 GMT"),
    ("If-None-Match", '"c561c68d0ba92bbeb8b0f612a9199f722e3a621a"'),
    ("Priority", "u=0, i"),
)


@dataclass(frozen=True)
class Workload:
    name: str
    about: str
    application: str = "application:app"
    target: str = "/"
    connections: int = 32
    kept: bool = True  # connections between requests
    headers: tuple[tuple[str, str], ...] = ()
    pipelined: int = 1
    upload_bytes: int = 0
    answer_bytes: int | None = len(HELLO)  # None: not known beforehand, but the same from all
    idle: int = 0  # connections beside the busy ones
    workers: int = 1
    threads: int = 1
    greenlets: bool = False
    access_log: bool = False
    cpus: int = 1  # of the server
    bare_loop: bool = False  # there is one to compare with
    proxy: bool = False  # and nginx as a proxy of the floor
    beside: str = ""  # another workload, with which gunid takes turns here: for what the difference costs


WORKLOADS = (
    Workload("hello", "14 bytes, 32 keep-alive connections", bare_loop=True),
    Workload("connect", "14 bytes, a connection for each request", kept=False),
    Workload("flask", "a Flask view", "flask_application:app", bare_loop=True),
    Workload("django", "a Django view that renders a template", "django_application:app",
             answer_bytes=None, bare_loop=True),
    Workload("10KB", "a body of 10 KB", target="/medium", answer_bytes=len(application.MEDIUM)),
    Workload("1MB", "a body of 1 MB", target="/large", answer_bytes=len(application.LARGE), proxy=True),
    Workload("upload", "100 KB sent by the client", target="/upload", upload_bytes=100 * 1024,
             answer_bytes=len(str(100 * 1024))),
    Workload("file", "a file of 100 MB by wsgi.file_wrapper", target="/file", connections=4,
             answer_bytes=100 * 1024 * 1024, proxy=True),
    Workload("headers", "hello with 20 request headers, as of a browser", headers=BROWSER_HEADERS, beside="hello"),
    Workload("pipelined", "hello, 16 requests at a time on each connection", pipelined=16),
    Workload("threads", "hello, 4 threads", threads=4, beside="hello"),
    Workload("sleep", "4 threads, 10 ms sleep in the application", target="/sleep?0.01", threads=4),
    Workload("gevent", "500 connections, 100 ms sleep, greenlets", target="/sleep?0.1",
             connections=500, greenlets=True),
    Workload("idle", "hello, beside 1,000 idle connections", idle=1000, beside="hello"),
    Workload("accesslog", "hello, access log to a file", access_log=True,
             beside="hello"),
    Workload("workers", "hello, two workers on two CPUs, which the load shares", workers=2, cpus=2),
)
BY_NAME = {workload.name: workload for workload in WORKLOADS}
