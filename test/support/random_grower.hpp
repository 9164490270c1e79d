#pragma once
/// Grows random steps. Private to the random definitions: random_leaves.cpp has the steps without
/// steps inside, random_blocks.cpp the blocks, random_definition.cpp puts a saga together.
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <backstitch/base/json.hpp>

#include "random_definition.hpp"
#include "random_reach.hpp"

namespace backstitch::test {

struct GrownStep {
  Json step;
  Reach reach;       ///< behind the step
  bool ends = true;  ///< it can end without failing
};
struct GrownSteps {
  Json steps = Json::array();
  Reach reach;
  bool ends = true;
};

class Grower {
 public:
  Grower(Dice& dice, const Vocabulary& vocabulary) : dice_(dice), vocabulary_(vocabulary) {}

  /// Up to `leaves` steps without steps inside; one at least if `leaves` is not 0.
  GrownSteps steps(const Place& at, std::size_t leaves);
  /// Steps with the pivot somewhere among them, on every way to the end.
  GrownSteps steps_with_pivot(const Place& at, std::size_t leaves);
  /// Of a handler: what may stand there.
  GrownSteps handler(const Place& at, std::size_t leaves);

 private:
  // random_leaves.cpp
  GrownStep leaf(const Place& at);
  GrownStep call(const Place& at, const std::string& kind);
  Json compensation(const Place& at, const std::string& name, bool may_read_output);
  Json probe(const std::string& name);
  Json completion(const std::string& name);
  static Json unreadable_is_unknown();
  void call_options(Json& step, const Place& at, const std::string& name, bool retryable);
  GrownStep value(const Place& at);
  GrownStep sleep(const Place& at);
  GrownStep wait(const Place& at);
  GrownStep fail(const Place& at, bool conditional);

  // random_blocks.cpp
  GrownStep block(const Place& at, std::size_t leaves);
  GrownStep parallel(const Place& at, std::size_t leaves);
  GrownStep switch_block(const Place& at, std::size_t leaves);
  GrownStep pivot_switch(const Place& at, std::size_t leaves);
  GrownStep switch_of(const std::string& name, const Place& at, std::vector<GrownSteps> arms);
  GrownStep for_each(const Place& at, std::size_t leaves);
  GrownStep try_block(const Place& at, std::size_t leaves);
  struct CatchOptions {
    bool calls = false;    ///< the body has a call of its own
    bool outputs = false;  ///< every catch has an output
  };
  Json catches(const Place& at, std::size_t leaves, std::vector<Reach>& ways,
               const CatchOptions& options);
  void block_options(Json& block);

  std::string fresh(const char* stem) { return stem + std::to_string(++names_); }
  std::string braced(const std::string& expression) { return "${" + expression + "}"; }
  /// How many of `leaves` the next part of a block gets, if `parts` more want some.
  std::size_t share(std::size_t leaves, std::size_t parts);
  /// The step may be skipped: what it holds is only possible from here on.
  void make_conditional(GrownStep& grown, const Place& at);

  Dice& dice_;
  const Vocabulary& vocabulary_;
  std::size_t names_ = 0;
  std::vector<std::string> codes_;  ///< that steps so far can fail with
};

}  // namespace backstitch::test
