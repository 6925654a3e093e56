#include "ctl/follow_events.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>

#include "ctl/escape.h"
#include "ctl/render.h"
#include "gunid/exit_codes.h"
#include "gunid/reports.h"

namespace gunid {

namespace {

struct PrintedEvent {
  std::uint64_t id = 0;
  std::string text;
};

// Nothing if `body` is no list of events.
std::optional<std::vector<PrintedEvent>> ReadEvents(const std::string& body, bool json) {
  try {
    std::vector<PrintedEvent> events;
    const nlohmann::json document = nlohmann::json::parse(body);
    for (const auto& item : document.at("events").get_ref<const nlohmann::json::array_t&>()) {
      // Printed as it is: it may have members that this version does not know.
      const auto event = item.get<EventReport>();
      events.push_back({event.id, json ? item.dump() + "\n" : RenderEvent(event)});
    }
    return events;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

void WarnOfGap(std::uint64_t known, std::uint64_t next, std::ostream& warnings) {
  if (next <= known + 1) return;
  const std::uint64_t missed = next - known - 1;
  warnings << "gunictl: events: " << missed << (missed == 1 ? " event was" : " events were")
           << " forgotten by the server before " << next << std::endl;
}

bool IsStopping(const Reply& reply) {
  try {
    return nlohmann::json::parse(reply.body).at("error").get<ErrorReport>().code == "stopping";
  } catch (const nlohmann::json::exception&) {
    return false;
  }
}

// `reply` has no events.
FollowEnd EndOf(const Reply& reply, bool has_begun) {
  const bool answered = reply.outcome == Reply::Outcome::kAnswered;
  const bool lost =
      reply.outcome == Reply::Outcome::kBroken || reply.outcome == Reply::Outcome::kCannotConnect;
  if ((answered && IsStopping(reply)) || (lost && has_begun)) {
    return {ctl_exit::kCannotConnect, "events: the server has stopped"};
  }
  if (!answered) return {ExitCode(reply), EscapeControl(reply.error)};
  const auto error = RenderError(reply.body);
  return {ctl_exit::kFailed, "events: " + error.value_or("the server's answer is not understood")};
}

}  // namespace

FollowEnd FollowEvents(Command command, bool json, const std::function<Reply(const Command&)>& ask,
                       std::ostream& out, std::ostream& warnings) {
  for (bool has_begun = false;; has_begun = true) {
    const Reply reply = ask(command);
    if (ExitCode(reply) != ctl_exit::kDone) return EndOf(reply, has_begun);
    const auto events = ReadEvents(reply.body, json);
    if (!events) return {ctl_exit::kFailed, "events: the server's answer is not understood"};
    for (const PrintedEvent& event : *events) {
      if (command.after) WarnOfGap(*command.after, event.id, warnings);
      command.after = event.id;
      if (!(out << event.text << std::flush))
        return {ctl_exit::kFailed, "cannot write the events to standard output"};
    }
    // Nothing has happened yet: from now on the answer comes with the first event.
    if (!command.after) command.after = 0;
  }
}

}  // namespace gunid
