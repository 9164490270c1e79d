/// The log decoder: the first line is an event's type, the second its path, the rest its data.
#include <backstitch/engine/machine/event.hpp>

#include "fuzz.hpp"

namespace backstitch::fuzz {

void look_at(std::string_view input) {
  const auto parts = lines(input, 3);
  engine::EventRecord record;
  record.sequence = engine::Sequence{7};
  record.type = parts[0];
  record.path = parts[1];
  record.data = parts[2];
  record.at = TimePoint{Duration{1'767'225'600'000}};

  const auto event = engine::decode(record);
  if (!event) {
    require(event.error().code == ErrorCode::internal && event.error().reason == "log-corrupt",
            "a record that cannot be read says that the log is corrupt", event.error().reason);
    return;
  }
  require(engine::type_name(*event) == record.type, "an event keeps its type");
  require(event->at == record.at, "an event keeps its time");
  // Unknown members are let go, and an event of the whole saga has no path: the first encoding is
  // the normal form.
  const auto normal = engine::encode(*event, record.sequence);
  require(normal.path == record.path || normal.path.empty(), "an event keeps its path");
  const auto again = engine::decode(normal);
  require(again.has_value(), "what was encoded can be decoded", normal.data);
  require(engine::encode(*again, record.sequence) == normal,
          "what decodes encodes to the same record again", normal.data);
}

}  // namespace backstitch::fuzz
