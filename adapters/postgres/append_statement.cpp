#include "append_statement.hpp"

namespace backstitch::postgres {
const std::string& AppendStatement::sql() {
  static const std::string text = [] {
    constexpr int scalars = 3;
    constexpr int parameters = scalars + 4 + 7 + 13 + 10 + 10 + 5 + 3;
    // As text, so that scalars need no binary form of their own.
    std::string call =
        "select item, outcome, existing, same_input, by_business_key, generation, "
        "removed"
        " from backstitch.append_batch($1,$2::text::uuid,$3::text::bigint";
    for (int i = scalars + 1; i <= parameters; ++i) call += ",$" + std::to_string(i);
    return call + ")";
  }();
  return text;
}

const std::string& AppendStatement::read_back_sql() {
  static const std::string text = R"(
    select e.item
      from (select unnest($1::int[]) as item, unnest($2::uuid[]) as saga,
                   unnest($3::bigint[]) as sequence, unnest($4::timestamptz[]) as at,
                   unnest($5::text[]) as type, unnest($6::text[]) as path,
                   unnest($7::jsonb[]) as data) e
      left join backstitch.saga_log l
        on l.saga_id = e.saga and l.sequence = e.sequence and l.at = e.at and l.type = e.type
       and l.path = e.path and l.data = e.data
     group by e.item
    having count(*) = count(l.sequence))";
  return text;
}

void AppendStatement::reset() {
  for_each([](BinaryArray& array) { array.reset(); });
}

void AppendStatement::fill(const Fence& fence, std::span<const engine::Append* const> items) {
  reset();
  fence_ = fence;
  generation_ = std::to_string(fence.generation);
  std::int32_t number = 0;
  for (const engine::Append* item : items) add_item(++number, *item);
}

void AppendStatement::add_item(std::int32_t number, const engine::Append& item) {
  items_.saga.add(item.saga);
  items_.shard.add(static_cast<std::int16_t>(item.saga.shard()));
  items_.epoch.add(item.epoch.get());
  items_.expected.add(item.expected.get());

  std::int64_t last = item.expected.get();
  for (const engine::EventRecord& event : item.events) {
    BACKSTITCH_INVARIANT(event.sequence.get() == last + 1, "events of an append follow each other");
    last = event.sequence.get();
    events_.item.add(number);
    events_.saga.add(item.saga);
    events_.sequence.add(last);
    events_.at.add(event.at);
    events_.type.add(event.type);
    events_.path.add(event.path);
    events_.data.add(event.data);
  }
  if (item.start) {
    if (!item.only_asks) add_start(number, last, *item.start);
    add_keys(number, *item.start, item.only_asks);
  }
  if (item.row) add_row(number, last, *item.row);
  if (item.audit) {
    audits_.item.add(number);
    audits_.actor.add(item.audit->actor);
    audits_.action.add(item.audit->action);
    audits_.reason.add(item.audit->reason);
    audits_.detail.add_unless_empty(item.audit->detail);
  }
  if (item.inbox) {
    inbox_.item.add(number);
    inbox_.id.add(item.inbox->id);
    inbox_.error.add_unless_empty(item.inbox->error);
  }
}

void AppendStatement::add_start(std::int32_t number, std::int64_t last,
                                const engine::NewSaga& start) {
  static const std::string no_labels = "{}";
  starts_.item.add(number);
  starts_.sequence.add(last);
  starts_.version.add(start.version);
  starts_.at.add(start.started_at);
  starts_.deadline.add_optional(start.deadline);
  starts_.definition.add(start.definition);
  starts_.business_key.add_optional(start.business_key);
  starts_.labels.add(start.labels.empty() ? no_labels : start.labels);
  starts_.input.add(start.input);
  starts_.parent.add_optional(start.parent);
  starts_.hash.add(start.asked.hash);
  starts_.sent.add_unless_empty(start.asked.input);
  starts_.sensitive.add_unless_empty(start.sensitive);
}

void AppendStatement::add_keys(std::int32_t number, const engine::NewSaga& start, bool only_asks) {
  for (const engine::StartKey& key : start.keys) {
    keys_.item.add(number);
    keys_.scope.add(key.scope);
    keys_.key.add(key.key);
    keys_.reuses.add(key.reuses_failed);
    keys_.hash.add(start.asked.hash);
    keys_.version.add(start.version);
    keys_.stated.add_optional(start.asked.stated_version);
    keys_.sent.add_unless_empty(start.asked.input);
    keys_.asks.add(only_asks);
    keys_.generation.add_optional(key.generation);
  }
}

void AppendStatement::add_row(std::int32_t number, std::int64_t last,
                              const engine::RowChange& row) {
  rows_.item.add(number);
  rows_.sequence.add(last);
  rows_.ended_at.add_optional(row.ended_at);
  rows_.wake_at.add_optional(row.wake_at);
  rows_.pivot_passed.add(row.pivot_passed);
  rows_.status.add(row.status);
  rows_.failure_code.add_unless_empty(row.failure_code);
  rows_.output.add_unless_empty(row.output);
  rows_.failure.add_unless_empty(row.failure);
  rows_.expires_at.add_optional(row.expires_at);
}

std::vector<std::string_view> AppendStatement::parameters() {
  std::vector<std::string_view> all;
  all.reserve(55);
  all.insert(all.end(), {fence_.node.name, fence_.node.incarnation, generation_});
  for_each([&](BinaryArray& array) { all.push_back(array.bytes()); });
  return all;
}

std::vector<std::string_view> AppendStatement::event_arrays() {
  std::vector<std::string_view> all;
  events_.for_each([&](BinaryArray& array) { all.push_back(array.bytes()); });
  return all;
}

}  // namespace backstitch::postgres
