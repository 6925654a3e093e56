// One request that a new worker answers itself before it accepts (health_check): over a socket pair,
// one end of which the engine serves like any client's, so that it goes the whole way of a request
// in any executor. This is the client's half.
//
// States: Start -> waiting (collects the answer until the connection ends) -> done. Leading thread;
// owned by the engine. There is no deadline here: the worker has its boot_timeout.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/event_loop.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace gunid {

// ok for an answer of status 2xx or 3xx. Otherwise what came instead of it in one line -
// "health check GET /up: 503 Service Unavailable" - with the start of the body as its detail.
Status JudgeHealth(const std::string& path, std::string_view answer);

class HealthCheck : public EventHandler {
 public:
  // `done` is called once, from the loop.
  HealthCheck(EventLoop& loop, std::string path, std::function<void(const Status&)> done)
      : loop_(loop), path_(std::move(path)), done_(std::move(done)) {}
  ~HealthCheck() override;
  HealthCheck(const HealthCheck&) = delete;
  HealthCheck& operator=(const HealthCheck&) = delete;

  // Sends the request. The result is the end that is to be served.
  Result<UniqueFd> Start();

 private:
  void OnEvents(std::uint32_t events) override;
  bool Receive();  // false: the answer has ended
  void End();

  EventLoop& loop_;
  const std::string path_;
  const std::function<void(const Status&)> done_;
  UniqueFd socket_;
  std::string answer_;  // as much of its beginning as is of interest
};

}  // namespace gunid
