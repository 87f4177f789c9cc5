-- renew: a process buys its next seconds, and forgets those who have bought none for long. Promises P6, P8, P11.
--
-- KEYS[1]  lease of the process
-- KEYS[2]  index of all leases
-- KEYS[3]  inbox of the process
-- KEYS[4…] streams of the shared channels, and the bytes waiting in each
-- ARGV[1]  what the lease says
-- ARGV[2]  time to live of the lease in ms
-- ARGV[3]  time to live of everything else in ms
-- ARGV[4]  name of the process
-- ARGV[5]  consumer group
-- ARGV[6]  how many of KEYS[4…], from the first on, are streams
-- Result   1 the old lease and the inbox were still there; 0 they were not
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local found = redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2], 'GET')
redis.call('ZADD', KEYS[2], now, ARGV[4])
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', '(' .. (now - ARGV[3]))) do
    -- With a consumer goes what it has pending, and then nobody could claim that: so its name stays until others have.
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
