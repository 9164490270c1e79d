#include "connections.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <utility>

namespace backstitch::rest {
namespace {

/// A phase and when it began, in one word. Of two words of one phase the lower is older.
constexpr unsigned phase_shift = 60;
constexpr std::uint64_t closed = UINT64_MAX;

std::uint64_t word_of(Phase phase) {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  const auto count = std::chrono::duration_cast<std::chrono::microseconds>(now).count();
  return static_cast<std::uint64_t>(phase) << phase_shift | static_cast<std::uint64_t>(count);
}
Phase phase_of(std::uint64_t word) {
  return static_cast<Phase>(word >> phase_shift);
}
std::uint64_t since_of(std::uint64_t word) {
  return word & ((std::uint64_t{1} << phase_shift) - 1);
}

std::set<std::string> canonical(const std::vector<std::string>& addresses) {
  std::set<std::string> out;
  for (const auto& text : addresses) out.insert(canonical_address(text).value_or(text));
  return out;
}

/// Whoever has one IPv6 address has its whole network of 64 bits.
std::string peer_of(const std::string& address) {
  in6_addr binary{};
  if (::inet_pton(AF_INET6, address.c_str(), &binary) != 1) return address;
  std::fill(std::begin(binary.s6_addr) + 8, std::end(binary.s6_addr), std::uint8_t{0});
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(AF_INET6, &binary, text.data(), text.size());
  return std::string(text.data()) + "/64";
}

}  // namespace

std::optional<std::string> canonical_address(const std::string& text) {
  in6_addr address{};
  std::array<char, INET6_ADDRSTRLEN> out{};
  if (::inet_pton(AF_INET, text.c_str(), &address) == 1) return text;
  if (::inet_pton(AF_INET6, text.c_str(), &address) != 1) return std::nullopt;
  if (IN6_IS_ADDR_V4MAPPED(&address)) {
    ::inet_ntop(AF_INET, &address.s6_addr[12], out.data(), out.size());
  } else {
    ::inet_ntop(AF_INET6, &address, out.data(), out.size());
  }
  return out.data();
}

struct Connections::Entry {
  std::string peer;
  std::function<void()> close;
  std::optional<Error> refusal{};
  bool is_counted = false;  ///< guarded by the mutex
  std::list<Entry*>::iterator place{};
  std::atomic<std::uint64_t> word{word_of(Phase::idle)};
  std::atomic<std::size_t> held{0};
};

Connections::Connections(const Options& options)
    : total_max_(options.connections_max),
      peer_max_(options.connections_per_peer_max > 0
                    ? options.connections_per_peer_max
                    : std::max<std::size_t>(options.connections_max / 2, 1)),
      held_max_(options.held_bytes_max),
      proxies_(canonical(options.proxies)) {}

std::shared_ptr<Connections::Ticket> Connections::admit(const std::string& address,
                                                        std::function<void()> close) {
  auto ticket = std::make_shared<Ticket>(shared_from_this());
  const std::string canonical = canonical_address(address).value_or(address);
  auto entry = std::make_unique<Entry>();
  entry->peer = peer_of(canonical);
  entry->close = std::move(close);
  Closers closers;
  {
    const std::lock_guard lock(mutex_);
    entry->refusal = refusal_of(*entry, proxies_.count(canonical) > 0, closers);
    const auto is_reserved = [](const Entry& other) { return other.refusal.has_value(); };
    const bool has_place =
        !entry->refusal || reserved_ < reserve_max || close_idle(closers, is_reserved);
    // Those that are being closed still have their descriptors.
    if (has_place && entries_.size() < total_max_ + 2 * reserve_max) {
      entry->place = entries_.insert(entries_.end(), entry.get());
      count(*entry);
      ticket->entry_ = std::move(entry);
    }
  }
  for (const auto& one : closers) one();
  if (ticket->entry_) return ticket;
  refused_.fetch_add(1, std::memory_order_relaxed);
  return nullptr;
}

std::optional<Error> Connections::refusal_of(const Entry& entry, bool is_proxy, Closers& closers) {
  const auto is_ordinary = [](const Entry& other) { return !other.refusal; };
  const auto is_of_peer = [&](const Entry& other) {
    return !other.refusal && other.peer == entry.peer;
  };
  if (!is_proxy && peer_count(entry.peer) >= peer_max_ && !close_idle(closers, is_of_peer)) {
    return Error{ErrorCode::overloaded, "peer-connections-full",
                 "Your address has " + std::to_string(peer_max_) +
                     " connections with requests in progress already; wait for some, or let the "
                     "operator exempt a proxy with --proxy."};
  }
  if (ordinary_ >= total_max_ && !close_idle(closers, is_ordinary)) {
    return Error{ErrorCode::overloaded, "connections-full",
                 "This node has " + std::to_string(total_max_) +
                     " connections with requests in progress already; try "
                     "again later."};
  }
  return std::nullopt;
}

bool Connections::close_idle(Closers& closers, const std::function<bool(const Entry&)>& fits) {
  while (true) {
    Entry* longest = nullptr;
    std::uint64_t lowest = closed;
    for (Entry* entry : entries_) {
      const std::uint64_t word = entry->word.load(std::memory_order_relaxed);
      // Idle ones before those that receive: a peer that never ends its body must not stay for it.
      if (phase_of(word) > Phase::receiving || word >= lowest || !fits(*entry)) continue;
      lowest = word;
      longest = entry;
    }
    if (longest == nullptr) return false;
    if (!evict(*longest, lowest, closers)) continue;
    closed_idle_.fetch_add(1, std::memory_order_relaxed);
    return true;
  }
}

void Connections::close_slow(Closers& closers, const Entry& caller) {
  std::vector<std::pair<std::uint64_t, Entry*>> waiting;  // for their peers
  for (Entry* entry : entries_) {
    const std::uint64_t word = entry->word.load(std::memory_order_relaxed);
    const Phase phase = phase_of(word);
    const bool waits = phase == Phase::receiving || phase == Phase::sending;
    if (waits && word != closed && entry != &caller && entry->held.load() > 0)
      waiting.emplace_back(word, entry);
  }
  std::sort(waiting.begin(), waiting.end(),
            [](const auto& a, const auto& b) { return since_of(a.first) < since_of(b.first); });
  for (const auto& [word, entry] : waiting) {
    if (held_.load() <= held_max_) return;
    if (evict(*entry, word, closers)) closed_slow_.fetch_add(1, std::memory_order_relaxed);
  }
}

/// @return false: it has entered another phase meanwhile
bool Connections::evict(Entry& entry, std::uint64_t seen, Closers& closers) {
  if (!entry.word.compare_exchange_strong(seen, closed)) return false;
  uncount(entry);
  held_.fetch_sub(entry.held.exchange(0));
  closers.push_back(std::exchange(entry.close, nullptr));
  return true;
}

void Connections::count(Entry& entry) {
  entry.is_counted = true;
  if (entry.refusal) {
    ++reserved_;
  } else {
    ++ordinary_;
    ++peers_[entry.peer];
  }
}

void Connections::uncount(Entry& entry) {
  if (!std::exchange(entry.is_counted, false)) return;
  if (entry.refusal) {
    --reserved_;
    return;
  }
  --ordinary_;
  const auto peer = peers_.find(entry.peer);
  if (--peer->second == 0) peers_.erase(peer);
}

void Connections::remove(Entry& entry) {
  const std::lock_guard lock(mutex_);
  uncount(entry);
  entries_.erase(entry.place);
  held_.fetch_sub(entry.held.exchange(0));
}

bool Connections::hold(Entry& entry, std::size_t bytes) {
  const std::size_t before = entry.held.exchange(bytes);
  const std::size_t all = held_.fetch_add(bytes - before) + bytes - before;
  if (bytes <= before || all <= held_max_) return true;
  Closers closers;
  {
    const std::lock_guard lock(mutex_);
    close_slow(closers, entry);
  }
  for (const auto& one : closers) one();
  return held_.load() <= held_max_;
}

std::size_t Connections::peer_count(const std::string& peer) const {
  const auto found = peers_.find(peer);
  return found == peers_.end() ? 0 : found->second;
}

std::string Connections::metrics_text() const {
  std::size_t ordinary = 0;
  std::size_t reserved = 0;
  {
    const std::lock_guard lock(mutex_);
    ordinary = ordinary_;
    reserved = reserved_;
  }
  const auto sample = [](const char* name, const char* kind, const char* help,
                         std::initializer_list<std::pair<const char*, std::uint64_t>> values) {
    const std::string full = std::string("backstitch_http_") + name;
    std::string text = "# HELP " + full + ' ' + help + "\n# TYPE " + full + ' ' + kind + '\n';
    for (const auto& [labels, value] : values)
      text += full + labels + ' ' + std::to_string(value) + '\n';
    return text;
  };
  return sample("connections", "gauge", "Open connections; `reserve`: those that found no room.",
                {{"{place=\"ordinary\"}", ordinary}, {"{place=\"reserve\"}", reserved}}) +
         sample("connections_closed_total", "counter", "Connections closed to make room.",
                {{"{reason=\"idle\"}", closed_idle_.load()},
                 {"{reason=\"slow\"}", closed_slow_.load()}}) +
         sample("connections_refused_total", "counter",
                "Connections closed at once: the reserve was full too.", {{"", refused_.load()}}) +
         sample("held_bytes", "gauge", "Bytes of bodies and answers on their way.",
                {{"", held_.load()}});
}

Connections::Ticket::Ticket(std::shared_ptr<Connections> connections)
    : connections_(std::move(connections)) {}

Connections::Ticket::~Ticket() {
  if (entry_) connections_->remove(*entry_);
}

bool Connections::Ticket::enter(Phase phase) {
  std::uint64_t before = entry_->word.load(std::memory_order_relaxed);
  const std::uint64_t after = word_of(phase);
  while (before != closed) {
    if (entry_->word.compare_exchange_weak(before, after)) return true;
  }
  return false;
}

bool Connections::Ticket::hold(std::size_t bytes) {
  return connections_->hold(*entry_, bytes);
}

const std::optional<Error>& Connections::Ticket::refusal() const {
  return entry_->refusal;
}

}  // namespace backstitch::rest
