#pragma once
/// A participant in C++ on PostgreSQL: the same reservations as in reservations.sql. Its web server
/// is left out; these functions are what its two handlers do.
#include <string>

#include <backstitch/participant/guard.hpp>
#include <nlohmann/json.hpp>
#include <pqxx/pqxx>

namespace shop {

using backstitch::participant::Phase;
using backstitch::participant::Standing;
using backstitch::participant::Verdict;

struct Answer {
  int status = 200;
  nlohmann::json body = nlohmann::json::object();

  /// As it is remembered: the status too, since a refusal is repeated as well.
  std::string to_text() const { return nlohmann::json{{"status", status}, {"body", body}}.dump(); }
  static Answer from_text(const std::string& text) {
    const auto json = nlohmann::json::parse(text);
    return {json.at("status").get<int>(), json.at("body")};
  }
};

/// PUT /reservations; `key` is the header Idempotency-Key.
inline Answer reserve(pqxx::connection& database, const std::string& key, const std::string& sku,
                      int quantity) {
  pqxx::work tx(database);
  switch (backstitch::participant::guard(tx, key, Phase::forward)) {
    case Verdict::repeated:
      return Answer::from_text(backstitch::participant::remembered(tx, key).value());
    case Verdict::refused:
      return {409, {{"code", "UNDONE_BEFORE"}}};
    case Verdict::proceed:
    case Verdict::nothing:
      break;
  }
  Answer answer{200, {{"sku", sku}, {"reserved", quantity}}};
  const bool taken = tx.exec_params(
                           "update shop.stock set available = available - $2 "
                           "where sku = $1 and available >= $2",
                           sku, quantity)
                         .affected_rows() == 1;
  if (taken) {
    tx.exec_params("insert into shop.reservation (key, sku, quantity) values ($1, $2, $3)", key,
                   sku, quantity);
  } else {
    answer = {409, {{"code", "OUT_OF_STOCK"}}};
  }
  backstitch::participant::remember(tx, key, answer.to_text(),
                                    taken ? Standing::done : Standing::refused);
  tx.commit();
  return answer;
}

/// DELETE /reservations; `key` is the header Saga-Compensates.
inline Answer release(pqxx::connection& database, const std::string& key) {
  pqxx::work tx(database);
  if (backstitch::participant::guard(tx, key, Phase::compensate) == Verdict::proceed) {
    tx.exec_params(
        "with released as (delete from shop.reservation where key = $1 returning sku, quantity) "
        "update shop.stock s set available = s.available + r.quantity from released r "
        "where s.sku = r.sku",
        key);
  }
  // Also if there was nothing to undo: that the key is closed must be remembered.
  tx.commit();
  return {};
}

}  // namespace shop
