// Proofs about the tools that prove. Built once for each part of the generated definitions, so that
// the parts run beside each other.
#include "requirements.hpp"

namespace backstitch::test {
namespace {

TEST_CASE("the tools report every fault that makes a generated saga end wrong") {
  Campaign campaign;
  for (std::uint64_t i = 0; i < 100; ++i) campaign.run(generated_subject(MUTATION_FIRST + i));
  require_that_tools_see(campaign);
}

}  // namespace
}  // namespace backstitch::test
