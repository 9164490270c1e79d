#pragma once
#include <doctest/doctest.h>

#include "campaign.hpp"

namespace backstitch::test {

/// What the tools promise of definitions with and without a fault.
inline void require_that_tools_see(const Campaign& campaign) {
  MESSAGE("\n" << campaign.table());
  for (const auto& one : campaign.unreported()) MESSAGE(one);
  for (const auto& one : campaign.unclean()) MESSAGE(one);
  const Tally all = campaign.total();
  CHECK(all.reported * 100 >= all.counted * 95);
  CHECK(all.not_complete * 100 <= all.counted * 5);
  CHECK(all.missed == 0);
  CHECK(campaign.originals_with_errors() == 0);
  CHECK(campaign.originals_with_other_ends() == 0);
  CHECK(campaign.originals_complete() * 100 >= campaign.originals() * 95);
  CHECK(campaign.unclean().size() * 100 <= campaign.originals() * 5);  // violations count, too
}

}  // namespace backstitch::test
