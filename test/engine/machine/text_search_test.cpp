// Many texts are found in one pass, whatever they are: compared with the plain way, and timed by
// the work that the worst of texts make.
#include "../../../engine/machine/text_search.hpp"

#include <ctime>

#include <doctest/doctest.h>

#include "../../support/dice.hpp"

using namespace backstitch;
using namespace backstitch::test;

namespace {

std::string plainly_masked(const std::vector<std::string>& texts, const std::string& text) {
  std::vector<bool> covered(text.size());
  std::vector<bool> joined(text.size());  ///< with the byte before
  for (const auto& one : texts) {
    for (auto at = text.find(one); at != std::string::npos; at = text.find(one, at + 1)) {
      for (std::size_t i = at; i < at + one.size(); ++i) {
        covered[i] = true;
        joined[i] = joined[i] || i > at;
      }
    }
  }
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!covered[i]) out += text[i];
    if (covered[i] && !joined[i]) out += "***";
  }
  return out;
}

std::string random_text(Dice& dice, std::size_t length) {
  std::string text;
  for (std::size_t i = 0; i < length; ++i) text += dice.pick({'a', 'b', 'c'});
  return text;
}

double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

}  // namespace

TEST_CASE("a search masks what any of its texts covers, as the plain way does") {
  Dice dice(7);
  for (int round = 0; round < 2'000; ++round) {
    std::vector<std::string> texts;
    for (std::size_t i = 0; i < dice.between(1, 6); ++i)
      texts.push_back(random_text(dice, dice.between(1, 6)));
    const std::string text = random_text(dice, dice.between(0, 40));
    CAPTURE(text);
    CHECK(engine::TextSearch(texts).masked(text, "***") == plainly_masked(texts, text));
  }
}

TEST_CASE("neighbours stay two, and what overlaps becomes one") {
  const engine::TextSearch search({"aaaa", "bbbb", "abcd", "cdef"});
  CHECK(search.masked("xaaaabbbbx", "***") == "x******x");
  CHECK(search.masked("xabcdefx", "***") == "x***x");
  CHECK(search.masked("nothing", "***") == "nothing");
}

TEST_CASE("the time of a search does not grow with the number of its texts") {
  std::vector<std::string> texts;
  for (int i = 0; i < 20'000; ++i) texts.push_back("aaaa" + std::to_string(100'000 + i));
  const double began = cpu_seconds();
  const engine::TextSearch search(std::move(texts));
  const std::string text(2'000'000, 'a');
  CHECK(search.masked(text, "***") == text);
  // Trying each at each place took minutes.
  CHECK(cpu_seconds() - began < 5);
}
