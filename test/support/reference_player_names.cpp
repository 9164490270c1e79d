#include <algorithm>
#include <unordered_map>

#include <backstitch/dsl/expression.hpp>
#include <backstitch/dsl/template.hpp>

#include "reference_player_inside.hpp"

namespace backstitch::test {

class PlayedScope : public dsl::Scope {
 public:
  PlayedScope(const SagaPlayer& player, const PlayedFrame& frame, const PlayedNames& names)
      : player_(player), frame_(frame), names_(names) {}

  const Json* find(std::string_view name) const override {
    if (name == "input") return &player_.input_;
    if (name == "saga") return &player_.saga_;
    if (name == "self") return names_.self;
    if (name == "response") return names_.response;
    if (name == "signal") return names_.signal;
    for (const PlayedFrame* frame = &frame_; frame != nullptr; frame = frame->outer.get()) {
      if (name == "failure" && frame->failure) return &*frame->failure;
      const auto found = frame->variables.find(name);
      if (found != frame->variables.end()) return &found->second;
    }
    return nullptr;
  }
  const Json* step(std::string_view name) const override {
    for (const PlayedFrame* frame = &frame_; frame != nullptr; frame = frame->outer.get()) {
      const auto found = frame->steps.find(name);
      if (found != frame->steps.end()) return &found->second;
    }
    return nullptr;
  }
  const Json* step_output(std::string_view name) const override {
    const Json* whole = step(name);
    return whole == nullptr ? nullptr : &whole->at("output");
  }

 private:
  const SagaPlayer& player_;
  const PlayedFrame& frame_;
  const PlayedNames& names_;
};

namespace {

/// The same few sources are rendered in thousands of plays.
const dsl::Template* compiled(const Json& source, bool text) {
  thread_local std::unordered_map<std::string, std::optional<dsl::Template>> known;
  auto [at, fresh] = known.try_emplace((text ? "t" : "j") + source.dump());
  if (fresh) {
    auto made = text ? dsl::Template::compile_text(source.get<std::string>())
                     : dsl::Template::compile(source);
    if (made) at->second = std::move(*made);
  }
  return at->second ? &*at->second : nullptr;
}

bool has_proper_segments(const std::string& path, const std::string& skeleton) {
  if (std::count(path.begin(), path.end(), '/') !=
      std::count(skeleton.begin(), skeleton.end(), '/'))
    return false;
  const std::string closed = path + "/";
  return closed.find("//") == std::string::npos && closed.find("/../") == std::string::npos &&
         closed.find("/./") == std::string::npos;
}

}  // namespace

std::optional<Json> SagaPlayer::render(const Json& source, const PlayedFrame& frame,
                                       const PlayedNames& names) const {
  const auto* made = compiled(source, false);
  if (made == nullptr) return std::nullopt;
  dsl::Budget budget;
  auto value = made->render(PlayedScope(*this, frame, names), budget);
  if (!value) return std::nullopt;
  return std::move(*value);
}

std::optional<bool> SagaPlayer::holds(const Json& source, const PlayedFrame& frame,
                                      const PlayedNames& names) const {
  const auto value = render(source, frame, names);
  if (!value || !value->is_boolean()) return std::nullopt;
  return value->get<bool>();
}

bool SagaPlayer::renders_request(const Json& request, const PlayedFrame& frame,
                                 const PlayedNames& names) const {
  const std::string http = request["http"];
  const Json path = http.substr(http.find(' ') + 1);
  const auto* made = compiled(path, true);
  dsl::Budget budget;
  const auto text = made == nullptr ? Result<std::string>(Error{})
                                    : made->render_text(PlayedScope(*this, frame, names), budget);
  if (!text || !has_proper_segments(*text, made->skeleton())) return false;
  for (const char* part : {"query", "headers"}) {
    const Json fields = request.value(part, Json::object());
    for (const auto& [name, value] : fields.items()) {
      const auto rendered = render(value, frame, names);
      if (!rendered || rendered->is_structured()) return false;
    }
  }
  return !request.contains("body") || render(request["body"], frame, names).has_value();
}

std::optional<Duration> SagaPlayer::duration(const Json& source, const PlayedFrame& frame) const {
  const auto text = render(source, frame);
  if (!text || !text->is_string()) return std::nullopt;
  return parse_duration(text->get<std::string>());
}

PlayedFailure SagaPlayer::broken(const Json& step, const std::string& code) const {
  const std::string name = step["name"];
  world_.wrong.insert(name + " fails by itself: " + code);
  return {code, "failure", name, nullptr, false, true};
}

Json failure_to_json(const PlayedFailure& failure) {
  return {{"code", failure.code},
          {"class", failure.failure_class},
          {"message", "message"},
          {"step", failure.step.empty() ? Json(nullptr) : Json(failure.step)},
          {"details", failure.details}};
}

std::string without_iteration(const std::string& step) {
  return step.substr(0, step.find('['));
}

std::string method_of(const Json& request) {
  const std::string http = request["http"];
  return http.substr(0, http.find(' '));
}

std::string kind_of(const Json& step) {
  if (step.contains("kind")) return step["kind"];
  if (step.contains("compensation")) return "compensatable";
  const std::string method = method_of(step["action"]);
  return method == "GET" || method == "HEAD" ? "readonly" : "unmarked";
}

}  // namespace backstitch::test
