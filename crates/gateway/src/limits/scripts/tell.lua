-- Says that a replica lives, and what it has to tell: once, however often it is sent.
--
-- KEYS the replicas, the number of the last batch, the buckets, the rooms. ARGV who tells, how long a replica
-- lives without a beat, the number of the batch, how many buckets; for each bucket its limit, what is
-- charged, what is charged as far as it is there, what is credited; for each room this replica's count, after
-- its number. Gives how many replicas live, and whether this one was known to.
local batch, buckets, at = tonumber(ARGV[3]), tonumber(ARGV[4]), 5
local known = is_living(me)
redis.call('ZADD', KEYS[1], now, me)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('(%.0f', now - life))
redis.call('PEXPIRE', KEYS[1], DAY)

local is_new = batch > tonumber(redis.call('GET', KEYS[2]) or '0')
if is_new and buckets > 0 then redis.call('SET', KEYS[2], ARGV[3], 'PX', DAY) end
for place = 1, buckets do
  local key, limit = KEYS[2 + place], tonumber(ARGV[at])
  local charged, noted, credited = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  at = at + 4
  if is_new then
    local drops = read(key, limit) - charged * PER
    drops = math.max(drops - noted * PER, math.min(drops, 0))
    write(key, limit, math.min(drops + credited * PER, limit * PER))
  end
end
for place = buckets + 1, #KEYS - 2 do
  local key, told = KEYS[2 + place], tonumber(ARGV[at])
  local number, count = later(key, told, tonumber(ARGV[at + 1]))
  at = at + 2
  if number == told then store(key, number, count) end
end
return {redis.call('ZCARD', KEYS[1]), known and 1 or 0}
