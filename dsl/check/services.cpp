/// Services: are they known, may they be called, do their limits make sense.
#include <algorithm>
#include <set>

#include "../parse_reader.hpp"
#include "headers.hpp"
#include "walk.hpp"

namespace backstitch::dsl {
namespace {

class Services {
 public:
  explicit Services(const Check& check) : check_(check) {}

  void run() {
    std::set<std::string> used;
    for_each_step(check_.definition, [&](const Step& step) {
      for (const auto& use : requests_of(step)) used.insert(use.service);
    });
    for (const auto& [name, service] : check_.definition.services) {
      const std::string at = "/services/" + escaped_pointer(name);
      if (service.use.empty())
        written_out(at, service);
      else
        referred_to(at, service.use);
      if (used.count(name) == 0)
        check_.warning("W301", at, "the service `" + name + "` is never used", "remove it");
    }
  }

 private:
  void referred_to(const std::string& at, const std::string& name) {
    if (!check_.context.service || check_.context.service(name)) return;
    check_.error("E303", at + "/use", "no service `" + name + "` is registered in this environment",
                 "register it: backstitch services put " + name + " FILE");
  }

  void written_out(const std::string& at, const Service& service) {
    if (!service.local) url(at + "/baseUrl", service.base_url);
    if (!service.auth.token_url.empty()) url(at + "/auth/tokenUrl", service.auth.token_url);
    secret(at + "/auth/secret", service.auth.secret);
    secret(at + "/tls/ca", service.tls.ca);
    secret(at + "/tls/clientCert", service.tls.client_cert);
    const Headers own(nullptr);
    own.check_name(check_, at + "/idempotencyHeader", service.idempotency_header, true);
    if (!service.auth.header.empty())
      own.check_name(check_, at + "/auth/header", service.auth.header, true);
    const Headers headers(&service);
    for (const auto& [name, value] : service.headers) {
      const std::string place = at + "/headers/" + escaped_pointer(name);
      headers.check_name(check_, place, name);
      Headers::check_value(check_, place, name, value);
    }
    limits(at + "/limits", service.limits);
    if (service.connect_timeout && service.attempt_timeout &&
        *service.connect_timeout > *service.attempt_timeout) {
      check_.error("E305", at + "/connectTimeout",
                   "connecting may take longer than the whole attempt",
                   "lower it below `attemptTimeout`");
    }
  }

  void url(const std::string& pointer, const std::string& url) {
    if (!check_.context.refuse_url || url.empty()) return;
    const std::string refused = check_.context.refuse_url(url);
    if (!refused.empty())
      check_.error("E303", pointer, refused, "name another host, or let the engine allow this one");
  }

  void secret(const std::string& pointer, const std::string& name) {
    if (name.empty() || !check_.context.has_secret || check_.context.has_secret(name)) return;
    check_.error("E303", pointer, "there is no secret `" + name + "` in this environment",
                 "give the engine that secret, or name one that it has");
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
