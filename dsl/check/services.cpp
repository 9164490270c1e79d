/// Services: are they known, may they be called, do their limits make sense.
#include <algorithm>
#include <string>

#include <backstitch/dsl/header_field.hpp>

#include "../parse_reader.hpp"
#include "headers.hpp"
#include "walk.hpp"

namespace backstitch::dsl {
namespace {

class Services {
 public:
  explicit Services(const Check& check) : check_(check) {}

  void run() {
    for (const auto& [name, service] : check_.definition.services) {
      if (service.use.empty())
        written_out(name, service);
      else
        referred_to(service.pointer, service.use);
    }
  }

 private:
  void referred_to(const std::string& at, const std::string& name) {
    if (!check_.context.service || check_.context.service(name)) return;
    check_.error("E303", at + "/use", "no service `" + name + "` is registered in this environment",
                 "register it: backstitch services put " + name + " FILE");
  }

  /// A service that is registered by itself is the whole of its document.
  void written_out(const std::string& name, const Service& service) {
    const std::string& at = service.pointer;
    const auto secret = [&](const std::string& pointer, const std::string& of) {
      if (of.empty()) return;
      at.empty() ? registered_secret(pointer, of, name) : inline_secret(pointer);
    };
    if (!service.local) url(at + "/baseUrl", service.base_url);
    if (!service.auth.token_url.empty()) url(at + "/auth/tokenUrl", service.auth.token_url);
    secret(at + "/auth/secret", service.auth.secret);
    secret(at + "/tls/ca", service.tls.ca);
    secret(at + "/tls/clientCert", service.tls.client_cert);
    secret(at + "/proxyAuth/secret", service.proxy.secret);
    if (!service.proxy.url.empty()) proxy(at, service.proxy.url);
    headers(at, service);
    limits(at + "/limits", service.limits);
    if (service.connect_timeout && service.attempt_timeout &&
        *service.connect_timeout > *service.attempt_timeout) {
      check_.error("E305", at + "/connectTimeout",
                   "connecting may take longer than the whole attempt",
                   "lower it below `attemptTimeout`");
    }
  }

  void headers(const std::string& at, const Service& service) {
    Headers headers(check_, &service);
    headers.check_engines(at + "/idempotencyHeader", service.idempotency_header, "Idempotency-Key");
    underscore(at + "/idempotencyHeader", service.idempotency_header);
    if (!service.auth.header.empty())
      headers.check_engines(at + "/auth/header", service.auth.header, "Authorization");
    if (is_same_header(service.idempotency_header, credential_header(service.auth))) {
      check_.error("E304", at + "/idempotencyHeader",
                   "the key and the credentials are sent in one header, `" +
                       service.idempotency_header + "`",
                   "choose another name for one of them");
    }
    marks(headers, at + "/answers", service.answers);
    if (service.local && service.answers.any()) {
      check_.error("E305", at + "/answers", "the answers of a local service have no headers",
                   "remove `answers`");
    }
    for (const auto& [name, value] : service.headers) {
      const std::string place = at + "/headers/" + escaped_pointer(name);
      headers.check_stated(place, name);
      headers.check_value(place, name, value);
    }
  }

  void marks(Headers& headers, const std::string& at, const AnswerMarks& marks) {
    // The engine itself sends no `Saga-Echo`: it is the name that participants are proposed.
    if (!marks.echo.empty() && !is_same_header(marks.echo, "Saga-Echo"))
      headers.check_engines(at + "/echo", marks.echo, "Idempotency-Key");
    underscore(at + "/echo", marks.echo);
    if (marks.header.empty()) return;
    if (!is_token(marks.header)) headers.check_engines(at + "/header", marks.header, "");
    underscore(at + "/header", marks.header);
    headers.check_value(at + "/value", marks.header, marks.value);
  }

  /// Of a header on which it depends that a call is not repeated, or whose its answer is.
  void underscore(const std::string& pointer, const std::string& name) {
    if (name.find('_') == std::string::npos) return;
    std::string better = name;
    std::replace(better.begin(), better.end(), '_', '-');
    check_.warning("W309", pointer,
                   "a proxy may drop the header `" + name +
                       "` without a word, because its name has an underscore",
                   "let the participant use another name, like `" + better + "`");
  }

  void url(const std::string& pointer, const std::string& url) {
    if (!check_.context.refuse_url || url.empty()) return;
    const std::string refused = check_.context.refuse_url(url);
    if (!refused.empty())
      check_.error("E303", pointer, refused,
                   "write a URL that is allowed here, or let the engine allow this one");
  }

  /// Whoever writes a definition must not choose where a secret is sent.
  void inline_secret(const std::string& pointer) {
    check_.error(
        "E303", pointer, "only a registered service may use a secret",
        "register the service: backstitch services put NAME FILE, and write \"use\": \"NAME\"");
  }

  /// Nor through whose hands calls go.
  void proxy(const std::string& at, const std::string& of) {
    if (at.empty()) return url("/proxy", of);
    check_.error(
        "E303", at + "/proxy", "only a registered service may have a proxy",
        "register the service: backstitch services put NAME FILE, and write \"use\": \"NAME\"");
  }

  /// Whether it exists and is another service's is not told apart.
  void registered_secret(const std::string& pointer, const std::string& name,
                         const std::string& service) {
    if (!check_.context.has_secret || check_.context.has_secret(name, service)) return;
    check_.error(
        "E303", pointer, "there is no secret `" + name + "` for this service",
        "give the engine that secret, and name the service in `" + name + ".services` beside it");
  }

  void limits(const std::string& at, const ServiceLimits& limits) {
    if (limits.burst && !limits.rate_per_second)
      check_.error("E305", at + "/burst", "`burst` has no meaning without `ratePerSecond`",
                   "add `ratePerSecond`");
    if (limits.queue_max && !limits.in_flight_max)
      check_.error("E305", at + "/maxQueue", "`maxQueue` has no meaning without `maxInFlight`",
                   "add `maxInFlight`");
    if (limits.rate_per_second && *limits.rate_per_second <= 0)
      check_.error("E305", at + "/ratePerSecond", "a rate of 0 lets nothing through",
                   "write a rate above 0");
    if (limits.breaker && limits.breaker->failure_ratio <= 0) {
      check_.error("E305", at + "/breaker/failureRatio",
                   "a breaker with this ratio would always be open", "write a ratio above 0");
    }
  }

  const Check& check_;
};

}  // namespace

void check_services(const Check& check) {
  Services(check).run();
}

}  // namespace backstitch::dsl
