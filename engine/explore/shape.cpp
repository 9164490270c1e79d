#include "shape.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

#include <backstitch/base/json_text.hpp>
#include <backstitch/dsl/number.hpp>
#include <backstitch/dsl/payload_schema.hpp>

#include "pattern_text.hpp"

namespace backstitch::engine::explore {
namespace {

/// One choice for a member; unset: it is absent.
using Choice = std::optional<Json>;

/// What stands for all values as far as they are told apart; and more that may take a condition on
/// what is calculated of several to its other arm. These are tried as far as there is room.
struct Choices {
  std::vector<Json> needed;
  std::vector<Json> wanted;

  std::vector<Json> all() const {
    std::vector<Json> values = needed;
    values.insert(values.end(), wanted.begin(), wanted.end());
    return values;
  }
};

const Json& none() {
  static const Json nothing;
  return nothing;
}

const Json& in_schema(const Json& schema, const char* keyword) {
  if (!schema.is_object()) return none();
  const auto found = schema.find(keyword);
  return found == schema.end() ? none() : *found;
}

std::string type_of(const Shape& shape, const Json& schema) {
  const Json& type = in_schema(schema, "type");
  if (type.is_string()) return type.get<std::string>();
  if (type.is_array()) {
    for (const auto& one : type) {
      if (one.is_string() && one != "null") return one.get<std::string>();
    }
  }
  if (schema.is_object() && schema.contains("properties")) return "object";
  // A length, too, is asked of texts.
  if (shape.text && !shape.looped && !shape.items) return "string";
  if (shape.list || shape.looped) return "array";
  if (shape.object) return "object";
  if (shape.number || shape.divisor) return "number";
  if (shape.boolean) return "boolean";
  for (const auto& constant : shape.compared) {
    if (constant.is_number()) return "number";
    if (constant.is_boolean()) return "boolean";
    if (constant.is_string()) return "string";
  }
  return "string";
}

const Json& bound(const Json& schema, const char* keyword) {
  const Json& value = in_schema(schema, keyword);
  return value.is_number() ? value : none();
}

std::size_t count_or(const Json& schema, const char* keyword, std::size_t other) {
  const Json& value = in_schema(schema, keyword);
  return value.is_number_integer() ? value.get<std::size_t>() : other;
}

Json canonical(Json value) {
  return value.is_number_float() ? dsl::number(value.get<double>()) : value;
}

/// One more or one less, as far as there is.
void add_near(std::vector<Json>& values, const Json& constant) {
  if (!constant.is_number_integer()) {
    values.emplace_back(constant.get<double>() + 0.5);
    values.emplace_back(constant.get<double>() - 0.5);
    return;
  }
  const auto number = constant.get<std::int64_t>();
  if (number < INT64_MAX) values.emplace_back(number + 1);
  if (number > INT64_MIN) values.emplace_back(number - 1);
}

/// Numbers that lie between two bounds, the plainest first.
std::vector<Json> plain_numbers(const Json& schema) {
  std::vector<Json> values{1};
  const Json* bounds[] = {&bound(schema, "minimum"), &bound(schema, "exclusiveMinimum"),
                          &bound(schema, "maximum"), &bound(schema, "exclusiveMaximum")};
  for (const auto* one : bounds) {
    if (one->is_null()) continue;
    values.push_back(*one);
    add_near(values, *one);
    if (one->is_number_float()) values.emplace_back(std::ceil(one->get<double>()));
  }
  const Json& low = bounds[0]->is_null() ? *bounds[1] : *bounds[0];
  const Json& high = bounds[2]->is_null() ? *bounds[3] : *bounds[2];
  if (!low.is_null() && !high.is_null())
    values.emplace_back(low.get<double>() / 2 + high.get<double>() / 2);
  values.emplace_back(0);
  for (auto& value : values) value = canonical(std::move(value));
  return values;
}

/// Texts that stand for any: the name, so that a story can be read, where the schema lets it.
std::vector<Json> plain_texts(const Json& schema, const std::string& name) {
  const std::size_t least = count_or(schema, "minLength", 0);
  const std::size_t most = count_or(schema, "maxLength", 1'000);
  std::string text = name.empty() ? "text" : name;
  while (text.size() < least) text += "x";
  std::vector<Json> values{text.substr(0, most)};
  const Json& format = in_schema(schema, "format");
  if (format == "date") values = {"2026-03-01", "2026-03-02"};
  if (format == "date-time") values = {"2026-03-01T12:00:00Z", "2026-03-02T12:00:00Z"};
  if (format == "uuid")
    values = {"0190a0a0-0000-7000-8000-000000000000", "0190a0a0-0000-7000-8000-000000000001"};
  if (const Json& pattern = in_schema(schema, "pattern"); pattern.is_string()) {
    for (auto& one : texts_of_pattern(pattern.get_ref<const std::string&>(), most))
      values.emplace_back(std::move(one));
  }
  return values;
}

class Chooser {
 public:
  Chooser(std::size_t most, bool& cut) : most_(most), cut_(cut) {}

  Choices choose(const Shape& shape, const Json& schema, const std::string& name) {
    Choices choices = choose_any(shape, schema, name);
    const bool null = schema.is_null() ? shape.null : may_be_null(schema);
    if (null && choices.needed.front() != nullptr) choices.needed.emplace_back(nullptr);
    choices.needed = admitted(schema, std::move(choices.needed));
    choices.wanted = admitted(schema, std::move(choices.wanted));
    std::erase_if(choices.wanted, [&](const Json& value) {
      return std::find(choices.needed.begin(), choices.needed.end(), value) != choices.needed.end();
    });
    return choices;
  }

 private:
  static bool may_be_null(const Json& schema) {
    const Json& type = in_schema(schema, "type");
    return type.is_array() && std::find(type.begin(), type.end(), Json("null")) != type.end();
  }

  /// Without those that the schema does not admit, unless it admits none, and without repetitions.
  std::vector<Json> admitted(const Json& schema, std::vector<Json> values) {
    std::shared_ptr<const dsl::PayloadSchema> compiled;
    if (schema.is_object()) dsl::PayloadSchema::compile(schema, "", compiled);
    std::vector<Json> out;
    for (auto& value : values) {
      const bool known = std::find(out.begin(), out.end(), value) != out.end();
      if (!known && (!compiled || compiled->validate(value).empty())) out.push_back(value);
    }
    if (out.empty() && !values.empty()) out.push_back(std::move(values.front()));
    return out;
  }

  Choices choose_any(const Shape& shape, const Json& schema, const std::string& name) {
    if (const Json& constant = in_schema(schema, "const"); !constant.is_null())
      return {{constant}, {}};
    if (const Json& choices = in_schema(schema, "enum"); choices.is_array() && !choices.empty()) {
      const bool told_apart = !shape.compared.empty() || !shape.hints.empty() || shape.with_other;
      if (told_apart) return {choices.get<std::vector<Json>>(), {}};
      return {{choices.front()}, {}};
    }
    const std::string type = type_of(shape, schema);
    if (type == "object") return objects(shape, schema);
    if (type == "array") return lists(shape, schema, name);
    if (type == "boolean") {
      const bool told_apart = shape.boolean || !shape.compared.empty() || shape.with_other;
      if (told_apart) return {{true, false}, {}};
      return {{true}, {}};
    }
    if (type == "integer" || type == "number") return numbers(shape, schema);
    if (type == "null") return {{nullptr}, {}};
    return texts(shape, schema, name);
  }

  Choices numbers(const Shape& shape, const Json& schema) {
    Choices choices{{admitted(schema, plain_numbers(schema)).front()}, {}};
    for (const auto& constant : shape.compared) {
      if (!constant.is_number()) continue;
      choices.needed.push_back(constant);
      std::vector<Json> near;
      add_near(near, constant);
      if (!shape.ordered) near.resize(1);
      choices.needed.insert(choices.needed.end(), near.begin(), near.end());
    }
    if (shape.divisor) choices.needed.emplace_back(0);
    if (shape.with_other) add_near(choices.wanted, choices.needed.front());
    for (const auto& constant : shape.hints) {
      if (!constant.is_number()) continue;
      choices.wanted.push_back(constant);
      add_near(choices.wanted, constant);
    }
    for (auto* values : {&choices.needed, &choices.wanted}) {
      for (auto& value : *values) value = canonical(std::move(value));
    }
    return choices;
  }

  Choices texts(const Shape& shape, const Json& schema, const std::string& name) {
    std::vector<Json> plain = plain_texts(schema, name);
    if (shape.duration) plain.insert(plain.begin(), "10s");
    Choices choices;
    if (shape.time) {
      choices.needed =
          admitted(schema, in_schema(schema, "format") == "date"
                               ? std::vector<Json>{"2001-01-01", "2999-01-01"}
                               : std::vector<Json>{"2001-01-01T00:00:00Z", "2999-01-01T00:00:00Z"});
      plain.insert(plain.begin(), choices.needed.begin(), choices.needed.end());
    }
    plain = admitted(schema, std::move(plain));
    if (choices.needed.empty()) choices.needed.push_back(plain.front());
    for (const auto& constant : shape.compared) choices.needed.push_back(as_text(constant));
    if (shape.with_other) {
      choices.wanted = {"same"};
      if (plain.size() > 1) choices.wanted.push_back(plain[1]);
    }
    for (const auto& constant : shape.hints)
      if (!shape.time && !shape.duration) choices.wanted.push_back(as_text(constant));
    for (const std::size_t length : shape.lengths)
      choices.wanted.emplace_back(std::string(length, 'x'));
    return choices;
  }
  static Json as_text(const Json& constant) {
    return constant.is_string() ? constant : Json(json_text(constant));
  }

  struct Member {
    std::string name;
    std::vector<Choice> choices;
    std::size_t needed = 0;  ///< of the choices, the first
  };

  Choices objects(const Shape& shape, const Json& schema) {
    const Json& properties = in_schema(schema, "properties");
    const Json& required = in_schema(schema, "required");
    std::vector<Member> members;
    const auto add = [&](const std::string& name, const Shape& inner, bool may_miss) {
      const Json& described =
          properties.is_object() && properties.contains(name) ? properties[name] : none();
      const Choices choices = choose(inner, described, name);
      Member member{name, {choices.needed.begin(), choices.needed.end()}, 0};
      if (may_miss) member.choices.emplace_back(std::nullopt);
      member.needed = member.choices.size();
      member.choices.insert(member.choices.end(), choices.wanted.begin(), choices.wanted.end());
      members.push_back(std::move(member));
    };
    const auto is_required = [&](const std::string& name) {
      return required.is_array() &&
             std::find(required.begin(), required.end(), Json(name)) != required.end();
    };
    for (const auto& [name, inner] : shape.members) {
      const bool published = properties.is_object() && properties.contains(name);
      add(name, inner, published ? !is_required(name) : inner.may_miss);
    }
    if (required.is_array()) {
      for (const auto& name : required) {
        if (shape.members.count(name.get<std::string>()) == 0)
          add(name.get<std::string>(), Shape{}, false);
      }
    }
    return combined(members);
  }

  /// Every combination of what is needed; of all choices as many as there is room for.
  Choices combined(const std::vector<Member>& members) {
    const auto needed = [](const Member& member) { return member.needed; };
    const auto all = [](const Member& member) { return member.choices.size(); };
    Choices out;
    if (product(members, needed) > most_) {
      cut_ = true;
      out.needed = one_by_one(members);
      return out;
    }
    for (std::size_t i = 0; i < product(members, needed); ++i)
      out.needed.push_back(combination(members, i, needed));
    const std::size_t of_all = product(members, all);
    for (std::size_t i = 0; i < std::min(of_all, most_); ++i) {
      // Far more than there is room for: spread over them, the same each time.
      const std::size_t at = of_all <= most_ ? i : i * 0x9E3779B97F4A7C15ULL % of_all;
      out.wanted.push_back(combination(members, at, all));
    }
    return out;
  }

  template <class Count>
  std::size_t product(const std::vector<Member>& members, const Count& count) const {
    constexpr std::size_t counted_max = 1'000'000'000;
    std::size_t product = 1;
    for (const auto& member : members) product = std::min(counted_max, product * count(member));
    return product;
  }

  template <class Count>
  static Json combination(const std::vector<Member>& members, std::size_t at, const Count& count) {
    Json value = Json::object();
    for (const auto& member : members) {
      const Choice& choice = member.choices[at % count(member)];
      at /= count(member);
      if (choice) value[member.name] = *choice;
    }
    return value;
  }

  /// Each choice at least once, beside what is plain.
  static std::vector<Json> one_by_one(const std::vector<Member>& members) {
    const auto all = [](const Member& member) { return member.choices.size(); };
    const Json plain = combination(members, 0, all);
    std::vector<Json> values{plain};
    for (const auto& member : members) {
      for (std::size_t i = 1; i < member.choices.size(); ++i) {
        Json other = plain;
        other.erase(member.name);
        if (member.choices[i]) other[member.name] = *member.choices[i];
        values.push_back(std::move(other));
      }
    }
    return values;
  }

  Choices lists(const Shape& shape, const Json& schema, const std::string& name) {
    std::vector<std::size_t> lengths{2};
    if (shape.looped) lengths = {2, 1, 0};
    if (shape.list && !shape.looped) lengths = {2, 0};
    const Shape unknown;
    const Json& described = in_schema(schema, "items");
    const Choices items = choose(shape.items ? *shape.items : unknown, described, name);
    Choices choices;
    for (const std::size_t length : lengths) {
      const Json list = list_of(items.needed.front(), schema, length);
      choices.needed.push_back(list);
      vary(list, {items.needed.begin() + 1, items.needed.end()}, described, choices.needed);
      vary(list, items.wanted, described, choices.wanted);
    }
    for (const std::size_t length : shape.lengths)
      choices.wanted.push_back(list_of(items.needed.front(), schema, length));
    return choices;
  }

  Json list_of(const Json& plain, const Json& schema, std::size_t length) {
    const std::size_t least = count_or(schema, "minItems", 0);
    const std::size_t most = count_or(schema, "maxItems", 1'000);
    const std::size_t size = std::clamp(length, least, std::max(least, most));
    return different_items(plain, in_schema(schema, "items"), size);
  }

  /// One item at a time shows what is different about it.
  void vary(const Json& list, const std::vector<Json>& others, const Json& schema,
            std::vector<Json>& out) {
    if (list.empty()) return;
    for (const auto& other : others) {
      Json varied = list;
      const Json item = numbered(other, 1);
      varied[0] = admitted(schema, {item, other}).front() == item ? item : other;
      out.push_back(std::move(varied));
    }
  }

  /// Items differ where they can, so that keys made of them do.
  Json different_items(const Json& plain, const Json& schema, std::size_t size) {
    Json list = Json::array();
    const auto add = [&](const Json& item) {
      if (list.size() < size && std::find(list.begin(), list.end(), item) == list.end())
        list.push_back(item);
    };
    for (std::size_t i = 0; i < size; ++i) {
      const Json item = numbered(plain, i + 1);
      if (admitted(schema, {item, plain}).front() == item) add(item);
    }
    Json choices = in_schema(schema, "enum");
    if (in_schema(schema, "type") == "boolean") choices = {true, false};
    if (choices.is_array()) std::for_each(choices.begin(), choices.end(), add);
    if (const Json& pattern = in_schema(schema, "pattern"); pattern.is_string()) {
      const auto texts = texts_of_pattern(pattern.get_ref<const std::string&>(), 1'000);
      for (const auto& text : admitted(schema, {texts.begin(), texts.end()})) add(text);
    }
    while (list.size() < size) list.push_back(plain);
    return list;
  }

  /// The n-th of several that are alike.
  static Json numbered(Json value, std::size_t number) {
    if (value.is_object()) {
      for (auto& [name, member] : value.items()) {
        if (member.is_string() && member == name) member = name + "-" + std::to_string(number);
      }
    } else if (value.is_string()) {
      value = value.get<std::string>() + "-" + std::to_string(number);
    } else if (value.is_number_integer()) {
      value = value.get<std::int64_t>() + static_cast<std::int64_t>(number) - 1;
    }
    return value;
  }

  std::size_t most_;
  bool& cut_;
};

}  // namespace

Shape& Shape::member(const std::string& name) {
  object = true;
  return members[name];
}

Shape& Shape::item() {
  list = true;
  if (!items) items = std::make_shared<Shape>();
  return *items;
}

std::vector<Json> representatives(const Shape& shape, const Json& schema, const std::string& name,
                                  std::size_t most, bool& cut) {
  const Choices choices = Chooser(most, cut).choose(shape, schema, name);
  std::vector<Json> values = choices.all();
  values.resize(std::max(choices.needed.size(), std::min(values.size(), most)));
  return values;
}

}  // namespace backstitch::engine::explore
