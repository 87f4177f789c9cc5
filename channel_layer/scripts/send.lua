-- send: adds messages of applications to a shared channel, and refuses the newest beyond its capacity. Promise P4.
--
-- KEYS[1]  stream of the channel
-- KEYS[2]  bytes waiting in it
-- KEYS[3]  index of the shared channels: when each can be empty at the latest
-- ARGV[1]  capacity in messages
-- ARGV[2]  capacity in bytes (an empty channel takes one larger message)
-- ARGV[3]  least time to live in ms, never shortened
-- ARGV[4]  consumer group
-- ARGV[5]  expiry in ms of these messages; in a channel that is full, those past their own that nobody has read make room
-- ARGV[6]  name of the channel
-- ARGV[7…] one batch each
-- Result   for each batch 1, or 0 where the channel was full
local call = redis.call
local stream, count = KEYS[1], KEYS[2]
local length = call('XLEN', stream)
local found, was_empty = call('GET', count), length == 0
local size = tonumber(found or '0')
local capacity, size_max, ttl = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local added, freed, trimmed, results, last_id = 0, 0, false, {}, nil

local function now_ms()
    local time = call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function is_full(batch)
    return length >= capacity or (length > 0 and size + added - freed + #batch > size_max)
end

-- Read but not yet removed entries are their readers' business; those behind the last read id are nobody's.
local function last_read()
    local groups = redis.pcall('XINFO', 'GROUPS', stream)
    for _, group in ipairs(groups.err and {} or groups) do
        local facts = {}
        for i = 1, #group, 2 do
            facts[group[i]] = group[i + 1]
        end
        if facts['name'] == ARGV[4] then
            return facts['last-delivered-id']
        end
    end
    return '0-0'
end

local function drop_expired()
    trimmed = true
    local now = now_ms()
    for _, entry in ipairs(call('XRANGE', stream, '(' .. last_read(), '+', 'COUNT', 1000)) do
        local id, fields = entry[1], entry[2]
        if string.match(id, '%d+') + (fields[4] or 0) < now then
            call('XDEL', stream, id)
            length = length - 1
            freed = freed + #fields[2]
        end
    end
end

for i = 7, #ARGV do
    local batch = ARGV[i]
    local full = is_full(batch)
    if full and not trimmed then
        drop_expired()
        full = is_full(batch)
    end
    if full then
        results[i - 6] = 0
    else
        last_id = call('XADD', stream, '*', 'b', batch, 'e', ARGV[5])
        length = length + 1
        added = added + #batch
        results[i - 6] = 1
    end
end
if added - freed ~= 0 and call('INCRBY', count, added - freed) < 0 then
    call('DEL', count) -- the data was lost in between, or entries were added without being counted
end

-- Keys live at least until the time in the index: both are written together. A message needs them for a minute less than that, so a send
-- that finds half a minute gone at most writes nothing. A key that was lost alone, and was made anew by this call, is found, too.
local MARGIN = 30000

local function is_due()
    local listed = tonumber(call('ZSCORE', KEYS[3], ARGV[6]) or '0')
    local least = ttl - MARGIN
    local sent = string.match(last_id, '%d+') + 0 -- Redis' time or, where that was set back, a later one; to ask for it costs a call
    return not found or listed < sent + least or (was_empty and call('PTTL', stream) < least)
end

if added > 0 and is_due() then
    local now = now_ms()
    call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now)
    call('ZADD', KEYS[3], 'GT', now + ttl, ARGV[6])
    for _, key in ipairs(KEYS) do
        if call('PTTL', key) < ttl then
            call('PEXPIRE', key, ttl)
        end
    end
end
return results
