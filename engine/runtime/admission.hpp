#pragma once
/// The one gate for what is sent to sagas. REST, C++, batches, SQL and other nodes all come through
/// it, so what a saga may hold is the same for each of them; docs/language.md has it under Limits.
#include <backstitch/base/result.hpp>
#include <backstitch/engine/machine/stimulus.hpp>
#include <backstitch/engine/runtime/engine.hpp>

namespace backstitch::engine {

struct InboxItem;

/// Gives the input its canonical form.
/// @return invalid/start-invalid with a detail for what is wrong, or the JSON gate's own reasons
std::optional<Error> admit_start(StartRequest& request);
/// @return invalid/command-invalid, or the JSON gate's own reasons
Result<StimulusBody> admit_command(StimulusBody command);
std::optional<Error> key_flaw(const std::string& idempotency_key);

/// A start as SQL wrote it down: the version was chosen then, whether it was asked for or not.
struct WrittenStart {
  StartRequest request;
  std::int64_t version = 0;
};
/// What is known of a start in the inbox even if its data cannot be read: what it is of.
WrittenStart named_start(const InboxItem& item);
/// Of an inbox's item, which whoever may write the table may have written.
Result<WrittenStart> read_start(const InboxItem& item);
/// What SQL was promised before it was looked at: as read_start, without judging the values.
Result<WrittenStart> read_promised_start(const InboxItem& item);
/// With the key that it came under; see Engine::command.
struct ReadCommand {
  StimulusBody body;
  std::string idempotency_key;
};
Result<ReadCommand> read_command(const InboxItem& item);

/// Of a saga whose start was promised and cannot be kept: a code of the engine, and as details what
/// REST would have said, {"errors": [{"pointer", "code", "message"}]}.
Failure failure_of_start(const Error& error);
/// The same of a start that cannot be read or stored: INPUT_INVALID, and in the details also its
/// size and the reason.
Failure failure_of_unreadable_start(const InboxItem& item, const Error& why);

}  // namespace backstitch::engine
