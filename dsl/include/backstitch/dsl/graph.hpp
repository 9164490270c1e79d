#pragma once
/// Pictures of a definition: steps in order, blocks nested, the way back dashed and in mirror
/// order, the pivot marked. Pure and thread-safe; linear in the size of the definition. Whatever
/// stands in a definition is text in the picture: never markup, script or syntax of the format.
#include <string>

#include <backstitch/dsl/definition.hpp>

namespace backstitch::dsl {

enum class GraphFormat { mermaid, dot, svg };

/// @return the picture as a text in that format, ending with a newline
std::string draw(const Definition& definition, GraphFormat format);

std::string to_mermaid(const Definition& definition);
/// Graphviz.
std::string to_dot(const Definition& definition);
/// Stands alone: no scripts, no fonts, nothing that is fetched; follows light and dark.
std::string to_svg(const Definition& definition);

}  // namespace backstitch::dsl
