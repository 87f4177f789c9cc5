-- renew: renews the lease of a process, and forgets processes that have not renewed theirs for long. Promises P6, P8, P11.
--
-- KEYS[1]  lease of the process
-- KEYS[2]  index of all leases
-- KEYS[3]  inbox of the process
-- KEYS[4…] streams of the shared channels, and the bytes waiting in each
-- ARGV[1]  content of the lease
-- ARGV[2]  time to live of the lease in ms
-- ARGV[3]  time to live of all other keys in ms
-- ARGV[4]  name of the process
-- ARGV[5]  consumer group
-- ARGV[6]  how many of KEYS[4…], from the first on, are streams
-- Result   1 the old lease and the inbox still existed; 0 they did not
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local found = redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2], 'GET')
redis.call('ZADD', KEYS[2], now, ARGV[4])
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', '(' .. (now - ARGV[3]))) do
    -- Deleting a consumer deletes its pending entries, and no worker could claim those. So it stays until others have claimed them.
    local settled = true
    for i = 4, 3 + ARGV[6] do
        local pending = redis.pcall('XPENDING', KEYS[i], ARGV[5], '-', '+', 1, gone)
        if not pending.err and #pending == 0 then
            redis.call('XGROUP', 'DELCONSUMER', KEYS[i], ARGV[5], gone)
        elseif not pending.err then
            settled = false
        end
    end
    if settled then
        redis.call('ZREM', KEYS[2], gone)
    end
end
redis.call('PEXPIRE', KEYS[2], ARGV[3])
local inbox = redis.call('PEXPIRE', KEYS[3], ARGV[3])
for i = 4, #KEYS do
    if redis.call('PTTL', KEYS[i]) < tonumber(ARGV[3]) then
        redis.call('PEXPIRE', KEYS[i], ARGV[3])
    end
end
return found and inbox == 1 and 1 or 0
