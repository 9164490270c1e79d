/// A target without a fuzzer, as a test of a second: everything that is given as a file, every text
/// of a `.seeds` file, and some small changes to each. Equal arguments give equal runs.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>

#include "fuzz.hpp"

namespace {

constexpr std::size_t changes_all = 3'000;
constexpr std::size_t changes_of_one_max = 60;
constexpr std::string_view between = "\n---\n";

std::string read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  backstitch::fuzz::require(file.good(), "a corpus can be read", path.string());
  return {std::istreambuf_iterator<char>(file), {}};
}

void add(std::vector<std::string>& inputs, const std::filesystem::path& path) {
  if (std::filesystem::is_directory(path)) {
    std::vector<std::filesystem::path> inside;
    for (const auto& entry : std::filesystem::directory_iterator(path)) inside.push_back(entry);
    std::sort(inside.begin(), inside.end());
    for (const auto& one : inside) add(inputs, one);
    return;
  }
  std::string text = read(path);
  if (path.extension() != ".seeds") return inputs.push_back(std::move(text));
  for (std::size_t begin = 0; begin < text.size();) {
    const auto end = std::min(text.find(between, begin), text.size());
    inputs.push_back(text.substr(begin, end - begin));
    begin = end + between.size();
  }
}

/// What a fuzzer does first: cut off, cut out, doubled, spliced with another, a byte changed.
std::string changed(const std::string& input, const std::string& other, std::mt19937_64& random) {
  const auto below = [&](std::size_t most) { return most == 0 ? 0 : random() % most; };
  std::string out = input;
  const std::size_t at = below(out.size());
  const std::size_t length = 1 + below(std::min<std::size_t>(out.size() - at, 24));
  switch (below(5)) {
    case 0:
      out.resize(at);
      break;
    case 1:
      out.erase(at, length);
      break;
    case 2:
      out.insert(at, input.substr(at, length));
      break;
    case 3:
      out.insert(at, other.substr(below(other.size()), length));
      break;
    default:
      if (!out.empty()) out[at] = static_cast<char>(random());
  }
  return out;
}

}  // namespace

int main(int count, char** arguments) {
  std::vector<std::string> inputs;
  for (int i = 1; i < count; ++i) add(inputs, arguments[i]);
  backstitch::fuzz::require(!inputs.empty(), "there is something to look at");
  for (const auto& input : inputs) backstitch::fuzz::look_at(input);
  std::mt19937_64 random(17);
  const std::size_t changes = std::min(changes_of_one_max, changes_all / inputs.size());
  for (const auto& input : inputs) {
    for (std::size_t i = 0; i < changes; ++i)
      backstitch::fuzz::look_at(changed(input, inputs[random() % inputs.size()], random));
  }
  std::printf("%zu inputs, %zu changes of each\n", inputs.size(), changes);
  return 0;
}
