"""The Lua scripts by which the processes of a service keep cached entries coherent.

Keys of a service:

    <service>:rc:epoch      the epoch; it lives for EPOCH_TTL, and heartbeats keep it alive
    <service>:rc:server     the server that created the epoch
    <service>:rc:settling   nothing is stored while it exists
    <service>:rc:members    the member processes

Keys of a class, behind `<service>:rc:<class>:`

    generation              eight characters, and the shapes (fingerprints) that have entries
    v:<shape>:<key>         an entry, see entry.py
    l:<shape>:<key>         the lease of the loading reader, and its time
    c:<key>                 a sorted set: the writers that keep the key closed, each until its time; c:* is the class
    o:<token>               a writer that has opened its keys, while its request to close may still arrive

An entry is valid while its epoch and its generation are the current ones. Each script is atomic.

No script may run for long, because it blocks all clients. batches.py limits the arguments, and SHAPES, the maximum
number of shapes in a generation, limits the work for each key.
"""

from __future__ import annotations

__all__ = ["CLOSE", "FILL", "FOLLOW", "HEARTBEAT", "LEASE", "LEAVE", "OPEN"]

SHAPES = 8  # of a generation; another shape starts a new generation

# A string; a value of another type under the key is deleted.
TEXT = """
local function text(key)
    local found = redis.pcall('GET', key)
    if type(found) == 'table' then redis.call('DEL', key) return false end
    return found
end
local function now()
    local time = redis.call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
end
"""

# KEYS: epoch, server, settling, members. ARGV: the epoch that the caller knows or '', its name, the deadline of the
# heartbeat (milliseconds of this server's clock) or '', whether the epoch must change, its TTL, the time to settle when
# closings may be lost, the time to settle when Redis has them all, a new name. Returns the epoch, whether nothing may
# be stored, and the time. A late heartbeat extends nothing, since its sender had no answer in time, unless it is late
# by the clock of another server.  The first letter of an epoch says why it was created, see CAUSES in epoch.py. Redis
# has lost no closing when the server is the same one and knows the epoch: only a commit that was sent without a closing
# remains to wait for.
HEARTBEAT = (
    TEXT
    + """
local at = now()
local server = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') or 'unknown'
local epoch, before = text(KEYS[1]), text(KEYS[2])
if ARGV[3] ~= '' and at > tonumber(ARGV[3]) and before == server then return {'', 0, at} end
local known = ARGV[1]
local stranger = epoch and known ~= '' and epoch ~= known and string.sub(epoch, 1, 1) == 'f'
local must = ARGV[4] == '1' and epoch == known
local cause = false
if not before then cause = known == '' and 'f' or 'e'
elseif before ~= server then cause = 's'
elseif stranger then cause = 'e'
elseif not epoch then cause = 'x'
elseif must then cause = 'm' end
if cause then
    epoch = cause .. ARGV[8]
    redis.call('SET', KEYS[1], epoch)
    redis.call('SET', KEYS[2], server)
    redis.call('DEL', KEYS[4])
    local settle = tonumber(ARGV[6])
    -- Other processes may know an epoch: they report it within its TTL.
    if cause == 'f' then settle = tonumber(ARGV[5]) end
    if cause == 'x' or cause == 'm' then settle = tonumber(ARGV[7]) end
    redis.call('SET', KEYS[3], '1', 'PX', math.max(settle, redis.call('PTTL', KEYS[3])))
end
redis.call('SADD', KEYS[4], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return {epoch, redis.call('EXISTS', KEYS[3]), at}
"""
)

# KEYS: epoch, members. ARGV: the name of the leaving process, the TTL of the epoch it leaves behind, in milliseconds.
# The last process that leaves keeps the epoch; a killed process never leaves.
LEAVE = """
redis.call('SREM', KEYS[2], ARGV[1])
if redis.call('EXISTS', KEYS[2]) == 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 1
"""

CLASS = (
    TEXT
    + """
local function drop(prefix, generation, key)
    local names = {}
    for shape in string.gmatch(generation or '', '|(%x+)') do
        names[#names + 1] = prefix .. 'v:' .. shape .. ':' .. key
        names[#names + 1] = prefix .. 'l:' .. shape .. ':' .. key
    end
    if names[1] then redis.call('UNLINK', unpack(names)) end
end
local function closed(key, at)
    local found = redis.pcall('ZCOUNT', key, string.format('(%d', at), '+inf')
    if type(found) == 'table' then redis.call('DEL', key) return false end
    return found > 0
end
"""
)

