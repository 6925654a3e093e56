#include "ipc/scoreboard.h"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <new>
#include <optional>

namespace gunid {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

std::size_t SizeFor(int slot_count) {
  return sizeof(ScoreboardHeader) + sizeof(ScoreboardSlot) * static_cast<std::size_t>(slot_count);
}

// Acquire: a word of a later text comes with that text's sequence.
template <std::size_t size>
std::string LoadText(const SharedCounter (&from)[size]) {
  std::uint64_t words[size];
  for (std::size_t i = 0; i < size; ++i) words[i] = from[i].load(std::memory_order_acquire);
  const char* text = reinterpret_cast<const char*>(words);
  return {text, strnlen(text, sizeof words)};
}

// Release: see LoadText. Only the words that are used are written.
template <std::size_t size>
void StoreText(SharedCounter (&to)[size], std::string_view first, std::string_view second = {}) {
  std::uint64_t words[size] = {};
  char* const text = reinterpret_cast<char*>(words);
  const std::size_t first_size = std::min(first.size(), sizeof words - 1);
  first.copy(text, first_size);
  const std::size_t second_size = std::min(second.size(), sizeof words - 1 - first_size);
  second.copy(text + first_size, second_size);
  const std::size_t used_words = (first_size + second_size) / sizeof words[0] + 1;
  for (std::size_t i = 0; i < used_words; ++i) to[i].store(words[i], std::memory_order_release);
}

// A reader's copy of an entry that is taken, and that started before `started_before`; nothing but the
// start if the writer was at it all the time.
std::optional<RequestInFlight> ReadEntry(const InFlightEntry& entry, std::uint64_t started_before) {
  std::uint64_t start_ns = 0;
  for (int attempt = 0; attempt < 3; ++attempt) {
    const std::uint64_t before = entry.sequence.load(std::memory_order_acquire);
    // 0 while the entry is written: so it belongs to what follows, if the sequence stays.
    start_ns = entry.start_ns.load(std::memory_order_acquire);
    if (start_ns == 0 || start_ns >= started_before) return std::nullopt;
    RequestInFlight request{
        .start_ns = start_ns,
        .serial = entry.serial.load(std::memory_order_acquire),
        .thread = entry.thread.load(std::memory_order_acquire),
        .thread_id = static_cast<int>(entry.thread_id.load(std::memory_order_acquire)),
        .client = LoadText(entry.client),
        .text = LoadText(entry.text)};
    if (before % 2 == 0 && entry.sequence.load(kRelaxed) == before) return request;
  }
  return RequestInFlight{.start_ns = start_ns};
}

// gettid() is a system call: once for each thread.
std::uint64_t CurrentThreadId() {
  static thread_local const auto id = static_cast<std::uint64_t>(gettid());
  return id;
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

std::vector<RequestInFlight> Scoreboard::Requests(int index, std::uint64_t started_before) {
  std::vector<RequestInFlight> requests;
  if (InFlight(index) == 0) return requests;
  for (const InFlightEntry& entry : slot(index).entries) {
    // Entries are taken from the lowest, so the first that was never used ends the used part.
    if (entry.sequence.load(kRelaxed) == 0) break;
    auto request = ReadEntry(entry, started_before);
    if (request) requests.push_back(std::move(*request));
  }
  return requests;
}

void Scoreboard::Clear(int index) {
  ScoreboardSlot& target = slot(index);
  for (SharedCounter* counter : {&target.heartbeat_ns, &target.requests, &target.in_flight,
                                 &target.server_errors, &target.bytes_sent, &target.connections}) {
    counter->store(0, kRelaxed);
  }
  for (InFlightEntry& entry : target.entries) {
    if (entry.sequence.load(kRelaxed) == 0) break;
    entry.start_ns.store(0, kRelaxed);
    entry.sequence.store(0, kRelaxed);
  }
}

int SlotWriter::BeginRequest(const RequestStart& request) {
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

  InFlightEntry& entry = slot_->entries[index];
  const std::uint64_t sequence = entry.sequence.load(kRelaxed);
  entry.sequence.store(sequence + 1, kRelaxed);
  entry.serial.store(request.serial, std::memory_order_release);
  entry.thread.store(static_cast<std::uint64_t>(pthread_self()), std::memory_order_release);
  entry.thread_id.store(CurrentThreadId(), std::memory_order_release);
  StoreText(entry.client, request.client);
  // A method is a word; one that is not is cut, so that there is a path.
  std::array<char, 34> method;
  const std::size_t length = request.method.copy(method.data(), method.size() - 1);
  method[length] = ' ';
  StoreText(entry.text, {method.data(), length + 1}, request.path);
  entry.sequence.store(sequence + 2, std::memory_order_release);
  entry.start_ns.store(request.now_ns, std::memory_order_release);
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
