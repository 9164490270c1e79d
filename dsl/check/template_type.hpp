#pragma once
/// The type of what a template gives. Private to dsl/check.
#include <functional>

#include <backstitch/dsl/template.hpp>

#include "types.hpp"

namespace backstitch::dsl {

/// @param origin whose promise the objects are that the template writes out
/// @param part the type of an expression; called once for each, in the order of the text
Type type_of(const Template& source, Origin origin,
             const std::function<Type(const TemplateExpression&)>& part);

}  // namespace backstitch::dsl
