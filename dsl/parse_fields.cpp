#include "parse_fields.hpp"

#include <charconv>

#include <backstitch/dsl/nearest.hpp>

#include "excerpt.hpp"

namespace backstitch::dsl {
namespace {

constexpr std::int64_t attempts_max = 1'000;
constexpr std::size_t headers_max = 40;
constexpr std::size_t outcomes_max = 20;
constexpr DurationBounds required{.required = true, .least = Duration{1}};

std::optional<int> status_number(std::string_view text) {
  int value = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.size() != 3 || error != std::errc{} || rest != text.data() + text.size())
    return std::nullopt;
  return value >= 100 && value <= 599 ? std::optional(value) : std::nullopt;
}

/// `409`, `"5xx"`, `"500-503"`.
std::optional<StatusRange> status_range(const Json& value) {
  if (value.is_number_integer()) {
    const auto status = value.get<std::int64_t>();
    if (status < 100 || status > 599) return std::nullopt;
    return StatusRange{static_cast<int>(status), static_cast<int>(status)};
  }
  if (!value.is_string()) return std::nullopt;
  const std::string_view text = value.get_ref<const std::string&>();
  if (text.size() == 3 && text.ends_with("xx") && text[0] >= '1' && text[0] <= '5') {
    return StatusRange{(text[0] - '0') * 100, (text[0] - '0') * 100 + 99};
  }
  if (text.size() != 7 || text[3] != '-') return std::nullopt;
  const auto first = status_number(text.substr(0, 3));
  const auto last = status_number(text.substr(4));
  if (!first || !last) return std::nullopt;
  return StatusRange{*first, *last};
}

std::vector<StatusRange> read_status(const Json& value, const std::string& pointer,
                                     Findings& findings) {
  std::vector<StatusRange> ranges;
  const Json list = value.is_array() ? value : Json::array({value});
  for (const Json& one : list) {
    if (const auto range = status_range(one))
      ranges.push_back(*range);
    else
      add_error(findings, "E002", pointer, excerpt(one.dump(), 40) + " is not a valid status",
                "write 409, [404, 410], \"5xx\" or \"500-503\"");
  }
  if (ranges.empty() && list.empty())
    add_error(findings, "E305", pointer, "the list of statuses is empty",
              "leave `status` out, or name one");
  return ranges;
}

OutcomeRule read_outcome(const Json& value, const std::string& pointer, Findings& findings) {
  Reader reader(value, pointer, "an outcome rule", findings);
  OutcomeRule rule;
  rule.pointer = pointer;
  if (const Json* status = reader.take("status"))
    rule.status = read_status(*status, reader.at("status"), findings);
  rule.transport = reader.word<Transport>("transport", {{"dns", Transport::dns},
                                                        {"connect", Transport::connect},
                                                        {"tls", Transport::tls},
                                                        {"timeout", Transport::timeout},
                                                        {"reset", Transport::reset},
                                                        {"protocol", Transport::protocol}});
  rule.when = reader.expression("when");
  const bool has_is = reader.has("is");
  const auto is = reader.word<OutcomeClass>("is", {{"success", OutcomeClass::success},
                                                   {"failure", OutcomeClass::failure},
                                                   {"transient", OutcomeClass::transient},
                                                   {"unknown", OutcomeClass::unknown},
                                                   {"pending", OutcomeClass::pending}});
  if (!has_is)
    reader.refuse("E002", "an outcome rule needs `is`",
                  "add \"is\": success, failure, transient, unknown or pending");
  rule.is = is.value_or(OutcomeClass::unknown);
  rule.code = reader.error_code("code").value_or("");
  rule.message = reader.text_template("message");
  rule.retry_after = reader.duration("retryAfter");
  reader.finish();
  return rule;
}

void read_method_and_path(Reader& reader, Request& request, const std::string& http) {
  static constexpr std::pair<std::string_view, Method> methods[] = {
      {"GET", Method::get}, {"HEAD", Method::head},   {"POST", Method::post},
      {"PUT", Method::put}, {"PATCH", Method::patch}, {"DELETE", Method::delete_}};
  const auto space = http.find(' ');
  const std::string_view word = std::string_view(http).substr(0, space);
  bool known = false;
  for (const auto& [name, method] : methods) {
    if (name != word) continue;
    request.method = method;
    known = true;
  }
  if (!known || space == std::string::npos || space + 1 >= http.size() || http[space + 1] != '/') {
    return add_error(
        reader.findings(), "E002", reader.at("http"),
        "`http` is a method and a path, not \"" + excerpt(http, 80) + "\"",
        "write \"PUT /things/${saga.root}\"; methods are GET, HEAD, POST, PUT, PATCH, DELETE");
  }
  auto path = Template::compile_text(std::string_view(http).substr(space + 1));
  if (path)
    request.path = std::move(*path);
  else
    add_compile_errors(reader.findings(), path.error(), reader.at("http"));
}

std::vector<NamedTemplate> read_named(Reader& reader, const char* key) {
  std::vector<NamedTemplate> out;
  const Json* value = reader.take(key);
  if (value == nullptr) return out;
  if (!value->is_object() || value->size() > headers_max) {
    add_error(reader.findings(), "E002", reader.at(key),
              "`" + std::string(key) + "` is an object of at most 40 texts",
              "write { \"name\": \"value\" }");
    return out;
  }
  for (const auto& [name, source] : value->items()) {
    const std::string at = reader.at(key) + "/" + escaped_pointer(name);
    if (!source.is_string() && !source.is_number() && !source.is_boolean()) {
      add_error(reader.findings(), "E002", at,
                "is a string, number or boolean, not " + std::string(source.type_name()),
                "write it as a text, or send it in the body");
      continue;
    }
    // Typed, so that null can mean "leave it out".
    auto compiled = Template::compile(source);
    if (compiled)
      out.push_back({name, std::move(*compiled)});
    else
      add_compile_errors(reader.findings(), compiled.error(), at);
  }
  return out;
}

}  // namespace

