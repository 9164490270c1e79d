#pragma once
/// The path of a request: constant text of the definition with values inserted into its segments.
#include <string>
#include <string_view>

#include <backstitch/base/result.hpp>
#include <backstitch/dsl/template.hpp>

namespace backstitch::engine {

/// RFC 3986: everything but unreserved characters becomes `%XX`, `/` included.
std::string percent_encoded(std::string_view text);

/// A value stays inside its segment. Each segment that a value was inserted into is judged as a
/// router may read it, decoded once and decoded twice: it is not empty, blank, `.` or `..`, and it
/// holds no `/`, `\\`, C0 control or DEL. `${path(…)}` inserts several segments, each of which is
/// judged like that. After the `?` nothing is judged.
/// @return invalid/EXPRESSION_FAILED
Result<std::string> render_path(const dsl::Template& source, const dsl::Scope& scope,
                                dsl::Budget& budget);

}  // namespace backstitch::engine
