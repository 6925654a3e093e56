"""Makes the inputs that the fuzzers start from: seeds.py TESTS_REQUESTS OUTPUT.

Each fuzzer's source says how its input is laid out."""

import json
import shutil
import sys
from pathlib import Path

# In the order of request_parser_fuzz.cc.
LAXITIES = (
    "permit_obsolete_folding",
    "strip_header_spaces",
    "permit_unconventional_http_method",
    "permit_unconventional_http_version",
    "casefold_http_method",
)
# In the order of the enums.
PROXY_PROTOCOLS = ("off", "v1", "v2", "auto")
HEADER_MAPS = ("drop", "refuse", "dangerous")


def request_parser_seed(data, settings):
    laxity = sum(1 << bit for bit, name in enumerate(LAXITIES) if settings.get(name))
    tight = any(name.startswith("limit_") for name in settings)
    return bytes([laxity, tight, 7]) + data


def chunked_body_seed(data, settings):
    head, end, body = data.partition(b"\r\n\r\n")
    if b"chunked" not in head or not end:
        return None
    return bytes(["limit_request_body" in settings, 7]) + body


def proxy_header_seed(data, settings):
    if "proxy_protocol" not in settings:
        return None
    return bytes([PROXY_PROTOCOLS.index(settings["proxy_protocol"])]) + data


def forwarded_headers_seed(data, settings):
    fields = data.partition(b"\r\n\r\n")[0].partition(b"\r\n")[2]
    if b"_" not in fields and b"orward" not in fields:
        return None
    options = HEADER_MAPS.index(settings.get("header_map", "drop"))
    options |= ("forwarded_allow_ips" not in settings) << 2
    options |= (settings.get("forwarder_headers") == "*") << 3
    return bytes([options]) + fields


SEEDS = {
    "request_parser_fuzz": request_parser_seed,
    "chunked_body_fuzz": chunked_body_seed,
    "proxy_header_fuzz": proxy_header_seed,
    "forwarded_headers_fuzz": forwarded_headers_seed,
}


def main(requests, output):
    shutil.rmtree(output, ignore_errors=True)
    for program, make_seed in SEEDS.items():
        (output / program).mkdir(parents=True)
        for path in sorted(requests.rglob("*.http")):
            settings = json.loads(path.with_suffix(".json").read_text()).get("settings", {})
            seed = make_seed(path.read_bytes(), settings)
            if seed is not None:
                name = "-".join(path.relative_to(requests).with_suffix("").parts)
                (output / program / name).write_bytes(seed)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
