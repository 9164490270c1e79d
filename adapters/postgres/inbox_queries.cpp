/// The inbox: commands that nodes leave for each other, and those of SQL.
#include <algorithm>
#include <array>
#include <set>

#include "fields.hpp"
#include "queries.hpp"

namespace backstitch::postgres {

Result<std::int64_t> put_command(Session& session, const engine::InboxItem& item) {
  const pqxx::result number = session.run_prepared(
      "put_command",
      "select backstitch.put_command($1::uuid, $2::smallint, $3::text, $4::text, $5::jsonb)",
      item.saga.text(), static_cast<int>(item.saga.shard()), item.kind, item.node, item.data);
  if (number[0][0].is_null()) {
    return Error{ErrorCode::not_found, "saga-not-found",
                 "There is no saga " + item.saga.text() + "."};
  }
  if (number_of(number[0][0]) == 0) {
    return Error{
        ErrorCode::overloaded, "commands-overflow",
        "Too many commands wait for the saga " + item.saga.text() + "; send it again later."};
  }
  return number_of(number[0][0]);
}

namespace {

// Data that is too large is not rendered: `bytes` was stored when it was written.
#define BACKSTITCH_INBOX_COLUMNS(is_given) \
  "i.id, i.saga_id, i.kind, i.node, "                                                   \
  "case when " is_given                                                                 \
  " and i.bytes <= 4194304 then i.data end, " BACKSTITCH_MILLISECONDS("i.at") ", i.definition, " \
  "coalesce(i.version, 0), i.bytes"
static_assert(engine::inbox_bytes_max == 4194304);

/// @param at  the number of its first column
engine::InboxItem inbox_item(const pqxx::row& row, pqxx::row::size_type at) {
  const auto text = [&](pqxx::row::size_type column) { return text_or_empty(row[at + column]); };
  return {number_of(row[at]),
          saga_of(row[at + 1]),
          text(2),
          text(3),
          text(4),
          time_of(row[at + 5]),
          text(6),
          number_of(row[at + 7]),
          static_cast<std::size_t>(number_of(row[at + 8]))};
}

}  // namespace

Result<std::optional<engine::InboxItem>> start_of(Session& session, const SagaId& saga) {
  const pqxx::result found = session.run_prepared(
      "start_of",
      "select " BACKSTITCH_INBOX_COLUMNS(
          "true") " from backstitch.inbox i where kind = 'start' and saga_id = $1::uuid",
      saga.text());
  if (found.empty()) return std::optional<engine::InboxItem>{};
  return std::optional(inbox_item(found[0], 0));
}

namespace {

/// A cursor is the snapshot of the poll before: what that could not see comes after it, however
/// late it commits. While the pages of a poll are read, it is also the last row of the page before,
/// and the snapshot of the first page, which is the cursor once the last page has been read. It
/// holds for one session, because another server may have other transactions under these numbers.
struct Position {
  std::string snapshot = "0:0:";
  std::string last_xid = "0";
  std::string last_id = "0";
  std::string next_snapshot{};  ///< empty: no page has been read
};

std::string session_name(const Session& session) {
  return std::to_string(session.backend().pid) + "." + session.backend().started_at;
}

Position read_position(const engine::InboxCursor& cursor, const std::string& session) {
  std::array<std::string, 5> parts;
  std::size_t from = 0;
  for (std::string& part : parts) {
    const std::size_t end = std::min(cursor.find('/', from), cursor.size());
    part = cursor.substr(std::min(from, cursor.size()), end - std::min(from, end));
    from = end + 1;
  }
  if (parts[0] != session) return {};
  return {parts[1], parts[2], parts[3], parts[4]};
}

engine::InboxCursor written_position(const Position& position, const std::string& session) {
  return session + "/" + position.snapshot + "/" + position.last_xid + "/" + position.last_id +
         "/" + position.next_snapshot;
}

/// Of a poll, the rows of one kind that its cursor has not passed. Those of transactions that were
/// in progress then are looked for one by one, once they have ended; the others have higher
/// numbers.
/// Each walks its index from one bound, because of two lower bounds the index would use the wrong
/// one.
/// @param p  the number of its first parameter, in the order of RangeParameters
std::string range_sql(const std::string& which, int p) {
  const auto param = [p](int i, const char* type) {
    return "$" + std::to_string(p + i) + "::" + type;
  };
  const std::string rows = "select c.* from backstitch.inbox c where " + which +
                           " and c.failures < 5 and c.shard = any ($1::smallint[])";
  const std::string limited = " order by c.xid, c.id limit " + param(5, "int");
  return "select a.* from ((select r.* from unnest(" + param(0, "xid8[]") +
         ") ended(xid) cross join lateral (" + rows +
         " and c.xid = ended.xid and c.id > case when"
         " ended.xid = " +
         param(1, "xid8") + " then " + param(2, "bigint") + " else 0 end" + limited +
         ") r where ended.xid >= " + param(1, "xid8") +
         " and pg_visible_in_snapshot(ended.xid, pg_current_snapshot())) union all (" + rows +
         " and (c.xid, c.id) > (" + param(3, "xid8") + ", " + param(4, "bigint") + ")" + limited +
         ")) a order by a.xid, a.id limit " + param(5, "int");
}

struct RangeParameters {
  RangeParameters(const Position& position, const engine::InboxRange& range)
      : in_progress("{" + position.snapshot.substr(position.snapshot.rfind(':') + 1) + "}"),
        last_xid(position.last_xid),
        last_id(position.last_id),
        limit(std::min(range.limit, limit_max)) {
    const std::size_t from = position.snapshot.find(':') + 1;
    const std::string xmax =
        position.snapshot.substr(from, position.snapshot.find(':', from) - from);
    const bool is_past = std::stoull(last_xid) >= std::stoull(xmax);
    from_xid = is_past ? last_xid : xmax;
    from_id = is_past ? last_id : "0";
  }