RetrySpec read_retry(const Json& value, const std::string& pointer,
                     const std::map<std::string, RetrySpec>& policies, Findings& findings) {
  if (value.is_string()) {
    const auto found = policies.find(value.get<std::string>());
    if (found != policies.end()) return found->second;
    add_error(findings, "E002", pointer, "there is no retry policy " + excerpt(value.dump(), 80),
              did_you_mean(value.get<std::string>(), names_of(policies),
                           "define it under retryPolicies"));
    return {};
  }
  Reader reader(value, pointer, "a retry policy", findings);
  RetrySpec spec;
  spec.pointer = pointer;
  if (const Json* attempts = reader.take("maxAttempts")) {
    if (*attempts == "unlimited")
      spec.unlimited = true;
    else if (attempts->is_number_integer() && *attempts >= 1 && *attempts <= attempts_max) {
      spec.attempts_max = attempts->get<std::uint32_t>();
    } else {
      add_error(findings, "E002", reader.at("maxAttempts"),
                "`maxAttempts` is an integer from 1 to 1000 or \"unlimited\"",
                "write a number, or \"unlimited\"");
    }
  }
  spec.delay = reader.duration("delay");
  spec.factor = reader.number("factor", 1, 10);
  spec.delay_max = reader.duration("maxDelay");
  spec.jitter = reader.word<Jitter>(
      "jitter", {{"none", Jitter::none}, {"equal", Jitter::equal}, {"full", Jitter::full}});
  spec.elapsed_max = reader.duration("maxElapsed");
  if (reader.has("on")) {
    spec.on.emplace();
    for (const auto& name : reader.texts("on")) {
      if (name == "transient")
        spec.on->push_back(OutcomeClass::transient);
      else if (name == "unknown")
        spec.on->push_back(OutcomeClass::unknown);
      else
        add_error(findings, "E002", reader.at("on"),
                  "`on` lists transient and unknown, not \"" + excerpt(name, 40) + "\"",
                  "a failure is never tried again");
    }
  } else {
    reader.take("on");
  }
  for (const auto& code : reader.texts("except")) {
    if (is_error_code(code))
      spec.except.push_back(code);
    else
      add_error(findings, "E002", reader.at("except"),
                "\"" + excerpt(code, 80) + "\" is not a valid error code",
                "codes are like OUT_OF_STOCK");
  }
  reader.finish();
  return spec;
}

std::vector<OutcomeRule> read_outcomes(const Json& value, const std::string& pointer,
                                       Findings& findings) {
  std::vector<OutcomeRule> rules;
  if (!value.is_array() || value.size() > outcomes_max) {
    add_error(findings, "E002", pointer, "`outcomes` is a list of at most 20 rules",
              "write [ { \"status\": 409, \"is\": \"failure\", \"code\": \"TAKEN\" } ]");
    return rules;
  }
  for (std::size_t i = 0; i < value.size(); ++i) {
    rules.push_back(read_outcome(value[i], pointer + "/" + std::to_string(i), findings));
  }
  return rules;
}

