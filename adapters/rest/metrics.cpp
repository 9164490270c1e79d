#include "metrics.hpp"

#include <array>
#include <cstdint>
#include <cstdio>
#include <utility>
#include <vector>

namespace backstitch::rest {
namespace {

std::string text_of(double value) {
  std::array<char, 32> digits{};
  std::snprintf(digits.data(), digits.size(), "%.9g", value);
  return digits.data();
}
std::string text_of(std::uint64_t value) {
  return std::to_string(value);
}

/// One metric with its samples; nothing if there are none.
class Family {
 public:
  Family(std::string name, const char* kind, const char* help)
      : name_("backstitch_" + std::move(name)), kind_(kind), help_(help) {}

  template <class Value>
  Family& add(Value value) {
    samples_ += name_ + ' ' + text_of(value) + '\n';
    return *this;
  }
  template <class Value>
  Family& add(const char* label, const std::string& of, Value value, const char* suffix = "") {
    samples_ += name_ + suffix + '{' + label + "=\"" + of + "\"} " + text_of(value) + '\n';
    return *this;
  }
  Family& add_histogram(const engine::Histogram& histogram) {
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < histogram.counts.size(); ++i) {
      total += histogram.counts[i];
      const bool is_last = i == histogram.bounds.size();
      add("le", is_last ? "+Inf" : text_of(histogram.bounds[i]), total, "_bucket");
    }
    samples_ += name_ + "_sum " + text_of(histogram.sum) + '\n';
    samples_ += name_ + "_count " + text_of(total) + '\n';
    return *this;
  }
  std::string text() const {
    if (samples_.empty()) return {};
    return "# HELP " + name_ + ' ' + help_ + "\n# TYPE " + name_ + ' ' + kind_ + '\n' + samples_;
  }

