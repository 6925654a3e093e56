#include "ipc/spawn_protocol.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <type_traits>

#include "ipc/listener_address_json.h"

namespace gunid {

using Json = nlohmann::json;

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(SettingsLayer, origin, values)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(LoadRequest, generation, layers)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(SettingsLoaded, settings, warnings)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ListenersOpened, addresses, outlive_server)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(BootFailure, exit_code, message, traceback)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ForkRequest, worker_id, slot)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Forked, worker_id, pid)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(RecycleWanted, reason)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(WorkerReady, stack_thread)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(CancelRequest, serial)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(AbandonRequest, serial)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(FilesLoaded, files)

namespace {

std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// In the order of Message's alternatives.
constexpr std::array<std::string_view, std::variant_size_v<Message>> kTypes = {"load_request",
                                                                               "settings_loaded",
                                                                               "listeners_opened",
                                                                               "zygote_ready",
                                                                               "boot_failure",
                                                                               "fork_request",
                                                                               "forked",
                                                                               "go",
                                                                               "worker_ready",
                                                                               "recycle_wanted",
                                                                               "accepting_stopped",
                                                                               "cancel_request",
                                                                               "abandon_request",
                                                                               "stacks_wanted",
                                                                               "stacks_written",
                                                                               "files_loaded"};

template <std::size_t index>
bool ReadAlternative(std::string_view type, const Json& json, std::optional<Message>& message) {
  if (type != kTypes[index]) return false;
  using Alternative = std::variant_alternative_t<index, Message>;
  if constexpr (std::is_empty_v<Alternative>) {
    message = Alternative{};
  } else {
    message = json.get<Alternative>();
  }
  return true;
}

// Throws json's exceptions.
template <std::size_t... indexes>
std::optional<Message> ReadMessage(const Json& json,
                                   std::index_sequence<indexes...> /*alternatives*/) {
  const auto type = json.at("type").get<std::string>();
  std::optional<Message> message;
  (ReadAlternative<indexes>(type, json, message) || ...);
  return message;
}

}  // namespace

std::string EncodeMessage(const Message& message) {
  Json json = std::visit(
      [](const auto& alternative) -> Json {
        if constexpr (std::is_empty_v<std::decay_t<decltype(alternative)>>) {
          return Json::object();
        } else {
          return alternative;
        }
      },
      message);
  json["type"] = kTypes[message.index()];
  return Dump(json);
}

Result<Message> DecodeMessage(const std::string& bytes) {
  try {
    auto message =
        ReadMessage(Json::parse(bytes), std::make_index_sequence<std::variant_size_v<Message>>());
    if (!message) return Error{"a message of another process has an unknown type"};
    return std::move(*message);
  } catch (const Json::exception& exception) {
    return Error{std::string("a message of another process is malformed: ") + exception.what()};
  }
}

std::vector<FilesLoaded> SplitIntoPackets(const std::vector<std::string>& files) {
  constexpr std::size_t kBytes = 16 * 1024;  // JSON makes at most six of one
  std::vector<FilesLoaded> packets;
  std::size_t room = 0;
  for (const std::string& file : files) {
    if (packets.empty() || file.size() >= room) {
      packets.emplace_back();
      room = kBytes;
    }
    room -= std::min(room, file.size() + 1);
    packets.back().files.push_back(file);
  }
  return packets;
}

std::string CutToFit(std::string text, std::size_t size) {
  const std::size_t encoded = Dump(text).size();
  if (encoded <= size) return text;
  // No byte is shorter in JSON than as it is, so this many make room enough.
  std::size_t start = std::min(encoded - size, text.size());
  // Not in the middle of a character.
  while (start < text.size() && (static_cast<unsigned char>(text[start]) & 0xC0) == 0x80) ++start;
  return text.erase(0, start);
}

}  // namespace gunid
