-- leave: a process shuts down, and leaves nothing behind but what other processes still need. Promise P11.
--
-- KEYS[1]  lease of the process
-- KEYS[2]  index of all leases
-- KEYS[3]  inbox of the process
-- KEYS[4…] streams of the shared channels that it read
-- ARGV[1]  name of the process
-- ARGV[2]  consumer group
-- Result   how many consumers were deleted
redis.call('DEL', KEYS[1], KEYS[3])
local deleted, settled = 0, true
for i = 4, #KEYS do
    local pending = redis.pcall('XPENDING', KEYS[i], ARGV[2], '-', '+', 1, ARGV[1])
    if not pending.err and #pending == 0 then
        redis.call('XGROUP', 'DELCONSUMER', KEYS[i], ARGV[2], ARGV[1])
        deleted = deleted + 1
    elseif not pending.err then
        settled = false
    end
end
if settled then
    redis.call('ZREM', KEYS[2], ARGV[1])
else -- renew deletes that consumer when other workers have claimed its pending entries
    redis.call('ZADD', KEYS[2], 'XX', 0, ARGV[1])
end
return deleted
