-- open: queue messages on a shared channel, or refuse the newest. Promise P4.
--
-- KEYS[1]  stream of the channel
-- KEYS[2]  bytes waiting in it
-- ARGV[1]  capacity in messages
-- ARGV[2]  capacity in bytes (an empty channel takes one larger message)
-- ARGV[3]  least time to live in ms, never shortened
-- ARGV[4…] one batch each
-- Result   for each batch the id of its entry, or false where the channel was full
local length = redis.call('XLEN', KEYS[1])
local size = tonumber(redis.call('GET', KEYS[2]) or '0')
local capacity, size_max, ttl = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local added, ids = 0, {}
for i = 4, #ARGV do
    local batch = ARGV[i]
    if length >= capacity or (length > 0 and size + added + #batch > size_max) then
        ids[#ids + 1] = false
    else
        ids[#ids + 1] = redis.call('XADD', KEYS[1], '*', 'b', batch)
        length = length + 1
        added = added + #batch
    end
end
if added > 0 then
    redis.call('INCRBY', KEYS[2], added)
    if redis.call('PTTL', KEYS[1]) < ttl then
        redis.call('PEXPIRE', KEYS[1], ttl)
    end
    if redis.call('PTTL', KEYS[2]) < ttl then
        redis.call('PEXPIRE', KEYS[2], ttl)
    end
end
return ids
