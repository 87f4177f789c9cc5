-- join_shared: makes a shared channel a member of a group for a while, and extends the membership of one that is a member. Promise P10.
--
-- KEYS[1]  the group's shared channels: sorted set by the moment in ms at which each membership ends
-- KEYS[2]  index of the groups with shared channels: sorted set by the moment in ms at which the last membership of each ends
-- ARGV[1]  channel
-- ARGV[2]  how long it is a member from now on, in ms; a longer membership is not shortened
-- ARGV[3]  how many shared channels may be members
-- ARGV[4]  group
-- Result   1, or 0 where so many others are members; nothing is added then
local call = redis.call
local members, channel, lifetime = KEYS[1], ARGV[1], tonumber(ARGV[2])
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, key in ipairs(KEYS) do
    call('ZREMRANGEBYSCORE', key, '-inf', now - 1)
end
-- Counted without ZCARD, a right that OPERATIONS.md does not ask for. There are no more than ARGV[3] to read.
if not call('ZSCORE', members, channel) and #call('ZRANGE', members, 0, -1) >= tonumber(ARGV[3]) then
    return 0
end
call('ZADD', members, 'GT', now + lifetime, channel)
call('ZADD', KEYS[2], 'GT', now + lifetime, ARGV[4])
for _, key in ipairs(KEYS) do
    if call('PTTL', key) < lifetime then
        call('PEXPIRE', key, lifetime)
    end
end
return 1
