-- take: decide who owns entries of a shared channel, and tell their interface servers in the same breath. Promises P2, P3.
--
-- KEYS[1]  stream of the channel
-- KEYS[2]  bytes waiting in it
-- KEYS[3…] inboxes of the interface servers concerned
-- ARGV[1]  consumer group
-- ARGV[2]  head of a batch from the worker
-- ARGV[3…] for each entry six: its id; its size; the last moment in ms at which it may be adopted (0: refuse it);
--          which of the inboxes (1 = KEYS[3]); the packet `adopted`; the packet `refused`
-- Result   the queue's length, then for each entry: 1 adopted, 2 refused, 0 somebody else has it or nobody waits for it
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local freed, acks, verdicts, parts, members = 0, {}, {}, {}, {}
for i = 3, #ARGV, 6 do
    local id, verdict = ARGV[i], 0
    acks[#acks + 1] = id
    if redis.call('XDEL', KEYS[1], id) == 1 then
        freed = freed + tonumber(ARGV[i + 1])
        verdict = now <= tonumber(ARGV[i + 2]) and 1 or 2
        local inbox = tonumber(ARGV[i + 3])
        parts[inbox] = parts[inbox] or {}
        members[inbox] = members[inbox] or {}
        table.insert(parts[inbox], ARGV[i + 3 + verdict])
        table.insert(members[inbox], #verdicts + 1)
    end
    verdicts[#verdicts + 1] = verdict
end
if #acks > 0 then
    redis.call('XACK', KEYS[1], ARGV[1], unpack(acks))
end
if freed > 0 and redis.call('EXISTS', KEYS[2]) == 1 then
    redis.call('DECRBY', KEYS[2], freed)
end
for inbox, packets in pairs(parts) do
    local batch = ARGV[2] .. '\220' .. string.char(math.floor(#packets / 256), #packets % 256) .. table.concat(packets)
    if not redis.call('XADD', KEYS[2 + inbox], 'NOMKSTREAM', '*', 'b', batch) then
        for _, index in ipairs(members[inbox]) do
            verdicts[index] = 0
        end
    end
end
return { redis.call('XLEN', KEYS[1]), unpack(verdicts) }
