#include "ipc/scoreboard.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

namespace gunid {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

std::size_t SizeFor(int slot_count) {
  return sizeof(ScoreboardHeader) + sizeof(ScoreboardSlot) * static_cast<std::size_t>(slot_count);
}

// A reader's copy of an entry's text; "" if the writer was at it.
std::string ReadText(const InFlightEntry& entry) {
  for (int attempt = 0; attempt < 3; ++attempt) {
    const std::uint64_t before = entry.sequence.load(std::memory_order_acquire);
    std::uint64_t words[kInFlightWords];
    // Acquire: a word of a later text comes with that text's sequence.
    for (std::size_t i = 0; i < std::size(words); ++i)
      words[i] = entry.text[i].load(std::memory_order_acquire);
    if (before % 2 != 0 || entry.sequence.load(kRelaxed) != before) continue;
    const char* text = reinterpret_cast<const char*>(words);
    return {text, strnlen(text, sizeof words)};
  }
  return {};
}

}  // namespace

SlotCounters& SlotCounters::operator+=(const SlotCounters& other) {
  requests += other.requests;
  server_errors += other.server_errors;
  bytes_sent += other.bytes_sent;
  connections += other.connections;
  return *this;
}

Result<Scoreboard> Scoreboard::Create(int slot_count) {
  auto memory = SharedMemory::Create("gunid-scoreboard", SizeFor(slot_count));
  if (!memory) return memory.error();
  new (memory->data())
      ScoreboardHeader{kScoreboardMagic, kScoreboardVersion, static_cast<std::uint32_t>(slot_count),
                       sizeof(ScoreboardSlot)};
  return Scoreboard(std::move(*memory));
}

Result<Scoreboard> Scoreboard::Attach(UniqueFd fd) {
  auto memory = SharedMemory::Attach(std::move(fd));
  if (!memory) return memory.error();
  const auto* header = static_cast<const ScoreboardHeader*>(memory->data());
  if (memory->size() < sizeof *header || header->magic != kScoreboardMagic ||
      header->version != kScoreboardVersion || header->slot_size != sizeof(ScoreboardSlot) ||
      memory->size() < SizeFor(static_cast<int>(header->slot_count))) {
    return Error{
        "the scoreboard has another layout: gunid and gunid-worker are of different versions"};
  }
  return Scoreboard(std::move(*memory));
}

int Scoreboard::slot_count() const {
  return static_cast<int>(static_cast<const ScoreboardHeader*>(memory_.data())->slot_count);
}

ScoreboardSlot& Scoreboard::slot(int index) {
  auto* slots = reinterpret_cast<ScoreboardSlot*>(static_cast<char*>(memory_.data()) +
                                                  sizeof(ScoreboardHeader));
  return slots[index];
}

SlotCounters Scoreboard::Counters(int index) {
  const ScoreboardSlot& from = slot(index);
  return {from.requests.load(kRelaxed), from.server_errors.load(kRelaxed),
          from.bytes_sent.load(kRelaxed), from.connections.load(kRelaxed)};
}

std::uint64_t Scoreboard::Heartbeat(int index) {
  return slot(index).heartbeat_ns.load(kRelaxed);
}

int Scoreboard::InFlight(int index) {
  return static_cast<int>(slot(index).in_flight.load(kRelaxed));
}

std::vector<RequestInFlight> Scoreboard::Requests(int index) {
  std::vector<RequestInFlight> requests;
  if (InFlight(index) == 0) return requests;
  for (const InFlightEntry& entry : slot(index).entries) {
    const std::uint64_t start = entry.start_ns.load(std::memory_order_acquire);
    if (start == 0) continue;
    RequestInFlight request{start, ReadText(entry)};
    // If the entry has been taken anew meanwhile, the text is that of another request.
    if (entry.start_ns.load(kRelaxed) == start) requests.push_back(std::move(request));
  }
  return requests;
}

void Scoreboard::Clear(int index) {
  ScoreboardSlot& target = slot(index);
  for (SharedCounter* counter : {&target.heartbeat_ns, &target.requests, &target.in_flight,
                                 &target.server_errors, &target.bytes_sent, &target.connections}) {
    counter->store(0, kRelaxed);
  }
  // Entries are taken from the lowest, so the first that was never used ends the used part.
  for (InFlightEntry& entry : target.entries) {
    if (entry.sequence.load(kRelaxed) == 0) break;
    entry.start_ns.store(0, kRelaxed);
    entry.sequence.store(0, kRelaxed);
  }
}

int SlotWriter::BeginRequest(std::string_view method, std::string_view path, std::uint64_t now_ns) {
  Add(slot_->requests, 1);
  Add(slot_->in_flight, 1);
  int index = -1;
  for (std::size_t word = 0; word < std::size(taken_); ++word) {
    if (taken_[word] == ~std::uint64_t{0}) continue;
    const int bit = std::countr_one(taken_[word]);
    taken_[word] |= std::uint64_t{1} << bit;
    index = static_cast<int>(word) * 64 + bit;
    break;
  }
  if (index < 0) return index;

  std::uint64_t words[kInFlightWords] = {};
  char* text = reinterpret_cast<char*>(words);
  const std::size_t method_size = std::min<std::size_t>(method.size(), 32);
  const std::size_t path_size = std::min(path.size(), sizeof words - method_size - 2);
  std::memcpy(text, method.data(), method_size);
  text[method_size] = ' ';
  std::memcpy(text + method_size + 1, path.data(), path_size);
  const std::size_t used_words = (method_size + 1 + path_size) / sizeof words[0] + 1;

  InFlightEntry& entry = slot_->entries[index];
  const std::uint64_t sequence = entry.sequence.load(kRelaxed);
  entry.sequence.store(sequence + 1, kRelaxed);
  for (std::size_t i = 0; i < used_words; ++i)
    entry.text[i].store(words[i], std::memory_order_release);
  entry.sequence.store(sequence + 2, std::memory_order_release);
  entry.start_ns.store(now_ns, std::memory_order_release);
  return index;
}

void SlotWriter::PostponeRequest(int entry, std::uint64_t by_ns) {
  if (entry >= 0) Add(slot_->entries[entry].start_ns, by_ns);
}

void SlotWriter::EndRequest(int entry, int status, std::uint64_t bytes_sent) {
  Add(slot_->in_flight, static_cast<std::uint64_t>(-1));
  if (status >= 500) Add(slot_->server_errors, 1);
  Add(slot_->bytes_sent, bytes_sent);
  if (entry < 0) return;
  slot_->entries[entry].start_ns.store(0, kRelaxed);
  taken_[entry / 64] &= ~(std::uint64_t{1} << (entry % 64));
}

}  // namespace gunid
