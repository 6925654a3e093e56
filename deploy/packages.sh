# shellcheck shell=bash disable=SC2034
# The Debian packages that gunid needs, and how they are installed. Sourced by deploy/quickstart,
# tests/run and tests/bench/run, so that there is one list.

build_packages=(
  g++ cmake ninja-build pkg-config python3-dev
  libcli11-dev libcpp-httplib-dev libspdlog-dev nlohmann-json3-dev
)
example_packages=(python3-flask python3-django curl)
test_packages=(
  ccache clang gunicorn libclang-rt-dev libgmock-dev libgtest-dev libc-bin procps
  python3-falcon python3-gevent python3-pytest python3-pytest-xdist python3-requests wrk
  nginx libnginx-mod-stream systemd
)
long_test_packages=(valgrind)
bench_packages=(
  wrk gunicorn uwsgi-core uwsgi-plugin-python3 uwsgi-plugin-gevent-python3 python3-waitress python3-cheroot nginx
  python3-gevent python3-matplotlib util-linux
)

is_installed() {
  [[ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" == installed ]]
}

as_root() {
  if ((EUID == 0)); then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    echo "packages are missing: run this as root, or install sudo" >&2
    return 1
  fi
}

apt_get() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 "$@"
}

# llhttp is a library of its own on newer systems; Debian 12 ships its sources in node-llhttp.
llhttp_package() {
  local package
  for package in libllhttp-dev node-llhttp; do
    if is_installed "$package" || [[ -n "$(apt-cache madison "$package" 2>/dev/null)" ]]; then
      echo "$package"
      return
    fi
  done
}

# install_missing PACKAGE... installs llhttp and those of the packages that are not there.
install_missing() {
  local package missing=()
  for package in "$@"; do
    is_installed "$package" || missing+=("$package")
  done
  if ((${#missing[@]} == 0)) && { is_installed libllhttp-dev || is_installed node-llhttp; }; then
    return
  fi
  echo "Installing from Debian: llhttp ${missing[*]}"
  apt_get update
  apt_get install --yes --no-install-recommends "$(llhttp_package)" "${missing[@]}" >/dev/null
}
