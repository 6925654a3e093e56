// Exit codes of gunid and gunictl: the contract with shells, service managers and scripts.
#pragma once

namespace gunid {

// gunid: the codes of Gunicorn's arbiter. kBootError and kAppLoadError end the server only at its
// first start; a server that has once served never exits because new code is bad.
namespace exit_code {
inline constexpr int kOk = 0;  // stopped by a signal or by `gunictl stop`
inline constexpr int kConfig =
    1;  // bad configuration, or the system refused (port in use, no permission)
inline constexpr int kUsage = 2;  // unknown flag or bad value on the command line
inline constexpr int kBootError =
    3;  // a worker died, or the application raised, while it was being imported
inline constexpr int kAppLoadError =
    4;  // the module has no such callable, or the factory call failed
}  // namespace exit_code

// gunictl.
namespace ctl_exit {
inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;         // the server refused the operation, or it failed
inline constexpr int kUsage = 2;          // bad command line
inline constexpr int kCannotConnect = 3;  // no server behind the socket
inline constexpr int kTimedOut = 4;       // no answer within --timeout
}  // namespace ctl_exit

}  // namespace gunid
