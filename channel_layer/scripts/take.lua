-- take: decides which worker owns entries of a shared channel, and tells their interface servers in the same step. Promises P2, P3.
--
-- KEYS[1]  stream of the channel
-- KEYS[2]  bytes waiting in it
-- KEYS[3…] inboxes of the interface servers concerned
-- ARGV[1]  consumer group
-- ARGV[2]  head of a batch from the worker
-- ARGV[3…] for each entry six: its id; its size; the last moment in ms at which it may be adopted (0: refuse it);
--          which of the inboxes (1 = KEYS[3]); the packet `adopted`; the packet `refused`
-- Result   the queue's length, then for each entry: 1 adopted, 2 refused, 0 another worker has it or its client waits no more
local call = redis.call
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local stream = KEYS[1]
local freed, acks, verdicts, parts, members, n = 0, {}, {}, {}, {}, 0
for i = 3, #ARGV, 6 do
    local id, verdict = ARGV[i], 0
    n = n + 1
    acks[n] = id
    if call('XDEL', stream, id) == 1 then
        freed = freed + ARGV[i + 1]
        verdict = now <= ARGV[i + 2] + 0 and 1 or 2
        local inbox = ARGV[i + 3]
        local packets, owners = parts[inbox], members[inbox]
        if not packets then
            packets, owners = {}, {}
            parts[inbox], members[inbox] = packets, owners
        end
        packets[#packets + 1] = ARGV[i + 3 + verdict]
        owners[#owners + 1] = n
    end
    verdicts[n] = verdict
end
if n > 0 then
    call('XACK', stream, ARGV[1], unpack(acks))
end
if freed > 0 and call('DECRBY', KEYS[2], freed) < 0 then
    call('DEL', KEYS[2]) -- the data was lost in between, or entries were added without being counted
end
for inbox, packets in pairs(parts) do
    local batch = ARGV[2] .. '\220' .. string.char(math.floor(#packets / 256), #packets % 256) .. table.concat(packets)
    if not call('XADD', KEYS[2 + inbox], 'NOMKSTREAM', '*', 'b', batch) then
        for _, index in ipairs(members[inbox]) do
            verdicts[index] = 0
        end
    end
end
return { call('XLEN', stream), unpack(verdicts) }
