// Waits for the end of a job whose command is answered before it has ended: an upgrade cuts every
// connection to the server. Blocking.
#pragma once

#include <functional>
#include <optional>

#include "ctl/control_client.h"
#include "gunid/command.h"

namespace gunid {

// `first`: the answer to the command. Asks for its job, by `ask`, until that has ended, or the server
// has been away for longer than any upgrade takes, or the time is over. Returns the last answer, of
// `first` or of the job (a JobReport).
Reply FollowJob(const Reply& first, std::optional<double> timeout_s,
                const std::function<Reply(const Command&)>& ask);

}  // namespace gunid