 private:
  const std::string name_;
  const char* const kind_;
  const char* const help_;
  std::string samples_;
};

std::string unsent_text(const engine::Counters& counters) {
  Family unsent("calls_not_sent_total", "counter",
                "Tries to send a call that lacked something of this node, by what it was.");
  for (std::size_t i = 0; i < engine::lack_count; ++i)
    unsent.add("lack", engine::to_text(static_cast<engine::Lack>(i)), counters.calls_unsent[i]);
  return unsent.text();
}

std::string engine_text(const engine::Counters& counters) {
  struct Metric {
    const char* name;
    const char* kind;
    const char* help;
    std::uint64_t value;
  };
  const Metric metrics[] = {
      {"starts_total", "counter", "Sagas started.", counters.starts},
      {"starts_refused_total", "counter", "Starts refused to protect running sagas.",
       counters.starts_refused},
      {"starts_blocked_total", "counter",
       "Starts answered start-pending because an open transaction holds their key.",
       counters.starts_blocked},
      {"inbox_refused_total", "counter",
       "Commands of the inbox that could not be read, or that no saga could take.",
       counters.inbox_refused},
      {"inbox_set_aside_total", "counter",
       "Commands of the inbox that failed five times and were set aside.",
       counters.inbox_set_aside},
      {"removals_failed_total", "counter",
       "Tries to remove sagas whose retention is over that failed.", counters.removals_failed},
      {"starts_invalid_total", "counter", "Starts refused for their input, definition or keys.",
       counters.starts_invalid},
      {"sagas_ended_total", "counter", "Sagas that ended.", counters.ended},
      {"appends_total", "counter", "Transitions made durable.", counters.appends},
      {"commits_total", "counter", "Transactions that carried them.", counters.commits},
      {"calls_total", "counter", "Attempts sent to participants.", counters.calls},
      {"unrequested_bytes_total", "counter",
       "Connections on which a participant sent bytes that no call had asked for.",
       counters.carriers.unrequested},
      {"lookups_replaced_total", "counter",
       "Calls that used earlier addresses because a lookup did not end.",
       counters.carriers.addresses_kept},
      {"bugs_total", "counter", "Exceptions out of the work on one saga, each a bug of the engine.",
       counters.bugs},
      {"transitions_cut_total", "counter",
       "Transitions that were ended because they had cost enough, and went on later.",
       counters.transitions_cut},
      {"sagas_set_aside", "gauge",
       "Sagas that the database can neither go on with nor suspend; /readyz names them.",
       counters.set_aside},
      {"sagas_resident", "gauge", "Sagas in memory.", counters.resident},
      {"shards_held", "gauge", "Shards this node holds.", counters.shards_held},
  };
  std::string text;
  for (const auto& metric : metrics)
    text += Family(metric.name, metric.kind, metric.help).add(metric.value).text();
  return text + unsent_text(counters);
}

/// What this node knows of its work with the database.
std::string store_text(const engine::Counters& counters) {
  const engine::StoreFigures& store = counters.store;
  Family duration("append_duration_seconds", "histogram",
                  "Time in which the database wrote a batch of appends.");
  if (store.append_seconds) duration.add_histogram(*store.append_seconds);
  Family batch("append_batch_size", "histogram", "Appends of a batch.");
  if (store.append_batch) batch.add_histogram(*store.append_batch);
  Family appends("appends_waiting", "gauge", "Appends that are not known to be durable, by lane.");
  const engine::Lanes lanes{counters.appends_waiting.size() - engine::Lanes::beside_reactors};
  for (std::size_t i = 0; i < counters.appends_waiting.size(); ++i)
    appends.add("lane", lanes.name_of(i), counters.appends_waiting[i]);
  Family reads("reads_waiting", "gauge", "Statements that wait for a connection, by lane.");
  reads.add("lane", "reader", std::uint64_t{store.reads_waiting})
      .add("lane", "lease", std::uint64_t{store.renewals_waiting});
  Family errors("database_errors_total", "counter",
                "Failures of the database, by the class of their SQLSTATE.");
  for (const auto& [group, count] : store.errors) errors.add("class", group, count);
  Family reconnects("database_reconnects_total", "counter",
                    "Connections to the database that took the place of another one.");
  reconnects.add(store.reconnects);
  Family read_backs("append_read_backs_total", "counter",
                    "Batches whose answer was lost, and that were looked up in the log.");
  read_backs.add(store.read_backs);
  Family identity(
      "database_identity_known", "gauge",
      "1 if this node may read system identifier and timeline of the database, else 0.");
  if (store.is_identity_known) identity.add(std::uint64_t{*store.is_identity_known ? 1U : 0U});
  Family lineages("database_lineage_changes_total", "counter",
                  "How often the database turned out to be promoted, or set back.");
  lineages.add(store.lineage_changes);
  Family lease("lease_age_seconds", "gauge", "Time since the latest renewal of this node's lease.");
  if (counters.lease_age) lease.add(std::chrono::duration<double>(*counters.lease_age).count());
  return duration.text() + batch.text() + appends.text() + reads.text() + errors.text() +
         reconnects.text() + read_backs.text() + identity.text() + lineages.text() + lease.text();
}

std::string age_text(const char* name, const char* help, std::chrono::seconds age) {
  return Family(name, "gauge", help).add(static_cast<std::uint64_t>(age.count())).text();
}

/// Of the whole database, the same on every node.
std::string database_text(const engine::DatabaseFigures& database) {
  Family sagas("sagas", "gauge", "Sagas that have not ended or need a person, by status.");
  for (const auto& [status, count] : database.sagas) sagas.add("status", status, count);
  Family depth("inbox_depth", "gauge", "Starts and commands that wait in the inbox.");
  depth.add("kind", "start", database.inbox_starts.count)
      .add("kind", "command", database.inbox_commands.count)
      .add("kind", "set-aside", database.inbox_set_aside);
  Family oldest("inbox_oldest_seconds", "gauge", "Age of the oldest of them.");
  const auto seconds = [](std::chrono::seconds age) {
    return static_cast<std::uint64_t>(age.count());
  };
  oldest.add("kind", "start", seconds(database.inbox_starts.oldest))
      .add("kind", "command", seconds(database.inbox_commands.oldest));
  return sagas.text() + depth.text() + oldest.text() +
         age_text("suspended_oldest_seconds", "Time since the last event of a SUSPENDED saga.",
                  database.suspended.oldest) +
         age_text("without_progress_oldest_seconds",
                  "Time since the last event of a saga that runs and does not sleep.",
                  database.longest_without_progress) +
         Family("retention_overdue", "gauge", "Sagas whose retention is over and that are kept.")
             .add(database.retention_overdue.count)
             .text() +
         age_text("retention_overdue_oldest_seconds", "Time since the earliest of these ends.",
                  database.retention_overdue.oldest);
}

}  // namespace

std::string metrics_text(const engine::Counters& counters) {
  std::string text = engine_text(counters) + store_text(counters);
  if (counters.store.database) text += database_text(*counters.store.database);
  return text;
}

std::string log_metrics_text(std::uint64_t dropped) {
  return Family("log_lines_dropped_total", "counter",
                "Lines of the log that were dropped because too many waited to be written.")
      .add(dropped)
      .text();
}

}  // namespace backstitch::rest