  std::string in_progress;  ///< in the snapshot; it is the text `xmin:xmax:xip,…`
  std::string last_xid;
  std::string last_id;
  std::string from_xid;  ///< of what began after the snapshot
  std::string from_id;
  std::size_t limit;
};

/// Rows of a poll: `fresh` commands, which name their sagas; `starts` up to the one with which the
/// page is full; `lots`, the first commands and the starts of sagas.
enum class Part : std::size_t { fresh, starts, lots };
constexpr std::size_t part_count = 3;

std::string part_sql(Part part, const std::string& rows) {
  return "select " + std::to_string(static_cast<std::size_t>(part)) + " as part, " + rows;
}

const std::string poll_sql =
    "with fresh as materialized (" + range_sql("c.kind <> 'start'", 2) + R"(),
  asked as (select saga_id from fresh union select unnest($14::uuid[])),
  lots as (
    select c.* from asked cross join lateral (
      select e.* from backstitch.inbox e
       where e.saga_id = asked.saga_id and e.kind <> 'start' and e.failures < 5
         and e.shard = any ($1::smallint[])
       order by e.id limit 10) c
    union all
    select c.* from unnest($14::uuid[]) asked(saga_id) cross join lateral (
      select s.* from backstitch.inbox s
       where s.saga_id = asked.saga_id and s.kind = 'start' and s.failures < 5
         and s.shard = any ($1::smallint[]) limit 1) c),
  parts as ()" +
    part_sql(Part::fresh, "false as is_given, f.* from fresh f") + " union all " +
    part_sql(Part::starts,
             "sum(s.bytes) over (order by s.xid, s.id) - s.bytes < 4194304, s.* from (" +
                 range_sql("c.kind = 'start'", 8) + ") s") +
    " union all " + part_sql(Part::lots, R"(sum(l.bytes) over (order by l.id) - l.bytes < 4194304
      and (l.kind = 'start' or not exists (
        select 1 from backstitch.inbox s where s.saga_id = l.saga_id and s.kind = 'start')), l.*
      from lots l)") +
    R"()
  select n.snapshot, i.part, i.xid, i.is_given, )" BACKSTITCH_INBOX_COLUMNS("i.is_given") R"(
    from (select pg_current_snapshot() as snapshot) n left join parts i on true
   order by i.part, i.xid, i.id)";
static_assert(engine::inbox_failures_max == 5 && engine::inbox_lot_max == 10 &&
              engine::inbox_page_bytes == 4194304);

/// How far the rows of a part go.
struct LastRow {
  std::size_t count = 0;
  std::string xid{};
  std::string id{};
  bool is_cut = false;  ///< there was a row more, for which the page had no room
};

/// Where the part is read on, and whether at once.
void advance(engine::InboxPage& page, const engine::InboxRange& range, Position position,
             const LastRow& last, const std::string& snapshot, const std::string& session) {
  page.next = range.from;
  if (range.limit == 0) return;
  page.is_full = last.is_cut || last.count >= std::min(range.limit, limit_max);
  if (position.next_snapshot.empty()) position.next_snapshot = snapshot;
  if (page.is_full) {
    position.last_xid = last.xid;
    position.last_id = last.id;
  } else {
    position = {position.next_snapshot};
  }
  page.next = written_position(position, session);
}

std::string sagas_literal(const std::vector<SagaId>& sagas) {
  std::vector<std::string> texts;
  for (const SagaId& saga : sagas) texts.push_back(saga.text());
  return array_literal(texts);
}

}  // namespace

