-- make_inbox: makes the inbox of a process if it is missing, and tells how far it is. Promise P9.
--
-- KEYS[1]  the inbox
-- ARGV[1]  time to live in ms
-- Result   {1 made or 0 found, id of the last entry ever added}
redis.call('PEXPIRE', KEYS[1], ARGV[1]) -- first: a user without the right to do this must not leave a stream without a time to live
local made = redis.call('EXISTS', KEYS[1]) == 0
if made then
    redis.call('XADD', KEYS[1], '*', 'b', '')
    redis.call('XTRIM', KEYS[1], 'MAXLEN', 0)
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
local info = redis.call('XINFO', 'STREAM', KEYS[1])
for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then
        return { made and 1 or 0, info[i + 1] }
    end
end
