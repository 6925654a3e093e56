// The environ dictionaries of PEP 3333. What is the same for all requests to a listener is prepared
// once and copied; keys and frequent values are made once. The caches change while requests are
// served: GIL held, which is what guards them.
#pragma once

#include <array>
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
  // A str that is used again while the bytes stay the same.
  class LastText {
   public:
    // Nothing with a Python exception set.
    PyRef Of(std::string_view bytes);

   private:
    // Longer ones are made anew each time: what clients make up must not occupy memory.
    static constexpr std::size_t kLongest = 128;
    std::string bytes_;
    PyRef text_;
  };

  // What to do with a request header field.
  struct HeaderKey {
    PyRef key;  // "HTTP_X", "CONTENT_TYPE"
    bool left_out = false;
    std::string_view separator = ",";  // between the values of fields that are repeated
    std::string_view name;             // as sent; "" for one that is not kept
    HeaderKey* next = nullptr;         // which came after it last time: clients are creatures of habit
    LastText value;
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
  bool SetPath(PyObject* environ, const RequestHead& request, const PyRef& uri);
  bool SetForwarded(PyObject* environ, const RequestHead& request);
  bool SetProxy(PyObject* environ, const ProxyHeader& proxy);
  bool SetPeer(PyObject* environ, const Exchange& exchange);
  bool SetHeaders(PyObject* environ, const RequestHead& request);
  bool SetUnixServer(PyObject* environ, const RequestHead& request);
  HeaderKey& KeyOf(std::string_view name);
  HeaderKey& KeyAfter(const HeaderKey& previous, std::string_view name);
  static bool SetHeader(PyObject* environ, const HeaderKey& header, PyRef value);
  PyRef Text(std::string_view bytes) const;
  PyRef PortText(int port);

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
  HeaderKey before_first_;
  LastText peer_host_;
  LastText target_;
  std::array<std::pair<int, PyRef>, 256> ports_;  // of clients, by their lowest bits
};

}  // namespace gunid