Request read_request(Reader& reader, bool needs_service, bool may_have_body) {
  Request request;
  request.pointer = reader.pointer();
  if (reader.has("service")) {
    request.service = reader.identifier("service").value_or("");
  } else {
    reader.take("service");
    if (needs_service) {
      reader.refuse("E301", "the request names no service",
                    "add \"service\" with a name of `services`");
    }
  }
  const auto http = reader.text("http");
  const auto operation = reader.text("operation");
  if (http) read_method_and_path(reader, request, *http);
  if (operation) request.operation = *operation;
  if (http.has_value() == operation.has_value() && !(reader.has("http") && !http)) {
    reader.refuse("E002", "a request has either `http` or `operation`",
                  "write \"http\": \"PUT /things/${saga.root}\"");
  }
  request.query = read_named(reader, "query");
  request.headers = read_named(reader, "headers");
  if (may_have_body) request.body = reader.value_template("body");
  return request;
}

Probe read_probe(const Json& value, const std::string& pointer, const DocumentContext& context,
                 Findings& findings) {
  Reader reader(value, pointer, "a probe", findings);
  Probe probe;
  probe.request = read_request(reader, false, false);
  if (const Json* rules = reader.take("outcomes"))
    probe.outcomes = read_outcomes(*rules, reader.at("outcomes"), findings);
  probe.output = reader.value_template("output");
  probe.sealed = reader.boolean("sealed").value_or(false);
  if (const Json* retry = reader.take("retry")) {
    probe.retry = read_retry(*retry, reader.at("retry"), context.retry_policies, findings);
  }
  probe.attempt_timeout = reader.duration("attemptTimeout", one_attempt);
  reader.finish();
  return probe;
}

Completion read_completion(const Json& value, const std::string& pointer, Findings& findings) {
  Reader reader(value, pointer, "`completion`", findings);
  Completion completion;
  completion.callback = reader.boolean("callback").value_or(false);
  if (const Json* poll = reader.take("poll")) {
    Reader inner(*poll, reader.at("poll"), "`poll`", findings);
    Poll read;
    read.request = read_request(inner, false, false);
    read.every = inner.duration("every", required).value_or(DurationField{Duration{0}});
    if (const Json* rules = inner.take("outcomes"))
      read.outcomes = read_outcomes(*rules, inner.at("outcomes"), findings);
    inner.finish();
    completion.poll = std::move(read);
  }
  completion.timeout = reader.duration("timeout", required).value_or(DurationField{Duration{0}});
  reader.finish();
  return completion;
}

OnExhausted read_on_exhausted(Reader& reader, OnExhausted otherwise) {
  return reader
      .word<OnExhausted>("onExhausted",
                         {{"suspend", OnExhausted::suspend}, {"continue", OnExhausted::continue_}})
      .value_or(otherwise);
}

Undo read_compensation(const Json& value, const std::string& pointer,
                       const DocumentContext& context, Findings& findings) {
  if (value == "none") return WaivedCompensation{};
  if (value == "auto") return AutoCompensation{};
  if (value.is_string()) {
    add_error(findings, "E002", pointer,
              "a compensation is a request, \"none\" or \"auto\", not " + excerpt(value.dump(), 40),
              "write { \"http\": \"DELETE /things/${saga.root}\" }");
    return NoCompensation{};
  }
  Reader reader(value, pointer, "a compensation", findings);
  Compensation undo;
  undo.request = read_request(reader, false, true);
  undo.when = reader.expression("when");
  if (const Json* rules = reader.take("outcomes"))
    undo.outcomes = read_outcomes(*rules, reader.at("outcomes"), findings);
  if (const Json* retry = reader.take("retry")) {
    undo.retry = read_retry(*retry, reader.at("retry"), context.retry_policies, findings);
  } else {
    undo.retry = context.compensation_retry;
  }
  undo.attempt_timeout = reader.duration("attemptTimeout", one_attempt);
  if (!undo.attempt_timeout) undo.attempt_timeout = context.compensation_attempt_timeout;
  undo.on_exhausted = read_on_exhausted(reader, context.compensation_on_exhausted);
  reader.finish();
  return undo;
}

}  // namespace backstitch::dsl
