-- make_group: makes the consumer group of a shared channel, from the beginning of its stream, for a reader that found none.
--
-- KEYS[1]  stream of the channel
-- ARGV[1]  consumer group
-- ARGV[2]  least time to live in ms, never shortened
-- Result   an error if the group could not be made; else nothing of interest
local function keep()
    if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then
        redis.call('PEXPIRE', KEYS[1], ARGV[2])
    end
end
keep() -- first, though the key may not exist: a user without the right to do this must not leave a stream without a time to live
local made = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM')
if type(made) == 'table' and made.err and not string.find(made.err, 'BUSYGROUP', 1, true) then
    return made
end
keep()
