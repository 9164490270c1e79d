/// mutate [FIRST [COUNT]]: the table of docs/mutation.md over the examples and so many generated
/// definitions, then what was not reported. Exit 1 if anything was missed.
#include <cstdio>
#include <cstdlib>

#include "campaign.hpp"

int main(int argc, char** argv) {
  using namespace backstitch::test;
  const std::uint64_t first = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 0;
  const std::uint64_t count = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 200;
  Campaign campaign;
  for (const auto& subject : example_subjects()) campaign.run(subject);
  for (std::uint64_t i = first; i < first + count; ++i) campaign.run(generated_subject(i));
  std::printf("%s\nwithout a fault: %zu of %zu complete, %zu with errors\n",
              campaign.table().c_str(), campaign.originals_complete(), campaign.originals(),
              campaign.originals_with_errors());
  for (const auto& one : campaign.unclean()) std::printf("\nnot clean: %s\n", one.c_str());
  for (const auto& one : campaign.unreported()) std::printf("\n%s\n", one.c_str());
  return campaign.total().missed == 0 ? 0 : 1;
}
