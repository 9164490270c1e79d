#include "ledger.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

namespace backstitch::examples {

namespace {

using nlohmann::json;

constexpr std::array<std::pair<Effect, std::string_view>, 11> effect_names{
    {{Effect::accepted, "accepted"},
     {Effect::done, "done"},
     {Effect::captured, "captured"},
     {Effect::undone, "undone"},
     {Effect::noop_undo, "noop-undo"},
     {Effect::refused, "refused"},
     {Effect::closed, "closed"},
     {Effect::probed, "probed"},
     {Effect::unseen, "unseen"},
     {Effect::replayed, "replayed"},
     {Effect::notified, "notified"}}};

std::optional<Effect> effect_of(std::string_view text) {
  for (const auto& [effect, name] : effect_names) {
    if (name == text) return effect;
  }
  return std::nullopt;
}

/// @throws json::exception on a member of the wrong type
std::optional<Entry> entry_of(const json& object) {
  if (!object.is_object()) return std::nullopt;
  const auto effect = effect_of(object.value("effect", ""));
  if (!effect) return std::nullopt;
  Entry entry;
  entry.service = object.value("service", "");
  entry.saga = object.value("saga", "");
  entry.step = object.value("step", "");
  entry.phase = object.value("phase", "");
  entry.subject = object.value("subject", "");
  entry.key = object.value("key", "");
  entry.compensates = object.value("compensates", "");
  entry.attempt = object.value("attempt", 0);
  entry.effect = *effect;
  entry.undoable = object.value("undoable", *effect == Effect::done);
  entry.status = object.value("status", 200U);
  entry.answer = object.value("answer", "");
  entry.decision = object.value("decision", "");
  entry.notify = object.value("notify", "");
  return entry;
}

std::string to_line(const Entry& entry) {
  // Header values need not be UTF-8; a ledger that throws would be worse than one that replaces.
  return to_json(entry).dump(-1, ' ', false, json::error_handler_t::replace) + '\n';
}

void write_all(int file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(file, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      // A participant that answers without its record would make every later check worthless.
      std::fprintf(stderr, "cannot write the ledger: %s\n", std::strerror(errno));
      std::abort();
    }
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace

std::string_view to_text(Effect effect) {
  for (const auto& [known, name] : effect_names) {
    if (known == effect) return name;
  }
  return "";
}

json to_json(const Entry& entry) {
  json object{{"seq", entry.seq},         {"service", entry.service},
              {"saga", entry.saga},       {"step", entry.step},
              {"phase", entry.phase},     {"key", entry.key},
              {"attempt", entry.attempt}, {"compensates", entry.compensates},
              {"status", entry.status},   {"effect", to_text(entry.effect)},
              {"answer", entry.answer},   {"subject", entry.subject}};
  if (entry.effect == Effect::done) object["undoable"] = entry.undoable;
  if (entry.effect == Effect::accepted) {
    object["decision"] = entry.decision;
    object["notify"] = entry.notify;
  }
  return object;
}

Ledger::~Ledger() {
  if (file_ >= 0) ::close(file_);
}

std::optional<std::string> Ledger::open(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  text.resize(text.rfind('\n') + 1);  // npos + 1 is 0: no complete line, nothing to keep
  if (auto wrong = read_back(text)) return file + ": " + *wrong;
  file_ = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (file_ < 0 || ::ftruncate(file_, static_cast<off_t>(text.size())) != 0) {
    return file + ": " + std::strerror(errno);
  }
  return std::nullopt;
}

std::optional<std::string> Ledger::read_back(const std::string& text) {
  int line_number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find('\n', begin);
    const std::string_view line = std::string_view(text).substr(begin, end - begin);
    begin = end + 1;
    ++line_number;
    try {
      auto entry = entry_of(json::parse(line));
      if (!entry) return "line " + std::to_string(line_number) + " is not a ledger entry";
      entry->seq = static_cast<std::int64_t>(entries_.size()) + 1;
      entries_.push_back(std::move(*entry));
    } catch (const json::exception& error) {
      return "line " + std::to_string(line_number) + ": " + error.what();
    }
  }
  return std::nullopt;
}

void Ledger::append(Entry entry) {
  entry.seq = static_cast<std::int64_t>(entries_.size()) + 1;
  if (file_ >= 0) write_all(file_, to_line(entry));
  entries_.push_back(std::move(entry));
}

void Ledger::clear() {
  entries_.clear();
  if (file_ >= 0 && ::ftruncate(file_, 0) != 0) {
    std::fprintf(stderr, "cannot empty the ledger: %s\n", std::strerror(errno));
    std::abort();
  }
}

}  // namespace backstitch::examples
