-- For wrk: what came of the run, as one line of JSON; and on request bodies or pipelined requests.
--   wrk -s report.lua URL -- PIPELINED BODY_BYTES

function init(arguments)
  local pipelined = tonumber(arguments[1]) or 1
  local body_bytes = tonumber(arguments[2]) or 0
  if body_bytes > 0 then
    wrk.method = "POST"
    wrk.body = string.rep("x", body_bytes)
    wrk.headers["Content-Type"] = "application/octet-stream"
  end
  if pipelined > 1 then
    local requests = string.rep(wrk.format(), pipelined)
    request = function() return requests end
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    'report {"requests": %d, "bytes": %d, "duration_us": %d, "p50_us": %d, "p99_us": %d, ' ..
    '"connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}\n',
    summary.requests, summary.bytes, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
