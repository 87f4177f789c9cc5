-- hold_messages: keeps messages of a shared channel for the process that works at them, and drops those that waited too long before.
--
-- KEYS[1]  stream of the channel
-- KEYS[2]  bytes waiting in it
-- KEYS[3]  index of the shared channels
-- ARGV[1]  consumer group
-- ARGV[2]  the process
-- ARGV[3]  least time to live of the keys in ms, never shortened
-- ARGV[4]  name of the channel
-- ARGV[5…] for each entry three: its id; its size; the last moment in ms at which it may be begun (0: it is begun already)
-- Result   for each entry: how many times it was read, if this process has it; 0 another has it, or it is gone; -1 it was too late
local call = redis.call
local stream, index, ttl, name = KEYS[1], KEYS[3], tonumber(ARGV[3]), ARGV[4]
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local verdicts, freed, held = {}, 0, false

local function times_read(id)
    local pending = call('XPENDING', stream, ARGV[1], id, id, 1)[1]
    if not pending or pending[2] ~= ARGV[2] or #call('XRANGE', stream, id, id) == 0 then
        return 0
    end
    return pending[4]
end

for i = 5, #ARGV, 3 do
    local id, last = ARGV[i], tonumber(ARGV[i + 2])
    local count = times_read(id)
    if count == 1 and last > 0 and now > last then
        call('XACK', stream, ARGV[1], id)
        call('XDEL', stream, id)
        freed = freed + ARGV[i + 1]
        count = -1
    elseif count > 0 then
        call('XCLAIM', stream, ARGV[1], ARGV[2], 0, id, 'IDLE', 0, 'JUSTID')
        held = true
    end
    verdicts[#verdicts + 1] = count
end
if freed > 0 and call('DECRBY', KEYS[2], freed) < 0 then
    call('DEL', KEYS[2]) -- the data was lost in between, or entries were added without being counted
end
if held then
    -- What a process that dies had is found by the next one, also by a pattern.
    if tonumber(call('ZSCORE', index, name) or '0') < now + ttl / 2 then
        call('ZADD', index, now + ttl, name)
    end
    for _, key in ipairs(KEYS) do
        if call('PTTL', key) < ttl then
            call('PEXPIRE', key, ttl)
        end
    end
end
return verdicts
