// What a store says about the database: names of sessions, reasons, figures, failures.
#include <algorithm>
#include <future>
#include <mutex>

#include "../../adapters/postgres/condition.hpp"
#include "../../adapters/postgres/figure_reader.hpp"
#include "../../adapters/postgres/health.hpp"
#include "../../adapters/postgres/meters.hpp"
#include "postgres_fixture.hpp"

using namespace backstitch;
using namespace backstitch::engine;
using namespace backstitch::test;
using namespace backstitch::postgres;
using namespace std::chrono_literals;

namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

DatabaseFigures figures_of(const std::string& url) {
  Session session(FigureReader::session_options(url, "gauges"));
  return read_database_figures(session);
}

/// Rows as the engine writes them; ids rise with `number`.
void insert_sagas(const std::string& url, int first, int count, const std::string& status,
                  const std::string& wake_at, const std::string& expires_at = "null") {
  query(url,
        "insert into backstitch.saga (id, version, last_sequence, started_at, shard, status,"
        " definition, labels, input, wake_at, expires_at)"
        " select ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 1, 1, now(),"
        " n % 256, '" +
            status + "', 'orders', '{}', '{}', " + wake_at + ", " + expires_at +
            " from generate_series(" + std::to_string(first) + ", " +
            std::to_string(first + count - 1) + ") n");
}

/// The last event of each saga in the table happened so long ago, for the first of them twice that.
void insert_last_events(const std::string& url, const std::string& age) {
  query(url,
        "insert into backstitch.saga_log (saga_id, sequence, at, type, path, data)"
        " select id, s, now() - interval '" +
            age +
            "' * (case when n = 1 then 2 else 1 end)"
            " * (case when s = 1 then 9 else 1 end), 'StepSucceeded', '', '{}'"
            " from (select id, row_number() over (order by id) n from backstitch.saga) g,"
            " generate_series(1, 2) s");
}

}  // namespace

TEST_CASE("the name of a session begins with incarnation and role, and the node is cut") {
  CHECK(application_name("0123456789abcdef", "lane", "shop-1:7420") ==
        "0123456789abcdef lane shop-1:7420");
  CHECK(application_name("", "reader", "shop-1") == "reader shop-1");
  const std::string cut = application_name("0123456789abcdef", "lease", std::string(100, 'n'));
  CHECK(cut.size() == 63);
  CHECK(cut.starts_with("0123456789abcdef lease nnn"));
  CHECK(application_name("1", "lane", "caf\xc3\xa9\n") == "1 lane caf???");
}

TEST_CASE("a failure of the database has a sentence of ours, which quotes nothing") {
  const auto sentence = [](const char* sqlstate) {
    return sentence_of({FailureKind::environment, sqlstate, "what the server said"});
  };
  CHECK(sentence("53100") ==
        "The disk of the database is full (SQLSTATE 53100); free space on it.");
  CHECK(contains(sentence("42501"), "lacks a privilege"));
  CHECK(contains(sentence("42P01"), "schema"));
  CHECK(contains(sentence("57P03"), "stopping or starting"));
  CHECK(contains(sentence("57014"), "does not answer in time"));
  CHECK(sentence("P0001") == "The database refuses a statement (SQLSTATE P0001).");
  CHECK(sentence("") == "The database cannot be reached.");
  CHECK(unreachable_reason({FailureKind::environment, "53100", ""}).reason == "database-failing");
  CHECK(unreachable_reason({FailureKind::lost, "57P03", ""}).reason == "database-unreachable");
  CHECK(sentence_of({FailureKind::environment, "", "", Error{ErrorCode::invalid, "x", "Ours."}}) ==
        "Ours.");
}

TEST_CASE("an operator is told whether waiting helps") {
  const auto code = [](const char* sqlstate) {
    return to_operator_error({FailureKind::lost, sqlstate, "said"}).code;
  };
  for (const char* permanent : {"28P01", "28000", "3D000", "42501", "55000"}) {
    CAPTURE(permanent);
    CHECK(code(permanent) == ErrorCode::invalid);
  }
  for (const char* passing : {"", "57P03", "53300", "08006", "25006", "53100"}) {
    CAPTURE(passing);
    CHECK(code(passing) == ErrorCode::unavailable);
  }
  const auto error = to_operator_error({FailureKind::lost, "28P01", "postgresql://u:secret@h/d"});
  CHECK(error.reason == "database-login-refused");
  CHECK_FALSE(contains(error.message, "secret"));
}

TEST_CASE("the health of several connections is bad while one of them is, and says why") {
  Health health;
  CHECK(health.good());
  {
    HealthFlag one(health);
    HealthFlag two(health);
    const auto down = [](const char* why) { return Error{ErrorCode::unavailable, "down", why}; };
    one.set_down(down("One."));
    one.set_down(down("One, again."));
    CHECK_FALSE(health.good());
    REQUIRE(health.reason());
    CHECK(health.reason()->message == "One, again.");
    two.set_down(down("Two."));
    one.set_up();
    CHECK_FALSE(health.good());
    REQUIRE(health.reason());
    CHECK(health.reason()->message == "Two.");
  }
  CHECK(health.good());
  CHECK_FALSE(health.reason());
}

TEST_CASE("a histogram counts a value at the first bound that holds it") {
  HistogramMeter<2> meter({10, 20});
  for (const std::uint64_t value : {1, 10, 11, 20, 21, 1000}) meter.observe(value);
  const Histogram read = meter.read(0.5);
  CHECK(read.bounds == std::vector<double>{5, 10});
  CHECK(read.counts == std::vector<std::uint64_t>{2, 2, 2});
  CHECK(read.sum == doctest::Approx(1063 * 0.5));
}

