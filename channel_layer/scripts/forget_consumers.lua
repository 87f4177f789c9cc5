-- forget_consumers: deletes consumers of a shared channel that have nothing pending, so that processes leave none behind. Promise P11.
--
-- KEYS[1]  stream of the channel
-- ARGV[1]  consumer group
-- ARGV[2]  a process that has ended its reading, or nothing
-- ARGV[3]  how long another consumer has not read, in ms; if its process lives after all, its next read makes it again
-- Result   how many consumers were deleted
local consumers = redis.pcall('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])
local deleted = 0
for _, consumer in ipairs(consumers.err and {} or consumers) do
    local facts = {}
    for i = 1, #consumer, 2 do
        facts[consumer[i]] = consumer[i + 1]
    end
    local ended = facts['name'] == ARGV[2] or facts['idle'] >= tonumber(ARGV[3])
    if ended and facts['pending'] == 0 then -- with a consumer Redis deletes what is pending for it
        redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], facts['name'])
        deleted = deleted + 1
    end
end
return deleted
