#include <backstitch/engine/runtime/service_use.hpp>

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

namespace backstitch::engine {
namespace {

constexpr std::size_t page_size = 1'000;

/// Counts page after page, and keeps itself until the answer.
class Count : public std::enable_shared_from_this<Count> {
 public:
  Count(SagaReader& reader, std::set<std::pair<std::string, std::int64_t>> users,
        std::function<void(Result<ServiceUse>)> done)
      : reader_(reader), users_(std::move(users)), done_(std::move(done)) {
    for (const auto& [name, version] : users_) {
      if (names_.empty() || names_.back() != name) names_.push_back(name);
    }
  }

  void next_page(std::optional<SagaId> before) {
    if (names_.empty()) return done_(use_);
    ListQuery query{.statuses = {"RUNNING", "COMPENSATING", "SUSPENDED"},
                    .definition = names_.back(),
                    .before = before,
                    .limit = page_size};
    reader_.list(std::move(query),
                 [self = shared_from_this()](Result<std::vector<SagaSummary>> page) {
                   if (!page) return self->done_(std::move(page).error());
                   self->counted(*page);
                 });
  }

 private:
  void counted(const std::vector<SagaSummary>& page) {
    use_.sagas += static_cast<std::size_t>(
        std::count_if(page.begin(), page.end(), [this](const SagaSummary& saga) {
          return users_.contains({saga.definition, saga.version});
        }));
    const bool full = page.size() == page_size;
    if (full && use_.sagas >= sagas_counted_max) {
      use_.more = true;
      return done_(use_);
    }
    if (!full) names_.pop_back();
    next_page(full ? std::optional(page.back().id) : std::nullopt);
  }

  SagaReader& reader_;
  std::set<std::pair<std::string, std::int64_t>> users_;
  std::vector<std::string> names_;
  std::function<void(Result<ServiceUse>)> done_;
  ServiceUse use_;
};

}  // namespace

void count_service_use(const Registry& registry, SagaReader& reader, const std::string& service,
                       std::function<void(Result<ServiceUse>)> done) {
  std::set<std::pair<std::string, std::int64_t>> users;
  for (const auto& stored : registry.definitions()) {
    const auto program = registry.program(stored->name, stored->version);
    if (!program) continue;
    const auto& services = program->definition->services;
    const bool uses = std::any_of(services.begin(), services.end(),
                                  [&](const auto& one) { return one.second.use == service; });
    if (uses) users.emplace(stored->name, stored->version);
  }
  std::make_shared<Count>(reader, std::move(users), std::move(done))->next_page(std::nullopt);
}

}  // namespace backstitch::engine