TEST_CASE("the figures of the database count what is open, waits, or is overdue") {
  const std::string url = migrated_database();
  CHECK(figures_of(url).sagas ==
        std::map<std::string, std::uint64_t>{
            {"RUNNING", 0}, {"COMPENSATING", 0}, {"SUSPENDED", 0}, {"FAILED_INCOMPLETE", 0}});
  insert_sagas(url, 1, 3, "RUNNING", "null");
  insert_sagas(url, 11, 2, "RUNNING", "now() + interval '1 day'");
  insert_sagas(url, 21, 4, "COMPENSATING", "null");
  insert_sagas(url, 31, 5, "SUSPENDED", "null");
  insert_sagas(url, 41, 6, "FAILED_INCOMPLETE", "null");
  insert_sagas(url, 51, 7, "COMPLETED", "null", "now() - interval '1 hour'");
  insert_sagas(url, 61, 8, "COMPLETED", "null", "now() + interval '1 hour'");
  insert_last_events(url, "100 seconds");
  query(url,
        "insert into backstitch.inbox (at, saga_id, version, shard, kind, node, definition, data)"
        " select now() - interval '30 seconds', gen_random_uuid(), 1, 1, 'start', 'n', 'orders', "
        "'{\"input\": {}}'"
        " from generate_series(1, 2)");
  query(url,
        "insert into backstitch.inbox (at, saga_id, shard, kind, node, data, failures)"
        " select now() - interval '40 seconds', gen_random_uuid(), 1, 'cancel', 'n', '{}', f"
        " from unnest(array[0, 4, 4, 5]) f");

  const DatabaseFigures figures = figures_of(url);
  CHECK(figures.sagas ==
        std::map<std::string, std::uint64_t>{
            {"RUNNING", 5}, {"COMPENSATING", 4}, {"SUSPENDED", 5}, {"FAILED_INCOMPLETE", 6}});
  CHECK(figures.suspended.count == 5);
  CHECK(figures.suspended.oldest >= 100s);
  CHECK(figures.suspended.oldest < 150s);
  CHECK(figures.longest_without_progress >= 200s);
  CHECK(figures.longest_without_progress < 250s);
  CHECK(figures.inbox_starts.count == 2);
  CHECK(figures.inbox_starts.oldest >= 30s);
  CHECK(figures.inbox_commands.count == 3);
  CHECK(figures.inbox_commands.oldest >= 40s);
  CHECK(figures.inbox_set_aside == 1);
  CHECK(figures.retention_overdue.count == 7);
  CHECK(figures.retention_overdue.oldest >= 3600s);

  SUBCASE("a saga that sleeps past its time makes no progress either") {
    insert_sagas(url, 71, 1, "RUNNING", "now() - interval '1000 seconds'");
    CHECK(figures_of(url).longest_without_progress >= 1000s);
  }
  SUBCASE("the statement walks indexes, however many sagas have ended") {
    insert_sagas(url, 1000, 20'000, "COMPLETED", "null", "null");
    query(url, "analyze backstitch.saga");
    const auto plan_reads = [&] {
      pqxx::connection observer(url);
      return query(observer,
                   "select seq_tup_read from pg_stat_user_tables where relname = 'saga'")[0][0]
          .as<std::int64_t>();
    };
    figures_of(url);
    const auto before = plan_reads();
    figures_of(url);
    CHECK(plan_reads() == before);
  }
}

TEST_CASE("a figure that cannot be read is absent, and comes back") {
  const std::string url = migrated_database();
  FailureLog log(nullptr);
  Meters meters;
  FigureReader reader(FigureReader::session_options(url, "gauges"), std::chrono::milliseconds(20),
                      log, meters);
  wait_until([&] { return reader.latest().has_value(); });
  query(url, "alter table backstitch.inbox rename column failures to hidden");
  wait_until([&] { return !reader.latest(); });
  wait_until([&] { return log.counts().count("42") > 0; });
  query(url, "alter table backstitch.inbox rename column hidden to failures");
  wait_until([&] { return reader.latest().has_value(); });
  query(url,
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'gauges'");
  wait_until([&] { return meters.reconnects.load() > 0; });
}

TEST_CASE("a failed statement is counted by the class of its SQLSTATE and logged with its name") {
  class Notes final : public Observer {
   public:
    void note(Level, std::string_view event, std::initializer_list<Field> fields) override {
      const std::lock_guard lock(mutex_);
      if (event != "database-error") return;
      std::string line;
      for (const auto& [name, value] : fields) line += std::string(name) + "=" + value + " ";
      lines_.push_back(line);
    }
    bool has(const std::string& part) const {
      const std::lock_guard lock(mutex_);
      return std::any_of(lines_.begin(), lines_.end(),
                         [&](const std::string& line) { return contains(line, part); });
    }

   private:
    mutable std::mutex mutex_;
    std::vector<std::string> lines_;
  };
  Notes notes;
  const std::string url = migrated_database();
  Options options = store_options(url, "one");
  options.observer = &notes;
  PostgresStore store(options);
  REQUIRE(store.open());
  query(url, "alter table backstitch.saga_log rename column data to hidden");
  std::promise<ErrorCode> failed;
  store.history(SagaId{}, Sequence{0}, 1,
                [&](Result<HistoryPage> page) { failed.set_value(page.error().code); });
  CHECK(failed.get_future().get() == ErrorCode::unavailable);
  CHECK(store.figures().errors.at("42") >= 1);
  CHECK(notes.has("lane=reader statement=history sqlstate=42703 "));
  query(url, "alter table backstitch.saga_log rename column hidden to data");
}
