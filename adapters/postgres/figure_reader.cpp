#include "figure_reader.hpp"

#include <algorithm>
#include <utility>

namespace backstitch::postgres {
namespace {

using engine::Backlog;
using engine::DatabaseFigures;

/// How many of the oldest sagas are examined for their last event, each a walk down the log's
/// index.
constexpr int examined_max = 1000;
constexpr std::chrono::seconds figures_reconnect_after{3};

/// Each part is ordered like a partial index, so that the planner has no cheaper way than to walk
/// it.
const std::string figures_sql = R"(
  with resident as (
    select id, status from backstitch.saga
     where wake_at is null and status in ('RUNNING', 'COMPENSATING') order by id limit $1),
  asleep as (
    select status from backstitch.saga
     where wake_at is not null and status in ('RUNNING', 'COMPENSATING')
     order by shard, wake_at limit $1),
  attention as (
    select id, status from backstitch.saga
     where status in ('SUSPENDED', 'FAILED_INCOMPLETE') order by id limit $1),
  by_status as (
    select status, count(*) as sagas
      from (select status from resident union all select status from asleep
            union all select status from attention) every group by status),
  suspended as (
    select min(last.at) as since
      from (select id from attention where status = 'SUSPENDED' order by id limit $2) s
     cross join lateral (select at from backstitch.saga_log
                          where saga_id = s.id order by sequence desc limit 1) last),
  without_progress as (
    select min(last.at) as since
      from (select id from resident order by id limit $2) s
     cross join lateral (select at from backstitch.saga_log
                          where saga_id = s.id order by sequence desc limit 1) last),
  not_woken as (
    select min(first.wake_at) as since
      from generate_series(0, 255) s(shard)
     cross join lateral (select wake_at from backstitch.saga
                          where shard = s.shard and wake_at is not null
                            and status in ('RUNNING', 'COMPENSATING')
                          order by wake_at limit 1) first
     where first.wake_at <= now()),
  waiting as (
    select count(*) filter (where kind = 'start' and failures < 5) as starts,
           min(at) filter (where kind = 'start' and failures < 5) as starts_since,
           count(*) filter (where kind <> 'start' and failures < 5) as commands,
           min(at) filter (where kind <> 'start' and failures < 5) as commands_since,
           count(*) filter (where failures >= 5) as set_aside
      from (select kind, failures, at from backstitch.inbox order by id limit $1) inbox),
  overdue as (
    select count(*) as sagas, min(expires_at) as since
      from (select expires_at from backstitch.saga
             where expires_at <= now() order by expires_at limit $1) expired),
  ages as (
    select extract(epoch from now() - suspended.since)::bigint as suspended,
           extract(epoch from now() - least(without_progress.since, not_woken.since))::bigint
             as without_progress,
           extract(epoch from now() - waiting.starts_since)::bigint as starts,
           extract(epoch from now() - waiting.commands_since)::bigint as commands,
           extract(epoch from now() - overdue.since)::bigint as overdue
      from suspended, without_progress, not_woken, waiting, overdue)
  select coalesce((select sagas from by_status where status = 'RUNNING'), 0),
         coalesce((select sagas from by_status where status = 'COMPENSATING'), 0),
         coalesce((select sagas from by_status where status = 'SUSPENDED'), 0),
         coalesce((select sagas from by_status where status = 'FAILED_INCOMPLETE'), 0),
         coalesce(greatest(ages.suspended, 0), 0), coalesce(greatest(ages.without_progress, 0), 0),
         waiting.starts, coalesce(greatest(ages.starts, 0), 0),
         waiting.commands, coalesce(greatest(ages.commands, 0), 0), waiting.set_aside,
         overdue.sagas, coalesce(greatest(ages.overdue, 0), 0)
    from ages, waiting, overdue)";

}  // namespace

DatabaseFigures read_database_figures(Session& session) {
  const pqxx::result rows =
      session.run_prepared("database_figures", figures_sql,
                           static_cast<std::int64_t>(DatabaseFigures::count_max), examined_max);
  const auto count = [&](int column) { return rows[0][column].as<std::uint64_t>(); };
  const auto age = [&](int column) { return std::chrono::seconds(count(column)); };
  DatabaseFigures figures;
  figures.sagas = {{"RUNNING", count(0)},
                   {"COMPENSATING", count(1)},
                   {"SUSPENDED", count(2)},
                   {"FAILED_INCOMPLETE", count(3)}};
  figures.suspended = {count(2), age(4)};
  figures.longest_without_progress = age(5);
  figures.inbox_starts = {count(6), age(7)};
  figures.inbox_commands = {count(8), age(9)};
  figures.inbox_set_aside = count(10);
  figures.retention_overdue = {count(11), age(12)};
  return figures;
}

SessionOptions FigureReader::session_options(std::string url, std::string application_name) {
  // The plan is known, as in Lane: walk the partial indexes.
  return {std::move(url),
          std::move(application_name),
          "gauges",
          {{"statement_timeout", "2s"},
           {"lock_timeout", "1s"},
           {"enable_seqscan", "off"},
           {"enable_bitmapscan", "off"},
           {"enable_hashjoin", "off"},
           {"enable_mergejoin", "off"},
           {"jit", "off"}}};
}

FigureReader::FigureReader(SessionOptions options, std::chrono::milliseconds interval,
                           FailureLog& log, Meters& meters)
    : options_(std::move(options)), interval_(interval), log_(log), meters_(meters) {
  thread_ = std::thread([this] { run(); });
}

FigureReader::~FigureReader() {
  stop();
}

std::optional<DatabaseFigures> FigureReader::latest() const {
  const std::lock_guard lock(mutex_);
  // A read that hangs leaves the one before, which must not pass for the present.
  if (Clock::now() - read_at_ > 2 * interval_) return std::nullopt;
  return latest_;
}

void FigureReader::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    wake_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

/// A lost connection is opened again soon, but no statement comes before its time.
void FigureReader::run() {
  std::unique_lock lock(mutex_);
  Clock::time_point next{};
  while (!stopped_) {
    lock.unlock();
    const bool is_due = connect() && Clock::now() >= next;
    auto figures = is_due ? read() : std::nullopt;
    lock.lock();
    const auto now = Clock::now();
    if (is_due) next = now + interval_;
    if (is_due || !session_) {
      latest_ = std::move(figures);
      read_at_ = now;
    }
    wake_.wait_until(lock, session_ ? next : now + figures_reconnect_after,
                     [&] { return stopped_; });
  }
  session_.reset();
}

bool FigureReader::connect() {
  if (session_) return true;
  try {
    session_ = std::make_unique<Session>(options_);
    if (std::exchange(was_connected_, true))
      meters_.reconnects.fetch_add(1, std::memory_order_relaxed);
    return true;
  } catch (const std::exception&) {
    log_.note(options_.lane, "connect", current_failure(false));
    return false;
  }
}

std::optional<DatabaseFigures> FigureReader::read() {
  try {
    return read_database_figures(*session_);
  } catch (const std::exception&) {
    const Failure failure = current_failure(session_->is_open());
    log_.note(options_.lane, session_->statement(), failure);
    if (failure.kind == FailureKind::lost) session_.reset();
    return std::nullopt;
  }
}

}  // namespace backstitch::postgres
