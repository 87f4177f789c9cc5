-- open: queues messages on a shared channel, and refuses the newest beyond its capacity. Promise P4.
--
-- KEYS[1]  stream of the channel
-- KEYS[2]  bytes waiting in it
-- ARGV[1]  capacity in messages
-- ARGV[2]  capacity in bytes (an empty channel takes one larger message)
-- ARGV[3]  least time to live in ms, never shortened
-- ARGV[4]  1 renew the time to live; 0 this caller did so within the last second
-- ARGV[5…] one batch each
-- Result   for each batch the id of its entry, or false where the channel was full
local call = redis.call
local stream, count = KEYS[1], KEYS[2]
local length = call('XLEN', stream)
local found = call('GET', count)
local size = tonumber(found or '0')
local capacity, size_max, ttl = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local added, ids = 0, {}
for i = 5, #ARGV do
    local batch = ARGV[i]
    if length >= capacity or (length > 0 and size + added + #batch > size_max) then
        ids[i - 4] = false
    else
        ids[i - 4] = call('XADD', stream, '*', 'b', batch)
        length = length + 1
        added = added + #batch
    end
end
if added > 0 then
    call('INCRBY', count, added)
    if ARGV[4] == '1' or not found then
        for _, key in ipairs(KEYS) do
            if call('PTTL', key) < ttl then
                call('PEXPIRE', key, ttl)
            end
        end
    end
end
return ids
