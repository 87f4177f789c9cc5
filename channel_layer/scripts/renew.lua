-- renew: a process buys its next seconds. Promises P6, P8, P11.
--
-- KEYS[1]  lease of the process
-- KEYS[2]  index of all leases
-- KEYS[3]  inbox of the process
-- KEYS[4…] streams of the shared channels that it reads, and the bytes waiting in each
-- ARGV[1]  what the lease says
-- ARGV[2]  time to live of the lease in ms
-- ARGV[3]  time to live of everything else in ms
-- ARGV[4]  name of the process
-- Result   1 the old lease and the inbox were still there; 0 they were not
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local found = redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2], 'GET')
redis.call('ZADD', KEYS[2], now, ARGV[4])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', '(' .. (now - ARGV[3]))
redis.call('PEXPIRE', KEYS[2], ARGV[3])
local inbox = redis.call('PEXPIRE', KEYS[3], ARGV[3])
for i = 4, #KEYS do
    if redis.call('PTTL', KEYS[i]) < tonumber(ARGV[3]) then
        redis.call('PEXPIRE', KEYS[i], ARGV[3])
    end
end
return found and inbox == 1 and 1 or 0
