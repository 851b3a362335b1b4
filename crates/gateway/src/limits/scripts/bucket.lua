-- The arithmetic of guard::quota, by the millisecond and the minute: a unit is PER drops, and as many drops
-- as the limit is flow in every millisecond. So all numbers are whole, and below 2^53 they are exact.
local PER = 60000
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

-- The drops in a bucket. One that is not there is full.
local function read(key, limit)
  local drops, at = string.match(redis.call('GET', key) or '', '^(%-?%d+) (%d+)$')
  if not drops then return limit * PER end
  -- A clock that went backwards brings nothing.
  local gone = math.max(now - tonumber(at), 0)
  return math.min(tonumber(drops) + gone * limit, limit * PER)
end

-- How long until so many drops have flowed in.
local function time_for(drops, limit)
  return math.max(math.ceil(drops / limit), 0)
end

local function write(key, limit, drops)
  local reset = time_for(limit * PER - drops, limit)
  if reset == 0 then return redis.call('DEL', key) end
  redis.call('SET', key, string.format('%.0f %.0f', drops, now), 'PX', string.format('%.0f', reset + 1000))
end
