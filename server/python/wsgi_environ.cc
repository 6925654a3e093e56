#include "python/wsgi_environ.h"

#include <algorithm>

#include "gunid/version.h"
#include "http/field_syntax.h"
#include "http/request_target.h"
#include "python/py_text.h"
#include "python/wsgi_call.h"
#include "python/wsgi_errors.h"

namespace gunid {
namespace {

// Names that clients make up must not grow the cache: it takes names up to a length and a number.
// The usual ones are there from the start, so they cannot be kept out either.
constexpr std::size_t kMaxCachedNames = 512;
constexpr std::size_t kMaxCachedNameLength = 64;

constexpr std::string_view kCommonHeaders[] = {
    "Host",
    "User-Agent",
    "Accept",
    "Accept-Charset",
    "Accept-Encoding",
    "Accept-Language",
    "Authorization",
    "Cache-Control",
    "Connection",
    "Content-Encoding",
    "Content-Type",
    "Cookie",
    "Date",
    "Expect",
    "Forwarded",
    "If-Match",
    "If-Modified-Since",
    "If-None-Match",
    "Origin",
    "Pragma",
    "Priority",
    "Range",
    "Referer",
    "Sec-Fetch-Dest",
    "Sec-Fetch-Mode",
    "Sec-Fetch-Site",
    "TE",
    "Traceparent",
    "Upgrade-Insecure-Requests",
    "X-CSRFToken",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Real-IP",
    "X-Request-ID",
};

constexpr std::string_view kCommonTexts[] = {
    "",        "/",   "GET",        "HEAD",  "POST",      "PUT",      "PATCH",    "DELETE",
    "OPTIONS", "*/*", "keep-alive", "close", "127.0.0.1", "HTTP/1.0", "HTTP/1.1",
};

PyRef Interned(const char* text) {
  return PyRef::Steal(PyUnicode_InternFromString(text));
}

bool Set(PyObject* dict, const PyRef& key, const PyRef& value) {
  return key && value && PyDict_SetItem(dict, key.get(), value.get()) == 0;
}

bool Set(PyObject* dict, const char* key, const PyRef& value) {
  return Set(dict, Interned(key), value);
}

PyRef Bool(bool value) {
  return PyRef::Steal(PyBool_FromLong(value ? 1 : 0));
}

// "HTTP_X_REAL_IP" of "x-real-ip".
std::string VariableName(std::string_view header) {
  std::string name = "HTTP_";
  name.reserve(name.size() + header.size());
  for (const char c : header) {
    const bool lower = c >= 'a' && c <= 'z';
    name += c == '-' ? '_' : static_cast<char>(lower ? c - 'a' + 'A' : c);
  }
  return name;
}

std::string LowerCase(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

// Fields that have no variable of their own. The length of the body is taken from the body itself,
// which is complete before the application is called. That goes for a chunked one as well: it gets
// the true CONTENT_LENGTH and no HTTP_TRANSFER_ENCODING, because most frameworks read just
// CONTENT_LENGTH bytes and would find such a body empty.
bool IsLeftOut(std::string_view name) {
  return EqualsIgnoreCase(name, "Content-Length") || EqualsIgnoreCase(name, "Transfer-Encoding");
}

// SCRIPT_NAME ends in none (PEP 3333).
std::string_view WithoutTrailingSlashes(std::string_view path) {
  while (path.ends_with('/')) path.remove_suffix(1);
  return path;
}

struct HostAndPort {
  std::string_view host;
  std::string_view port;
};

// Of a Host field; the defaults for what it lacks.
HostAndPort SplitHost(std::string_view field, bool secure) {
  HostAndPort split{field, secure ? "443" : "80"};
  const std::size_t colon = field.rfind(':');
  if (colon != std::string_view::npos && field.find(']', colon) == std::string_view::npos) {
    split.host = field.substr(0, colon);
    if (colon + 1 < field.size()) split.port = field.substr(colon + 1);
  }
  if (split.host.empty()) split.host = "localhost";
  return split;
}

// By a name of any case; of several the last one. Runs no code of the application.
PyRef FindVariable(PyObject* environ, std::string_view name) {
  PyRef found;
  PyObject* key = nullptr;
  PyObject* value = nullptr;
  for (Py_ssize_t position = 0; PyDict_Next(environ, &position, &key, &value) != 0;) {
    const auto text = Latin1View(key);
    if (text && EqualsIgnoreCase(*text, name)) found = PyRef::Borrow(value);
  }
  return found;
}

}  // namespace

void LogVariables(PyObject* environ, Exchange& exchange) {
  const std::span<const std::string> names = exchange.logged_variables();
  for (std::size_t i = 0; i < names.size(); ++i) {
    const PyRef value = FindVariable(environ, names[i]);
    const PyRef text = value ? PyRef::Steal(PyObject_Str(value.get())) : PyRef();
    if (const auto bytes = text ? Latin1View(text.get()) : std::nullopt) {
      exchange.LogVariable(i, *bytes);
    } else if (const auto utf8 = text ? Utf8(text.get()) : std::nullopt) {
      exchange.LogVariable(i, *utf8);
    }
    PyErr_Clear();  // it has no str(), perhaps
  }
}

bool WsgiEnviron::Create(const WsgiOptions& options, PyObject* file_wrapper) {
  for (const std::string_view text : kCommonTexts) {
    if (!(texts_[std::string(text)] = Latin1(text))) return false;
  }
  for (const std::string_view name : kCommonHeaders) {
    if (!KeyOf(name).key || !KeyOf(LowerCase(name)).key) return false;
  }
  return CreateKeys() && ReadScriptName() && CreateBase(options, file_wrapper);
}

bool WsgiEnviron::CreateKeys() {
  const std::pair<PyRef*, const char*> names[] = {
      {&keys_.request_method, "REQUEST_METHOD"},   {&keys_.path_info, "PATH_INFO"},
      {&keys_.query_string, "QUERY_STRING"},       {&keys_.raw_uri, "RAW_URI"},
      {&keys_.server_protocol, "SERVER_PROTOCOL"}, {&keys_.server_name, "SERVER_NAME"},
      {&keys_.server_port, "SERVER_PORT"},         {&keys_.remote_addr, "REMOTE_ADDR"},
      {&keys_.remote_port, "REMOTE_PORT"},         {&keys_.content_length, "CONTENT_LENGTH"},
      {&keys_.script_name, "SCRIPT_NAME"},         {&keys_.url_scheme, "wsgi.url_scheme"},
      {&keys_.wsgi_input, "wsgi.input"},           {&keys_.early_hints, "wsgi.early_hints"},
      {&keys_.proxy_protocol, "PROXY_PROTOCOL"},   {&keys_.proxy_addr, "PROXY_ADDR"},
      {&keys_.proxy_port, "PROXY_PORT"},           {&keys_.https, "https"},
  };
  for (const auto& [key, name] : names) {
    *key = Interned(name);
    if (!*key) return false;
  }
  return true;
}

// From os.environ rather than getenv(): raw_env and the configuration file may have set it there.
bool WsgiEnviron::ReadScriptName() {
  const PyRef os = PyRef::Steal(PyImport_ImportModule("os"));
  const PyRef environ = os ? PyRef::Steal(PyObject_GetAttrString(os.get(), "environb")) : PyRef();
  const PyRef value =
      environ ? PyRef::Steal(PyObject_CallMethod(environ.get(), "get", "yy", "SCRIPT_NAME", ""))
              : PyRef();
  if (!value || !PyBytes_Check(value.get())) return false;
  script_name_ = PyBytes_AS_STRING(value.get());
  script_name_ = WithoutTrailingSlashes(script_name_);
  return true;
}

bool WsgiEnviron::CreateBase(const WsgiOptions& options, PyObject* file_wrapper) {
  base_ = PyRef::Steal(PyDict_New());
  if (!base_) return false;
  PyObject* const base = base_.get();
  return Set(base, "wsgi.version", PyRef::Steal(Py_BuildValue("(ii)", 1, 0))) &&
         Set(base, "wsgi.url_scheme", Interned("http")) &&
         Set(base, "wsgi.errors", OpenWsgiErrors(options.errors_fd)) &&
         Set(base, "wsgi.multithread", Bool(options.multithread)) &&
         Set(base, "wsgi.multiprocess", Bool(options.multiprocess)) &&
         Set(base, "wsgi.run_once", Bool(false)) &&
         Set(base, "wsgi.input_terminated", Bool(true)) &&
         Set(base, "wsgi.file_wrapper", PyRef::Borrow(file_wrapper)) &&
         Set(base, "SERVER_SOFTWARE", Interned("gunid/" GUNID_VERSION)) &&
         // Of most requests.
         Set(base, keys_.request_method, Text("GET")) && Set(base, keys_.query_string, Text("")) &&
         Set(base, keys_.server_protocol, Text("HTTP/1.1")) &&
         Set(base, "SCRIPT_NAME", Latin1(script_name_));
}

// The base with SERVER_NAME and SERVER_PORT of the listener. Listeners are few and stay.
PyRef WsgiEnviron::BaseOf(const ListenerAddress& listener) {
  for (const auto& [address, base] : bases_) {
    if (address == listener) return base;
  }
  PyRef base = PyRef::Steal(PyDict_Copy(base_.get()));
  if (!base) return {};
  if (listener.family != ListenerAddress::Family::kUnix &&
      (!Set(base.get(), keys_.server_name, Latin1(listener.host)) ||
       !Set(base.get(), keys_.server_port, Latin1(std::to_string(listener.port))))) {
    return {};
  }
  if (!MakeRoom(base.get())) return {};
  bases_.emplace_back(listener, base);
  return base;
}

// A copy has the capacity of its original. With the keys that every request sets, and after it had
// to grow, the base leaves room for 20 header fields, and no copy has to grow.
bool WsgiEnviron::MakeRoom(PyObject* base) const {
  constexpr Py_ssize_t kGrowsAt = 22;
  const PyRef nothing = PyRef::Borrow(Py_None);
  for (const PyRef* key :
       {&keys_.wsgi_input, &keys_.early_hints, &keys_.raw_uri, &keys_.path_info,
        &keys_.remote_addr, &keys_.server_name, &keys_.server_port}) {
    if (PyDict_Contains(base, key->get()) == 0 && !Set(base, *key, nothing)) return false;
  }
  std::vector<PyRef> spare;
  while (PyDict_Size(base) < kGrowsAt) {
    spare.push_back(PyRef::Steal(PyLong_FromSsize_t(PyDict_Size(base))));
    if (!Set(base, spare.back(), nothing)) return false;
  }
  return std::ranges::all_of(
      spare, [base](const PyRef& key) { return PyDict_DelItem(base, key.get()) == 0; });
}

PyRef WsgiEnviron::Build(Exchange& exchange, const PyRef& input, const PyRef& early_hints) {
  const RequestHead& request = exchange.request();
  const PyRef base = BaseOf(exchange.listener());
  PyRef environ = base ? PyRef::Steal(PyDict_Copy(base.get())) : PyRef();
  if (!environ || !Set(environ.get(), keys_.wsgi_input, input) ||
      !Set(environ.get(), keys_.early_hints, early_hints) ||
      !SetRequestLine(environ.get(), request) || !SetForwarded(environ.get(), request) ||
      !SetPeer(environ.get(), exchange) || !SetHeaders(environ.get(), request)) {
    return {};
  }
  if ((request.chunked || request.content_length) &&
      !Set(environ.get(), keys_.content_length, Latin1(std::to_string(exchange.body().size())))) {
    return {};
  }
  return environ;
}

bool WsgiEnviron::SetRequestLine(PyObject* environ, const RequestHead& request) {
  if ((request.method != "GET" && !Set(environ, keys_.request_method, Text(request.method))) ||
      (!request.parts.query.empty() && !Set(environ, keys_.query_string, Text(request.parts.query))) ||
      (request.minor_version == 0 && !Set(environ, keys_.server_protocol, Text("HTTP/1.0")))) {
    return false;
  }
  const PyRef uri = target_.Of(request.target);
  return Set(environ, keys_.raw_uri, uri) && SetPath(environ, request, uri);
}

bool WsgiEnviron::SetPath(PyObject* environ, const RequestHead& request, const PyRef& uri) {
  const std::string_view encoded_path = request.parts.path;
  const std::string_view mount =
      request.script_name ? WithoutTrailingSlashes(*request.script_name) : script_name_;
  if (mount.empty() && encoded_path.find('%') == std::string_view::npos) {
    const bool is_all = encoded_path.size() == request.target.size();
    return Set(environ, keys_.path_info, is_all ? uri : Text(encoded_path));
  }
  const std::string path = PercentDecode(encoded_path);
  const std::size_t prefix = mount.size();
  if (path.starts_with(mount) && (prefix == 0 || path.size() == prefix || path[prefix] == '/')) {
    return Set(environ, keys_.path_info, Latin1(std::string_view(path).substr(prefix)));
  }
  PyErr_Format(PyExc_ValueError, "the request path does not start with SCRIPT_NAME '%s'",
               std::string(mount).c_str());
  return false;
}

bool WsgiEnviron::SetForwarded(PyObject* environ, const RequestHead& request) {
  if (request.secure && !Set(environ, keys_.url_scheme, keys_.https)) return false;
  return !request.script_name ||
         Set(environ, keys_.script_name, Latin1(WithoutTrailingSlashes(*request.script_name)));
}

bool WsgiEnviron::SetProxy(PyObject* environ, const ProxyHeader& proxy) {
  return Set(environ, keys_.proxy_protocol, Latin1(proxy.protocol)) &&
         Set(environ, keys_.proxy_addr, Latin1(proxy.proxy_host)) &&
         Set(environ, keys_.proxy_port, Latin1(std::to_string(proxy.proxy_port)));
}

bool WsgiEnviron::SetPeer(PyObject* environ, const Exchange& exchange) {
  if (!Set(environ, keys_.remote_addr, peer_host_.Of(exchange.peer().host))) return false;
  const ProxyHeader* const proxy = exchange.proxy();
  if (proxy != nullptr && !SetProxy(environ, *proxy)) return false;
  if (exchange.listener().family == ListenerAddress::Family::kUnix) {
    if (!SetUnixServer(environ, exchange.request())) return false;
    if (proxy == nullptr) return true;  // such a peer has no port
  }
  return Set(environ, keys_.remote_port, PortText(exchange.peer().port));
}

// A Unix socket has neither name nor port, and PEP 3333 allows neither to be empty: they are the
// client's word.
bool WsgiEnviron::SetUnixServer(PyObject* environ, const RequestHead& request) {
  const HostAndPort server = SplitHost(request.Find("Host").value_or(""), request.secure);
  return Set(environ, keys_.server_name, Latin1(server.host)) &&
         Set(environ, keys_.server_port, Latin1(server.port));
}

bool WsgiEnviron::SetHeaders(PyObject* environ, const RequestHead& request) {
  HeaderKey* previous = &before_first_;
  for (const HeaderField& field : request.headers) {
    HeaderKey& header = KeyAfter(*previous, field.name);
    previous->next = header.name.empty() ? nullptr : &header;
    previous = &header;
    if (header.left_out) continue;
    PyRef value = header.value.Of(field.value);
    if (!header.key || !value || !SetHeader(environ, header, std::move(value))) return false;
  }
  return true;
}

bool WsgiEnviron::SetHeader(PyObject* environ, const HeaderKey& header, PyRef value) {
  const Py_ssize_t size = PyDict_Size(environ);
  PyObject* const present = PyDict_SetDefault(environ, header.key.get(), value.get());
  if (present == nullptr) return false;
  if (PyDict_Size(environ) > size) return true;
  const PyRef separator = Latin1(header.separator);
  const PyRef start =
      separator ? PyRef::Steal(PyUnicode_Concat(present, separator.get())) : PyRef();
  return start &&
         Set(environ, header.key, PyRef::Steal(PyUnicode_Concat(start.get(), value.get())));
}

WsgiEnviron::HeaderKey& WsgiEnviron::KeyAfter(const HeaderKey& previous, std::string_view name) {
  return previous.next != nullptr && previous.next->name == name ? *previous.next : KeyOf(name);
}

WsgiEnviron::HeaderKey& WsgiEnviron::KeyOf(std::string_view name) {
  const auto found = header_keys_.find(name);
  if (found != header_keys_.end()) return found->second;
  HeaderKey header;
  header.left_out = IsLeftOut(name);
  if (EqualsIgnoreCase(name, "Content-Type")) {
    header.key = Interned("CONTENT_TYPE");
  } else if (!header.left_out) {
    header.key = Latin1(VariableName(name));
  }
  if (EqualsIgnoreCase(name, "Cookie")) header.separator = "; ";
  if (name.size() <= kMaxCachedNameLength && header_keys_.size() < kMaxCachedNames &&
      (header.key || header.left_out)) {
    const auto kept = header_keys_.emplace(name, std::move(header)).first;
    kept->second.name = kept->first;
    return kept->second;
  }
  return uncached_ = std::move(header);
}

PyRef WsgiEnviron::PortText(int port) {
  auto& [known, text] = ports_[static_cast<std::size_t>(port) % ports_.size()];
  if (!text || known != port) {
    text = Latin1(std::to_string(port));
    known = port;
  }
  return text;
}

PyRef WsgiEnviron::LastText::Of(std::string_view bytes) {
  if (text_ && bytes == bytes_) return text_;
  if (bytes.size() > kLongest) return Latin1(bytes);
  text_ = Latin1(bytes);
  bytes_ = bytes;
  return text_;
}

PyRef WsgiEnviron::Text(std::string_view bytes) const {
  constexpr std::size_t kLongestCommonText = 10;
  if (bytes.size() <= kLongestCommonText) {
    const auto found = texts_.find(bytes);
    if (found != texts_.end()) return found->second;
  }
  return Latin1(bytes);
}

}  // namespace gunid
