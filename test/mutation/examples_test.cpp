// Proofs about the tools that prove, with the faults that authors make.
#include <fstream>
#include <iterator>
#include <string>

#include "requirements.hpp"

namespace backstitch::test {
namespace {

TEST_CASE("the tools report every fault that makes a saga of the examples end wrong") {
  Campaign campaign;
  for (const auto& subject : example_subjects()) campaign.run(subject);
  require_that_tools_see(campaign);
  CHECK(campaign.originals_complete() == campaign.originals());
}

TEST_CASE("docs/mutation.md has a row for every kind of fault") {
  std::ifstream file(BACKSTITCH_DOCS "/mutation.md");
  const std::string page{std::istreambuf_iterator<char>(file), {}};
  for (const auto& kind : catalogue()) {
    CAPTURE(kind.name);
    const std::string row = std::string("| ") + kind.name + " | " + kind.fault + " | ";
    CHECK(page.find(row) != std::string::npos);
    CHECK(!kind.reported_by.empty());
  }
}

}  // namespace
}  // namespace backstitch::test
