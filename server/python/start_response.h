// The application's side of a response (PEP 3333): start_response() and the write() it returns, and
// wsgi.early_hints(). GIL held, but while a write is large or waits for the client.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "engine/exchange.h"
#include "http/response_head.h"
#include "python/file_wrapper.h"
#include "python/py_ref.h"

namespace gunid {

struct WsgiOptions;

// What the application has said so far, and what of it has gone to the exchange. For one WsgiCall::Run
// after the other, and not on a stack (python/executor_greenlets.h); the functions that return false have
// set a Python exception.
class WsgiResponse {
 public:
  // `options` outlive the response.
  explicit WsgiResponse(const WsgiOptions& options) : options_(options) {}

  // Before all others, for each request.
  void Begin(Exchange& exchange);

  // start_response(status, headers, exc_info): may be called again with an exc_info, as long as no
  // head was sent. The headers are a list or tuple.
  bool Start(PyObject* status, PyObject* header_items, PyObject* exc_info);

  // Sends a 103 (Early Hints) response with these headers; nothing if the head was sent or the
  // client cannot understand it. Gunicorn's wsgi.early_hints.
  bool SendEarlyHints(PyObject* header_items);

  // Sends the head, once. `known_length`: of the whole body, if it is known.
  bool SendHead(std::optional<std::uint64_t> known_length);

  // Sends a chunk, which must be bytes; an empty one does nothing. The head goes first.
  bool Write(PyObject* chunk, std::optional<std::uint64_t> known_length = std::nullopt);

  // Sends the head and a file as the body, as far as the declared Content-Length goes. Not after a
  // write().
  bool SendFile(const FileRegion& file);

  // The client is gone, or has not taken anything for too long.
  [[nodiscard]] bool closed() const { return closed_; }

  // False when more of the body would be thrown away: the client is gone, has all that was
  // declared, or asked for the head only.
  [[nodiscard]] bool wants_more() const;

  // Whether the memory that is kept for the next request is worth it.
  [[nodiscard]] bool keeps_little() const { return head_.capacity() <= kMostKept; }

  // The application has returned: no further write() is let in, and one that another of its threads
  // or greenlets has under way is waited for. Before the exchange is finished.
  // A Python exception that was set stays; there may be one afterwards: the request was ended.
  void EndWriting();

 private:
  class GilReleasedForWrite;

  static constexpr std::size_t kMostKept = 16 * 1024;

  bool WaitForRoom();  // false: closed, or a Python exception is set
  void WritePart(std::string_view part);
  void Note(Exchange::WriteStatus status);

  Exchange* exchange_ = nullptr;
  const WsgiOptions& options_;
  ResponseHead head_;
  bool started_ = false;
  bool closed_ = false;
  bool full_ = false;  // wait for room before the next write
  bool ended_ = false;
  bool writing_ = false;  // a thread is in a write, and others may run
};

// The callable that is the application's second argument, with the type of those that it has. Nothing
// with a Python exception set.
PyRef MakeStartResponseType();

// The callables of one request. They may be used for another one if the application has kept none.
class ResponseCallables {
 public:
  // False with a Python exception set.
  bool Create(const PyRef& start_response_type);

  [[nodiscard]] const PyRef& start_response() const { return start_response_; }
  [[nodiscard]] const PyRef& early_hints() const { return early_hints_; }

  void Attach(WsgiResponse& response);
  // The request is over: from now on start_response, write and early_hints raise RuntimeError.
  void Detach();
  // Whether nobody else has one of them, and nothing was left in them.
  [[nodiscard]] bool are_unshared() const;

 private:
  PyRef start_response_;
  PyRef
      write_;  // what start_response returns; it and early_hints_ own a reference to start_response_
  PyRef early_hints_;
};

}  // namespace gunid
