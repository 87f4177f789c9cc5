-- publish: publishes a message to a group, with the next number of the group's counter in front. Promise P10.
--
-- KEYS[1]  counter of the group
-- KEYS[2]  its shared channels: sorted set by the moment in ms at which each membership ends
-- ARGV[1]  pub/sub channel of the group
-- ARGV[2]  the message, packed
-- ARGV[3]  time to live of the counter in ms, from this message on
-- Result   how many connections were subscribed; if shared channels are members, a list of that number and of their names: the caller
--          sends the message to each of them
local call = redis.call
local number
local members = {}
if call('EXISTS', KEYS[2]) == 1 then
    local time = call('TIME')
    members = call('ZRANGEBYSCORE', KEYS[2], time[1] * 1000 + math.floor(time[2] / 1000), '+inf')
end
-- The first write: a user without the right to do this must not leave a counter without a time to live. And it is a write that needs no
-- memory, after which Redis executes the others even when it is full.
if call('PEXPIRE', KEYS[1], ARGV[3]) == 1 then
    number = call('INCRBY', KEYS[1], 1)
else
    -- A new counter begins with the time in quarters of a second: no reader takes its numbers for those of an earlier one.
    local time = call('TIME')
    number = (time[1] * 4 + math.floor(time[2] / 250000)) * 524288 + 1
    call('SET', KEYS[1], string.format('%.0f', number), 'PX', ARGV[3])
end
local reached = call('PUBLISH', ARGV[1], '\146\207' .. struct.pack('>I8', number) .. ARGV[2])
if #members == 0 then
    return reached
end
table.insert(members, 1, reached)
return members
