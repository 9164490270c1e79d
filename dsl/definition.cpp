#include <backstitch/dsl/definition.hpp>

#include <backstitch/base/invariant.hpp>
#include <backstitch/base/match.hpp>

namespace backstitch::dsl {
namespace {

const Step* find_in(const Steps& steps, std::string_view name);

const Step* find_below(const Step& step, std::string_view name) {
  return std::visit(Match{[&](const Parallel& block) {
                            for (const auto& branch : block.branches) {
                              if (const auto* found = find_in(branch.steps, name)) return found;
                            }
                            return static_cast<const Step*>(nullptr);
                          },
                          [&](const Switch& block) {
                            for (const auto& one : block.cases) {
                              if (const auto* found = find_in(one.steps, name)) return found;
                            }
                            return block.otherwise ? find_in(block.otherwise->steps, name)
                                                   : nullptr;
                          },
                          [&](const ForEach& block) { return find_in(block.steps, name); },
                          [&](const Try& block) {
                            if (const auto* found = find_in(block.steps, name)) return found;
                            for (const auto& one : block.catches) {
                              if (const auto* found = find_in(one.steps, name)) return found;
                            }
                            return static_cast<const Step*>(nullptr);
                          },
                          [](const Action&) { return static_cast<const Step*>(nullptr); },
                          [](const SubSaga&) { return static_cast<const Step*>(nullptr); },
                          [](const Wait&) { return static_cast<const Step*>(nullptr); },
                          [](const Sleep&) { return static_cast<const Step*>(nullptr); },
                          [](const Value&) { return static_cast<const Step*>(nullptr); },
                          [](const Fail&) { return static_cast<const Step*>(nullptr); }},
                    step.body);
}

const Step* find_in(const Steps& steps, std::string_view name) {
  for (const Step& step : steps) {
    if (step.name == name) return &step;
    if (const auto* found = find_below(step, name)) return found;
  }
  return nullptr;
}

}  // namespace

std::string_view credential_header(const Auth& auth) {
  switch (auth.type) {
    case AuthType::none:
      return {};
    case AuthType::api_key:
      return auth.header.empty() ? std::string_view("X-Api-Key") : std::string_view(auth.header);
    case AuthType::bearer:
    case AuthType::basic:
    case AuthType::oauth2:
    case AuthType::hmac:
      return "Authorization";
  }
  throw InvariantViolation("unknown authentication");
}

const char* to_text(StepKind kind) {
  switch (kind) {
    case StepKind::compensatable:
      return "compensatable";
    case StepKind::pivot:
      return "pivot";
    case StepKind::retryable:
      return "retryable";
    case StepKind::readonly:
      return "readonly";
  }
  throw InvariantViolation("unknown step kind");
}

const char* to_text(OutcomeClass outcome) {
  switch (outcome) {
    case OutcomeClass::success:
      return "success";
    case OutcomeClass::failure:
      return "failure";
    case OutcomeClass::transient:
      return "transient";
    case OutcomeClass::unknown:
      return "unknown";
    case OutcomeClass::pending:
      return "pending";
  }
  throw InvariantViolation("unknown outcome class");
}

const char* to_text(Transport transport) {
  switch (transport) {
    case Transport::dns:
      return "dns";
    case Transport::connect:
      return "connect";
    case Transport::tls:
      return "tls";
    case Transport::timeout:
      return "timeout";
    case Transport::reset:
      return "reset";
    case Transport::protocol:
      return "protocol";
  }
  throw InvariantViolation("unknown transport");
}

const char* to_text(Method method) {
  switch (method) {
    case Method::get:
      return "GET";
    case Method::head:
      return "HEAD";
    case Method::post:
      return "POST";
    case Method::put:
      return "PUT";
    case Method::patch:
      return "PATCH";
    case Method::delete_:
      return "DELETE";
  }
  throw InvariantViolation("unknown method");
}

const char* to_text(Idempotency idempotency) {
  switch (idempotency) {
    case Idempotency::key:
      return "key";
    case Idempotency::natural:
      return "natural";
    case Idempotency::none:
      return "none";
  }
  throw InvariantViolation("unknown idempotency");
}

const Step* find_step(const Definition& definition, std::string_view name) {
  for (const Steps* steps : {&definition.steps, &definition.on_failure, &definition.on_suspended}) {
    if (const auto* found = find_in(*steps, name)) return found;
  }
  return nullptr;
}

}  // namespace backstitch::dsl
