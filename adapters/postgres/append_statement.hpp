#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <backstitch/engine/ports/store.hpp>

#include "binary_array.hpp"
#include "membership.hpp"

namespace backstitch::postgres {

/// The parameters of backstitch.append_batch, in its order. Kept by a lane and filled anew for each
/// batch, so that the hot path allocates little. Items are numbered from 1, as SQL arrays are.
class AppendStatement {
 public:
  static constexpr std::string_view name = "append_batch";
  static const std::string& sql();
  /// Which of `items` the log already holds, word for word: one row `item` each. Takes the event
  /// arrays.
  static constexpr std::string_view read_back_name = "append_read_back";
  static const std::string& read_back_sql();

  /// @pre no saga and no start key twice
  void fill(const Fence& fence, std::span<const engine::Append* const> items);

  /// Every parameter, in order.
  std::vector<std::string_view> parameters();
  std::int64_t generation() const { return fence_.generation; }
  /// Those of the events alone.
  std::vector<std::string_view> event_arrays();

 private:
  void reset();
  void for_each(auto&& f) {
    items_.for_each(f);
    events_.for_each(f);
    starts_.for_each(f);
    keys_.for_each(f);
    rows_.for_each(f);
    audits_.for_each(f);
    inbox_.for_each(f);
  }
  void add_item(std::int32_t number, const engine::Append& item);
  void add_start(std::int32_t number, std::int64_t last, const engine::NewSaga& start);
  void add_keys(std::int32_t number, const engine::NewSaga& start, bool only_asks);
  void add_row(std::int32_t number, std::int64_t last, const engine::RowChange& row);

  Fence fence_;
  std::string generation_;
  struct Items {
    BinaryArray saga{Oid::uuid}, shard{Oid::smallint}, epoch{Oid::bigint}, expected{Oid::bigint};
    void for_each(auto&& f) { (f(saga), f(shard), f(epoch), f(expected)); }
  } items_;
  struct Events {
    BinaryArray item{Oid::integer}, saga{Oid::uuid}, sequence{Oid::bigint}, at{Oid::timestamptz},
        type{Oid::text}, path{Oid::text}, data{Oid::jsonb};
    void for_each(auto&& f) { (f(item), f(saga), f(sequence), f(at), f(type), f(path), f(data)); }
  } events_;
  struct Starts {
    BinaryArray item{Oid::integer}, sequence{Oid::bigint}, version{Oid::bigint},
        at{Oid::timestamptz}, deadline{Oid::timestamptz}, definition{Oid::text},
        business_key{Oid::text}, labels{Oid::jsonb}, input{Oid::jsonb}, parent{Oid::uuid},
        hash{Oid::text}, sent{Oid::jsonb}, sensitive{Oid::jsonb};
    void for_each(auto&& f) {
      (f(item), f(sequence), f(version), f(at), f(deadline), f(definition), f(business_key),
       f(labels), f(input), f(parent), f(hash), f(sent), f(sensitive));
    }
  } starts_;
  struct Keys {
    BinaryArray item{Oid::integer}, scope{Oid::text}, key{Oid::text}, reuses{Oid::boolean},
        hash{Oid::text}, version{Oid::bigint}, stated{Oid::bigint}, sent{Oid::jsonb},
        asks{Oid::boolean}, generation{Oid::bigint};
    void for_each(auto&& f) {
      (f(item), f(scope), f(key), f(reuses), f(hash), f(version), f(stated), f(sent), f(asks),
       f(generation));
    }
  } keys_;
  struct Rows {
    BinaryArray item{Oid::integer}, sequence{Oid::bigint}, ended_at{Oid::timestamptz},
        wake_at{Oid::timestamptz}, pivot_passed{Oid::boolean}, status{Oid::text},
        failure_code{Oid::text}, output{Oid::jsonb}, failure{Oid::jsonb},
        expires_at{Oid::timestamptz};
    void for_each(auto&& f) {
      (f(item), f(sequence), f(ended_at), f(wake_at), f(pivot_passed), f(status), f(failure_code),
       f(output), f(failure), f(expires_at));
    }
  } rows_;
  struct Audits {
    BinaryArray item{Oid::integer}, actor{Oid::text}, action{Oid::text}, reason{Oid::text},
        detail{Oid::jsonb};
    void for_each(auto&& f) { (f(item), f(actor), f(action), f(reason), f(detail)); }
  } audits_;
  struct Inbox {
    BinaryArray item{Oid::integer}, id{Oid::bigint}, error{Oid::jsonb};
    void for_each(auto&& f) { (f(item), f(id), f(error)); }
  } inbox_;
};

}  // namespace backstitch::postgres
