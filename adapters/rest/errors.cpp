#include "errors.hpp"

#include <algorithm>

#include "problem.hpp"
#include "resources.hpp"

namespace backstitch::rest {

const ErrorPage* error_page(std::string_view code) {
  const auto pages = error_pages();
  const auto found = std::lower_bound(
      pages.begin(), pages.end(), code,
      [](const ErrorPage& page, std::string_view wanted) { return page.code < wanted; });
  return found != pages.end() && found->code == code ? &*found : nullptr;
}

void Refusals::count(std::string_view code) {
  const ErrorPage* page = error_page(code);
  const std::size_t index =
      page != nullptr ? static_cast<std::size_t>(page - error_pages().data()) : counts_.size() - 1;
  counts_[index].fetch_add(1, std::memory_order_relaxed);
}

std::string Refusals::metrics_text() const {
  const std::string name = "backstitch_http_refusals_total";
  std::string text = "# HELP " + name + " Requests answered with a problem document.\n# TYPE " +
                     name + " counter\n";
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    const std::string_view code = i < error_pages().size() ? error_pages()[i].code : "other";
    text += name + "{code=\"" + std::string(code) + "\"} " +
            std::to_string(counts_[i].load(std::memory_order_relaxed)) + '\n';
  }
  return text;
}

void add_error_routes(Router& router) {
  router.add("GET", "/errors/{}", {},
             [](const Request&, const std::vector<std::string>& captured, const Respond& respond) {
               const ErrorPage* page = error_page(captured[0]);
               if (page == nullptr) {
                 return respond(problem(404, "resource-not-found",
                                        "There is no error code `" + captured[0].substr(0, 64) +
                                            "`; docs/errors.md lists them."));
               }
               Reply reply;
               reply.content_type = "text/plain; charset=utf-8";
               reply.body = std::string(page->code) + " (status " + std::string(page->status) +
                            ")\n\n" + std::string(page->text) + "\n";
               respond(std::move(reply));
             });
}

}  // namespace backstitch::rest
