#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <backstitch/dsl/definition.hpp>
#include <backstitch/dsl/finding.hpp>
#include <backstitch/dsl/parse.hpp>

namespace backstitch::dsl {

/// What the checker may ask about the environment a definition is registered in. An unset function
/// means: nothing is known there, and the rules that need it are left out (`validate` on a file).
struct CheckContext {
  /// The registered service of that name; nullptr: none (E303).
  std::function<std::shared_ptr<const Service>(const std::string& name)> service;
  /// The registered definition (version 0: the active one); nullptr: none (E404).
  std::function<std::shared_ptr<const Definition>(const std::string& name, std::int64_t version)>
      definition;
  /// `definition` knows every one that may be called; unset: it knows some of them, and one that it
  /// does not know is no finding (`verify` on a few files).
  bool knows_every_definition = true;
  /// The hash under which that version is registered; empty: it is not (E004).
  std::function<std::string(const std::string& name, std::int64_t version)> registered_hash;
  /// Why a base URL may not be called here; empty: allowed (E303).
  std::function<std::string(const std::string& base_url)> refuse_url;
  /// Whether a secret of that name exists and is for the registered service (E303).
  std::function<bool(const std::string& secret, const std::string& service)> has_secret;
  /// Whether a local operation is registered (E306).
  std::function<bool(const std::string& service, const std::string& operation)> has_operation;
};

/// Every rule of the language beyond its grammar. Pure, thread-safe, linear in the size of the
/// definition. Lines are filled from `places`. Of a definition that was read only in part, `parsed`
/// is what was found then: what merely follows from it is not told again.
std::vector<Finding> check_definition(const Definition& definition, const SourceMap& places,
                                      const CheckContext& context = {},
                                      const std::vector<Finding>& parsed = {});

/// Every rule for a service that is registered by itself, beyond its grammar: those of a service
/// that is written within a definition. Only such a service has secrets.
/// @pre it was read without errors
std::vector<Finding> check_service(const ParsedService& parsed, const std::string& name,
                                   const CheckContext& context = {});
/// What a registered service would change for a definition that uses it under that name: the
/// compensations that rely on a success rule of the service, which does not reach them (W307).
std::vector<Finding> check_service_use(const Definition& definition, const std::string& name,
                                       const Service& service);

/// parse_definition and check_definition, with all findings of both. What `validate` and
/// registration use.
Parsed parse_and_check(std::string_view text, const CheckContext& context = {},
                       const DefinitionLimits& limits = {});

}  // namespace backstitch::dsl
