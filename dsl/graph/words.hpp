#pragma once
/// What the parts of a definition are called in a picture.
#include <string>
#include <vector>

#include <backstitch/dsl/definition.hpp>

namespace backstitch::dsl::graph {

/// `orders: PUT /orders/${input.orderId}`. `service` stands in where the request names none.
std::string request_words(const Request& request, const std::string& service);
/// What a step does, a line each; a block says how its lanes run.
std::vector<std::string> body_words(const Step& step);
/// What undoes an action or a sub-saga; empty: nothing does.
std::string undo_words(const Step& step);
/// What is not worth a line but a closer look: description, probe, time limits.
std::string about_words(const Step& step);
/// `catch A, B when …`
std::string catch_words(const Catch& one);

}  // namespace backstitch::dsl::graph