/// Its one statement walks indexes and is run so often that it is planned once. The tables grow and
/// shrink too fast for the planner to know their size.
Settings inbox_settings() {
  return {{"plan_cache_mode", "force_generic_plan"},
          {"enable_seqscan", "off"},
          {"enable_bitmapscan", "off"},
          {"enable_hashjoin", "off"},
          {"enable_mergejoin", "off"},
          {"jit", "off"}};
}

Result<engine::InboxPoll> poll_inbox(Session& session, const engine::InboxQuery& query) {
  const std::string name = session_name(session);
  const Position commands = read_position(query.commands.from, name);
  const Position starts = read_position(query.starts.from, name);
  const RangeParameters c(commands, query.commands);
  const RangeParameters s(starts, query.starts);
  const pqxx::result rows = session.run_prepared(
      "poll_inbox", poll_sql, shards_literal(query.shards), c.in_progress, c.last_xid, c.last_id,
      c.from_xid, c.from_id, c.limit, s.in_progress, s.last_xid, s.last_id, s.from_xid, s.from_id,
      s.limit, sagas_literal(query.sagas));
  engine::InboxPoll found;
  std::array<LastRow, part_count> last;
  std::set<SagaId> left_out;
  for (const auto& row : rows) {
    if (row[1].is_null()) continue;
    const auto part = static_cast<Part>(number_of(row[1]));
    const bool is_given = flag_of(row[3]);
    LastRow& before = last.at(static_cast<std::size_t>(part));
    if (part == Part::starts) before.is_cut = before.is_cut || !is_given;
    if (part == Part::lots && !is_given) left_out.insert(saga_of(row[5]));
    if (is_given || part == Part::fresh)
      before = {before.count + 1, row[2].c_str(), row[4].c_str(), before.is_cut};
    if (!is_given) continue;
    engine::InboxItem item = inbox_item(row, 4);
    (item.kind == "start" ? found.starts : found.commands).items.push_back(std::move(item));
  }
  const std::string snapshot = rows[0][0].c_str();
  advance(found.commands, query.commands, commands, last[0], snapshot, name);
  advance(found.starts, query.starts, starts, last[1], snapshot, name);
  found.left_out.assign(left_out.begin(), left_out.end());
  for (engine::InboxPage* page : {&found.commands, &found.starts}) {
    std::sort(page->items.begin(), page->items.end(),
              [](const auto& a, const auto& b) { return a.id < b.id; });
  }
  return found;
}

Result<bool> inbox_failed(Session& session, const engine::InboxFailure& failure) {
  return flag_of(session.run_prepared(
      "inbox_failed", "select backstitch.inbox_failed($1::bigint, $2::text, $3::jsonb)", failure.id,
      failure.why, failure.error)[0][0]);
}

Result<std::vector<engine::InboxAnswer>> take_answers(Session& session, const std::string& node) {
  std::vector<engine::InboxAnswer> answers;
  for (const auto& row : session.run_prepared(
           "take_answers",
           "delete from backstitch.inbox_answer where node = $1::text returning id, error", node))
    answers.push_back({number_of(row[0]), text_or_empty(row[1])});
  return answers;
}

}  // namespace backstitch::postgres
