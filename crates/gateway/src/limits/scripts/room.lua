-- A room says for each replica how many slots it has taken: 'number count', where of two counts the one with
-- the higher number is later, in whatever order they arrive.
local DAY = 24 * 3600 * 1000
local me, life = ARGV[1], tonumber(ARGV[2])

local function parse(text)
  local number, count = string.match(text or '', '^(%d+) (%d+)$')
  return tonumber(number) or 0, tonumber(count) or 0
end

local function is_living(replica)
  local beat = redis.call('ZSCORE', KEYS[1], replica)
  return beat and tonumber(beat) + life >= now
end

-- What others have taken. Those that have died have taken nothing.
local function taken_by_others(key)
  local taken, held = 0, redis.call('HGETALL', key)
  for at = 1, #held, 2 do
    if held[at] ~= me then
      local _, count = parse(held[at + 1])
      if is_living(held[at]) then taken = taken + count else redis.call('HDEL', key, held[at]) end
    end
  end
  return taken
end

-- What this replica has taken, by the later of what is known and what it says.
local function later(key, number, count)
  local known, before = parse(redis.call('HGET', key, me))
  if known > number then return known, before end
  return number, count
end

local function store(key, number, count)
  redis.call('HSET', key, me, string.format('%.0f %.0f', number, count))
  redis.call('PEXPIRE', key, DAY)
end
