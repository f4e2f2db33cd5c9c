-- The tokens of the load in turn, from requests made beforehand; at the end one line of JSON.
local tokens, made, turn = {}, {}, 0
for token in os.getenv("LOAD_TOKENS"):gmatch("%S+") do tokens[#tokens + 1] = token end

function init()
    for number, token in ipairs(tokens) do
        wrk.headers["X-Auth-Token"] = token
        made[number] = wrk.format()
    end
end

-- With one token wrk repeats its request by itself, which costs the load less.
if #tokens > 1 then
    function request()
        turn = turn % #made + 1
        return made[turn]
    end
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        '{"requests": %d, "microseconds": %d, "bytes": %d, "refused": %d, "failed": %d, "p50": %.1f, "p99": %.1f}\n',
        summary.requests, summary.duration, summary.bytes, errors.status,
        errors.connect + errors.read + errors.write + errors.timeout, latency:percentile(50), latency:percentile(99)))
end
