/// Requests: whom they call, by which method and path, with which headers.
#include <algorithm>
#include <set>
#include <string_view>

#include <backstitch/base/ascii.hpp>
#include <backstitch/dsl/header_field.hpp>
#include <backstitch/dsl/nearest.hpp>

#include "../excerpt.hpp"
#include "../parse_reader.hpp"
#include "headers.hpp"
#include "walk.hpp"

namespace backstitch::dsl {
namespace {

/// Segments that lead upwards, also encoded ones, what would end the path, and line breaks. What
/// `${ }` inserts is encoded, and judged again when it is known.
bool can_leave_base(const Template& path) {
  const std::string text = path.skeleton();
  const auto inserted = std::count(text.begin(), text.end(), '\x01');
  const bool control = std::any_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte <= 0x20 && byte != 0x01) || byte == 0x7f;
  });
  if (control || static_cast<std::size_t>(inserted) != path.expressions().size() ||
      text.find_first_of("#\\") != std::string::npos)
    return true;
  const std::string only_path = lower_case(text.substr(0, text.find('?')));
  if (only_path.find("//") != std::string::npos) return true;
  std::size_t begin = 1;
  while (begin <= only_path.size()) {
    const auto end = std::min(only_path.find('/', begin), only_path.size());
    const std::string_view segment = std::string_view(only_path).substr(begin, end - begin);
    if (segment == "." || segment == ".." || segment.find("%2e") != std::string_view::npos ||
        segment.find("%2f") != std::string_view::npos ||
        segment.find("%5c") != std::string_view::npos)
      return true;
    begin = end + 1;
  }
  return false;
}

class Requests {
 public:
  explicit Requests(const Check& check)
      : check_(check), names_(names_of(check.definition.services)) {}

  void run() {
    std::set<std::string> used;
    for_each_step(check_.definition, [&](const Step& step) {
      for (const auto& use : requests_of(step)) {
        request(step, use);
        used.insert(use.service);
      }
    });
    for (const auto& [name, service] : check_.definition.services) {
      if (used.count(name) > 0) continue;
      check_.warning("W301", service.pointer, "the service `" + name + "` is never used",
                     "remove it");
    }
  }

 private:
  void request(const Step& step, const RequestUse& use) {
    const std::string& at = use.request->pointer;
    const auto declared = check_.definition.services.find(use.service);
    if (declared != check_.definition.services.end()) {
      protocol(use, at);
    } else if (!use.request->service.empty()) {
      // A service that is inherited was reported where it is named.
      if (check_.is_full()) return;
      check_.error("E302", at + "/service", "the service `" + use.service + "` is not declared",
                   did_you_mean(use.service, names_, "declare it under `services`"));
    } else if (std::holds_alternative<SubSaga>(step.body)) {
      check_.error("E301", at, "the undo of a sub-saga has no action whose service it could take",
                   "add \"service\" with a name of `services`");
    }
    if (use.request->path && can_leave_base(*use.request->path)) {
      check_.error("E304", at + "/http", "the path can leave the service's base URL",
                   "no empty, `.` or `..` segments, no `#`, `\\`, spaces or line breaks, and no "
                   "encoded dots or slashes");
    }
    headers(use, at);
    methods(step, use, at);
  }

  void headers(const RequestUse& use, const std::string& at) {
    Headers headers(check_, check_.service(use.service));
    for (const auto& header : use.request->headers) {
      const std::string where = at + "/headers/" + escaped_pointer(header.name);
      if (use.request->body && is_same_header(header.name, "content-type"))
        content_type(header.value, where);
      headers.check_stated(where, header.name);
      headers.check_value(where, header.name, header.value);
    }
  }

  /// A body is sent as JSON whatever the header says.
  void content_type(const Template& value, const std::string& pointer) {
    if (!value.is_constant() || !value.source().is_string()) return;
    const std::string whole = lower_case(value.source().get<std::string>());
    const std::string type = whole.substr(0, whole.find_first_of("; "));
    if (type.ends_with("/json") || type.ends_with("+json")) return;
    check_.warning("W308", pointer,
                   "the body is sent as JSON, a text in double quotes, though the header says `" +
                       excerpt(type, 80) + "`",
                   "remove the header and send a JSON body, or send the values as \"query\"");
  }

  void protocol(const RequestUse& use, const std::string& at) {
    const Service* service = check_.service(use.service);
    if (service == nullptr) return;
    const std::string& operation = use.request->operation;
    if (service->local && use.request->path)
      check_.error("E306", at + "/http", "`http` on the local service `" + use.service + "`",
                   "write \"operation\"");
    if (!service->local && !use.request->path && !operation.empty()) {
      check_.error("E306", at + "/operation",
                   "`operation` on the http service `" + use.service + "`", "write \"http\"");
    }
    if (service->local && !operation.empty() && check_.context.has_operation &&
        !check_.context.has_operation(use.service, operation)) {
      check_.error("E306", at + "/operation",
                   "the local operation `" + operation + "` is not registered",
                   "register the function before the definition");
    }
  }

  void methods(const Step& step, const RequestUse& use, const std::string& at) {
    if (!use.request->path) return;
    const Method method = use.request->method;
    const bool reads = method == Method::get || method == Method::head;
    const std::string_view role = use.role;
    if (role == "compensation" && reads)
      check_.error("E220", at + "/http", "the undo of `" + step.name + "` only reads",
                   "an undo is a POST, PUT, PATCH or DELETE");
    if ((role == "probe" || role == "poll") && !reads) {
      check_.error("E220", at + "/http",
                   "the " + std::string(role) + " of `" + step.name + "` may change something",
                   "write a GET or HEAD");
    }
    if (role == "action" && !reads && step.kind == StepKind::readonly) {
      check_.warning("W235", step.pointer + "/kind",
                     "`" + step.name + "` is readonly and yet a " + to_text(method),
                     "write a GET or HEAD, or make sure that it changes nothing");
    }
  }

  const Check& check_;
  std::vector<std::string> names_;
};

}  // namespace

void check_requests(const Check& check) {
  Requests(check).run();
}

}  // namespace backstitch::dsl
