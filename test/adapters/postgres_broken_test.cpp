// What the store makes of a database that answers, and fails.
#include "../../adapters/postgres/failure.hpp"
#include "../../adapters/postgres/session.hpp"
#include "postgres_fixture.hpp"

using namespace backstitch;
using namespace backstitch::engine;
using namespace backstitch::test;
using namespace std::chrono_literals;

namespace {

/// From here on rows of the log are refused with this state, if the condition over `new` holds.
void refuse_rows(const std::string& url, const std::string& sqlstate,
                 const std::string& condition = "true") {
  query(url,
        "create or replace function public.refuse() returns trigger language plpgsql as $$ begin"
        " if " +
            condition + " then raise exception 'refused' using errcode = '" + sqlstate +
            "'; end if; return new; end $$;"
            "create trigger refuse before insert on backstitch.saga_log"
            " for each row execute function public.refuse()");
}

void accept_rows(const std::string& url) {
  query(url, "drop trigger refuse on backstitch.saga_log");
}

/// The server processes of the lanes of the first node.
std::set<int> processes(const std::string& url) {
  std::set<int> pids;
  for (const auto& row :
       query(url,
             "select pid from pg_stat_activity where application_name = 'lane one'"
             " and datname = current_database()"))
    pids.insert(row[0].as<int>());
  return pids;
}

/// Of opening a session like this.
std::string state_of_opening(const std::string& url) {
  try {
    const postgres::Session session({url, "probe"});
  } catch (...) {
    return postgres::current_failure(false).sqlstate;
  }
  return "opened";
}

}  // namespace

TEST_CASE("a database that fails at every append is told from items that it fails at") {
  // Out of space, wraparound, no permission, too few locks, a schema that is not ours, corruption.
  for (const std::string state : {"53100", "54000", "42501", "53200", "23514", "XX001"}) {
    CAPTURE(state);
    PostgresFixture f;
    const Epoch epoch = renew(f, f.node(), "a", 1h, 256, true).held.front().epoch;
    append(f, f.node(), {a_start(saga_in(1, 1), epoch)});
    wait_until([&] { return processes(f.url()).size() == 4; });
    const auto before = processes(f.url());
    refuse_rows(f.url(), state);
    const std::vector<Append> batch{a_step(saga_in(1, 1), epoch, 2), a_start(saga_in(2, 2), epoch),
                                    a_start(saga_in(3, 3), epoch)};
    for (int i = 0; i < 20; ++i) {
      const auto results = append(f, f.node(), batch);
      CHECK(outcomes(results) == std::vector(3, AppendOutcome::failed));
      REQUIRE(results[1].unwritten);
      CHECK(results[1].unwritten->saga == saga_in(2, 2));
      CHECK_FALSE(f.store().reachable());
    }
    // It did not connect anew.
    CHECK(processes(f.url()) == before);
    accept_rows(f.url());
    CHECK(outcomes(append(f, f.node(), batch)) == std::vector(3, AppendOutcome::written));
    CHECK(f.store().reachable());
  }
}

TEST_CASE("one item that the database fails at does not spoil the others of its batch") {
  PostgresFixture f;
  const Epoch epoch = renew(f, f.node(), "a", 1h, 256, true).held.front().epoch;
  refuse_rows(f.url(), "XX001", "new.saga_id = '" + saga_in(77, 77).text() + "'");
  std::vector<Append> batch;
  for (int shard = 0; shard < 100; ++shard) {
    const auto number = static_cast<std::uint64_t>(shard);
    batch.push_back(a_start(saga_in(static_cast<Shard>(shard), number), epoch));
  }
  std::vector<AppendOutcome> expected(100, AppendOutcome::written);
  expected[77] = AppendOutcome::failed;
  CHECK(outcomes(append(f, f.node(), batch)) == expected);
  CHECK(f.store().reachable());
}

TEST_CASE("the state of a connection that cannot be opened is known, in whatever language") {
  CHECK(state_of_opening(server().url("no_such_database")) == "3D000");
  const std::string url = migrated_database();
  const std::string name = query(url, "select current_database()")[0][0].c_str();
  query(as_superuser(server().url()), "alter database " + name + " connection limit 0");
  CHECK(state_of_opening(url) == "53300");
  query(as_superuser(server().url()), "alter database " + name + " connection limit -1");
  CHECK(state_of_opening(url) == "opened");
}
