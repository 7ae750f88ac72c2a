"""The scripts by which the processes of a service agree on what may be read from Redis.

Keys of a service:

    <service>:rc:epoch      the epoch; it lives for PULSE, and beats of living processes keep it alive
    <service>:rc:server     which server has made the epoch
    <service>:rc:settling   while it exists nothing is stored
    <service>:rc:members    the processes that take part

Keys of a class, behind `<service>:rc:<class>:`

    generation              eight characters, and the shapes (fingerprints) of which there are entries
    v:<shape>:<key>         an entry, see entry.py
    l:<shape>:<key>         the lease of whoever loads it, and since when
    c:<key>                 a sorted set: the writers that keep the key closed, each until its time; c:* is the class
    o:<token>               a writer that has opened its keys, while a closing of it may still be on its way

An entry counts while the epoch and the generation are those that it carries. Each script is one step that others
see before or after, never between.

No script may hold Redis for long, since everybody waits meanwhile. What each of them is given is bounded by
batches.py, and what it does for each key by SHAPES, the number of shapes that a generation has at most.
"""

from __future__ import annotations

__all__ = ["CLOSE", "FILL", "FOLLOW", "HEARTBEAT", "LEASE", "LEAVE", "OPEN"]

SHAPES = 8  # of a generation; the next one begins a new generation

# A text, also where somebody has put something else under our key: that is removed.
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

# KEYS: epoch, server, settling, members. ARGV: the epoch that the caller knows or '', its name, until when the beat is
# awaited (milliseconds of this server's clock) or '', whether the epoch must change, its life, the time to settle where
# a closing may be lost, the time to settle where Redis has them all, a new name. Answers the epoch, whether nothing may
# be stored, and the time. A beat that comes late keeps nothing alive: nobody has had an answer while it was on its way.
# But what is late by the clock of another server is not.
#
# The first letter of an epoch says why it was made, see CAUSES in trust.py. Redis has lost no closing when the server
# is the same one and knows it: all there is to wait for is a commit that was sent without a closing.
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
    -- Others may know more: within a pulse they will have said so.
    if cause == 'f' then settle = tonumber(ARGV[5]) end
    if cause == 'x' or cause == 'm' then settle = tonumber(ARGV[7]) end
    redis.call('SET', KEYS[3], '1', 'PX', math.max(settle, redis.call('PTTL', KEYS[3])))
end
redis.call('SADD', KEYS[4], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return {epoch, redis.call('EXISTS', KEYS[3]), at}
"""
)

# KEYS: epoch, members. ARGV: the name of who leaves, how long an epoch is kept for the next one to come, in
# milliseconds. The last one to leave in order leaves the epoch behind; whoever was killed never does.
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

# KEYS: epoch, generation, settling. ARGV: prefix, the epoch that the caller trusts, shape, a new name, its lease,
# patience (milliseconds), life of a lease; then for each key its name and whether its entry is wanted as it is.
# Answers the generation, or '' when nothing may be stored, and for each key: 'lease', 'wait', 'closed' or the entry.
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
# each key its name, the entry or '' to give the lease back, and its life in milliseconds. Answers how many it stored.
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

# KEYS: generation. ARGV: prefix, token, life in milliseconds, then the keys; `*` is the class. What comes after its
# writer has opened closes nothing.
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
# a closing of that token may come later. What was not closed any more may have been stored meanwhile, and goes. Others
# that keep a key closed go on to.
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

# KEYS: epoch, generation, entries that name another. ARGV: what the names of those others begin with, how long an
# entry's header is. Answers epoch, generation and, for each, its entry and the one that it names.
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
