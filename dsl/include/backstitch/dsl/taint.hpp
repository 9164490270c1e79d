#pragma once
/// Where what a schema marks "x-sensitive" goes in a saga, by the definition alone: analysis of the
/// flow of information, as in Denning, "A lattice model of secure information flow", 1976.
#include <map>
#include <string>
#include <vector>

#include <backstitch/base/json.hpp>

namespace backstitch::dsl {

struct Definition;
class PayloadSchema;

/// Which parts of a JSON value are sensitive. Plain data.
struct Taint {
  bool whole = false;
  std::map<std::string, Taint> members;  ///< of an object
  std::vector<Taint> items;  ///< one: of every item of an array, or every other member; or none

  /// It, or anything in it.
  bool any() const;
  /// Of every item of a list, or every member of an object.
  Taint each() const;
  void add(const Taint& other);
  /// What the JSON pointers name; `*` stands for every item or member.
  static Taint of_pointers(const std::vector<std::string>& pointers);
  std::vector<std::string> pointers() const;
  bool operator==(const Taint&) const = default;
};

/// What a payload schema marks.
Taint taint_of(const PayloadSchema& schema);
/// `value` with every sensitive part replaced by "***".
Json masked(Json value, const Taint& taint);

/// What is rendered for one request.
struct RequestTaint {
  bool path = false;
  std::map<std::string, bool> query, headers;
  Taint body;
  bool any() const;
};

/// What one step renders and gives. Parts of a participant's answer are not in it.
struct StepTaint {
  RequestTaint action, probe, poll, undo;
  Taint output, captured;
  Taint items;  ///< of a forEach: its list
  Taint yield;
  bool key = false;  ///< of a forEach: the keys of its items
  Taint child_input;
  bool child_business_key = false;
  Taint failure;  ///< {message, details} of a fail
  /// Whether anything of it reads what is sensitive: then an expression's error may tell of it.
  bool reads = false;
  /// Whether its outcome rules do: then what is noted of an answer may tell of it.
  bool rules = false;
  bool operator==(const StepTaint& other) const;
};

/// Of a whole saga. Immutable once made, thread-safe.
struct TaintMap {
  Taint input;
  Taint output;
  Taint failure;  ///< what failures are made of: {message, details}
  std::map<std::string, bool> labels;
  bool business_key = false;
  std::map<std::string, StepTaint> steps;  ///< by name
  std::map<std::string, Taint> signals;    ///< by name: their payloads
  bool any = false;                        ///< anything at all is sensitive

  /// @param given  beside the schema's own marks, {input, businessKey}: what a parent has put there
  static TaintMap of(const Definition& definition, const Taint& given = {});
};

}  // namespace backstitch::dsl
