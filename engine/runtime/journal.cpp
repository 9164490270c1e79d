#include "journal.hpp"

#include <iterator>
#include <utility>

#include <backstitch/base/invariant.hpp>

namespace backstitch::engine {
namespace {

/// Moves the first `count` elements out.
template <class T>
std::vector<T> take_front(std::vector<T>& from, std::size_t count) {
  if (count >= from.size()) return std::exchange(from, {});
  const auto end = from.begin() + static_cast<std::ptrdiff_t>(count);
  std::vector<T> taken(std::make_move_iterator(from.begin()), std::make_move_iterator(end));
  from.erase(from.begin(), end);
  return taken;
}

}  // namespace

void Journal::append(Append append, AppendDone done) {
  Shared& shared = *shared_;
  shared.queue.push_back(std::move(append));
  shared.callbacks.push_back(std::move(done));
  if (shared.in_flight || shared.posted) return;
  // Not at once: what the reactor has already been told in this round joins the batch.
  shared.posted = true;
  shared.executor.post([keep = shared_] {
    keep->posted = false;
    if (!keep->closed && !keep->in_flight && !keep->queue.empty()) send(keep);
  });
}

void Journal::send(const std::shared_ptr<Shared>& shared) {
  auto batch = take_front(shared->queue, shared->batch_max);
  auto callbacks =
      std::make_shared<std::vector<AppendDone>>(take_front(shared->callbacks, shared->batch_max));
  shared->in_flight = true;
  shared->store.append(shared->lane, std::move(batch),
                       [shared, callbacks](std::vector<AppendResult> results) {
                         shared->executor.post([shared, callbacks, results = std::move(results)] {
                           BACKSTITCH_INVARIANT(results.size() == callbacks->size(),
                                                "the store answers every append of a batch");
                           shared->in_flight = false;
                           if (shared->closed) return;
                           ++shared->commits;
                           for (const auto& result : results)
                             shared->appends += result.outcome == AppendOutcome::written ? 1 : 0;
                           // The next batch goes on its way before this one's effects take the time
                           // of the reactor.
                           if (!shared->queue.empty()) send(shared);
                           for (std::size_t i = 0; i < results.size() && !shared->closed; ++i)
                             (*callbacks)[i](results[i]);
                         });
                       });
}

}  // namespace backstitch::engine
