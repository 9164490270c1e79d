#pragma once
/// What the fuzz targets share. A target is one source file that defines look_at; entry.cpp gives
/// it to libFuzzer, replay.cpp runs it over its corpus as a test.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include <backstitch/base/result.hpp>
#include <backstitch/dsl/finding.hpp>

namespace backstitch::fuzz {

/// Returns if every property holds for this input; defined by the target.
void look_at(std::string_view input);

/// Ends the process with a sentence if a property does not hold: a fuzzer counts that as a crash.
void require(bool holds, std::string_view sentence, std::string_view shown = {});

bool is_utf8(std::string_view text);
/// RFC 6901: empty, or parts behind slashes, with `~` only as `~0` and `~1`.
bool is_pointer(std::string_view pointer);
/// Whether the pointer or the one above it names something in the document: what is missing is
/// reported where it should stand.
bool names_a_place(const Json& document, std::string_view pointer);

/// Text, cut at the first line breaks: `parts` pieces, the last with everything that is left.
std::vector<std::string_view> lines(std::string_view text, std::size_t parts);

/// Everything a reader may rely on in findings about `text`; `document` is null if it is no JSON.
void require_sound(const std::vector<dsl::Finding>& findings, std::string_view text,
                   const Json* document);
/// What every error that is shown to somebody keeps to.
void require_sound(const Error& error);
/// The database can keep the value: its text is JSON that the gate lets through and that means the
/// same.
void require_storable(const Json& value);

}  // namespace backstitch::fuzz
