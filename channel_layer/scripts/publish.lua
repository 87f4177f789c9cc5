-- publish: publishes a message to a group, with the next number of the group's counter in front. Promise P10.
--
-- KEYS[1]  counter of the group
-- ARGV[1]  pub/sub channel of the group
-- ARGV[2]  the message, packed
-- ARGV[3]  time to live of the counter in ms, from this message on
-- Result   how many connections were subscribed
local call = redis.call
local number
-- First: a user without the right to do this must not leave a counter without a time to live. And it is a write that needs no memory,
-- after which Redis executes the others even when it is full.
if call('PEXPIRE', KEYS[1], ARGV[3]) == 1 then
    number = call('INCRBY', KEYS[1], 1)
else
    -- A new counter begins with the time in quarters of a second: no reader takes its numbers for those of an earlier one.
    local time = call('TIME')
    number = (time[1] * 4 + math.floor(time[2] / 250000)) * 524288 + 1
    call('SET', KEYS[1], string.format('%.0f', number), 'PX', ARGV[3])
end
return call('PUBLISH', ARGV[1], '\146\207' .. struct.pack('>I8', number) .. ARGV[2])
