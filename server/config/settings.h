// The resolved settings of one generation: plain values, made by settings_loader, changed by nobody
// afterwards. Names, defaults and meanings are Gunicorn's unless settings_table.cc says otherwise.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace gunid {

struct Settings {
  std::string
      config;  // -c: path of the configuration file; "" for ./gunicorn.conf.py if there is one
  std::string wsgi_app;  // MODULE[:CALLABLE], the positional argument

  // Sockets
  std::vector<std::string> bind{"127.0.0.1:8000"};
  std::int64_t backlog = 2048;

  // Workers
  std::int64_t workers = 1;
  std::string worker_class = "sync";  // see worker_kind()
  std::int64_t threads = 1;
  std::int64_t worker_connections = 1000;
  std::int64_t max_requests = 0;
  std::int64_t max_requests_jitter = 0;
  std::int64_t max_worker_memory = 0;  // bytes of PSS at which a worker is replaced; 0: never
  double max_worker_lifetime = 0;      // seconds after which a worker is replaced; 0: never
  double timeout = 30;                 // seconds for one request; 0: no limit
  double slow_request = 0;       // seconds after which a request is logged with its stack; 0: never
  double graceful_timeout = 30;  // seconds a worker may take to finish its requests
  double boot_timeout = 60;      // seconds a zygote or worker may take to become ready; 0: no limit
  double keepalive = 2;          // seconds an idle connection is kept
  double header_timeout = 30;    // seconds a request head may take to arrive; 0: no limit
  double body_timeout = 30;      // seconds in which enough of a body must arrive; 0: no limit
  double send_timeout = 30;  // seconds in which a client must take some of a response; 0: no limit

  // Reload
  std::int64_t reload_surge = 1;       // workers that are started beside the old ones at a time
  double reload_settle = 1;            // seconds that the new workers must live, or it is undone
  std::string health_check;            // path that a worker must answer before it serves; "": none
  std::int64_t keep_generations = 1;   // earlier ones that are kept for a rollback
  bool reload = false;                 // when a file of the application changes
  std::string reload_engine = "auto";  // "auto", "poll" or "inotify"
  std::vector<std::string> reload_extra_files;  // further files to watch: paths, or globs

  // Requests
  std::int64_t limit_request_line = 4094;
  std::int64_t limit_request_fields = 100;
  std::int64_t limit_request_field_size = 8190;
  std::int64_t limit_request_body = 0;                 // bytes; 0: no limit
  std::int64_t limit_response_buffer = 1'073'741'824;  // bytes of one response; 0: no limit
  bool permit_obsolete_folding = false;
  bool strip_header_spaces = false;
  bool permit_unconventional_http_method = false;
  bool permit_unconventional_http_version = false;
  bool casefold_http_method = false;
  std::string header_map = "drop";  // "drop", "refuse" or "dangerous"

  // Proxies
  std::string forwarded_allow_ips = "127.0.0.1,::1";  // networks, as base/ip_network.h reads them
  std::map<std::string, std::string> secure_scheme_headers{
      {"X-FORWARDED-PROTOCOL", "ssl"}, {"X-FORWARDED-PROTO", "https"}, {"X-FORWARDED-SSL", "on"}};
  std::string forwarder_headers = "SCRIPT_NAME,PATH_INFO";  // names, separated by commas
  std::string proxy_protocol = "off";                       // "off", "v1", "v2" or "auto"
  std::string proxy_allow_ips = "127.0.0.1,::1";

  // Process
  bool preload_app = false;
  bool sendfile = true;
  std::string chdir;  // "" for the directory gunid was started in
  std::vector<std::string> raw_env;
  std::string pythonpath;
  std::string venv;  // virtual environment; "" for $VIRTUAL_ENV, or none
  std::string pidfile;
  bool daemon = false;
  bool enable_stdio_inheritance = false;  // of a daemon
  std::string user;         // of zygotes and workers: a name or number; "" for the supervisor's
  std::string group;        // likewise
  bool initgroups = false;  // with the supplementary groups of the user
  std::int64_t umask = 0;   // for Unix sockets, written in octal
  std::string proc_name;

  // Log
  std::string errorlog = "-";
  std::string loglevel = "info";
  std::string accesslog;  // "-" for standard output; "" for none
  std::string access_log_format = R"(%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s")";

  // Control
  std::string control_socket;  // "" for the default path of the instance

  bool check_config = false;

  bool operator==(const Settings&) const = default;

  // gevent is asked for by one of its names.
  [[nodiscard]] bool greenlets() const { return worker_class.starts_with("gevent"); }
  // gthread is asked for by name, or by more than one thread.
  [[nodiscard]] bool threaded() const {
    return !greenlets() && (worker_class == "gthread" || threads > 1);
  }
  // Who develops does not wait for it.
  [[nodiscard]] double settle_time() const { return reload ? 0 : reload_settle; }
  // "sync", "gthread" or "gevent".
  [[nodiscard]] std::string_view worker_kind() const {
    return greenlets() ? "gevent" : threaded() ? "gthread" : "sync";
  }
};

}  // namespace gunid
