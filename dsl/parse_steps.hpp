#pragma once
#include <set>

#include <backstitch/dsl/parse.hpp>

#include "parse_fields.hpp"

namespace backstitch::dsl {

/// Reads lists of steps, blocks and all. One object a document: step names are unique in all of it.
class StepParser {
 public:
  StepParser(DocumentContext& context, const DefinitionLimits& limits, Findings& findings)
      : context_(context), limits_(limits), findings_(findings) {}
  Steps read(const Json& value, const std::string& pointer);

 private:
  std::optional<Step> step(const Json& value, const std::string& pointer);
  std::optional<StepBody> body(Reader& reader);
  Action action(Reader& reader);
  SubSaga saga(Reader& reader);
  Parallel parallel(Reader& reader);
  Switch switch_block(Reader& reader);
  ForEach for_each(Reader& reader);
  Try try_block(Reader& reader);
  Wait wait(Reader& reader);
  Sleep sleep(Reader& reader);
  Value value(Reader& reader);
  Fail fail(Reader& reader);
  Case read_case(const Json& value, const std::string& pointer, bool with_condition);
  Catch read_catch(const Json& value, const std::string& pointer);
  /// What only steps with a call may have.
  void call_members(Reader& reader, Step& step);
  void note_name(const std::string& name, const std::string& pointer);

  DocumentContext& context_;
  const DefinitionLimits& limits_;
  Findings& findings_;
  std::set<std::string> names_;
  std::size_t count_ = 0;
  std::size_t depth_ = 0;
};

}  // namespace backstitch::dsl
