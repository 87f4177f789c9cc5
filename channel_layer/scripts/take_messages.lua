-- take_messages: decides which process gets messages of a shared channel of applications, and drops those that waited too long.
--
-- KEYS[1]  stream of the channel
-- KEYS[2]  bytes waiting in it
-- ARGV[1]  consumer group
-- ARGV[2…] for each entry three: its id; its size; the last moment in ms at which it may be taken
-- Result   for each entry: if it is taken, for how many ms it is still of use, at least 1; -1 expired; 0 another process has it
local call = redis.call
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local freed, verdicts, acks, n = 0, {}, {}, 0
for i = 2, #ARGV, 3 do
    n = n + 1
    acks[n], verdicts[n] = ARGV[i], 0
    if call('XDEL', KEYS[1], ARGV[i]) == 1 then
        freed = freed + ARGV[i + 1]
        local rest = ARGV[i + 2] - now
        verdicts[n] = rest >= 0 and math.max(1, rest) or -1
    end
end
if n > 0 then
    call('XACK', KEYS[1], ARGV[1], unpack(acks))
end
if freed > 0 and call('DECRBY', KEYS[2], freed) < 0 then
    call('DEL', KEYS[2]) -- the data was lost in between, or entries were added without being counted
end
return verdicts