# KEYS: epoch, generation, settling. ARGV: prefix, the epoch of the caller, shape, a new name, its lease, the timeout of
# other leases (milliseconds), the TTL of a lease; then for each key its name and whether a stored entry is acceptable.
# Returns the generation, or '' when nothing may be stored, and for each key: 'lease', 'wait', 'closed' or the entry.
LEASE = (
    CLASS
    + f"""
local most = {SHAPES}
"""
    + """
local prefix, shape, at = ARGV[1], ARGV[3], now()
if text(KEYS[1]) ~= ARGV[2] or redis.call('EXISTS', KEYS[3]) == 1 or closed(prefix .. 'c:*', at) then return {''} end
local generation = text(KEYS[2]) or ARGV[4]
if not string.find(generation, '|' .. shape, 1, true) then
    local _, shapes = string.gsub(generation, '|', '')
    if shapes >= most then generation = ARGV[4] end
    generation = generation .. '|' .. shape
    redis.call('SET', KEYS[2], generation)
end
local name = string.sub(generation, 1, 8)
local answers = {name}
for place = 8, #ARGV, 2 do
    local key = ARGV[place]
    local entry = ARGV[place + 1] == '1' and text(prefix .. 'v:' .. shape .. ':' .. key)
    local lease = prefix .. 'l:' .. shape .. ':' .. key
    if entry and string.sub(entry, 3, 11) == ARGV[2] and string.sub(entry, 12, 19) == name then
        answers[#answers + 1] = entry
    elseif closed(prefix .. 'c:' .. key, at) then
        answers[#answers + 1] = 'closed'
    else
        local since = string.match(text(lease) or '', ' (%d+)$')
        if since and at - since < tonumber(ARGV[6]) and at >= tonumber(since) then
            answers[#answers + 1] = 'wait'
        else
            redis.call('SET', lease, string.format('%s %d', ARGV[5], at), 'PX', ARGV[7])
            answers[#answers + 1] = 'lease'
        end
    end
end
return answers
"""
)

# KEYS: epoch, generation, settling. ARGV: prefix, the epoch and the generation of the lease, shape, lease; then for
# each key its name, the entry or '' to release the lease, and its TTL in milliseconds. Returns the number of stored
# ones.
FILL = (
    CLASS
    + """
local prefix, shape, stored = ARGV[1], ARGV[4], 0
local sound = text(KEYS[1]) == ARGV[2] and string.sub(text(KEYS[2]) or '', 1, 8) == ARGV[3]
sound = sound and redis.call('EXISTS', KEYS[3]) == 0
for place = 6, #ARGV, 3 do
    local lease = prefix .. 'l:' .. shape .. ':' .. ARGV[place]
    if string.match(text(lease) or '', '^(%S+)') == ARGV[5] then
        redis.call('DEL', lease)
        if sound and ARGV[place + 1] ~= '' then
            redis.call('SET', prefix .. 'v:' .. shape .. ':' .. ARGV[place], ARGV[place + 1], 'PX', ARGV[place + 2])
            stored = stored + 1
        end
    end
end
return stored
"""
)

# KEYS: generation. ARGV: prefix, token, TTL in milliseconds, then the keys; `*` is the whole class. A request that
# arrives after its writer has opened has no effect.
CLOSE = (
    CLASS
    + """
local prefix, at = ARGV[1], now()
if redis.call('EXISTS', prefix .. 'o:' .. ARGV[2]) == 1 then return 0 end
local generation = text(KEYS[1])
for place = 4, #ARGV do
    local key = ARGV[place]
    if key == '*' then redis.call('DEL', KEYS[1]) else drop(prefix, generation, key) end
    local set = prefix .. 'c:' .. key
    if type(redis.pcall('ZREMRANGEBYSCORE', set, '-inf', at)) == 'table' then redis.call('DEL', set) end
    redis.call('ZADD', set, at + ARGV[3], ARGV[2])
    redis.call('PEXPIRE', set, math.max(ARGV[3], redis.call('PTTL', set)))
end
return 1
"""
)

# KEYS: generation. ARGV: prefix, how long an opening is remembered, then for each key its token, its name, and whether
# a closing of that token may still arrive. The entries of a key that is no longer closed may be outdated, and are
# deleted. Other writers keep the key closed.
OPEN = (
    CLASS
    + """
local prefix = ARGV[1]
local generation = text(KEYS[1])
for place = 3, #ARGV, 3 do
    local token, key = ARGV[place], ARGV[place + 1]
    if ARGV[place + 2] == '1' then redis.call('SET', prefix .. 'o:' .. token, '1', 'PX', ARGV[2]) end
    local set = prefix .. 'c:' .. key
    closed(set, 0)
    local score = redis.call('ZSCORE', set, token)
    redis.call('ZREM', set, token)
    if not score or tonumber(score) <= now() then
        if key == '*' then redis.call('DEL', KEYS[1]) else drop(prefix, generation, key) end
    end
end
return 1
"""
)

# KEYS: epoch, generation, index entries. ARGV: the prefix of entries, the length of an entry's header. Returns epoch,
# generation and, for each index entry, itself and the entry that it names.
FOLLOW = (
    TEXT
    + """
local answers = {text(KEYS[1]), text(KEYS[2])}
for place = 3, #KEYS do
    local pointer = text(KEYS[place])
    local name = pointer and string.match(string.sub(pointer, ARGV[2] + 1), '^[^ ]+')
    answers[#answers + 1] = pointer
    answers[#answers + 1] = name and text(ARGV[1] .. name) or false
end
return answers
"""
)
