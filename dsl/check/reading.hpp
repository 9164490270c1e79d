#pragma once
/// Looks at every field of a definition where it stands. Private to dsl/check.
#include <string>

#include "fields.hpp"
#include "names.hpp"
#include "surroundings.hpp"
#include "template_type.hpp"
#include "typing.hpp"

namespace backstitch::dsl {

/// One field: its names, its types, and what its place asks for.
class FieldReader {
 public:
  FieldReader(const Check& check, Schemas& schemas, Surroundings& around)
      : check_(check),
        schemas_(schemas),
        around_(around),
        names_(check, around),
        typing_(check, schemas, around) {}

  Type read(const Field& field, const Roots& roots);

 private:
  Type expression(const Expression& source, const std::string& pointer, const Field& field,
                  const Roots& roots);
  Type part(const TemplateExpression& part, const Field& field, const Roots& roots);
  void wanted(const Type& type, const Field& field);
  void unconfined(const Type& type, const Field& field);
  void sent_whole(const TemplateExpression& part, const std::string& pointer);
  void plain_texts(const Template& source, const std::string& pointer, const Roots& roots);
  void segments(const Template& path, const std::vector<Type>& parts, const std::string& pointer);

  const Check& check_;
  Schemas& schemas_;
  Surroundings& around_;
  Names names_;
  Typing typing_;
};

/// Whether what a step gives to a child can be the child's input (E415).
void check_child_input(const Check& check, Schemas& schemas, const Step& step, const Type& given);
/// What a sub-saga step has as its output, as far as the child is known.
Type child_output(const Check& check, const SubSaga& saga);

}  // namespace backstitch::dsl
