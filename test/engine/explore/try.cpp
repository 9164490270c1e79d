#include <chrono>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <nlohmann/json.hpp>
#include <backstitch/dsl/check.hpp>
#include <backstitch/engine/explore/explore.hpp>
#include <sys/resource.h>
using namespace backstitch;
int main(int argc, char** argv) {
  std::ifstream in(argv[1]); std::stringstream s; s << in.rdbuf();
  auto parsed = dsl::parse_and_check(s.str());
  for (auto& f : parsed.findings) std::printf("%s %s %s\n", f.code.c_str(), f.pointer.c_str(), f.message.c_str());
  if (!parsed.definition) return 1;
  engine::Program p{parsed.definition, std::make_shared<engine::ServiceMap>(), nullptr};
  engine::explore::Options o;
  if (argc > 2) o.states_max = std::stoul(argv[2]);
  auto t0 = std::chrono::steady_clock::now();
  auto r = engine::explore::explore(p, o);
  double sec = std::chrono::duration<double>(std::chrono::steady_clock::now() - t0).count();
  std::printf("%lu states %lu transitions complete=%d %.2fs %.1fus/transition\n", r.states, r.transitions, r.complete, sec, sec*1e6/double(r.transitions));
  for (auto& n : r.notes) std::printf("note: %s\n", n.c_str());
  for (auto& e : r.endings) {
    std::printf("%lu x %s %s\n", e.count, to_text(e.status), e.why.c_str());
    for (auto& l : e.story) std::printf("      %s\n", l.c_str());
  }
  for (auto& v : r.violations) { std::printf("VIOLATION %s %s\n", v.promise.c_str(), v.what.c_str()); for (auto& l : v.story) std::printf("      %s\n", l.c_str()); }
  rusage u; getrusage(RUSAGE_SELF, &u); std::printf("%ld MB\n", u.ru_maxrss/1024);
}
