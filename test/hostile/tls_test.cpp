// TLS sessions that one side rejects, and certificates that change while they are in use.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <backstitch/system/secrets.hpp>

#include "client.hpp"

namespace backstitch::hostile {
namespace {

/// The verdict on the client's certificate, for which OpenSSL sends the alert.
int reject(X509_STORE_CTX* store, void* error) {
  X509_STORE_CTX_set_error(store, *static_cast<const int*>(error));
  return 0;
}

void require_certificate(Participant& participant) {
  SSL_CTX_set_verify(participant.context(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                     nullptr);
}

/// The participant's alert goes out once the client has written its request.
struct LateRejection {
  explicit LateRejection(Participant& participant) {
    participant.before_rejection([this] {
      std::unique_lock lock(mutex);
      is_written.wait_for(lock, std::chrono::seconds(10), [this] { return written; });
    });
  }
  void apply(http::Options& options) {
    options.before_last_byte = [this](const engine::Call&, const std::function<void()>& go) {
      go();
      const std::lock_guard lock(mutex);
      written = true;
      is_written.notify_all();
    };
  }
  std::mutex mutex;
  std::condition_variable is_written;
  bool written = false;
};

/// A client that presents a certificate of its own.
struct Presenting {
  explicit Presenting(const Participant& participant, LateRejection* late = nullptr)
      : client(participant, [this, late](http::Options& options) {
          if (late != nullptr) late->apply(options);
          options.secrets = &secrets;
          options.certificates_read_every = Duration{0};
          options.rest_min = options.rest_max = Duration{0};
        }) {
    secrets.values = {{"ca", participant.certificate()}, {"client", pem_of(make_identity())}};
    client.service().tls.client_cert = "client";
  }
  ChangingSecrets secrets;
  Client client;
};

TEST_CASE("a rejected certificate is `tls` and not done, though the request has been written") {
  struct Row {
    int verdict;
    int alert;
  };
  for (const Row row : {Row{X509_V_ERR_APPLICATION_VERIFICATION, 40},
                        {X509_V_ERR_CA_KEY_TOO_SMALL, 42},
                        {X509_V_ERR_INVALID_PURPOSE, 43},
                        {X509_V_ERR_CERT_REVOKED, 44},
                        {X509_V_ERR_CERT_HAS_EXPIRED, 45},
                        {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, 48}}) {
    CAPTURE(row.alert);
    Participant participant(Wire::tls, behave_by_path);
    require_certificate(participant);
    LateRejection late(participant);
    int verdict = row.verdict;
    SSL_CTX_set_cert_verify_callback(participant.context(), reject, &verdict);
    Presenting presenting(participant, &late);
    const auto result = presenting.client.call({"honest"});
    CHECK(late.written);
    CHECK(text_of(result) == "tls unsent");
    CHECK(contains(message_of(result), "(TLS alert " + std::to_string(row.alert) + " "));
  }
}

TEST_CASE("a rejected certificate is told when it breaks off a large request, too") {
  Participant participant(Wire::tls, behave_by_path);
  require_certificate(participant);
  int verdict = X509_V_ERR_CERT_HAS_EXPIRED;
  SSL_CTX_set_cert_verify_callback(participant.context(), reject, &verdict);
  for (int i = 0; i < 20; ++i) {
    Presenting presenting(participant);
    const auto result = presenting.client.call({.way = "honest", .body_bytes = 8U << 20U});
    CHECK(text_of(result) == "tls unsent");
    CHECK(contains(message_of(result), "(TLS alert 45 "));
  }
}

TEST_CASE("a client that has no certificate where one is required is told so") {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    CAPTURE(version);
    Participant participant(Wire::tls, behave_by_path);
    require_certificate(participant);
    SSL_CTX_set_max_proto_version(participant.context(), version);
    Client client(participant);
    const auto result = client.call({"honest"});
    CHECK(text_of(result) == "tls unsent");
    const bool is_13 = version == TLS1_3_VERSION;
    CHECK(contains(message_of(result), is_13 ? "certificate required (TLS alert 116 "
                                             : "handshake failure (TLS alert 40 "));
  }
}

TEST_CASE("an alert that rejects no certificate leaves a written request unknown") {
  for (int verdict : {X509_V_ERR_UNSPECIFIED, X509_V_ERR_CERT_SIGNATURE_FAILURE}) {
    Participant participant(Wire::tls, behave_by_path);
    require_certificate(participant);
    SSL_CTX_set_cert_verify_callback(participant.context(), reject, &verdict);
    LateRejection late(participant);
    Presenting presenting(participant, &late);
    const auto result = presenting.client.call({"honest"});
    CHECK(text_of(result) == "reset");
    const bool unspecified = verdict == X509_V_ERR_UNSPECIFIED;
    CHECK(contains(message_of(result), unspecified ? "(TLS alert 80 " : "(TLS alert 51 "));
  }
}

TEST_CASE("the end of a TLS session without an alert leaves a written request unknown") {
  for (const std::string end : {"close_notify", "close", "reset"}) {
    CAPTURE(end);
    const Participant participant(Wire::tls, [&](Peer& peer, const Request&) {
      if (end == "close_notify") {
        peer.put_close_notify();
        peer.flush();
      }
      end == "reset" ? peer.reset() : peer.close();
    });
    Client client(participant);
    CHECK(text_of(client.call({"any"})) == "reset");
  }
}

TEST_CASE("a certificate of the participant that is not accepted is told with the reason") {
  struct Row {
    IdentityTraits traits;
    std::string server_name;
    bool is_known;
    std::string reason;
  };
  for (const Row& row : {Row{{.valid_for_s = -60}, "", true, "certificate has expired"},
                         {{}, "", false, "self-signed certificate"},
                         {{.names = "IP:127.0.0.2"}, "", true, "IP address mismatch"},
                         {{}, "bank.example", true, "hostname mismatch"}}) {
    CAPTURE(row.reason);
    Participant participant(Wire::tls, behave_by_path);
    const std::string other = participant.certificate();
    participant.use(make_identity(row.traits));
    ChangingSecrets secrets;
    secrets.values = {{"ca", row.is_known ? participant.certificate() : other}};
    Client client(participant, [&](http::Options& options) { options.secrets = &secrets; });
    client.service().tls.server_name = row.server_name;
    const auto result = client.call({"honest"});
    CHECK(text_of(result) == "tls unsent");
    CHECK(contains(message_of(result), "certificate verify failed: " + row.reason));
  }
}

TEST_CASE("a name of the service that the certificate has is accepted") {
  const Participant participant(Wire::tls, behave_by_path);
  Client client(participant);
  client.service().tls.server_name = "localhost";
  CHECK(text_of(client.call({"honest"})) == "200");
}

/// Accepts the certificate that the test expects now.
struct Expected {
  std::mutex mutex;
  std::string pem;
};
int accept_expected(X509_STORE_CTX* store, void* expected) {
  auto& wanted = *static_cast<Expected*>(expected);
  const std::lock_guard lock(wanted.mutex);
  const bool is_it = pem_of(*X509_STORE_CTX_get0_cert(store)) == wanted.pem;
  X509_STORE_CTX_set_error(store, is_it ? X509_V_OK : X509_V_ERR_CERT_REVOKED);
  return is_it ? 1 : 0;
}

TEST_CASE("a client certificate that was renewed is used by the next call") {
  Participant participant(Wire::tls, behave_by_path);
  require_certificate(participant);
  Expected expected;
  SSL_CTX_set_cert_verify_callback(participant.context(), accept_expected, &expected);
  Presenting presenting(participant);
  for (int i = 0; i < 3; ++i) {
    const Identity renewed = make_identity();
    presenting.secrets.values["client"] = pem_of(renewed);
    {
      const std::lock_guard lock(expected.mutex);
      expected.pem = pem_of(*renewed.certificate);
    }
    for (int call = 0; call < 2; ++call)
      CHECK(text_of(presenting.client.call({"honest"})) == "200");
    CHECK(participant.connections() == static_cast<std::size_t>(i) + 1);
  }
}

TEST_CASE("an authority that was replaced is trusted at once, and the old one no longer") {
  Participant participant(Wire::tls, behave_by_path);
  Presenting presenting(participant);
  CHECK(text_of(presenting.client.call({"honest"})) == "200");
  const std::string before = participant.certificate();
  participant.use(make_identity());
  presenting.secrets.values["ca"] = participant.certificate();
  CHECK(text_of(presenting.client.call({"honest"})) == "200");
  CHECK(participant.connections() == 2);
  presenting.secrets.values["ca"] = before;
  CHECK(text_of(presenting.client.call({"honest"})) == "tls unsent");
}

/// A directory of secrets, as it is mounted.
struct Mounted {
  Mounted() {
    std::string pattern = std::filesystem::temp_directory_path() / "backstitch-tls-XXXXXX";
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    folder = pattern;
    std::ofstream(folder / "ca.services") << "s\n";
    std::filesystem::permissions(folder / "ca.services", only_owner);
  }
  ~Mounted() { std::filesystem::remove_all(folder); }
  void replace(const std::string& name, const std::string& text) const {
    std::ofstream(folder / "new") << text;
    std::filesystem::permissions(folder / "new", only_owner);
    std::filesystem::rename(folder / "new", folder / name);
  }
  static constexpr auto only_owner =
      std::filesystem::perms::owner_read | std::filesystem::perms::owner_write;
  std::filesystem::path folder;
};

TEST_CASE("a file that is replaced in the directory of secrets is read again") {
  Participant participant(Wire::tls, behave_by_path);
  const Mounted mounted;
  mounted.replace("ca", participant.certificate());
  const system::SecretsDirectory secrets(mounted.folder);
  Client client(participant, [&](http::Options& options) {
    options.secrets = &secrets;
    options.certificates_read_every = options.rest_min = options.rest_max = Duration{0};
  });
  CHECK(text_of(client.call({"honest"})) == "200");
  participant.use(make_identity());
  mounted.replace("ca", participant.certificate());
  for (int i = 0; i < 2; ++i) CHECK(text_of(client.call({"honest"})) == "200");
  CHECK(participant.connections() == 2);
}

TEST_CASE("idle connections with old certificates are closed without a call") {
  std::atomic<bool> closed{false};
  const Participant participant(Wire::tls, [&](Peer& peer, const Request& request) {
    peer.send(answer_for(request));
    closed = peer.is_closed_within(10'000);
  });
  Presenting presenting(participant);
  CHECK(text_of(presenting.client.call({"any"})) == "200");
  CHECK_FALSE(closed);
  presenting.secrets.values["client"] = pem_of(make_identity());
  CHECK(presenting.client.run_until([&] { return closed.load(); }));
}

TEST_CASE("a connection that is in use while its certificate is renewed is not kept") {
  Participant participant(Wire::tls, behave_by_path);
  Presenting presenting(participant);
  CHECK(text_of(presenting.client.call({"honest"})) == "200");
  CHECK(text_of(presenting.client.call({"honest"}, [&] {
          presenting.secrets.values["client"] = pem_of(make_identity());
        })) == "200");
  CHECK(text_of(presenting.client.call({"honest"})) == "200");
  CHECK(participant.connections() == 2);
}

TEST_CASE("a renewed certificate that cannot be used leaves the old one in use") {
  const Participant participant(Wire::tls, behave_by_path);
  Presenting presenting(participant);
  CHECK(text_of(presenting.client.call({"honest"})) == "200");
  presenting.secrets.values["client"] = "-----BEGIN CERTIFICATE-----\n";
  for (int i = 0; i < 3; ++i) CHECK(text_of(presenting.client.call({"honest"})) == "200");
  CHECK(participant.connections() == 1);
  CHECK(presenting.client.notes.events == std::vector<std::string>{"certificate-unusable"});
  presenting.secrets.values["client"] = pem_of(make_identity());
  CHECK(text_of(presenting.client.call({"honest"})) == "200");
  CHECK(participant.connections() == 2);
}

TEST_CASE("a certificate that is taken away holds the next call up") {
  const Participant participant(Wire::tls, behave_by_path);
  Presenting presenting(participant);
  CHECK(text_of(presenting.client.call({"honest"})) == "200");
  const std::string taken = presenting.secrets.values.extract("client").mapped();
  CHECK(text_of(presenting.client.call({"honest"})) == "lack secret-missing");
  presenting.secrets.values["client"] = taken;
  CHECK(text_of(presenting.client.call({"honest"})) == "200");
}

}  // namespace
}  // namespace backstitch::hostile
