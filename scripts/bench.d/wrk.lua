-- Sends one request body, or several in turn, over and over, and prints what wrk counted as one line of JSON.
-- BENCH_BODY: file of the bodies, one a line. BENCH_REPLY_BYTES: the reply's length, checked on every reply if given.
-- BENCH_FRAMES: each reply must be a stream of so many data frames and [DONE].
-- The checks cost the generator time, so the measured rounds leave them out; the warm-up before has them,
-- with a thread for each connection: wrk itself never tells of a request that is not answered at all, so
-- a thread that has had no answer for STALLED_SECONDS at the end is counted as stalled.

local ffi = require("ffi")
ffi.cdef("typedef struct { long s; long ns; } bench_time; int clock_gettime(int, bench_time *);")
local clock = ffi.new("bench_time")
local STALLED_SECONDS = 0.6

local function now()
  ffi.C.clock_gettime(1, clock) -- CLOCK_MONOTONIC
  return tonumber(clock.s) + tonumber(clock.ns) / 1e9
end

local function slurp(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

wrk.method = "POST"
wrk.body = slurp(os.getenv("BENCH_BODY"))
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer bench"

-- One body is left to wrk itself, which then prepares its request once and does not call us.
if wrk.body:find("\n") then
  local prepared, last = {}, 0

  function init()
    for body in wrk.body:gmatch("[^\n]+") do
      prepared[#prepared + 1] = wrk.format(nil, nil, nil, body)
    end
  end

  function request()
    last = last % #prepared + 1
    return prepared[last]
  end
end

local reply_bytes = tonumber(os.getenv("BENCH_REPLY_BYTES") or "")
local frames = tonumber(os.getenv("BENCH_FRAMES") or "")

-- Global: wrk reads them from each thread at the end.
wrong = 0
answered = 0

if reply_bytes or frames then
  function response(status, headers, body)
    local right = status == 200
    if reply_bytes then right = right and #body == reply_bytes end
    if frames then
      local _, found = body:gsub("data: {", "")
      right = right and found == frames and body:sub(-14) == "data: [DONE]\n\n"
    end
    if not right then wrong = wrong + 1 end
    answered = now()
  end
end

-- The percentile in microseconds, interpolated within wrk's own buckets of one microsecond: at one
-- connection a proxy adds some ten, and whole steps of one would be a tenth of that.
local function percentile(latency, share)
  local total, below = 0, 0
  for i = 1, #latency do
    local _, count = latency(i)
    total = total + count
  end
  local rank = total * share
  for i = 1, #latency do
    local value, count = latency(i)
    if below + count >= rank then return value + (rank - below) / count end
    below = below + count
  end
  return latency.max
end

local threads = {}

function setup(thread)
  threads[#threads + 1] = thread
end

function done(summary, latency, requests)
  local wrong_total, stalled, ended = 0, 0, now()
  for _, thread in ipairs(threads) do
    wrong_total = wrong_total + thread:get("wrong")
    if response and ended - thread:get("answered") > STALLED_SECONDS then stalled = stalled + 1 end
  end
  local e = summary.errors
  io.write(string.format(
    '\n@{"requests":%d,"seconds":%.6f,"bytes":%d,"p50_us":%.2f,"p90_us":%.2f,"p99_us":%.2f,"p999_us":%.2f,"mean_us":%.2f,' ..
    '"errors":{"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d,"wrong":%d,"stalled":%d}}\n',
    summary.requests, summary.duration / 1e6, summary.bytes, percentile(latency, 0.5), percentile(latency, 0.9),
    percentile(latency, 0.99), percentile(latency, 0.999), latency.mean,
    e.connect, e.read, e.write, e.status, e.timeout, wrong_total, stalled))
end
