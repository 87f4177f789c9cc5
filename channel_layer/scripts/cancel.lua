-- cancel: withdraws an entry that waits on a shared channel. Promise P3.
--
-- KEYS[1]  stream of the channel
-- KEYS[2]  bytes waiting in it
-- ARGV[1]  consumer group
-- ARGV[2]  id of the entry
-- ARGV[3]  its size
-- Result   1 no worker will ever take it; 0 a worker did, and the answer is in the inbox already
local won = redis.call('XDEL', KEYS[1], ARGV[2])
redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
if won == 1 and redis.call('DECRBY', KEYS[2], ARGV[3]) < 0 then
    redis.call('DEL', KEYS[2]) -- the data was lost in between, or entries were added without being counted
end
return won
