// The environ dictionaries of PEP 3333. What is the same for all requests to a listener is prepared
// once and copied; keys and frequent values are made once. The caches change while requests are
// served: GIL held, which is what guards them.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/exchange.h"
#include "python/py_ref.h"

namespace gunid {

struct WsgiOptions;

// After the call: keeps what the access log wants of its environ, which the application may have
// changed. No exception is set before or after it.
void LogVariables(PyObject* environ, Exchange& exchange);

class WsgiEnviron {
 public:
  // False with a Python exception set.
  bool Create(const WsgiOptions& options, PyObject* file_wrapper);

  // The environ of one request, with its wsgi.input and wsgi.early_hints; nothing with a Python
  // exception set.
  PyRef Build(Exchange& exchange, const PyRef& input, const PyRef& early_hints);

 private:
  // What to do with a request header field.
  struct HeaderKey {
    PyRef key;  // "HTTP_X", "CONTENT_TYPE"
    bool left_out = false;
    std::string_view separator = ",";  // between the values of fields that are repeated
  };
  struct StringHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>()(text);
    }
  };
  template <class Value>
  using StringMap = std::unordered_map<std::string, Value, StringHash, std::equal_to<>>;

  bool CreateKeys();
  bool CreateBase(const WsgiOptions& options, PyObject* file_wrapper);
  bool ReadScriptName();
  PyRef BaseOf(const ListenerAddress& listener);
  bool MakeRoom(PyObject* base) const;
  bool SetRequestLine(PyObject* environ, const RequestHead& request);
  bool SetPath(PyObject* environ, const RequestHead& request, std::string_view encoded_path,
               const PyRef& uri);
  bool SetForwarded(PyObject* environ, const RequestHead& request);
  bool SetProxy(PyObject* environ, const ProxyHeader& proxy);
  bool SetPeer(PyObject* environ, const Exchange& exchange);
  bool SetHeaders(PyObject* environ, const RequestHead& request);
  bool SetUnixServer(PyObject* environ, const RequestHead& request);
  const HeaderKey& KeyOf(std::string_view name);
  PyRef Text(std::string_view bytes) const;
  PyRef HostOf(const PeerAddress& peer);

  struct Keys {
    PyRef request_method, path_info, query_string, raw_uri, server_protocol, server_name,
        server_port, remote_addr, remote_port, content_length, script_name, url_scheme, wsgi_input,
        early_hints, proxy_protocol, proxy_addr, proxy_port, https;
  };

  Keys keys_;
  PyRef base_;
  std::string script_name_;
  std::vector<std::pair<ListenerAddress, PyRef>> bases_;  // one for each listener that was used
  StringMap<HeaderKey> header_keys_;                      // by name as sent; bounded
  StringMap<PyRef> texts_;                                // frequent values; fixed
  HeaderKey uncached_;                                    // the last one that was not kept
  std::string last_host_;  // of a client; that of the next is likely the same
  PyRef last_host_text_;
};

}  // namespace gunid
