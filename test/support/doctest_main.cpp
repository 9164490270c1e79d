#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>

namespace {

/// Names each case as it begins, for a runner that limits the time without progress. Silent unless
/// BACKSTITCH_TEST_PROGRESS is set.
class Progress final : public doctest::IReporter {
 public:
  explicit Progress(const doctest::ContextOptions&) {}
  void test_case_start(const doctest::TestCaseData& test) override { print("case", test.m_name); }
  void subcase_start(const doctest::SubcaseSignature& subcase) override {
    print("  subcase", subcase.m_name.c_str());
  }

  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats&) override {}
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_end(const doctest::CurrentTestCaseStats&) override {}
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}

 private:
  void print(const char* what, const char* name) const {
    if (is_enabled_) std::fprintf(stderr, "%s: %s\n", what, name);
  }

  const bool is_enabled_ = std::getenv("BACKSTITCH_TEST_PROGRESS") != nullptr;
};

}  // namespace

REGISTER_LISTENER("progress", 1, Progress);
