// What this node lacks is no answer of the participant.
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include <doctest/doctest.h>

#include "client.hpp"
#include "lack.hpp"

namespace backstitch::hostile {
namespace {

/// No file can be opened in this process while it lives.
class NoDescriptors {
 public:
  NoDescriptors() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const int lowest_free = ::dup(STDIN_FILENO);
    ::close(lowest_free);
    rlimit none = before_;
    none.rlim_cur = static_cast<rlim_t>(lowest_free);
    ::setrlimit(RLIMIT_NOFILE, &none);
  }
  ~NoDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  NoDescriptors(const NoDescriptors&) = delete;
  NoDescriptors& operator=(const NoDescriptors&) = delete;

 private:
  rlimit before_{};
};

TEST_CASE("a call for which no file descriptor is left was not sent") {
  const Participant participant(Wire::plain, behave_by_path);
  Client client(participant);
  {
    const NoDescriptors none;
    CHECK(text_of(client.call({"honest"})) == "lack descriptors");
    CHECK(http::is_without_descriptors());
  }
  CHECK_FALSE(http::is_without_descriptors());
  CHECK(participant.connections() == 0);
  CHECK(text_of(client.call({"honest"})) == "200");
}

TEST_CASE(
    "a name that cannot be looked up for want of a file descriptor is not taken for unknown") {
  const Participant participant(Wire::plain, behave_by_path);
  Client client(participant, [](http::Options& options) {
    options.egress = std::make_shared<http::EgressPolicy>(
        http::EgressPolicy::Options{.allow_hosts = {"localhost"}, .allow_loopback_http = true});
  });
  client.service().base_url = "http://localhost:" + std::to_string(participant.port());
  const NoDescriptors none;
  CHECK(text_of(client.call({"honest"})) == "lack descriptors");
}

TEST_CASE("a kept connection needs no file descriptor") {
  const Participant participant(Wire::plain, behave_by_path);
  Client client(participant,
                [](http::Options& options) { options.rest_min = options.rest_max = Duration{0}; });
  client.call({"honest"});
  const NoDescriptors none;
  CHECK(text_of(client.call({"honest"})) == "200");
}

TEST_CASE("a call for which a secret is missing was not sent") {
  for (const Wire wire : {Wire::plain, Wire::tls}) {
    const Participant participant(wire, behave_by_path);
    Client client(participant);
    client.service().auth = {.type = dsl::AuthType::bearer, .secret = "token"};
    CHECK(text_of(client.call({"honest"})) == "lack secret-missing");
    CHECK(participant.connections() == 0);
  }
  const Participant participant(Wire::tls, behave_by_path);
  for (const auto missing : {&dsl::Tls::ca, &dsl::Tls::client_cert}) {
    Client client(participant);
    client.service().tls.*missing = "other";
    CHECK(text_of(client.call({"honest"})) == "lack secret-missing");
  }
  CHECK(participant.connections() == 0);
}

TEST_CASE("a participant that refuses the connection is no lack of ours") {
  std::string url;
  {
    const Participant gone(Wire::plain, behave_by_path);
    url = gone.url();
  }
  const Participant other(Wire::plain, behave_by_path);
  Client client(other);
  client.service().base_url = url;
  CHECK(text_of(client.call({"honest"})) == "connect unsent");
}

TEST_CASE("an error of the system says whether we lack something or the peer refuses") {
  const auto lack = [](int number) -> std::string {
    const auto found = http::lack_of({number, boost::system::system_category()});
    return found ? engine::to_text(*found) : "none";
  };
  CHECK(lack(EMFILE) == "descriptors");
  CHECK(lack(ENFILE) == "descriptors");
  CHECK(lack(ENOBUFS) == "memory");
  CHECK(lack(ENOMEM) == "memory");
  CHECK(lack(EADDRNOTAVAIL) == "ports");
  for (const int number : {ECONNREFUSED, ECONNRESET, ENETUNREACH, EHOSTUNREACH, ETIMEDOUT})
    CHECK(lack(number) == "none");
}

}  // namespace
}  // namespace backstitch::hostile
