#include "notifier.hpp"

namespace backstitch::postgres {

const char* name_of(Channel channel) {
  switch (channel) {
    case Channel::free_shards:
      return "backstitch_shards";
    case Channel::inbox:
      return "backstitch_inbox";
  }
  return "";
}

/// A hint need not survive a crash, so its commit waits for no disk.
Result<Done> notify(Session& session, Channel channel) {
  session.run_prepared(
      "notify", "select set_config('synchronous_commit', 'off', true), pg_notify($1::text, '')",
      name_of(channel));
  return Done{};
}

void Notifier::notify(Channel channel) {
  const auto index = static_cast<std::size_t>(channel);
  if ((*is_queued_)[index].exchange(true)) return;
  pool_.submit<Done>(
      [flags = is_queued_, index, channel](Session& session) {
        (*flags)[index] = false;
        return postgres::notify(session, channel);
      },
      [flags = is_queued_, index](const Result<Done>&) { (*flags)[index] = false; });
}

}  // namespace backstitch::postgres
