-- Takes from all buckets and a slot in all rooms, or nothing.
--
-- KEYS the replicas, the buckets, the rooms. ARGV who asks, how long a replica lives without a beat, how many
-- buckets; for each bucket its limit and the amount; for each room its limit, and this replica's count with
-- its number. Gives the place of what makes it wait longest, 0 for none; the milliseconds to wait; and of
-- each bucket the whole units left and the milliseconds until it is full.
local buckets = tonumber(ARGV[3])
local index, wait, at = 0, 0, 4
local levels, counts = {}, {}
for place = 1, buckets do
  local limit, amount = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  at = at + 2
  local drops = read(KEYS[1 + place], limit)
  local missing = time_for(math.min(amount, limit) * PER - drops, limit)
  if missing > wait then index, wait = place, missing end
  levels[place] = {limit = limit, amount = amount, drops = drops}
end
for place = buckets + 1, #KEYS - 1 do
  local key, limit = KEYS[1 + place], tonumber(ARGV[at])
  local number, count = later(key, tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]))
  at = at + 3
  if index == 0 and taken_by_others(key) + count > limit then index = place end
  counts[place] = {number = number, count = count}
end
if index == 0 then
  for place, level in ipairs(levels) do
    level.drops = level.drops - level.amount * PER
    write(KEYS[1 + place], level.limit, level.drops)
  end
  for place = buckets + 1, #KEYS - 1 do
    store(KEYS[1 + place], counts[place].number, counts[place].count)
  end
end
local answer = {index, wait}
for _, level in ipairs(levels) do
  answer[#answer + 1] = math.floor(math.max(level.drops, 0) / PER)
  answer[#answer + 1] = time_for(level.limit * PER - level.drops, level.limit)
end
return answer
